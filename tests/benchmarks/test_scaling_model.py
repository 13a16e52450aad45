"""Sums over ranks take the messages that their formulas count, and steps what their parts take."""

from __future__ import annotations

import collections
import doctest
import importlib
import math
from dataclasses import replace

import pytest

pytestmark = pytest.mark.usefixtures("own_modules")
RANKS = (1, 2, 3, 4, 6, 7, 8, 16)
ALGORITHMS = ("ring", "tree", "hierarchical", "fixed")


@pytest.fixture
def link(constants):
    return constants.Link(latency=1e-4, overhead=1e-5, bandwidth=1e8)


@pytest.mark.parametrize("name", ["collectives", "events"])
def test_the_examples_run(name):
    found = doctest.testmod(importlib.import_module(f"scaling.{name}"))
    assert found.attempted and not found.failed


# Bytes and messages.


@pytest.mark.parametrize("ranks", RANKS)
def test_a_ring_sends_two_times_all_but_one_part(collectives, constants, link, ranks):
    sent = collectives.leaving("ring", constants.Cluster(ranks, link), 1.0, ranks)
    assert sent == pytest.approx(2 * (ranks - 1) / ranks)


@pytest.mark.parametrize("ranks", RANKS)
def test_the_fixed_tree_sends_what_a_ring_sends_if_each_rank_has_one_piece(
    collectives, constants, link, ranks
):
    cluster = constants.Cluster(ranks, link)
    fixed, ring = (collectives.leaving(name, cluster, 1.0, ranks) for name in ("fixed", "ring"))
    assert fixed == pytest.approx(ring)


def test_a_hierarchical_sum_leaves_a_machine_once_for_all_its_ranks(collectives, constants, link):
    cluster = constants.Cluster(32, link, ranks_per_machine=8)
    sent = {name: collectives.leaving(name, cluster, 1.0, 32) for name in ALGORITHMS}
    assert sent["hierarchical"] == pytest.approx(2 * 3 / 4)
    # each of the 8 ranks sends a slice to 24 others elsewhere, in both passes
    assert sent["fixed"] == pytest.approx(2 * 8 * 24 / 32) == 8 * sent["hierarchical"]


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("ranks", RANKS)
def test_no_rank_sends_to_itself_or_is_crowded(collectives, constants, link, algorithm, ranks):
    for messages in collectives.rounds(algorithm, constants.Cluster(ranks, link), 1.0, ranks):
        assert not any(m.sender == m.receiver for m in messages)
        turns = collections.Counter(m.sender for m in messages)
        most = max(turns.values(), default=0)
        for turn in range(most):  # the next message of every rank
            nth: dict[int, list] = {}
            for m in messages:
                nth.setdefault(m.sender, []).append(m.receiver)
            receivers = [found[turn] for found in nth.values() if turn < len(found)]
            assert len(set(receivers)) == len(receivers)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("ranks", RANKS)
def test_a_sum_adds_every_byte_of_the_others_once(collectives, constants, link, algorithm, ranks):
    every = collectives.rounds(algorithm, constants.Cluster(ranks, link), 1.0, ranks)
    added = sum(message.added for messages in every for message in messages)
    assert added == pytest.approx(ranks - 1)


def test_a_tree_has_rounds_by_the_logarithm(collectives, constants, link):
    for ranks in RANKS:
        cluster = constants.Cluster(ranks, link)
        assert len(list(collectives.rounds("tree", cluster, 1.0, ranks))) == 2 * math.ceil(
            math.log2(ranks)
        )


def test_many_ranks_prefer_a_tree_for_few_bytes_and_a_ring_for_many(collectives, constants, link):
    cluster = constants.Cluster(64, link)
    few, many = (
        {name: collectives.seconds(name, cluster, nbytes, 64) for name in ("ring", "tree")}
        for nbytes in (100.0, 1e8)
    )
    assert few["tree"] < few["ring"] / 5 and many["ring"] < many["tree"] / 5


