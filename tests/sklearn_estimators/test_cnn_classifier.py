"""`CNNClassifier`: labels, shapes, weights, early stopping, and what decides about the bits."""

from __future__ import annotations

import copy
import warnings

import numpy as np
import pytest
from fitted import weights_of
from sklearn.exceptions import NotFittedError
from sklearn.utils import compute_class_weight

import fastconv
from fastconv.errors import (
    ArgumentError,
    ArgumentTypeError,
    DataWarning,
    MemoryLimitError,
    ShapeError,
)
from fastconv.sklearn import CNNClassifier

LINEAR = ["Flatten", ("Dense", {"units": 2})]


@pytest.mark.parametrize("labels", ["words", "numbers", "truths", "objects"])
def test_labels_of_any_kind(images, labels):
    x, words = images
    y = {
        "words": words,
        "numbers": np.where(words == "lies", -7, 40),
        "truths": words == "lies",
        "objects": words.astype(object),
    }[labels]
    classifier = CNNClassifier(epochs=12, random_state=0).fit(x[:200], y[:200])
    assert classifier.classes_.tolist() == sorted(set(y.tolist()))
    found = classifier.predict(x[200:])
    assert found.dtype == np.asarray(y).dtype and set(found) <= set(y)
    assert classifier.score(x[200:], y[200:]) > 0.9
    shares = classifier.predict_proba(x[200:])
    assert shares.shape == (40, 2) and shares.dtype == np.float64
    np.testing.assert_allclose(shares.sum(axis=1), 1, rtol=1e-12)
    np.testing.assert_array_equal(classifier.classes_[shares.argmax(axis=1)], found)


def test_what_is_known_after_fit(images):
    x, y = images
    classifier = CNNClassifier(epochs=2, random_state=0)
    assert classifier.fit(x, y) is classifier
    assert classifier.n_features_in_ == 36
    assert isinstance(classifier.net_, fastconv.Model)
    assert classifier.net_.output_specs()[0].shape == (2,)
    history = classifier.history_.history
    assert set(history) == {"loss", "accuracy"} and len(history["loss"]) == 2
    with pytest.raises(NotFittedError):
        CNNClassifier().predict(x)


def test_two_axes_are_folded_to_the_same_bits(images):
    x, y = images
    flat = x.reshape(len(x), -1)
    whole = CNNClassifier(epochs=2, random_state=0).fit(x, y)
    folded = CNNClassifier(epochs=2, random_state=0, input_shape=(1, 6, 6)).fit(flat, y)
    assert weights_of(whole) == weights_of(folded)
    for given in (x, flat, x[::-1][::-1], x.astype(np.float64), x.tolist()):
        np.testing.assert_array_equal(whole.predict_proba(given), folded.predict_proba(flat))


def test_without_an_input_shape_rows_are_features_or_maps(images):
    x, y = images
    kinds = [
        [type(layer).__name__ for layer in CNNClassifier(epochs=1).fit(given, y).net_.layers]
        for given in (x.reshape(len(x), -1), x)
    ]
    assert "Conv2D" not in kinds[0] and "Conv2D" in kinds[1]


@pytest.mark.parametrize(
    ("shape", "given", "said"),
    [
        ((36,), {"input_shape": (1, 5, 5)}, "as many columns as an example .* has numbers, 25"),
        ((6, 6), {}, r"input_shape must be given .* input_shape=\(1, 6, 6\)"),
        ((6, 6), {"input_shape": (1, 6, 6)}, r"add the channel: x\[:, None\]"),
        ((6, 6, 1), {}, r"X must be of shape \(N, C, H, W\).*X.transpose\(0, 3, 1, 2\)"),
        ((6, 6, 1), {"input_shape": (1, 6, 6)}, r"x.transpose\(0, 3, 1, 2\)"),
        ((1, 1, 6, 6), {}, "where model is None"),
        ((36,), {"input_shape": 36}, "input_shape must be"),
    ],
)
def test_a_shape_that_does_not_fit_is_told(images, shape, given, said):
    x, y = images
    with pytest.raises((ShapeError, ArgumentTypeError), match=said):
        CNNClassifier(epochs=1, **given).fit(x.reshape(len(x), *shape), y)


def test_numbers_of_other_dtypes(images):
    x, y = images
    bits = np.round(x > 0.5)
    expected = weights_of(CNNClassifier(epochs=1, random_state=0).fit(bits.astype(np.float32), y))
    for dtype in (bool, np.uint8, np.float16, np.float64, np.longdouble, np.int64):
        found = CNNClassifier(epochs=1, random_state=0).fit(bits.astype(dtype), y)
        assert weights_of(found) == expected, dtype


