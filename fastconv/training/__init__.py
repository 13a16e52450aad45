"""Training: losses, metrics, optimizers, callbacks, and the loop that drives a model."""

from fastconv.training.callbacks import Callback, EpochLines, History, ProgressBar, Run
from fastconv.training.compiled import Compiled
from fastconv.training.losses import CrossEntropy, Loss, MeanSquaredError, SoftmaxCrossEntropy
from fastconv.training.metrics import Accuracy, MeanAbsoluteError
from fastconv.training.optimizer import Optimizer
from fastconv.training.optimizers import SGD, AdaGrad, Adam, Momentum, Nesterov, RMSProp
from fastconv.training.trainable import Answer, Trainable

__all__ = [
    "Accuracy",
    "AdaGrad",
    "Adam",
    "Answer",
    "Callback",
    "Compiled",
    "CrossEntropy",
    "EpochLines",
    "History",
    "Loss",
    "MeanAbsoluteError",
    "MeanSquaredError",
    "Momentum",
    "Nesterov",
    "Optimizer",
    "ProgressBar",
    "RMSProp",
    "Run",
    "SGD",
    "SoftmaxCrossEntropy",
    "Trainable",
]
