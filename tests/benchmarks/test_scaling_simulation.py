"""The simulation takes the formula's time if no rank is late, and what chance adds if one is."""

from __future__ import annotations

from dataclasses import replace

import pytest

pytestmark = pytest.mark.usefixtures("own_modules")
RANKS = (1, 2, 3, 4, 5, 8, 12)
ALGORITHMS = ("ring", "tree", "hierarchical", "fixed")


@pytest.fixture
def cluster(constants):
    def make(ranks: int, per_machine: int = 1):
        link, inner = constants.Link(1e-4, 1e-5, 1e8), constants.Link(1e-6, 1e-7, 1e10)
        return constants.Cluster(ranks, link, 1e-10, per_machine, inner)

    return make


# Events.


def test_signals_may_come_before_and_after_those_who_wait(events):
    simulation, log = events.Simulation(), []
    early, never_late = events.Signal(), events.Signal()

    def gives():
        early.give(simulation)
        yield 1.0
        never_late.give(simulation)

    def waits(name, signal):
        yield signal
        log.append((name, simulation.now))

    simulation.start(gives())
    for name, signal in (("a", early), ("b", never_late), ("c", never_late)):
        simulation.start(waits(name, signal))
    assert simulation.run() == 1.0
    assert log == [("a", 0.0), ("b", 1.0), ("c", 1.0)]


def test_waiting_for_ever_is_an_error(events):
    def waits():
        yield events.Signal()

    simulation = events.Simulation()
    simulation.start(waits())
    with pytest.raises(RuntimeError, match="1 processes wait for ever"):
        simulation.run()


# Steps of which no rank is late.


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("ranks", RANKS)
@pytest.mark.parametrize("buckets, overlap", [(1, False), (3, False), (3, True), (8, True)])
def test_a_step_takes_what_the_formula_says(
    constants, model, simulation, work, cluster, algorithm, ranks, buckets, overlap
):
    job = constants.Job(240, ranks, algorithm, buckets, overlap)
    made = cluster(ranks)
    found, wanted = simulation.simulate(work, made, job), model.step(work, made, job).seconds
    if algorithm == "tree" and ranks & (ranks - 1):  # some ranks need not wait for a round
        assert 0.8 * wanted < found < wanted
    else:
        assert found == pytest.approx(wanted, rel=1e-12)


@pytest.mark.parametrize("ranks", RANKS)
def test_so_it_does_where_ranks_have_unequal_pieces(
    constants, model, simulation, work, cluster, ranks
):
    made = cluster(ranks)
    for algorithm, crowding in (("ring", 1e-12), ("fixed", 0.05)):
        job = constants.Job(256, 16, algorithm, 2)
        found, wanted = simulation.simulate(work, made, job), model.step(work, made, job).seconds
        # what those send who began earlier may be in the way of the others
        assert wanted * (1 - 1e-12) < found < wanted * (1 + crowding)


def test_a_tree_may_begin_before_the_last_rank_is_there(
    constants, model, simulation, work, cluster
):
    job, made = constants.Job(256, 16, "tree"), cluster(3)
    assert simulation.simulate(work, made, job) < model.step(work, made, job).seconds


@pytest.mark.parametrize("ranks, per_machine", [(4, 2), (8, 4), (12, 3), (16, 16)])
def test_a_hierarchical_sum_takes_what_the_formula_says(
    constants, model, simulation, work, cluster, ranks, per_machine
):
    job, made = constants.Job(240, ranks, "hierarchical", 3), cluster(ranks, per_machine)
    assert simulation.simulate(work, made, job) == pytest.approx(
        model.step(work, made, job).seconds, rel=1e-12
    )


# Late ranks.


@pytest.mark.parametrize("algorithm", ["ring", "fixed"])
@pytest.mark.parametrize("rank", range(5))
def test_all_wait_for_the_latest(constants, simulation, work, cluster, algorithm, rank):
    job = constants.Job(240, 5, algorithm)
    late = [0.001 * r for r in range(5)]
    late[rank] = 0.5
    on_time, waited = (simulation.simulate(work, cluster(5), job, each) for each in (None, late))
    assert waited == pytest.approx(on_time + 0.5, rel=1e-12)


def test_a_later_rank_makes_no_step_shorter(constants, simulation, work, cluster, rng):
    for algorithm in ALGORITHMS:
        job, made = constants.Job(240, 12, algorithm, 3, True), cluster(12, 3)
        late = list(simulation.exponential_delays(rng, 0.02, 12))
        before = simulation.simulate(work, made, job, late)
        for rank in range(12):
            later = [each + 0.05 * (r == rank) for r, each in enumerate(late)]
            after = simulation.simulate(work, made, job, later)
            # of messages that come at once, another one may be the first
            assert after >= before * (1 if algorithm != "fixed" else 0.99)


def test_delays_of_chance_cost_the_harmonic_number(constants, simulation, work, cluster, rng):
    """The latest of n exponential delays is late by 1 + 1/2 + ... + 1/n times their mean."""
    job, made, mean = constants.Job(240, 4), cluster(4), 0.02
    on_time = simulation.simulate(work, made, job)
    lost = [
        simulation.simulate(work, made, job, simulation.exponential_delays(rng, mean, 4)) - on_time
        for _ in range(900)
    ]
    harmonic = 1 + 1 / 2 + 1 / 3 + 1 / 4
    # their standard deviation is 1.2 times the mean, so four errors of 900 are 0.16 of it
    assert sum(lost) / len(lost) == pytest.approx(harmonic * mean, abs=0.16 * mean)


def test_one_slow_machine_slows_all(constants, model, simulation, work, cluster):
    job, made = constants.Job(240, 8), cluster(8)
    step = model.step(work, made, job)
    late = [0.0] * 7 + [step.compute]  # half as fast
    assert simulation.simulate(work, made, job, late) == pytest.approx(step.seconds + step.compute)
    slow = model.step(replace(work, row=2e-3, piece=4e-3), made, job)
    assert slow.seconds == pytest.approx(step.seconds + step.compute)
