"""Activations: their errors, their edges, and that gradients, layouts, threads and `out` are right.

An error is counted in units in the last place of the exact result, as in test_functions.py.
"""

from __future__ import annotations

import math
from decimal import Decimal, localcontext

import numpy as np
import pytest
from test_functions import decimal_erf, errors, every_thousandth

import fastconv
from fastconv import functional, reference
from fastconv.errors import ArgumentError, ArgumentTypeError, ShapeError
from fastconv.kernels import lanes
from fastconv.testing import assert_bits_equal

DTYPES = ["float32", "float64"]
INF, NAN = math.inf, math.nan
#: The largest error that the docstrings state, in units in the last place.
ULP = {
    "relu6": 0,
    "leaky_relu": 0.51,
    "elu": 2.2,
    "softplus": 2,
    "hard_swish": 2.5,
    "silu": 3.5,
    "gelu": 6,
}
#: How far slopes may be off, in units roundoff.
SLOPE = {"silu": 2, "gelu": 4, "hard_swish": 1.5}
#: Functions whose gradients follow from the output; those of others need the input.
BY_OUTPUT = ["relu6", "leaky_relu", "elu", "softplus", "hard_sigmoid", "sigmoid", "tanh"]
BY_INPUT = ["gelu", "hard_swish", "silu"]
#: Settings other than the defaults.
SETTINGS = {
    "leaky_relu": {"negative_slope": 0.3},
    "elu": {"alpha": 1.7},
    "hard_sigmoid": {"alpha": 0.2, "beta": 0.4},
    "gelu": {"approximate": "tanh"},
}
#: Results that are exact, whatever the dtype.
EDGES = {
    "relu6": [(0, 0), (-0.0, 0), (-INF, 0), (INF, 6), (6, 6), (7, 6), (5.5, 5.5), (1e-40, 1e-40)],
    "leaky_relu": [(0, 0), (-0.0, -0.0), (-INF, -INF), (INF, INF), (2, 2), (3e38, 3e38)],
    "elu": [(0, 0), (-0.0, -0.0), (-INF, -1), (INF, INF), (-200, -1), (5, 5), (-1e-30, -1e-30)],
    "softplus": [(-INF, 0), (INF, INF), (3e38, 3e38), (-800, 0), (100, 100)],
    "hard_sigmoid": [(-INF, 0), (INF, 1), (0, 0.5), (-0.0, 0.5), (-4, 0), (4, 1), (1.5, 0.75)],
    "hard_swish": [(-INF, -0.0), (INF, INF), (0, 0), (-0.0, -0.0), (-3, -0.0), (-9, -0.0), (7, 7)],
    "silu": [(-INF, -0.0), (INF, INF), (0, 0), (-0.0, -0.0), (-1000, -0.0), (60, 60), (3e38, 3e38)],
    "gelu": [(-INF, -0.0), (INF, INF), (0, 0), (-0.0, -0.0), (-40, -0.0), (10, 10), (3e38, 3e38)],
}
#: What dy is multiplied by, for inputs at edges.
SLOPES = {
    "relu6": [(-INF, 0), (-1, 0), (0, 0), (3, 1), (6, 0), (INF, 0), (NAN, 0)],
    "leaky_relu": [(-INF, 0.25), (-1, 0.25), (0, 0.25), (3, 1), (INF, 1), (NAN, 0.25)],
    "elu": [(-INF, 0), (0, 1), (3, 1), (INF, 1), (NAN, NAN)],
    "softplus": [(-INF, 0), (INF, 1), (1e30, 1), (NAN, NAN)],
    "hard_sigmoid": [(-INF, 0), (0, 0.25), (4, 0), (INF, 0), (NAN, 0)],
    "hard_swish": [(-INF, 0), (-4, 0), (-3, 0), (0, 0.5), (3, 1), (INF, 1), (NAN, NAN)],
    "silu": [(-INF, 0), (-1000, 0), (0, 0.5), (-0.0, 0.5), (60, 1), (INF, 1), (NAN, NAN)],
    "gelu": [(-INF, 0), (-40, 0), (0, 0.5), (-0.0, 0.5), (40, 1), (INF, 1), (NAN, NAN)],
}
AT_EDGES = {"leaky_relu": {"negative_slope": 0.25}, "hard_sigmoid": {"alpha": 0.25}}


def apply(name, x, **settings):
    return getattr(functional, name)(x, **settings)


def gradient(name, dy, x, module=functional, **settings):
    """Return dx for the input x."""
    kept = getattr(module, name)(x, **settings) if name in BY_OUTPUT else x
    return getattr(module, f"{name}_backward")(dy, kept.astype(x.dtype), **settings)