def test_random_state_decides_every_bit(images):
    x, y = images
    model = [("Dropout", {"rate": 0.3}), *LINEAR]

    def trained(**given):
        return weights_of(CNNClassifier(model, epochs=3, early_stopping=True, **given).fit(x, y))

    assert trained(random_state=3) == trained(random_state=3) == trained(random_state=3, threads=1)
    assert trained(random_state=3) != trained(random_state=4)
    assert trained(random_state=np.random.RandomState(3)) == trained(random_state=3)
    assert trained() != trained()


def test_fit_begins_anew_and_leaves_its_parameters(images):
    x, y = images
    layers = [fastconv.layers.Flatten(), fastconv.layers.Dense(2)]
    optimizer = fastconv.training.Momentum(0.05)
    classifier = CNNClassifier(layers, epochs=2, optimizer=optimizer, random_state=0)
    first = weights_of(classifier.fit(x, y))
    assert weights_of(classifier.fit(x, y)) == first
    assert not layers[1].params


def test_a_network_goes_on_from_its_weights(images):
    x, y = images
    net = fastconv.Sequential(LINEAR, (1, 6, 6), seed=5)
    before = copy.deepcopy(net.weights())
    still = CNNClassifier(net, epochs=1, optimizer="sgd", learning_rate=0.0, random_state=0)
    for key, array in still.fit(x, y).net_.weights().items():
        np.testing.assert_array_equal(array, before[key])
    CNNClassifier(net, epochs=1, random_state=0).fit(x, y)
    for key, array in net.weights().items():
        np.testing.assert_array_equal(array, before[key])


def test_probabilities_of_a_network_that_ends_in_softmax(images):
    x, y = images
    logits = CNNClassifier(LINEAR, epochs=3, random_state=0).fit(x, y)
    shares = CNNClassifier([*LINEAR, "Softmax"], epochs=3, random_state=0).fit(x, y)
    np.testing.assert_allclose(logits.predict_proba(x), shares.predict_proba(x), atol=1e-5)


def test_the_learning_rate_is_the_optimizers(images):
    x, y = images
    for optimizer in ("sgd", ("sgd", {"learning_rate": 1.0, "weight_decay": 0.1})):
        found = CNNClassifier(epochs=1, optimizer=optimizer, learning_rate=0.125).fit(x, y)
        assert found.net_.compiled.optimizer.learning_rate == 0.125
    assert found.net_.compiled.optimizer.weight_decay == 0.1
    with pytest.raises(ArgumentError, match="learning_rate must be None where optimizer is an obj"):
        CNNClassifier(optimizer=fastconv.training.SGD(), learning_rate=0.1).fit(x, y)


def test_early_stopping_holds_out_a_share_of_every_class_and_takes_the_best(images):
    x, y = images
    y = np.where(np.arange(240) < 200, "often", y)
    held = []

    def look(run, epoch, figures):
        held.append(figures["val_loss"])

    classifier = CNNClassifier(
        ["Flatten", ("Dense", {"units": 3})],
        epochs=60,
        learning_rate=0.3,
        early_stopping=True,
        patience=2,
        validation_fraction=0.25,
        callbacks=[look],
        random_state=0,
    ).fit(x, y)
    losses = classifier.history_.history["val_loss"]
    assert losses == held and len(losses) < 60
    assert len(losses) == 3 + int(np.argmin(losses))
    seed = classifier.net_.seed
    labels = np.unique(y, return_inverse=True)[1]
    rows = fastconv.data.stratified_split(labels, 0.25, seed)[1]
    assert set(labels[rows]) == {0, 1, 2}
    measured = classifier.net_.evaluate(x[rows], labels[rows])["loss"]
    assert measured == pytest.approx(min(losses), rel=1e-5)


def test_class_weights_by_label(images):
    x, y = images
    rare = np.concatenate([np.flatnonzero(y == "lies"), np.flatnonzero(y == "stands")[:9]])
    x, y = x[rare], y[rare]
    count = compute_class_weight("balanced", classes=np.unique(y), y=y)
    by_label = dict(zip(["lies", "stands"], count.tolist(), strict=True))
    found = [
        weights_of(CNNClassifier(LINEAR, epochs=2, random_state=0, class_weight=given).fit(x, y))
        for given in ("balanced", by_label, count, {"stands": count[1] / count[0]}, None)
    ]
    assert found[0] == found[1] == found[2]
    assert found[3] != found[4] != found[0]
    extreme = CNNClassifier(LINEAR, class_weight={"stands": 1e4}, random_state=0).fit(x, y)
    assert (extreme.predict(x) == "stands").mean() > 0.8
    with pytest.raises(ArgumentError, match="class_weight must name classes of .*'stand'"):
        CNNClassifier(class_weight={"stand": 2}).fit(x, y)


