"""Losses: a figure to make small, and its exact gradient with respect to the outputs.

Classes and labels lie on axis 1, as everywhere in fastconv, so a network may answer once per image,
(N, K), or once per pixel, (N, K, H, W). The figure is the mean over all answers, in which each row
may count more or less; see `fastconv.training.weighting`.

::

    base                    Loss, which all of them are
    softmax_cross_entropy   of logits, for one of several classes
    cross_entropy           of probabilities, for one of several classes
    binary                  of log odds and of chances, for labels that are each yes or no
    values                  of numbers: squared, absolute, Huber's
"""

from fastconv.training.labels import class_targets
from fastconv.training.losses.base import Loss
from fastconv.training.losses.binary import BinaryCrossEntropy, SigmoidCrossEntropy
from fastconv.training.losses.cross_entropy import CrossEntropy
from fastconv.training.losses.softmax_cross_entropy import SoftmaxCrossEntropy
from fastconv.training.losses.values import Huber, MeanAbsoluteErrorLoss, MeanSquaredError

__all__ = [
    "BinaryCrossEntropy",
    "CrossEntropy",
    "Huber",
    "Loss",
    "MeanAbsoluteErrorLoss",
    "MeanSquaredError",
    "SigmoidCrossEntropy",
    "SoftmaxCrossEntropy",
    "class_targets",
]
