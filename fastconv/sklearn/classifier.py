"""`CNNClassifier`: a network that tells classes apart."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from sklearn.base import ClassifierMixin  # type: ignore[import-untyped]
from sklearn.utils.multiclass import check_classification_targets  # type: ignore[import-untyped]
from sklearn.utils.validation import column_or_1d  # type: ignore[import-untyped]

from fastconv.errors import ArgumentError, ArgumentTypeError, shorten
from fastconv.functional import softmax
from fastconv.models import Model
from fastconv.sklearn.estimator import Array, NetworkEstimator, unchanged_by_errors

__all__ = ["CNNClassifier"]


class CNNClassifier(ClassifierMixin, NetworkEstimator):  # type: ignore[misc]
    """A convolutional network as a classifier of scikit-learn.

    Parameters
    ----------
    model : None, str, (str, dict), mapping, list, Model or callable
        The network: the name of a registered one, alone or with settings; a configuration; layers
        in a row, as `fastconv.Sequential` takes them; a network, of which a copy goes on from its
        weights; or a function of ``(input_shape, outputs)`` that returns one of these. A function
        with a parameter `seed` gets that too, for a network that it makes itself. None is a small
        network: two dense layers for features, convolutions for maps and signals. The network ends
        in one number for each class, logits or probabilities.
    input_shape : tuple of int, optional
        The shape of one example, such as (C, H, W), in which rows of an X of two axes are folded.
        Grey images have one channel, (1, H, W); (C, L) are signals.
        By default that of a row of X; for a `model` that has a shape of its own, that one.
    epochs, batch_size : int
        As of `fastconv.Model.fit`. `predict` computes as many rows at a time.
    optimizer : str, (str, dict) or Optimizer
        As of `fastconv.Model.compile`.
    learning_rate : float or schedule, optional
        The rate of an `optimizer` that is given by name; by default the optimizer's own.
    loss : str, (str, dict) or Loss, optional
        By default the cross-entropy that fits the network's last layer.
    class_weight : dict, array (K,) or "balanced", optional
        What rows of a class count: by label, or in the order of `classes_`; classes that a dict
        does not name count 1. If balanced, all classes count alike together.
    early_stopping : bool
        Whether `fit` holds out `validation_fraction` of the rows of every class, ends when the loss
        on them has not become less for `patience` epochs, and takes the weights of the best epoch.
    patience : int
    validation_fraction : float
        Above 0 and below 1.
    augment : callable, optional
        ``augment(rng, x, y) -> (x, y)``, called on each batch to learn from; y holds the places of
        classes in `classes_`. It is the `transform` of `fastconv.Model.fit`, and `fastconv.data`
        has some; what has an attribute of that name is a transformer to scikit-learn.
    callbacks : sequence
        As of `fastconv.Model.fit`.
    threads : int, optional
        The most threads that this estimator's network may use. Estimators that work side by side in
        one process share what there is, whatever this says.
    memory_limit : int or str, optional
        The most bytes, also as in ``"20 MB"``, that training and prediction may take, as of
        `fastconv.Model.fit`.
    verbose : {0, 1, 2}
        Nothing, a progress bar, or a line for each epoch.
    random_state : int, RandomState or None
        What decides starting weights, the order of rows, rows that are held out, and dropout. With
        an int, every `fit` gives the same bits, for any number of threads and processes.

    Attributes
    ----------
    classes_ : ndarray (K,)
        The labels, sorted.
    net_ : Model
        The trained network; `net_.save` writes a file that needs no scikit-learn.
    history_ : History
        The figures of every epoch; `history_.history` maps their names to lists.
    n_iter_ : int
        How many epochs the network was trained, those of `partial_fit` too.
    n_features_in_ : int
        How many numbers a row of X has.
    feature_names_in_ : ndarray of str
        The names of the columns, if X was a table whose columns all have names.

    Notes
    -----
    X is (N, features), or has the shape of the examples beside the first axis: (N, C, H, W). An X
    of more than two axes passes scikit-learn's checks as rows of numbers, and `n_features_in_`
    counts them so. X of float32, float64 and integers is not copied; batches are cast.

    Raises
    ------
    ArgumentError, ArgumentTypeError, ShapeError, ConfigError
        By `fit`, if a parameter is wrong; all but the second are a ValueError.
    ValueError
        scikit-learn's own, if X or y is no array of finite numbers, or of classes.
    TrainingError
        If the numbers of the network become infinite or NaN. It is a ValueError.

    Warns
    -----
    DataWarning
        By `fit`, if the small network is made of an `input_shape` (n, n), which is one of signals
        where grey images may have been meant; or of one whose channels seem to come last.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from fastconv.sklearn import CNNClassifier
    >>> X, y = load_iris(return_X_y=True)
    >>> classifier = CNNClassifier(epochs=40, random_state=0).fit(X, y)
    >>> classifier.predict_proba(X[:1]).argmax(), classifier.n_features_in_
    (np.int64(0), 4)
    """

    classes_: Array
    _metrics = ("accuracy",)

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
        class_weight: Any = None,
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
        super().__init__(
            model,
            input_shape=input_shape,
            epochs=epochs,
            batch_size=batch_size,
            optimizer=optimizer,
            learning_rate=learning_rate,
            loss=loss,
            early_stopping=early_stopping,
            patience=patience,
            validation_fraction=validation_fraction,
            augment=augment,
            callbacks=callbacks,
            threads=threads,
            memory_limit=memory_limit,
            verbose=verbose,
            random_state=random_state,
        )
        self.class_weight = class_weight

    @unchanged_by_errors
    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> CNNClassifier:
        """Train a new network.

        Parameters
        ----------
        X : array-like (N, features) or (N, C, H, W)
        y : array-like (N,)
            The class of each row: numbers or text.
        sample_weight : array-like (N,), optional
            What each row counts, times what its class does.

        Returns
        -------
        CNNClassifier
            Itself; after an error it is as it was before the call.
        """
        X, y = self._rows(X, y, reset=True)
        classes, labels = np.unique(y, return_inverse=True)
        if len(classes) < 2:
            self._refuse_one(classes)
        net = self._new_network(X, len(classes))
        weights = {
            "class_weight": self._class_weights(classes),
            "sample_weight": self._weights(sample_weight),
        }
        self._learn_anew(net, X, labels, **weights)
        self.classes_ = classes
        return self

    @unchanged_by_errors
    def partial_fit(
        self, X: Any, y: Any, classes: Any = None, sample_weight: Any = None
    ) -> CNNClassifier:
        """Train for one epoch on some rows; the network, and its optimizer, go on from before.

        Parameters
        ----------
        X, y, sample_weight
            As of `fit`.
        classes : array-like (K,), optional
            All labels that there will ever be; the first call needs it.

        Returns
        -------
        CNNClassifier
            Itself.
        """
        name, first = type(self).__name__, not hasattr(self, "net_")
        if first and classes is None:
            rule = "must be given in the first call of partial_fit"
            raise ArgumentError(name, "classes", rule, None, "classes=np.unique(all_y)")
        X, y = self._rows(X, y, reset=first)
        given = None if classes is None else self._labels(classes)
        known = self.classes_ if given is None or not first else given
        if not first and given is not None and not np.array_equal(given, known):
            rule = f"must be those of the call before, {shorten(known.tolist())}"
            raise ArgumentError(name, "classes", rule, given.tolist())
        if len(known) < 2:
            self._refuse_one(known)
        unknown = np.setdiff1d(y, known)
        if len(unknown):
            rule = f"must hold classes of {shorten(known.tolist())}"
            raise ArgumentError(name, "y", rule, unknown[0].item())
        if isinstance(self.class_weight, str):
            rule = "must be a dict or an array for partial_fit, which has not seen all rows"
            raise ArgumentError(name, "class_weight", rule, self.class_weight)
        net = self._new_network(X, len(known)) if first else self.net_
        weights = {
            "class_weight": self._class_weights(known),
            "sample_weight": self._weights(sample_weight),
        }
        self._learn_on(net, X, np.searchsorted(known, y), **weights)
        self.classes_ = known
        return self

    def predict(self, X: Any) -> Array:
        """Return the most probable class of each row, (N,)."""
        places = self.predict_proba(X).argmax(axis=1)
        found: Array = self.classes_[places]
        return found

    def predict_proba(self, X: Any) -> Array:
        """Return the probabilities of the classes `classes_` as float64, (N, K)."""
        outputs = self._outputs(X).astype(np.float64)
        return outputs if self._gives_probabilities(self.net_) else softmax(outputs)

    def _rows(self, X: Any, y: Any, *, reset: bool) -> tuple[Array, Array]:
        X, y = self._checked(X, y, reset=reset)
        y = column_or_1d(y, warn=True)
        check_classification_targets(y)
        return X, y

    def _labels(self, classes: Any) -> Array:
        """Return all labels that there will be, sorted."""
        try:
            found: Array = np.unique(classes)
        except (TypeError, ValueError):  # such as text beside numbers, or lists of unequal lengths
            rule = "must be labels of one kind, numbers or text"
            raise ArgumentTypeError(type(self).__name__, "classes", rule, classes) from None
        if found.size and found[-1] != found[-1]:  # NaN is sorted to the end
            raise ArgumentError(type(self).__name__, "classes", "must not be NaN", found[-1].item())
        return found

    def _refuse_one(self, classes: Array) -> None:
        shown = f"1 class, {shorten(classes.tolist()[0])}" if len(classes) else "none"
        rule = "must hold at least 2 classes"
        raise ArgumentError(type(self).__name__, "y", rule, len(classes), shown=shown)

    def _class_weights(self, classes: Array) -> Any:
        """Return `class_weight` for `Model.fit`, which knows classes by their places."""
        given = self.class_weight
        if not isinstance(given, Mapping):
            return given
        places = {label: place for place, label in enumerate(classes.tolist())}
        unknown = [label for label in given if label not in places]
        if unknown and not places.keys() <= given.keys():
            rule = f"must name classes of {shorten(classes.tolist())}"
            raise ArgumentError(type(self).__name__, "class_weight", rule, unknown[0])
        return {place: given[label] for label, place in places.items() if label in given}

    def _gives_probabilities(self, net: Model) -> bool:
        return net.output_answers()[0].kind == "probabilities"

    def _usual_loss(self, net: Model) -> str:
        """Return the cross-entropy of what the network ends in."""
        return "cross_entropy" if self._gives_probabilities(net) else "softmax_cross_entropy"
