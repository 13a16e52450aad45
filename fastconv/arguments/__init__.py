"""Checks of everything that users give, each written once.

::

    numbers   integers, real numbers, bytes, and pairs of integers: strides, padding
    paths     what files can be called, and what ~ stands for
    words     True or False, one of some words, texts
    arrays    shapes, and arrays of real numbers
    integers  arrays of integers, and whether they fit a dtype
    functions what functions can be called with

Errors name the operation, the parameter, the rule and the value.
"""

from fastconv.arguments.arrays import (
    CHANNELS_FIRST,
    REAL,
    as_plain_array,
    as_shape,
    as_sizes,
    check_axes,
    check_exact,
    is_masked,
)
from fastconv.arguments.functions import call_it, check_function, takes
from fastconv.arguments.integers import as_integers, check_range
from fastconv.arguments.numbers import (
    LARGEST,
    Padding,
    as_int,
    as_padding,
    as_pair,
    as_real,
    as_row_padding,
    briefly,
    check_rounding,
    is_sequence,
    parse_bytes,
    parse_int,
)
from fastconv.arguments.paths import (
    as_path,
    check_place,
    check_regular,
    check_suffix,
    full_path,
    home,
)
from fastconv.arguments.words import as_bool, as_choice, as_list, as_mapping, as_text

__all__ = [
    "CHANNELS_FIRST",
    "LARGEST",
    "Padding",
    "REAL",
    "as_bool",
    "as_choice",
    "as_int",
    "as_integers",
    "as_padding",
    "as_list",
    "as_mapping",
    "as_pair",
    "as_path",
    "as_plain_array",
    "as_real",
    "as_row_padding",
    "as_shape",
    "as_sizes",
    "as_text",
    "briefly",
    "check_axes",
    "call_it",
    "check_exact",
    "check_function",
    "check_place",
    "check_range",
    "check_regular",
    "check_rounding",
    "check_suffix",
    "full_path",
    "home",
    "is_masked",
    "is_sequence",
    "parse_bytes",
    "parse_int",
    "takes",
]
