"""Settings and inputs that broke others, and the error of each; nothing is allocated."""

from __future__ import annotations

import math

import numpy as np
import pytest

import fastconv
from fastconv.errors import ArgumentError, ArgumentTypeError, ConfigError, ShapeError
from fastconv.layers import Spec

HUGE = 10**40
CONV = {"filters": 4, "kernel_size": 3}


@pytest.mark.parametrize(
    ("layer", "settings"),
    [
        *(("Conv2D", CONV | {"filters": v}) for v in (0, -1, 10**15, HUGE)),
        *(("Conv2D", CONV | {"kernel_size": v}) for v in (0, -1, (0, 3), 2**62, (), (1, 1, 1))),
        *(("Conv2D", CONV | {"stride": v}) for v in (0, (0, 1), -1, [], (1, 1, 1), HUGE)),
        *(("Conv2D", CONV | {"dilation": v}) for v in (0, -1, (1,))),
        *(
            ("Conv2D", CONV | {"padding": v})
            for v in (-1, [], 2**62, "Same", "full", ((1, 1), (1, -1)), ((1, 1), (1,)))
        ),
        *(("Conv2D", CONV | {"groups": v}) for v in (0, -1, 3)),
        *(("Conv2D", CONV | {"activation": v}) for v in ("Relu", "glu", "", "softmax", "linear")),
        *(("Conv2D", CONV | {"algorithm": v}) for v in ("Direct", "fft", "")),
        *(("Conv2D", CONV | {"precision": v}) for v in ("float16", "")),
        *(("Conv2D", CONV | {"initializer": v}) for v in ("He", "os.system", ["he"], ["he", 3])),
        *(("Conv1D", CONV | {"kernel_size": v}) for v in (0, -1, 2**62)),
        *(("Conv1D", CONV | {"stride": v}) for v in (0, HUGE)),
        *(("Conv1D", CONV | {"padding": v}) for v in (-1, (1,), (1, 2, 3), "Same", (0, -1))),
        *(("Conv1D", CONV | {"groups": v}) for v in (0, 3)),
        *(("MaxPool1D", {"pool_size": v}) for v in (0, -1)),
        *(("AvgPool1D", {"pool_size": 2, "stride": v}) for v in (0, -1)),
        *(("Conv2DTranspose", CONV | {"filters": v}) for v in (0, -1, HUGE)),
        *(("Conv2DTranspose", CONV | {"groups": v}) for v in (0, 3)),
        *(("Conv2DTranspose", CONV | {"output_padding": v}) for v in (-1, 1, (0, 1), (1, 1, 1))),
        *(
            ("Conv2DTranspose", CONV | {"stride": 2, "padding": "same", "output_padding": v})
            for v in (1, 2)
        ),
        *(("DepthwiseConv2D", {"kernel_size": 3, "multiplier": v}) for v in (0, -1, HUGE)),
        *(("DepthwiseConv2D", {"kernel_size": v}) for v in (0, (1, 2, 3))),
        *(("Reshape", {"shape": v}) for v in ((), (0,), (-1, -1), (2, -2), (HUGE,))),
        *(("Unfold", {"kernel_size": v}) for v in (0, -1, (1, 2, 3))),
        *(("Fold", {"kernel_size": 2, "output_size": v}) for v in (0, -1, (1, 2, 3))),
        *(("UpSampling2D", {"scale": v}) for v in (0, -1, 513, (1, 0), (1, 2, 3))),
        *(("UpSampling2D", {"scale": 2, "mode": v}) for v in ("Nearest", "cubic", "")),
        *(("ZeroPadding2D", {"padding": v}) for v in (-1, "same", "valid", (1, -1), 2**62)),
        *(("Dense", {"units": v}) for v in (0, -1, 10**15, HUGE)),
        *(("MaxPool2D", {"pool_size": v}) for v in (0, -1, (2, 0), (), 1250999896764)),
        *(("MaxPool2D", {"pool_size": 2, "stride": v}) for v in (0, (0, 1), -1)),
        *(("MaxPool2D", {"pool_size": 2, "dilation": v}) for v in (0, -1, 1250999896764)),
        *(("AvgPool2D", {"pool_size": v}) for v in (0, -1, 2**62)),
        *(("AvgPool2D", {"pool_size": 2, "padding": v}) for v in (-1, [])),
        *(("Dropout", {"rate": v}) for v in (-0.1, 1, 1.5, math.nan, math.inf, HUGE, 10**400)),
        *(("Dropout", {"rate": v}) for v in (1 - 1e-9, 1e-60)),
        *(("BatchNorm", {"momentum": v}) for v in (-0.1, 1, math.nan)),
        *(("BatchNorm", {"epsilon": v}) for v in (0, -1, math.nan, math.inf)),
        *(("Embedding", {"entries": v, "units": 2}) for v in (0, -1, HUGE)),
        *(("Embedding", {"entries": 9, "units": v}) for v in (0, -1, HUGE)),
        *(("Softmax", {"axis": v}) for v in (0, HUGE, -HUGE)),
        *(("GroupNorm", {"groups": v}) for v in (0, -1, HUGE)),
        *(("GroupNorm", {"groups": 2, "epsilon": v}) for v in (0, 1, -1, math.nan)),
        *(("LayerNorm", {"axes": v}) for v in (0, [], [0], [1, 1], HUGE)),
        *(("LayerNorm", {"epsilon": v}) for v in (0, 1, -1, math.nan)),
        *(("LocalResponseNorm", {"size": v}) for v in (0, -1, 1025, HUGE)),
        *(("LocalResponseNorm", {"size": 5, "alpha": v}) for v in (-1e-4, math.nan, math.inf)),
        *(("LocalResponseNorm", {"size": 5, "beta": v}) for v in (-0.75, math.nan, 10**400)),
        *(("LocalResponseNorm", {"size": 5, "k": v}) for v in (0, -1, math.nan)),
        *(("Concatenate", {"axis": v}) for v in (0, -1, HUGE)),
        *(
            ("LeakyReLU", {"negative_slope": v})
            for v in (-0.1, math.nan, math.inf, HUGE**10, 1e-60)
        ),
        *(("ELU", {"alpha": v}) for v in (-1, math.nan, math.inf, 1e-60)),
        *(("HardSigmoid", {"alpha": v}) for v in (math.nan, -math.inf, 1e-60)),
        *(("HardSigmoid", {"beta": v}) for v in (math.nan, math.inf)),
        *(("GELU", {"approximate": v}) for v in ("Tanh", "", "sigmoid")),
        *(("Rescaling", {"scale": v}) for v in (math.nan, math.inf, 1e-60, [], [[1.0]], HUGE**10)),
        *(("Rescaling", {"scale": 1.0, "offset": v}) for v in (math.nan, [1.0, math.inf])),
        ("Rescaling", {"scale": [1.0, 2.0], "offset": [1.0, 2.0, 3.0]}),
    ],
    ids=repr,
)
def test_wrong_values_are_value_errors(layer, settings):
    with pytest.raises(ArgumentError) as caught:
        fastconv.create_layer(layer, **settings)
    check_text(layer, settings, str(caught.value))


