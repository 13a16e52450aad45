"""What becomes of the other ranks when one of them fails: they are ended, and nobody waits."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from fastconv.training.sharding.ranks import Ranks

__all__ = ["joined_by"]


@contextmanager
def joined_by(comm: Any) -> Iterator[Ranks]:
    """Return a context of the ranks of `comm`; None is one process alone.

    `Ranks` that somebody has joined already are returned as they are, and stay joined.

    An error that all ranks raise at the same time is raised. After any other, this rank prints it
    and ends all: they would wait for it for ever.
    """
    if isinstance(comm, Ranks):
        yield comm
        return
    ranks = Ranks(comm)
    try:
        yield ranks
    except BaseException as error:
        if ranks.comm is not None and error is not ranks.common:
            _end_all(ranks)
        raise
    finally:
        ranks.close()


def _end_all(ranks: Ranks) -> None:
    lines = traceback.format_exc().splitlines()
    said = "".join(f"[rank {ranks.rank}] {line}\n" for line in lines)
    print(f"{said}[rank {ranks.rank}] ends all {ranks.ranks} ranks", file=sys.stderr, flush=True)
    if sys.stdout is not None:
        sys.stdout.flush()
    ranks.comm.Abort(1)
