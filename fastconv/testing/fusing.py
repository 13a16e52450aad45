"""Checks what a layer declares of its neighbours: that it can compute, or take over, their work."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import numpy as np

from fastconv import registry
from fastconv.activations import Act
from fastconv.layers.base import Layer
from fastconv.layers.traits import Affine
from fastconv.testing.arrays import assert_close, require
from fastconv.testing.case import Case
from fastconv.testing.passes import Pass, require_equal, run_both_ways

__all__ = [
    "activations",
    "check_acts_as",
    "check_added",
    "check_affine",
    "check_commutes",
    "check_folded",
    "check_fused",
    "check_sum",
]


def activations() -> dict[Act, list[Layer]]:
    """Return the registered layers that are functions of one element, by what they act as."""
    found: dict[Act, list[Layer]] = {}
    for cls in registry.layers.entries.values():
        if getattr(cls, "acts_as", None) is not None:
            with contextlib.suppress(Exception):  # a layer may have settings, but no example
                layer = cls(**cls.example_config)
                found.setdefault(layer.acts_as, []).append(layer)
    return found


def check_acts_as(case: Case, training: bool) -> None:
    layer, name = case.layer, case.layer.acts_as
    if name is None:
        return
    said = f"{case.owner}: acts_as is {name!r}, and"
    require(not layer.parameters, f"{said} it has parameters")
    require(layer.infer(*case.specs) == case.specs[0], f"{said} its output has another Spec")
    due = run_both_ways(case, layer, case.xs, training)
    order = np.random.default_rng(0).permutation(due.y.size)
    x, dy, y, dx = (
        array.reshape(-1)[order].reshape(array.shape)
        for array in (case.xs[0], case.gradient(due.y.shape), due.y, due.dxs[0])
    )
    found = run_both_ways(case, layer, [x], training, dy)
    require_equal(f"{said} it is no function of each element alone:", found, Pass(y, (dx,), {}))
    for other in activations().get(name, ()):
        require_equal(
            f"{said} {type(other).__name__}, which acts so too, computes something else:",
            due,
            run_both_ways(case, other, case.xs, training),
        )


def check_commutes(case: Case, training: bool) -> None:
    for name in sorted(case.layer.commutes_with):
        said = f"{case.owner}: commutes_with has {name!r}, and"
        known = activations().get(name)
        require(bool(known), f"{said} no registered layer acts so")
        for activation in known or ():
            before = _chain(case, [activation, case.layer], training)
            after = _chain(case, [case.layer, activation], training)
            require_equal(f"{said} it matters which comes first:", before, after)


def check_fused(case: Case, training: bool) -> None:
    for name, activation, fused in _fused(case):
        said = f"{case.owner}: with_activation({name!r})"
        require(isinstance(fused, Layer), f"{said} must return a layer, or None, got {fused!r}")
        require(fused is not case.layer, f"{said} must not return the layer itself")
        same = fused.parameters.keys() == case.layer.parameters.keys() and all(
            fused.parameters[key] is p for key, p in case.layer.parameters.items()
        )
        require(same, f"{said} has other parameters; self.twin() has the same")
        due = _chain(case, [case.layer, activation], training)
        require_equal(
            f"{said} is not the layer and then {type(activation).__name__}:",
            run_both_ways(case, fused, case.xs, training),
            due,
        )
        y = fused.forward(case.context(training, asked=False), *case.xs)
        require_equal(
            f"{said} is another where no gradient is asked for:",
            Pass(y, (), {}),
            Pass(due.y, (), {}),
        )


def check_sum(case: Case) -> None:
    if not case.layer.is_sum:
        return
    due = case.xs[0]
    for x in case.xs[1:]:
        due = due + x
    y = case.layer.forward(case.context(False), *case.xs)
    said = f"{case.owner}: is_sum is True, and the output is not the sum of the inputs:"
    require_equal(said, Pass(y, (), {}), Pass(due, (), {}))


def check_added(case: Case) -> None:
    """Check that a layer which adds does so, over its last input only where it may."""
    fused = case.layer.with_addition()
    if fused is None:
        return
    said = f"{case.owner}: with_addition()"
    require(isinstance(fused, Layer), f"{said} must return a layer, or None, got {fused!r}")
    require(fused is not case.layer, f"{said} must not return the layer itself")
    y = case.layer.forward(case.context(False, asked=False), *case.xs)
    held = case.gradient(y.shape).copy()
    due = Pass(y + held, (), {})
    for over in (False, True):
        ctx, array = case.context(False, asked=False), held.copy()
        ctx.may_overwrite = over
        found = fused.forward(ctx, *case.xs, array)
        require_equal(f"{said} is not the layer and then a sum:", Pass(found, (), {}), due)
        require(
            np.may_share_memory(found, array) == over,
            f"{said} must write over the last input where ctx.reusable gives it, and only there",
        )
        require(over or array.tobytes() == held.tobytes(), f"{said} writes to the last input")


def _fused(case: Case) -> Iterator[tuple[Act, Layer, Any]]:
    for name, layers in activations().items():
        fused = case.layer.with_activation(name)
        if fused is not None:
            yield name, layers[0], fused


def _chain(case: Case, layers: list[Layer], training: bool) -> Pass:
    """Run two layers one after the other, forward and backward."""
    contexts = [case.context(training), case.context(training, inputs=1, parameters=())]
    if layers[1] is case.layer:
        contexts.reverse()
    middle = layers[0].forward(contexts[0], *case.xs)
    y = layers[1].forward(contexts[1], middle)
    dxs = layers[0].backward(contexts[0], layers[1].backward(contexts[1], case.gradient(y.shape)))
    return Pass(y, dxs if isinstance(dxs, tuple) else (dxs,), contexts[0].grads | contexts[1].grads)


def check_affine(case: Case) -> None:
    if case.layer.channel_affine:
        said = f"{case.owner}: affine"
        affine = case.layer.affine()
        channels = case.output.shape[:1]
        for part in affine:
            got = f"{part.shape} {part.dtype}"
            fits = (part.shape, part.dtype) == (channels, np.dtype(np.float64))
            require(fits, f"{said} must give arrays {channels} float64, got {got}")
        y = case.layer.forward(case.context(False), *case.xs)
        _require_close(f"{said} is not what the layer computes:", y, _applied(affine, case.xs[0]))


def check_folded(case: Case) -> None:
    layer = case.layer
    if not layer.folds_affine:
        return
    said = f"{case.owner}: folded"
    draw = np.random.default_rng(1)
    affine = Affine(*(draw.uniform(0.5, 1.5, case.output.shape[:1]) for _ in range(3)))
    plain = layer.forward(case.context(False), *case.xs)
    folded = layer.folded(affine)
    require(isinstance(folded, Layer), f"{said} must return a layer, got {folded!r}")
    for name, parameter in folded.parameters.items():
        require(
            layer.parameters.get(name) is not parameter, f"{said} has {name} of the layer itself"
        )
    _require_close(
        f"{said} is not the layer and then the affine:",
        folded.forward(case.context(False), *case.xs),
        _applied(affine, plain),
    )
    again = layer.forward(case.context(False), *case.xs)
    require_equal(f"{said} changes the layer:", Pass(again, (), {}), Pass(plain, (), {}))


def _applied(affine: Affine, x: np.ndarray) -> np.ndarray:
    mean, scale, shift = (part.reshape(-1, *[1] * (x.ndim - 2)) for part in affine)
    return ((x - mean) * scale + shift).astype(x.dtype)


def _require_close(said: str, found: np.ndarray, due: np.ndarray) -> None:
    try:
        assert_close(found, due, factor=10)
    except AssertionError as error:
        raise AssertionError(f"{said} {error}") from None
