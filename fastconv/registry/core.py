"""The one generic Registry."""

from __future__ import annotations

import fnmatch
import importlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Generic, TypeVar, overload

from fastconv.arguments import as_bool, as_text
from fastconv.concurrency import Mutex, computed_once
from fastconv.errors import (
    ArgumentError,
    ArgumentTypeError,
    UnknownNameError,
    from_signal,
    in_one_line,
    nearest,
    shorten,
)
from fastconv.registry.names import BARE, VERSIONED, newest, newest_of, short, versions
from fastconv.registry.plugins import Offer, Plugins
from fastconv.registry.spellings import absent, either, name_offers

__all__ = ["Registry"]

T = TypeVar("T")

#: For each kind of names, what shows them all.
LISTED = {
    "layer": "fastconv.list_layers(), or the command `fastconv layers`, shows all",
    "model": "fastconv.list_models() shows all",
}


class _Known(Generic[T]):
    """What is registered and announced at one moment; it never changes, a new one takes its place.

    Every layer of a network looks into the two tables. They are made when one first does: while
    the package is imported, some hundred names are registered and none is looked up.
    """

    def __init__(self, entries: dict[str, T], announced: Mapping[str, str]) -> None:
        self.entries = entries
        self.announced = announced

    @computed_once
    def ours(self) -> dict[str, str]:
        """From each short name of fastconv's own to its newest version."""
        return newest_of([*self.entries, *self.announced])

    @computed_once
    def names(self) -> dict[tuple[str, str | int], str]:
        """From where an object was defined to the name under which it was registered last."""
        return {_origin(entry): name for name, entry in self.entries.items()}


