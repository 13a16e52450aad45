"""Ctrl-C, fork and many threads: a process goes on as if nothing had happened."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import fastconv
from fastconv import memory, threads
from fastconv.costs import SHIPPED, local
from fastconv.testing import assert_bits_equal

PREPARE = """
import signal, sys, time
import numpy as np
import fastconv
# a shell's background jobs inherit that it is ignored
signal.signal(signal.SIGINT, signal.default_int_handler)
ones = lambda *shape: np.ones(shape, np.float32)
small = ones(1, 3, 9, 9), ones(20, 3, 3, 3)
right = fastconv.conv2d(*small)
begun = time.monotonic()
fastconv.conv2d(ones(1, 64, 28, 28), ones(64, 64, 3, 3))
share = 1 if time.monotonic() - begun < 0.1 else 32  # an emulated processor is so much slower
"""
# Each takes some seconds for all its images, or minutes under emulation, so that the signal comes
# in the middle of a kernel's work. How soon it is heard, 0.1 s, is measured by
# benchmarks/suite/interrupts.py: a test of time fails where a machine has other work. Here a call
# is refused that goes on to its end, or near it.
LONG = {
    "direct": """
x, w = ones(48, 256, 56, 56), fastconv.prepare_conv2d(ones(1024 // share, 256, 3, 3))
call = lambda x: fastconv.conv2d(x, w, padding=1, algorithm="direct")
""",
    "large kernel": """
x, w = ones(16, 128, 96, 96), fastconv.prepare_conv2d(ones(64 // share, 128, 31, 31))
call = lambda x: fastconv.conv2d(x, w, padding=15, algorithm="direct")
""",
    "im2col": """
x, w = ones(16, 512, 28, 28), ones(8192 // share, 512, 3, 3)
call = lambda x: fastconv.conv2d(x, w, padding=1, algorithm="im2col")
""",
    "backward": """
x, w, dy = ones(48, 256, 56, 56), ones(1024 // share, 256, 3, 3), ones(48, 1024 // share, 56, 56)
call = lambda x: fastconv.conv2d_backward(dy[:len(x)], x, w, padding=1, algorithm="direct")
""",
    "gradient of the weights": """
x, w, dy = ones(48, 256, 56, 56), ones(1024 // share, 256, 3, 3), ones(48, 1024 // share, 56, 56)
call = lambda x: fastconv.conv2d_backward(dy[:len(x)], x, w, needs=["weight"], padding=1)
""",
    "max_pool2d": """
x = ones(32, 128 // share, 112, 112)
call = lambda x: fastconv.max_pool2d(x, 25, stride=1, return_indices=True)
""",
}
INTERRUPT = """
fastconv.set_num_threads({count})
begun = time.monotonic()
call(x[:1])  # what one image takes tells what all would take, on this machine as it is now
print((time.monotonic() - begun) * len(x), flush=True)
for _ in range({times}):
    print("ready", flush=True)
    try:
        call(x)
    except KeyboardInterrupt:
        print(time.monotonic(), flush=True)
    else:
        print("finished", flush=True)
for algorithm in ("direct", "im2col", "im2col_tiled"):
    assert np.array_equal(fastconv.conv2d(*small, algorithm=algorithm), right)
print("right", flush=True)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="SIGINT is sent otherwise")
@pytest.mark.parametrize("count", [1, 2])
@pytest.mark.parametrize("name", LONG)
def test_ctrl_c_is_heard_long_before_the_end(name, count, environment):
    code = PREPARE + LONG[name] + INTERRUPT.format(count=count, times=3)
    child = subprocess.Popen(
        [sys.executable, "-c", code],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
    )
    delays = []
    try:
        whole = float(child.stdout.readline() or child.stderr.read())
        for _ in range(3):
            assert child.stdout.readline() == "ready\n", child.stderr.read()
            time.sleep(0.3)
            sent = time.monotonic()
            child.send_signal(signal.SIGINT)
            heard = child.stdout.readline().strip()
            assert heard != "finished", "the call is too short to be interrupted"
            delays.append(float(heard) - sent)
        # not communicate(): it would miss a line that came together with the last one
        output, errors = child.stdout.read(), child.stderr.read()
        child.wait(timeout=60)
    finally:
        child.kill()
        child.stdout.close()
        child.stderr.close()
    assert (child.returncode, output) == (0, "right\n"), errors
    assert min(delays) < whole / 4, f"heard after {delays} s of calls of some {whole} s"


FORK = """
import os, signal
import numpy as np
import fastconv
fastconv.set_num_threads(2)
x = np.arange(2 * 32 * 40 * 40, dtype=np.float32).reshape(2, 32, 40, 40) % 7
w = np.arange(64 * 32 * 9, dtype=np.float32).reshape(64, 32, 3, 3) % 5
right = [fastconv.conv2d(x, w, algorithm=a) for a in ("direct", "im2col")]
codes = []
for _ in range(3):
    child = os.fork()
    if not child:
        signal.alarm(30)  # a child that hangs is ended
        again = [fastconv.conv2d(x, w, algorithm=a) for a in ("direct", "im2col")]
        pooled = fastconv.max_pool2d(x, 2)
        same = all(np.array_equal(a, b) for a, b in zip(again, right))
        os._exit(0 if same and pooled.shape == (2, 32, 20, 20) else 1)
    codes.append(os.waitpid(child, 0)[1])
    # the parent goes on as well
    assert np.array_equal(fastconv.conv2d(x, w, precision="strict"), right[0])
print(codes)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_fork_after_a_parallel_call(environment):
    run = subprocess.run(
        [sys.executable, "-c", FORK], capture_output=True, text=True, timeout=180, env=environment
    )
    assert run.returncode == 0, run.stderr
    assert run.stdout.strip() == "[0, 0, 0]", "a child hung, crashed or was wrong"


FIRST_CALLS = """
import sys
import numpy as np
import fastconv
known = set(sys.modules)
x, w = np.ones((2, 4, 9, 9), np.float32), np.ones((8, 4, 3, 3), np.float32)
y = fastconv.conv2d(x, w, padding=1)
fastconv.conv2d_backward(y, x, fastconv.prepare_conv2d(w), padding=1)
fastconv.conv2d_costs(x.shape, w.shape)
y, indices = fastconv.max_pool2d(x, 2, return_indices=True)
fastconv.max_pool2d_backward(y, indices, x.shape)
fastconv.avg_pool2d(x, 2)
fastconv.im2col(x, 3, 3)
new = set(sys.modules) - known
net = fastconv.Sequential(
    [("Conv2D", {"filters": 3, "kernel_size": 3}), "ReLU", "Flatten", ("Dense", {"units": 2})],
    input_shape=(4, 9, 9),
)
known = set(sys.modules)  # random numbers are NumPy's, which imports them when they are drawn
net(x)
net.for_inference()(x)
print(*sorted(new | set(sys.modules) - known))
"""


@pytest.mark.parametrize("table", ["none", "of this processor", "named"])
def test_first_calls_import_nothing(table, environment, tmp_path):
    """A child of a fork by another thread would wait for ever for the lock of that import."""
    path = tmp_path / "costs.json"
    isa = fastconv.active_isa()
    path.write_text(local.to_json(SHIPPED[isa], isa))
    environment = dict(environment)
    environment.pop("FASTCONV_COSTS", None)
    environment |= {"HOME": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path)}
    environment |= {"LOCALAPPDATA": str(tmp_path), "USERPROFILE": str(tmp_path)}
    if table == "of this processor":
        save = "from fastconv.costs import SHIPPED, local; local.save(SHIPPED[{0!r}], {0!r})"
        command = [sys.executable, "-c", save.format(isa)]
        subprocess.run(command, env=environment, check=True)
    elif table == "named":
        environment["FASTCONV_COSTS"] = str(path)
    command = [sys.executable, "-c", FIRST_CALLS]
    run = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    assert run.stdout.split() == []


@pytest.mark.parametrize("shared", [False, True])
def test_64_threads_through_one_weight(shared, normal, monkeypatch):
    """They also compete for the kernels' own threads, of which one caller at a time has them."""
    if shared:
        monkeypatch.setattr(threads, "SMALL_WORK", 0)
        monkeypatch.setattr(threads, "_chosen", 4)
    weight, bias = normal((24, 6, 3, 3)), normal((24,))
    packed = fastconv.prepare_conv2d(weight, padding=1)
    images = [normal((1, 6, 20 + n % 5, 21)) for n in range(64)]

    def work(n):
        return [
            fastconv.conv2d(images[n], w, bias, padding=1, algorithm=algorithm)
            for w, algorithm in ((packed, "auto"), (weight, "direct"), (weight, "im2col"))
        ] + [fastconv.max_pool2d(images[n], 2), fastconv.im2col(images[n], 3, 3)]

    serial = [work(n) for n in range(64)]
    start = threading.Barrier(64)

    def together(n):
        start.wait()
        return [work(n) for _ in range(4)]

    with ThreadPoolExecutor(64) as pool:
        for n, rounds in enumerate(pool.map(together, range(64))):
            for results in rounds:
                for result, right in zip(results, serial[n], strict=True):
                    assert_bits_equal(result, right)


def test_each_thread_tracks_its_own_calls(normal):
    weight = normal((8, 3, 3, 3))
    start = threading.Barrier(8)

    def work(n):
        x = normal_images[n]
        start.wait()
        with memory.track() as used:
            for _ in range(20):
                fastconv.conv2d(x, weight, algorithm="im2col")
        return used.workspace_peak

    normal_images = [normal((1 + n, 3, 12, 12)) for n in range(8)]
    with ThreadPoolExecutor(8) as pool:
        peaks = list(pool.map(work, range(8)))
    assert peaks == [(1 + n) * 100 * 27 * 4 for n in range(8)]


def test_an_array_that_changes_during_the_call_is_no_fault(integers):
    x, weight = integers((2, 8, 64, 64)), integers((16, 8, 3, 3))
    places = np.zeros((2, 8, 32, 32), np.int64)
    done = threading.Event()

    def disturb():
        while not done.is_set():
            x[...] = -x
            places[...] = 2**40
            places[...] = 0

    other = threading.Thread(target=disturb)
    other.start()
    try:
        for _ in range(50):
            assert fastconv.conv2d(x, weight).shape == (2, 16, 62, 62)
            assert fastconv.max_pool2d(x, 2).shape == (2, 8, 32, 32)
            try:
                fastconv.max_pool2d_backward(np.ones(places.shape, np.float32), places, x.shape)
            except ValueError as error:
                assert "indices" in str(error)
    finally:
        done.set()
        other.join()
