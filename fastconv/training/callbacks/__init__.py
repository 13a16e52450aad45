"""Callbacks: what happens between batches and epochs of ``fit``.

::

    callback                Callback, from which all are derived, and Run, what they see of a fit
    history, printing       the figures of every epoch; lines and bars
    curves                  the figures of a history as curves
    csv_log, checkpoint     files that grow with a run
    monitor                 one figure: which way is better, and whether it is the best so far
    early_stopping, reduce_on_plateau, learning_rate_schedule
                            what changes the course of a run
    states                  reads the states of callbacks
"""

from fastconv.training.callbacks.callback import Callback, Figures, Run
from fastconv.training.callbacks.checkpoint import ModelCheckpoint
from fastconv.training.callbacks.csv_log import CSVLog
from fastconv.training.callbacks.early_stopping import EarlyStopping
from fastconv.training.callbacks.history import History
from fastconv.training.callbacks.learning_rate_schedule import LearningRateSchedule
from fastconv.training.callbacks.printing import EpochLines, ProgressBar
from fastconv.training.callbacks.reduce_on_plateau import ReduceOnPlateau

__all__ = [
    "CSVLog",
    "Callback",
    "EarlyStopping",
    "EpochLines",
    "Figures",
    "History",
    "LearningRateSchedule",
    "ModelCheckpoint",
    "ProgressBar",
    "ReduceOnPlateau",
    "Run",
]
