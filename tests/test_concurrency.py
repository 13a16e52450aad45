"""The mutex that nothing leaves locked, and properties that are computed without a lock."""

from __future__ import annotations

import os
import sys
import threading
import time

import pytest

from fastconv import concurrency
from fastconv.concurrency import Mutex, computed_once


def free(mutex: Mutex) -> bool:
    """Whether another thread gets `mutex` at once."""
    got = []
    thread = threading.Thread(target=lambda: mutex.run(got.append, 1), daemon=True)
    thread.start()
    thread.join(5)
    return got == [1]


def test_one_thread_at_a_time():
    mutex, inside, most = Mutex(), [], []

    def work(number):
        inside.append(number)
        most.append(len(inside))
        time.sleep(0)
        inside.remove(number)

    def many(number):
        for _ in range(200):
            mutex.run(work, number)

    threads = [threading.Thread(target=many, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(most) == 800 and set(most) == {1}


def test_threads_are_served_in_the_order_in_which_they_came():
    mutex, served, begun, all_wait = Mutex(), [], threading.Event(), threading.Event()

    def first():
        begun.set()
        assert all_wait.wait(60)

    holder = threading.Thread(target=mutex.run, args=(first,))
    holder.start()
    assert begun.wait(10)
    others = []
    for number in range(4):
        others.append(threading.Thread(target=mutex.run, args=(served.append, number)))
        others[-1].start()
        while len(mutex._line) < 2 + number:
            time.sleep(0.001)
    all_wait.set()  # if the holder looked for itself, the line could be gone before it is seen here
    for thread in (holder, *others):
        thread.join()
    assert served == [0, 1, 2, 3]


def test_the_same_thread_goes_in_again():
    mutex = Mutex()
    assert mutex.mine() is None
    assert mutex.run(lambda: mutex.run(lambda: mutex.mine() is not None))
    assert mutex.mine() is None and free(mutex)


def interrupted_at(step: int, call) -> BaseException | None:
    """Run `call` and raise before the bytecode number `step` of concurrency.py; return what came.

    The exception is returned with its traceback, which keeps every frame that it went through.
    """
    left = step

    def trace(frame, event, argument):
        nonlocal left
        if frame.f_code.co_filename != concurrency.__file__:
            return None
        frame.f_trace_opcodes, frame.f_trace_lines = True, False
        if event == "opcode":
            left -= 1
            if left < 0:
                sys.settrace(None)
                raise KeyboardInterrupt
        return trace

    sys.settrace(trace)
    try:
        call()
    except KeyboardInterrupt as error:
        return error
    finally:
        sys.settrace(None)
    return None


def test_an_interrupt_at_any_step_leaves_nothing_locked():
    mutex, kept = Mutex(), []
    while (error := interrupted_at(len(kept), lambda: mutex.run(lambda: None))) is not None:
        kept.append(error)  # as sys.last_exc and debuggers keep it
        assert mutex.mine() is None
        if len(kept) % 7 == 0:
            assert free(mutex)
    assert len(kept) > 50


def test_an_interrupt_of_who_waits_leaves_nothing_locked():
    mutex, kept, step = Mutex(), [], 0
    while True:
        go, inside = threading.Event(), threading.Event()

        def hold(go=go, inside=inside):
            inside.set()
            assert go.wait(10)

        holder = threading.Thread(target=mutex.run, args=(hold,))
        holder.start()
        assert inside.wait(10)
        # let go while the other waits, or before: an interrupt may come before it waits
        threading.Timer(0.005, go.set).start()
        error = interrupted_at(step, lambda: mutex.run(lambda: None))
        holder.join()
        assert mutex.mine() is None
        if error is None:
            break
        kept.append(error)
        step += 3
    assert len(kept) > 20 and free(mutex)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_child_is_not_kept_out_by_threads_that_it_has_not():
    mutex, inside, go = Mutex(), threading.Event(), threading.Event()

    def hold():
        inside.set()
        go.wait(60)

    holder = threading.Thread(target=mutex.run, args=(hold,))
    holder.start()
    assert inside.wait(10)
    child = os.fork()
    if not child:
        os._exit(mutex.run(int, 7))
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 7
    go.set()
    holder.join()
    # a child of a thread that is inside stays inside
    child = mutex.run(os.fork)
    if not child:
        os._exit(mutex.run(int, 8))
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 8


def test_computed_once():
    class Thing:
        made = 0

        @computed_once
        def value(self):
            """What it is."""
            self.made += 1
            return [self.made]

    thing = Thing()
    assert thing.value is thing.value and thing.value == [1]
    assert Thing.value.__doc__ == "What it is." and isinstance(Thing.value, computed_once)
    gate, slow, found = threading.Barrier(8), Thing(), []

    def read():
        gate.wait()
        found.append(slow.value)

    threads = [threading.Thread(target=read) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(value is slow.value for value in found)
