"""A built layer with inputs for it, and what its calls must keep."""

from __future__ import annotations

import contextlib
import copy
import math
import pickle
from collections.abc import Callable, Collection, Sequence
from typing import Any

import numpy as np

from fastconv.layers.base import Layer
from fastconv.layers.context import Context
from fastconv.layers.spec import FLOATS, Spec
from fastconv.testing.arrays import assert_bits_equal, assert_close, require

__all__ = ["Case"]

#: The step of the central difference, and the tolerance, by the dtype of what is moved. The error
#: is about step**2; in float32, that of rounding, divided by the step, comes to it.
_STEPS = {"float64": (1e-6, 1e-6), "float32": (2.0**-7, 2.0**-9)}
_SAMPLES = 24  # elements of an array whose derivative is taken numerically


class Case:
    """A layer that is built, and inputs for it."""

    def __init__(
        self, layer: Layer, shapes: list[tuple[int, ...]], dtypes: Sequence[str], seed: int
    ) -> None:
        self.layer = layer
        self.random = np.random.default_rng(seed)
        self.specs = [Spec(shape[1:], dtype) for shape, dtype in zip(shapes, dtypes, strict=True)]
        self.output = layer.infer(*self.specs)
        layer.ensure_built(self.random, *self.specs)
        for parameter in layer.parameters.values():
            # Away from zeros and ones, at which a wrong gradient may look right.
            parameter.assign(parameter.value + self.random.uniform(0.1, 0.3, parameter.shape))
        self.xs = [
            self._distinct(shape, dtype) for shape, dtype in zip(shapes, dtypes, strict=True)
        ]

    def _distinct(self, shape: tuple[int, ...], dtype: str) -> np.ndarray:
        """Return a read-only array without equal elements or zeros, so that maxima are clear."""
        if dtype not in FLOATS:
            # 0 and 1, for which every table has rows, and which every dtype has
            return _read_only(self.random.integers(0, 2, shape).astype(dtype))
        size = int(np.prod(shape))
        values = (np.arange(size) - size // 2 + 1 / 3) * (4 / max(size, 1))
        return _read_only(self.random.permutation(values).reshape(shape).astype(dtype))

    @property
    def has_dx(self) -> list[bool]:
        """For each input, whether it has a gradient: integers have none, as inputs or outputs."""
        return [spec.is_float and self.output.is_float for spec in self.specs]

    @property
    def owner(self) -> str:
        """The name by which errors call the layer."""
        return type(self.layer).__name__

    def context(
        self,
        training: bool,
        asked: bool = True,
        frozen: bool = False,
        inputs: int | None = None,
        parameters: Collection[str] | None = None,
    ) -> Context:
        """Return the Context of a call; another layer's call needs `inputs` and `parameters`."""
        names = self.layer.parameters if parameters is None else parameters
        needs = [has and asked for has in self.has_dx] if inputs is None else [asked] * inputs
        return Context(
            training,
            needs=needs,
            needs_params=frozenset(names) if asked and not frozen else (),
            rng_key=(7, 1, 2),
        )

    def gradient(self, shape: tuple[int, ...]) -> np.ndarray:
        """Return a read-only gradient for an output, always the same for one shape."""
        ramp = np.cos(np.arange(math.prod(shape))).reshape(shape).astype(self.output.dtype)
        return _read_only(ramp)

    def run(
        self, layer: Layer, xs: Sequence[np.ndarray], training: bool
    ) -> tuple[np.ndarray, np.ndarray, tuple[Any, ...], dict[str, np.ndarray]]:
        """Return (y, dy, dxs, gradients of parameters); dy is always the same for one shape.

        If the output has integers, there are no gradients.
        """
        ctx = self.context(training)
        owner = type(layer).__name__
        y = _writing_nowhere(f"{owner}: forward", lambda *xs: layer.forward(ctx, *xs), xs)
        require(
            isinstance(y, np.ndarray), f"{owner}: forward must return y, got {type(y).__name__}"
        )
        dy = self.gradient(y.shape)
        if not (self.output.is_float and ctx.differentiated):
            return y, dy, (None,) * len(xs), {}
        ramp = dy.copy()
        backward = _writing_nowhere(f"{owner}: backward", lambda dy: layer.backward(ctx, dy), [dy])
        require(dy.tobytes() == ramp.tobytes(), f"{owner}: backward writes to the gradient dy")
        return y, dy, _tuple(backward), ctx.grads

    def check_calls(self) -> None:
        dtypes = dict.fromkeys(spec.dtype for spec in self.specs)
        what = f"{type(self.layer).__name__} in {' and '.join(dtypes)}"
        empty = [_read_only(np.empty((0, *x.shape[1:]), x.dtype)) for x in self.xs]
        for training in (False, True):
            for xs in (self.xs, empty):
                before = [x.copy() for x in xs]
                y, dy, dxs, grads = self.run(self.layer, xs, training)
                for x, copied in zip(xs, before, strict=True):
                    require(x.tobytes() == copied.tobytes(), f"{what}: writes to an input")
                expected = (len(xs[0]), *self.output.shape)
                require(y.shape == expected, f"{what}: y is {y.shape}, infer says {expected}")
                require(y.dtype == self.output.dtype, f"{what}: y is {y.dtype}")
                require(len(dxs) == len(xs), f"{what}: {len(dxs)} gradients of {len(xs)} inputs")
                for dx, x, has_dx in zip(dxs, xs, self.has_dx, strict=True):
                    if not has_dx:
                        continue
                    require(dx is not None, f"{what}: no gradient of an input that needs one")
                    require(
                        (dx.shape, dx.dtype) == (x.shape, x.dtype),
                        f"{what}: dx is {dx.shape} {dx.dtype}, not {x.shape} {x.dtype} as x",
                    )
                learned = self.layer.parameters if self.output.is_float else {}
                for name, parameter in learned.items():
                    require(
                        name in grads,
                        f"{what}: no gradient of {name}; backward gives it to "
                        f"ctx.add_grad({name!r}, ...)",
                    )
                    got = (grads[name].shape, grads[name].dtype.name)
                    due = (parameter.shape, parameter.dtype.name)
                    require(got == due, f"{what}: the gradient of {name} is {got}, not {due}")
                    require(
                        len(xs[0]) > 0 or not grads[name].any(),
                        f"{what}: the gradient of {name} must be 0 for an empty batch",
                    )
                self._check_repeats(xs, training, y, dxs, grads)
            unasked = self.context(training, asked=False)
            self.layer.forward(unasked, *self.xs)
            require(not unasked.saved, f"{what}: keeps arrays that no backward pass will read")

    def _check_repeats(
        self,
        xs: Sequence[np.ndarray],
        training: bool,
        y: np.ndarray,
        dxs: tuple[Any, ...],
        grads: dict[str, np.ndarray],
    ) -> None:
        kept = y.copy()
        again, _, again_dxs, again_grads = self.run(self.layer, xs, training)
        assert_bits_equal(again, kept)
        assert_bits_equal(y, kept)
        for dx, other, has_dx in zip(dxs, again_dxs, self.has_dx, strict=True):
            if has_dx:
                assert_bits_equal(other, dx)
        for name, gradient in grads.items():
            assert_bits_equal(again_grads[name], gradient)

    def check_frozen(self) -> None:
        """Check a frozen layer in training: it is called as in inference, and passes gradients."""
        _, dy, expected, _ = self.run(self.layer, self.xs, training=False)
        ctx = self.context(training=False, frozen=True)
        self.layer.forward(ctx, *self.xs)
        dxs = _tuple(self.layer.backward(ctx, dy))
        what = f"{type(self.layer).__name__} that is frozen"
        for i, (dx, due) in enumerate(zip(dxs, expected, strict=True)):
            require(dx is not None, f"{what}: no gradient of input {i}, which needs one")
            assert_close(dx, due)

    def check_copies(self) -> None:
        y = self.layer.forward(self.context(False), *self.xs)
        try:
            pickled = pickle.dumps(self.layer)
        except (pickle.PicklingError, AttributeError, TypeError) as error:
            raise AssertionError(
                f"{type(self.layer).__name__} cannot be pickled, {error}; define the class at the "
                "top of a module, and keep settings that can be pickled"
            ) from error
        what = f"a copy of {type(self.layer).__name__}"
        for other in (pickle.loads(pickled), copy.deepcopy(self.layer)):
            require(other.to_config() == self.layer.to_config(), f"{what}: has other settings")
            for name, parameter in self.layer.parameters.items():
                require(
                    not np.shares_memory(other.parameters[name].value, parameter.value),
                    f"{what}: has {name} in common with the layer",
                )
            assert_bits_equal(other.forward(self.context(False), *self.xs), y)

    def check_gradients(self, training: bool) -> None:
        _, dy, dxs, grads = self.run(self.layer, self.xs, training)
        what = f"{type(self.layer).__name__} in {'training' if training else 'inference'}"

        def loss(xs: Sequence[np.ndarray]) -> float:
            y = self.layer.forward(self.context(training), *xs)
            return float(np.sum(y.astype(np.longdouble) * dy))

        for i, x in enumerate(self.xs):
            if not self.has_dx[i]:
                continue

            def along(value: np.ndarray, i: int = i) -> float:
                return loss([*self.xs[:i], value, *self.xs[i + 1 :]])

            self._compare(f"{what}: dx of input {i}", dxs[i], x, along)
        for name, parameter in self.layer.parameters.items() if self.output.is_float else ():
            start = parameter.value.copy()

            def with_value(value: np.ndarray, name: str = name) -> float:
                self.layer.parameters[name].assign(value)
                return loss(self.xs)

            self._compare(f"{what}: gradient of {name}", grads[name], start, with_value)
            parameter.assign(start)

    def _compare(
        self, what: str, gradient: np.ndarray, at: np.ndarray, loss: Callable[[np.ndarray], float]
    ) -> None:
        """Compare some elements of `gradient` with central differences of `loss` at `at`."""
        chosen = self.random.permutation(at.size)[:_SAMPLES]
        largest = max(float(np.max(np.abs(gradient), initial=0.0)), 1.0)
        size, tolerance = _STEPS[at.dtype.name]
        for flat in chosen:
            place = tuple(int(i) for i in np.unravel_index(int(flat), at.shape))
            sides = []
            for step in (size, -size):
                moved = at.copy()
                moved[place] += step
                sides.append(loss(moved))
            numerical = (sides[0] - sides[1]) / (2 * size)
            require(
                abs(gradient[place] - numerical) <= tolerance * largest,
                f"{what} at {place} is {float(gradient[place])!r}, and by differences "
                f"{float(numerical)!r}",
            )


def _writing_nowhere(method: str, call: Callable[..., Any], arrays: Sequence[np.ndarray]) -> Any:
    """Return what `call` makes of read-only `arrays`; if it tries to write to one, say so."""
    try:
        return call(*arrays)
    except ValueError as error:
        copies = [array.copy() for array in arrays]
        with contextlib.suppress(Exception):
            call(*copies)
        if all(c.tobytes() == a.tobytes() for c, a in zip(copies, arrays, strict=True)):
            raise
        raise AssertionError(
            f"{method} writes to the arrays that it is given, which others read; it must return "
            "new ones"
        ) from error


def _read_only(array: np.ndarray) -> np.ndarray:
    array.flags.writeable = False
    return array


def _tuple(value: Any) -> tuple[Any, ...]:
    return value if isinstance(value, tuple) else (value,)
