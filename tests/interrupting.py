"""Interrupts that come before any bytecode of fastconv, without a clock: a trace counts them."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import fastconv

PACKAGE = str(Path(fastconv.__file__).parent)


class Interrupt(KeyboardInterrupt):
    """What a handler of a signal raises."""


def at_step(call: Callable[[], Any], step: int, then: Callable[[], Any]) -> int:
    """Run `call`, and `then` before its bytecode number `step`, as a handler of a signal runs.

    Returns
    -------
    int
        How many bytecodes of fastconv were run, at most `step`.
    """
    done = 0

    def trace(frame: FrameType, event: str, argument: Any) -> Any:
        nonlocal done
        if not frame.f_code.co_filename.startswith(PACKAGE):
            return None
        frame.f_trace_opcodes, frame.f_trace_lines = True, False
        if event == "opcode":
            if done == step:
                sys.settrace(None)
                then()
                done += 1
            elif done < step:
                done += 1
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        call()
    finally:
        sys.settrace(before)
    return done


def interrupted(call: Callable[[], Any], step: int) -> BaseException | None:
    """Run `call` and interrupt it before its bytecode number `step`, if it gets there.

    Returns
    -------
    BaseException or None
        The interrupt, with the traceback, which keeps all frames that it went through.
    """

    def stop() -> None:
        raise Interrupt

    try:
        at_step(call, step, stop)
    except Interrupt as error:
        return error
    return None


def steps(call: Callable[[], Any]) -> int:
    """Return of how many bytecodes of fastconv `call` consists."""
    return at_step(call, sys.maxsize, lambda: None)


def some(count: int, most: int) -> Iterator[int]:
    """Yield at most `most` steps of `count`, evenly, and another choice than every second one."""
    stride = max(1, -(-count // most))
    stride += stride > 1 and stride % 2 == 0
    yield from range(0, count, stride)
