"""What a transform gives is what must fit the network, not what it was given."""

from __future__ import annotations

import threading

import numpy as np
import pytest

import fastconv
from fastconv.data import compose, crop, flip, noise, normalise, shift
from fastconv.data.transforms import Transform
from fastconv.errors import ArgumentError, ArgumentTypeError, MemoryLimitError, ShapeError

ROWS = 23


@pytest.fixture
def data():
    """Images larger than the network takes, and their classes."""
    rng = np.random.default_rng(2)
    return rng.standard_normal((ROWS, 1, 9, 7)).astype(np.float32), np.arange(ROWS) % 3


def network():
    layers = [("Conv2D", {"filters": 2, "kernel_size": 3}), "Flatten", ("Dense", {"units": 3})]
    net = fastconv.Sequential(layers, (1, 6, 6), seed=0)
    net.compile("sgd", "softmax_cross_entropy", "accuracy")
    return net


def fitted(x, y=None, **settings):
    net = network()
    settings = {"epochs": 2, "batch_size": 10, "verbose": 0, **settings}
    if y is None:
        del settings["batch_size"]
    net.fit(x, y, **settings)
    return {key: array.tobytes() for key, array in net.weights().items()}


class Read:
    """Rows that are read one by one."""

    def __init__(self, array):
        self.array = array

    def __len__(self):
        return len(self.array)

    def __getitem__(self, row):
        return self.array[row]


def corner(rng, x, y):
    return x[..., :6, :6], y


@pytest.mark.parametrize("limit", [None, "1 MB"])
@pytest.mark.parametrize("kind", [lambda x: x, Read], ids=["array", "read"])
def test_larger_images_are_cut_for_the_network(kind, limit, data):
    x, y = data
    wanted = fitted(x[..., :6, :6].copy(), y)
    assert fitted(kind(x), y, transform=corner, memory_limit=limit) == wanted
    moving = fitted(kind(x), y, transform=crop(6), memory_limit=limit)
    assert moving != wanted and moving == fitted(x, y, transform=crop(6))


def test_batches_of_an_iterable_are_cut_for_the_network(data):
    x, y = data
    parts = [(x[begin : begin + 10], y[begin : begin + 10]) for begin in (0, 10, 20)]
    wanted = fitted(x[..., :6, :6].copy(), y, shuffle=False)
    assert fitted(parts, transform=corner) == wanted


def test_several_inputs_and_answers_of_another_form(data):
    x, y = data
    left, right = fastconv.Input((2,)), fastconv.Input((3,))
    both = fastconv.create_layer("Concatenate", axis=1)(left, right)
    net = fastconv.Model((left, right), fastconv.create_layer("Dense", units=3)(both))
    net.compile("sgd", "softmax_cross_entropy")

    def made(rng, parts, names):
        first, second = parts
        return (first[:, :2], second.reshape(len(second), -1)[:, :3]), names[:, 0] - 10

    inputs = x.reshape(ROWS, -1), x
    net.fit(inputs, y[:, None] + 10, epochs=1, verbose=0, transform=made)
    assert np.isfinite(net.history.history["loss"][0])


def test_what_a_transform_gives_is_refused_before_the_first_step(data):
    x, y = data
    for transform, told in (
        (crop(5), r"fit: transform's x must have shape \(N, 1, 6, 6\), got \(10, 1, 5, 5\)"),
        (flip(), r"fit: transform's x must have shape \(N, 1, 6, 6\), got \(10, 1, 9, 7\)"),
    ):
        net = network()
        before = {key: array.copy() for key, array in net.weights().items()}
        with pytest.raises(ShapeError, match=told) as caught:
            net.fit(x, y, batch_size=10, verbose=0, transform=transform)
        assert caught.value.__notes__ == ["fit: this was batch 1 of epoch 1"]
        for key, array in net.weights().items():
            np.testing.assert_array_equal(array, before[key])
    with pytest.raises(ArgumentError, match=r"fit: transform's labels must be 0 to 2.*got 12"):
        fitted(x, y, transform=lambda rng, x, y: (x[..., :6, :6], y + 10))


def test_labels_are_checked_first_where_the_transform_leaves_them_alone(data):
    x, y = data
    y[-1] = 3
    seen = []

    def looked(rng, x, y):
        seen.append(len(x))
        return x, y

    for transform in (crop(6), compose(crop(6), noise(0.1)), compose(crop(6), flip())):
        with pytest.raises(ArgumentError, match="must be 0 to 2.*got 3") as caught:
            fitted(x, y, transform=transform)
        assert not hasattr(caught.value, "__notes__")
    with pytest.raises(ArgumentError, match="transform's labels must be 0 to 2.*got 3"):
        fitted(x, y, transform=compose(crop(6), looked), shuffle=False)
    assert seen == [10, 10, 3]


def test_which_transforms_leave_y_alone():
    assert all(each.keeps_y for each in (crop(2), flip(), shift(1), noise(1), normalise()))
    moving = crop(2, targets=True), flip(targets=True), shift(1, targets=True)
    assert not any(each.keeps_y for each in moving)
    assert compose(flip(), noise(1)).keeps_y and not compose(flip(), moving[0]).keeps_y
    assert not compose(flip(), lambda rng, x, y: (x, y)).keeps_y
    assert not Transform("own", {}, lambda rng, x, y: (x, y)).keeps_y
    with pytest.raises(ArgumentTypeError, match="Transform: keeps_y must be True or False"):
        Transform("own", {}, lambda rng, x, y: (x, y), keeps_y=1)


def test_rows_for_validation_must_fit_as_they_are(data):
    x, y = data
    small = x[..., :6, :6].copy()
    fitted(x, y, transform=crop(6), validation_data=(small, y))
    with pytest.raises(ShapeError, match="must have shape"):
        fitted(x, y, transform=crop(6), validation_data=(x, y))
    with pytest.raises(ShapeError, match="are not transformed: give validation_data"):
        fitted(x, y, transform=crop(6), validation_split=0.3)
    fitted(small, y, transform=crop(6, padding=1), validation_split=0.3)


def test_class_weights_go_by_the_labels_that_are_given(data):
    x, y = data

    def less(rng, x, y):
        return x[..., :6, :6], y - 10

    fitted(x, y + 10, transform=less)
    with pytest.raises(ArgumentError, match="labels must be 0 to 2"):
        fitted(x, y + 10, transform=less, class_weight={0: 2.0})


def test_a_limit_counts_what_a_transform_makes_ahead(data):
    x, y = data[0][..., :2, :2].copy(), data[1]
    names = set()

    def larger(rng, x, y):
        names.add(threading.current_thread().name)
        return np.tile(x, (1, 1, 3, 3)), y

    with pytest.raises(MemoryLimitError) as caught:
        fitted(x, y, transform=larger, memory_limit=1)
    least, row = caught.value.least, 4 * 2 * 2
    ahead = 10 * (row + 4 * 6 * 6)  # a batch as it is given, and what is made of it
    for limit, early in ((least, False), (least + ahead - 1, False), (least + ahead, True)):
        names.clear()
        fitted(x, y, transform=larger, memory_limit=limit)
        assert names == {"fastconv-ahead"} if early else "fastconv-ahead" not in names
