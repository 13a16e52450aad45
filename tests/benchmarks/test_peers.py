"""What `make peers` counts and writes: checked without a peer, and without a time."""

from __future__ import annotations

import dataclasses
import importlib
import json
import os
import shutil
import signal
import subprocess
import sys
from functools import partial
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

import fastconv

pytestmark = pytest.mark.usefixtures("own_modules")


def peers(name: str) -> ModuleType:
    """A module of the comparison, as ``python -m peers`` imports it."""
    return importlib.import_module(f"peers.{name}")


def settings_of(*words: str):
    main = peers("__main__")
    return main.settings_from(main.parser().parse_args(words))


def times(seconds: float):
    return peers("timing").Times.of([seconds])


@pytest.fixture
def row():
    """A case in which the fastest peer is far from exact, and the next nearly exact enough."""
    seconds = {"ours": 4e-3, "wild": 1e-3, "fast": 2e-3, "exact": 3e-3}
    found = {"ours": 3e-7, "wild": 1e-3, "fast": 1e-5, "exact": 3e-6}
    return peers("table").Row("case", {k: times(v) for k, v in seconds.items()}, errors=found)


@pytest.mark.parametrize(
    ("within", "best"), [("strict", 3e-3), ("standard", 3e-3), ("fast", 2e-3), (None, 1e-3)]
)
def test_a_peer_counts_beside_the_precision_that_its_error_allows(row, within, best):
    limit = peers("exactness").LIMITS[within] if within else None
    ratio = peers("table").Ratio("r", "ours", ("wild", "fast", "exact"), within=limit)
    assert ratio.of(row) == pytest.approx(4e-3 / best)


def test_beside_direct_sums_only_direct_sums_count(row):
    table, forward = peers("table"), peers("tables.forward")
    row = dataclasses.replace(row, indirect=frozenset({"fast", "wild"}))
    ratio = table.Ratio("r", "ours", ("wild", "fast", "exact"), within=2e-5, direct=True)
    assert ratio.of(row) == pytest.approx(4 / 3)
    words = ["--algorithms", "direct", "winograd", "auto", "--precision", "strict", "fast"]
    direct = {
        one.label: one.direct for one in forward._ratios(settings_of(*words)) if one.tag is None
    }
    assert direct == {
        "direct / best peer": True,
        "winograd / best peer": False,
        "auto strict / best peer": True,
        "auto fast / best peer": False,
        "on arrays / best of PyTorch": False,
    }


def test_a_ratio_is_none_where_no_peer_is_exact_enough(row):
    ratio = peers("table").Ratio("r", "ours", ("wild",), within=2e-5)
    assert ratio.of(row) is None


def test_errors_are_parts_of_the_largest_element():
    exactness, contender = peers("exactness"), peers("contenders").Contender
    exact = np.array([1.0, -4.0])
    wrong = contender("wrong", lambda: np.array([1.0, -3.9], np.float32))
    assert exactness.errors([wrong], exact)["wrong"] == pytest.approx(0.025, rel=1e-5)
    shown = [exactness.shown(error) for error in (3e-7, 1e-5, 1e-3)]
    assert shown == ["3.0e-07", "1.0e-05 (fast)", "**1.0e-03** (counts nowhere)"]


def test_a_contender_may_be_allowed_a_larger_error_than_others():
    module = peers("contenders")
    right = module.Contender("right", lambda: np.ones(3))
    near = partial(module.Contender, "near", lambda: np.full(3, 1.001))
    with pytest.raises(module.WrongResult, match="case: near and right differ by 0.001"):
        module.check("case", [right, near()])
    module.check("case", [right, near(tolerance=1e-2)])


def test_the_report_shows_the_errors_under_their_table(row):
    table, report = peers("table"), peers("report")
    shown = report.markdown([table.Table("Title", ["note"], [], [row])], {}, "command", "isa")
    assert "| error | ours | wild | fast | exact |" in shown
    assert "| case | 3.0e-07 | **1.0e-03** (counts nowhere) | 1.0e-05 (fast) | 3.0e-06 |" in shown


def test_a_table_comes_back_from_json(row):
    table = peers("table")
    rows = [
        row,
        table.Row(
            "b",
            {"ours": times(1.0)},
            {"fact": "f"},
            frozenset({"tag"}),
            indirect=frozenset({"wild"}),
        ),
    ]
    ratios = [table.Ratio("r", "ours", ("wild", "exact"), within=5e-6)]
    given = table.Table("Title", ["note"], ratios, rows)
    back = table.Table.from_json(json.loads(json.dumps(given.to_json())))
    assert back.rows == given.rows
    assert (back.title, list(back.notes)) == (given.title, list(given.notes))
    assert [vars(r) for r in back.ratios] == [{**vars(r), "peers": list(r.peers)} for r in ratios]


