"""The table of engines: which compiled loop a convolution runs in, when it may, and why.

An engine is a walk over a convolution by one kernel.  They are asked in the order of the table, and
the first that may is taken.  All engines of a direction give the same bits, but for the gradient of
the weights quads and bands, which are chosen by geometry and target alone.

::

    here                what decides over memory: `few` and `folds` say how weights are read, so the
      |                 cost model, which states bytes, and packing ask them
    the kernels'        what decides over speed alone: each engine looks at the geometry, the target
    engines.pxi         and how the arrays lie in memory; a name there is a name here

`functional.asking.engine_of` says which one a convolution would run in.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from fastconv.geometry import SUM_LENGTH, Conv2DGeometry

__all__ = ["FORWARD", "INPUT", "TABLE", "WEIGHT", "Engine", "few", "folds"]


class Engine(NamedTuple):
    """A row of the table.

    Attributes
    ----------
    name : str
    reads : str
        How weights lie, ``"plain"`` or in ``"panels"``; for the gradient of the weights whether it
        goes through partial ``"sums"`` or ``"none"``.
    when : str
        When it may be taken.
    kernel : str
        Its file in fastconv/kernels/convolution/.
    why : str
        What it gains, measured where a number is given: docs/performance.md.
    """

    name: str
    reads: str
    when: str
    kernel: str
    why: str


FORWARD = (
    Engine(
        "lines",
        "plain",
        "several channels a group, and no stride in a row",
        "forward/lines.pxi",
        "pixels fill the lanes, of which so few filters would leave most empty",
    ),
    Engine(
        "quads",
        "plain",
        "one channel a group, 3x3 of stride 2 or, for the gradient of the input, 1; rows of three "
        "vectors and more; AVX2",
        "depthwise/depth_quads.pxi",
        "rows are read from beginning to end, and four sums do not wait for each other: 0.87 to "
        "0.95 of the time of columns",
    ),
    Engine(
        "columns",
        "plain",
        "one channel a group, 3x3 or 5x5 of stride 1 or 2, no registers of masks",
        "depthwise/depth_columns.pxi",
        "loads that give zeros beyond the sides, where a mask costs three operations: 0.67 of the "
        "time",
    ),
    Engine(
        "bands",
        "plain",
        "one channel a group, any window of up to 1024 taps but those of columns and windows, "
        "stride 1 or 2 in a row; vector targets",
        "depthwise/depth_bands.pxi",
        "zeros around a band, laid out once, in place of a mask for each tap, and two rows of "
        "outputs share its rows: 7x7 takes 0.05 to 0.1 of the time of planes",
    ),
    Engine(
        "windows",
        "plain",
        "one channel a group, 3x3 or 5x5 of stride 1 or 2",
        "depthwise/depthwise.pxi",
        "the weights stay in registers, and a row is loaded once for all outputs that see it",
    ),
    Engine(
        "planes",
        "plain",
        "always",
        "depthwise/planes.pxi",
        "any strides, any window, any layout, also for weights that are not finite",
    ),
    Engine(
        "points",
        "panels",
        "1x1 unpadded, 64 pixels and more, unless few filters read them in place; vector targets "
        "of 16 registers, or of 64 bytes where more than 64 channels are 1,280 bytes apart",
        "forward/points.pxi",
        "channels lie a page or more apart: side by side they take 0.63 to 0.89 of the time",
    ),
    Engine(
        "strips",
        "panels",
        "sums of up to 128 products, 1x1 in place or up to 4 channels, stride 1 or 2, no dilation",
        "forward/strips.pxi",
        "storing so short a sum costs as much as making it: whole vectors go straight to y, in "
        "0.5 to 0.8 of the time; 1x1, on vectors of 64 bytes for the gradient of the input too, "
        "asks for the lines of its results",
    ),
    Engine(
        "flat",
        "panels",
        "rows that do not fill tiles, strides, 1x1 of small maps; no dilation; targets of 16 "
        "registers",
        "forward/flat.pxi",
        "tiles of pixels from anywhere in a strip are full: 512, 7x7 takes 0.86 of the time",
    ),
    Engine(
        "rows",
        "panels",
        "rows that fill tiles, of which two outputs at an end may miss a tap, on targets of 64 "
        "bytes five",
        "forward/rows.pxi",
        "columns at the edge need no tiles of their own, which took 5 to 15 % of these layers",
    ),
    Engine(
        "rectangles",
        "panels",
        "always",
        "convolution.pxi",
        "outputs that see the same taps are done at once, so no padding is multiplied",
    ),
)

INPUT = (
    Engine(
        "folded",
        "plain",
        "channels for at most half of the lanes, several filters and taps",
        "input_gradient/folded.pxi",
        "im2col's product folded in the cache has taps in the tile, so no lane is empty",
    ),
    Engine(
        "pixel panels",
        "plain",
        "stride 1, or 1x1 of any, and few pixels under many weights, on targets of 16 registers or "
        "of 64 bytes",
        "input_gradient/pixel_panels.pxi",
        "packing took half of the time: 512, 7x7 takes 0.5 to 0.6 with panels turned where they "
        "are used",
    ),
    Engine(
        "spread",
        "plain",
        "one filter a group, 3x3 or 5x5 of stride 2",
        "depthwise/spread.pxi",
        "every element is written once, in whole vectors, and not phase by phase",
    ),
    Engine(
        "pixel strips",
        "panels",
        "stride 1, or 1x1 of any stride that points may not do; at least 48 filters, rows that do "
        "not fill tiles, many filters, or planes that share sets of the cache, on targets of 16 "
        "registers",
        "input_gradient/pixel_strips.pxi",
        "dy by pixels gives full tiles and whole lines of the L1: 0.7 to 0.8 of the time",
    ),
    Engine(
        "whole rows",
        "panels",
        "strides 1 and 2, rows that fill tiles, not 1x1 of stride 1",
        "input_gradient/input_gradient.pxi",
        "edges need no tiles of their own, phases are stored together: 0.82 to 0.95 of the time",
    ),
)

WEIGHT = (
    Engine(
        "quads",
        "none",
        "3x3 of stride 1 or 2, but where rows of float32 fit a vector; AVX2",
        "depthwise/quads_gradient.pxi",
        "x and dy are multiplied where they lie, with nine sums in registers: 0.5 to 0.6 of the "
        "time of bands, 0.9 on maps of 14x14",
    ),
    Engine(
        "bands",
        "none",
        "4 to 1024 taps whose maps fit a band, vector targets; those of 64 bytes "
        "not 3x3, and AVX2 not what quads do",
        "depthwise/bands_gradient.pxi",
        "a plane is one run without edges, and 9 taps share a vector of dy: 0.33 to 0.6 of the "
        "time for 5x5, 0.12 to 0.26 for 7x7",
    ),
    Engine(
        "windows",
        "none",
        "3x3 and 5x5 of stride 1 or 2, where bands may not and for maps that fit a vector",
        "depthwise/planes_gradient.pxi",
        "the sums of all taps are in registers",
    ),
    Engine(
        "planes",
        "none",
        "always",
        "depthwise/planes_gradient.pxi",
        "any strides, any window, any layout: a tap at a time",
    ),
    Engine(
        "points",
        "sums",
        "1x1 without padding, whose channels fill as many lanes as its filters",
        "weight_gradient/points_gradient.pxi",
        "sums are added where they belong and dy is not turned: 0.7 to 0.9 of the time",
    ),
    Engine(
        "taps",
        "sums",
        "up to 4 channels and several taps, panels enough for all threads; targets of 16 registers",
        "weight_gradient/taps_gradient.pxi",
        "few channels are few rows of a tile, and their taps are many: 0.76 of the time",
    ),
    Engine(
        "columns",
        "sums",
        "up to 4 channels and several taps, where `taps` may not and no tile is half full",
        "weight_gradient/columns_gradient.pxi",
        "taps fill the lanes where a tile has no registers for their places",
    ),
    Engine(
        "tile",
        "sums",
        "always",
        "weight_gradient/gradient.pxi",
        "filters fill the lanes, and a chunk of dy is turned once for all channels and taps",
    ),
)

#: By direction.  What no row of the gradient of the input may do is a forward pass of dy for each
#: phase of the stride, by the rows of the forward pass that read the same weights.
TABLE = {"forward": FORWARD, "input": INPUT + FORWARD, "weight": WEIGHT}


def few(channels: int, lanes: int) -> bool:
    """Return whether a group has so few output channels that pixels fill the lanes instead.

    Then weights are read as they lie, and the gradient of the weights has no partial sums.
    """
    return 4 * channels <= lanes


def folds(g: Conv2DGeometry, on: Any) -> bool:
    """Return whether the gradient of the input is ``folded``: then no weights are packed.

    It wins where input channels would leave half of the lanes empty, but for the short sums of
    just a vector of them, which take whole rows.  `on`, the kernels or a target, says how many
    `lanes` there are, and what fits the stack: `folded_taps`, `folded_width`.
    """
    channels, filters = g.C // g.groups, g.K // g.groups
    length = filters * g.R * g.S / (g.stride[0] * g.stride[1])  # products of an input
    rows = 8 * channels > 3 * on.lanes and length <= SUM_LENGTH and max(g.stride) <= 2
    return (
        2 * channels <= on.lanes
        and not rows
        and g.K > g.groups
        and 1 < g.R * g.S <= on.folded_taps
        and g.W <= on.folded_width
        and g.OH * g.OW >= on.lanes
    )
