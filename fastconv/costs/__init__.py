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

from .choice import ConvolutionCosts, choose
from .local import active
from .model import AlgorithmCost, convolution_costs, winograd_cost
from .table import SHIPPED, Table
from .target import Target

__all__ = [
    "SHIPPED",
    "AlgorithmCost",
    "ConvolutionCosts",
    "Table",
    "Target",
    "active",
    "choose",
    "convolution_costs",
    "winograd_cost",
]
