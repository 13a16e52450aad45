"""Checks what a layer says of itself: each trait of `fastconv.layers.traits` that it declares."""

from __future__ import annotations

import copy

import numpy as np

from fastconv.testing.arrays import require
from fastconv.testing.case import Case
from fastconv.testing.fusing import (
    activations,
    check_acts_as,
    check_added,
    check_affine,
    check_commutes,
    check_folded,
    check_fused,
    check_sum,
)
from fastconv.testing.inputs import check_batch_axes
from fastconv.testing.passes import Pass, require_equal, require_same, run_both_ways
from fastconv.testing.synchronising import check_synchronised

__all__ = ["check_forms", "check_traits"]

#: The lowest and the highest number of an output, by what the layer declares that it `gives`.
_BOUNDS = {"probabilities": (0, 1), "chances": (0, 1), "bounded": (-1, 1)}
#: The most that numbers may be which were brought to a usual scale.
_USUAL = 32.0
_SWITCHES = (
    "any_batch_axis",
    "normalizes",
    "output_is_view",
    "output_may_be_overwritten",
    "overwrites_input",
    "new_gradients",
    "passes_gradient",
    "channel_affine",
    "fuses_in_training",
    "is_sum",
    "folds_affine",
    "synchronises",
)


def check_traits(case: Case) -> None:
    """Assert that every trait which the layer of `case` declares is true of it."""
    check_forms(case)
    for training in (False, True):
        for check in (
            _check_gives,
            _check_view,
            _check_idle,
            _check_overwritten,
            _check_overwrites,
            _check_gradients,
            check_acts_as,
            check_commutes,
            check_fused,
        ):
            check(case, training)
    _check_packs(case)
    check_batch_axes(case)
    check_affine(case)
    check_folded(case)
    check_sum(case)
    check_added(case)
    _check_normalizes(case)
    check_synchronised(case)


def check_forms(case: Case) -> None:
    """Check that the traits have the right types and do not contradict each other."""
    layer, what = case.layer, case.owner
    for name in _SWITCHES:
        value = getattr(layer, name)
        require(isinstance(value, bool), f"{what}: {name} must be True or False, got {value!r}")
    for training in (False, True):
        idle = layer.idle(training)
        require(isinstance(idle, bool), f"{what}: idle must return True or False, got {idle!r}")
    known = ["values", "input", "elements", *_BOUNDS]
    require(
        layer.gives is None or layer.gives in known,
        f"{what}: gives must be one of {', '.join(known)}, or None, got {layer.gives!r}",
    )
    by = layer.given_by
    require(
        by is None or isinstance(by, str), f"{what}: given_by must be a text or None, got {by!r}"
    )
    alone = {
        f"gives is {layer.gives!r}": layer.gives in ("input", "elements"),
        "overwrites_input is True": layer.overwrites_input,
        "channel_affine is True": layer.channel_affine,
        "idle is True": layer.idle(False) or layer.idle(True),
        f"acts_as is {layer.acts_as!r}": layer.acts_as is not None,
    }
    for said, is_said in alone.items():
        require(not is_said or len(case.xs) == 1, f"{what}: {said}, and there are several inputs")
    function, functions = layer.acts_as, layer.commutes_with
    require(
        function is None or _is_name(function),
        f"{what}: acts_as must be a name with a dot in it, such as 'acme.mish', or that of a "
        f"function that fastconv has, got {function!r}",
    )
    require(
        isinstance(functions, frozenset) and all(isinstance(name, str) for name in functions),
        f"{what}: commutes_with must be a frozenset of texts, got {functions!r}",
    )
    require(
        isinstance(layer.packs, tuple) and all(name in layer.parameters for name in layer.packs),
        f"{what}: packs must be a tuple of names of parameters, got {layer.packs!r}",
    )


def _is_name(function: object) -> bool:
    """Whether `function` names a function of a third party, or one that fastconv has."""
    if isinstance(function, tuple) and len(function) == 2 and isinstance(function[1], tuple):
        function = function[0]
    if not isinstance(function, str):
        return False
    known = activations().get(function, ())
    return "." in function or any(type(one).__module__.startswith("fastconv.") for one in known)


def _check_gives(case: Case, training: bool) -> None:
    """Check that the numbers of the output are what the layer says, in inference at least."""
    gives, what = case.layer.gives, case.owner
    if training or gives not in _BOUNDS:
        return
    y = case.layer.forward(case.context(False), *case.xs)
    low, high = _BOUNDS[gives]
    require(
        bool(low <= y.min() and y.max() <= high),
        f"{what}: gives is {gives!r}, numbers from {low} to {high}, and some are not",
    )
    require(
        gives != "probabilities" or np.allclose(y.sum(axis=1), 1, atol=1e-5),
        f"{what}: gives is 'probabilities', and they do not sum to 1 on axis 1",
    )


