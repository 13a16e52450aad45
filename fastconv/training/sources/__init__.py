"""Where the batches of ``fit`` come from.

::

    table      inputs, targets and weights with equally many rows, and some of them
    classes    the classes of rows, and what each counts
    splitting  rows held out for validation
    making     rows become a batch: weighed, and transformed
    source     the protocol, which is all that the loop knows
    rows       batches of a table
    stream     batches that an iterable gives
    given      what ``fit`` was given: a source, and what is held out for validation
"""

from fastconv.training.sources.given import IN_BATCHES, Given, HeldOut, opened
from fastconv.training.sources.rows import RowSource
from fastconv.training.sources.source import Source
from fastconv.training.sources.stream import StreamSource
from fastconv.training.sources.table import Table, as_table

__all__ = [
    "IN_BATCHES",
    "Given",
    "HeldOut",
    "RowSource",
    "Source",
    "StreamSource",
    "Table",
    "as_table",
    "opened",
]
