"""One table of every registered layer: what `check_layer` asserts holds for each case."""

from __future__ import annotations

import json

import numpy as np
import pytest

import fastconv
from fastconv import memory, registry
from fastconv.layers import Context, Spec
from fastconv.testing import check_layer

CASES = [
    ("Add", {}, [(2, 3), (2, 3)]),
    ("Add", {}, [(2, 3, 2, 2)] * 3),
    ("AvgPool1D", {"pool_size": 2}, [(2, 3, 6)]),
    (
        "AvgPool1D",
        {"pool_size": 3, "stride": 2, "padding": (1, 2), "count_include_pad": True},
        [(2, 3, 7)],
    ),
    ("AvgPool1D", {"pool_size": 3, "stride": 2, "padding": "same"}, [(2, 2, 6)]),
    ("AvgPool2D", {"pool_size": 2}, [(2, 3, 4, 4)]),
    ("AvgPool2D", {"pool_size": 3, "stride": 2, "padding": 1, "ceil_mode": True}, [(2, 3, 6, 5)]),
    (
        "AvgPool2D",
        {"pool_size": (2, 3), "stride": 1, "padding": "same", "count_include_pad": True},
        [(2, 3, 4, 5)],
    ),
    ("BatchNorm", {}, [(4, 3, 3, 2)]),
    ("BatchNorm", {}, [(4, 3, 5)]),
    ("BatchNorm", {"momentum": 0.5, "epsilon": 0.1}, [(5, 3)]),
    ("Concatenate", {}, [(2, 3, 2, 2), (2, 1, 2, 2), (2, 2, 2, 2)]),
    ("Concatenate", {"axis": 3}, [(2, 3, 2, 2), (2, 3, 2, 1)]),
    ("Conv1D", {"filters": 4, "kernel_size": 3}, [(2, 3, 7)]),
    (
        "Conv1D",
        {
            "filters": 6,
            "kernel_size": 3,
            "stride": 2,
            "padding": (1, 2),
            "dilation": 2,
            "groups": 3,
            "activation": "relu",
        },
        [(2, 6, 9)],
    ),
    (
        "Conv1D",
        {
            "filters": 17,
            "kernel_size": 4,
            "padding": "same",
            "bias": False,
            "algorithm": "im2col",
            "precision": "strict",
        },
        [(2, 5, 8)],
    ),
    ("Conv2D", {"filters": 4, "kernel_size": 3}, [(2, 3, 5, 5)]),
    ("Conv2D", {"filters": 1, "kernel_size": 1}, [(2, 3, 3, 3)]),
    (
        "Conv2D",
        {
            "filters": 4,
            "kernel_size": (3, 2),
            "stride": (2, 1),
            "padding": "same",
            "activation": "relu",
        },
        [(2, 3, 6, 5)],
    ),
    (
        "Conv2D",
        {
            "filters": 6,
            "kernel_size": 3,
            "padding": ((1, 0), (2, 1)),
            "dilation": (2, 1),
            "groups": 3,
            "bias": False,
        },
        [(2, 3, 6, 5)],
    ),
    (
        "Conv2D",
        {
            "filters": 4,
            "kernel_size": 3,
            "groups": 4,
            "algorithm": "im2col",
            "precision": "strict",
            "initializer": ["gaussian", {"std": 0.3}],
        },
        [(2, 4, 5, 5)],
    ),
    (
        "Conv2D",
        {"filters": 17, "kernel_size": 2, "algorithm": "direct", "initializer": "xavier"},
        [(3, 5, 4, 4)],
    ),
    ("Conv2DTranspose", {"filters": 4, "kernel_size": 3}, [(2, 3, 4, 5)]),
    ("Conv2DTranspose", {"filters": 3, "kernel_size": 1, "stride": 2}, [(2, 2, 3, 3)]),
    (
        "Conv2DTranspose",
        {
            "filters": 6,
            "kernel_size": (4, 3),
            "stride": (2, 3),
            "padding": ((1, 0), (1, 2)),
            "output_padding": (1, 2),
            "dilation": (1, 2),
            "groups": 3,
            "activation": "relu",
        },
        [(2, 6, 4, 5)],
    ),
    (
        "Conv2DTranspose",
        {
            "filters": 18,
            "kernel_size": 2,
            "stride": 3,
            "padding": "same",
            "bias": False,
            "algorithm": "im2col",
            "precision": "strict",
        },
        [(2, 5, 3, 4)],
    ),
    (
        "Conv2DTranspose",
        {"filters": 16, "kernel_size": 3, "padding": 1, "activation": "relu", "bias": False},
        [(1, 17, 8, 8)],
    ),
    ("Dense", {"units": 4}, [(3, 5)]),
    ("Dense", {"units": 1, "bias": False}, [(1, 1)]),
    ("Dense", {"units": 18, "activation": "relu"}, [(7, 9)]),
    ("DepthwiseConv2D", {"kernel_size": 3}, [(2, 4, 5, 5)]),
    (
        "DepthwiseConv2D",
        {
            "kernel_size": (3, 5),
            "multiplier": 3,
            "stride": 2,
            "padding": "same",
            "bias": False,
            "activation": "relu",
        },
        [(2, 3, 6, 7)],
    ),
    ("DepthwiseConv2D", {"kernel_size": 3, "multiplier": 8, "padding": 1}, [(2, 1, 6, 6)]),
    ("Dropout", {"rate": 0.4}, [(3, 4, 2, 2)]),
    ("Dropout", {"rate": 0}, [(3, 4)]),
    ("Flatten", {}, [(2, 3, 2, 2)]),
    ("Fold", {"output_size": 4, "kernel_size": 2, "stride": 2}, [(2, 12, 4)]),
    (
        "Fold",
        {
            "output_size": (5, 6),
            "kernel_size": (2, 3),
            "stride": (1, 2),
            "padding": ((1, 0), (2, 1)),
            "dilation": (2, 1),
        },
        [(2, 12, 16)],
    ),
    ("GlobalAvgPool2D", {}, [(2, 3, 4, 5)]),
    ("MaxPool1D", {"pool_size": 2}, [(2, 3, 7)]),
    (
        "MaxPool1D",
        {"pool_size": 3, "stride": 2, "padding": (1, 0), "dilation": 2, "ceil_mode": True},
        [(2, 3, 8)],
    ),
    ("MaxPool1D", {"pool_size": 2, "padding": "same"}, [(2, 3, 5)]),
    ("GroupNorm", {"groups": 2}, [(2, 4, 3, 3)]),
    ("GroupNorm", {"groups": 3, "epsilon": 0.1}, [(35, 6)]),
    ("GroupNorm", {"groups": 1}, [(2, 3, 5)]),
    ("LayerNorm", {}, [(3, 2, 3)]),
    ("LayerNorm", {"axes": -1, "epsilon": 0.1}, [(5, 7, 5)]),
    ("LayerNorm", {"axes": [1]}, [(2, 5, 6, 7)]),
    ("LayerNorm", {"axes": [2, 1]}, [(2, 3, 2, 5)]),
    ("LocalResponseNorm", {"size": 3}, [(2, 5, 4, 3)]),
    ("LocalResponseNorm", {"size": 4, "alpha": 2.0, "beta": 0.6, "k": 0.5}, [(2, 6, 3, 2)]),
    ("LocalResponseNorm", {"size": 9, "alpha": 1.0, "beta": 0.5}, [(3, 4)]),
    ("MaxPool2D", {"pool_size": 2}, [(2, 3, 4, 4)]),
    ("MaxPool2D", {"pool_size": 3, "stride": 2, "padding": 1, "ceil_mode": True}, [(2, 3, 6, 5)]),
    ("MaxPool2D", {"pool_size": 2, "stride": 1, "dilation": 2}, [(2, 3, 5, 4)]),
    ("MaxPool2D", {"pool_size": 17, "stride": 1, "padding": 8}, [(1, 1, 5, 5)]),
    ("GlobalMaxPool2D", {}, [(2, 3, 4, 5)]),
    ("GlobalMaxPool2D", {}, [(2, 2, 17, 16)]),
    ("Multiply", {}, [(2, 3), (2, 3)]),
    ("Multiply", {}, [(2, 3, 2, 2)] * 3),
    ("Reshape", {"shape": (3, 4)}, [(2, 12)]),
    ("Reshape", {"shape": (-1,)}, [(2, 3, 2, 2)]),
    ("Softmax", {}, [(2, 5)]),
    ("Softmax", {"axis": -1}, [(2, 5)]),
    ("Softmax", {"axis": 2}, [(2, 3, 4, 2)]),
    ("Softmax", {"axis": -1}, [(2, 3, 2, 5)]),
    ("Softmax", {}, [(2, 3, 2, 2)]),
    ("Unfold", {"kernel_size": 3}, [(2, 3, 5, 4)]),
    (
        "Unfold",
        {"kernel_size": (2, 3), "stride": (2, 1), "padding": "same", "dilation": (1, 2)},
        [(2, 3, 5, 6)],
    ),
    ("UpSampling2D", {"scale": 2}, [(2, 3, 4, 5)]),
    ("UpSampling2D", {"scale": (3, 1)}, [(2, 3, 2, 3)]),
    ("UpSampling2D", {"scale": 2, "mode": "bilinear"}, [(2, 3, 3, 9)]),
    ("UpSampling2D", {"scale": (4, 3), "mode": "bilinear"}, [(2, 2, 2, 3)]),
    ("ZeroPadding2D", {"padding": 2}, [(2, 3, 4, 5)]),
    ("ZeroPadding2D", {"padding": ((0, 1), (2, 0))}, [(2, 3, 4, 5)]),
    ("ZeroPadding2D", {"padding": 0}, [(2, 3, 4, 5)]),
]
OURS = [name for name in registry.layers if "." not in name]
# A layer without a case is tried with its own example, on a batch of two.
for name in sorted(set(OURS) - {name for name, _, _ in CASES}):
    cls = registry.layers.get(name)
    shapes = [(2, *shape) for shape in cls.example_shapes]
    CASES.append((name, dict(cls.example_config), shapes))
