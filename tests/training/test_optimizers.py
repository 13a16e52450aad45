from __future__ import annotations

import copy
import pickle
import tracemalloc

import numpy as np
import pytest

from fastconv import registry
from fastconv.errors import ArgumentError, ArgumentTypeError, ShapeError
from fastconv.layers.parameter import Parameter
from fastconv.training import SGD, Adam, Momentum

RUN = 4096  # elements that a thread takes at a time
NAMES = registry.optimizers.names()
RATE = 0.1


def plain(name, w, gradients):
    """The papers' formulas over whole arrays, one line per formula."""
    v = np.zeros_like(w)
    m = np.zeros_like(w)
    for t, g in enumerate(gradients, start=1):
        if name == "sgd":
            w = w - RATE * g
        elif name == "momentum":
            v = 0.9 * v - RATE * g
            w = w + v
        elif name == "nesterov":
            v = 0.9 * v - RATE * g
            w = w + 0.9 * v - RATE * g
        elif name == "adagrad":
            v = v + g**2
            w = w - RATE * g / (np.sqrt(v) + 1e-7)
        elif name == "rmsprop":
            v = 0.9 * v + 0.1 * g**2
            w = w - RATE * g / (np.sqrt(v) + 1e-7)
        elif name in ("adam", "adamw"):
            if name == "adamw" and w.ndim > 1:
                w = w - RATE * 0.01 * w
            m = 0.9 * m + 0.1 * g
            v = 0.999 * v + 0.001 * g**2
            w = w - RATE * (m / (1 - 0.9**t)) / (np.sqrt(v / (1 - 0.999**t)) + 1e-8)
        else:
            raise AssertionError(f"{name} has no formula here")
    return w


def optimizer(name):
    return registry.resolve(registry.optimizers, (name, {"learning_rate": RATE}), "test")


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("shape", [(), (3,), (2, 3, 2, 2), (RUN - 1,), (2, RUN + 1)])
def test_steps_follow_the_paper(name, shape):
    rng = np.random.default_rng(0)
    start = rng.normal(size=shape)
    gradients = [rng.normal(size=shape) for _ in range(4)]
    parameter = Parameter(start)
    chosen = optimizer(name)
    kept = [g.copy() for g in gradients]
    for gradient in gradients:
        chosen.update({"a/weight": parameter}, {"a/weight": gradient})
    np.testing.assert_allclose(
        parameter.value, plain(name, start, gradients), rtol=1e-12, atol=1e-14
    )
    assert parameter.version == 4
    np.testing.assert_array_equal(kept, gradients)


@pytest.mark.parametrize("name", NAMES)
def test_float32_stays_float32_and_gradients_may_be_strided(name):
    parameter = Parameter(np.ones((4, 3), np.float32))
    gradient = np.ones((3, 4), np.float32).T
    array = parameter.value
    optimizer(name).update({"w": parameter}, {"w": gradient})
    assert parameter.value is array and array.dtype == np.float32 and (array < 1).all()


@pytest.mark.parametrize("name", NAMES)
def test_a_warm_step_allocates_no_arrays(name):
    parameter = Parameter(np.ones(16384, np.float32))
    gradient = np.ones(16384, np.float32)
    chosen = optimizer(name)
    chosen.update({"w": parameter}, {"w": gradient})
    tracemalloc.start()
    chosen.update({"w": parameter}, {"w": gradient})
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 8192  # views and numbers; the parameter alone has 65,536 bytes


@pytest.mark.parametrize("name", NAMES)
def test_state_goes_on_where_it_was(name):
    rng = np.random.default_rng(1)
    gradients = rng.normal(size=(6, 5))

    def run(chosen, parameter, part):
        for gradient in part:
            chosen.update({"w": parameter}, {"w": gradient})

    whole, chosen = Parameter(np.ones(5)), optimizer(name)
    run(chosen, whole, gradients)
    halves, first = Parameter(np.ones(5)), optimizer(name)
    run(first, halves, gradients[:3])
    second = optimizer(name)
    second.load_state_dict(first.state_dict())
    clones = pickle.loads(pickle.dumps(first)), copy.deepcopy(first), second
    for clone in clones:
        again = Parameter(halves.value)
        run(clone, again, gradients[3:])
        np.testing.assert_array_equal(again.value, whole.value)


