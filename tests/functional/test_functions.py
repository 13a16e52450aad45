"""Functions of one number: their error over the whole range, their edges, and whose bits they are.

An error is counted in units in the last place of the exact result: the distance of its two
neighbours, which for a subnormal result is the smallest number.
"""

from __future__ import annotations

import ast
import math
from decimal import Decimal, localcontext
from pathlib import Path

import numpy as np
import pytest

import fastconv
from fastconv import functional, reference
from fastconv.errors import ArgumentTypeError, ShapeError
from fastconv.kernels import lanes
from fastconv.testing import assert_bits_equal

DTYPES = ["float32", "float64"]
#: The largest error that the docstrings state, in units in the last place.
ULP = {"exp": 1.1, "expm1": 2.2, "log": 0.8, "log1p": 0.8, "sigmoid": 2.3, "tanh": 2.5, "erf": 2}
GRADIENTS = {"sigmoid_backward": "sigmoid", "tanh_backward": "tanh"}
INF, NAN = math.inf, math.nan
#: Exact results: of any dtype, unless a number says of which.
EDGES = {
    "exp": [(0, 1), (-0.0, 1), (-INF, 0), (INF, INF), (-750, 0), (710, INF)],
    "expm1": [(0, 0), (-0.0, -0.0), (-INF, -1), (INF, INF), (-100, -1), (710, INF), (1e-30, 1e-30)],
    "log": [(1, 0), (0, -INF), (-0.0, -INF), (-1, NAN), (-INF, NAN), (INF, INF)],
    "log1p": [(0, 0), (-0.0, -0.0), (-1, -INF), (-2, NAN), (-INF, NAN), (INF, INF), (1e-30, 1e-30)],
    "sigmoid": [(0, 0.5), (-0.0, 0.5), (-INF, 0), (INF, 1), (-750, 0), (750, 1)],
    "tanh": [(0, 0), (-0.0, -0.0), (-INF, -1), (INF, 1), (-100, -1), (100, 1), (1e-30, 1e-30)],
    "erf": [(0, 0), (-0.0, -0.0), (-INF, -1), (INF, 1), (-100, -1), (100, 1)],
}


def apply(name, x):
    """Return a function of x, or its gradient for an output x and dy 1."""
    if name in GRADIENTS:
        return getattr(functional, name)(np.ones_like(x), x)
    return getattr(functional, name)(x)


@pytest.fixture
def threads():
    """Set the number of threads; the test's end takes it back."""
    yield fastconv.set_num_threads
    fastconv.set_num_threads(None)


def errors(y, right):
    """Return the errors of float32 numbers in units in the last place of `right`, float64."""
    rounded = right.astype(np.float32)
    same = (y == rounded) | (np.isnan(y) & np.isnan(right))
    last = np.ldexp(1.0, np.maximum(np.frexp(right)[1], -125) - 24)
    return np.where(same & ~np.isfinite(right), 0, np.abs(y.astype(np.float64) - right) / last)


def every_thousandth():
    """Return some four million float32 numbers from all there are, NaN and infinities too."""
    return np.arange(0, 2**32, 1021, dtype=np.uint64).astype(np.uint32).view(np.float32)


@pytest.mark.parametrize("name", ULP)
def test_errors_in_float32(name):
    x = every_thousandth()
    y, right = apply(name, x), getattr(reference, name)(x)
    with np.errstate(all="ignore"):
        found = errors(y, right)
        # what float32 cannot hold
        found = np.where(np.isinf(right.astype(np.float32)), y != right.astype(np.float32), found)
    assert found.max() <= ULP[name], x[found.argmax()]
    assert found.max() > 0.5  # else the reference is not


def decimal_erf(x):
    """Taylor's series, whose terms cancel some 20 digits at most."""
    term = total = x
    for n in range(1, 400):
        term *= -x * x / n
        total += term / (2 * n + 1)
    pi = Decimal("3.14159265358979323846264338327950288419716939937510582097494459230781640628620")
    return 2 * total / pi.sqrt()


EXACT = {
    "exp": lambda x: x.exp(),
    "expm1": lambda x: x.exp() - 1,
    "log": lambda x: x.ln(),
    "log1p": lambda x: (1 + x).ln(),
    "sigmoid": lambda x: 1 / (1 + (-x).exp()),
    "tanh": lambda x: 1 - 2 / ((2 * x).exp() + 1),
    "erf": decimal_erf,
}
WITHIN = {
    "exp": (-745, 709.7),
    "expm1": (-60, 709.7),
    "sigmoid": (-745, 40),
    "tanh": (-21, 21),
    "erf": (-6, 6),
    "log": (5e-324, 1.7e308),
    "log1p": (-1, 1.7e308),
}


