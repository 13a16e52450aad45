"""Answers that do not fit are refused with a remedy, and the remedy is one."""

from __future__ import annotations

import re

import numpy as np
import pytest

import fastconv
from fastconv import registry
from fastconv.errors import ArgumentError, ArgumentTypeError, FastconvError, ShapeError
from fastconv.training import loop
from fastconv.training.labels import are_labels, check_values

N = 12
LABELS = np.arange(N) % 3
ONE_HOT = np.eye(3)[LABELS]


def remedied(remedy: str, x, y):
    """Do what the remedy says."""
    text = re.split("take |first: |them: |out: ", remedy)[-1]
    names = {"np": np, "x": x, "y": y}
    exec(text if re.match(r"[\w, ]+ = ", text) else f"y = {text}", names)
    return names["x"], names["y"]


CLASSES = {
    "a column": (LABELS[:, None], "take y.ravel()"),
    "a column of a list": (LABELS[:, None].tolist(), "take np.asarray(y).ravel()"),
    "a row a label": (LABELS[:, None, None], "take y.ravel()"),
    "floats": (LABELS.astype(float), "take y.astype(int)"),
    "a list of floats": (LABELS.astype(float).tolist(), "take np.asarray(y).astype(int)"),
    "a column of floats": (LABELS[:, None].astype("f4"), "take y.ravel().astype(int)"),
    "True and False": (LABELS > 0, "take y.astype(int)"),
    "texts": (
        np.array(["cat", "dog", "eel"])[LABELS],
        "number them: names, y = np.unique(y, return_inverse=True)",
    ),
    "a list of texts": (
        np.array(["cat", "dog", "eel"])[LABELS].tolist(),
        "number them: names, y = np.unique(np.asarray(y), return_inverse=True)",
    ),
    "a column of texts": (
        np.array(["cat", "dog", "eel"])[LABELS][:, None],
        "number them: names, y = np.unique(y.ravel(), return_inverse=True)",
    ),
    "objects": (
        np.array(["cat", "dog"], object)[LABELS % 2],
        "number them: names, y = np.unique(y, return_inverse=True)",
    ),
    "numbers as texts": (LABELS.astype(str), "take y.astype(int)"),
    "floats as texts": (LABELS.astype(float).astype(str), "take y.astype(float).astype(int)"),
    "numbers as objects": (LABELS.astype(object), "take y.astype(int)"),
    "from 1": (LABELS + 1, "take y - 1"),
    "from 1 in floats": (LABELS + 1.0, "take y.astype(int) - 1"),
    "from 1 in a column": ((LABELS + 1)[:, None], "take y.ravel() - 1"),
    "from 1 in bytes": ((LABELS + 1).astype("u1"), "take y - 1"),
    "minus 1, 0 and 1": (LABELS - 1, "number them: names, y = np.unique(y, return_inverse=True)"),
    "minus 1 for none": (
        np.arange(N) % 4 - 1,
        "leave the rows without a class out: x, y = x[y >= 0], y[y >= 0]",
    ),
    "far apart": (LABELS * 10, "number them: names, y = np.unique(y, return_inverse=True)"),
    "one-hot behind an axis": (ONE_HOT[:, None], None),
}


def wrong(case):
    y, remedy = CLASSES[case]
    return y, remedy


@pytest.mark.parametrize("name", ["softmax_cross_entropy", "cross_entropy", "accuracy"])
@pytest.mark.parametrize("case", CLASSES)
def test_each_remedy_of_classes_works(case, name):
    y, remedy = wrong(case)
    where = registry.metrics if name == "accuracy" else registry.losses
    use = registry.create(where, name, {"k": 1} if name == "top_k" else {}, "test")
    outputs = np.full((N, 3), 1 / 3)
    with pytest.raises(FastconvError) as caught:
        use(outputs, y)
    assert caught.value.operation == name
    if remedy is None:
        return
    assert caught.value.remedy == remedy
    outputs, y = remedied(caught.value.remedy, outputs, y)
    use(outputs, y)


@pytest.mark.parametrize("how", ["fit", "evaluate", "train_on_batch", "validation"])
@pytest.mark.parametrize("case", CLASSES)
def test_and_in_every_method(case, how):
    y, remedy = wrong(case)
    net = fastconv.Sequential([("Dense", {"units": 3})], (4,), seed=0)
    net.compile("sgd", "softmax_cross_entropy", "accuracy")
    x = np.ones((N, 4))

    def call(x, y):
        if how == "validation":
            return net.fit(x[:3], LABELS[:3], validation_data=(x, y), epochs=1, verbose=0)
        settings = {"epochs": 1, "verbose": 0} if how == "fit" else {}
        return getattr(net, how)(x, y, **settings)

    before = net.weights()
    with pytest.raises(FastconvError) as caught:
        call(x, y)
    after = net.weights()
    assert all(np.array_equal(before[key], after[key]) for key in before)
    if remedy is not None:
        assert caught.value.remedy == remedy
        call(*remedied(remedy, x, y))


