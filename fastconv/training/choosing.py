"""``compile``: names and settings become optimizer, losses and metrics that fit the network."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from fastconv import registry
from fastconv.arguments import as_list, check_function
from fastconv.errors import ArgumentError, ArgumentTypeError
from fastconv.training.compiled import Compiled
from fastconv.training.labels import check_classes
from fastconv.training.losses import Loss
from fastconv.training.optimizer import Optimizer
from fastconv.training.pairs import check_pair
from fastconv.training.trainable import Trainable

__all__ = ["compile", "is_pair"]


def compile(
    model: Trainable, optimizer: Any = "adam", loss: Any = None, metrics: Any = ()
) -> Compiled:
    """Choose optimizer, loss and metrics of a model; training starts anew from here.

    Parameters
    ----------
    optimizer : str, (str, dict) or Optimizer
        An object serves one network: its state is forgotten, its settings stay.
    loss : str, (str, dict) or Loss
        For several outputs a list with one entry per output. A single entry serves all outputs.
    metrics : list, or one metric
        Names, (name, dict) pairs or callables; for several outputs a list of such lists. If
        several have the same name, the later ones are numbered: ``accuracy``, ``accuracy_2``.

    Raises
    ------
    ArgumentError
        The loss does not fit the last layer: ``softmax_cross_entropy`` takes logits,
        ``cross_entropy`` probabilities. Or the optimizer belongs to another network, or one of
        its settings is 0 or infinite in the network's dtype. Or a metric is called ``loss`` or
        ``val_…``. Or a layer cannot be trained on its inputs.
    ShapeError
        The loss or a metric is for classes, but the outputs have only one.
    UnknownNameError, ConfigError
        A name or a setting does not exist.
    """
    layers = list(model.output_layers())
    several = len(layers) > 1
    if loss is None:
        raise ArgumentTypeError(
            "compile", "loss", "must be given", None, 'for classes loss="softmax_cross_entropy"'
        )
    specs = list(loss) if several and _is_list(loss) else [loss] * len(layers)
    if isinstance(metrics, str) or callable(metrics) or is_pair(metrics):
        metrics = [metrics]
    metrics = as_list("compile", "metrics", metrics, "must be a list, or one metric")
    lists = metrics if several and any(map(_is_list, metrics)) else [metrics] * len(layers)
    for parameter, given in (("loss", specs), ("metrics", lists)):
        if len(given) != len(layers):
            rule = f"must have one entry per output, {len(layers)}"
            raise ArgumentError("compile", parameter, rule, len(given))
    compiled = Compiled(
        optimizer=_instance(registry.optimizers, optimizer, Optimizer),
        losses=[_instance(registry.losses, spec, Loss) for spec in specs],
        metrics=[
            [_instance(registry.metrics, spec, Callable) for spec in specs] for specs in lists
        ],
        labels=_labels(layers),
    )
    _check_outputs(model, compiled)
    model.least_rows()  # raises where a layer cannot be trained
    dtypes = sorted({spec.dtype for spec in model.output_specs()})
    compiled.optimizer.check(*dtypes)
    compiled.optimizer.start(compiled, dtypes, instead_of=model.compiled)
    model.compiled = compiled
    return compiled


def _check_outputs(model: Trainable, compiled: Compiled) -> None:
    """Raise if a loss or a metric does not fit its output; tell the metrics their losses."""
    answers, specs = model.output_answers(), model.output_specs()
    for loss, metrics, answer, spec in zip(
        compiled.losses, compiled.metrics, answers, specs, strict=True
    ):
        if not spec.is_plain:
            rule = "must be of floats, with the batch on axis 0, to have a loss"
            remedy = "train a fastconv.Model of the other outputs, which shares the layers"
            got = f"{spec.letters} {spec.dtype}"
            raise ArgumentError("compile", "the output", rule, got, remedy, shown=got)
        check_pair(loss, answer)
        if answer.kind == "probabilities":  # the share of a single class is always 1
            out = f"give it 2 units, one a class, or leave the {answer.layer} out"
            check_classes("compile", spec.shape, out)
        metrics[:] = [_for_loss(metric, loss) for metric in metrics]
        for each in (loss, *metrics):
            check = getattr(each, "check_outputs", None)
            if callable(check):
                check(spec.shape)


def _for_loss(metric: Any, loss: Loss) -> Any:
    """Return the metric to take with `loss`: `metric`, or what it gives for that."""
    chosen = getattr(metric, "for_loss", None)
    return chosen(loss) if callable(chosen) else metric


def _is_list(spec: Any) -> bool:
    """Whether `spec` is a list of specs, and not one spec of the form [name, {...}]."""
    return isinstance(spec, (list, tuple)) and not is_pair(spec)


def is_pair(spec: Any) -> bool:
    """Whether `spec` is one name with its settings: (name, {...})."""
    return isinstance(spec, (list, tuple)) and len(spec) == 2 and isinstance(spec[1], dict)


def _instance(where: registry.Registry[Any], spec: Any, kind: Any) -> Any:
    found = registry.resolve(where, spec, "compile")
    if not isinstance(found, kind):
        rule = f"must be a name, (name, {{...}}) or an instance of {kind.__name__}"
        raise ArgumentTypeError("compile", where.kind, rule, found)
    if kind is Callable:
        names = ("outputs", "targets")
        check_function("compile", where.kind, found, names, "must take (outputs, targets)")
    return found


def _labels(layers: Sequence[Any]) -> list[str]:
    """Return each output's prefix for its figures: the layer's name where names can serve."""
    if len(layers) == 1:
        return [""]
    labels = [f"{getattr(layer, 'name', None) or ''}_" for layer in layers]
    # names that begin with val_ are those of figures of validation
    if "_" in labels or len(set(labels)) < len(labels) or any(n.startswith("val_") for n in labels):
        return [f"output_{number}_" for number in range(1, len(layers) + 1)]
    return labels
