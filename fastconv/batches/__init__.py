"""Runs a network on rows, batch by batch: what is given is cut, read, cast and run.

::

    protocol    what runs on batches; where rows are
    ahead       a thread that makes the next thing while one is used
    rows        objects whose rows are read as they are needed
    arrays      what is given, as arrays or such rows, and batches of it
    streams     iterables of batches
    predicting  outputs for all rows
    splitting   rows in two parts of which every class has its share

It knows of a network what the protocol `Runnable` has, which trained and frozen ones share.
"""

from fastconv.batches.ahead import ahead
from fastconv.batches.arrays import (
    as_array,
    as_inputs,
    as_tuple,
    cast,
    count_rows,
    empty_like,
    held,
    rows_of,
    slices,
    take,
)
from fastconv.batches.predicting import following, predict, rows_at_a_time, taken
from fastconv.batches.protocol import BATCH_NORM, PREDICTED, Array, Layout, Runnable, Use
from fastconv.batches.rows import Rows, is_mapped, is_read
from fastconv.batches.splitting import stratified
from fastconv.batches.streams import BATCH_SIZE, Stream, as_stream, check_alone, check_unsized

__all__ = [
    "BATCH_NORM",
    "BATCH_SIZE",
    "PREDICTED",
    "Array",
    "Layout",
    "Rows",
    "Runnable",
    "Stream",
    "Use",
    "ahead",
    "as_array",
    "as_inputs",
    "as_stream",
    "as_tuple",
    "cast",
    "check_alone",
    "check_unsized",
    "count_rows",
    "empty_like",
    "following",
    "held",
    "is_mapped",
    "is_read",
    "predict",
    "rows_at_a_time",
    "rows_of",
    "slices",
    "stratified",
    "take",
    "taken",
]
