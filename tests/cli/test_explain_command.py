"""The command ``fastconv explain``."""

from __future__ import annotations

import numpy as np
import pytest

from fastconv import explain
from fastconv.cli import main

X = "[[1,2,3,4],[4,3,2,1],[0,1,2,3],[3,2,1,2]]"
F = "[[1,0,2],[0,2,0],[1,1,-1]]"


def run(capsys, *words):
    code = main(["explain", *words])
    return (code, *capsys.readouterr())


def test_a_matrix_that_is_typed(capsys):
    code, out, _ = run(capsys, "conv2d", X, F, "--padding", "1", "--stride", "2")
    assert code == 0
    assert "\ny[0,0] = 0x1+0x0+0x2+0x0+1x2+2x0+0x1+4x1+3x(-1) = 3\n" in out
    assert out.endswith("\ny\n3 10\n7 10\n")
    code, out, _ = run(capsys, "conv2d", "[[1,2],[3,4]]", "[[1]]", "--padding", "1", "--bias=-1")
    assert code == 0 and "y[1,1] = 1x1+(-1) = 0" in out


def test_pooling_and_im2col(capsys):
    assert run(capsys, "pool2d", X, "2")[1].endswith("\ny\n4 4\n3 3\n")
    assert run(capsys, "pool2d", X, "[2,2]", "--kind", "average")[1].endswith("2.5 2.5\n1.5   2\n")
    assert run(capsys, "pool2d", X, "3", "--padding", "same")[0] == 0
    out = run(capsys, "im2col", X, "[3,2]", "--stride", "[1,2]", "--padding", "1")[1]
    assert out == f"{explain.im2col(eval(X), 3, 2, (1, 2), 1)}\n"


def test_matrices_in_files(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    np.save("x.npy", np.array(eval(X), np.float32))
    (tmp_path / "f.csv").write_text("\ufeff1,0,2\n0,2,0\n1,1,-1\n", encoding="utf-8")
    (tmp_path / "row.csv").write_text("1,2,3")
    assert run(capsys, "conv2d", "x.npy", "f.csv")[1].endswith("\ny\n12 14\n14 10\n")
    assert run(capsys, "conv2d", "row.csv", "[[2]]")[1].endswith("\ny\n2 4 6\n")


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (("conv2d", "[[1,2],[3,4", "[[1]]"), "X: must be JSON"),
        (("conv2d", X, "2"), "WINDOW must be a matrix in JSON"),
        (("conv2d", X, F, "--kind", "max"), "--kind must be left out with conv2d; it takes --str"),
        (("im2col", X, "2", "--dilation", "2"), "--dilation must be left out with im2col"),
        (("im2col", X, "two"), "WINDOW must be an integer or a tuple of two, got 'two'"),
        (("pool2d", X, "2", "--kind", "maxx"), "explain: kind must be 'max' or 'average'"),
        (("pool2d", "[[1,2],[3]]", "1"), "lists in it must be equally long"),
        (("conv2d", "[[1e400]]", "[[1]]"), "numbers must be finite"),
        (("conv2d", "none.csv", "[[1]]"), "No such file or directory: none.csv"),
        (("conv2d", "text.csv", "[[1]]"), "text.csv must hold a matrix of numbers"),
        (("conv2d", "empty.csv", "[[1]]"), "at least one element along"),
        (("conv2d", "text.npy", "[[1]]"), "text.npy must hold a matrix of numbers"),
        (("conv2d", "objects.npy", "[[1]]"), "objects.npy must hold a matrix of numbers"),
        (("conv2d", "large.npy", "[[1]]"), "large.npy must have at most 65536 bytes"),
        (("conv2d", "folder.npy", "[[1]]"), "which is a directory"),
    ],
)
def test_what_is_wrong_is_told(capsys, tmp_path, monkeypatch, words, text):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "text.csv").write_text("one,two\n")
    (tmp_path / "empty.csv").write_text("")
    (tmp_path / "text.npy").write_text("one,two\n")
    np.save("objects.npy", np.array([[None]], object))
    np.save("large.npy", np.zeros((100, 100)))
    (tmp_path / "folder.npy").mkdir()
    code, out, err = run(capsys, *words)
    assert (code, out) == (2, "")
    assert err.startswith("fastconv explain: ") and text in err and err.count("\n") == 1