def test_powers_of_two_send_one_partial_sum_and_others_more(collectives):
    for ranks in (1, 2, 4, 8, 16):
        assert collectives.partial_sums(16, ranks) == 1
    found = {ranks: collectives.partial_sums(16, ranks) for ranks in (3, 5, 6, 7, 12, 100)}
    assert found == {3: 3, 5: 2, 6: 2, 7: 2, 12: 1, 100: 1}


def test_a_cluster_has_whole_machines(constants, link):
    with pytest.raises(ValueError, match="multiple of ranks_per_machine.*got 6"):
        constants.Cluster(6, link, ranks_per_machine=4)


# Steps.


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_one_rank_computes_and_sends_nothing(constants, model, link, work, algorithm):
    cluster, job = constants.Cluster(1, link, adding=1e-9), constants.Job(256, 1, algorithm)
    step = model.step(work, cluster, job)
    assert step.waiting == 0
    assert step.seconds == pytest.approx(256e-3 + 2e-3 + 3e-3)
    assert model.speedup(work, cluster, job) == 1


def test_a_step_is_the_sum_that_one_writes_by_hand(constants, model, link, work):
    step = model.step(work, constants.Cluster(4, link, 1e-9), constants.Job(256, 16))
    assert step.compute == pytest.approx(4 * 2e-3 + 64 * 1e-3)
    # four pieces become one partial sum, whose slices go to three others; so do their sums
    assert step.waiting == pytest.approx(2 * (3 * (1e-5 + 1e6 / 1e8) + 1e-4) + 3 * 1e6 * 1e-9)


def test_more_ranks_than_pieces_bring_nothing(constants, model, work):
    fast = constants.Link(0.0, 0.0, 1e15)
    times = [
        model.step(work, constants.Cluster(n, fast), constants.Job(256, 16)).compute
        for n in (8, 15, 16, 17, 64)
    ]
    assert times[0] == times[1] > times[2] == times[3] == times[4]


def test_a_network_without_cost_gives_speedup_by_ranks(constants, model):
    free, work = (
        constants.Link(0.0, 0.0, math.inf),
        constants.Work("network", 10**6, 1e-3, 0.0, 0.0),
    )
    for n in RANKS:
        job = constants.Job(240 * 7, n)
        assert model.speedup(work, constants.Cluster(n, free), job) == pytest.approx(n)
        one = constants.Job(64, 1)
        assert model.weak(work, constants.Cluster(n, free), one) == pytest.approx(n)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_what_is_slower_makes_no_step_shorter(constants, model, link, work, algorithm):
    cluster, job = constants.Cluster(8, link, 1e-10), constants.Job(256, 16, algorithm, 4, True)
    base = model.step(work, cluster, job).seconds
    for changed in (
        replace(cluster, link=replace(link, latency=1e-3)),
        replace(cluster, link=replace(link, overhead=1e-3)),
        replace(cluster, link=replace(link, bandwidth=1e7)),
        replace(cluster, adding=1e-9),
    ):
        assert model.step(work, changed, job).seconds > base
    for field in ("parameter_bytes", "row", "piece", "step"):
        slower = replace(work, **{field: 2 * getattr(work, field)})
        assert model.step(slower, cluster, job).seconds > base
    assert model.step(work, cluster, replace(job, batch=512)).seconds > base


def test_overlap_hides_no_more_than_the_backward_pass(constants, model, link, work):
    cluster = constants.Cluster(4, link)
    job = constants.Job(256, 4, buckets=4)
    plain, hidden = (model.step(work, cluster, replace(job, overlap=o)) for o in (False, True))
    last = plain.waiting / 4
    ready = model.BACKWARD * plain.compute * 3 / 4
    assert hidden.waiting == pytest.approx(max(last, plain.waiting - ready))
    assert hidden.waiting < plain.waiting


def test_the_furthest_ranks_that_are_half_used(model):
    assert model.furthest((1, 2, 4, 8), (1, 1.9, 2.4, 3)) == 4
    assert model.furthest((2, 4), (0.5, 0.4)) == 1
