"""Decay and clipping: PyTorch's formulas, in the same pass, and without a change to the gradients.

torch.optim documents ``g = g + weight_decay * w`` (SGD, Adagrad, RMSprop, Adam) and
``w = w - lr * weight_decay * w`` (AdamW); torch.nn.utils ``g * max_norm / norm`` over all
parameters together, and values between -clip_value and clip_value; both before the step.
"""

from __future__ import annotations

import math
import tracemalloc

import numpy as np
import pytest

import fastconv
from fastconv import registry
from fastconv.errors import ArgumentError, ArgumentTypeError
from fastconv.functional import updates
from fastconv.layers.parameter import Parameter
from fastconv.testing import assert_bits_equal
from fastconv.training import SGD, Adam, AdamW, Optimizer

NAMES = registry.optimizers.names()
SHAPES = {"a/weight": (3, 5), "a/bias": (5,), "b/weight": (2, 4099)}  # more than a run
SETTINGS = {
    "decay": {"weight_decay": 0.1},
    "norm": {"clip_norm": 0.5},
    "large norm": {"clip_norm": 1e6},
    "value": {"clip_value": 0.3},
    "all": {"weight_decay": 0.1, "clip_norm": 40.0, "clip_value": 0.3},
}


def made(name, **settings):
    return registry.resolve(registry.optimizers, (name, {"learning_rate": 0.1, **settings}), "test")


def changed(gradients, weights, settings, decay):
    """What the step is given, by the documented formulas, in float64."""
    norm = math.sqrt(sum((g.astype("float64") ** 2).sum() for g in gradients.values()))
    found = {}
    for key, g in gradients.items():
        if "clip_norm" in settings and norm > settings["clip_norm"]:
            g = g * (settings["clip_norm"] / norm)
        if "clip_value" in settings:
            g = np.clip(g, -settings["clip_value"], settings["clip_value"])
        found[key] = g + decay * weights[key] if weights[key].ndim > 1 else g
    return found


@pytest.fixture
def steps():
    rng = np.random.default_rng(3)
    weights = {key: rng.normal(size=shape) for key, shape in SHAPES.items()}
    gradients = [{k: rng.normal(size=shape) for k, shape in SHAPES.items()} for _ in range(3)]
    return weights, gradients


@pytest.mark.parametrize("case", SETTINGS)
@pytest.mark.parametrize("name", NAMES)
def test_gradients_are_clipped_and_weights_decay(name, case, steps):
    """The step is then that of an optimizer without such settings on changed gradients."""
    weights, gradients = steps
    settings = SETTINGS[case]
    ours = {key: Parameter(value) for key, value in weights.items()}
    theirs = {key: Parameter(value) for key, value in weights.items()}
    optimizer, plain = made(name, **settings), made(name, weight_decay=0.0)
    decay = settings.get("weight_decay", 0.01 if name == "adamw" else 0.0)
    for group in gradients:
        before = {key: g.copy() for key, g in group.items()}
        optimizer.update(ours, group)
        for key in group:
            assert_bits_equal(group[key], before[key])
        coupled = 0.0 if name == "adamw" else decay
        given = changed(group, {k: p.value for k, p in theirs.items()}, settings, coupled)
        if name == "adamw":
            for parameter in theirs.values():
                if parameter.value.ndim > 1:
                    parameter.assign(parameter.value - 0.1 * decay * parameter.value)
        plain.update(theirs, given)
    for key, parameter in ours.items():
        np.testing.assert_allclose(parameter.value, theirs[key].value, rtol=1e-10, atol=1e-12)
        assert not np.array_equal(parameter.value, weights[key])


def test_by_hand():
    """One step, with numbers that can be followed on paper."""
    w, b = Parameter(np.array([[1.0, -2.0]])), Parameter(np.array([4.0]))
    gradients = {"w": np.array([[3.0, 0.0]]), "b": np.array([4.0])}
    SGD(0.5, weight_decay=0.5, clip_norm=2.5, clip_value=1.75).update({"w": w, "b": b}, gradients)
    # the norm 5 becomes 2.5, so that the gradients are 1.5, 0 and 2, of which 1.75 is left
    np.testing.assert_array_equal(w.value, [[1 - 0.5 * (1.5 + 0.5), -2 - 0.5 * (0 - 1)]])
    np.testing.assert_array_equal(b.value, [4 - 0.5 * 1.75])
    v = Parameter(np.array([[8.0]]))
    AdamW(0.5, weight_decay=0.25, epsilon=1e-12).update({"v": v}, {"v": np.array([[3.0]])})
    np.testing.assert_allclose(v.value, [[8 * (1 - 0.125) - 0.5]], rtol=1e-11)


def test_a_small_decay_is_not_lost_to_rounding():
    """1 - 1e-6 is no number of float32: by the nearest one, weights would shrink 1.3 % faster."""
    start = np.random.default_rng(8).uniform(1, 2, size=(200, 200)).astype("float32")
    parameter = Parameter(start)
    AdamW(1e-3, weight_decay=1e-3).update({"w": parameter}, {"w": np.zeros_like(start)})
    lost = (start.astype("float64") - parameter.value) / start
    assert lost.mean() == pytest.approx(1e-6, rel=0.003)  # the roundings of 40,000 even out


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", NAMES)
def test_settings_that_change_nothing_leave_all_bits(name, dtype):
    rng = np.random.default_rng(4)
    start = rng.normal(size=(3, 4099)).astype(dtype)
    found = []
    off = {"weight_decay": 0.0}
    for settings in (off, {**off, "clip_norm": 1e9}, {**off, "clip_value": 1e9}):
        parameter, optimizer = Parameter(start), made(name, **settings)
        for seed in range(3):
            gradient = np.random.default_rng(seed).normal(size=start.shape).astype(dtype)
            optimizer.update({"w": parameter}, {"w": gradient})
        found.append(parameter.value)
    assert_bits_equal(found[1], found[0])
    assert_bits_equal(found[2], found[0])


