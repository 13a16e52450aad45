"""The one binary tree in which what pieces give is added, however many ranks compute them.

A node has neighbouring pieces. It is cut behind the largest power of two of them that leaves some:

::

    0 1 2 3 4 5 6        ((0 + 1) + (2 + 3)) + ((4 + 5) + 6)
     |   |   |  |
      \\ /     \\/         two ranks, pieces 0 to 2 and 3 to 6: the first has (0 + 1) and 2,
       |      /          the second has 3 and (4 + 5) + 6; they exchange these four
        \\___/

So a rank adds what lies in its own pieces, the largest nodes inside them, and the rest is added
where these meet. No sum depends on where it is computed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TypeVar

__all__ = ["Node", "joined", "merges", "most_kept", "whole_nodes"]

#: The first piece, and the one behind the last.
Node = tuple[int, int]

T = TypeVar("T")


def _middle(node: Node) -> int:
    """Return where a node of several pieces is cut."""
    begin, end = node
    return begin + (1 << ((end - begin - 1).bit_length() - 1))


def whole_nodes(own: range, pieces: int) -> list[Node]:
    """Return the largest nodes of the tree over `pieces` pieces that lie in `own`, in order.

    Examples
    --------
    >>> whole_nodes(range(5, 10), 16)
    [(5, 6), (6, 8), (8, 10)]
    >>> whole_nodes(range(4, 7), 7)
    [(4, 7)]
    """

    def found(node: Node) -> Iterator[Node]:
        begin, end = node
        if own.start <= begin and end <= own.stop:
            yield node
        elif begin < own.stop and own.start < end:
            middle = _middle(node)
            yield from found((begin, middle))
            yield from found((middle, end))

    return list(found((0, pieces))) if own else []


def merges(nodes: list[Node]) -> list[int]:
    """Return for each piece of `nodes` how many sums are complete when it is there.

    Where pieces come in order, each sum is of the two last things that are there.

    Examples
    --------
    >>> merges([(0, 4)])
    [0, 1, 0, 2]
    """
    found: list[int] = []

    def walk(node: Node) -> None:
        if node[1] - node[0] == 1:
            found.append(0)
            return
        middle = _middle(node)
        walk((node[0], middle))
        walk((middle, node[1]))
        found[-1] += 1

    for node in nodes:
        walk(node)
    return found


def most_kept(complete: list[int]) -> int:
    """Return how many sums are kept at a time at the most, given what `merges` says.

    Examples
    --------
    >>> most_kept(merges([(0, 16)]))
    4
    """
    most = now = 0
    for count in complete:
        now += 1 - count
        most = max(most, now)
    return most


def joined(parts: Mapping[Node, T], add: Callable[[T, T], T], node: Node) -> T:
    """Return the sum of `node`, of `parts` that together are all of it."""
    if node in parts:
        return parts[node]
    middle = _middle(node)
    left = joined(parts, add, (node[0], middle))
    return add(left, joined(parts, add, (middle, node[1])))
