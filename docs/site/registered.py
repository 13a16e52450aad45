"""The page of all registered names, with their settings, as the registries say it."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from prose import escaped, table

from fastconv import layers, registry, training
from fastconv.layers import Spec

__all__ = ["page"]

HEAD = """# Names in configurations

Everything that a configuration, a file or a command may name, from the registries of the package. A
name stands alone, or with settings: `"relu"`, `("elu", {"alpha": 0.5})`, in JSON
`["elu", {"alpha": 0.5}]`. `fastconv describe NAME` prints what a setting means.

"""
KINDS = (
    ("Activations", "Each is a layer, and a name that `activation=` takes.", registry.activations),
    ("Initializers", "Starting values of weights.", registry.initializers),
    ("Losses", "What `compile(loss=...)` takes.", registry.losses),
    ("Metrics", "What `compile(metrics=[...])` takes.", registry.metrics),
    ("Optimizers", "What `compile(optimizer=...)` takes.", registry.optimizers),
    ("Schedules", "What `learning_rate=` takes, beside a number.", registry.schedules),
    ("Callbacks", "What `fit(callbacks=[...])` takes.", registry.callbacks),
)


def page() -> str:
    """Return the page, in Markdown."""
    parts = [
        HEAD,
        f"## Layers\n\n{table(LAYER, map(_layer, _own(registry.layers)))}\n\n",
        f"## Networks\n\n{table(NAMED, map(_model, _own(registry.models)))}\n\n",
    ]
    for title, text, known in KINDS:
        rows = (_named(name, known.get(name)) for name in _own(known))
        parts.append(f"## {title}\n\n{text}\n\n{table(NAMED, rows)}\n\n")
    return "".join(parts)


def _own(known: registry.Registry[Any]) -> list[str]:
    """Return the names that come with the package, without those of plugins of this machine."""
    return [name for name in known.names() if "." not in name]


LAYER = ("layer", "what it does", "settings", "an example")
NAMED = ("name", "what it is", "settings")


def _layer(name: str) -> tuple[str, ...]:
    cls = registry.layers.get(name)
    layer = cls(**cls.example_config)
    shapes = [Spec(shape, cls.takes[0]) for shape in cls.example_shapes]
    given = " and ".join(str(spec.shape) for spec in shapes)
    example = f"{given} → {layer.infer(*shapes).shape}" if shapes else ""
    return _link(cls), _first(cls), _settings(cls), example


def _model(name: str) -> tuple[str, ...]:
    made = registry.models.get(name)
    return f"`{name}`", _first(made), _settings(made)


def _named(name: str, owner: Any) -> tuple[str, ...]:
    return _link(owner, name), _first(owner), _settings(owner)


def _link(owner: Any, name: str = "") -> str:
    """Return the name, with a link to the page of what it stands for if there is one."""
    word = name or owner.__name__
    for module in (layers, training):
        if getattr(module, owner.__name__, None) is owner:
            return f"[`{word}`](api/{module.__name__}.{owner.__name__}.rst)"
    return f"`{word}`"


def _first(owner: Callable[..., Any]) -> str:
    """Return the first sentence of a docstring."""
    text = inspect.getdoc(owner) or ""
    return escaped(" ".join(text.split("\n\n")[0].split()))


def _settings(owner: Callable[..., Any]) -> str:
    bare = (p.replace(annotation=p.empty) for p in registry.parameters_of(owner).values())
    return ", ".join(f"`{each}`" for each in bare if "<" not in str(each))  # no factories
