"""What both estimators have: the parameters, the data, one training after another."""

from __future__ import annotations

import copy
import functools
import warnings
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any, TypeVar, cast

import numpy as np
from sklearn.base import BaseEstimator  # type: ignore[import-untyped]
from sklearn.utils import check_random_state  # type: ignore[import-untyped]
from sklearn.utils.validation import check_is_fitted, validate_data  # type: ignore[import-untyped]

from fastconv.arguments import CHANNELS_FIRST, as_bool, as_int, as_plain_array, as_sizes
from fastconv.errors import ArgumentError, DataWarning, FastconvError, ShapeError
from fastconv.errors.callers import outside
from fastconv.layers.spec import Spec
from fastconv.models import Model
from fastconv.sklearn.networks import input_spec, make_network
from fastconv.threads import MOST_THREADS, sharing
from fastconv.training import EarlyStopping, History
from fastconv.training.callbacks import Callback
from fastconv.training.chain import as_callbacks
from fastconv.training.choosing import is_pair

__all__ = ["NetworkEstimator", "unchanged_by_errors"]

F = TypeVar("F", bound=Callable[..., Any])
Array = np.ndarray[Any, Any]

#: What parameters of `Model.fit` are called here.
OURS = {"transform": "augment", "validation_split": "validation_fraction"}


def unchanged_by_errors(method: F) -> F:
    """Return a method that leaves the estimator as it was if it raises anything.

    scikit-learn's checks of X set attributes before there is a network that goes with them.
    """

    @functools.wraps(method)
    def run(self: Any, *args: Any, **options: Any) -> Any:
        before = dict(vars(self))
        try:
            return method(self, *args, **options)
        except BaseException:
            vars(self).clear()
            vars(self).update(before)
            raise

    return cast(F, run)