def test_every_aim_is_of_a_ratio_that_is_reported():
    reports = sorted((Path(__file__).parents[2] / "docs" / "peers").glob("*.json"))
    summaries = [one for path in reports for one in json.loads(path.read_text())["summary"]]
    known = {(one["table"], one["ratio"]) for one in summaries}
    aims = {(table, ratio) for table, ratios in peers("aims").AIMS.items() for ratio in ratios}
    assert aims and aims <= known


def test_the_aim_is_that_of_the_class():
    aim_of = peers("aims").aim_of
    first = "Forward convolution, layers of 'first'"
    assert aim_of(first, "direct / best peer", "avx2-held-amd") == (0.93, 1.03)
    assert aim_of(first, "direct / best peer", "avx512") == (0.90, 1.02)
    assert aim_of("Dense layers", "book, dx", "avx512-amd") == (0.95, None)
    assert aim_of(first, "no such ratio", "neon") == (None, None)


def test_bounds_are_those_of_the_work_of_each_case():
    """At 100 GFLOP/s and 80 GB/s copied, against peers that take 10 ms, or 1 ms for im2col."""
    Row, Ratio, Table = (getattr(peers("table"), name) for name in ("Row", "Ratio", "Table"))

    def table(title, rows, *ratios):
        return Table(title, [], [Ratio(label, *names) for label, *names in ratios], rows)

    def case(name, *ours, peer=10e-3, **facts):
        return Row(name, {k: times(1e-3) for k in ours} | {"peer": times(peer)}, facts)

    takes = {"GFLOP": "0.900", "auto takes": "winograd", "auto fast takes": "winograd"}
    layers = [case("a", "direct", "auto", **takes), case("mb.dw1", "direct", "auto", **takes)]
    pool = "Max pooling, backward"
    small = case("few (1,4,8; 1/1,0)", "im2col", peer=1e-3)
    copied = {"copy of the columns": times(2 * 4 * 4 * 64 / 80e9)}
    tables = [
        table(
            "Forward convolution, layers of 'first'",
            layers,
            ("direct / best peer", "direct", ("peer",)),
            ("auto / best peer", "auto", ("peer",)),
            ("auto fast / best peer", "auto", ("peer",)),
        ),
        table("Backward convolution, layers of 'first'", layers, ("x", "auto", ("peer",))),
        table(pool, [case("m (1,10,20; 2/2,0)", "ours")], ("y", "ours", ("peer",))),
        table(
            "im2col",
            [dataclasses.replace(small, times={**small.times, **copied})],
            ("im2col / unfold", "im2col", ("peer",)),
            ("im2col / copy", "im2col", ("copy of the columns",)),
        ),
        table("Activations, forward", [case("relu", "ours")], ("z", "ours", ("peer",))),
    ]
    first, second, *_ = (one.title for one in tables)
    assert peers("bounds").bounds(tables, 100e9) == pytest.approx(
        {
            (first, "direct / best peer"): 0.9,
            (first, "auto / best peer"): 0.4,
            (first, "auto fast / best peer"): 0.225,
            (second, "x"): 0.8,
            (pool, "y"): 10 * (4 * 400 + 5 * 100) / 80e9 / 10e-3,
            ("im2col", "im2col / unfold"): 2 * 4 * 4 * 64 / 80e9 / 1e-3,
        }
    )


def test_a_peer_that_is_not_installed_is_left_out_and_named(monkeypatch):
    module = peers("settings")
    monkeypatch.setattr(module, "find_spec", lambda name: None if name == "onnx" else name)
    settings = settings_of()
    assert (settings.peers, settings.left_out) == (
        ("torch", "ncnn"),
        ("onnxruntime", "openvino", "mnn"),
    )
    monkeypatch.setattr(peers("machine").metadata, "version", lambda name: "1.0")
    facts = peers("machine").describe(settings)
    assert facts["left out, since not installed"] == "ONNX Runtime, OpenVINO, MNN"


def test_every_peer_has_a_name_of_its_own():
    assert set(peers("machine").DISTRIBUTIONS) == set(peers("settings").PEERS)
    every = peers("tables.forward").EVERYONE
    assert len(set(every)) == len(every) == 9


def test_layers_of_other_networks_are_computed():
    cases = peers("cases")
    for name, layer in cases.select(("others",))["others"].items():
        costs = fastconv.conv2d_costs(layer.x_shape, layer.weight_shape, **layer.options)
        assert 0 < cases.gigaflops(layer) <= 2e-9 * costs["direct"].multiply_adds * 1.0001, name


def test_operations_in_the_padding_are_not_counted():
    cases = peers("cases")
    oblong = cases.select(("speech.2",))["others"]["speech.2"]
    y = fastconv.conv2d(
        np.ones(oblong.x_shape), np.ones(oblong.weight_shape), **oblong.options, algorithm="direct"
    )
    assert cases.gigaflops(oblong) == pytest.approx(2e-9 * y.sum())


