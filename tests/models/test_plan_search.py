"""How plans within limits are looked for: little work, and the same care for every row count."""

from __future__ import annotations

import pytest
from networks import random_like, traced
from test_limits import chain, forget_packed, least, residual

import fastconv
from fastconv.models.planning import fit_inference, segments, tally
from fastconv.models.running import schedule


def counted(monkeypatch, owner, name) -> list:
    """Note each call of a method."""
    calls: list = []
    original = getattr(owner, name)

    def method(self, *args, **kwargs):
        calls.append(args)
        return original(self, *args, **kwargs)

    monkeypatch.setattr(owner, name, method)
    return calls


def test_a_way_serves_all_numbers_of_rows_near_by(monkeypatch, rng):
    net = chain()
    x = random_like(net, rng, 40)
    limit = int(1.5 * least(lambda **k: net.plan(40, **k)))
    searches = counted(monkeypatch, fit_inference.InferenceFit, "_way")
    for rows in (36, 33, 40, 38):
        net.predict(x[:rows], memory_limit=limit)
    assert len(searches) == 1
    net.predict(x[:20], memory_limit=limit)
    assert len(searches) == 2


@pytest.mark.parametrize("frozen", [False, True])
@pytest.mark.parametrize("make", [residual, chain])
def test_every_number_of_rows_keeps_within_the_limit(make, frozen):
    net = make().for_inference() if frozen else make()
    for rows in (1, 2, 9, 17, 39, 57):
        figure = least(lambda rows=rows, **k: net.plan(rows, **k))
        for factor in (1, 1.02, 1.4, 3):
            limit = int(factor * figure)
            assert net.plan(rows, memory_limit=limit).peak <= limit


def test_a_row_more_than_fits_with_the_neighbours_is_planned_alone(rng):
    net = chain()
    figure = least(lambda **k: net.plan(33, **k))  # 40 rows have more results
    assert least(lambda **k: net.plan(40, **k)) > figure
    assert net.plan(33, memory_limit=figure).peak <= figure
    x = random_like(net, rng, 33)
    forget_packed(net)
    assert traced(lambda: net.predict(x, memory_limit=figure)) <= figure + 120_000


def images(size: int = 28) -> fastconv.Sequential:
    """A network whose results are as large as its activations."""
    conv = ("Conv2D", {"filters": 64, "kernel_size": 3, "padding": 1})
    return fastconv.Sequential([conv, "ReLU", conv, "ReLU", conv], (64, size, size), seed=0)


@pytest.mark.parametrize("factor", [1, 1.001, 1.003, 1.01, 1.03, 1.1])
def test_what_was_planned_before_decides_nothing(factor):
    limit = int(factor * least(lambda **k: images().plan(40, **k)))
    orders = (33, 37, 40), (40, 37, 33), (37, 40, 33)
    found = []
    for order in orders:
        net = images()
        plans = {rows: net.plan(rows, memory_limit=limit) for rows in order}
        assert all(plan.peak <= limit for plan in plans.values())
        found.append([(plan.nodes, plan.program) for _, plan in sorted(plans.items())])
    assert found[0] == found[1] == found[2]


def test_a_plan_counts_what_lives_once(monkeypatch):
    net = residual(blocks=8)
    limit = int(1.5 * least(lambda **k: net.plan(64, **k)))
    made = counted(monkeypatch, tally.Tally, "inference")
    net.plan(64, memory_limit=limit)
    assert len(made) == 1


def test_segments_are_looked_for_once_for_limits_that_lead_to_the_same(monkeypatch):
    net = residual()
    searches = counted(monkeypatch, segments.Segmenter, "_search")
    net.plan(8, training=True, memory_limit=int(0.8 * net.plan(8, training=True).peak))
    assert 0 < len(searches) < 20  # halving the bytes takes more steps than that


def test_what_crosses_into_an_operation():
    net = residual(blocks=2)
    found = schedule(net._graph, net._graph.outputs, merge=True)
    for at, values in enumerate(found.crossings):
        made = [op.target for op in found.operations[:at]]
        read = {source for op in found.operations[at:] for source in op.sources}
        assert values == tuple(v for v in made if v in read | set(found.outputs))
