"""The cost model: its table, shipped or measured here, and what follows from it."""

from __future__ import annotations

import json
import subprocess
import sys
import warnings
from dataclasses import asdict, fields, replace

import numpy as np
import pytest

import fastconv
from fastconv import costs, functional, kernels
from fastconv.costs import SHIPPED, Table, local
from fastconv.errors import ArgumentError, CostTableWarning
from fastconv.functional import choosing
from fastconv.geometry import SLAB_BYTES, Conv2DGeometry
from fastconv.options import ConvOptions

ISA = fastconv.active_isa()


@pytest.fixture
def fresh(monkeypatch, tmp_path):
    """A cache folder of its own, and nothing remembered before or after."""

    def forget() -> None:
        local.source.cache_clear()
        local._warn.cache_clear()
        choosing.decide.cache_clear()

    monkeypatch.delenv("FASTCONV_COSTS", raising=False)
    for variable in ("XDG_CACHE_HOME", "LOCALAPPDATA", "HOME"):
        monkeypatch.setenv(variable, str(tmp_path))
    forget()
    yield tmp_path
    monkeypatch.undo()
    forget()


def test_every_instruction_set_has_a_table():
    assert tuple(SHIPPED) == kernels.KNOWN
    for table in SHIPPED.values():
        assert all(value > 0 for value in asdict(table).values())


def test_without_a_file_the_shipped_table_serves(fresh):
    assert local.source(ISA) == (SHIPPED[ISA], None, "")
    assert costs.active(ISA) == SHIPPED[ISA]


def test_a_saved_table_serves_the_same_processor(fresh, monkeypatch):
    table = replace(SHIPPED[ISA], rate=33.0)
    path = local.save(table, ISA)
    assert path.is_relative_to(fresh) and [path] == list(path.parent.iterdir())
    assert costs.active(ISA) == table
    assert local.source(ISA).path == str(path)
    found = json.loads(path.read_text())
    assert found["format"] == "fastconv-costs/2" and found["processor"] == local.processor()
    monkeypatch.setattr(local, "processor", lambda: "another: one/../x")
    local.source.cache_clear()
    assert local.cache_path(ISA).parent == path.parent
    assert costs.active(ISA) == SHIPPED[ISA]


def test_the_variable_chooses(fresh, monkeypatch, tmp_path):
    path = tmp_path / "mine.json"
    path.write_text(local.to_json(replace(SHIPPED[ISA], rate=7.0), ISA))
    local.save(replace(SHIPPED[ISA], rate=33.0), ISA)
    for value, rate in (("shipped", SHIPPED[ISA].rate), (str(path), 7.0), ("", 33.0)):
        monkeypatch.setenv("FASTCONV_COSTS", value)
        local.source.cache_clear()
        assert costs.active(ISA).rate == rate


def test_a_named_file_that_is_not_there_is_an_error(fresh, monkeypatch):
    monkeypatch.setenv("FASTCONV_COSTS", str(fresh / "none.json"))
    with pytest.raises(ArgumentError, match="FASTCONV_COSTS must be 'shipped' or .*none.json"):
        fastconv.conv2d_costs((1, 3, 9, 9), (4, 3, 3, 3))


GOOD = json.loads(local.to_json(SHIPPED[ISA], ISA))
BROKEN = {
    "empty": "",
    "cut": local.to_json(SHIPPED[ISA], ISA)[:-20],
    "a list": "[]",
    "another format": json.dumps({**GOOD, "format": "fastconv-costs/1"}),
    "another instruction set": json.dumps({**GOOD, "isa": "sse9"}),
    "a constant too few": json.dumps({**GOOD, "table": {"rate": 1.0}}),
    "a constant too many": json.dumps({**GOOD, "table": {**GOOD["table"], "x": 1}}),
    "zero": json.dumps({**GOOD, "table": {**GOOD["table"], "rate": 0}}),
    "NaN": json.dumps({**GOOD, "table": {**GOOD["table"], "rate": float("nan")}}),
    "a huge integer": json.dumps({**GOOD, "table": {**GOOD["table"], "rate": 10**400}}),
    "a word": json.dumps({**GOOD, "table": {**GOOD["table"], "rate": "fast"}}),
    "true": json.dumps({**GOOD, "table": {**GOOD["table"], "rate": True}}),
    "deep": "[" * 100_000,
    "bytes": b"\xff\xfe\x00",
}