def _check_view(case: Case, training: bool) -> None:
    if case.layer.output_is_view:
        y = case.layer.forward(case.context(training), *case.xs)
        require_same(f"{case.owner}: output_is_view is True, and the output is", y, case.xs[0])


def _check_idle(case: Case, training: bool) -> None:
    if not case.layer.idle(training):
        return
    said = f"{case.owner}: idle({training}) is True, and"
    dy = case.gradient((len(case.xs[0]), *case.output.shape))
    found = run_both_ways(case, case.layer, case.xs, training, dy)
    require_same(f"{said} the output is", found.y, case.xs[0])
    require(found.y.shape == case.xs[0].shape, f"{said} the shape is another")
    require_same(f"{said} the gradient is", found.dxs[0], dy, "dy")


def _check_overwritten(case: Case, training: bool) -> None:
    layer = case.layer
    if not layer.output_may_be_overwritten:
        return
    said = f"{case.owner}: output_may_be_overwritten is True, and"
    due = run_both_ways(case, layer, case.xs, training)
    ctx = case.context(training)
    y = layer.forward(ctx, *case.xs)
    others = [
        *case.xs,
        due.y,
        *(p.value for p in (*layer.parameters.values(), *layer.states.values())),
    ]
    for other in others:
        require(not np.may_share_memory(y, other), f"{said} it lies in memory that others read")
    require(y.flags.writeable, f"{said} it cannot be written to")
    y.fill(np.nan)
    dxs = layer.backward(ctx, case.gradient(y.shape))
    found = Pass(due.y, dxs if isinstance(dxs, tuple) else (dxs,), ctx.grads)
    require_equal(f"{said} backward reads it:", found, due)


def _check_overwrites(case: Case, training: bool) -> None:
    if not case.layer.overwrites_input:
        return
    said = f"{case.owner}: overwrites_input is True, and"
    due = run_both_ways(case, case.layer, case.xs, training)
    ctx, x = case.context(training), case.xs[0].copy()
    ctx.may_overwrite = True
    y = case.layer.forward(ctx, x)
    require(np.may_share_memory(x, y), f"{said} the output is not written over the input")
    dy = case.gradient(y.shape).copy()
    dx = case.layer.backward(ctx, dy)
    require(np.may_share_memory(dx, dy), f"{said} the gradient is not written over dy")
    require_equal(f"{said} results are others then:", Pass(y, (dx,), ctx.grads), due)


def _check_gradients(case: Case, training: bool) -> None:
    layer, dy = case.layer, case.gradient((len(case.xs[0]), *case.output.shape))
    found, again = (run_both_ways(case, layer, case.xs, training, dy) for _ in range(2))
    if layer.passes_gradient:
        for dx in found.dxs:
            said = f"{case.owner}: passes_gradient is True, and a gradient is"
            require_same(said, dx, dy, "dy")
    if layer.new_gradients:
        kept = [*case.xs, found.y, *(p.value for p in layer.parameters.values()), *again.dxs]
        for i, dx in enumerate(found.dxs):
            if not np.may_share_memory(dx, dy):
                for other in (*kept, *found.dxs[:i]):
                    require(
                        not np.may_share_memory(dx, other),
                        f"{case.owner}: new_gradients is True, and dx of input {i} lies in memory "
                        "that others read",
                    )
        require(
            sum(bool(np.may_share_memory(dx, dy)) for dx in found.dxs) <= 1,
            f"{case.owner}: new_gradients is True, and several gradients are dy itself",
        )


def _check_normalizes(case: Case) -> None:
    if case.layer.normalizes:
        pixels = [np.linspace(0, 255, x.size).astype(x.dtype).reshape(x.shape) for x in case.xs]
        y = case.layer.forward(case.context(True), *pixels)
        most = float(np.abs(y).max())
        require(
            most <= _USUAL,
            f"{case.owner}: normalizes is True, and of pixels to 255 it makes numbers to {most:g}",
        )


def _check_packs(case: Case) -> None:
    layer = copy.deepcopy(case.layer)
    costs = layer.costs(len(case.xs[0]), *case.specs, training=False)
    layer.pack()
    for name, parameter in layer.parameters.items():
        require(
            name in layer.packs or not parameter.packed_nbytes,
            f"{case.owner}: pack packs {name}, and packs does not name it",
        )
        require(
            name not in layer.packs or not costs.packed or parameter.packed_nbytes > 0,
            f"{case.owner}: packs names {name}, and pack does not pack it",
        )
