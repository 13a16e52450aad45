"""Scratch memory that calls share, and the layout of a step of training."""

from __future__ import annotations

import subprocess
import sys
import threading

import numpy as np
import pytest
from interrupting import at_step, interrupted, steps

from fastconv.arena import Arena
from fastconv.step_memory import StepMemory, aligned, layout


def address(block) -> int:
    return block.array.__array_interface__["data"][0]


def free(arena) -> list[int]:
    return [piece.memory.nbytes for piece in arena.pieces if piece.free]


def test_nested_blocks_are_one_piece_from_the_second_time_on():
    arena = Arena()
    for _ in range(2):
        first = arena.take(1000)
        second = arena.take(5000)
        first.array[:], second.array[:] = 1, 2
        assert first.array.sum() == 1000
        assert address(first) % 64 == address(second) % 64 == 0
        third = arena.take(10)
        places = address(first), address(second)
        del third, second, first
    assert places[1] == places[0] + 1024
    assert free(arena) == [1024 + 5056 + 64]
    arena.take(100_000)
    assert free(arena) == [100_032]
    assert arena.release() == 100_032
    assert arena.release() == 0


def test_a_call_that_says_what_it_needs_takes_one_piece_at_once():
    arena = Arena()
    arena.take(3000)
    first = arena.take(1000, room=9000)
    second = arena.take(8000)
    assert address(second) == address(first) + 1024
    del first, second
    assert free(arena) == [9280]  # what the smaller call left is gone
    kept = arena.take(1000, keep=False, room=9000)
    assert kept.stack.memory.nbytes in (1024, 9280)


def test_blocks_come_back_in_any_order():
    arena = Arena()
    blocks = [arena.take(64 * n) for n in (1, 2, 3)]
    del blocks[0]
    held = [*blocks, arena.take(64)]
    for number, block in enumerate(held):
        block.array[:] = number
    assert [set(block.array) for block in held] == [{0}, {1}, {2}]
    del blocks, held, block
    again = [arena.take(64 * n) for n in (1, 2, 3, 1)]
    assert len({address(block) for block in again}) == 4


def test_what_is_not_kept_leaves_nothing():
    arena = Arena()
    arena.take(10_000, keep=False)
    assert not arena.pieces and arena.largest == 0


def test_threads_have_pieces_of_their_own():
    arena, errors, gate = Arena(), [], threading.Barrier(4)

    def work(number: int) -> None:
        rng = np.random.default_rng(number)
        gate.wait()
        for _ in range(300):
            blocks = [arena.take(int(rng.integers(1, 5000))) for _ in range(3)]
            for block in blocks:
                block.array[:] = number
            if any((block.array != number).any() for block in blocks):
                errors.append(number)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors
    assert len(free(arena)) == len(arena.pieces) <= 4


def test_memory_that_is_not_there_leaves_the_arena_as_it_was():
    arena = Arena()
    held = arena.take(100)
    for _ in range(2):
        try:
            arena.take(2**62)
        except MemoryError:
            pass
    after = arena.take(100)
    assert address(after) != address(held)
    del after, held
    try:
        arena.take(2**62)
    except MemoryError:
        pass
    arena.take(50)
    assert len(free(arena)) == 1


def most_alive(loans) -> int:
    times = range(1 + max(born for _, born, _ in loans))
    return max(
        sum(size for size, born, died in loans if born <= time and (died < 0 or died > time))
        for time in times
    )


def test_a_layout_overlaps_nothing_that_lives_together(rng):
    for _ in range(200):
        loans = []
        for born in range(int(rng.integers(1, 25))):
            died = int(rng.integers(born + 1, born + 9))
            loans.append([64 * int(rng.integers(1, 50)), born, -1 if died > 24 else died])
        places = layout(loans)
        assert [size for size, _ in places] == [size for size, _, _ in loans]
        for one, (size, at) in enumerate(places):
            for other, (size_2, at_2) in enumerate(places[:one]):
                ends = [died if died >= 0 else 99 for _, _, died in loans]
                together = loans[one][1] < ends[other] and loans[other][1] < ends[one]
                assert not together or at + size <= at_2 or at_2 + size_2 <= at
        needed = max(map(sum, places))
        assert most_alive(loans) <= needed <= 1.5 * most_alive(loans)