IDS = [f"{name}-{number}" for number, (name, _, _) in enumerate(CASES)]


@pytest.fixture(params=CASES, ids=IDS)
def case(request):
    return request.param


def specs_of(layer, shapes):
    return [Spec(shape[1:], layer.takes[0]) for shape in shapes]


def arrays(layer, shapes, rng):
    """Return normal random numbers, or 0 and 1 for a layer of integers."""
    dtype = layer.takes[0]
    if dtype == "float32":
        return [rng.standard_normal(shape).astype(dtype) for shape in shapes]
    return [rng.integers(0, 2, shape).astype(dtype) for shape in shapes]


def built(name, config, shapes, **more):
    layer = fastconv.create_layer(name, **config, **more)
    layer.ensure_built(0, *specs_of(layer, shapes))
    return layer


def test_the_table_has_every_layer():
    assert sorted({name for name, _, _ in CASES}) == OURS
    assert [name for name, _, shapes in CASES if not shapes] == [], "give it example_shapes"


def test_it_keeps_what_layers_promise(case):
    name, config, shapes = case
    check_layer(name, *shapes, **config)


def test_costs_are_stated_and_do_not_fall_with_the_batch(case):
    name, config, shapes = case
    layer = built(name, config, shapes)
    specs = specs_of(layer, shapes)
    for training in (False, True):
        before = None
        for batch in (0, 1, 3):
            costs = layer.costs(batch, *specs, training=training, workspace_limit=None)
            assert not costs.estimated
            figures = (costs.workspace, costs.packed, costs.saved, costs.multiply_adds)
            assert all(isinstance(figure, int) and figure >= 0 for figure in figures)
            assert before is None or all(a <= b for a, b in zip(before, figures, strict=True))
            before = figures


