"""What ``compile`` chooses: optimizer, losses and metrics, checked against the network."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from fastconv import registry
from fastconv.errors import ArgumentError, ArgumentTypeError, ShapeError, shorten
from fastconv.layers.parameter import Parameter
from fastconv.layers.spec import Spec
from fastconv.training.losses import Loss
from fastconv.training.optimizers import Optimizer

__all__ = ["Compiled", "Totals", "Trainable", "compile"]

Array = np.ndarray[Any, Any]
LossFunction = Callable[[tuple[Array, ...]], tuple[dict[str, float], tuple[Array, ...]]]


class Trainable(Protocol):
    """What training asks of a model; it knows nothing else about one.

    Attributes
    ----------
    compiled : Compiled or None
        What `compile` chose.
    gradients : mapping of str to ndarray
        Those of the last step, under the keys of `trainable_parameters`.
    """

    compiled: Compiled | None
    gradients: Mapping[str, Array]

    def forward_backward(
        self, xs: tuple[Array, ...], dloss: LossFunction, step: int, program: Any = None
    ) -> tuple[tuple[Array, ...], dict[str, float]]:
        """Run one batch both ways; leave its gradients in `gradients`, take over statistics.

        `dloss` maps the outputs to (losses by name, one gradient an output); `step` keys what
        is random; `program` is what the method of that name gave, or None. Returns the outputs,
        and the losses by name.
        """

    def trainable_parameters(self) -> dict[str, Parameter]:
        """Return the parameters that the optimizer changes, by ``layer/parameter``."""

    def predict_batch(self, xs: tuple[Array, ...], program: Any = None) -> Any:
        """Return the output of one batch, or a tuple of several outputs, as in inference."""

    def program(
        self,
        operation: str,
        memory_limit: int,
        batch_size: int,
        arrays: Sequence[Array],
        *,
        training: bool = False,
        gathered: bool = False,
        results: int | None = None,
        held: int = 0,
    ) -> Any:
        """Return how batches of the rows of `arrays` keep within `memory_limit` bytes.

        Its ``rows`` is how many are to be given to `predict_batch` at a time. `held` bytes of
        the arrays are copies made of lists.
        """

    def cast_inputs(self, x: Any) -> tuple[Array, ...]:
        """Return one array for each input, cast; raise where shape or dtype does not fit."""

    def output_layers(self) -> Sequence[Any]:
        """Return the layer behind each output, None where there is none."""

    def output_specs(self) -> Sequence[Spec]:
        """Return shape and dtype of each output, without the batch."""


class Totals:
    """Sums and counts by name, so that batches of any size average exactly."""

    def __init__(self) -> None:
        self._sums: dict[str, tuple[float, int]] = {}

    def add(self, name: str, total: float, count: int) -> None:
        """Add the sum `total` of `count` figures to what `name` has so far."""
        before, counted = self._sums.get(name, (0.0, 0))
        self._sums[name] = before + total, counted + count

    def means(self, prefix: str = "") -> dict[str, float]:
        """Return the mean of every name, `prefix` before each; what counts nothing is left out."""
        return {prefix + name: total / n for name, (total, n) in self._sums.items() if n}


@dataclass
class Compiled:
    """Optimizer, one loss and a list of metrics per output, and how far training has come.

    `step` and `epoch` count on through every ``fit``: two calls of two epochs give the bits
    of one call of four.
    """

    optimizer: Optimizer
    losses: list[Loss]
    metrics: list[list[Any]]
    labels: list[str]  # per output, the prefix of its figures: "" where there is one output
    step: int = 0
    epoch: int = 0

    def loss_function(self, targets: tuple[Array, ...]) -> LossFunction:
        """Return outputs -> (figures by name, one gradient per output) for these targets."""

        def dloss(outputs: tuple[Array, ...]) -> tuple[dict[str, float], tuple[Array, ...]]:
            pairs = [
                loss.value_and_gradient(y, t)
                for loss, y, t in zip(self.losses, outputs, targets, strict=True)
            ]
            figures = {"loss": sum(value for value, _ in pairs)}
            if len(pairs) > 1:
                for label, (value, _) in zip(self.labels, pairs, strict=True):
                    figures[f"{label}loss"] = value
            return figures, tuple(gradient for _, gradient in pairs)

        return dloss

    def measure(
        self,
        totals: Totals,
        losses: Mapping[str, float],
        outputs: tuple[Array, ...],
        targets: tuple[Array, ...],
    ) -> None:
        """Add the figures of one batch to `totals`."""
        rows = len(outputs[0])
        for name, figure in losses.items():
            totals.add(name, figure * rows, rows)
        for label, metrics, y, t in zip(self.labels, self.metrics, outputs, targets, strict=True):
            for metric in metrics:
                figures = np.asarray(metric(y, t))
                if figures.shape[:1] != (rows,):
                    raise ShapeError(
                        f"{_name(metric)}: a metric must give one figure per answer, "
                        f"({rows}, ...), got shape {figures.shape}"
                    )
                total = figures.sum(dtype=np.float64)
                totals.add(label + _name(metric), float(total), figures.size)


def compile(
    model: Trainable, optimizer: Any = "adam", loss: Any = None, metrics: Any = ()
) -> Compiled:
    """Choose optimizer, loss and metrics of a model; training starts anew from here.

    Parameters
    ----------
    optimizer : str, (str, dict) or Optimizer
    loss : str, (str, dict) or Loss
        For several outputs a list with one entry per output; one entry alone serves for all.
    metrics : list, or one metric
        Names, (name, dict) pairs or callables; for several outputs a list of such lists.

    Raises
    ------
    ArgumentError
        The loss does not fit the last layer: ``softmax_cross_entropy`` takes logits,
        ``cross_entropy`` probabilities.
    UnknownNameError, ConfigError
        A name or a setting does not exist.
    """
    layers = list(model.output_layers())
    several = len(layers) > 1
    if loss is None:
        raise ArgumentTypeError(
            'compile: loss must be given; for classes loss="softmax_cross_entropy"'
        )
    specs = list(loss) if several and _is_list(loss) else [loss] * len(layers)
    if isinstance(metrics, str) or callable(metrics) or _is_pair(metrics):
        metrics = [metrics]
    if not isinstance(metrics, Iterable):
        raise ArgumentTypeError(
            f"compile: metrics must be a list, or one metric, got {shorten(metrics)}"
        )
    metrics = list(metrics)
    lists = metrics if several and any(map(_is_list, metrics)) else [metrics] * len(layers)
    for parameter, given in (("loss", specs), ("metrics", lists)):
        if len(given) != len(layers):
            raise ArgumentError(
                f"compile: {parameter} must have one entry per output, {len(layers)}, "
                f"got {len(given)}"
            )
    losses = [_instance(registry.losses, spec, Loss) for spec in specs]
    for chosen, layer in zip(losses, layers, strict=True):
        _check_pair(chosen, layer)
    compiled = Compiled(
        optimizer=_instance(registry.optimizers, optimizer, Optimizer),
        losses=losses,
        metrics=[
            [_instance(registry.metrics, spec, Callable) for spec in specs] for specs in lists
        ],
        labels=_labels(layers),
    )
    model.compiled = compiled
    return compiled


def _is_list(spec: Any) -> bool:
    """Whether `spec` is a list of specs, and not one spec of the form [name, {...}]."""
    return isinstance(spec, (list, tuple)) and not _is_pair(spec)


def _is_pair(spec: Any) -> bool:
    """Whether `spec` is one name with its settings: (name, {...})."""
    return isinstance(spec, (list, tuple)) and len(spec) == 2 and isinstance(spec[1], dict)


def _instance(where: registry.Registry[Any], spec: Any, kind: Any) -> Any:
    found = registry.resolve(where, spec, "compile")
    if not isinstance(found, kind):
        raise ArgumentTypeError(
            f"compile: {where.kind} must be a name, (name, {{...}}) or an instance of "
            f"{kind.__name__}, got {shorten(found)}"
        )
    return found


def _name(metric: Any) -> str:
    return str(getattr(metric, "name", None) or getattr(metric, "__name__", type(metric).__name__))


def _labels(layers: Sequence[Any]) -> list[str]:
    if len(layers) == 1:
        return [""]
    names = [getattr(layer, "name", None) for layer in layers]
    unique = all(names) and len(set(names)) == len(names)
    return [f"{n if unique else f'output_{i}'}_" for i, n in enumerate(names, start=1)]


def _check_pair(loss: Loss, layer: Any) -> None:
    """Refuse logits where probabilities are due and the other way; others' layers pass."""
    name = registry.layers.name_of(type(layer)) or ""
    if not name.startswith("fastconv."):
        return
    softmax = name.startswith("fastconv.Softmax.")
    if softmax and loss.takes == "logits":
        raise ArgumentError(
            f"compile: loss must take probabilities after a Softmax layer, got {loss.name!r}; "
            'take loss="cross_entropy", or leave the Softmax out (more accurate)'
        )
    if not softmax and loss.takes == "probabilities":
        raise ArgumentError(
            f"compile: loss must take logits after a {name.split('.')[1]} layer, "
            f'got {loss.name!r}; take loss="softmax_cross_entropy", or end in Softmax'
        )
