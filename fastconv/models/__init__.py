"""Models connect layers, plan what they cost, run, train, save and load them.

Five wings, each with one door, its ``__init__``, by which alone others come in::

    graph      nodes settled to a graph; its parameters
    text       tables, summaries, and what others' words mean here
    running    schedules, and the runs: forward, or both ways
    planning   what a network takes before it runs, within limits or without
    saving     configurations and files

and above them what users hold, each on those before::

    network      a graph that runs on arrays and can be planned
    differentiable  a network with gradients
    trainable    a network that learns
    inference    a network that only runs: the frozen twin
    model        Model, Sequential
    catalogue    models by name, from configurations, from files
"""

import sys
from typing import TYPE_CHECKING, Any

from fastconv.models import graph, running
from fastconv.models.catalogue import (
    create_model,
    describe_model,
    from_config,
    list_models,
    load,
    register_model,
)
from fastconv.models.graph import Input, Node
from fastconv.models.inference import InferenceModel
from fastconv.models.model import Model, Sequential

if TYPE_CHECKING:
    from fastconv.models.planning import Moment, Plan, PlannedNode

__all__ = [
    "InferenceModel",
    "Input",
    "Model",
    "Moment",
    "Node",
    "Plan",
    "PlannedNode",
    "Sequential",
    "create_model",
    "describe_model",
    "from_config",
    "list_models",
    "load",
    "register_model",
]


def __getattr__(name: str) -> Any:
    """Return a class of plans, which few programs name; planning is imported then."""
    if name not in ("Moment", "Plan", "PlannedNode"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from fastconv.models import planning

    return getattr(planning, name)


# Pickles name what they are made of by module. Those of before name modules that have moved.
_HERE = sys.modules[__name__]
_MOVED = {"plan": _HERE, "program": running, "schedule": running, "weights": graph}
sys.modules.update({f"{__name__}.{name}": wing for name, wing in _MOVED.items()})
