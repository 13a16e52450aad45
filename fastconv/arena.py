"""Scratch memory that calls, layers and threads share: stacks of blocks, kept between calls."""

from __future__ import annotations

import threading

import numpy as np

from .slab import ALIGNMENT, aligned

__all__ = ["Arena", "Block"]


class Block:
    """Memory lent to a call: `array` of uint8, aligned."""

    __slots__ = ("array", "end", "stack")

    def __init__(self, stack: Stack, array: np.ndarray, end: int):
        self.stack, self.array, self.end = stack, array, end


class Stack:
    """The blocks that one thread holds, in one piece of memory as far as it goes."""

    __slots__ = ("blocks", "memory", "peak")

    def __init__(self, memory: np.ndarray):
        self.memory = memory
        self.blocks: list[Block] = []
        self.peak = 0

    def push(self, nbytes: int) -> Block:
        begin = self.blocks[-1].end if self.blocks else 0
        end = begin + -(-nbytes // ALIGNMENT) * ALIGNMENT
        inside = end <= self.memory.nbytes
        array = self.memory[begin : begin + nbytes] if inside else aligned(nbytes)
        self.blocks.append(Block(self, array, end))
        self.peak = max(self.peak, end)
        return self.blocks[-1]


class Arena:
    """Lends blocks, which calls nest; what was needed at one time is one piece the next time.

    So the memory kept is that of the most demanding call, and no sum over sizes that do not
    fit into each other.
    """

    def __init__(self) -> None:
        self.renew_locks()
        self.free: list[np.ndarray] = []
        self.largest = 0  # what a call has needed at one time

    def renew_locks(self) -> None:
        """Make the lock anew; no thread but this one holds blocks."""
        self.lock = threading.Lock()
        if not hasattr(self, "own"):
            self.own = threading.local()

    def take(self, nbytes: int, *, keep: bool = True) -> Block:
        """Lend `nbytes`; with `keep` a first block brings the room of the largest call."""
        stack: Stack | None = getattr(self.own, "stack", None)
        if stack is None:
            stack = Stack(self._memory(nbytes, keep))
            self.own.stack = stack
        try:
            return stack.push(nbytes)
        except MemoryError:
            self._finish(stack, keep)
            raise

    def give_back(self, block: Block, *, keep: bool = True) -> None:
        """Take back `block`; with `keep` its memory stays for the next call."""
        stack = block.stack
        stack.blocks.remove(block)
        self._finish(stack, keep)

    def _memory(self, nbytes: int, keep: bool) -> np.ndarray:
        with self.lock:
            fitting = [i for i, memory in enumerate(self.free) if memory.nbytes >= nbytes]
            if fitting:
                return self.free.pop(min(fitting, key=lambda i: self.free[i].nbytes))
            self.free.clear()  # smaller pieces would only pile up
            room = max(self.largest, nbytes) if keep else nbytes
        return aligned(-(-room // ALIGNMENT) * ALIGNMENT)

    def _finish(self, stack: Stack, keep: bool) -> None:
        if stack.blocks:
            return
        if getattr(self.own, "stack", None) is stack:
            self.own.stack = None
        if keep:
            with self.lock:
                self.largest = max(self.largest, stack.peak)
                if stack.memory.nbytes >= self.largest:
                    self.free.append(stack.memory)

    def release(self) -> int:
        """Let free memory go; return how many bytes it was."""
        with self.lock:
            released = sum(memory.nbytes for memory in self.free)
            self.free.clear()
            self.largest = 0
        return released
