"""What a call of a convolution asks for beside its arrays: checked once, carried as one object."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, NamedTuple

from fastconv.arguments import Padding, as_choice, as_int, as_padding, as_pair, parse_bytes
from fastconv.errors import ArgumentError, ArgumentTypeError
from fastconv.geometry import Conv2DGeometry, may_filter_minimally

__all__ = ["ALGORITHMS", "PRECISIONS", "ConvOptions", "as_options"]

ALGORITHMS = ("auto", "direct", "im2col", "im2col_tiled", "winograd")
PRECISIONS = ("strict", "standard", "fast")


class ConvOptions(NamedTuple):
    """The checked options of a convolution, each in the one form that code below sees.

    Equal options are equal objects and have one hash, whatever form users gave them in: so a
    decision is looked up by them, and 1 and (1, 1) are one entry.  `as_options` makes them.

    Attributes
    ----------
    stride, dilation : (int, int)
    padding : ((top, bottom), (left, right)) or "same"
    groups : int
    algorithm, precision : str
        Of `ALGORITHMS` and `PRECISIONS`.
    workspace_limit : int or None
        Bytes.
    """

    stride: tuple[int, int] = (1, 1)
    padding: Padding = ((0, 0), (0, 0))
    dilation: tuple[int, int] = (1, 1)
    groups: int = 1
    algorithm: str = "auto"
    workspace_limit: int | None = None
    precision: str = "standard"

    def geometry(self, operation: str, x: tuple, weight: tuple) -> Conv2DGeometry:
        """Return every size of the convolution of shapes (N, C, H, W) and (K, C/groups, R, S).

        Raises
        ------
        ShapeError
            Naming `operation`, if the shapes do not fit each other or the options.
        """
        return Conv2DGeometry.make(
            operation, x, weight, self.stride, self.padding, self.dilation, self.groups
        )

    def check_named(self, operation: str, kernel: tuple[int, int]) -> None:
        """Raise ArgumentError, naming `operation`, if kernels of R x S cannot take `algorithm`."""
        if self.algorithm != "winograd":
            return
        if not may_filter_minimally(kernel, self.stride, self.dilation, self.groups):
            raise ArgumentError(
                operation,
                "algorithm",
                "must not be 'winograd' but for a 3x3 or 5x5 kernel with stride, dilation and "
                "groups of 1",
                self.algorithm,
                "use 'auto'",
                shown=f"{kernel[0]}x{kernel[1]}, {self.stride}, {self.dilation} and {self.groups}",
            )
        if self.precision == "strict":
            raise ArgumentError(
                operation,
                "algorithm",
                "must not be 'winograd' where precision is 'strict', for it rounds otherwise",
                self.algorithm,
                "use precision 'standard' or 'fast'",
            )


def as_options(
    operation: str,
    stride: Any,
    padding: Any,
    dilation: Any,
    groups: Any,
    algorithm: Any,
    workspace_limit: Any,
    precision: Any,
) -> ConvOptions:
    """Return the options that a user gave, checked once for each set of them.

    The last thousand sets are remembered, so that a call that is made again checks nothing again.

    Raises
    ------
    ArgumentError, ArgumentTypeError
        Naming `operation`, the parameter, the rule and the value.

    Examples
    --------
    >>> options = as_options("conv2d", 2, "valid", 1, 1, "auto", "1 KiB", "strict")
    >>> options.stride, options.padding, options.workspace_limit
    ((2, 2), ((0, 0), (0, 0)), 1024)
    """
    # Numbers and words are looked up by value and type.  Pairs are checked first, for a pair with
    # True in it would be found as one with 1.
    if type(stride) is not int:
        stride = as_pair(operation, "stride", stride, 1)
    if type(padding) is not int and type(padding) is not str:
        padding = as_padding(operation, padding)
    if type(dilation) is not int:
        dilation = as_pair(operation, "dilation", dilation, 1)
    given = stride, padding, dilation, groups, algorithm, workspace_limit, precision
    try:
        return _remembered(operation, *given)
    except TypeError as error:
        if isinstance(error, ArgumentTypeError):
            raise
        # something cannot be looked up: say what is wrong with it
        return _remembered.__wrapped__(operation, *given)


@lru_cache(maxsize=1024, typed=True)
def _remembered(operation: str, *given: Any) -> ConvOptions:
    stride, padding, dilation, groups, algorithm, workspace_limit, precision = given
    return ConvOptions(
        as_pair(operation, "stride", stride, 1),
        as_padding(operation, padding),
        as_pair(operation, "dilation", dilation, 1),
        as_int(operation, "groups", groups, 1),
        as_choice(operation, "algorithm", algorithm, ALGORITHMS),
        parse_bytes(operation, "workspace_limit", workspace_limit),
        as_choice(operation, "precision", precision, PRECISIONS),
    )
