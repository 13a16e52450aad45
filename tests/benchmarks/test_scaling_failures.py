"""Runs with failures take as long as Daly says, and least at the intervals of his and Young's."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

pytestmark = pytest.mark.usefixtures("own_modules")


@pytest.fixture
def faults(failures):
    """64 machines; one of them fails every 78 minutes."""
    return failures.Faults(machines=64, lifetime=3e5, checkpoint=20.0, restart=60.0)


def steady() -> float:
    return 1.0


def times(failures, faults, every: int, rng, steps: int = 16_000, runs: int = 60):
    return np.array([failures.run(steps, every, faults, steady, rng).seconds for _ in range(runs)])


def test_without_failures_a_run_is_steps_and_checkpoints(failures, faults, rng):
    never = replace(faults, lifetime=1e30)
    found = failures.run(1000, 300, never, steady, rng)
    assert found == failures.Outcome(1000 + 4 * 20.0, 0, 0)
    assert failures.expected(900.0, 300.0, never) == pytest.approx(900 + 3 * 20)


@pytest.mark.parametrize("every", [50, 400, 1600])
def test_a_run_takes_what_the_formula_says(failures, faults, rng, every):
    found = times(failures, faults, every, rng)
    wanted = failures.expected(16_000.0, every, faults)
    error = found.std() / math.sqrt(len(found))
    assert error < 0.02 * wanted
    assert abs(found.mean() - wanted) < 4 * error


def test_young_and_daly_are_where_the_formula_is_least(failures, faults):
    intervals = np.arange(5.0, 5000.0, 5.0)
    costs = np.array([failures.expected(1e5, each, faults) for each in intervals])
    best = intervals[costs.argmin()]
    assert failures.daly(faults) == pytest.approx(best, rel=0.02)
    assert failures.young(faults) == pytest.approx(best, rel=0.05)
    frequent = replace(faults, lifetime=64 * 200.0)  # one in 200 seconds: Young is too long
    costs = np.array([failures.expected(1e5, each, frequent) for each in intervals])
    best = intervals[costs.argmin()]
    assert abs(failures.daly(frequent) - best) < abs(failures.young(frequent) - best)


def test_the_simulation_is_least_there_too(failures, faults, rng):
    at = round(failures.daly(faults))
    best, *others = (
        times(failures, faults, every, rng, 15_960).mean() for every in (at, at // 5, at * 5)
    )
    assert best < 0.95 * min(others)


def test_a_checkpoint_that_takes_longer_than_machines_last(failures, faults):
    short = replace(faults, checkpoint=1e5)
    assert failures.daly(short) == short.between


def test_more_machines_and_dearer_restarts_cost_more(failures, faults):
    base = failures.expected(1e5, 400.0, faults)
    for worse in ({"machines": 128}, {"lifetime": 1e5}, {"restart": 120.0}, {"checkpoint": 40.0}):
        assert failures.expected(1e5, 400.0, replace(faults, **worse)) > base


def test_failures_and_steps_in_vain_are_counted(failures, faults, rng):
    runs = [failures.run(16_000, 400, faults, steady, rng) for _ in range(60)]
    seconds, count, again = (
        np.mean([getattr(run, name) for run in runs]) for name in ("seconds", "failures", "again")
    )
    assert count == pytest.approx(seconds / faults.between, rel=0.15)
    assert again == pytest.approx(count * 400 / 2, rel=0.15)  # half an interval each


def test_late_ranks_and_failures_in_one_run(constants, simulation, failures, work, faults, rng):
    """Steps whose time is the simulation's, messages, late ranks and all."""
    cluster, job = constants.Cluster(4, constants.Link(1e-4, 1e-5, 1e8)), constants.Job(240, 4)
    made = []

    def step() -> float:
        late = simulation.exponential_delays(rng, 0.05, 4)
        made.append(simulation.simulate(work, cluster, job, late))
        return made[-1]

    few = replace(faults, machines=4, lifetime=160.0, checkpoint=1.0, restart=2.0)
    found = failures.run(1000, 50, few, step, rng)
    assert found.failures > 0 and found.again > 0
    assert len(made) == 1000 + found.again
    least = sum(made) + 20 * few.checkpoint + few.restart
    assert least < found.seconds < least + (few.restart + few.checkpoint) * found.failures + 1
