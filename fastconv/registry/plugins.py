"""Names that installed packages offer by entry points: listed from metadata, imported when used."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Collection
from typing import TYPE_CHECKING, Any

from fastconv.errors import ConfigError, PluginWarning, UnknownNameError, shorten
from fastconv.registry.names import VERSIONED, newest

if TYPE_CHECKING:  # importing it takes as long as the rest of the registry
    from importlib.metadata import EntryPoint

__all__ = ["Plugins"]


class Plugins:
    """The entry points of one group.

    A plugin that cannot be used is the subject of one `PluginWarning` that names its
    distribution, and of an error when its name is asked for; it breaks nothing else.

    Parameters
    ----------
    kind : str
        What the group offers, in the singular.
    group : str or None
        The group; None offers nothing.
    """

    def __init__(self, kind: str, group: str | None) -> None:
        self.kind = kind
        self.group = group
        self._lock = threading.Lock()
        self.forget()

    def forget(self) -> None:
        """List the installed packages anew when next asked."""
        self._points: dict[str, list[EntryPoint]] | None = None
        self._failures: dict[str, str] = {}

    def offered(self, taken: Collection[str]) -> list[str]:
        """Return the names offered, without those that failed; warn once of any in `taken`."""
        with self._lock:
            if self._points is None:
                self._points = self._scan(taken) if self.group else {}
            return [name for name in self._points if name not in self._failures]

    def failure(self, stem: str) -> str | None:
        """Return why the plugin for `stem` could not be loaded, if it was tried."""
        failed = newest(stem, self._failures)
        return self._failures[failed] if failed else None

    def load(self, name: str) -> Any:
        """Import what offers `name` and return the object that the entry point gives.

        No lock is held meanwhile: another thread that imports the same plugin would wait for
        it, and this one for that import.

        Raises
        ------
        ConfigError
            If two distributions offer the name.
        UnknownNameError
            If the import fails, in whatever way.
        """
        points = (self._points or {})[name]
        if len(points) > 1:
            raise ConfigError(
                f"{self.kind} {name!r} must come from one distribution, got "
                f"{' and '.join(sorted(map(_distribution, points)))}; uninstall all but one"
            )
        try:
            return points[0].load()
        except (Exception, SystemExit) as error:
            raise self.fail(name, error) from error

    def fail(self, name: str, error: BaseException) -> UnknownNameError:
        """Note that the plugin for `name` is of no use, and return the error to raise."""
        distribution = _distribution((self._points or {})[name][0])
        reason = (
            f"distribution {distribution}, which offers {self.kind} {name!r}, could not be "
            f"loaded: {type(error).__name__}: {error}"
        )
        with self._lock:
            known = name in self._failures
            self._failures[name] = reason
        if not known:
            _warn(reason)
        return UnknownNameError(reason)

    def _scan(self, taken: Collection[str]) -> dict[str, list[EntryPoint]]:
        from importlib import metadata

        try:
            points = list(metadata.entry_points(group=str(self.group)))
        except Exception as error:  # any package's damaged metadata, not only a plugin's
            _warn(f"no {self.kind} of a plugin is known, metadata could not be read: {error}")
            return {}
        found: dict[str, list[EntryPoint]] = {}
        for point in points:
            if point.name.startswith("fastconv.") or point.name in taken:
                rule = "the built-in one is used"
            elif not VERSIONED.fullmatch(point.name):
                rule = "whose name must have the form 'acme.Mish.v1'; it is left out"
            else:
                found.setdefault(point.name, []).append(point)
                continue
            offer = f"{self.kind} {shorten(point.name)}"
            _warn(f"distribution {_distribution(point)} offers {offer}, {rule}")
        return found


def _distribution(point: EntryPoint) -> str:
    return repr(point.dist.name) if point.dist else "(unknown)"


def _warn(message: str) -> None:
    warnings.warn(f"fastconv: {message}", PluginWarning, stacklevel=2)