@pytest.mark.parametrize(
    ("layer", "settings"),
    [
        *(("Conv2D", CONV | {"stride": v}) for v in (1.5, True, "2", None, (1, 1.0), np.ones(1))),
        *(("Conv2D", CONV | {"kernel_size": v}) for v in (1e30, None, "3", (True, 3))),
        *(("Conv2D", CONV | {"filters": v}) for v in (1e30, 4.0, True, None, "4", [4])),
        *(("Conv2D", CONV | {"padding": v}) for v in (1.5, None, True)),
        *(("Conv2D", CONV | {"groups": v}) for v in (1.0, True, None)),
        *(("Conv2D", CONV | {"bias": v}) for v in (1, 0, None, "yes")),
        *(("Conv2D", CONV | {"activation": v}) for v in (1, ["relu"], True)),
        *(("Conv2D", CONV | {"algorithm": v}) for v in (None, 1)),
        *(("Conv2D", CONV | {"initializer": v}) for v in (None, 0.01, {"he": 1})),
        *(("Conv1D", CONV | {"kernel_size": v}) for v in ((3,), (1, 3), None, 3.0, "3")),
        *(("Conv1D", CONV | {"padding": v}) for v in (1.5, None, ((0, 0), (1, 1)))),
        *(("MaxPool1D", {"pool_size": v}) for v in ((2, 2), None, 2.0)),
        *(("Conv2DTranspose", CONV | {"output_padding": v}) for v in (0.5, True, None, "1")),
        *(("DepthwiseConv2D", {"kernel_size": 3, "multiplier": v}) for v in (1.0, None, "2")),
        *(("Reshape", {"shape": v}) for v in (3, None, "3", (1.0,), (None, 3))),
        *(("Unfold", {"kernel_size": 2, "stride": v}) for v in (None, 1.5)),
        *(("Fold", {"kernel_size": 2, "output_size": v}) for v in (None, 4.0)),
        *(("UpSampling2D", {"scale": v}) for v in (2.0, None, "2", True)),
        *(("UpSampling2D", {"scale": 2, "mode": v}) for v in (None, 1)),
        *(("ZeroPadding2D", {"padding": v}) for v in (1.5, None, True)),
        *(("Dense", {"units": v}) for v in (1.5, "10", None)),
        *(("MaxPool2D", {"pool_size": v}) for v in (2.0, None, "2")),
        *(("MaxPool2D", {"pool_size": 2, "ceil_mode": v}) for v in (1, None)),
        *(("AvgPool2D", {"pool_size": 2, "count_include_pad": v}) for v in (1, None)),
        *(("Dropout", {"rate": v}) for v in (None, "0.5", True, [0.5], 1j)),
        *(("BatchNorm", {"momentum": v}) for v in (None, "0.9", True)),
        *(("Embedding", {"entries": 9, "units": v}) for v in (2.0, None, "2", True)),
        *(("Softmax", {"axis": v}) for v in (1.0, None, "1", True)),
        *(("GroupNorm", {"groups": v}) for v in (2.0, None, "2", True)),
        *(("LayerNorm", {"axes": v}) for v in (1.0, None, "1", [1.0], [None], True)),
        *(("LayerNorm", {"epsilon": v}) for v in (None, "1e-5")),
        *(("LocalResponseNorm", {"size": v}) for v in (5.0, None, True, (5,))),
        *(("LocalResponseNorm", {"size": 5, "beta": v}) for v in (None, "0.75", True)),
        *(("Concatenate", {"axis": v}) for v in (1.0, None)),
        *(("LeakyReLU", {"negative_slope": v}) for v in (None, "0.1", True, [0.1])),
        *(("ELU", {"alpha": v}) for v in (None, "1", False)),
        *(("GELU", {"approximate": v}) for v in (None, 1, True)),
        *(("Rescaling", {"scale": v}) for v in (None, "1", True, ["a"], 1j)),
    ],
    ids=repr,
)
def test_wrong_types_are_type_errors(layer, settings):
    with pytest.raises(ArgumentTypeError) as caught:
        fastconv.create_layer(layer, **settings)
    check_text(layer, settings, str(caught.value))