class NetworkEstimator(BaseEstimator):  # type: ignore[misc]
    """A network that scikit-learn can clone, set and fit; its subclasses know what y is."""

    net_: Model
    history_: History
    n_iter_: int

    def __init__(
        self,
        model: Any = None,
        *,
        input_shape: Any = None,
        epochs: int = 20,
        batch_size: int = 32,
        optimizer: Any = "adam",
        learning_rate: Any = None,
        loss: Any = None,
        early_stopping: bool = False,
        patience: int = 5,
        validation_fraction: float = 0.1,
        augment: Any = None,
        callbacks: Any = (),
        threads: int | None = None,
        memory_limit: int | str | None = None,
        verbose: int = 0,
        random_state: Any = None,
    ):
        self.model = model
        self.input_shape = input_shape
        self.epochs = epochs
        self.batch_size = batch_size
        self.optimizer = optimizer
        self.learning_rate = learning_rate
        self.loss = loss
        self.early_stopping = early_stopping
        self.patience = patience
        self.validation_fraction = validation_fraction
        self.augment = augment
        self.callbacks = callbacks
        self.threads = threads
        self.memory_limit = memory_limit
        self.verbose = verbose
        self.random_state = random_state

    def _with_two_axes(self, X: Any) -> tuple[Any, tuple[int, ...] | None]:
        """Return `X` with two axes, as scikit-learn checks them, and the shape that a row had.

        The shape is None where there were two axes before, or fewer.
        """
        if isinstance(X, (list, tuple)) or getattr(X, "ndim", 0) > 2:
            X = np.asanyarray(X)
        if not isinstance(X, np.ndarray) or X.ndim < 3:
            return X, None
        return X.reshape(len(X), int(np.prod(X.shape[1:]))), X.shape[1:]

    def _checked(self, X: Any, y: Any = None, *, reset: bool, **checks: Any) -> Any:
        """Return the rows of `X`, (N, ...) with as many axes as it has, and `y` if it is given.

        They have passed scikit-learn's checks, which set `n_features_in_` where `reset` is true.
        """
        X, shape = self._with_two_axes(X)
        given = {} if y is None and not reset else {"y": y}
        found = validate_data(self, X, **given, reset=reset, **checks)
        X, *rest = found if given else (found,)
        if X.dtype.kind == "b" or X.dtype == np.float16:
            X = X.astype(np.float32)
        elif X.dtype.kind == "f" and X.dtype.itemsize > 8:
            X = X.astype(np.float64)
        if shape is not None:
            X = X.reshape(len(X), *shape)
        return (X, *rest) if given else X

    def _example_shape(self, X: Array) -> tuple[int, ...]:
        """Return the shape that one example has before a network says another."""
        operation = type(self).__name__
        if self.input_shape is not None:
            given = as_sizes(operation, "input_shape", self.input_shape)
            if self.model is None and (meant := _meant(given)):
                told = f"{operation}: input_shape {given} stands for {meant}"
                warnings.warn(told, DataWarning, stacklevel=outside())
            return given
        shape = X.shape[1:]
        if len(shape) == 2:
            rows, columns = shape
            rule = "must be given for X of three axes"
            remedy = f"input_shape=(1, {rows}, {columns}) for maps, {shape} for signals"
            raise ShapeError(operation, "input_shape", rule, None, remedy)
        if _has_channels_last(shape):
            remedy = CHANNELS_FIRST.replace("x.", "X.")
            rule = "must be of shape (N, C, H, W) where input_shape is None"
            raise ShapeError(operation, "X", rule, X.shape, remedy)
        return shape

    def _folded(self, X: Array, spec: Spec) -> Array:
        """Return the rows of `X`, those of two axes in the shape that the network takes."""
        if X.ndim != 2 or len(spec.shape) == 1:
            return X  # the network itself says what is wrong
        if X.shape[1] != spec.size:
            rule = f"must have as many columns as an example {spec.shape} has numbers, {spec.size}"
            raise ShapeError(type(self).__name__, "X", rule, X.shape[1])
        return X.reshape(-1, *spec.shape)

    def _new_network(self, X: Array, outputs: int) -> Model:
        """Return a compiled network; `random_state` alone decides its seed."""
        operation = type(self).__name__
        try:
            seed = int(check_random_state(self.random_state).randint(2**31 - 1))
        except ValueError:
            rule = "must be None, an integer from 0 to 2**32 - 1, or a RandomState"
            raise ArgumentError(operation, "random_state", rule, self.random_state) from None
        net = make_network(operation, self.model, self._example_shape(X), outputs, seed)
        loss = self._usual_loss(net) if self.loss is None else self.loss
        net.compile(self._optimizer(), loss, self._metrics)
        return net

    def _optimizer(self) -> Any:
        """Return the optimizer to compile with, at the learning rate that is asked for."""
        if self.learning_rate is None:
            return copy.deepcopy(self.optimizer)  # an object serves one network alone
        rate = {"learning_rate": self.learning_rate}
        if isinstance(self.optimizer, str):
            return self.optimizer, rate
        if is_pair(self.optimizer):
            return self.optimizer[0], {**self.optimizer[1], **rate}
        raise ArgumentError(
            type(self).__name__,
            "learning_rate",
            "must be None where optimizer is an object",
            self.learning_rate,
            "give the optimizer by name, or the rate to the object",
        )

    def _callbacks(self) -> list[Callback]:
        chosen = as_callbacks(self.callbacks)
        return [*chosen, EarlyStopping(patience=self.patience)] if self._stops_early() else chosen

    def _stops_early(self) -> bool:
        return as_bool(type(self).__name__, "early_stopping", self.early_stopping)

    def _learn(self, net: Model, X: Array, y: Array, epochs: int, **more: Any) -> History:
        """Train `net` within this estimator's limits."""
        X = self._folded(X, input_spec(type(self).__name__, net))
        try:
            with self._sharing():
                return net.fit(
                    X,
                    y,
                    batch_size=self.batch_size,
                    epochs=epochs,
                    seed=net.seed,
                    verbose=self.verbose,
                    transform=self.augment,
                    memory_limit=self.memory_limit,
                    **more,
                )
        except FastconvError as error:
            name = OURS.get(error.parameter)
            if name is None:
                raise
            parts = type(self).__name__, name, error.rule, error.value, error.remedy
            raise type(error)(*parts, shown=error.shown) from None

    def _sharing(self) -> AbstractContextManager[None]:
        """Return a block with this estimator's share of the threads."""
        if self.threads is None:
            return sharing()
        return sharing(as_int(type(self).__name__, "threads", self.threads, 1, MOST_THREADS))

    def _learn_anew(self, net: Model, X: Array, y: Array, **more: Any) -> None:
        """Train a new network to its end, and keep it."""
        split = self.validation_fraction if self._stops_early() else None
        more |= {"validation_split": split, "callbacks": self._callbacks()}
        history = self._learn(net, X, y, self.epochs, **more)
        self._keep(net, history, len(history.learning_rate))

    def _learn_on(self, net: Model, X: Array, y: Array, **more: Any) -> None:
        """Train the network for one epoch more, which the history goes on with."""
        if self._stops_early():
            rule = "must be False for partial_fit, which holds no rows out"
            raise ArgumentError(type(self).__name__, "early_stopping", rule, self.early_stopping)
        before = self.history_ if hasattr(self, "net_") else None
        found = self._learn(net, X, y, 1, callbacks=self._callbacks(), **more)
        if before is not None:
            for name, figures in found.history.items():
                before.history.setdefault(name, []).extend(figures)
            before.learning_rate += found.learning_rate
            found = before
        self._keep(net, found, len(found.learning_rate))

    def _keep(self, net: Model, history: History, epochs: int) -> None:
        self.net_, self.history_, self.n_iter_ = net, history, epochs

    def _weights(self, sample_weight: Any) -> Any:
        """Return the weights of rows for `Model.fit`, which checks all else about them."""
        if sample_weight is None:
            return None
        weights = as_plain_array(type(self).__name__, "sample_weight", sample_weight)
        if weights.size and not weights.any():
            rule = "must not be zero for every row"
            raise ArgumentError(type(self).__name__, "sample_weight", rule, 0)
        return weights

    def _outputs(self, X: Any) -> Array:
        """Return what the network gives for the rows of `X`, (N, outputs)."""
        check_is_fitted(self, "net_")
        X = self._checked(X, reset=False)
        X = self._folded(X, input_spec(type(self).__name__, self.net_))
        with self._sharing():
            found: Array = self.net_.predict(
                X, batch_size=self.batch_size, memory_limit=self.memory_limit
            )
        return found

    _metrics: tuple[str, ...] = ()

    def _usual_loss(self, net: Model) -> str:
        """Return the loss that fits what the network ends in."""
        raise NotImplementedError


def _has_channels_last(shape: tuple[int, ...]) -> bool:
    """Whether an example looks like an image whose channels come last."""
    return len(shape) == 3 and shape[2] in (1, 3, 4) and min(shape[:2]) > 4


def _meant(shape: tuple[int, ...]) -> str:
    """Return what an `input_shape` stands for that looks like another one, and what to write."""
    if len(shape) == 2 and shape[0] == shape[1] > 1:
        channels, numbers = shape
        write = f"for grey images write input_shape=(1, {channels}, {numbers})"
        return f"signals, {channels} channels of {numbers} numbers; {write}"
    if not _has_channels_last(shape):
        return ""
    rows, columns, channels = shape
    write = f"for images write input_shape=({channels}, {rows}, {columns})"
    if channels > 1:
        write += f", and give X.reshape(-1, {rows}, {columns}, {channels}).transpose(0, 3, 1, 2)"
    return f"{rows} channels of {columns}x{channels}; {write}"