@pytest.mark.parametrize("name", NAMES)
def test_no_step_allocates_an_array_of_a_parameters_size(name):
    """Beside views and numbers there is one sum for each 4096 elements: here 64 of them."""
    parameter = Parameter(np.ones((64, 4096), np.float32))
    gradient = np.ones((64, 4096), np.float32)
    optimizer = made(name, **SETTINGS["all"])
    optimizer.update({"w": parameter}, {"w": gradient})
    tracemalloc.start()
    optimizer.update({"w": parameter}, {"w": gradient})
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 16384  # the parameter has 1,048,576 bytes


def test_bits_do_not_depend_on_threads():
    rng = np.random.default_rng(5)
    start = rng.normal(size=(300, 4097)).astype("float32")
    gradient = rng.normal(size=start.shape).astype("float32")
    found = []
    for threads in (1, 2, 3):
        fastconv.set_num_threads(threads)
        parameter, optimizer = Parameter(start), made("adam", **SETTINGS["all"])
        for _ in range(2):
            optimizer.update({"w": parameter}, {"w": gradient})
        found.append(parameter.value)
    fastconv.set_num_threads(None)
    assert_bits_equal(found[1], found[0])
    assert_bits_equal(found[2], found[0])


def test_the_norm_is_exact_for_numbers_of_any_size():
    rng = np.random.default_rng(6)
    small = rng.normal(size=100_003).astype("float32")
    right = math.sqrt(math.fsum(float(x) ** 2 for x in small))
    assert updates.norm([small]) == pytest.approx(right, rel=1e-14)
    assert updates.norm([small[:70], small[70:]]) == pytest.approx(right, rel=1e-14)
    for size in (1e-40, 1e30):  # whose squares float32 cannot hold
        array = np.full(9, size, "float32")
        assert updates.norm([array]) == pytest.approx(3 * float(array[0]), rel=1e-14)
    for size in (5e-324, 1e-200, 1e200, 1e307):  # nor float64 these
        assert updates.norm([np.full(9, size)]) == pytest.approx(3 * size, rel=1e-14)
    assert updates.norm([]) == updates.norm([np.zeros(5), np.zeros((0, 2))]) == 0
    assert updates.norm([np.array([np.inf, 1.0])]) == math.inf
    assert math.isnan(updates.norm([np.array([np.nan, 1.0])]))
    one, two = rng.normal(size=5000), rng.normal(size=3)
    assert updates.norm([one, two]) == updates.norm([two, one])


def test_numbers_that_are_not_finite_are_not_hidden():
    for settings in ({"clip_value": 1.0}, {"clip_norm": 1.0}):
        parameter = Parameter(np.ones(3))
        SGD(0.5, **settings).update({"w": parameter}, {"w": np.array([np.nan, 0.0, 0.0])})
        assert np.isnan(parameter.value[0])
    infinite = Parameter(np.array([np.inf, 1.0]))  # without a decay it is none of the gradient's
    SGD(0.5, weight_decay=0.5, clip_value=1.0).update({"w": infinite}, {"w": np.ones(2)})
    np.testing.assert_array_equal(infinite.value, [np.inf, 0.5])


def test_settings_are_checked():
    for settings, words in (
        ({"weight_decay": -0.1}, "weight_decay must be at least 0 and finite, got -0.1"),
        ({"weight_decay": np.inf}, "weight_decay must be at least 0 and finite"),
        ({"clip_norm": 0}, "clip_norm must be positive and finite, or None, got 0"),
        ({"clip_value": np.nan}, "clip_value must be positive and finite, or None"),
    ):
        with pytest.raises(ArgumentError, match=f"adam: {words}"):
            Adam(**settings)
    with pytest.raises(ArgumentTypeError, match="clip_norm must be a number"):
        Adam(clip_norm="1")


class Own(Optimizer):
    """An optimizer of somebody else's, from before there was any decay."""

    name = "own"

    def __init__(self, learning_rate=0.5):
        super().__init__(learning_rate)

    def apply(self, t, value, gradient, *slots):
        value -= self.learning_rate * gradient


def test_an_optimizer_that_knows_no_decay_goes_on():
    parameter = Parameter(np.ones((2, 2)))
    Own().update({"w": parameter}, {"w": np.ones((2, 2))})
    np.testing.assert_array_equal(parameter.value, 0.5)


def test_the_gradients_of_a_network_are_those_of_the_loss():
    """They are not clipped, and hold no decay: net.gradients is what the loss says."""
    x, y = np.random.default_rng(7).normal(size=(6, 4)).astype("float32"), np.arange(6) % 3
    found = []
    for settings in ({}, {"weight_decay": 0.5, "clip_norm": 1e-3}):
        net = fastconv.Sequential([("Dense", {"units": 3})], input_shape=(4,), seed=0)
        net.compile(("sgd", settings), "softmax_cross_entropy")
        net.train_on_batch(x, y)
        found.append((net.gradients, net.weights()))
    for key in found[0][0]:
        assert_bits_equal(found[0][0][key], found[1][0][key])
        assert not np.array_equal(found[0][1][key], found[1][1][key])