def some_float64(name, rng, count):
    """Return arguments of every size at which a function is neither infinite nor constant."""
    low, high = WITHIN[name]
    x = np.concatenate(
        [
            rng.uniform(-1, 1, count) * 10.0 ** rng.uniform(-20, 1, count),
            rng.uniform(-2, 2, count),
            rng.uniform(low, min(high, 1e3), count),
            10.0 ** rng.uniform(-20 if name == "log1p" else -307, 308, count),
            [5e-324, 1e-310] if name in ("exp", "log", "erf") else [],
            [0.25, 0.5, 0.75, 1.5],
        ]
    )
    if name in ("expm1", "tanh"):  # the exact formula cancels
        x = x[np.abs(x) > 1e-20]
    return x[(x > low) & (x < high) & (x != 0)]


@pytest.mark.parametrize("name", ULP)
def test_errors_in_float64(name, rng):
    x = some_float64(name, rng, 60)
    assert len(x) > 100
    with localcontext() as context:
        context.prec, context.Emin, context.Emax = 100, -9999, 9999
        for value, y in zip(x.tolist(), apply(name, x).tolist(), strict=True):
            right = EXACT[name](Decimal(value))
            last = Decimal(2) ** max(math.frexp(float(right))[1] - 53, -1074)
            assert abs(Decimal(y) - right) <= Decimal(ULP[name]) * last, (value, y)


@pytest.mark.parametrize("name", ULP)
def test_many_float64_agree_with_the_c_library(name, rng):
    """Whose functions are within a unit or two themselves."""
    x = some_float64(name, rng, 50_000)
    right = getattr(reference, name)(x)
    far = 6 if name == "sigmoid" else 4  # the reference's own formula has several roundings
    normal = np.abs(right) > 1e-300
    relative = np.abs(apply(name, x) - right)[normal] / np.abs(right)[normal]
    assert relative.max() <= far * np.finfo(np.float64).eps


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", EDGES)
def test_edges_are_exact(name, dtype):
    for value, right in [*EDGES[name], (NAN, NAN)]:
        # among others, and alone
        for x in (np.full(37, value, dtype), np.array([value], dtype)):
            right_ = np.full(x.shape, x[0] if right == value else right, dtype)
            y = apply(name, x)
            np.testing.assert_array_equal(y, right_, strict=True, err_msg=f"{name}({value})")
            assert np.isnan(right) or (np.signbit(y) == np.signbit(right_)).all(), value


@pytest.mark.parametrize(
    ("name", "value", "right"),
    [
        ("sigmoid", -10, 4.539787e-05),
        ("sigmoid", -20, 2.0611537e-09),
        ("sigmoid", -40, 4.248354e-18),
        ("sigmoid", -90, 8.194013e-40),
        ("sigmoid", -100, 3.783506e-44),
        ("sigmoid", -103.5, 1.401298e-45),
        ("sigmoid", -104, 0),
        ("exp", -87.5, 9.982351e-39),
        ("exp", -103.5, 1.401298e-45),
        ("exp", 88.72283, 3.4027985e38),
        ("exp", 88.7229, INF),
        ("log", 1e-45, -103.27893),
        ("tanh", 9, 0.99999994),
        ("tanh", 1e-40, 1e-40),
        ("expm1", -1e-40, -1e-40),
        ("erf", 3.9, 0.99999994),
    ],
)
def test_tails_in_float32(name, value, right):
    y = apply(name, np.float32([value]))
    np.testing.assert_allclose(y, np.float32([right]), rtol=3e-7, atol=0)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", [*ULP, *GRADIENTS])
def test_an_element_is_computed_for_itself(name, dtype, normal):
    """Whatever stands beside it, and however many do: around the lanes, and around a run."""
    long = (8 * normal((4100,), dtype)) if name not in GRADIENTS else normal((4100,), dtype) / 4
    long[5::7] = NAN
    long[6::11] = -INF
    y = apply(name, long)
    vector = lanes(np.dtype(dtype)) // 2
    sizes = {1, vector - 1, vector, vector + 1, 2 * vector + 1, 4095, 4096, 4097}
    for size in sorted(sizes - {0}):
        assert_bits_equal(apply(name, long[:size]), y[:size])
        assert_bits_equal(apply(name, long[-size:].copy()), y[-size:])


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", [*ULP, *GRADIENTS])
def test_any_layout_is_read_and_left_alone(name, dtype, normal):
    x = normal((6, 8), dtype)
    y = apply(name, x)
    backwards = np.ascontiguousarray(x[::-1, ::-1])[::-1, ::-1]
    wide = np.repeat(x, 2, axis=1)[:, ::2]
    odd = np.zeros(x.nbytes + 1, np.uint8)[1:].view(dtype).reshape(x.shape)
    odd[...] = x
    for same in (backwards, wide, odd, np.asfortranarray(x)):
        before = same.copy()
        same.flags.writeable = False
        assert_bits_equal(apply(name, same), y)
        assert_bits_equal(same, before)
    for shape in [(0,), (3, 0, 2), (), (1, 1)]:
        assert apply(name, np.ones(shape, dtype)).shape == shape


