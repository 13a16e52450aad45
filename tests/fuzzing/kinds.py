"""Which check a case number runs."""

from __future__ import annotations

from collections.abc import Callable

from fuzzing import (
    activations,
    convolution,
    dense,
    elementwise,
    embedding,
    local_response,
    maps,
    normalize,
    pooling,
    sample_norms,
    smooth,
    unfolding,
    updates,
)
from fuzzing.case import Case
from fuzzing.guard import Memory

#: The check and its share of all cases.
KINDS: dict[str, tuple[Callable[[Case], None], int]] = {
    "convolution": (convolution.check, 40),
    "max pooling": (pooling.check_max, 12),
    "scatter": (pooling.check_scatter, 3),
    "average pooling": (pooling.check_average, 10),
    "unfolding": (unfolding.check, 8),
    "dense": (dense.check, 10),
    "elementwise": (elementwise.check, 4),
    "smooth": (smooth.check, 5),
    "activations": (activations.check, 5),
    "updates": (updates.check, 4),
    "batch norm": (normalize.check, 4),
    "maps": (maps.check, 12),
    "embedding": (embedding.check, 2),
    "layer norm": (sample_norms.check_layers, 3),
    "group norm": (sample_norms.check_groups, 2),
    "local response": (local_response.check, 3),
}
_ORDER = [name for name, (_, share) in KINDS.items() for _ in range(share)]


class Failure(Exception):
    """What is wrong in a case, with what the case drew."""


def kind_of(case: Case) -> str:
    """Return the kind of a case: the first thing that it draws."""
    return case.pick(*_ORDER)


def run(number: int, memory: Memory) -> str:
    """Run the case of a number and return its kind.

    Raises
    ------
    Failure
        Naming the case, what it drew and what is wrong.
    """
    case = Case(number, memory)
    kind = kind_of(case)
    try:
        with case.surroundings():
            KINDS[kind][0](case)
            case.check_arrays()
    except Exception as error:
        drawn = ", ".join(f"{name}={value!r}" for name, value in case.notes.items())
        what = str(error) if isinstance(error, AssertionError) else repr(error)
        raise Failure(f"case {number}, {kind}: {what}\n    {drawn}") from error
    finally:
        memory.clear()
    return kind