@pytest.fixture
def threads():
    yield fastconv.set_num_threads
    fastconv.set_num_threads(None)


@pytest.mark.parametrize("name", ULP)
def test_errors_in_float32(name):
    x = every_thousandth()
    settings = {"negative_slope": 0.25} if name == "leaky_relu" else {}
    y = apply(name, x, **settings)
    with np.errstate(all="ignore"):
        right = getattr(reference, name)(x.astype("float64"), **settings)
        found = errors(y, right)
        # what float32 cannot hold
        found = np.where(np.isinf(right.astype(np.float32)), y != right.astype(np.float32), found)
    assert found.max() <= ULP[name], (x[found.argmax()], found.max())
    assert found.max() > 0.45 or not ULP[name]  # else the reference is not


def exact(name, x):
    """Return the function of a Decimal."""
    one = Decimal(1)
    if name == "elu":
        return x if x > 0 else x.exp() - one
    if name == "softplus":
        return (one + x.exp()).ln() if x < 1000 else x
    if name == "silu":
        return x / (1 + (-x).exp())
    if name == "gelu":
        return x * (1 + decimal_erf(x / Decimal(2).sqrt())) / 2
    return x * min(max(x + 3, Decimal(0)), Decimal(6)) / 6


@pytest.mark.parametrize("name", ["elu", "softplus", "hard_swish", "silu", "gelu"])
def test_errors_in_float64(name, rng):
    size = 10.0 ** rng.uniform(-12, 1, 80)
    x = np.concatenate([size * rng.choice([-1, 1], 80), rng.uniform(-30, 30, 60), [-700.0, -744.0]])
    x = x[x > -37] if name == "elu" else x[np.abs(x) < 6] if name == "gelu" else x
    with localcontext() as context:
        context.prec, context.Emin, context.Emax = 400, -9999, 9999
        for value, y in zip(x.tolist(), apply(name, x).tolist(), strict=True):
            right = exact(name, Decimal(value))
            last = Decimal(2) ** max(math.frexp(float(right))[1] - 53, -1074)
            assert abs(Decimal(y) - right) <= Decimal(ULP[name]) * last, (value, y)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", EDGES)
def test_edges_are_exact(name, dtype):
    for value, right in [*EDGES[name], (NAN, NAN)]:
        # among others, and alone
        for x in (np.full(37, value, dtype), np.array([value], dtype)):
            same = right == value and math.copysign(1, right) == math.copysign(1, value)
            right_ = np.full(x.shape, x[0] if same else right, dtype)
            y = apply(name, x)
            np.testing.assert_array_equal(y, right_, strict=True, err_msg=f"{name}({value})")
            assert np.isnan(right) or (np.signbit(y) == np.signbit(right_)).all(), value


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", SLOPES)
def test_slopes_at_edges(name, dtype):
    settings = AT_EDGES.get(name, {})
    for value, slope in SLOPES[name]:
        for shape in ((37,), (1,)):
            x, dy = np.full(shape, value, dtype), np.full(shape, 3, dtype)
            right = np.full(shape, 3 * slope, dtype)
            dx = gradient(name, dy, x, **settings)
            np.testing.assert_array_equal(dx, right, strict=True, err_msg=f"{name} at {value}")


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", ["relu6", "hard_sigmoid", "hard_swish"])
def test_where_the_slope_is_0_an_infinite_gradient_is_too(name, dtype):
    dy = np.array([INF, -INF, NAN] * 5, dtype)
    dx = gradient(name, dy, np.full(15, -10, dtype))
    np.testing.assert_array_equal(dx, np.zeros(15, dtype))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", [*BY_OUTPUT, *BY_INPUT])
def test_gradients_do_not_overflow(name, dtype):
    most = float(np.finfo(dtype).max) / 2
    x = np.concatenate([np.linspace(-most, most, 99), np.linspace(-200, 200, 401)]).astype(dtype)
    dx = gradient(name, np.full(x.shape, most, dtype), x)
    assert np.isfinite(dx).all()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("changed", [False, True])
