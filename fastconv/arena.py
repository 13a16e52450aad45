"""Scratch memory that calls, layers and threads share: stacks of blocks, kept between calls.

Nothing here is given back by a step that could be left out.  A block is an object; when it dies,
its memory is free, and when the last block of a stack dies, so is the piece that the stack lies
in.  Who looks for memory sees by weak references what is free.  Nor is there a lock: what threads
share is changed by single operations on lists.
"""

from __future__ import annotations

import threading
import weakref

import numpy as np

from .slab import ALIGNMENT, aligned

__all__ = ["Arena", "Block"]


class Block:
    """Memory lent to a call: `array` of uint8, aligned.  It is free again when the block dies."""

    __slots__ = ("__weakref__", "array", "end", "stack")

    def __init__(self, stack: Stack, array: np.ndarray, end: int):
        self.stack, self.array, self.end = stack, array, end


class Stack:
    """The blocks that one thread holds, in one piece of memory as far as it goes."""

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
    """Memory that is kept, and the stack that lies in it, if that still lives."""

    __slots__ = ("memory", "stack")

    def __init__(self, memory: np.ndarray, stack: Stack):
        self.memory, self.stack = memory, weakref.ref(stack)

    @property
    def free(self) -> bool:
        return self.stack() is None


def _nothing() -> None:
    """What a thread has that has taken nothing yet."""


class Arena:
    """Lends blocks, which calls nest; what was needed at one time is one piece the next time.

    So the memory kept is that of the most demanding call, and no sum over sizes that do not
    fit into each other.
    """

    def __init__(self) -> None:
        self.own = threading.local()
        self.pieces: list[Piece] = []
        self.largest = 0  # what a call has needed at one time

    def take(self, nbytes: int, keep: bool = True) -> Block:
        """Lend `nbytes`; with `keep` a first block brings the room of the largest call, and its
        memory stays for the next one.
        """
        stack: Stack | None = getattr(self.own, "stack", _nothing)()
        if stack is None:
            stack = self._new_stack(nbytes, keep)
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
