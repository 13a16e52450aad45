"""What `memory.track` counts is what the process takes: nothing hides in malloc or in packing.

Two witnesses that know nothing of fastconv: tracemalloc, to which NumPy reports every array, and
the largest resident size of a process of its own, which no allocation escapes.
"""

from __future__ import annotations

import gc
import itertools
import os
import subprocess
import sys
import threading
import tracemalloc
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import fastconv
from fastconv import memory

#: What Python itself takes for a call: tuples, views, the plan that is remembered.
OBJECTS = 48 * 1024
ALGORITHMS = ["direct", "im2col", "im2col_tiled", "winograd"]

# x (N, C, H, W), weight (K, C/groups, R, S), options
CASES = {
    "3x3": ((2, 32, 40, 40), (64, 32, 3, 3), {"padding": 1}),
    "strided": ((2, 3, 97, 97), (48, 3, 7, 7), {"stride": 2, "padding": 3}),
    "groups": ((2, 24, 40, 40), (36, 8, 3, 3), {"groups": 3, "padding": 1}),
    "depthwise": ((2, 64, 40, 40), (64, 1, 3, 3), {"groups": 64, "padding": 1}),
    "1x1": ((2, 64, 40, 40), (128, 64, 1, 1), {}),
    "many filters": ((1, 16, 20, 20), (1100, 16, 3, 3), {}),
    "few filters": ((2, 64, 40, 40), (3, 64, 3, 3), {"padding": 1}),
}


def peak_of(call: Callable[[], Any]) -> tuple[memory.Usage, int]:
    """Return what fastconv counted for a call, and what tracemalloc saw at the most."""
    call()  # what is remembered from call to call
    memory.release()
    gc.collect()
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        tracemalloc.reset_peak()
        with memory.track() as used:
            result = call()
        peak = tracemalloc.get_traced_memory()[1] - before
        del result
    finally:
        tracemalloc.stop()
    memory.release()
    return used, peak


def check(used: memory.Usage, peak: int, packed_at_once: bool = True) -> None:
    counted = used.workspace_peak + used.copies + used.output + used.packed
    assert peak <= counted + OBJECTS, f"{peak - counted} bytes are not counted: {used}"
    if packed_at_once:
        # what is counted is there at one time, but for packs that take the place of others
        assert peak >= counted - used.packed


@pytest.fixture(params=CASES)
def case(request):
    return CASES[request.param]


@pytest.fixture(params=["float32", "float64"])
def dtype(request):
    return request.param


def skip_unless(algorithm, x_shape, weight_shape, options):
    if algorithm not in fastconv.conv2d_costs(x_shape, weight_shape, **options):
        pytest.skip("winograd is for 3x3 and 5x5 kernels of stride 1")


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_convolution(case, dtype, algorithm, normal):
    x_shape, weight_shape, options = case
    skip_unless(algorithm, *case)
    x, weight = normal(x_shape, dtype), normal(weight_shape, dtype)
    bias = normal(weight_shape[:1], dtype)
    given = {**options, "algorithm": algorithm}
    check(*peak_of(lambda: fastconv.conv2d(x, weight, bias, activation="relu", **given)))
    prepared = fastconv.prepare_conv2d(weight, **options)
    used, peak = peak_of(lambda: fastconv.conv2d(x, prepared, bias, **given))
    check(used, peak)
    assert used.packed == 0


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_gradients(case, dtype, algorithm, normal):
    x_shape, weight_shape, options = case
    skip_unless(algorithm, *case)
    x, weight = normal(x_shape, dtype), normal(weight_shape, dtype)
    dy = normal(fastconv.conv2d(x, weight, **options).shape, dtype)
    given = {**options, "algorithm": algorithm}
    used, peak = peak_of(lambda: fastconv.conv2d_backward(dy, x, weight, **given))
    check(used, peak)
    costs = fastconv.conv2d_costs(
        x_shape, weight_shape, dtype=dtype, direction="backward", **options
    )[algorithm]
    assert (used.workspace_peak, used.packed) == (costs.workspace, costs.packed)
    assert used.output == costs.output


def test_packing(case, dtype, normal):
    weight = normal(case[1], dtype)
    used, peak = peak_of(lambda: fastconv.prepare_conv2d(weight, **case[2]))
    check(used, peak)
    kept = fastconv.prepare_conv2d(weight, **case[2])
    assert used.packed == kept.nbytes


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_pooling_and_unfolding(dtype, normal):
    x = normal((4, 16, 60, 62), dtype)
    calls = [
        lambda: fastconv.max_pool2d(x, 2),
        lambda: fastconv.max_pool2d(x, 3, stride=2, padding=1, return_indices=True),
        lambda: fastconv.avg_pool2d(x, 3, stride=1, padding=1),
        lambda: fastconv.im2col(x, 3, 3, 1, 1),
        lambda: fastconv.im2col(x.transpose(0, 1, 3, 2), 3, 3),
    ]
    y, indices = fastconv.max_pool2d(x, 2, return_indices=True)
    col = fastconv.im2col(x, 3, 3)
    calls += [
        lambda: fastconv.max_pool2d_backward(y, indices, x.shape),
        lambda: fastconv.avg_pool2d_backward(y, x.shape, 2),
        lambda: fastconv.col2im(col, x.shape, 3, 3),
    ]
    for call in calls:
        used, peak = peak_of(call)
        check(used, peak)
        assert used.workspace_peak == used.packed == 0


