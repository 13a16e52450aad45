"""An estimator after a call that failed, and how many epochs it has learned."""

from __future__ import annotations

import numpy as np
import pytest
from fitted import weights_of
from sklearn.exceptions import NotFittedError

from fastconv.sklearn import CNNClassifier, CNNRegressor


def attributes(estimator) -> dict[str, object]:
    return {name: value for name, value in vars(estimator).items() if name.endswith("_")}


def stop(run, epoch, figures):
    raise KeyboardInterrupt


FAILING = {
    "the optimizer": {"optimizer": "no such"},
    "the network": {"model": "no such"},
    "an interrupt": {"callbacks": [stop]},
}


@pytest.mark.parametrize("why", FAILING)
@pytest.mark.parametrize("kind", [CNNClassifier, CNNRegressor])
def test_a_fit_that_fails_leaves_nothing(kind, why, images):
    x, words = images
    y = words == "lies"
    estimator = kind(epochs=1, random_state=0, **FAILING[why])
    with pytest.raises((ValueError, KeyboardInterrupt)):
        estimator.fit(x, y)
    assert attributes(estimator) == {}
    with pytest.raises(NotFittedError):
        estimator.predict(x)


@pytest.mark.parametrize("why", FAILING)
@pytest.mark.parametrize("kind", [CNNClassifier, CNNRegressor])
def test_a_fit_that_fails_leaves_what_was_there(kind, why, images):
    """The network that was there goes on, with the number of features that it takes."""
    x, words = images
    y = words == "lies"
    estimator = kind(epochs=2, random_state=0).fit(x, y)
    before, weights, said = attributes(estimator), weights_of(estimator), estimator.predict(x)
    estimator.set_params(**FAILING[why])
    with pytest.raises((ValueError, KeyboardInterrupt)):
        estimator.fit(x[:, :, :4], y)
    assert attributes(estimator) == before and weights_of(estimator) == weights
    np.testing.assert_array_equal(estimator.predict(x), said)
    assert estimator.set_params(callbacks=(), optimizer="adam", model=None).fit(x[:, :, :4], y)
    assert estimator.n_features_in_ == 24 and estimator.predict(x[:, :, :4]).shape == (240,)


@pytest.mark.parametrize("kind", [CNNClassifier, CNNRegressor])
def test_epochs_are_counted(kind, images):
    x, words = images
    y = words == "lies"
    more = {"classes": [False, True]} if kind is CNNClassifier else {}
    estimator = kind(epochs=3, random_state=0).fit(x, y)
    assert estimator.n_iter_ == 3
    assert estimator.partial_fit(x, y).n_iter_ == 4
    assert kind(random_state=0).partial_fit(x, y, **more).n_iter_ == 1
    early = kind(epochs=50, early_stopping=True, patience=1, learning_rate=0.0, random_state=0)
    assert early.fit(x, y).n_iter_ == len(early.history_.history["loss"]) == 2
