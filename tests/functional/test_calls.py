"""What a call remembers: decisions, by value and type, and never more than so many."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

import fastconv
from fastconv.errors import ArgumentTypeError
from fastconv.functional import choosing
from fastconv.options import as_options

RANDOM_SHAPES = """
import resource, sys
import numpy as np, fastconv

def shapes(seed, count):
    rng = np.random.default_rng(seed)
    for _ in range(count):
        c, k, r = rng.integers(1, 20, 3)
        r = 1 + r % 5
        x = np.ones((rng.integers(1, 4), c, *rng.integers(5, 40, 2)), np.float32)
        w = np.ones((k, c, r, r), np.float32)
        for algorithm in ("auto", "im2col"):
            y = fastconv.conv2d(x, w, padding=int(r // 2), algorithm=algorithm)
        fastconv.conv2d_backward(y, x, w, padding=int(r // 2))
        fastconv.max_pool2d(x, 2)
        net = fastconv.Sequential([("Conv2D", {"filters": 4, "kernel_size": 1})], x.shape[1:])
        net(x)

def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * resource.getpagesize()

shapes(0, 100)
before = resident()
shapes(1, 1000)
print(resident() - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_resident_memory_stays_flat_over_random_shapes(environment):
    command = [sys.executable, "-c", RANDOM_SHAPES]
    run = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert int(run.stdout) < 16 * 2**20


@pytest.mark.parametrize("name", ["stride", "dilation", "groups", "padding"])
@pytest.mark.parametrize("wrong", [True, 1.0, (True, 1), (1.0, 1.0)])
def test_a_remembered_call_lets_nothing_else_pass(name, wrong):
    if name == "groups" and isinstance(wrong, tuple):
        wrong = wrong[0]
    x, w = np.ones((1, 1, 5, 5), np.float32), np.ones((1, 1, 3, 3), np.float32)
    for right in (1, (1, 1)):
        if name != "groups" or right == 1:
            fastconv.conv2d(x, w, **{name: right})
            if name != "groups":
                fastconv.max_pool2d(x, 3, **{name: right})
    with pytest.raises(ArgumentTypeError, match=f"conv2d: {name} must be an integer"):
        fastconv.conv2d(x, w, **{name: wrong})
    if name != "groups":
        with pytest.raises(ArgumentTypeError, match=f"max_pool2d: {name} must be an integer"):
            fastconv.max_pool2d(x, 3, **{name: wrong})


def test_pairs_and_numbers_that_mean_the_same_give_the_same():
    x, w = np.ones((1, 1, 7, 7)), np.ones((1, 1, 3, 3))
    one = fastconv.conv2d(x, w, stride=2, padding=1, dilation=1)
    two = fastconv.conv2d(x, w, stride=[2, 2], padding=((1, 1), [1, 1]), dilation=np.int64(1))
    assert np.array_equal(one, two)


def test_options_that_mean_the_same_are_one_decision():
    x, w = np.ones((1, 1, 7, 7)), np.ones((1, 1, 3, 3))
    choosing.decide.cache_clear()
    for options in ({}, {"stride": (1, 1), "padding": "valid"}, {"dilation": [1, 1], "groups": 1}):
        fastconv.conv2d(x, w, **options)
    fastconv.conv2d(x, w, workspace_limit="1 KiB")
    fastconv.conv2d(x, w, workspace_limit=1024)
    assert choosing.decide.cache_info().misses == 2


def test_nobody_changes_options():
    options = as_options("conv2d", 1, 0, 1, 1, "auto", None, "strict")
    assert options == as_options("conv2d", (1, 1), ((0, 0), (0, 0)), 1, 1, "auto", None, "strict")
    with pytest.raises(AttributeError):
        options.groups = 2
    with pytest.raises(ArgumentTypeError, match="conv2d: groups must be an integer"):
        as_options("conv2d", 1, 0, 1, [1], "auto", None, "strict")  # which has no hash