def test_odd_layouts_are_counted(normal):
    x, weight = normal((2, 32, 40, 40)), normal((64, 32, 3, 3))
    dy = normal((2, 64, 40, 40))
    for odd in (np.asfortranarray(x), x.astype(">f4"), np.repeat(x, 2, axis=3)[..., ::2]):
        used, peak = peak_of(lambda odd=odd: fastconv.conv2d(odd, weight, padding=1))
        check(used, peak)
        assert used.copies == x.nbytes
        used, peak = peak_of(lambda odd=odd: fastconv.conv2d_backward(dy, odd, weight, padding=1))
        check(used, peak)


def test_infinities_take_no_more(normal):
    """Where a result is computed again, that too is within what was counted."""
    x, weight = normal((2, 32, 40, 40)), normal((64, 32, 3, 3))
    dy = normal((2, 64, 40, 40))
    x[0, 0, 0, 0], weight[0, 0, 0, 0], dy[0, 0, 0, 0] = np.inf, np.nan, -np.inf
    for algorithm, precision in itertools.product(ALGORITHMS, ("standard", "fast")):
        given = {"padding": 1, "algorithm": algorithm, "precision": precision}
        check(*peak_of(lambda given=given: fastconv.conv2d(x, weight, **given)))
        for needs in (("x", "weight", "bias"), "x"):
            given["needs"] = needs
            check(*peak_of(lambda given=given: fastconv.conv2d_backward(dy, x, weight, **given)))


def test_release_gives_back(normal):
    x, weight = normal((2, 32, 40, 40)), normal((64, 32, 3, 3))
    memory.release()
    gc.collect()
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        with memory.track() as used:
            for _ in range(2):  # what the first call nests is one piece from the second on
                fastconv.conv2d(x, weight, algorithm="im2col")
        held = tracemalloc.get_traced_memory()[0] - before
        assert held >= used.workspace_peak
        assert memory.release() >= used.workspace_peak
        assert tracemalloc.get_traced_memory()[0] - before < OBJECTS
        assert memory.release() == 0
    finally:
        tracemalloc.stop()


def test_threads_never_share_a_block(normal):
    """Each thread's results are right, and its counts are its own, whatever the others take."""
    weight = normal((32, 16, 3, 3))
    images = [normal((1 + n % 3, 16, 20 + n, 20)) for n in range(6)]
    right = [fastconv.conv2d(x, weight, algorithm="direct").tobytes() for x in images]
    names = ("im2col", "im2col_tiled")
    wrong: list[str] = []

    def work(n: int) -> None:
        for at in range(30):
            name = names[at % 2]
            with memory.track() as used:
                y = fastconv.conv2d(images[n], weight, algorithm=name)
            expected = fastconv.conv2d_costs(images[n].shape, weight.shape)[name].workspace
            if y.tobytes() != right[n] or used.workspace_peak != expected:
                wrong.append(f"{name} of image {n}: {used}")
            if at % 10 == 9:
                memory.release()

    workers = [threading.Thread(target=work, args=(n,)) for n in range(len(images))]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert not wrong


CHILD = """
import sys
import numpy as np
import fastconv
from fastconv import memory

def status(name):
    with open("/proc/self/status") as file:
        line = next(line for line in file if line.startswith(name + ":"))
    return 1024 * int(line.split()[1])

def reset():
    with open("/proc/self/clear_refs", "w") as file:
        file.write("5")

fastconv.set_num_threads(1)
algorithm, direction, scale = sys.argv[1], sys.argv[2], int(sys.argv[3])
x = np.ones((scale, 32, 112, 112), np.float32)
weight = np.ones((64, 32, 3, 3), np.float32)
dy = np.ones((scale, 64, 112, 112), np.float32)
small = x[:1, :, :8, :8].copy(), weight, dy[:1, :, :8, :8].copy()

def call(x, weight, dy):
    if direction == "forward":
        return fastconv.conv2d(x, weight, padding=1, algorithm=algorithm)
    return fastconv.conv2d_backward(dy, x, weight, padding=1, algorithm=algorithm)

call(*small)  # code and threads that are loaded once
memory.release()
reset()
before = status("VmRSS")
with memory.track() as used:
    kept = call(x, weight, dy)
grown = status("VmHWM") - before
print(grown, used.workspace_peak + used.packed + used.copies + used.output)
del kept
memory.release()
print(status("VmRSS") - before)
"""


def grown_in_a_child(environment, *arguments: str) -> tuple[int, int, int]:
    """Return the growth of a fresh process, what it counted, and what it kept after release."""
    if not os.access("/proc/self/clear_refs", os.W_OK):
        pytest.skip("needs /proc/self/clear_refs, of Linux")
    # large blocks come from the system and go back to it at once
    given = {**environment, "MALLOC_MMAP_THRESHOLD_": "65536", "MALLOC_TRIM_THRESHOLD_": "65536"}
    command = [sys.executable, "-c", CHILD, *arguments]
    run = subprocess.run(command, env=given, capture_output=True, text=True)
    if "PermissionError" in run.stderr:
        pytest.skip("needs /proc/self/clear_refs, which this system forbids")
    assert run.returncode == 0, run.stderr
    grown, counted, kept = map(int, run.stdout.split())
    return grown, counted, kept


@pytest.mark.parametrize("direction", ["forward", "backward"])
@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_resident_memory(algorithm, direction, environment):
    grown, counted, kept = grown_in_a_child(environment, algorithm, direction, "1")
    slack = 3 * 2**19
    assert grown <= counted + slack
    assert grown >= 0.9 * counted - slack
    assert kept <= slack


@pytest.mark.slow
@pytest.mark.parametrize("direction", ["forward", "backward"])
@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_hundreds_of_megabytes(algorithm, direction, environment):
    grown, counted, kept = grown_in_a_child(environment, algorithm, direction, "60")
    assert counted > 90 * 2**20
    assert abs(grown - counted) <= 0.01 * counted + 2**21
    assert kept <= 2**21
