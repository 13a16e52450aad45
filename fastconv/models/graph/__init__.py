"""Networks without arrays: how nodes become a graph, and what a graph says before it runs.

::

    graph      Input, Step, Graph; trace: what leads from inputs to outputs
    names      ids of nodes, names of layers
    weights    the parameters of a network, by layer/parameter
    inputs     makes what is given to a network into arrays of its shapes and dtypes
    learning   answers, from the traits of layers, what training asks before it runs
"""

from fastconv.layers.nodes import Node, _node, _Parents, connect
from fastconv.models.graph import inputs, learning, weights
from fastconv.models.graph.graph import Graph, Input, Step, as_nodes, inline, trace
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
    "inline",
    "inputs",
    "learning",
    "reshaped",
    "trace",
    "weights",
]

# Pickles name functions and classes by their module. Older pickles name these two in this one.
_PICKLED = _node, _Parents
