"""docs/shipping.md makes a package: each of its blocks is the file that its first line names."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[2] / "docs" / "shipping.md"
if not PAGE.exists():
    pytest.skip("the tests stand without the pages", allow_module_level=True)

BLOCK = re.compile(r"^```(?:python|toml)\n# ([\w./]+)(?:, further down)?\n(.*?)^```$", re.M | re.S)


def test_the_package_of_the_page_is_made_and_answers(tmp_path, environment):
    files: dict[str, str] = {}
    for name, text in BLOCK.findall(PAGE.read_text("utf-8")):
        files[name] = files.get(name, "") + text
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text, encoding="utf-8")

    def run(*command: str) -> str:
        done = subprocess.run(
            [sys.executable, *command],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            encoding="utf-8",
            timeout=300,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    assert run("-W", "error", "train.py").split()[-1] == "1642"
    assert float(run("-W", "error", "half.py")) < 0.1
    said = run("-W", "error", "use.py").splitlines()
    assert said[:2] == ["[0 1 2 3 4 9 6 7] [0 1 2 3 4 5 6 7]", "True"] and len(said) == 4
    assert "1 passed" in run("-m", "pytest", "-q", "-p", "no:cacheprovider")
    drawn = re.findall(r"^ {4}(\S+)", PAGE.read_text("utf-8").split("```")[1], re.M)
    assert set(drawn) <= {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*")}
    assert set(drawn) <= set(files) | {"acme_digits/digits.safetensors", "tests/release.npz"}