PIXELS = np.arange(2 * 4 * 5).reshape(2, 4, 5) % 3


@pytest.mark.parametrize(
    ("y", "remedy"),
    [
        (PIXELS[:, None], "take y[:, 0]"),
        (PIXELS[..., None], "take y[..., 0]"),
        (np.eye(3)[PIXELS], "take y.argmax(-1)"),
        (PIXELS + 1, "take y - 1"),
        (PIXELS.astype(float), "take y.astype(int)"),
        (np.moveaxis(np.eye(2)[PIXELS % 2], -1, 1), "take y.argmax(1)"),
    ],
)
def test_each_remedy_of_pixels_works(y, remedy):
    with pytest.raises(FastconvError) as caught:
        are_labels("loss", (2, 3, 4, 5), y)
    assert caught.value.remedy == remedy
    _, y = remedied(remedy, None, y)
    assert are_labels("loss", (2, 3, 4, 5), y)


@pytest.mark.parametrize(
    ("y", "rule", "remedy"),
    [
        (np.eye(2)[LABELS % 2], "", "take y.argmax(1)"),  # one-hot of fewer classes
        (np.eye(5)[LABELS + 1], "", "or give the last layer 5 outputs"),
        (np.arange(N), "must be 0 to 2", "or give the last layer 12 outputs"),
        (LABELS + 0.5, "must be integers", 'take loss="mean_squared_error"'),
        (np.where(LABELS, LABELS, np.nan), "must be integers", "leave out the rows without"),
        (np.array([None, 1, 2] * 4), "must be integers", ""),
        (np.full((N, 2), 0.3), "must be labels of shape", ""),
        (np.zeros((N, 3, 3)), "must be labels of shape", ""),
        (LABELS.astype("M8[D]"), "must be integers", ""),
        (LABELS + 1j, "must be integers", ""),
        (np.arange(N) - 20, "must be 0 to 2", ""),
    ],
)
def test_where_nothing_simple_helps_none_is_offered(y, rule, remedy):
    with pytest.raises(FastconvError) as caught:
        are_labels("loss", (N, 3), y)
    assert rule in caught.value.rule
    assert remedy in caught.value.remedy and bool(remedy) == bool(caught.value.remedy)


VALUES = np.linspace(0, 1, N)


@pytest.mark.parametrize("how", ["loss", "metric", "fit"])
@pytest.mark.parametrize(
    ("y", "shape", "remedy"),
    [
        (VALUES, (1,), "take y[:, None]"),
        (VALUES.tolist(), (1,), "take np.asarray(y)[:, None]"),
        (np.zeros((N, 4, 5)), (1, 4, 5), "take y[:, None]"),
        (np.zeros((N, 4, 5, 2)), (2, 4, 5), "take y.transpose(0, 3, 1, 2)"),
        (np.zeros((N, 2)), (2, 1, 1), "take y.reshape(-1, 2, 1, 1)"),
        (LABELS, (3,), "labels must be made one-hot first: y = np.eye(3)[y]"),
        (LABELS.tolist(), (3,), "labels must be made one-hot first: y = np.eye(3)[y]"),
        (VALUES[:, None].astype(str), (1,), "take y.astype(float)"),
        (VALUES.astype(str), (1,), "take y.astype(float)[:, None]"),
        (VALUES.astype(object), (1,), "take y.astype(float)[:, None]"),
        (VALUES.astype(str).tolist(), (1,), "take np.asarray(y).astype(float)[:, None]"),
        (
            tuple(LABELS.tolist()),
            (3,),
            "labels must be made one-hot first: y = np.eye(3)[np.asarray(y)]",
        ),
    ],
)
def test_each_remedy_of_values_works(y, shape, remedy, how):
    outputs = np.zeros((N, *shape))
    net = fastconv.Sequential(["Tanh"], shape)
    net.compile("sgd", "mean_squared_error", "mean_absolute_error")
    use = {
        "loss": registry.create(registry.losses, "mean_squared_error", {}, "test"),
        "metric": registry.create(registry.metrics, "mean_absolute_error", {}, "test"),
        "fit": lambda x, y: net.fit(x, y, epochs=1, verbose=0),
    }[how]
    with pytest.raises(FastconvError) as caught:
        use(outputs, y)
    assert caught.value.remedy == remedy
    use(*remedied(remedy, outputs, y))


