"""What the experiments share: digits for a seed, tables, sentences and pictures of what came out.

Figures of several things that are compared are a dict: a name to its figures, one for each seed.
Seeds are the same for all of them, so that differences are taken seed by seed.
"""

from experiment.clock import milliseconds
from experiment.data import digits
from experiment.pictures import COLOURS, dots, lines, new
from experiment.words import compared, over_all, table

__all__ = [
    "COLOURS",
    "compared",
    "digits",
    "dots",
    "lines",
    "milliseconds",
    "new",
    "over_all",
    "table",
]