def test_the_layout_of_a_chain_takes_what_lives_at_one_time():
    sizes = [3456, 864, 64, 64, 864, 3456]
    loans = [[64 * size, at, at + 2] for at, size in enumerate(sizes)]
    assert max(map(sum, layout(loans))) == most_alive(loans)


def test_where_there_is_no_room_for_the_largest_call_a_call_asks_for_what_it_needs(monkeypatch):
    arena, asked = Arena(), []
    held = arena.take(1_000_000)

    def scarce(nbytes):
        asked.append(nbytes)
        if nbytes > 10_000:
            raise MemoryError
        return aligned(nbytes)

    monkeypatch.setattr("fastconv.arena.aligned", scarce)
    others = []
    thread = threading.Thread(target=lambda: others.append(arena.take(100).array.nbytes))
    thread.start()
    thread.join()
    assert others == [100] and asked == [1_000_000, 128]
    del held


SCARCE = """
import resource, sys, threading
import numpy as np
import fastconv
from fastconv import memory

def left(nbytes):
    with open("/proc/self/statm") as file:
        used = int(file.read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + nbytes, resource.RLIM_INFINITY))

fastconv.set_num_threads(1)
x, w = np.ones((1, 3, 32, 32), np.float32), np.ones((4, 3, 3, 3), np.float32)
small = lambda: fastconv.conv2d(x, w, algorithm="im2col")
right, answers = small(), []
threading.stack_size(1 << 20)
starts = [threading.Thread(target=lambda: answers.append(small())) for _ in range(2)]
starts[0].start()
starts[0].join()
memory.release()
with memory.workspace(200 << 20):  # another thread is in the middle of a large call
    left(40 << 20)
    starts[1].start()
    starts[1].join()
assert len(answers) == 2 and all((answer == right).all() for answer in answers)
# what is kept is free for other things: 200 MiB of workspace become an output
y = memory.empty((150 << 20,), np.uint8)
print(y.nbytes >> 20)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="limits and /proc of Linux")
def test_little_address_space(environment):
    run = subprocess.run(
        [sys.executable, "-c", SCARCE], capture_output=True, text=True, env=environment
    )
    assert run.stdout.strip() == "150", run.stderr


def test_a_slab_that_finds_no_room_lets_arrays_be_allocated_one_by_one(monkeypatch):
    shared = StepMemory()
    for _ in range(2):
        held = [shared.lend((100_000,), np.dtype("float64")) for _ in range(3)]
        del held
        with monkeypatch.context() as scarce:
            scarce.setattr("fastconv.step_memory.aligned", lambda nbytes: refuse(nbytes))
            shared.begin()
    array = shared.lend((10,), np.dtype("float64"))
    assert array.shape == (10,) and shared.whole
    monkeypatch.setattr("fastconv.step_memory.allocate", lambda *size: refuse(1))
    with pytest.raises(MemoryError):
        shared.lend((10,), np.dtype("float64"))
    assert not shared.whole and shared.lend((10,), np.dtype("float64")) is None


def refuse(nbytes):
    if nbytes:
        raise MemoryError
    return aligned(0)


def test_an_interrupted_slab_lends_no_more_and_one_in_use_lends_nothing_to_a_handler():
    shared, kept = StepMemory(), []
    shared.resize(1 << 20)
    lend = lambda: shared.lend((1000,), np.dtype("float64"))  # noqa: E731
    count = steps(lend)
    for step in range(count):
        shared = StepMemory()
        shared.resize(1 << 20)
        kept.append(interrupted(lend, step))
        if shared.whole:
            shared.begin()
            assert shared.lent in (0, 8000), "interrupted before or after"
        else:
            assert shared.lend((10,), np.dtype("float64")) is None
        shared = StepMemory()
        shared.resize(1 << 20)
        inside: list[np.ndarray | None] = []

        def more(inside=inside):
            inside.append(lend())

        at_step(more, step, more)
        assert sum(array is not None for array in inside) >= 1 and inside[-1] is not None
        arrays = [array for array in inside if array is not None]
        assert not any(np.shares_memory(a, b) for a in arrays for b in arrays if a is not b)
    assert sum(error is not None for error in kept) > count / 2