@pytest.mark.parametrize("content", BROKEN.values(), ids=BROKEN)
def test_a_broken_file_warns_once_and_the_shipped_table_serves(fresh, content):
    path = local.cache_path(ISA)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    shapes = (1, 3, 9, 9), (4, 3, 3, 3)
    with pytest.warns(CostTableWarning, match="the shipped table serves") as caught:
        first = fastconv.conv2d_costs(*shapes)
    assert len(caught) == 1
    assert str(path) in str(caught[0].message)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        again = fastconv.conv2d_costs((1, 3, 10, 10), (4, 3, 3, 3))
    assert first["direct"].seconds > 0 and again["direct"].seconds > 0
    assert costs.active(ISA) == SHIPPED[ISA]


def test_another_table_is_another_choice(fresh, normal):
    """The bits of auto depend on it; those of strict do not."""
    x, weight = normal((1, 64, 28, 28)), normal((64, 64, 3, 3))
    strict = fastconv.conv2d(x, weight, precision="strict")
    assert fastconv.conv2d_costs(x.shape, weight.shape).choice == "winograd"
    slow = replace(SHIPPED[ISA], input2=1e3, input4=1e3)
    local.save(slow, ISA)
    choosing.decide.cache_clear()
    assert fastconv.conv2d_costs(x.shape, weight.shape).choice == "direct"
    assert fastconv.conv2d(x, weight).tobytes() == strict.tobytes()
    unfolds = replace(slow, rate=0.1, unfold=1e6, few=1e-3, fold=1e6)
    local.save(unfolds, ISA)
    # more taps than the kernel that folds in the cache holds
    backward = fastconv.conv2d_costs((1, 1, 28, 28), (32, 1, 13, 13), direction="backward")
    assert backward.choice == "im2col_tiled"


def test_importing_reads_no_table(environment, fresh):
    local.cache_path(ISA).parent.mkdir(parents=True, exist_ok=True)
    local.cache_path(ISA).write_text("broken")
    code = (
        "import fastconv, sys; from fastconv.costs import local; "
        "assert local.source.cache_info().currsize == 0; "
        "assert 'fastconv.tuning' not in sys.modules"
    )
    given = {name: value for name, value in environment.items() if name != "FASTCONV_COSTS"}
    given |= {"XDG_CACHE_HOME": str(fresh)}
    subprocess.run([sys.executable, "-W", "error", "-c", code], env=given, check=True)


def geometry(x_shape, weight_shape, padding=0, groups=1) -> Conv2DGeometry:
    return Conv2DGeometry.make("test", x_shape, weight_shape, 1, padding, 1, groups)