def check_text(layer, settings, text):
    """The class, the setting that is wrong (the last one written), a value that stays short."""
    setting = list(settings)[-1]
    changed = [key for key in settings if settings[key] is not CONV.get(key)]
    assert text.startswith(f"{layer}: "), text
    assert any(key in text for key in [setting, *changed]), text
    assert ", got " in text and len(text) < 300, text


def test_numpy_s_integers_are_right():
    layer = fastconv.create_layer("Conv2D", filters=np.int8(2), kernel_size=np.uint16(3))
    assert layer.to_config()["kernel_size"] == 3


@pytest.mark.parametrize(
    ("layer", "settings", "shapes", "text"),
    [
        ("Conv2D", CONV, [(1, 2, 2)], "the padded input must be at .* the window, 3x3, got 2x2"),
        ("Conv2D", CONV | {"kernel_size": (65536, 65536)}, [(1, 8, 8)], "65536x65536.*8x8"),
        ("Conv2D", CONV, [(28, 28)], r"must have shape \(C, H, W\).*\(1, 28, 28\)"),
        ("Conv2D", CONV, [(28, 28, 1)], r"\(1, 28, 28\); the channels .*transpose\(0, 3, 1, 2\)"),
        ("Conv2D", CONV | {"groups": 2}, [(3, 8, 8)], r"groups must divide the channels .*= 3"),
        ("Conv2D", CONV, [(9, 1, 8, 8)], r"got \(9, 1, 8, 8\); leave the batch out: \(1, 8, 8\)"),
        ("Conv2D", CONV, [(10,)], r"must have shape \(C, H, W\) beside the batch, got \(10,\)"),
        ("MaxPool2D", {"pool_size": 9}, [(1, 8, 8)], "window, 9x9, got 8x8"),
        ("MaxPool2D", {"pool_size": 2}, [(10,)], r"must have shape \(C, H, W\)"),
        ("AvgPool2D", {"pool_size": 2}, [(8, 8)], r"reshape it to \(1, 8, 8\)"),
        ("GlobalAvgPool2D", {}, [(10,)], r"must have shape \(C, H, W\)"),
        ("Softmax", {"axis": 2}, [(3,)], "axis must be from 1 to 1, or from -1 to -1, got 2"),
        ("Softmax", {"axis": -3}, [(3, 4)], "axis must be from 1 to 2, or from -2 to -1"),
        (
            "GroupNorm",
            {"groups": 4},
            [(6, 2, 2)],
            r"groups must divide the channels .*= 6\), got 4",
        ),
        ("LayerNorm", {"axes": 3}, [(6, 2)], "axes must be from 1 to 2, or from -2 to -1, got 3"),
        ("LayerNorm", {"axes": [1, 3]}, [(6, 2, 2)], "axes must follow each other"),
        ("Dense", {"units": 3}, [(2, 4, 4)], "put a Flatten or GlobalAvgPool2D before it"),
        ("Add", {}, [(3,), (4,)], r"one shape, got \(3,\) and \(4,\); nothing is broadcast"),
        ("Multiply", {}, [(3, 1, 1), (3, 4, 4)], "nothing is broadcast"),
        ("Concatenate", {}, [(3, 4, 4), (3, 5, 4)], r"agree on all axes but 1, got \(3, 4, 4\)"),
        ("Concatenate", {}, [(3, 4, 4), (48,)], r"agree on all axes but 1"),
        ("Concatenate", {"axis": 2}, [(3,), (3,)], "axis must be at most 1 for shape"),
    ],
)
def test_shapes_that_do_not_fit_are_found_without_data(layer, settings, shapes, text):
    made = fastconv.create_layer(layer, **settings)
    with pytest.raises(ShapeError, match=text) as caught:
        made.infer(*(Spec(shape) for shape in shapes))
    assert str(caught.value).startswith(f"{layer}: ")


