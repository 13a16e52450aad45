"""What each algorithm of convolution takes, in exact bytes and estimated time, and which one
`auto` chooses.

::

    table      a few constants of a machine, for each instruction set: shipped, or measured here
      |
    seconds    of every algorithm for one geometry, estimated from them
      |
    model      these seconds, and exact bytes and multiply-adds
      |
    choice     the fastest that keeps within the limit and the precision, and why
"""

from fastconv.costs.choice import ConvolutionCosts, choose
from fastconv.costs.local import active
from fastconv.costs.model import (
    ACCURATE,
    TILES,
    AlgorithmCost,
    compared,
    convolution_costs,
    winograd_cost,
)
from fastconv.costs.table import SHIPPED, Table
from fastconv.costs.target import Target

__all__ = [
    "ACCURATE",
    "SHIPPED",
    "TILES",
    "AlgorithmCost",
    "ConvolutionCosts",
    "Table",
    "Target",
    "active",
    "choose",
    "compared",
    "convolution_costs",
    "winograd_cost",
]
