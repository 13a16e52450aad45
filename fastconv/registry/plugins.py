"""Names that installed packages offer by entry points: listed from metadata, imported when used."""

from __future__ import annotations

import re
import warnings
from collections.abc import Collection, Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

from fastconv.concurrency import Mutex
from fastconv.errors import (
    ConfigError,
    PluginWarning,
    Problem,
    UnknownNameError,
    describe,
    from_signal,
    shorten,
)
from fastconv.registry.names import VERSIONED, newest

if TYPE_CHECKING:  # importing it takes as long as the rest of the registry
    from importlib.metadata import Distribution, EntryPoint

__all__ = ["Offer", "Plugins"]


class Offer(NamedTuple):
    """A name that a distribution offers.

    Attributes
    ----------
    name : str
        The name of the entry point; empty if the metadata could not be read.
    distribution : str
    refusal : str
        Why the offer is not used; empty if it is.
    """

    name: str
    distribution: str
    refusal: str = ""


class Plugins:
    """The entry points of one group.

    If a plugin cannot be used, one `PluginWarning` names its distribution, and an error is raised
    when its name is asked for. It breaks nothing else.

    Parameters
    ----------
    kind : str
        What the group offers, in the singular.
    group : str or None
        The group; None means one that offers nothing.
    """

    def __init__(self, kind: str, group: str | None) -> None:
        self.kind = kind
        self.group = group
        self._mutex = Mutex()
        self.forget()

    def forget(self) -> None:
        """Have the installed packages listed anew when a name is next asked for."""
        self._points: dict[str, list[EntryPoint]] | None = None
        self._refused: list[Offer] = []
        self._failures: dict[str, Problem] = {}

    def offered(self, taken: Collection[str]) -> list[str]:
        """Return the offered names, without those that failed; warn once of those in `taken`."""
        if self._points is None:
            self._list(taken)
        return [name for name in self._points or {} if name not in self._failures]

    def offers(self) -> list[Offer]:
        """Return all offers that were listed, each with the reason if it is not used."""
        points = (self._points or {}).values()
        used = [Offer(p.name, _distribution(p.dist)) for group in points for p in group]
        return used + self._refused

    def failure(self, stem: str) -> Problem | None:
        """Return why the plugin for `stem` could not be loaded; None if it was not tried."""
        failed = newest(stem, self._failures)
        return self._failures[failed] if failed else None

    def load(self, name: str) -> Any:
        """Import what offers `name` and return the object that the entry point gives.

        No lock is held meanwhile. Another thread that imports the same plugin would wait for the
        lock, while this one would wait for that import.

        Raises
        ------
        ConfigError
            If two distributions offer the name.
        UnknownNameError
            If the import fails in any way but Ctrl-C.
        """
        points = (self._points or {})[name]
        if len(points) > 1:
            owners = sorted({_distribution(point.dist) for point in points})
            once = len(owners) == 1
            raise ConfigError(
                "",
                f"{self.kind} {name!r}",
                f"must {'be offered once' if once else 'come from one distribution'}",
                remedy="its entry_points.txt is to be mended" if once else "uninstall all but one",
                shown=f"{len(points)} offers of {owners[0]}" if once else " and ".join(owners),
            )
        try:
            return points[0].load()
        except BaseException as error:  # such as SystemExit, GeneratorExit and classes of others
            if from_signal(error):
                raise
            raise self.fail(name, error) from error

    def fail(self, name: str, error: BaseException) -> UnknownNameError:
        """Note that the plugin for `name` cannot be used, and return the error to raise."""
        owner = _distribution((self._points or {})[name][0].dist)
        reason = Problem(
            "",
            f"distribution {owner}, which offers {self.kind} {name!r},",
            f"could not be loaded: {describe(error)}",
        )
        if self._failures.setdefault(name, reason) is reason:  # the first to fail says so
            _warn(reason)
        return UnknownNameError([reason])

    def _list(self, taken: Collection[str]) -> None:
        """Read what is installed, keep it unless another thread was first, and then warn."""
        found: dict[str, list[EntryPoint]] = {}
        refused = []
        for offer, point in self._scan() if self.group else ():
            if point is None:
                refused.append(offer)
            elif point.name.startswith("fastconv.") or point.name in taken:
                refused.append(offer._replace(refusal="the built-in one is used"))
            elif not VERSIONED.fullmatch(point.name):
                rule = "whose name must have the form 'acme.Mish.v1'; it is left out"
                refused.append(offer._replace(refusal=rule))
            else:
                found.setdefault(point.name, []).append(point)
        if not self._mutex.run(self._take_over, found, refused):
            return
        for offer in refused:  # only now, since whatever shows a warning may ask for a name
            what = f"offers {self.kind} {shorten(offer.name)},"
            if not offer.name:
                what = f"offers no {self.kind} that is known:"
            _warn(f"distribution {offer.distribution} {what} {offer.refusal}")

    def _take_over(self, found: dict[str, list[EntryPoint]], refused: list[Offer]) -> bool:
        if self._points is not None:
            return False
        vars(self).update(_points=found, _refused=refused)
        return True

    def _scan(self) -> Iterator[tuple[Offer, EntryPoint | None]]:
        """Yield the entry points of the group, or None and the reason if one cannot be read."""
        seen = set()
        for dist, problem in _distributions():
            if dist is None:
                yield Offer("", "(unknown)", problem), None
                continue
            key = _key(dist)
            if key is not None and key in seen:  # the first on the path is what is imported
                continue
            seen.add(key)
            try:
                points = list(dist.entry_points.select(group=str(self.group)))
            except Exception as error:  # any package's damage, not only a plugin's
                if from_signal(error):
                    raise
                rule = f"its entry_points.txt could not be read, {describe(error)}"
                yield Offer("", _distribution(dist), rule), None
                continue
            for point in points:
                yield Offer(point.name, _distribution(dist)), point


def _distributions() -> Iterator[tuple[Distribution | None, str]]:
    """Yield what is installed, and None with the reason if the list breaks off."""
    from importlib import metadata

    try:
        for dist in metadata.distributions():
            yield dist, ""
    except Exception as error:
        if from_signal(error):
            raise
        yield None, f"the installed packages could not be listed, {describe(error)}"


def _distribution(dist: Distribution | None) -> str:
    """Return the name of a distribution, or that of its folder if its metadata has none."""
    try:
        name: object = dist.name if dist else None
    except Exception as error:
        if from_signal(error):
            raise
        name = None
    if name is None:
        name = getattr(getattr(dist, "_path", None), "name", None)
    return "(unknown)" if name is None else shorten(str(name))


def _key(dist: Distribution) -> str | None:
    """Return the name of a distribution as PEP 503 compares it, or None if it has none."""
    try:  # the first is made of the folder's name, and reads no file
        name = getattr(dist, "_normalized_name", None) or dist.name
        return re.sub(r"[-_.]+", "-", name).lower()
    except Exception as error:
        if from_signal(error):
            raise
        return None


def _warn(message: str) -> None:
    warnings.warn(f"fastconv: {message}", PluginWarning, stacklevel=2)
