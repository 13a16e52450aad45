"""Which of our names somebody means who writes that of another library."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from fastconv.errors import nearest
from fastconv.registry.elsewhere import ABSENT, INFERRED, NAMES, OPTIMIZERS, SETTINGS
from fastconv.registry.names import short

__all__ = ["absent", "either", "name_offers", "setting_remedy"]


def name_offers(kind: str, name: object, names: Collection[str]) -> list[str]:
    """Return which of `names` may be meant by `name`, of a layer or of another `kind`."""
    if not isinstance(name, str) or absent(kind, name, names):
        return []
    name = short(name)
    last = name[-80:].rpartition(".")[2]
    elsewhere = NAMES.get(kind, {}).get(_folded(name), ())
    offers = (elsewhere,) if isinstance(elsewhere, str) else elsewhere
    if found := [offer for offer in offers if offer in names]:
        return found
    same = [known for known in names if _folded(short(known)) == _folded(name)]
    return same or nearest(name, names) or nearest(last, names)


def absent(kind: str, name: object, names: Collection[str]) -> bool:
    """Return whether `name` is something that other libraries have and none of `names` is."""
    if not isinstance(name, str):
        return False
    asked = _folded(short(name))
    return asked in ABSENT.get(kind, ()) and asked not in {_folded(short(n)) for n in names}


def _folded(name: str) -> str:
    """Return `name` without case, underscores and the module before it."""
    return name[-80:].rpartition(".")[2].replace("_", "").lower()


def setting_remedy(key: object, settings: Collection[str]) -> str:
    """Return what to do about the unknown setting `key` of something that has `settings`."""
    if key in OPTIMIZERS and "learning_rate" in settings:
        return f"take the optimizer {key!r}"
    elsewhere = SETTINGS.get(key) if isinstance(key, str) else None
    if elsewhere not in settings and key in INFERRED:
        return "it follows from the input, leave it out"
    offers = [elsewhere] if elsewhere and elsewhere in settings else nearest(key, settings)
    if offers:
        return f"did you mean {either(offers)}?"
    return f"it has {', '.join(settings)}" if settings else "it has none"


def either(names: Iterable[str]) -> str:
    """Return ``'a' or 'b'``."""
    return " or ".join(repr(name) for name in names)
