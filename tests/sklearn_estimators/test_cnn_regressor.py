"""`CNNRegressor`: one number or several for each row."""

from __future__ import annotations

import numpy as np
import pytest

import fastconv
from fastconv.errors import ArgumentError, ShapeError
from fastconv.sklearn import CNNRegressor


@pytest.fixture
def brightness(rng):
    """240 pairs of maps, and how bright each of the two is."""
    y = rng.normal(size=(240, 2))
    x = y[:, :, None, None] + rng.normal(0.0, 0.3, (240, 2, 5, 5))
    return x.astype(np.float32), y


def test_numbers_are_learned(brightness):
    x, y = brightness
    one = CNNRegressor(epochs=12, random_state=0).fit(x[:200], y[:200, 0])
    assert one.score(x[200:], y[200:, 0]) > 0.8
    assert one.predict(x).shape == (240,) and one.predict(x).dtype == np.float64
    both = CNNRegressor(epochs=12, random_state=0).fit(x[:200], y[:200])
    assert both.score(x[200:], y[200:]) > 0.8
    assert both.predict(x).shape == (240, 2)
    column = CNNRegressor(epochs=1, random_state=0).fit(x, y[:, :1])
    assert column.predict(x).shape == (240, 1)


def test_early_stopping_holds_out_rows_from_anywhere(brightness):
    """Rows in order of y would have only the largest ones at the end."""
    x, y = brightness
    order = np.argsort(y[:, 0])
    x, y = x[order], y[order, 0]
    settings = {"epochs": 60, "early_stopping": True, "patience": 3, "validation_fraction": 0.25}
    regressor = CNNRegressor(learning_rate=0.01, random_state=0, **settings).fit(x, y)
    losses = regressor.history_.history["val_loss"]
    assert len(losses) == min(60, 4 + int(np.argmin(losses))) and min(losses) < 0.7
    rows = np.random.default_rng(regressor.net_.seed).permutation(240)[180:]
    measured = regressor.net_.evaluate(x[rows], y[rows, None])["loss"]
    assert measured == pytest.approx(min(losses), rel=1e-5)
    weights = np.ones(240)
    weighted = CNNRegressor(learning_rate=0.01, random_state=0, **settings)
    np.testing.assert_allclose(
        weighted.fit(x, y, sample_weight=weights).predict(x), regressor.predict(x), atol=1e-4
    )


def test_a_weight_counts_as_so_many_rows(brightness):
    x, y = brightness[0][:20].astype(np.float64), brightness[1][:20]
    times = np.arange(20) % 4
    layers = ["Flatten", ("Dense", {"units": 2})]
    net = fastconv.Sequential(layers, (2, 5, 5), dtype="float64", seed=0)
    settings = {"epochs": 30, "batch_size": 100, "random_state": 0}
    weighted = CNNRegressor(net, **settings).fit(x, y, sample_weight=times)
    repeated = CNNRegressor(net, **settings).fit(x.repeat(times, 0), y.repeat(times, 0))
    np.testing.assert_allclose(weighted.predict(x), repeated.predict(x), rtol=1e-6)
    plain = CNNRegressor(net, **settings).fit(x, y)
    assert not np.allclose(weighted.predict(x), plain.predict(x), rtol=1e-3)


def test_a_loss_of_numbers(brightness):
    x, y = brightness
    huber = ("huber", {"delta": 0.5})
    assert CNNRegressor(epochs=1, loss=huber).fit(x, y).net_.compiled.losses[0].delta == 0.5


def test_partial_fit_goes_on_as_fit_does(brightness):
    x, y = brightness
    whole = CNNRegressor(epochs=2, random_state=0).fit(x, y)
    parts = CNNRegressor(random_state=0).partial_fit(x, y).partial_fit(x, y)
    np.testing.assert_array_equal(parts.predict(x), whole.predict(x))
    with pytest.raises(ShapeError, match="y must have as many numbers a row"):
        parts.partial_fit(x, y[:, 0])
    with pytest.raises(ArgumentError, match="early_stopping must be False"):
        CNNRegressor(early_stopping=True).partial_fit(x, y)