@pytest.mark.parametrize(
    ("name", "may"),
    [
        ("vgg5", True),
        ("alex2", True),
        ("rn3.s2", False),
        ("rn4.1x1", False),
        ("mb.dw7", False),
        ("book", True),
        ("rx5.groups", True),
        ("speech.wave", False),
    ],
)
def test_tiles_may_be_chosen_for_windows_of_stride_1(name, may):
    cases = peers("cases")
    ((layer,),) = (table.values() for table in cases.select((name,)).values())
    assert cases.may_tile(layer) == may


def test_ncnn_gets_rows_and_columns_under_their_numbers():
    cases, ncnn = peers("cases"), peers("libraries.ncnn")
    layer = cases.select(("speech.2",))["others"]["speech.2"]
    text = ncnn._described(layer, np.empty(layer.weight_shape, np.float32))
    assert text.splitlines()[-1] == (
        "Convolution y 1 1 x y 0=32 1=11 11=21 3=1 13=2 4=5 14=10 5=1 6=236544"
    )
    groups = cases.select(("rx2.groups",))["others"]["rx2.groups"]
    text = ncnn._described(groups, np.empty(groups.weight_shape, np.float32))
    assert text.splitlines()[-1].startswith("ConvolutionDepthWise y") and text.endswith(" 7=32\n")


def test_what_compiled_code_prints_is_swallowed(capfd):
    with peers("libraries.quiet").quiet():
        os.write(1, b"noise")
    print("sound")
    assert capfd.readouterr().out == "sound\n"


def test_a_held_process_sees_no_avx512(tmp_path, monkeypatch):
    """And children of it neither; a fault of the program's own stays one."""
    held = peers("held")
    monkeypatch.setattr(held, "KEPT", tmp_path / "kept")
    installed = tmp_path / "installed"  # not all packages, which would take a minute to copy
    shutil.copytree(Path(fastconv.__file__).parent, installed / "fastconv")
    try:
        environment = held.environment(installed)
    except ValueError as error:
        assert "--held must be left out" in str(error)
        pytest.skip(str(error))
    assert held.is_held(environment) and not held.is_held()
    program = "import fastconv; print(*fastconv.available_isas())"
    root = str(Path(__file__).parents[2])
    paths = ":".join(filter(None, [environment.get("PYTHONPATH"), root]))
    nested = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {program!r}])"
    for text in (program, nested):
        run = subprocess.run(
            [sys.executable, "-c", text],
            env={**environment, "PYTHONPATH": paths},
            cwd=tmp_path,  # not the repository, whose own fastconv would come before the copy
            capture_output=True,
            text=True,
            check=True,
        )
        assert "baseline" in run.stdout and "avx512" not in run.stdout
    crash = "import ctypes; ctypes.string_at(0)"
    run = subprocess.run([sys.executable, "-c", crash], env=environment, capture_output=True)
    assert run.returncode == -signal.SIGSEGV


@pytest.mark.skipif(not shutil.which("objdump"), reason="needs objdump")
def test_a_library_that_cannot_be_read_is_not_left_as_it_is(tmp_path):
    library = tmp_path / "broken.so"
    library.write_bytes(b"\x7fELF\x02\x01" + b"\x0f\xa2")
    with pytest.raises(ValueError, match=r"--held must be left out: .*broken\.so"):
        peers("held")._replace_cpuid(library)


@pytest.mark.parametrize(
    ("processor", "name"), [("AMD EPYC (model 17)", "avx2-amd"), ("Intel(R) Xeon(R)", "avx2")]
)
def test_a_processor_of_another_maker_has_a_report_of_its_own(processor, name, monkeypatch):
    program = peers("__main__")
    monkeypatch.setattr(program.machine, "processor", lambda: processor)
    monkeypatch.setattr(program.fastconv, "active_isa", lambda: "avx2")
    assert program.name_of_report() == name


def test_a_machine_that_cannot_be_held_says_so(monkeypatch):
    held = peers("held")
    monkeypatch.setattr(held.sys, "platform", "darwin")
    with pytest.raises(ValueError, match="--held must be left out: CPUID can be answered on Linux"):
        held.environment()


@pytest.mark.skipif(sys.platform != "linux", reason="CPUID is answered on Linux alone")
@pytest.mark.skipif(os.uname().machine != "x86_64", reason="and on x86-64")
@pytest.mark.parametrize("compiler", ["no-such-compiler", "false"])
def test_a_compiler_that_is_not_there_or_fails_is_named(compiler, tmp_path, monkeypatch):
    held = peers("held")
    monkeypatch.setattr(held, "KEPT", tmp_path)
    monkeypatch.setenv("CC", compiler)
    with pytest.raises(
        ValueError, match=f"--held needs a C compiler, cc or what CC names: .*{compiler}"
    ):
        held.environment()
