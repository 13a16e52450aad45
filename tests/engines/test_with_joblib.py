"""Predictions by joblib: in processes and in threads."""

from __future__ import annotations

import os

import numpy as np
import pytest

import fastconv
from fastconv.testing import assert_bits_equal

joblib = pytest.importorskip("joblib")

pytestmark = pytest.mark.filterwarnings("default")


def pieces(x: np.ndarray) -> list[np.ndarray]:
    return [x[begin : begin + 1_100] for begin in range(0, len(x), 1_100)]


@pytest.mark.parametrize("backend", ["loky", "multiprocessing", "threading"])
def test_the_bits_of_every_backend(backend, path, x, expected):
    predict = joblib.delayed(fastconv.Predictor(path))
    found = joblib.Parallel(n_jobs=2, backend=backend)(predict(piece) for piece in pieces(x))
    assert_bits_equal(np.concatenate(found), expected)


def test_content_and_rows_of_a_mapped_file(net, x, expected):
    """joblib maps large arrays into its processes, to be read alone."""
    predict = joblib.delayed(fastconv.Predictor(net))
    found = joblib.Parallel(n_jobs=2, max_nbytes=1_000)(predict(piece) for piece in pieces(x))
    assert_bits_equal(np.concatenate(found), expected)


def _seen(_: int) -> tuple[int, str, int]:
    import fastconv

    return fastconv.get_num_threads(), os.environ["OMP_NUM_THREADS"], os.getpid()


@pytest.mark.parametrize("threads", [1, 3])
def test_a_process_uses_the_threads_that_it_was_given(threads):
    with joblib.parallel_config("loky", n_jobs=2, inner_max_num_threads=threads):
        found = joblib.Parallel()(joblib.delayed(_seen)(number) for number in range(4))
    assert {seen[:2] for seen in found} == {(threads, str(threads))}
    assert os.getpid() not in {seen[2] for seen in found}
