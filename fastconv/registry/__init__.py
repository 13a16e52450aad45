"""Everything that has a name: layers, models, losses, metrics, optimizers and the like.

A layer or model is registered as ``namespace.Name.vN`` and asked for by that name, by
``namespace.Name`` (the newest version) or, in the namespace ``fastconv``, by ``Name`` alone.
Activations, losses, metrics, optimizers, schedules, initializers and callbacks have lower_snake
names without version.
A bare name is one of fastconv's; third parties write ``acme.Mish.v1`` and ``acme.focal``.

They add names with the decorator, or by an entry point in the group ``fastconv.layers`` or
``fastconv.models`` that has this name: ``"acme.Mish.v1" = "acme_layers:Mish"``. Entry points are
listed from metadata. Only the one that is asked for is imported.

::

    core       Registry: register, get, canonical, names
    names      the form of names and versions
    plugins    entry points
    trained    weights that come with a named network
    settings   check_config, create, resolve: settings checked against a signature;
               own_settings, spec_of: and back
    elsewhere  what other libraries call the same things
    spellings  which of our names somebody means who writes one of theirs
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from fastconv.registry.core import Registry
from fastconv.registry.settings import (
    check_config,
    create,
    own_settings,
    parameters_of,
    resolve,
    setting_problems,
    spec_of,
)

__all__ = [
    "Registry",
    "activations",
    "callbacks",
    "check_config",
    "create",
    "initializers",
    "isolated",
    "layers",
    "losses",
    "metrics",
    "models",
    "optimizers",
    "own_settings",
    "parameters_of",
    "resolve",
    "schedules",
    "setting_problems",
    "spec_of",
]

layers: Registry[Any] = Registry("layer", entry_point_group="fastconv.layers", versioned=True)
models: Registry[Any] = Registry("model", entry_point_group="fastconv.models", versioned=True)
activations: Registry[Any] = Registry("activation")
losses: Registry[Any] = Registry("loss")
metrics: Registry[Any] = Registry("metric")
optimizers: Registry[Any] = Registry("optimizer")
schedules: Registry[Any] = Registry("schedule")
initializers: Registry[Any] = Registry("initializer")
callbacks: Registry[Any] = Registry("callback")


@contextlib.contextmanager
def isolated() -> Iterator[None]:
    """List plugins anew, and at the end forget what was registered in any registry meanwhile.

    It is meant for tests, and for notebooks that try names out.

    Examples
    --------
    >>> import fastconv
    >>> with isolated():
    ...     _ = metrics.register("acme.zero", lambda: 0)
    >>> "acme.zero" in metrics
    False
    """
    versioned = (layers, models)
    plain = (activations, losses, metrics, optimizers, schedules, initializers, callbacks)
    restores = [registry.snapshot() for registry in (*versioned, *plain)]
    try:
        yield
    finally:
        for restore in restores:
            restore()