@pytest.mark.parametrize("layer", ["Add", "Multiply", "Concatenate"])
def test_branches_of_two_dtypes_are_refused(layer):
    with pytest.raises(ShapeError, match=f"{layer}: inputs must have one dtype"):
        fastconv.create_layer(layer).infer(Spec((3,)), Spec((3,), "float64"))


@pytest.mark.parametrize("config", [{"": 1}, {"__class__": 1}, {"self": 1}, {"x" * 1000: 1}])
def test_unknown_settings_are_config_errors(config):
    with pytest.raises(ConfigError, match="Dense: .* is unknown") as caught:
        fastconv.create_layer("Dense", units=3, **config)
    assert len(str(caught.value)) < 300


def test_a_kernel_as_large_as_the_input_gives_one_pixel():
    layer = fastconv.create_layer("Conv2D", filters=1, kernel_size=8)
    assert layer.infer(Spec((1, 8, 8))).shape == (1, 1, 1)
    pool = fastconv.create_layer("MaxPool2D", pool_size=1, dilation=2**31 - 1)
    assert pool.infer(Spec((1, 8, 8))).shape == (1, 8, 8)


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("Conv2D", CONV | {"stride": 2}),
        ("Conv2D", CONV | {"groups": 2}),
        ("Conv2D", CONV | {"kernel_size": 4}),
        ("Conv2D", CONV | {"precision": "strict"}),
        ("Conv2DTranspose", CONV | {"stride": 2}),
        ("DepthwiseConv2D", {"kernel_size": 3}),
        ("Conv1D", CONV),
    ],
)
def test_an_algorithm_that_cannot_compute_a_layer_is_refused_when_it_is_made(name, settings):
    """Plans and limits met it as a KeyError, or promised what could not run."""
    shape = (4, 8) if name == "Conv1D" else (4, 8, 8)
    layers = [("ReLU", {}), (name, settings | {"algorithm": "winograd"})]
    with pytest.raises(
        ConfigError, match=rf"layers\[1\]: {name}: algorithm must not be 'winograd'"
    ):
        fastconv.Sequential(layers, input_shape=shape)