@pytest.mark.parametrize("name", [*BY_OUTPUT, *BY_INPUT])
def test_both_directions_are_those_of_the_reference(name, changed, dtype, rng):
    settings = SETTINGS.get(name, {}) if changed else {}
    x = (4 * rng.standard_normal(1111)).astype(dtype)
    dy = rng.standard_normal(1111).astype(dtype)
    wide, eps = x.astype("float64"), np.finfo(dtype).eps
    right = getattr(reference, name)(wide, **settings)
    y = apply(name, x, **settings)
    assert y.dtype == dtype and np.abs(y - right).max() <= 8 * eps * np.abs(right).max()
    right = gradient(name, dy.astype("float64"), wide, reference, **settings)
    dx = gradient(name, dy, x, **settings)
    assert dx.dtype == dtype and np.abs(dx - right).max() <= 16 * eps * np.abs(dy).max()


@pytest.mark.parametrize("changed", [False, True])
@pytest.mark.parametrize("name", [*BY_OUTPUT, *BY_INPUT])
def test_gradients_are_the_numerical_ones(name, changed):
    settings = SETTINGS.get(name, {}) if changed else {}
    step = 1e-6
    x = np.linspace(-7.03, 7.01, 101)  # no kink is among them
    function = getattr(functional, name)
    slopes = (function(x + step, **settings) - function(x - step, **settings)) / (2 * step)
    dy = np.cos(x)
    np.testing.assert_allclose(gradient(name, dy, x, **settings), dy * slopes, rtol=0, atol=2e-9)


@pytest.mark.parametrize(
    ("name", "value", "right"),
    [
        ("silu", -40, -1.6993416e-16),
        ("silu", -100, -3.720076e-42),
        ("silu", -106, -9.774466e-45),
        ("gelu", -5, -1.4332579e-06),
        ("gelu", -13, -7.952314e-38),
        ("gelu", -14, -1.0909809e-43),
        ("softplus", -100, 3.783506e-44),
    ],
)
def test_tails_in_float32(name, value, right):
    y = apply(name, np.float32([value]))
    np.testing.assert_allclose(y, np.float32([right]), rtol=4e-7, atol=0)


@pytest.mark.parametrize("name", SLOPE)
def test_slopes_by_the_input_are_near_the_exact_ones(name):
    x = every_thousandth()[::4]
    x = x[np.isfinite(x)]
    dx = gradient(name, np.ones_like(x), x)
    right = gradient(name, np.ones(x.shape), x.astype("float64"), reference)
    assert np.abs(dx - right).max() <= SLOPE[name] * 2.0**-24


def test_the_approximation_of_gelu_is_near_its_formula_and_no_nearer_to_gelu():
    x = np.linspace(-12, 12, 1_000_001, dtype="float32")
    y, right = functional.gelu(x, "tanh"), reference.gelu(x, "tanh")
    assert (np.abs(y - right) <= 3 * 2.0**-24 * np.abs(x)).all()
    away = np.abs(y - functional.gelu(x)).max()
    assert 4.7e-4 < away < 4.8e-4
    for wrong in ("Tanh", "erf", ""):
        with pytest.raises(ArgumentError, match="gelu: approximate must be 'none' or 'tanh'"):
            functional.gelu(x, wrong)
    with pytest.raises(ArgumentTypeError, match="gelu_backward: approximate must be"):
        functional.gelu_backward(x, x, True)


def test_the_slope_of_softplus_keeps_its_digits_where_it_is_small():
    x = np.linspace(-80, 20, 100_001, dtype="float32")
    dx = gradient("softplus", np.ones_like(x), x)
    right = reference.sigmoid(x)
    assert (np.abs(dx - right) / right).max() <= 4 * 2.0**-24


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", [*BY_OUTPUT, *BY_INPUT])
def test_an_element_is_computed_for_itself(name, dtype, normal):
    """Whatever stands beside it, and however many do: around the lanes, and around a run."""
    long = 4 * normal((4100,), dtype)
    long[5::7] = NAN
    long[6::11] = -INF
    dy = normal((4100,), dtype)
    y, dx = apply(name, long), gradient(name, dy, long)
    vector = lanes(np.dtype(dtype)) // 2
    sizes = {1, vector - 1, vector, vector + 1, 2 * vector + 1, 4095, 4096, 4097}
    for size in sorted(sizes - {0}):
        assert_bits_equal(apply(name, long[:size]), y[:size])
        assert_bits_equal(gradient(name, dy[-size:].copy(), long[-size:].copy()), dx[-size:])


