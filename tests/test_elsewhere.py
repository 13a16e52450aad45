"""What tests elsewhere are made of: packages that are unpacked, scripts, and digests of bits."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import aarch64
import clang
import pytest
import pythons
from elsewhere import apart, bits, debian, interpreters

import fastconv

ROOT = Path(__file__).parents[1]
APT = """#!/bin/sh
echo "$@" >> {log}
case "$*" in *install*) touch {archives}/one.deb {archives}/two.deb;; esac
"""
DPKG = """#!/bin/sh
mkdir -p "$3/usr/bin"
: > "$3/usr/bin/$(basename "$2" .deb)"
"""


@pytest.fixture
def tools(tmp_path, monkeypatch) -> Path:
    """Programs that stand for those of Debian; the log of what apt-get was asked."""
    if sys.platform == "win32":
        pytest.skip("the programs are scripts of POSIX")
    archives, log = tmp_path / "unpacked" / "cache" / "archives", tmp_path / "log"
    texts = {"apt-get": APT.format(log=log, archives=archives), "dpkg-deb": DPKG}
    for name, text in texts.items():
        path = tmp_path / "programs" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
        path.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / 'programs'}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("DEBIAN_MIRROR", "http://mirror.invalid/debian")
    return log


def test_packages_are_unpacked_once_and_anew_when_others_are_wanted(tools, tmp_path):
    folder = tmp_path / "unpacked"
    root = debian.unpack(folder, "sid", "arm64", ["one", "two"])
    assert {path.name for path in (root / "usr" / "bin").iterdir()} == {"one", "two"}
    asked = tools.read_text().splitlines()
    assert [line.split(f"{folder / 'apt.conf'} ")[1] for line in asked] == [
        "update",
        "install --download-only one two",
    ]
    assert debian.unpack(folder, "sid", "arm64", ["one", "two"]) == root
    assert tools.read_text().splitlines() == asked
    (root / "usr" / "bin" / "left").touch()
    debian.unpack(folder, "sid", "arm64", ["two"])
    assert len(tools.read_text().splitlines()) == 4
    assert not (root / "usr" / "bin" / "left").exists()


def test_the_settings_of_apt_are_those_of_the_folder(tools, tmp_path):
    folder = tmp_path / "unpacked"
    debian.unpack(folder, "trixie", "arm64", ["one"])
    assert "http://mirror.invalid/debian trixie main" in (folder / "sources.list").read_text()
    text = (folder / "apt.conf").read_text()
    assert f'Dir::State "{folder}/state";' in text
    assert 'APT::Architectures { "arm64"; };' in text


def test_what_apt_refuses_ends_the_program_and_names_its_log(tools, tmp_path, monkeypatch):
    (tmp_path / "programs" / "apt-get").write_text("#!/bin/sh\nexit 100\n")
    with pytest.raises(SystemExit, match=r"apt-get update failed: see .*unpacked/log"):
        debian.unpack(tmp_path / "unpacked", "sid", "arm64", ["one"])


def test_another_system_than_debian_is_told(monkeypatch):
    monkeypatch.setattr(debian.shutil, "which", lambda name: None)
    with pytest.raises(SystemExit, match="runs on Debian alone; here is: apt-get, dpkg-deb not"):
        debian.release()


def test_a_script_starts_a_python_that_starts_itself_again(tmp_path):
    if sys.platform == "win32":
        pytest.skip("the script is one of POSIX")
    site = tmp_path / "a site"
    site.mkdir()
    (site / "only_there.py").write_text("")
    script = interpreters.write_starter(tmp_path, [sys.executable], site)
    inner = "import only_there; print('found')"
    program = (
        "import subprocess, sys; print(sys.executable, flush=True);"
        f"subprocess.run([sys.executable, '-c', {inner!r}], check=True)"
    )
    given = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    done = subprocess.run([script, "-c", program], env=given, capture_output=True, text=True)
    assert done.stdout.split() == [script, "found"], done.stderr


def test_what_is_run_elsewhere_is_there():
    for path in (*aarch64.TESTS, *clang.TESTS, *pythons.TESTS):
        assert (ROOT / path).exists()


@pytest.mark.parametrize("cases", ["0", "-3"])
def test_no_cases_are_no_comparison(cases, capsys, monkeypatch):
    monkeypatch.setattr(pythons, "every", None)  # before anything is unpacked
    with pytest.raises(SystemExit):
        pythons.main(["--cases", cases])
    assert f"--cases must be at least 1, got {cases}" in capsys.readouterr().err


def test_processes_that_tests_start_import_what_was_built_apart(tmp_path):
    built = tmp_path / "fastconv" / "__init__.py"
    built.parent.mkdir()
    built.touch()
    command = [sys.executable, "-c", "import fastconv; print(fastconv.__file__)"]
    given = apart.environment(tmp_path)
    run = subprocess.run(command, cwd=ROOT, env=given, capture_output=True, text=True)
    assert run.stdout.strip() == str(built), run.stderr


CASES = 60


def test_digests_are_of_the_bits(monkeypatch):
    found = bits.digests(CASES)
    assert found == bits.digests(CASES)
    assert len(found) > 20 and {name.split()[0] for name in found} == {"float32", "float64"}
    before = fastconv.max_pool2d

    def other(x, *args, **options):
        result = before(x, *args, **options)
        for array in bits.arrays(result):
            if array.dtype.kind == "f" and array.size:
                array.flat[-1] = -array.flat[-1]
        return result

    case = bits.Digested(0, bits.Memory())
    with case.surroundings():
        case.raises = False
        x = case.numbers((1, 1, 8, 8)) + 1
        seen = []
        for function in (before, before, other):
            bits.Digested.seen = {}
            function.__name__ = "max_pool2d"
            case.call(function, x, 2)
            seen.append(*(digest.hexdigest() for digest in bits.Digested.seen.values()))
    assert seen[0] == seen[1] != seen[2]


def test_any_not_a_number_is_like_any_other():
    import numpy as np

    array = np.array([1.0, np.nan, np.copysign(np.nan, -1.0), -0.0])
    plain = bits.same_nan(array)
    assert plain[1:2].tobytes() == plain[2:3].tobytes()
    assert np.signbit(plain[3]) and np.signbit(array[2])
