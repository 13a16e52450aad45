"""Shells complete what `fastconv completion` printed for them."""

from __future__ import annotations

import shutil
import subprocess
import sys

import pytest

from fastconv.cli import COMMANDS, main
from fastconv.cli.plot import PICTURES

TYPED = {
    "fastconv ": set(COMMANDS),
    "fastconv su": {"summary"},
    "fastconv plan --mem": {"--memory-limit"},
    "fastconv summary net.": {"net.json"},
    "fastconv completion z": {"zsh"},
    "fastconv plot feature": {"feature-maps"},
    "fastconv plot ": set(PICTURES),
    "fastconv plot graph net.": {"net.json"},
}


@pytest.fixture
def scripts(capsys):
    pytest.importorskip("shtab")
    found = {}
    for shell in ("bash", "zsh", "tcsh"):
        assert main(["completion", shell]) == 0
        found[shell] = capsys.readouterr().out
    return found


def test_every_command_and_long_option_is_in_every_script(scripts):
    for script in scripts.values():
        for word in (*COMMANDS, "memory-limit", "batch"):
            assert word in script


@pytest.mark.skipif(shutil.which("bash") is None, reason="there is no bash")
@pytest.mark.parametrize("typed", TYPED)
def test_bash_offers_what_fits(typed, scripts, tmp_path):
    (tmp_path / "net.json").write_text("{}")
    words = typed.split(" ")
    quoted = " ".join(f"'{word}'" for word in words)
    lines = [
        scripts["bash"],
        "compopt() { :; }",  # it may be called from within a completion alone
        f"COMP_WORDS=({quoted}); COMP_CWORD={len(words) - 1}; COMP_LINE='{typed}'",
        'name=$(complete -p fastconv | sed "s/.*-F \\([^ ]*\\).*/\\1/")',
        f"$name fastconv '{words[-1]}' '{words[-2]}'",
        'printf "%s\\n" "${COMPREPLY[@]}"',
    ]
    done = subprocess.run(
        ["bash", "-c", "\n".join(lines)], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    offered = set(done.stdout.split())
    assert TYPED[typed] <= offered
    if words[-1]:
        assert all(word.startswith(words[-1]) for word in offered)


def test_a_shell_that_nobody_knows_is_refused(capsys):
    with pytest.raises(SystemExit):
        main(["completion", "csh"])
    assert "bash" in capsys.readouterr().err


def test_without_shtab_the_error_names_the_extra(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "shtab", None)
    assert main(["completion", "bash"]) == 2
    assert 'pip install "fastconv[completion]"' in capsys.readouterr().err
