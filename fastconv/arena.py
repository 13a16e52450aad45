"""Scratch memory that calls, layers and threads share: stacks of blocks, kept between calls.

No code has to give memory back, for an interrupt could skip it.  A block is an object: when it
dies, its memory is free, and when the last block of a stack dies, the piece of memory under the
stack is free.  Weak references tell which is.  There is no lock: threads change what they share by
single operations on lists.
"""

from __future__ import annotations

import threading
import weakref

import numpy as np

from fastconv.step_memory import ALIGNMENT, aligned

__all__ = ["Arena", "Block"]

#: Bytes by which the blocks of one call grow at most, since each begins at a whole line; but for
#: groups of many filters, which have a block each.  A block that then fits no more lies elsewhere.
ROUNDING = 4 * ALIGNMENT


class Block:
    """Memory that is lent to a call, an aligned `array` of uint8; free when the block dies."""

    __slots__ = ("__weakref__", "array", "end", "stack")

    def __init__(self, stack: Stack, array: np.ndarray, end: int):
        self.stack, self.array, self.end = stack, array, end


class Stack:
    """The blocks that one thread holds, in one piece of memory while they fit it."""

    __slots__ = ("__weakref__", "blocks", "memory")

    def __init__(self, memory: np.ndarray):
        self.memory = memory
        self.blocks: list[weakref.ref[Block]] = []

    def push(self, nbytes: int) -> Block:
        begin = 0
        while self.blocks:
            last = self.blocks[-1]()
            if last is not None:
                begin = last.end
                break
            self.blocks.pop()
        end = begin + -(-nbytes // ALIGNMENT) * ALIGNMENT
        inside = end <= self.memory.nbytes
        array = self.memory[begin : begin + nbytes] if inside else aligned(nbytes)
        block = Block(self, array, end)
        self.blocks.append(weakref.ref(block))
        return block


class Piece:
    """Memory that is kept between calls, and the stack that lies in it, if one does."""

    __slots__ = ("memory", "stack")

    def __init__(self, memory: np.ndarray, stack: Stack):
        self.memory, self.stack = memory, weakref.ref(stack)

    @property
    def free(self) -> bool:
        return self.stack() is None


def _nothing() -> None:
    """Stand for the stack of a thread that has taken nothing yet."""


class Arena:
    """Lends blocks to calls, which may nest.

    Blocks that one call needed at one time lie in one piece of memory the next time.  So the
    memory that is kept is what the most demanding call needs, and not a sum over many calls.
    """

    def __init__(self) -> None:
        self.own = threading.local()
        self.pieces: list[Piece] = []
        self.largest = 0  # what a call has needed at one time

    def take(self, nbytes: int, keep: bool = True, room: int = 0) -> Block:
        """Lend `nbytes`.

        With `keep`, the first block of a stack has room behind it for the largest call so far, and
        its memory is kept for the next call.  `room` says what this call will need at one time: a
        piece that only its first block fits would stay beside memory for the others.
        """
        stack: Stack | None = getattr(self.own, "stack", _nothing)()
        if stack is None:
            whole = max(nbytes, room + ROUNDING) if keep and room > nbytes else nbytes
            stack = self._new_stack(whole, keep)
            self.own.stack = weakref.ref(stack)
        block = stack.push(nbytes)
        if keep:
            self.largest = max(self.largest, block.end)
        return block

    def _new_stack(self, nbytes: int, keep: bool) -> Stack:
        memory = self._free_memory(nbytes)
        if memory is None:
            memory = self._fresh_memory(nbytes, keep)
        stack = Stack(memory)
        if keep:
            self.pieces.append(Piece(memory, stack))
        return stack

    def _free_memory(self, nbytes: int) -> np.ndarray | None:
        """Return the smallest free memory that `nbytes` fit into; smaller pieces are let go."""
        free = [piece for piece in self.pieces[:] if piece.free]
        least = max(nbytes, self.largest)  # smaller pieces would only pile up
        for piece in sorted(free, key=lambda piece: piece.memory.nbytes):
            if self._remove(piece) and piece.memory.nbytes >= least:
                return piece.memory
        return None

    def _fresh_memory(self, nbytes: int, keep: bool) -> np.ndarray:
        room = max(self.largest, nbytes) if keep else nbytes
        try:
            return aligned(-(-room // ALIGNMENT) * ALIGNMENT)
        except MemoryError:
            if room == nbytes:
                raise
        return aligned(-(-nbytes // ALIGNMENT) * ALIGNMENT)  # there is no room for more

    def _remove(self, piece: Piece) -> bool:
        """Take `piece` out of the list; False if another thread was quicker."""
        try:
            self.pieces.remove(piece)
        except ValueError:
            return False
        return True

    def release(self) -> int:
        """Let free memory go; return how many bytes it was."""
        self.largest = 0
        free = [piece for piece in self.pieces[:] if piece.free]
        return sum(piece.memory.nbytes for piece in free if self._remove(piece))
