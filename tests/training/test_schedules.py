"""Schedules: PyTorch's closed forms at chosen steps, and the rates that a step really takes."""

from __future__ import annotations

import copy
import json
import math
import pickle

import numpy as np
import pytest

import fastconv
from fastconv import registry
from fastconv.errors import ArgumentError, ArgumentTypeError, ConfigError
from fastconv.layers.parameter import Parameter
from fastconv.testing import assert_bits_equal
from fastconv.training import (
    SGD,
    Adam,
    ConstantRate,
    CosineDecay,
    ExponentialDecay,
    Schedule,
    StepDecay,
)

#: As torch.optim.lr_scheduler documents them, for a rate of 1 and t steps.
FORMULAS = {
    "constant": ({}, lambda t: 1.0),
    "step": ({"steps": 30, "factor": 0.1}, lambda t: 0.1 ** (t // 30)),
    "milestones": (
        {"steps": [30, 80], "factor": 0.5},
        lambda t: 1.0 if t < 30 else 0.5 if t < 80 else 0.25,
    ),
    "exponential": ({"factor": 0.95}, lambda t: 0.95**t),
    "cosine": (
        {"steps": 100, "final": 0.1},
        lambda t: 0.1 + 0.9 * (1 + math.cos(math.pi * min(t, 100) / 100)) / 2,
    ),
}
STEPS = [0, 1, 29, 30, 31, 79, 80, 99, 100, 101, 1000]


def made(case, **more):
    name = "step" if case == "milestones" else case
    return registry.resolve(registry.schedules, (name, {**FORMULAS[case][0], **more}), "test")


def test_every_schedule_has_a_formula():
    assert {made(case).name for case in FORMULAS} == set(registry.schedules.names())


@pytest.mark.parametrize("case", FORMULAS)
def test_values_at_chosen_steps(case):
    schedule, formula = made(case), FORMULAS[case][1]
    assert [schedule(t) for t in STEPS] == pytest.approx([formula(t) for t in STEPS], rel=1e-12)


@pytest.mark.parametrize("case", FORMULAS)
def test_a_warm_up_rises_evenly_to_the_rate(case):
    schedule = made(case, warm_up=10)
    assert [schedule(t) for t in range(10)] == pytest.approx([(t + 1) / 10 for t in range(10)])
    formula = FORMULAS[case][1]
    if case == "cosine":  # what is left of the steps is one half of a cosine
        expected = {
            10: 1.0,
            55: 0.1 + 0.9 * (1 + math.cos(math.pi * 45 / 90)) / 2,
            100: 0.1,
            500: 0.1,
        }
    elif case == "exponential":
        expected = {10: 1.0, 30: formula(20)}
    else:
        expected = {t: formula(t) for t in (10, 29, 30, 80, 100)}
    assert {t: schedule(t) for t in expected} == pytest.approx(expected)


def test_steps_take_the_rates_of_the_schedule():
    parameter = Parameter(np.zeros(1))
    sgd = SGD(("cosine", {"steps": 4, "learning_rate": 0.5, "warm_up": 1}))
    before = 0.0
    for t in range(6):
        rate = 0.5 * CosineDecay(4, warm_up=1)(t)
        assert sgd.learning_rate == rate and sgd.steps_taken == t
        sgd.update({"w": parameter}, {"w": np.ones(1)})
        assert parameter.value[0] == before - rate and sgd.last_learning_rate == rate
        before = parameter.value[0]
    assert sgd.learning_rate == 0.0 == sgd.rate_at(1000)


@pytest.mark.parametrize("name", registry.optimizers.names())
def test_a_schedule_is_the_same_as_to_set_the_rate(name):
    rng = np.random.default_rng(0)
    start, gradients = rng.normal(size=(3, 4)), rng.normal(size=(5, 3, 4))
    schedule = StepDecay(2, factor=0.5, warm_up=2)
    one, two = Parameter(start), Parameter(start)
    followed = registry.resolve(registry.optimizers, (name, {"learning_rate": schedule}), "test")
    by_hand = registry.resolve(registry.optimizers, name, "test")
    usual = by_hand.learning_rate
    for t, gradient in enumerate(gradients):
        by_hand.learning_rate = usual * schedule(t)
        for optimizer, parameter in ((followed, one), (by_hand, two)):
            optimizer.update({"w": parameter}, {"w": gradient})
    assert_bits_equal(one.value, two.value)


def test_the_rate_comes_from_the_schedule_or_the_optimizer():
    exponential = ("exponential", {"factor": 0.5})
    assert Adam(exponential).learning_rate == 0.001 and SGD(exponential).learning_rate == 0.01
    sgd = SGD(0.8)
    sgd.learning_rate = exponential
    assert (sgd.learning_rate, sgd.rate_at(2)) == (0.8, 0.2) and sgd.schedule.name == "exponential"
    sgd.learning_rate = ("exponential", {"factor": 0.5, "learning_rate": 3})
    assert sgd.rate_at(1) == 1.5
    sgd.learning_rate = 0  # a rate of 0 is right
    assert sgd.schedule is None and sgd.learning_rate == 0
    sgd.learning_rate = "constant"
    assert sgd.learning_rate == 0


@pytest.mark.parametrize("case", FORMULAS)
def test_a_schedule_is_json_and_lives_in_the_state(case):
    sgd = SGD(made(case, warm_up=3, learning_rate=0.3))
    parameter = Parameter(np.ones(2))
    for _ in range(2):
        sgd.update({"w": parameter}, {"w": np.ones(2)})
    state = sgd.state()
    state["schedule"] = json.loads(json.dumps(state["schedule"]))
    twins = [SGD(), pickle.loads(pickle.dumps(sgd)), copy.deepcopy(sgd)]
    twins[0].restore(state)
    for twin in twins:
        assert [twin.rate_at(t) for t in STEPS] == [sgd.rate_at(t) for t in STEPS]
        assert twin.learning_rate == sgd.learning_rate == 0.3
    settings = json.loads(json.dumps(sgd.settings()))
    assert SGD(**settings).settings() == sgd.settings()


class Fast(Schedule):
    name = "fast"

    def share(self, step):
        return -1.0 if step == 2 else 1.0


def test_a_schedule_of_ones_own():
    with registry.isolated():
        unnamed = SGD(Fast())
        with pytest.raises(
            ArgumentError, match="schedule must have a name, and .*, to be written, got 'F"
        ):
            unnamed.state()
        registry.schedules.register("acme.fast", Fast)
        assert unnamed.state()["schedule"] == ["acme.fast", {"learning_rate": None, "warm_up": 0}]
        parameter = Parameter(np.ones(1))
        for _ in range(2):
            unnamed.update({"w": parameter}, {"w": np.ones(1)})
        before = parameter.value.copy()
        with pytest.raises(ArgumentError, match="fast: the share must be .* at step 2, got -1"):
            unnamed.update({"w": parameter}, {"w": np.ones(1)})
        assert_bits_equal(parameter.value, before)
        assert unnamed.steps_taken == 2


@pytest.mark.parametrize(
    ("rate", "error", "words"),
    [
        ("cosin", ConfigError, "schedule must be a registered name.*did you mean 'cosine'"),
        ("cosine", ConfigError, "steps is missing, CosineDecay needs steps"),
        (("cosine", {"step": 3}), ConfigError, "step is unknown.*did you mean 'steps'"),
        (("cosine", {"T_max": 3}), ConfigError, "did you mean 'steps'"),
        (("CosineAnnealingLR", {"T_max": 3}), ConfigError, "did you mean 'cosine'"),
        (("StepLR", {}), ConfigError, "did you mean 'step'"),
        (("step", {"step_size": 3}), ConfigError, "did you mean 'steps'"),
        (("exponential", {"gamma": 0.9}), ConfigError, "did you mean 'factor'"),
        (("cosine", {"steps": 5, "warm_up": 5}), ArgumentError, "warm_up must be less than steps"),
        (("cosine", {"steps": 0}), ArgumentError, "cosine: steps must be at least 1"),
        (("cosine", {"steps": 9, "final": 1.5}), ArgumentError, "final must be at least 0 and at"),
        (("step", {"steps": 1.5}), ArgumentTypeError, "step: steps must be one .* or several"),
        (("step", {"steps": []}), ArgumentError, "step: steps must be one number of steps"),
        (("step", {"steps": [3, 3]}), ArgumentError, "or several that increase"),
        (("step", {"steps": 3, "factor": 0}), ArgumentError, "factor must be positive and finite"),
        (("exponential", {"factor": 1, "warm_up": -1}), ArgumentError, "warm_up must be at least"),
        (("constant", {"learning_rate": -1}), ArgumentError, "learning_rate must be at least 0"),
        (lambda step: 0.1, ArgumentTypeError, "learning_rate must be a number, or a schedule"),
        (CosineDecay, ArgumentTypeError, "learning_rate must be a number, or a schedule"),
        (("cosine", 3), ConfigError, "must be a name"),
        ("0.1", ArgumentTypeError, "must be a number, or a schedule, got '0.1'; such as 0.01"),
        (("exponential", {"factor": 1, "learning_rate": "x"}), ArgumentTypeError, "a number"),
    ],
)
def test_what_is_no_rate_is_refused(rate, error, words):
    with pytest.raises(error, match=words):
        SGD(rate)


def test_what_grows_beyond_all_numbers_is_refused_when_it_does():
    sgd = SGD(ExponentialDecay(10.0))
    assert sgd.rate_at(2) == 1.0
    with pytest.raises(ArgumentError, match="exponential: the share must be .*finite at step 400"):
        sgd.rate_at(400)


def test_fit_counts_steps_from_compile_on():
    x, y = np.zeros((6, 1), "float32"), np.arange(6) % 2
    net = fastconv.Sequential([("Dense", {"units": 2})], input_shape=(1,), seed=0)
    rate = ("step", {"steps": 3, "factor": 0.5, "learning_rate": 1.0})
    net.compile(("sgd", {"learning_rate": rate}), "softmax_cross_entropy")
    first = net.fit(x, y, batch_size=2, epochs=2, verbose=0)  # three steps an epoch
    second = net.fit(x, y, batch_size=2, epochs=1, verbose=0)
    assert first.learning_rate == [1.0, 0.5] and second.learning_rate == [0.25]
    assert net.compiled.optimizer.learning_rate == 0.125
    net.compile(net.compiled.optimizer, "softmax_cross_entropy")
    assert net.compiled.optimizer.learning_rate == 1.0


def test_what_schedules_show():
    assert repr(ConstantRate()) == "ConstantRate(learning_rate=None, warm_up=0)"
    assert json.dumps(registry.spec_of(registry.schedules, StepDecay([1, 2]))) == (
        '["step", {"steps": [1, 2], "factor": 0.1, "learning_rate": null, "warm_up": 0}]'
    )
    assert registry.spec_of(registry.schedules, Fast()) is None


def test_a_schedule_that_keeps_no_setting_is_not_written():
    with registry.isolated():

        @registry.schedules.register("acme.forgets")
        class Forgets(Schedule):
            name = "forgets"

            def __init__(self, pace):
                super().__init__()
                self._pace = pace

            def share(self, step):
                return self._pace

        assert registry.own_settings(Forgets(2.0)) == {}
        assert registry.spec_of(registry.schedules, Forgets(2.0)) is None
        optimizer = SGD(learning_rate=Forgets(2.0))
        with pytest.raises(ArgumentError, match="must have a name, and an attribute for each sett"):
            optimizer.settings()


def test_a_class_without_a_name_is_called_by_that_of_the_class():
    class Rising(Schedule):
        def share(self, step):
            return -1.0

    with pytest.raises(ArgumentError, match="^Rising: warm_up must be at least 0, got -1"):
        Rising(warm_up=-1)
    with pytest.raises(ArgumentError, match="^Rising: the share must be .* at step 3, got -1.0"):
        Rising()(3)
    assert Rising.name == "Rising" and StepDecay.name == "step"
