"""Networks without arrays: nodes settled to a graph, and what a graph says before it runs.

::

    graph      Input, Step, Graph; trace: what leads from inputs to outputs
    names      ids of nodes, names of layers
    weights    the parameters of a network, by layer/parameter
    inputs     what is given to a network, as arrays of its shapes and dtype
    learning   what training asks before it runs, answered by traits of layers
"""

from fastconv.layers.nodes import Node, _node, _Parents, connect
from fastconv.models.graph import inputs, learning, weights
from fastconv.models.graph.graph import Graph, Input, Step, as_nodes, trace
from fastconv.models.graph.inputs import reshaped
from fastconv.models.graph.names import check_id
from fastconv.models.graph.weights import Slot

__all__ = [
    "Graph",
    "Input",
    "Node",
    "Slot",
    "Step",
    "as_nodes",
    "check_id",
    "connect",
    "inputs",
    "learning",
    "reshaped",
    "trace",
    "weights",
]

# Pickles name what they are made of by module, and those of before name it here.
_PICKLED = _node, _Parents
