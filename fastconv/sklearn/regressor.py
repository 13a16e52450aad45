"""`CNNRegressor`: a network that gives numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.base import RegressorMixin  # type: ignore[import-untyped]

from fastconv.errors import ShapeError
from fastconv.models import Model
from fastconv.sklearn.estimator import Array, NetworkEstimator, unchanged_by_errors

__all__ = ["CNNRegressor"]


class CNNRegressor(RegressorMixin, NetworkEstimator):  # type: ignore[misc]
    """A convolutional network as a regressor of scikit-learn.

    Parameters
    ----------
    model, input_shape, epochs, batch_size, optimizer, learning_rate
        As of `CNNClassifier`; the network ends in one number for each that y has for a row.
    loss : str, (str, dict) or Loss, optional
        By default ``"mean_squared_error"``.
    early_stopping : bool
        As of `CNNClassifier`; `random_state` chooses the rows that are held out.
    patience, validation_fraction, augment, callbacks, threads, memory_limit, verbose, random_state
        As of `CNNClassifier`; `augment` gets y as (n, K).

    Attributes
    ----------
    net_, history_, n_iter_, n_features_in_, feature_names_in_
        As of `CNNClassifier`.

    Notes
    -----
    A network learns y as it is given. If its numbers are far from 0, or much larger than 1, let
    scikit-learn's ``TransformedTargetRegressor`` scale them.

    With `early_stopping`, X is copied once, in another order.

    Raises
    ------
    ArgumentError, ArgumentTypeError, ShapeError, ConfigError, ValueError, TrainingError
        As of `CNNClassifier`.

    Examples
    --------
    >>> import numpy as np
    >>> from fastconv.sklearn import CNNRegressor
    >>> rng = np.random.default_rng(0)
    >>> y = rng.normal(size=300)
    >>> X = y[:, None, None, None] + rng.normal(0, 0.3, (300, 1, 6, 6))  # noisy images, as bright
    >>> regressor = CNNRegressor(random_state=0).fit(X[:200], y[:200])
    >>> bool(regressor.score(X[200:], y[200:]) > 0.9)
    True
    """

    _one_number: bool

    @unchanged_by_errors
    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> CNNRegressor:
        """Train a new network.

        Parameters
        ----------
        X : array-like (N, features) or (N, C, H, W)
        y : array-like (N,) or (N, K)
        sample_weight : array-like (N,), optional
            What each row counts.

        Returns
        -------
        CNNRegressor
            Itself; after an error it is as it was before the call.
        """
        X, y = self._rows(X, y, reset=True)
        weights = self._weights(sample_weight)
        net = self._new_network(X, y.shape[1] if y.ndim > 1 else 1)
        one = y.ndim == 1
        y = y.reshape(len(y), -1)
        if self._stops_early() and (weights is None or weights.shape == (len(y),)):
            order = np.random.default_rng(net.seed).permutation(len(X))  # the last are held out
            X, y = X[order], y[order]
            weights = None if weights is None else weights[order]
        self._learn_anew(net, X, y, sample_weight=weights)
        self._one_number = one
        return self

    @unchanged_by_errors
    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None) -> CNNRegressor:
        """Train for one epoch on some rows; the network, and its optimizer, go on from before.

        Parameters
        ----------
        X, y, sample_weight
            As of `fit`.

        Returns
        -------
        CNNRegressor
            Itself.
        """
        first = not hasattr(self, "net_")
        X, y = self._rows(X, y, reset=first)
        one, outputs = y.ndim == 1, y.shape[1] if y.ndim > 1 else 1
        if not first and self.net_.output_specs()[0].shape != (outputs,):
            rule = "must have as many numbers a row as in the call before"
            raise ShapeError(type(self).__name__, "y", rule, y.shape)
        net = self._new_network(X, outputs) if first else self.net_
        weights = self._weights(sample_weight)
        self._learn_on(net, X, y.reshape(len(y), -1), sample_weight=weights)
        self._one_number = one
        return self

    def predict(self, X: Any) -> Array:
        """Return the numbers for each row as float64: (N,), or (N, K) if y had two axes."""
        found = self._outputs(X).astype(np.float64)
        return found[:, 0] if self._one_number else found

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Return the coefficient of determination of the predictions, 1 if they are right.

        It is 1 less the mean square of errors over the variance of y, so 0 for the mean of y.

        Parameters
        ----------
        X : array-like (N, features) or (N, C, H, W)
        y : array-like (N,) or (N, K)
            Of several numbers a row, the mean of their scores is returned.
        sample_weight : array-like (N,), optional
            What each row counts.
        """
        return float(super().score(X, y, sample_weight))

    def _rows(self, X: Any, y: Any, *, reset: bool) -> tuple[Array, Array]:
        X, y = self._checked(X, y, reset=reset, multi_output=True, y_numeric=True)
        return X, y.astype(np.float64, copy=False)

    def _usual_loss(self, net: Model) -> str:
        """Return the loss of numbers."""
        return "mean_squared_error"

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags
