"""The doctor, above all where something is wrong: it says so, and goes on."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from fastconv import tuning
from fastconv.cli import doctor, main
from fastconv.costs import local

SECTIONS = ("fastconv", "instruction sets", "table of costs", "threads", "extras", "plugins")


def run(capsys, *arguments):
    """Return (exit code, standard output, standard error)."""
    code = main(arguments)
    return (code, *capsys.readouterr())


@pytest.fixture
def program(environment):
    """Run ``python -m fastconv`` with environment variables."""

    def run(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "fastconv", *arguments]
        given = {**environment, **variables}
        return subprocess.run(command, env=given, capture_output=True, text=True)

    return run


def whole(out: str) -> bool:
    """Whether every section of the report is there."""
    titles = [line for line in out.splitlines() if not line.startswith(" ")]
    return len(titles) == len(SECTIONS) and all(map(str.startswith, titles, SECTIONS))


def test_doctor(capsys):
    code, out, _ = run(capsys, "doctor")
    assert code == 0 and whole(out) and "BROKEN" not in out
    for word in ("NumPy", "active", "available", "used", "plot", "none"):
        assert word in out


WRONG = [
    ("FASTCONV_ISA", "sse9", "FASTCONV_ISA must be one of baseline,"),
    ("FASTCONV_NUM_THREADS", "many", "FASTCONV_NUM_THREADS must be at least 1, got 'many'"),
    ("OMP_NUM_THREADS", "0", "OMP_NUM_THREADS must be at least 1, got '0'"),
    ("FASTCONV_COSTS", "/no/such/file", "got '/no/such/file': No such file"),
    ("FASTCONV_COSTS", __file__, "is no table of costs for"),
]


@pytest.mark.parametrize(("variable", "value", "words"), WRONG)
def test_what_is_wrong_is_a_finding_of_a_whole_report(program, variable, value, words):
    done = program("doctor", **{variable: value})
    assert done.returncode == 0 and done.stderr == ""
    assert whole(done.stdout)
    found = [line for line in done.stdout.splitlines() if "BROKEN" in line]
    assert len(found) == 1 and words in found[0]


@pytest.mark.parametrize(("variable", "value", "words"), WRONG[:3])
@pytest.mark.parametrize("arguments", [["layers"], ["doctor", "--tune"], ["describe", "ReLU"]])
def test_other_commands_end_in_one_line(program, variable, value, words, arguments):
    done = program(*arguments, **{variable: value})
    assert done.returncode == 2 and done.stdout == ""
    assert done.stderr.startswith(f"fastconv {arguments[0]}: ")
    assert words in done.stderr and done.stderr.count("\n") == 1


@pytest.mark.parametrize(("variable", "value", "words"), WRONG[:2])
def test_help_and_version_need_nothing(program, variable, value, words):
    for arguments in (["--version"], ["plan", "--help"]):
        done = program(*arguments, **{variable: value})
        assert done.returncode == 0 and done.stderr == ""


def test_where_the_table_goes_is_checked_before_measuring(capsys, tmp_path, monkeypatch):
    def tune(**_):
        raise AssertionError("it measured first")

    monkeypatch.setattr(tuning, "tune", tune)
    taken = tmp_path / "file"
    taken.write_text("")
    for path in (taken / "folder" / "costs.json", tmp_path):
        monkeypatch.setattr(local, "cache_path", lambda _, path=path: path)
        code, out, err = run(capsys, "doctor", "--tune")
        assert code == 2 and out == "" and err.count("\n") == 1
        assert "--tune must be able to write its table" in err and str(path) in err
    assert list(tmp_path.iterdir()) == [taken]


def install(site, distribution: str, entry_points: str, **modules: str) -> None:
    """Put a distribution on the path as an installer would."""
    folder = site / f"{distribution}-1.0.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.0\n")
    (folder / "entry_points.txt").write_text(f"[fastconv.layers]\n{entry_points}\n")
    for module, source in modules.items():
        (site / f"{module}.py").write_text(source)


MUTE = """
class Mute({base}):
    def __str__(self): raise Mute
    __repr__ = __str__
raise Mute
"""


def test_plugins_are_reported_whatever_is_wrong_with_them(program, tmp_path, environment):
    good = "import fastconv\n@fastconv.register_layer('good.Same.v1')\nclass S(fastconv.Layer): ..."
    install(tmp_path, "good", "good.Same.v1 = good_same:S", good_same=good)
    install(tmp_path, "greedy", "ReLU = good_same:Same")
    install(tmp_path, "odd", f"{'M' * 10**5} = good_same:Same")
    install(tmp_path, "damaged", "no equals sign")
    for name, source in {
        "mute": MUTE.format(base="Exception"),
        "own": MUTE.format(base="BaseException"),
        "exits": "raise SystemExit(3)",
        "ends": "raise GeneratorExit",
        "long": "raise ImportError('line\\n' * 10**6)",
    }.items():
        install(tmp_path, name, f"{name}.Same.v1 = {name}_same:Same", **{f"{name}_same": source})
    install(tmp_path, "nameless", "nameless.Same.v1 = not_there:Same")
    (tmp_path / "nameless-1.0.dist-info" / "METADATA").unlink()
    path = os.pathsep.join([str(tmp_path), environment["PYTHONPATH"]])
    done = program("doctor", PYTHONPATH=path, PYTHONWARNINGS="error")
    assert done.returncode == 0 and done.stderr == ""
    assert whole(done.stdout)
    rows = [" ".join(line.split()) for line in done.stdout.partition("plugins\n")[2].splitlines()]
    assert max(map(len, rows)) < 1000
    for words in (
        "good.Same.v1 (layer of good) works",
        "ReLU (layer of greedy) REFUSED: the built-in one is used",
        "(layer of odd) REFUSED: whose name must have the form",
        "layers of damaged BROKEN: its entry_points.txt could not be read, TypeError",
        "mute.Same.v1 (layer of mute) BROKEN: distribution 'mute', which offers layer "
        "'mute.Same.v1', could not be loaded: Mute, which cannot be shown as a text",
        "own.Same.v1 (layer of own) BROKEN: ",
        "exits.Same.v1 (layer of exits) BROKEN: ",
        "ends.Same.v1 (layer of ends) BROKEN: ",
        "could not be loaded: ImportError: line line",
        "nameless.Same.v1 (layer of nameless-1.0.dist-info) BROKEN: ",
    ):
        assert sum(words in row for row in rows) == 1, words


DAMAGE = [None, TypeError("no version"), UnicodeDecodeError("a", b"", 0, 1, "b")]


@pytest.mark.parametrize("answer", DAMAGE, ids=["none", "type", "bytes"])
def test_damaged_metadata_of_what_is_needed_is_a_line_of_a_whole_report(
    capsys, monkeypatch, answer
):
    def version(distribution):
        if isinstance(answer, Exception):
            raise answer

    monkeypatch.setattr("importlib.metadata.version", version)
    code, out, _ = run(capsys, "doctor")
    assert code == 0 and whole(out)
    assert out.count("installed, with damaged metadata") == len(doctor.NEEDED) + len(doctor.EXTRAS)