def test_a_weight_counts_as_so_many_rows(images):
    """Where all rows are one batch, which needs no order."""
    x, y = images[0][:20].astype(np.float64), images[1][:20]
    times = np.arange(20) % 4
    net = fastconv.Sequential(LINEAR, (1, 6, 6), dtype="float64", seed=0)
    settings = {"epochs": 30, "batch_size": 100, "random_state": 0}
    weighted = CNNClassifier(net, **settings).fit(x, y, sample_weight=times)
    repeated = CNNClassifier(net, **settings).fit(x.repeat(times, 0), y.repeat(times))
    np.testing.assert_allclose(weighted.predict_proba(x), repeated.predict_proba(x), rtol=1e-7)
    plain = CNNClassifier(net, **settings).fit(x, y)
    assert not np.allclose(weighted.predict_proba(x), plain.predict_proba(x), rtol=1e-3)


@pytest.mark.parametrize(
    ("weights", "said"),
    [
        (np.zeros(240), "must not be zero for every row"),
        (np.ones(239), "must be one number for each row"),
        (-np.ones(240), "at least 0"),
    ],
)
def test_wrong_weights_of_rows_are_told(images, weights, said):
    with pytest.raises(ArgumentError, match=f"sample_weight {said}|sample_weight .*{said}"):
        CNNClassifier(epochs=1).fit(*images, sample_weight=weights)


def test_weights_that_are_no_array_are_told(images):
    with pytest.raises(ArgumentTypeError, match="^CNNClassifier: sample_weight must be an array"):
        CNNClassifier(epochs=1).fit(*images, sample_weight=[[1], [1, 2]])


@pytest.mark.parametrize("state", [-1, 2**32, 1.5, "zero", [1], np.random.default_rng(0)])
def test_a_wrong_random_state_is_told(images, state):
    with pytest.raises(ArgumentError, match="^CNNClassifier: random_state must be None, an int"):
        CNNClassifier(epochs=1, random_state=state).fit(*images)


def test_one_class_is_told(images):
    with pytest.raises(ArgumentError, match="y must hold at least 2 classes, got 1 class, 'a'"):
        CNNClassifier().fit(images[0], ["a"] * 240)


def test_parameters_of_fit_are_told_by_their_names_here(images):
    with pytest.raises(ArgumentError, match="^CNNClassifier: validation_fraction must be"):
        CNNClassifier(early_stopping=True, validation_fraction=2.0).fit(*images)
    with pytest.raises(ArgumentError, match="^fit: epochs must be at least 1, got 0"):
        CNNClassifier(epochs=0).fit(*images)
    with pytest.raises(ArgumentError, match="^CNNClassifier: threads must be"):
        CNNClassifier(threads=0).fit(*images)


def test_memory_is_limited(images):
    x, y = images
    with pytest.raises(MemoryLimitError):
        CNNClassifier(memory_limit=100).fit(x, y)
    classifier = CNNClassifier(epochs=1, random_state=0).fit(x, y)
    plenty = classifier.predict_proba(x)
    limited = classifier.set_params(memory_limit="30 kB", batch_size=240)
    np.testing.assert_allclose(limited.predict_proba(x), plenty, rtol=1e-5)
    with pytest.raises(MemoryLimitError):
        limited.set_params(memory_limit=100).predict(x)


def test_batches_are_augmented(images):
    x, y = images
    seen = []

    def augment(rng, x, y):
        seen.append(set(y.tolist()))
        return x + 0, y

    CNNClassifier(epochs=1, augment=augment).fit(x, y)
    assert len(seen) == 8 and seen[0] == {0, 1}
    CNNClassifier(epochs=1, augment=fastconv.data.shift(1)).fit(x, y)


@pytest.mark.parametrize("channels", [1, 3])
def test_an_input_shape_with_its_channels_last_says_so(images, channels):
    x, y = images
    flat = np.repeat(x.reshape(len(x), -1), channels, axis=1)[:60]
    side = int((flat.shape[1] / channels) ** 0.5)
    columns = side * side * channels
    last = CNNClassifier(input_shape=(side, side, channels), epochs=1, random_state=0)
    with pytest.warns(DataWarning, match=rf"input_shape=\({channels}, {side}, {side}\)") as told:
        last.fit(flat[:, :columns], y[:60])
    assert ("transpose(0, 3, 1, 2)" in str(told[0].message)) == (channels > 1)


def test_a_square_input_shape_of_two_axes_is_read_as_signals_and_says_so(images):
    x, y = images
    flat = x.reshape(len(x), -1)
    side = int(flat.shape[1] ** 0.5)
    square = CNNClassifier(input_shape=(side, side), epochs=1, random_state=0)
    with pytest.warns(DataWarning, match=rf"write input_shape=\(1, {side}, {side}\)") as told:
        square.fit(flat[:60, : side * side], y[:60])
    assert told[0].filename == __file__
    for shape, model in (
        ((1, side, side), None),
        ((2, side * side // 2), None),
        ((side,) * 2, LINEAR),
    ):
        numbers = int(np.prod(shape))
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            CNNClassifier(model, input_shape=shape, epochs=1).fit(flat[:60, :numbers], y[:60])