class Registry(Generic[T]):
    """Names and the objects they stand for.

    Parameters
    ----------
    kind : str
        What is registered, in the singular, for error messages.
    entry_point_group : str, optional
        The group of entry points by which installed packages add names.
    versioned : bool
        Whether names have the form ``namespace.Name.vN``; else they are lower_snake.

    Attributes
    ----------
    requires : type or None
        The class from which everything that is registered must be derived.

    Examples
    --------
    >>> shapes = Registry("shape")
    >>> square = shapes.register("square", lambda side: (side, side))
    >>> shapes.get("square")(3)
    (3, 3)
    """

    def __init__(
        self, kind: str, *, entry_point_group: str | None = None, versioned: bool = False
    ) -> None:
        self.kind = kind
        self.versioned = versioned
        self.requires: type | None = None
        self._home = ""
        self._table: _Known[T] = _Known({}, {})
        self._plugins = Plugins(kind, entry_point_group)
        self._mutex = Mutex()

    @property
    def _known(self) -> _Known[T]:
        if self._home:  # a module that others import now has them wait; the same thread goes on
            importlib.import_module(self._home)
        return self._table

    @overload
    def register(
        self, name: str, obj: None = None, *, override: bool = False
    ) -> Callable[[T], T]: ...
    @overload
    def register(self, name: str, obj: T, *, override: bool = False) -> T: ...

    def register(self, name: str, obj: Any = None, *, override: bool = False) -> Any:
        """Register `obj` under `name`; without `obj`, return a decorator that does.

        Raises
        ------
        ArgumentError
            If `name` is malformed or in a namespace that is not the caller's; or if an object of
            another module or qualified name has it, and `override` is false.
        ArgumentTypeError
            If `obj` is not derived from `requires`.
        """
        if obj is None:
            return lambda obj: self.register(name, obj, override=override)
        operation = f"register_{self.kind}"
        as_bool(operation, "override", override)
        if not self.requires and not callable(obj):
            raise ArgumentTypeError(operation, shorten(name), "must be a function or a class", obj)
        self._check_name(operation, name, obj)
        if self.requires and not (isinstance(obj, type) and issubclass(obj, self.requires)):
            rule = f"must be a class derived from {self.requires.__name__}"
            raise ArgumentTypeError(operation, name, rule, obj)
        self._mutex.run(self._put, operation, name, obj, override)
        return obj

    def _put(self, operation: str, name: str, obj: T, override: bool) -> None:
        known = self._table
        taken = known.entries.get(name)
        if taken is not None and not override and _origin(taken) != _origin(obj):
            owner = ".".join(map(str, _origin(taken)))
            raise ArgumentError(
                operation,
                "name",
                "must be new",
                name,
                "take another name or version, or pass override=True",
                shown=f"{name!r}, which is {in_one_line(owner, 200)}",
            )
        # Copied, so that another thread that is iterating is not disturbed.
        self._table = _Known({**known.entries, name: obj}, known.announced)

    def announce(self, places: Mapping[str, str]) -> None:
        """Let full names stand for what is in modules that are not imported before it is used.

        Parameters
        ----------
        places : mapping of str to str
            From full names to ``"module:attribute"``.
        """
        known = self._table
        self._table = _Known(known.entries, {**known.announced, **places})

    def live_in(self, module: str) -> None:
        """Have `module` imported, which registers names, before the first of them is looked up."""
        self._home = module

    def get(self, name: object) -> T:
        """Return what `name` stands for; import the plugin that offers it if need be.

        Raises
        ------
        UnknownNameError
            If there is no such name; the message offers the nearest ones.
        ConfigError
            If two distributions offer the name.
        """
        found = self.canonical(name)  # this may replace the entries
        return self._table.entries[found]

    def canonical(self, name: object) -> str:
        """Return the full name, ``fastconv.Conv2D.v1`` for ``Conv2D``; errors are as of `get`."""
        found = self._find(name)
        if found is None:
            raise self._unknown(name)
        known = self._table  # the module that fills it has been imported
        if found in known.entries:
            return found
        if found in known.announced:
            module, _, attribute = known.announced[found].partition(":")
            self.register(found, getattr(importlib.import_module(module), attribute))
        if found not in self._known.entries:
            obj = self._plugins.load(found)
            try:
                if found not in self._known.entries:
                    self.register(found, obj)
            except BaseException as error:  # what a plugin gives may be anything
                if from_signal(error):
                    raise
                raise self._plugins.fail(found, error) from error
        return found

    def names(self, pattern: str = "*") -> list[str]:
        """Return the short names that match `pattern`, without regard to case, sorted."""
        as_text(f"list_{self.kind}s", "pattern", pattern)
        everything = {short(name) for name in self._everything()}
        return sorted(n for n in everything if fnmatch.fnmatchcase(n.lower(), pattern.lower()))

    def name_of(self, obj: object) -> str | None:
        """Return the full name under which `obj` was registered last, or None."""
        return self._known.names.get(_origin(obj))

    @property
    def entries(self) -> dict[str, T]:
        """A copy of what is registered by now, by full name; nothing is imported for it."""
        return dict(self._known.entries)

    def offers(self) -> list[Offer]:
        """Return what installed packages offer, and why some is not used; nothing is imported."""
        self._everything()
        return self._plugins.offers()

    def snapshot(self) -> Callable[[], None]:
        """List plugins anew, and return a function that brings back the present entries."""
        entries, plugins = self._known.entries, self._plugins
        self._plugins = Plugins(plugins.kind, plugins.group)

        def restore() -> None:
            self._table = _Known(entries, self._table.announced)
            self._plugins = plugins

        return restore

    def __contains__(self, name: object) -> bool:
        return self._find(name) is not None

    def __iter__(self) -> Iterator[str]:
        return iter(self.names())

    def __repr__(self) -> str:
        return f"<Registry of {self.kind}: {', '.join(self._known.entries)}>"

    def _check_name(self, operation: str, name: object, obj: object) -> None:
        form = VERSIONED if self.versioned else BARE
        if not isinstance(name, str) or not form.fullmatch(name):
            example = "acme.Mish.v1" if self.versioned else "acme.my_name"
            stem = str(getattr(obj, "__name__", "Name")) if self.versioned else "my_name"
            if isinstance(name, str) and name.isidentifier():
                stem = name
            wish = f"your_package.{stem}.v1" if self.versioned else f"your_package.{stem}"
            remedy = f"write {shorten(wish)}" if form.fullmatch(wish) else ""
            version = ", version" if self.versioned else ""
            rule = f"must have the form {example!r} (namespace, name{version})"
            raise ArgumentError(operation, "name", rule, name, remedy)
        ours = name.startswith("fastconv.") or "." not in name
        if ours and _origin(obj)[0].split(".")[0] != "fastconv":
            remedy = f"write {shorten('acme.' + name.removeprefix('fastconv.'))}"
            raise ArgumentError(
                operation, "name", "must be in a namespace of your own", name, remedy
            )

    def _everything(self) -> list[str]:
        known = list(self._here())
        ours = [short(name) for name in known if name.startswith("fastconv.")]
        return [*known, *self._plugins.offered(ours)]

    def _here(self) -> dict[str, Any]:
        """Return all full names that need no plugin."""
        return {**self._known.entries, **self._known.announced}

    def _find(self, name: object) -> str | None:
        if not isinstance(name, str):
            return None
        known = self._known
        if self.versioned and name in known.ours:
            return known.ours[name]
        stem = name if "." in name or not self.versioned else f"fastconv.{name}"
        if "." in name and not name.startswith("fastconv."):
            # In a third party's namespace the newest version may not be imported yet.
            return newest(stem, self._everything())
        return newest(stem, self._here())

    def _unknown(self, name: object) -> UnknownNameError:
        failure = self._plugins.failure(name) if isinstance(name, str) else None
        if failure:
            return UnknownNameError([failure])
        names = self.names()
        remedy = self._foreign(name) if isinstance(name, str) else ""
        offers = [] if remedy else name_offers(self.kind, name, names)
        if remedy:
            pass
        elif offers:
            remedy = f"did you mean {either(offers)}?"
        elif absent(self.kind, name, names):
            remedy = "fastconv has none; write your own, help(fastconv.register_layer) shows how"
        elif len(names) <= 8 or self.kind not in LISTED:
            remedy = f"known are {', '.join(names)}" if names else "none is registered"
        else:
            remedy = LISTED[self.kind]
        return UnknownNameError("", self.kind, "must be a registered name", name, remedy)

    def _foreign(self, name: str) -> str:
        """Return what to do about a full name of which another version or namespace is known."""
        if not VERSIONED.fullmatch(name):
            return ""
        stem = name.rpartition(".v")[0]
        others = versions(stem, self._everything())
        if others:
            newer = "; a newer fastconv may have it" if name.startswith("fastconv.") else ""
            return f"there is only {either(others)}{newer}"
        if name.startswith("fastconv."):
            return ""
        namespace = name.partition(".")[0]
        near = nearest(short(name), [n for n in self.names() if n.startswith(f"{namespace}.")], 1)
        offer = f"did you mean {near[0]!r}? Else " if near else ""
        return (
            f"{offer}import the module that registers it (--import MODULE on the command line), or "
            f"install its package (which has an entry point of the group {self._plugins.group!r})"
        )


def _origin(obj: Any) -> tuple[str, str | int]:
    """Return (module, qualified name), by which a class that is defined again is recognised."""
    owner = obj if hasattr(obj, "__qualname__") else type(obj)
    anonymous = owner is not obj or "<lambda>" in owner.__qualname__
    return str(getattr(owner, "__module__", "")), id(obj) if anonymous else str(owner.__qualname__)
