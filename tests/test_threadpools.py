"""threadpoolctl's limits hold for our pool, whichever of the two is imported first."""

from __future__ import annotations

import subprocess
import sys

import pytest

pytest.importorskip("threadpoolctl", minversion="3.2")

SCRIPT = """
import {first}
import {second}
import numpy as np, fastconv, threadpoolctl

fastconv.set_num_threads(5)
big = np.ones((8, 16, 32, 32), np.float32), np.ones((16, 16, 3, 3), np.float32)
fastconv.conv2d(*big)
known = [p for p in threadpoolctl.threadpool_info() if p["user_api"] == "fastconv"]
assert [p["num_threads"] for p in known] == [5], known
assert known[0]["version"] == fastconv.__version__
with threadpoolctl.threadpool_limits(2):
    assert fastconv.get_num_threads() == 2
    with threadpoolctl.threadpool_limits(1, user_api="blas"):
        assert fastconv.get_num_threads() == 2
assert fastconv.get_num_threads() == 5
"""


@pytest.mark.parametrize("names", [("fastconv", "threadpoolctl"), ("threadpoolctl", "fastconv")])
def test_limits_of_threadpoolctl_hold(names):
    script = SCRIPT.format(first=names[0], second=names[1])
    subprocess.run([sys.executable, "-c", script], check=True)


def test_importing_fastconv_does_not_load_it():
    script = "import sys, fastconv; assert 'threadpoolctl' not in sys.modules"
    subprocess.run([sys.executable, "-c", script], check=True)
