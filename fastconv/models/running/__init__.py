"""The order in which a network runs, and the runs: forward only, or forward and backward.

::

    schedule        Operation, Schedule: the calls of layers in order, fused where layers say so
    program         Program: what each operation may take, what is computed again, rows at a time
    calls           makes one call of a layer, and checks what the layer promised
    infer           runs forward
    differentiate   runs forward and backward
    pieces          runs pieces of a batch forward and backward
    rehearse        runs as in training, and changes nothing
"""

from fastconv.models.running.calls import overlap
from fastconv.models.running.differentiate import differentiate
from fastconv.models.running.infer import give_back_packed, infer
from fastconv.models.running.pieces import learned, run_piece, run_together, synchronising
from fastconv.models.running.program import Allowance, Program, Segment, Stage, segment, whole
from fastconv.models.running.rehearse import first_not_finite, loss_gradients, rehearse
from fastconv.models.running.schedule import Operation, Schedule, schedule

__all__ = [
    "Allowance",
    "Operation",
    "Program",
    "Schedule",
    "Segment",
    "Stage",
    "differentiate",
    "first_not_finite",
    "give_back_packed",
    "infer",
    "learned",
    "loss_gradients",
    "overlap",
    "rehearse",
    "run_piece",
    "run_together",
    "schedule",
    "segment",
    "synchronising",
    "whole",
]
