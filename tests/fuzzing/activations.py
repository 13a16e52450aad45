"""Activations with any settings, what multiplies each channel, and their gradients."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastconv import functional, reference
from fuzzing.case import Case, plain
from fuzzing.compare import close
from fuzzing.elementwise import draw_shape

#: Both directions of each function, by whether its gradient is made from the output.
BY_OUTPUT = {
    "elu": (functional.elu, functional.elu_backward),
    "hard_sigmoid": (functional.hard_sigmoid, functional.hard_sigmoid_backward),
    "leaky_relu": (functional.leaky_relu, functional.leaky_relu_backward),
    "relu6": (functional.relu6, functional.relu6_backward),
    "softplus": (functional.softplus, functional.softplus_backward),
}
BY_INPUT = {
    "gelu": (functional.gelu, functional.gelu_backward),
    "hard_swish": (functional.hard_swish, functional.hard_swish_backward),
    "silu": (functional.silu, functional.silu_backward),
}
FUNCTIONS = BY_OUTPUT | BY_INPUT


def check(case: Case) -> None:
    """One function of each element, or one with numbers of channels."""
    name = case.pick(*FUNCTIONS, "prelu", "rescale")
    case.notes |= {"function": name}
    if name in FUNCTIONS:
        _check_function(case, name)
    elif name == "prelu":
        _check_prelu(case)
    else:
        _check_rescale(case)


def _check_function(case: Case, name: str) -> None:
    shape = draw_shape(case)
    settings = _settings(case, name)
    case.notes |= {"shape": shape, **settings}
    x, dy = case.numbers(shape), case.numbers(shape)
    forward, backward = FUNCTIONS[name]
    right = getattr(reference, name)(x.astype(np.float64), **settings)
    with np.errstate(all="ignore"):
        y = right.astype(case.dtype)
        size = np.abs(x) if settings.get("approximate") == "tanh" else np.abs(right)
        largest = max(1.0, *(abs(v) for v in settings.values() if isinstance(v, float)), 1.0)
        if name in ("hard_sigmoid", "elu"):
            size = size + (largest * (1 + np.abs(x)) if name == "hard_sigmoid" else largest)
    found = _called(case, forward, settings, x)
    far = 64 if name == "gelu" else 8  # the reference rounds what it gives to erfc
    close(name, found, right, _finite(case.bound(far, size)), case.dtype)
    kept = y if name in BY_OUTPUT else x
    wide = (array.astype(np.float64) for array in (dy, kept))
    right = getattr(reference, f"{name}_backward")(*wide, **settings)
    found = _called(case, backward, settings, dy, kept)
    with np.errstate(all="ignore"):
        size = np.abs(dy) * (largest + np.abs(y) if name == "elu" else largest)
    close(f"{name}_backward", found, right, _finite(case.bound(far, size)), case.dtype)


def _settings(case: Case, name: str) -> dict[str, Any]:
    if case.chance(0.3):
        return {}
    pick = case.pick
    settings = {
        "elu": {"alpha": pick(0.0, 0.5, 1.7)},
        "gelu": {"approximate": pick("none", "tanh")},
        "hard_sigmoid": {"alpha": pick(0.2, -0.3, 1.0), "beta": pick(0.5, 0.0, -1.0)},
        "leaky_relu": {"negative_slope": pick(0.0, 0.2, 1.5)},
    }.get(name, {})
    # rounded as the kernels have them: else a slope is 0 for them, and not for the reference
    kind = np.dtype(case.dtype).type
    return {
        key: value if isinstance(value, str) else float(kind(value))
        for key, value in settings.items()
    }


def _called(case: Case, function: Any, settings: Any, *given: np.ndarray) -> Any:
    """Call a function on arrays as the case lays them, its result new, given or in place."""
    first, *rest = given
    others = [case.lay(a, native=True) for a in rest]
    how = case.pick("new", "out", "in place")
    if how == "in place":
        array = case.writable(first)
        return case.call(function, array, *others, **settings, out=array)
    out = case.output(first.shape) if how == "out" else None
    return case.call(function, case.lay(first, native=True), *others, **settings, out=out)


def _finite(bound: Any) -> Any:
    return np.where(np.isfinite(bound), bound, 0)


def _channels(case: Case) -> tuple[int, ...]:
    shape = draw_shape(case)
    return shape if len(shape) > 1 else (case.pick(1, 2, 33), max(1, shape[0]))


def _check_prelu(case: Case) -> None:
    shape = _channels(case)
    case.notes |= {"shape": shape}
    x, dy = (case.lay(case.numbers(shape), native=True) for _ in range(2))
    weight = case.writable(case.numbers(shape[1:2]))
    wide = [plain(a).astype(np.float64) for a in (dy, x, weight)]
    right, slopes = reference.prelu(*wide[1:]), reference.prelu_backward(*wide)
    found = case.call(functional.prelu, x, weight)
    close("prelu", found, right, _finite(case.bound(1, np.abs(right))), case.dtype)
    dx, dweight = case.call(functional.prelu_backward, dy, x, weight)
    close("dx", dx, slopes[0], _finite(case.bound(1, np.abs(slopes[0]))), case.dtype)
    with np.errstate(all="ignore"):
        total = np.abs(np.where(wide[1] > 0, 0, wide[0] * wide[1]))
        size = total.sum(axis=(0, *range(2, len(shape))))
    close("dweight", dweight, slopes[1], _finite(case.bound(64, size)), case.dtype)


def _check_rescale(case: Case) -> None:
    shape = _channels(case)
    whole = case.chance(0.5)
    factors = [case.pick(0.5, -2.0, 1 / 255, 3.25), case.pick(0.0, 1.0, -0.3)]
    for i in range(2):
        if shape[1] and case.chance(0.4):
            factors[i] = case.rng.uniform(-2, 2, shape[1]).tolist()
    case.notes |= {"shape": shape, "whole": whole}
    x = case.rng.integers(0, 256, shape).astype(case.pick("uint8", "int32", "int64"))
    x = x if whole else case.lay(case.numbers(shape), native=True)
    wide = plain(x).astype(np.float64)
    right = reference.rescale(wide, *map(np.asarray, factors))
    found = case.call(functional.rescale, x, *factors)
    dtype = np.float32 if whole else case.dtype
    with np.errstate(all="ignore"):
        size = 2 * np.abs(wide) + 2 + np.abs(wide) * np.abs(np.max(np.abs(factors[0])))
        bound = 4 * np.finfo(dtype).eps * size + 4 * float(np.finfo(dtype).smallest_subnormal)
    close("rescale", found, right, _finite(bound), dtype)
