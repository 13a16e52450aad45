"""Predictions by concurrent.futures: in processes of every kind, and in threads."""

from __future__ import annotations

import multiprocessing
import os
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor

import numpy as np
import pytest

import fastconv
from fastconv.testing import assert_bits_equal

pytestmark = pytest.mark.filterwarnings("default")
METHODS = multiprocessing.get_all_start_methods()


def pieces(x: np.ndarray) -> list[np.ndarray]:
    return [x[begin : begin + 1_100] for begin in range(0, len(x), 1_100)]


@pytest.fixture(autouse=True)
def children(environment, monkeypatch):
    """Children that import what is being tested."""
    monkeypatch.setenv("PYTHONPATH", environment["PYTHONPATH"])


def _seen(predictor: fastconv.Predictor) -> tuple[int, int]:
    """How many threads a process may use, and how many networks it has."""
    from fastconv.serving import loaded

    predictor(np.zeros((1, 1, 8, 8)))
    return fastconv.get_num_threads(), len(loaded._networks)


@pytest.mark.parametrize("method", METHODS)
def test_the_bits_of_processes(method, path, x, expected):
    context = multiprocessing.get_context(method)
    with ProcessPoolExecutor(2, context, fastconv.set_num_threads, (1,)) as pool:
        found = pool.map(fastconv.Predictor(path), pieces(x))
        assert_bits_equal(np.concatenate(list(found)), expected)
        threads, networks = pool.submit(_seen, fastconv.Predictor(path)).result()
    assert threads == 1
    assert method == "fork" or networks == 1


def _refuse(source, **more):
    raise AssertionError(f"{source} is loaded again")


@pytest.mark.skipif("fork" not in METHODS, reason="processes are not forked here")
def test_a_child_of_fork_goes_on_with_what_was_loaded(path, x, expected, monkeypatch):
    """The kernels' threads, and a network, were there before; the child loads none."""
    predictor = fastconv.Predictor(path)
    fastconv.set_num_threads(2)
    try:
        assert_bits_equal(predictor(x), expected)
        monkeypatch.setattr("fastconv.serving.loaded.load", _refuse)
        context = multiprocessing.get_context("fork")
        with ProcessPoolExecutor(2, context) as pool:
            found = list(pool.map(predictor, pieces(x)))
    finally:
        fastconv.set_num_threads(None)
    assert_bits_equal(np.concatenate(found), expected)


def test_the_bits_of_threads(net, x, expected):
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(fastconv.Predictor(net), pieces(x)))
    assert_bits_equal(np.concatenate(found), expected)


def _pid(_: object) -> int:
    return os.getpid()


@pytest.mark.parametrize("method", METHODS)
def test_a_missing_file_is_told_by_the_process_that_lacks_it(method, x, tmp_path):
    context = multiprocessing.get_context(method)
    with ProcessPoolExecutor(1, context) as pool:
        pid = pool.submit(_pid, None).result()
        future = pool.submit(fastconv.Predictor(tmp_path / "none.safetensors"), x)
        with pytest.raises(fastconv.ArgumentError, match=f"process {pid}; .*read_bytes"):
            future.result()
