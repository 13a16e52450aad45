"""The bits of what the kernels give: ``python -m elsewhere.bits 1000``.

Runs cases of the fuzzer, whose arguments come from their numbers alone, and prints a digest of all
results for each kind of function. Builds that give the same bits print the same lines.
"""

from __future__ import annotations

import hashlib
import sys
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from fuzzing import kinds
from fuzzing.case import Case
from fuzzing.guard import Memory

from fastconv import kernels


def arrays(result: Any) -> Iterator[np.ndarray]:
    """Yield the arrays that a function returned, however deep."""
    if isinstance(result, np.ndarray):
        yield result
    elif isinstance(result, (tuple, list)):
        for each in result:
            yield from arrays(each)


def same_nan(array: np.ndarray) -> np.ndarray:
    """Return a copy in which every NaN has the same bits: which they are, nobody promises."""
    plain = np.array(array, order="C")
    if plain.dtype.kind == "f":
        plain[np.isnan(plain)] = np.nan
    return plain


class Digested(Case):
    """A case whose results are noted."""

    seen: dict[str, Any] = {}

    def call(self, function: Callable[..., Any], *args: Any, **options: Any) -> Any:
        result = super().call(function, *args, **options)
        for array in arrays(result):
            content = same_nan(array)
            digest = self.seen.setdefault(f"{self.dtype} {function.__name__}", hashlib.sha256())
            digest.update(f"{content.dtype.str}{content.shape}".encode())
            digest.update(content)
        return result


def digests(cases: int) -> dict[str, str]:
    """Return a digest of all results of each function and dtype over the first cases."""
    Digested.seen = {}
    warnings.simplefilter("error")
    before, kinds.Case = kinds.Case, Digested  # type: ignore[misc]
    try:
        memory = Memory()
        for number in range(cases):
            kinds.run(number, memory)
    finally:
        kinds.Case = before  # type: ignore[misc]
    return {name: digest.hexdigest() for name, digest in sorted(Digested.seen.items())}


if __name__ == "__main__":
    for name, digest in digests(int(sys.argv[1])).items():
        print(f"{kernels.active_isa()} {name}: {digest}")