def test_what_is_saved_is_what_costs_say(case, rng):
    name, config, shapes = case
    layer = built(name, config, shapes)
    xs = arrays(layer, shapes, rng)
    ctx = Context(True, needs=[True] * len(xs), needs_params=frozenset(layer.parameters))
    y = layer.forward(ctx, *xs)
    costs = layer.costs(len(xs[0]), *specs_of(layer, shapes), training=True)
    saved = [thing for thing in ctx.saved if isinstance(thing, np.ndarray)]
    others = [a for a in saved if not any(np.shares_memory(a, b) for b in (*xs, y) if a.size)]
    assert sum(a.nbytes for a in others) == costs.saved
    kept = {
        "inputs": any(np.shares_memory(a, x) for a in saved for x in xs),
        "output": any(np.shares_memory(a, y) for a in saved),
    }
    assert {name for name, is_kept in kept.items() if is_kept} == set(costs.keeps)


def test_workspace_is_what_costs_say(case, rng):
    name, config, shapes = case
    layer = built(name, config, shapes)
    xs = arrays(layer, shapes, rng)
    specs = specs_of(layer, shapes)
    with memory.track() as used:
        layer.forward(Context(), *xs)
    assert used.workspace_peak == layer.costs(len(xs[0]), *specs).workspace
    with memory.track() as used:
        ctx = Context(True, needs=[True] * len(xs), needs_params=frozenset(layer.parameters))
        y = layer.forward(ctx, *xs)
        layer.backward(ctx, np.ones_like(y))
    costs = layer.costs(len(xs[0]), *specs, training=True)
    assert used.workspace_peak == max(costs.workspace, (costs.backward or costs).workspace)


def test_settings_with_every_default_are_plain_json(case):
    name, config, _ = case
    layer = fastconv.create_layer(name, **config)
    written = json.loads(json.dumps(layer.to_config()))
    assert written == layer.to_config()
    assert set(config) <= set(written)
    assert layer.registered_name == f"fastconv.{name}.v1"
    assert repr(fastconv.create_layer(name, **written)) == repr(layer)


def test_it_is_described(case):
    name, config, _ = case
    text = fastconv.describe_layer(name)
    assert f"fastconv.{name}.v1" in text and ">>>" not in text and "-> (" in text
    for setting in fastconv.create_layer(name, **config).to_config():
        assert f"  {setting} " in text


def test_the_number_and_rank_of_inputs_are_checked(case):
    name, config, shapes = case
    layer = fastconv.create_layer(name, **config)
    specs = specs_of(layer, shapes)
    wrong = [[], specs[:1]] if len(specs) > 1 else [[], specs * 2]
    for inputs in wrong:
        with pytest.raises(fastconv.errors.ShapeError, match=f"^{name}: inputs must be"):
            layer.infer(*inputs)
