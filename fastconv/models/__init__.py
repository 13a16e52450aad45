"""Models connect layers, plan what they cost, run, train, save and load them.

`graph` holds nodes and settled networks, `configuration` turns them into JSON and back, `plan`
says what they cost, `execute` runs what `schedule` puts in order, `inference` makes frozen twins,
and `model` is what users hold.
"""

from fastconv.models.catalogue import (
    create_model,
    from_config,
    list_models,
    load,
    register_model,
)
from fastconv.models.graph import Input, Node
from fastconv.models.inference import InferenceModel
from fastconv.models.model import Model, Sequential
from fastconv.models.plan import Plan, PlannedNode

__all__ = [
    "InferenceModel",
    "Input",
    "Model",
    "Node",
    "Plan",
    "PlannedNode",
    "Sequential",
    "create_model",
    "from_config",
    "list_models",
    "load",
    "register_model",
]