def test_slabs_are_what_they_say():
    """Never more than asked for, never less than a unit, and no more slabs than that needs."""
    rng = np.random.default_rng(11)
    for _ in range(2000):
        n, c, h, w, r = (int(rng.integers(1, most)) for most in (9, 5, 30, 30, 6))
        g = geometry((n, c, h + r, w + r), (3, c, r, r))
        unit = int(rng.choice([1, g.chunk_rows]))
        row = g.unfolded_bytes(1, 1, 4)
        most = int(rng.integers(0, 3 * g.unfolded_bytes(n, g.OH, 4)))
        images, rows = g.slab(most, unit, 4)
        assert 1 <= images <= n and 1 <= rows <= g.OH
        assert rows == g.OH or (images == 1 and rows % unit == 0)
        assert images * rows * row <= most or (images == 1 and rows == min(unit, g.OH))
        if images > 1 or (rows == g.OH and most >= 2 * g.OH * row):
            assert -(-n // images) == -(-n // min(n, most // (g.OH * row)))
        assert g.unfolded_bytes(images, rows, 4) <= g.unfolded_bytes(n, g.OH, 4)


def test_auto_never_takes_more_than_a_slab_to_unfold():
    for h in (8, 56, 300):
        for c, k in ((1, 30), (3, 64), (64, 64)):
            for direction in ("forward", "backward"):
                found = fastconv.conv2d_costs(
                    (16, c, h, h), (k, c, 5, 5), direction=direction, padding=2
                )
                assert found.choice != "im2col"
                sums = found["direct"].workspace
                row = found["im2col_tiled"].least - sums
                if found.choice != "winograd":
                    assert found[found.choice].workspace - sums <= max(SLAB_BYTES, row)


@pytest.mark.parametrize("direction", ["forward", "backward"])
def test_auto_is_the_fastest_that_fits(direction):
    """By the model's own figures, for every limit around the least that something needs: those of
    one image forward, and of a small batch for gradients."""
    images = 1 if direction == "forward" else 8
    for x_shape, weight_shape in (
        ((2, 3, 97, 97), (64, 3, 7, 7)),
        ((2, 64, 28, 28), (64, 64, 3, 3)),
        ((4, 1, 28, 28), (30, 1, 5, 5)),
    ):
        given = {"padding": 1, "direction": direction}
        free = fastconv.conv2d_costs(x_shape, weight_shape, **given)
        for least in sorted({cost.least for cost in free.values()}):
            for limit in (max(0, least - 1), least):
                found = fastconv.conv2d_costs(x_shape, weight_shape, workspace_limit=limit, **given)
                typical = fastconv.conv2d_costs(
                    (images, *x_shape[1:]), weight_shape, workspace_limit=limit, threads=1, **given
                )
                fitting = [
                    name
                    for name in found
                    if name == "direct" or (name != "im2col" and found[name].least <= limit)
                ]
                fastest = min(fitting, key=lambda name: typical[name].seconds)
                assert typical[found.choice].seconds == typical[fastest].seconds
                if found[found.choice].least <= limit:
                    assert found[found.choice].workspace <= limit


def test_seconds_grow_with_the_work():
    table = Table(**{field.name: 1.0 for field in fields(Table)})
    on = costs.Target(table, 4, 32, 14, 128, 4096)
    for direction in ("forward", "input", "backward"):
        small, large = (
            costs.convolution_costs(
                geometry((n, 16, 20, 20), (32, 16, 3, 3)),
                on,
                direction,
                ConvOptions(precision="fast"),
                1,
            )
            for n in (1, 3)
        )
        for name, cost in small.items():
            assert 0 < cost.seconds < large[name].seconds


def test_the_layer_prices_what_the_functions_take():
    layer = fastconv.layers.Conv2D(16, 3, algorithm="im2col_tiled")
    spec = fastconv.Spec((8, 20, 20))
    direct = functional.conv2d_costs((4, 8, 20, 20), (16, 8, 3, 3))
    assert layer.costs(4, spec).workspace == direct["im2col_tiled"].workspace
    least = direct["im2col_tiled"].least
    assert layer.costs(4, spec, workspace_limit=least).workspace == least
    # a layer states what it would take; the plan, and the call, refuse
    assert layer.costs(4, spec, workspace_limit=least - 1).least == least
    net = fastconv.Sequential([layer], (8, 20, 20))
    with pytest.raises(fastconv.MemoryLimitError, match=f"at least {least} bytes"):
        net.plan(4, workspace_limit=least - 1)
    auto = fastconv.Sequential([("Conv2D", {"filters": 16, "kernel_size": 3})], (8, 20, 20))
    with pytest.raises(fastconv.MemoryLimitError, match="plan: workspace_limit"):
        auto.plan(4, training=True, workspace_limit=0)


@pytest.mark.parametrize(
    "given",
    [{}, {"padding": 1}, {"padding": ((2, 0), (1, 3)), "stride": 2}, {"padding": 3, "dilation": 2}],
    ids=str,
)
def test_products_in_the_padding_are_known(given):
    given = {"stride": 1, "padding": 0, "dilation": 1, "groups": 1, **given}
    g = Conv2DGeometry.make("test", (1, 1, 7, 9), (1, 1, 3, 2), **given)
    ones = np.ones((1, 1, 7, 9)), np.ones((1, 1, 3, 2))
    products = fastconv.conv2d(*ones, **given).sum()  # one for each that is not with a zero
    assert g.inside == pytest.approx(products / g.multiply_adds)