def test_a_parameter_that_joins_later_gets_its_own_bias_correction():
    adam = Adam(RATE)
    early, late = Parameter(np.ones(2)), Parameter(np.ones(2))
    adam.update({"early": early}, {"early": np.ones(2)})
    adam.update({"early": early, "late": late}, {"early": np.ones(2), "late": np.ones(2)})
    np.testing.assert_allclose(late.value, 1 - RATE, rtol=1e-7)  # a first step is the rate


def test_settings_are_checked_and_shown():
    assert repr(Momentum(0.5)) == "Momentum(learning_rate=0.5, momentum=0.9)"
    shown = repr(SGD(("exponential", {"factor": 0.5}), weight_decay=0.1, clip_norm=2))
    assert shown == (
        "SGD(learning_rate=ExponentialDecay(factor=0.5, steps=1, learning_rate=None, warm_up=0), "
        "weight_decay=0.1, clip_norm=2.0)"
    )
    for rate in (-1, float("nan"), float("inf")):
        with pytest.raises(ArgumentError, match="sgd: learning_rate must be at least 0 and fin"):
            SGD(rate)
    for rate in ("0.1", None, True, [1]):
        with pytest.raises(ArgumentTypeError, match="must be a number"):
            SGD(rate)
    with pytest.raises(ArgumentError, match="beta1 must be at least 0 and below 1, got 1"):
        Adam(beta1=1)
    sgd = SGD()
    with pytest.raises(ArgumentError):
        sgd.learning_rate = -1
    assert sgd.learning_rate == 0.01


def test_one_optimizer_does_not_serve_two_models():
    momentum = Momentum()
    momentum.update({"w": Parameter(np.ones(2))}, {"w": np.ones(2)})
    with pytest.raises(ShapeError, match="its own optimizer"):
        momentum.update({"w": Parameter(np.ones(3))}, {"w": np.ones(3)})
    with pytest.raises(ShapeError):
        SGD().update({"w": Parameter(np.ones(3))}, {"w": np.ones(1)})


def test_foreign_state_is_refused():
    momentum, adam = Momentum(), Adam()
    momentum.update({"w": Parameter(np.ones(2))}, {"w": np.ones(2)})
    with pytest.raises(ArgumentError, match="adam: state must hold"):
        adam.load_state_dict(momentum.state_dict())


@pytest.mark.parametrize("name", NAMES)
def test_gradients_may_be_views_of_values(name):
    """They are those of before the step, whichever parameter changes first."""
    starts = np.arange(1.0, 9.0).reshape(2, 4), np.arange(9.0, 1.0, -1.0).reshape(2, 4)
    found = []
    for taken in (np.copy, lambda array: array, lambda array: array[:]):
        a, b = map(Parameter, starts)
        optimizer(name).update({"a": a, "b": b}, {"a": taken(b.value), "b": taken(a.value)})
        found.append((a.value, b.value))
    for others in found[1:]:
        for right, value in zip(found[0], others, strict=True):
            np.testing.assert_array_equal(value, right)


@pytest.mark.parametrize("name", NAMES)
def test_all_that_training_changes_is_in_state(name):
    """Also the rate, and the number of steps: a parameter may have joined later."""
    gradients = np.random.default_rng(2).normal(size=(6, 5))
    whole, chosen = Parameter(np.ones(5)), optimizer(name)
    for t, gradient in enumerate(gradients):
        if t == 3:
            kept, start, chosen.learning_rate = chosen.state(), whole.value.copy(), 0.01
        chosen.update({"w": whole}, {"w": gradient})
    assert kept["step"] == 3 and kept["learning_rate"] == RATE
    again, value = optimizer(name), Parameter(start)
    again.restore(kept)
    again.learning_rate = 0.01
    for gradient in gradients[3:]:
        again.update({"w": value}, {"w": gradient})
    np.testing.assert_array_equal(value.value, whole.value)
    first, last = again.state(), chosen.state()
    assert first.keys() == last.keys()
    assert all(np.array_equal(first[key], last[key]) for key in first)


def test_wrong_state_changes_nothing():
    momentum = Momentum()
    momentum.update({"w": Parameter(np.ones(2))}, {"w": np.ones(2)})
    before = momentum.state()
    for wrong, words in (
        ({"step": -1}, "step"),
        ({"learning_rate": "fast"}, "learning_rate must be a number"),
        ({"velocity/x": np.ones(2)}, "a missing or unknown entry 'velocity/x'"),
    ):
        with pytest.raises((ArgumentError, ArgumentTypeError), match=words):
            momentum.restore({**before, **wrong})
    with pytest.raises(ArgumentError, match="state must hold 'step', got none"):
        momentum.restore({})
    assert str(momentum.state()) == str(before)
