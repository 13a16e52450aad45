"""The table of engines: which loop a layer runs in, and that the table says the truth about it."""

from __future__ import annotations

import ast
import csv
import re
from pathlib import Path

import numpy as np
import pytest

import fastconv
from fastconv import engines, kernels
from fastconv.functional import direct
from fastconv.functional.asking import engine_of
from fastconv.functional.packing import PackedWeight, few_filters
from fastconv.geometry import Conv2DGeometry

SOURCES = Path(kernels.__file__).parent
DTYPES = [np.dtype("float32"), np.dtype("float64")]
DIRECTIONS = {"forward": engines.FORWARD, "input": engines.INPUT, "weight": engines.WEIGHT}
#: Layers of known networks and unusual ones, and the engine that each direction takes, for vectors
#: of so many bytes and tiles of so many pixels: so a change of a rule, which no bit and no byte
#: shows, is seen.
with open(Path(__file__).with_name("engines.csv"), encoding="utf-8") as file:
    LAYERS = list(csv.DictReader(file))
HERE = [
    layer
    for layer in LAYERS
    for module in [kernels.module(np.dtype(layer["dtype"]))]
    if (layer["vector"], layer["tile"]) == (str(module.vector_bytes), str(module.tile_pixels))
]


def geometry(layer: dict[str, str]) -> Conv2DGeometry:
    n, c, h, w, k, r, s, stride, padding, dilation, groups = (
        ast.literal_eval(layer[name])
        for name in "N C H W K R S stride padding dilation groups".split()
    )
    return Conv2DGeometry.make(
        "conv2d", (n, c, h, w), (k, c // groups, r, s), stride, padding, dilation, groups
    )


@pytest.mark.parametrize("layer", HERE, ids=lambda layer: f"{layer['layer']}-{layer['dtype']}")
def test_every_layer_takes_the_engine_that_it_took(layer):
    g, dtype = geometry(layer), np.dtype(layer["dtype"])
    taken = {name: engine_of(g, dtype, name).name for name in DIRECTIONS}
    assert taken == {name: layer[name] for name in DIRECTIONS}


def test_every_engine_is_taken_by_some_layer():
    """An engine that no layer takes is dead, or its layer is missing here."""
    for direction, rows in DIRECTIONS.items():
        assert {row.name for row in rows} <= {layer[direction] for layer in LAYERS}


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_the_kernels_ask_in_the_order_of_the_table(dtype):
    module = kernels.module(dtype)
    compiled = module.forward_engines, module.input_engines, module.weight_engines
    for names, rows in zip(compiled, engines.TABLE.values(), strict=True):
        assert names == [row.name for row in rows]


def test_the_last_that_may_always_is_there_for_each_kind_of_weights():
    for rows in (engines.FORWARD, engines.WEIGHT):
        for reads in {row.reads for row in rows}:
            assert [row.when for row in rows if row.reads == reads][-1] == "always"


#: Engines that a number in the table bounds: direction, names, the number, and layers on both sides
#: of it, (C, H, W, K, R, S); a negative K counts panels, 0 is a depthwise layer.
LIMITS = {
    "products": ("forward", {"strips"}, 128, (128, 33, 33, -1, 1, 1), (129, 33, 33, -1, 1, 1)),
    "channels": ("forward", {"strips"}, 4, (4, 30, 30, -2, 3, 3), (5, 30, 30, -2, 3, 3)),
    "pixels": ("forward", {"points"}, 64, (200, 8, 8, -2, 1, 1), (200, 9, 7, -2, 1, 1)),
    "most taps": ("forward", {"bands"}, 1024, (32, 33, 40, 0, 32, 32), (32, 33, 40, 0, 32, 33)),
    "filters": ("input", {"pixel strips"}, 48, (64, 60, 9, 48, 3, 3), (64, 60, 9, 47, 3, 3)),
    "few channels": (
        "weight",
        {"taps", "columns"},
        4,
        (4, 30, 30, -2, 3, 3),
        (5, 30, 30, -2, 3, 3),
    ),
    "least taps": ("weight", {"bands"}, 4, (32, 30, 30, 0, 1, 4), (32, 30, 30, 0, 1, 3)),
    "most taps, gradient": (
        "weight",
        {"bands"},
        1024,
        (32, 33, 40, 0, 32, 32),
        (32, 33, 40, 0, 32, 33),
    ),
}


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("case", LIMITS)
def test_numbers_in_the_table_are_those_of_the_kernels(case, dtype):
    direction, names, number, *sides = LIMITS[case]
    module = kernels.module(dtype)
    rows = [row for row in DIRECTIONS[direction] if row.name in names]
    assert all(re.search(rf"\b{number}\b", row.when) for row in rows)
    taken = []
    for c, h, w, k, r, s in sides:
        filters = k if k > 0 else -k * module.lanes if k else c
        groups = 1 if k else c
        kernel, padding = (filters, c // groups, r, s), (r // 2, 0)
        g = Conv2DGeometry.make("conv2d", (1, c, h, w), kernel, 1, padding, 1, groups)
        taken.append(engine_of(g, dtype, direction).name in names)
    here = any(
        ("16 registers" not in row.when or module.tile_pixels < 12)
        and ("vector targets" not in row.when or module.lanes >= 4)
        and ("no registers of masks" not in row.when or 16 <= module.vector_bytes <= 32)
        for row in rows
    )
    assert taken == [here, False]


@pytest.mark.parametrize(
    "layer",
    [
        ((2, 3, 20, 22), (20, 3, 3, 3), {"padding": 1}),
        ((1, 40, 7, 7), (50, 40, 3, 3), {"padding": 1}),
        ((2, 16, 12, 12), (16, 1, 3, 3), {"padding": 1, "groups": 16}),
        ((2, 16, 12, 12), (16, 1, 3, 3), {"padding": 1, "stride": 2, "groups": 16}),
        ((1, 70, 20, 20), (90, 70, 1, 1), {}),
        ((1, 70, 20, 20), (90, 70, 1, 1), {"stride": 2}),
        ((1, 64, 20, 20), (2, 64, 3, 3), {"padding": 1}),
        ((1, 24, 30, 30), (40, 24, 5, 5), {"padding": 2}),
        ((1, 24, 30, 30), (40, 24, 3, 3), {"dilation": 2, "stride": 3}),
    ],
    ids=str,
)
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_what_is_asked_is_what_runs(layer, dtype, normal):
    shape, kernel, options = layer
    given = {"stride": 1, "padding": 0, "dilation": 1, "groups": 1} | options
    g = Conv2DGeometry.make("conv2d", shape, kernel, *given.values())
    x, weight = normal(shape, dtype), normal(kernel, dtype)
    y, dx, dweight = normal(g.output_shape, dtype), np.empty_like(x), np.empty_like(weight)
    packed = PackedWeight(weight, g.groups, few_filters(weight, g.groups))
    ran = {
        "forward": direct.direct_forward(g, x, packed, None, y, False),
        "input": direct.direct_input(g, y, weight, dx),
        "weight": direct.direct_weight(g, y, x, dweight),
    }
    for direction, place in ran.items():
        assert engines.TABLE[direction][place] == engine_of(g, dtype, direction)


def test_asking_runs_nothing(normal):
    g = Conv2DGeometry.make("conv2d", (1, 40, 9, 9), (50, 40, 3, 3), 1, 1, 1, 1)
    x, weight = normal((1, 40, 9, 9)), normal((50, 40, 3, 3))
    for ask, arrays in (
        (direct.direct_input, (normal(g.output_shape), weight, x)),
        (direct.direct_weight, (normal(g.output_shape), x, weight)),
    ):
        before = arrays[-1].copy()
        ask(g, *arrays, fastconv.threads.ask)
        assert np.array_equal(arrays[-1], before)


def test_how_arrays_lie_in_memory_decides_too(integers):
    """What may not for channels last leaves it to an engine that reads any layout."""
    g = Conv2DGeometry.make("conv2d", (1, 32, 20, 20), (32, 1, 3, 3), 1, 1, 1, 32)
    x, y = integers((1, 20, 20, 32)).transpose(0, 3, 1, 2), np.empty(g.output_shape, np.float32)
    packed = PackedWeight(integers((32, 1, 3, 3)), 32, plain=True)
    place = direct.direct_forward(g, x, packed, None, y, False)
    assert engines.FORWARD[place].name == "planes"
    assert engine_of(g, x.dtype).name != "planes"  # "strips" where a vector is one number


@pytest.mark.skipif(not (SOURCES / "convolution").is_dir(), reason="the sources are not installed")
def test_every_kernel_is_a_file_and_stands_in_the_pages():
    readme = (SOURCES / "README.md").read_text(encoding="utf-8")
    for rows in DIRECTIONS.values():
        for row in rows:
            assert (SOURCES / "convolution" / row.kernel).is_file()
        lines = [
            f"| {row.name} | {row.reads} | {row.when} | `{row.kernel}` | {row.why} |"
            for row in rows
        ]
        assert "\n".join(lines) in readme, "the table is to be:\n" + "\n".join(lines)