@pytest.mark.parametrize("name", [*ULP, *GRADIENTS])
def test_threads_change_no_bit(name, threads, normal):
    x = normal((300_001,))
    found = []
    for number in (1, 2, 3):
        threads(number)
        found.append(apply(name, x))
    assert_bits_equal(found[1], found[0])
    assert_bits_equal(found[2], found[0])


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", [*ULP, *GRADIENTS])
def test_the_error_state_of_the_caller_is_without_effect(name, dtype):
    x = np.array([0, -0.0, 1e-45, -1e-40, 3e38, -3e38, 88.8, -95, -104, INF, -INF, NAN, -1], dtype)
    with np.errstate(all="ignore"):
        y = apply(name, x)
    with np.errstate(all="raise"):
        assert_bits_equal(apply(name, x), y)


@pytest.mark.parametrize("gradient", GRADIENTS)
def test_gradients_are_the_numerical_ones(gradient):
    function, step = getattr(functional, GRADIENTS[gradient]), 1e-6
    x = np.linspace(-6, 6, 101)
    slopes = (function(x + step) - function(x - step)) / (2 * step)
    dy = np.cos(x)
    dx = getattr(functional, gradient)(dy, function(x))
    np.testing.assert_allclose(dx, dy * slopes, rtol=0, atol=1e-9)


@pytest.mark.parametrize(("gradient", "units"), [("sigmoid_backward", 1), ("tanh_backward", 2)])
def test_gradients_by_the_output_are_near_the_exact_ones(gradient, units):
    x = every_thousandth()
    x = x[np.isfinite(x)]
    y = getattr(functional, GRADIENTS[gradient])(x)
    dx = apply(gradient, y)
    half = np.float64(x) / (2 if gradient == "sigmoid_backward" else 1)
    with np.errstate(all="ignore"):
        exact = (0.25 if gradient == "sigmoid_backward" else 1) / np.cosh(half) ** 2
    assert np.abs(dx - exact).max() <= units * 2.0**-24
    # of the output as it is, to a few units in the last place
    wide = np.float64(y)
    of_output = getattr(reference, gradient)(np.ones_like(wide), wide)
    large = of_output > 1e-30
    relative = np.abs(dx - of_output)[large] / of_output[large]
    assert relative.max() <= 3 * 2.0**-24


@pytest.mark.parametrize("name", ULP)
def test_what_is_no_array_of_floats_is_refused(name):
    for wrong in (np.arange(3), "text", None, np.ones(2, np.float16), np.ma.ones(3)):
        with pytest.raises(ArgumentTypeError, match=f"{name}: x "):
            apply(name, wrong)


@pytest.mark.parametrize("name", GRADIENTS)
def test_gradients_refuse_what_does_not_fit(name):
    gradient = getattr(functional, name)
    with pytest.raises(ShapeError, match=rf"{name}: dy must have the shape of .* \(3,\), got \(4,"):
        gradient(np.ones(4), np.ones(3))
    with pytest.raises(ArgumentTypeError, match=f"{name}: y must have the dtype of dy"):
        gradient(np.ones(3, np.float32), np.ones(3))


def test_the_package_calls_no_function_of_numpy_whose_bits_may_change():
    """The reference is the specification, and `testing` makes data."""
    names = {
        "exp",
        "exp2",
        "expm1",
        "log",
        "log2",
        "log10",
        "log1p",
        "logaddexp",
        "sin",
        "cos",
        "tan",
        "sinh",
        "cosh",
        "tanh",
        "arctanh",
        "power",
        "hypot",
        "cbrt",
    }
    package = Path(fastconv.__file__).parent
    found = {
        f"{path.relative_to(package)}:{node.lineno} np.{node.attr}"
        for path in package.rglob("*.py")
        if path.parent.name not in ("reference", "testing")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Name)
        and node.value.id in ("np", "numpy")
        and node.attr in names
    }
    assert not found