def test_values_that_fit_in_no_way():
    none = np.array([None, *range(N - 1)])  # which would become NaN
    for y, error in (
        (np.zeros((N, 7)), ShapeError),
        (np.full((N, 1), "a"), ArgumentTypeError),
        (np.full(N, "a"), ArgumentTypeError),
        (none, ArgumentTypeError),
        (np.full((N, 7), "1"), ArgumentTypeError),
        (LABELS.astype("M8[D]"), ArgumentTypeError),
    ):
        with pytest.raises(error) as caught:
            check_values("loss", (N, 1), y)
        assert not caught.value.remedy


@pytest.mark.filterwarnings("ignore::PendingDeprecationWarning")
def test_a_matrix_has_methods_of_its_own():
    net = fastconv.Sequential([("Dense", {"units": 3})], (4,))
    net.compile("sgd", "softmax_cross_entropy")
    x, y = np.zeros((N, 4)), np.matrix(LABELS[:, None])
    with pytest.raises(ShapeError, match=r"take np.asarray\(y\).ravel\(\)"):
        net.train_on_batch(x, y)
    net.train_on_batch(x, np.asarray(y).ravel())


@pytest.mark.parametrize("name", ["softmax_cross_entropy", "cross_entropy", "accuracy"])
@pytest.mark.parametrize("wrong", [-0.5, np.nan, np.inf, -np.inf])
def test_shares_are_finite_and_at_least_0(name, wrong):
    where = registry.metrics if name == "accuracy" else registry.losses
    use = registry.create(where, name, {"k": 1} if name == "top_k" else {}, "test")
    shares = np.full((4, 3), 1 / 3)
    use(shares, shares)
    shares[2, 1] = wrong
    with pytest.raises(ArgumentError, match="shares that are finite and at least 0, got") as caught:
        use(np.full((4, 3), 1 / 3), shares)
    assert str(float(wrong)) in str(caught.value)


def test_rows_in_the_place_of_columns(linear):
    model = linear()
    loop.compile(model, "sgd", "softmax_cross_entropy")
    with pytest.raises(ShapeError, match=r"as many rows as x, 12, got shape \(3, 12\); take y.T"):
        loop.fit(model, np.zeros((N, 4)), ONE_HOT.T)
    for y in (LABELS[None], (LABELS,), [LABELS.tolist()]):
        with pytest.raises(ShapeError, match=r"got shape \(1, 12\); take y\[0\]"):
            loop.fit(model, np.zeros((N, 4)), y)
        loop.fit(model, np.zeros((N, 4)), y[0], epochs=1, verbose=0)
    with pytest.raises(ShapeError, match=r"got shape \(3, 12\); take np.asarray\(y\).T"):
        loop.fit(model, np.zeros((N, 4)), ONE_HOT.T.tolist())


@pytest.mark.parametrize("name", ["softmax_cross_entropy", "cross_entropy", "accuracy"])
def test_one_output_is_no_choice_of_classes(name):
    where = registry.metrics if name == "accuracy" else registry.losses
    use = registry.create(where, name, {"k": 1} if name == "top_k" else {}, "test")
    for y in (np.zeros(4, int), np.ones((4, 1))):
        with pytest.raises(ShapeError, match="at least 2 classes on axis 1.*end in 2 units"):
            use(np.ones((4, 1)), y)


@pytest.mark.parametrize("name", registry.losses.names() + registry.metrics.names())
def test_outputs_may_be_lists_and_whole_numbers(name):
    where = registry.losses if name in registry.losses.names() else registry.metrics
    use = registry.create(where, name, {"k": 1} if name == "top_k" else {}, "test")
    outputs, targets = [[0, 1], [1, 0]], [[0.0, 1.0], [0.5, 0.5]]
    found = use(outputs, targets)
    np.testing.assert_array_equal(found, use(np.array(outputs, float), np.array(targets)))
    for bad in (np.ones((2, 2), np.float16), np.ones((2, 2), complex), "abc", None):
        with pytest.raises(ArgumentTypeError, match=f"{name}: outputs must be"):
            use(bad, targets)


def test_of_several_outputs_the_one_is_named_whose_targets_are_wrong():
    x = fastconv.Input((4,))
    outputs = [fastconv.create_layer("Dense", units=units)(x) for units in (3, 1)]
    net = fastconv.Model(x, outputs)
    net.compile("sgd", ["softmax_cross_entropy", "mean_squared_error"])
    zeros = np.zeros((N, 4))
    y = [LABELS, VALUES]
    with pytest.raises(ShapeError, match=r"y\[1\]: mean_squared_error: .*; take y\[:, None\]"):
        net.train_on_batch(zeros, tuple(y))
    y[1] = VALUES[:, None]
    with pytest.raises(ArgumentTypeError, match=r"y\[0\]: softmax_cross_entropy: labels must be"):
        net.train_on_batch(zeros, (LABELS.astype(float).tolist(), y[1]))
    net.train_on_batch(zeros, tuple(y))
