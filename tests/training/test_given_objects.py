"""Objects and functions of users that are not what `fit` and its likes can take."""

from __future__ import annotations

import functools
import inspect

import numpy as np
import pytest

import fastconv
from fastconv.batches import BATCH_SIZE
from fastconv.data import transforms
from fastconv.errors import ArgumentError, ArgumentTypeError
from fastconv.training.settings import TRANSFORMS

X = np.zeros((6, 4), np.float32)
Y = np.arange(6) % 2


def network(metrics=()):
    net = fastconv.Sequential([("Dense", {"units": 2})], (4,), seed=0)
    net.compile("sgd", "softmax_cross_entropy", metrics)
    return net


def batches():
    yield X, Y


CALLS = {
    "fit": lambda x, **more: network().fit(x, epochs=1, verbose=0, **more),
    "evaluate": lambda x, **more: network().evaluate(x, **more),
    "predict": lambda x, **more: network().predict(x, **more),
    "for inference": lambda x, **more: network().for_inference().predict(x, **more),
}


@pytest.mark.parametrize("name", CALLS)
@pytest.mark.parametrize("size", [100, 3], ids=["the usual", "another"])
def test_a_size_beside_batches_that_have_their_own_is_refused(name, size):
    CALLS[name](batches())
    rule = "batch_size must be left out where x is an iterable of batches.*got"
    with pytest.raises(ArgumentError, match=f"{rule} {size}"):
        CALLS[name](batches(), batch_size=size)
    CALLS[name](X, **({"y": Y} if name in ("fit", "evaluate") else {}), batch_size=size)


def test_a_size_serves_rows_for_validation_beside_batches():
    net = network(lambda outputs, targets: np.full(len(outputs), float(len(outputs))))
    net.fit(batches(), epochs=1, verbose=0, validation_data=(X, Y), batch_size=2)
    assert net.history.history["val_<lambda>"] == [2.0]
    assert net.history.history["<lambda>"] == [6.0]
    with pytest.raises(ArgumentError, match="batch_size must be left out"):
        net.fit(batches(), epochs=1, verbose=0, validation_data=batches(), batch_size=2)


def test_the_size_that_nobody_asked_for_reads_as_a_number():
    found = inspect.signature(fastconv.Model.fit).parameters["batch_size"].default
    assert found is BATCH_SIZE and repr(found) == "100" and found == 100


class Loader:
    def __iter__(self):
        return batches()


@pytest.mark.parametrize("name", CALLS)
def test_what_was_not_called_is_told_to_be(name):
    with pytest.raises(ArgumentTypeError, match=r"x must be an array.*function; call it: batches"):
        CALLS[name](batches)
    with pytest.raises(ArgumentTypeError, match=r"got type; call it: Loader\(\)"):
        CALLS[name](Loader)
    with pytest.raises(ArgumentTypeError, match=r"got partial; call it: batches\(\)"):
        CALLS[name](functools.partial(batches))
    with pytest.raises(ArgumentTypeError, match="got function; call it$"):
        CALLS[name](lambda: batches())


def test_validation_data_that_was_not_called():
    with pytest.raises(ArgumentTypeError, match=r"validation_data .*function; call it: batches"):
        CALLS["fit"](batches(), validation_data=batches)


class Says:
    """An object whose length is `count`."""

    def __init__(self, count):
        self.count = count

    def __len__(self):
        if isinstance(self.count, Exception):
            raise self.count
        return self.count


class Row(Says):
    def __getitem__(self, row):
        return X[row]


class Begins(Says):
    def __iter__(self):
        return batches()


COUNTS = [-1, "a", 2.5, None, 2**70]


@pytest.mark.parametrize("count", COUNTS, ids=map(repr, COUNTS))
def test_a_length_that_is_none(count):
    for name in ("fit", "evaluate"):
        with pytest.raises(ArgumentTypeError, match=f"{name}: x must have a __len__ .* got Row: "):
            CALLS[name](Row(count), y=Y)
    for call in CALLS.values():
        with pytest.raises(ArgumentTypeError, match="x must have a __len__ .* got Begins: "):
            call(Begins(count))
    with pytest.raises(ArgumentTypeError, match="fit: y must have a __len__ .* got Row: "):
        CALLS["fit"](X, y=Row(count))


class Iterates:
    def __init__(self, found):
        self.found = found

    def __iter__(self):
        if isinstance(self.found, Exception):
            raise self.found
        return self.found


@pytest.mark.parametrize("found", [3, None, [(X, Y)]], ids=["int", "None", "list"])
@pytest.mark.parametrize("name", CALLS)
def test_an_iterator_that_is_none(name, found):
    with pytest.raises(ArgumentTypeError, match="x must have an __iter__ .* got Iterates: "):
        CALLS[name](Iterates(found))


def test_what_the_code_of_an_object_raises_is_its_own():
    for error in (TypeError("mine"), ValueError("mine"), OverflowError("mine")):
        for given in (Iterates(error), Row(error)):
            with pytest.raises(type(error), match="^mine$") as caught:
                CALLS["fit"](given, **({"y": Y} if isinstance(given, Row) else {}))
            assert caught.value is error
    CALLS["fit"](Begins(TypeError("so loaders say that they do not know")))


def test_metrics_must_take_outputs_and_targets():
    for metric in (lambda outputs: outputs, lambda a, b, c: a, lambda *, a: a, len):
        with pytest.raises(ArgumentTypeError, match=r"compile: metric must take \(outputs, targ"):
            network([metric])
    for metric in (lambda a, b: a == b, lambda a, b, c=1: a == b, lambda *a: a, np.equal):
        network([metric])


def test_transforms_must_take_the_random_numbers_and_a_batch():
    names = set(transforms.__all__) - {"Transform"}
    assert set(TRANSFORMS) == names
    rule = r"must be a function \(rng, x, y\) -> \(x, y\), got"
    for given, told in (
        ("shift", f"str; fastconv.data has {', '.join(TRANSFORMS)}: write fastconv.data.shift"),
        (("shift", {"pixels": 1}), "tuple; fastconv.data has shift, "),
        (["flip"], "list; fastconv.data has shift, "),
        ([transforms.flip()], r"list; fastconv.data.compose\(\.\.\.\) makes one"),
        (transforms.shift, r".*; call it with its settings: shift\(\.\.\.\)"),
        (lambda x, y: (x, y), r"<function .* of \(x, y\)$"),
        (transforms.Transform, r"the class Transform; call it: Transform\(\)"),
        (3, "int$"),
    ):
        with pytest.raises(ArgumentTypeError, match=f"fit: transform {rule} {told}"):
            CALLS["fit"](X, y=Y, transform=given)
    for given, told in (
        (transforms.shift, r".*; call it with its settings: shift\(\.\.\.\)"),
        (lambda x: x, r"<function .* of \(x\)$"),
    ):
        with pytest.raises(ArgumentTypeError, match=rf"compose: transforms\[1\] {rule} {told}"):
            transforms.compose(transforms.flip(), given)
