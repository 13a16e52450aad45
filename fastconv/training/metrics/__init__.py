"""Metrics: figures that say how good outputs are, beside the loss.

A metric is one of two things. A function ``f(outputs, targets) -> ndarray`` with one figure per
answer: the mean of all figures is taken, so that a last batch that is not full weighs what it
should. Or a `CountingMetric`, whose figure is no such mean: it keeps counts over all rows.

Functions run under the caller's own floating-point error state of NumPy. A metric may have a
`name`. It may have ``check_outputs(shape)``, which raises if it cannot measure outputs of that
shape, without the batch, and ``for_loss(loss)``, which returns the metric to take with that loss;
`compile` calls both.

::

    answers         figures per answer: accuracy, top_k, binary_accuracy, mean_absolute_error
    counting        CountingMetric
    classification  precision, recall, f1
    auc             the area under the ROC curve
    confusion       the confusion matrix, a function
    reading         whether outputs are classes or labels
    averaging       how the figures of several classes become one
    measuring       asks metrics for their figures, and checks what they give
"""

from fastconv.training.metrics.answers import Accuracy, BinaryAccuracy, MeanAbsoluteError, TopK
from fastconv.training.metrics.auc import AUC
from fastconv.training.metrics.classification import F1, Precision, Recall
from fastconv.training.metrics.confusion import confusion_matrix
from fastconv.training.metrics.counting import CountingMetric

__all__ = [
    "AUC",
    "Accuracy",
    "BinaryAccuracy",
    "CountingMetric",
    "F1",
    "MeanAbsoluteError",
    "Precision",
    "Recall",
    "TopK",
    "confusion_matrix",
]
