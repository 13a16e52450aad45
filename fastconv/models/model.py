"""`Model` and `Sequential`: networks that are assembled, trained, saved and loaded."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from fastconv.arguments import as_int, as_text
from fastconv.errors import UnknownNameError, nearest
from fastconv.layers.base import Layer
from fastconv.layers.parameter import exclusively
from fastconv.models.checkpointed import CheckpointedNetwork
from fastconv.models.graph import Graph, Node, as_nodes, trace, weights
from fastconv.models.inference import InferenceModel, freeze_network
from fastconv.models.saving import Source, configuration

if TYPE_CHECKING:
    from fastconv.models.saving import loading

__all__ = ["Model", "Sequential"]

Array = np.ndarray[Any, Any]


class Model(CheckpointedNetwork):
    """A network from nodes to nodes.

    Parameters
    ----------
    inputs : Node or sequence of Node
        What `fastconv.Input` made. For a configuration it is the whole graph, and then parameters
        take memory only when they are first needed.
    outputs : Node or sequence of Node
        What the network returns. Nodes that these do not need are left out.
    name : str, optional
        A title, for summaries and files.
    seed : int, optional
        The seed of starting weights and of dropout; by default another one each time.

    Raises
    ------
    ConfigError
        If an input is missing or two layers have one name.
    ShapeError
        If a shared layer is used on inputs that need other weights.

    Examples
    --------
    >>> import fastconv
    >>> x = fastconv.Input((16, 8, 8))
    >>> h = fastconv.create_layer("Conv2D", filters=16, kernel_size=3, padding="same")(x)
    >>> net = fastconv.Model(x, fastconv.create_layer("Add")(h, x))
    >>> net.count_params()
    2320
    """

    def __init__(
        self,
        inputs: Node | Sequence[Node] | Graph | None = None,
        outputs: Node | Sequence[Node] | None = None,
        *,
        name: str | None = None,
        seed: int | None = None,
    ):
        graph = inputs if isinstance(inputs, Graph) else None
        traced = graph or trace(as_nodes("inputs", inputs), as_nodes("outputs", outputs))
        if name is not None:
            as_text("Model", "name", name)
        if seed is None:
            seed = int(np.random.SeedSequence().generate_state(1, np.uint64)[0] >> 1)
        self.seed = as_int("Model", "seed", seed, 0, 2**63 - 1)
        self._settle(traced, name)
        for layer_name, layer in traced.layers.items():
            if layer.name is None:
                layer.name = layer_name
        self.compiled, self.gradients, self._ready = None, {}, False
        if graph is None:
            self._prepare()

    def _prepare(self) -> None:
        # Threads that come at once all build; each layer keeps what was built first.
        if not self._ready:
            weights.build(self._graph, self.seed)
            self._pack()
            self._ready = True

    def __getstate__(self) -> dict[str, Any]:
        self._prepare()
        # Parameters are pickled one by one; here they are all copied at one moment.
        return exclusively(self._state)

    def _state(self) -> dict[str, Any]:
        handed, compiled = weights.hand_out(self._graph), self.compiled
        if compiled is not None:
            compiled = replace(compiled, optimizer=copy.deepcopy(compiled.optimizer))
        return {**vars(self), "gradients": {}, "compiled": compiled, "_handed": handed}

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        vars(self).pop("_handed", None)

    def __copy__(self) -> Model:
        twin: Model = object.__new__(type(self))
        vars(twin).update(vars(self))
        return twin

    def __deepcopy__(self, memo: dict[int, Any]) -> Model:
        self._prepare()
        twin: Model = object.__new__(type(self))
        memo[id(self)] = twin
        state = {**vars(self), "gradients": {}}
        vars(twin).update(exclusively(copy.deepcopy, state, memo))
        return twin

    @property
    def layers(self) -> list[Layer]:
        """The layers in running order; a shared layer comes once."""
        self._prepare()
        return list(self._graph.layers.values())

    def __getitem__(self, name: str) -> Layer:
        """Return the layer of this name.

        Raises
        ------
        UnknownNameError
            If there is none. It is a KeyError too.
        """
        self._prepare()
        layers = self._graph.layers
        if not isinstance(name, str) or name not in layers:
            close = nearest(name, layers) or list(layers)[:8]
            there = f"there are {', '.join(close)}"
            raise UnknownNameError("Model", "name", "must be of a layer", name, there)
        return layers[name]

    def __repr__(self) -> str:
        title = f" {self.name!r}" if self.name else ""
        what = f"{len(self._graph.steps)} layers, {self.count_params():,} parameters"
        return f"<{type(self).__name__}{title} of {what}>"

    # Configuration and files

    def to_config(self) -> dict[str, Any]:
        """Return the network without its weights, as plain JSON with every default in it."""
        return configuration.write(self._graph, self.name)

    def load_weights(
        self, path: Source, *, only: str = "*", strict: bool = True, mapping: loading.Names = None
    ) -> list[str]:
        """Read weights from a safetensors file, of this library or another, or one of PyTorch.

        Of PyTorch's files only dicts, lists and tensors are read; nothing in them can run. Arrays
        of other dtypes are cast; float16 and bfloat16 stay exact. What is frozen stays so.

        Parameters
        ----------
        path : str, path, bytes or binary file
            As of `fastconv.load`.
        only : str
            Which layers, such as ``"conv*"``, or keys, such as ``"*/weight"``.
        strict : bool
            Whether it is an error if the file lacks a weight, or has one that no layer has.
        mapping : mapping or callable, optional
            From names in the file, or beginnings of them that end in "." or "/", to keys
            ``layer/parameter``; to None, which leaves an array out, if it is there; or to
            ``(key, axes)``, for `numpy.transpose`. `fastconv.zoo.torchvision` gives it for
            torchvision's networks.

        Returns
        -------
        list of str
            The keys that were loaded.

        Raises
        ------
        ArgumentTypeError
            If `strict` or `mapping`, or what it gives, is of another type, or a number is not
            finite in the network's dtype.
        FormatError
            If the file is damaged or of another format.
        ConfigError
            If names or shapes do not fit; it lists all. After an error nothing is loaded.
        """
        self._prepare()
        from fastconv.models.saving import loading

        loaded = loading.load_into(self._graph, path, only, strict, mapping)
        self._pack()
        return loaded

    # Weights

    def weights(self) -> dict[str, Array]:
        """Return copies of all weights, statistics included, by ``layer/parameter``.

        They are those of one moment: a thread that changes weights has changed all or none.
        """
        self._prepare()
        return exclusively(weights.copies, self._graph)

    def set_weights(self, arrays: Mapping[str, Any]) -> None:
        """Give the weights of `arrays` new values: all of them, or on an error none.

        Other threads that change or copy weights wait meanwhile. A run of the network does not
        wait, and may use some old weights and some new ones.

        Parameters
        ----------
        arrays : mapping of str to array-like
            The values by ``layer/parameter``. Weights that are not named stay.
        """
        self._prepare()
        weights.assign(self._graph, arrays)

    def freeze(self, pattern: str = "*") -> None:
        """Keep layers (``"conv*"``) or weights (``"*/bias"``) as they are in training.

        If all parameters of a layer are frozen, its statistics stay too.
        """
        self._prepare()
        weights.set_trainable("freeze", self._graph, pattern, False)

    def unfreeze(self, pattern: str = "*") -> None:
        """Let layers or weights learn again."""
        self._prepare()
        weights.set_trainable("unfreeze", self._graph, pattern, True)

    def for_inference(self) -> InferenceModel:
        """Return a frozen twin: BatchNorm folded, Dropout gone, packed weights instead of plain."""
        self._prepare()
        return freeze_network(self._graph, self.name)


class Sequential(Model):
    """Layers in a row.

    Parameters
    ----------
    layers : sequence
        Each is a name, a pair ``(name, {...})``, a layer, or a model, which is inlined.
    input_shape : tuple of int
        Shape of one example, without the batch.
    dtype : {"float32", "float64", "int64", "int32", "uint8", "int8", "bool"}
        The dtype of the input. If it is one of floats, the network computes in it.
    seed : int, optional
        The seed of starting weights and of dropout.
    name : str, optional
        A title.

    Raises
    ------
    ConfigError
        If a layer is wrong; it lists every problem with its place.

    Examples
    --------
    >>> import fastconv
    >>> net = fastconv.Sequential(["Flatten", ("Dense", {"units": 10})], input_shape=(1, 8, 8))
    >>> net([[[[0.5] * 8] * 8]]).shape
    (1, 10)
    """

    def __init__(
        self,
        layers: Sequence[Any] = (),
        input_shape: Sequence[int] | None = None,
        dtype: str = "float32",
        seed: int | None = None,
        *,
        name: str | None = None,
    ):
        inputs, outputs = configuration.chain(layers, input_shape, dtype)
        super().__init__(inputs, outputs, name=name, seed=seed)