@pytest.mark.parametrize("name", [*BY_OUTPUT, *BY_INPUT])
def test_any_layout_is_read_and_left_alone(name, normal):
    x, dy = normal((6, 8)), normal((6, 8))
    y, dx = apply(name, x), gradient(name, dy, x)
    odd = np.zeros(x.nbytes + 1, np.uint8)[1:].view(x.dtype).reshape(x.shape)
    odd[...] = x
    for same in (np.asfortranarray(x), np.repeat(x, 2, axis=1)[:, ::2], odd, x.astype(">f4")):
        before = same.copy()
        same.flags.writeable = False
        assert_bits_equal(apply(name, same), y)
        kept = y if name in BY_OUTPUT else same
        backward = getattr(functional, f"{name}_backward")
        assert_bits_equal(backward(np.asfortranarray(dy), kept), dx)
        assert_bits_equal(same, before)
    for shape in [(0,), (3, 0, 2), (), (1, 1)]:
        assert apply(name, np.ones(shape)).shape == shape
        assert gradient(name, np.ones(shape), np.ones(shape)).shape == shape


@pytest.mark.parametrize("name", [*BY_OUTPUT, *BY_INPUT])
def test_results_may_lie_over_what_is_read(name, normal):
    x, dy = normal((3, 1001)), normal((3, 1001))
    y, dx = apply(name, x), gradient(name, dy, x)
    over = x.copy()
    assert apply(name, over, out=over) is over
    assert_bits_equal(over, y)
    kept = y if name in BY_OUTPUT else x
    backward, over = getattr(functional, f"{name}_backward"), dy.copy()
    assert backward(over, kept, out=over) is over
    assert_bits_equal(over, dx)
    for out in (np.empty((3, 1000), "float32"), np.empty((3, 1001)), x[:, ::-1], x.T):
        with pytest.raises((ArgumentError, ShapeError), match=f"{name}: out must"):
            apply(name, x, out=out)
        with pytest.raises((ArgumentError, ShapeError), match=f"{name}_backward: out must"):
            backward(dy, kept, out=out)


@pytest.mark.parametrize("name", [*BY_OUTPUT, *BY_INPUT])
def test_threads_change_no_bit(name, threads, normal):
    x, dy = normal((300_001,)), normal((300_001,))
    found = []
    for number in (1, 2, 3):
        threads(number)
        found.append((apply(name, x), gradient(name, dy, x)))
    for pair in found[1:]:
        assert_bits_equal(pair[0], found[0][0])
        assert_bits_equal(pair[1], found[0][1])


@pytest.mark.parametrize("name", [*BY_OUTPUT, *BY_INPUT])
def test_the_error_state_of_the_caller_is_without_effect(name):
    x = np.float32([0, -0.0, 1e-45, -1e-40, 3e38, -3e38, 88.8, -95, -104, INF, -INF, NAN, -1])
    with np.errstate(all="ignore"):
        y, dx = apply(name, x), gradient(name, x, x)
    with np.errstate(all="raise"):
        assert_bits_equal(apply(name, x), y)
        assert_bits_equal(gradient(name, x, x), dx)


@pytest.mark.parametrize("name", [*BY_OUTPUT, *BY_INPUT])
def test_what_is_no_array_of_floats_is_refused(name):
    for wrong in (np.arange(3), "text", None, np.ones(2, np.float16), np.ma.ones(3)):
        with pytest.raises(ArgumentTypeError, match=f"{name}: x "):
            apply(name, wrong)
    backward = getattr(functional, f"{name}_backward")
    kept = "output" if name in BY_OUTPUT else "input"
    with pytest.raises(ShapeError, match=rf"{name}_backward: dy must have the shape of the {kept}"):
        backward(np.ones(4), np.ones(3))
    with pytest.raises(ArgumentTypeError, match=f"{name}_backward: . must have the dtype of dy"):
        backward(np.ones(3, np.float32), np.ones(3))


@pytest.mark.parametrize(
    ("name", "setting", "least"),
    [
        ("leaky_relu", "negative_slope", True),
        ("elu", "alpha", True),
        ("hard_sigmoid", "alpha", False),
        ("hard_sigmoid", "beta", False),
    ],
)
def test_settings_are_checked(name, setting, least):
    x = np.ones(3, "float32")
    backward = getattr(functional, f"{name}_backward")
    for wrong in (INF, NAN, -INF, 1e-60, *([-0.1] if least else [])):
        for operation, call in ((name, apply), (f"{name}_backward", None)):
            with pytest.raises(ArgumentError, match=f"{operation}: {setting} must"):
                if call:
                    call(name, x, **{setting: wrong})
                else:
                    backward(x, x, **{setting: wrong})
    for wrong in (None, "1", True, [1.0], 1j):
        with pytest.raises(ArgumentTypeError, match=f"{name}: {setting} must be a number"):
            apply(name, x, **{setting: wrong})
    assert apply(name, x, **{setting: 0}).shape == (3,)
