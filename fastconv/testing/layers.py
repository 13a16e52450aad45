"""Checks that a layer keeps what models and training expect of it."""

from __future__ import annotations

import copy
import inspect
import json
from collections.abc import Sequence
from typing import Any

from fastconv import registry
from fastconv.arguments import as_choice, as_int, is_sequence
from fastconv.errors import ArgumentTypeError, ShapeError, shorten
from fastconv.layers.base import Layer
from fastconv.layers.catalogue import create_layer
from fastconv.layers.spec import DTYPES, FLOATS
from fastconv.testing.arrays import TOLERANCES, require
from fastconv.testing.case import Case
from fastconv.testing.inputs import check_batch_axes, check_takes
from fastconv.testing.traits import check_forms, check_traits

__all__ = ["check_layer"]


def check_layer(
    layer: str | Layer,
    *input_shapes: Sequence[int],
    rng: int = 0,
    dtype: str | Sequence[str] = "float64",
    **config: Any,
) -> None:
    """Assert that a layer keeps what `fastconv.Layer` promises.

    The gradients of every input and parameter agree with central differences, in training, in
    inference, and if the layer is frozen. The layer repeats its bits, and writes neither to inputs
    nor to gradients. It gives what `infer` says, in both dtypes, and for an empty batch too. It
    can be copied, pickled, and read back from JSON. The same is checked for integers of every dtype
    that the layer takes, except that they have no gradient; they are 0 and 1 here.

    Parameters
    ----------
    layer : str or Layer
        A registered name, or a layer that is not yet built.
    *input_shapes : sequence of int
        The shape of each input, with the batch first. Small ones will do, such as (2, 3, 5, 5).
    rng : int
        The seed of starting values and data.
    dtype : str, or sequence of str
        For layers that take floats: ``"float64"``, or ``"float32"`` to leave the gradients out.
        For layers that take integers beside floats: a sequence with one dtype for each input; then
        no others are tried.
    **config
        The settings of the layer, if it is given by name.

    Raises
    ------
    AssertionError
        If something is not kept; it says what.
    ArgumentTypeError, ShapeError
        If `layer` is no layer, or a shape is no shape.

    Examples
    --------
    >>> check_layer("Conv2D", (2, 3, 5, 5), filters=4, kernel_size=3)
    """
    operation = "check_layer"
    _check_kind(operation, layer, config)
    several = is_sequence(dtype)
    for name in dtype if several else [dtype]:
        as_choice(operation, "dtype", name, DTYPES if several else tuple(TOLERANCES))
    rng = as_int(operation, "rng", rng, 0, 2**64 - 1)
    shapes = _shapes(operation, input_shapes)
    layer = create_layer(layer, **config) if isinstance(layer, str) else layer
    _check_signatures(layer)
    _check_json(layer)
    takes_floats, others = check_takes(layer)
    if several:
        if len(dtype) != len(shapes):
            rule = f"must have one for each of {len(shapes)} inputs"
            raise ArgumentTypeError(operation, "dtype", rule, dtype)
        _check_some(Case(layer, shapes, dtype, rng))
        return
    for other in others:
        _check_some(Case(copy.deepcopy(layer), shapes, [other] * len(shapes), rng))
    if not takes_floats:
        return
    for other in (name for name in FLOATS if name != dtype):
        case = Case(copy.deepcopy(layer), shapes, [other] * len(shapes), rng)
        if not all(case.has_dx):
            _check_some(case)
            continue
        case.check_calls()
        check_traits(case)
    case = Case(layer, shapes, [str(dtype)] * len(shapes), rng)
    if not all(case.has_dx):
        _check_some(case)
        return
    case.check_calls()
    check_traits(case)
    case.check_copies()
    if dtype == "float64":
        for training in (True, False):
            case.check_gradients(training)
        case.check_frozen()


def _check_kind(operation: str, layer: Any, config: dict[str, Any]) -> None:
    """Raise unless `layer` is a name, which `config` is for, or a layer with its own settings."""
    if isinstance(layer, type):
        raise ArgumentTypeError(
            operation,
            "layer",
            "must be a registered name or a layer",
            layer.__name__,
            f"call it: {layer.__name__}(...)",
            shown=f"the class {layer.__name__}",
        )
    if not isinstance(layer, (str, Layer)):
        raise ArgumentTypeError(operation, "layer", "must be a registered name or a layer", layer)
    if config and not isinstance(layer, str):
        raise ArgumentTypeError(
            operation,
            "settings",
            "must come with the name of a layer",
            list(config),
            "give them to the layer",
            shown=f"{', '.join(config)} with a layer that has its own",
        )


def _check_some(case: Case) -> None:
    """Check what a layer must keep if some of its inputs have no gradient."""
    case.check_calls()
    check_forms(case)
    check_batch_axes(case)
    case.check_copies()
    for training in (True, False):
        case.check_gradients(training)


def _shapes(operation: str, input_shapes: Sequence[Any]) -> list[tuple[int, ...]]:
    """Return the shapes of the inputs as tuples, each a batch of at least one."""
    if not input_shapes or not all(is_sequence(s) and len(s) for s in input_shapes):
        given = ", ".join(map(shorten, input_shapes)) or "none"
        raise ShapeError(
            operation,
            "the shape of each input",
            "must be given, the batch first, such as (2, 3, 5, 5)",
            given,
            shown=given,
        )
    shapes = []
    for shape in input_shapes:
        if type(shape[0]) is int and shape[0] == 0:
            raise ShapeError(
                operation,
                "the batch",
                "must hold at least one row",
                0,
                "an empty batch is tried too",
                shown=shorten(shape),
            )
        shapes.append(tuple(as_int(operation, "the shapes of inputs", n, 1) for n in shape))
    if len({shape[0] for shape in shapes}) > 1:
        raise ShapeError(operation, "the shapes of inputs", "must have one batch", tuple(shapes))
    return shapes


def _check_signatures(layer: Layer) -> None:
    """Check that the methods take what they are called with; say so if ctx was forgotten."""
    cls = type(layer)
    for method, wanted in (("forward", "(self, ctx, *xs)"), ("backward", "(self, ctx, dy)")):
        positional = [
            p
            for p in inspect.signature(getattr(layer, method)).parameters.values()
            if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD, p.VAR_POSITIONAL)
        ]
        several = any(p.kind is p.VAR_POSITIONAL for p in positional)
        require(
            several or len(positional) >= 2,
            f"{cls.__name__}: {method} must take the context first, {wanted}, "
            f"got {inspect.signature(getattr(cls, method))}",
        )


def _check_json(layer: Layer) -> None:
    text = json.dumps(layer.to_config(), allow_nan=False)
    name = registry.layers.name_of(type(layer))
    require(
        name is not None,
        f"{type(layer).__name__} is not registered; decorate the class with "
        f"@fastconv.register_layer('your_package.{type(layer).__name__}.v1')",
    )
    again = create_layer(str(name), **json.loads(text)).to_config()
    require(again == json.loads(text), f"{name}: its settings come back from JSON as {again}")
