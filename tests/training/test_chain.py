"""Callbacks begin and end together, and no error hides another."""

from __future__ import annotations

import functools
import inspect

import numpy as np
import pytest

from fastconv.errors import ArgumentTypeError
from fastconv.training import Callback, History, loop
from fastconv.training.chain import as_callbacks


class Seen(Callback):
    """Writes down what it sees, and fails where it is told to."""

    def __init__(self, log, name, **failures):
        self.log, self.name, self.failures = log, name, failures

    def _seen(self, what):
        self.log.append(f"{self.name} {what}")
        if what in self.failures:
            raise self.failures[what]

    def on_fit_begin(self, run):
        self._seen("begin")

    def on_epoch_begin(self, run, epoch):
        self._seen("epoch")

    def on_batch_end(self, run, batch, figures):
        self._seen("batch")

    def on_epoch_end(self, run, epoch, figures):
        self._seen("epoch end")

    def on_fit_end(self, run):
        self._seen("end")


@pytest.fixture
def fit(linear, blobs):
    def run(callbacks, **settings):
        model = linear()
        loop.compile(model, "sgd", "softmax_cross_entropy")
        settings = {"epochs": 1, "verbose": 0, **settings}
        loop.fit(model, *blobs, callbacks=callbacks, **settings)
        return model

    return run


def test_only_those_that_began_are_ended(fit):
    log = []
    failing = Seen(log, "b", begin=KeyError("b"))
    ending = Seen(log, "a", end=IndexError("a"))
    with pytest.raises(KeyError) as caught:
        fit([ending, failing, Seen(log, "c")])
    assert log == ["a begin", "b begin", "a end"]
    assert caught.value.__notes__ == ["Seen.on_fit_end failed too: IndexError: a"]


def test_all_are_ended_and_the_first_error_is_raised(fit):
    log = []
    errors = [KeyError("a"), ValueError("b"), IndexError("d")]
    chain = [
        Seen(log, "a", end=errors[0]),
        Seen(log, "b", end=errors[1]),
        Seen(log, "c"),
        Seen(log, "d", end=errors[2]),
    ]
    with pytest.raises(KeyError) as caught:
        fit(chain)
    assert caught.value is errors[0]
    assert log[-4:] == ["a end", "b end", "c end", "d end"]
    assert caught.value.__notes__ == [
        "Seen.on_fit_end failed too: ValueError: b",
        "Seen.on_fit_end failed too: IndexError: d",
    ]


@pytest.mark.parametrize("where", ["epoch", "batch", "epoch end"])
def test_an_error_within_comes_before_those_of_the_end(where, fit):
    log, first = [], ZeroDivisionError("first")
    with pytest.raises(ZeroDivisionError) as caught:
        fit([Seen(log, "a", end=OSError("late")), Seen(log, "b", **{where: first})])
    assert caught.value is first
    assert first.__notes__ == ["Seen.on_fit_end failed too: OSError: late"]
    assert log[-2:] == ["a end", "b end"]


def test_an_interrupt_is_never_hidden(fit):
    log = []
    with pytest.raises(KeyboardInterrupt) as caught:
        fit([Seen(log, "a", end=OSError("x")), Seen(log, "b", batch=KeyboardInterrupt())])
    assert caught.value.__notes__ == ["Seen.on_fit_end failed too: OSError: x"]
    with pytest.raises(KeyboardInterrupt) as caught:
        fit([Seen(log, "a", end=KeyboardInterrupt()), Seen(log, "b", batch=OSError("y"))])
    assert caught.value.__notes__ == ["fit had failed before: OSError: y"]
    assert log[-1] == "b end"


def test_an_error_that_cannot_say_what_it_is(fit):
    class Mute(Exception):
        def __str__(self):
            raise RuntimeError

    with pytest.raises(KeyError) as caught:
        fit([Seen([], "a", end=KeyError("a")), Seen([], "b", end=Mute())])
    assert caught.value.__notes__ == ["Seen.on_fit_end failed too: Mute"]


@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError])
def test_the_history_outlives_errors(error, linear, blobs):
    model = linear()
    assert model.history is None
    loop.compile(model, "sgd", "softmax_cross_entropy")

    def stop(run, epoch, figures):
        if epoch == 2:
            raise error

    with pytest.raises(error):
        loop.fit(model, *blobs, epochs=9, verbose=0, callbacks=[stop])
    assert len(model.history.history["loss"]) == 3
    again = loop.fit(model, *blobs, epochs=2, verbose=0)
    assert model.history is again and len(again.history["loss"]) == 2


def test_functions_are_called_after_every_epoch(fit):
    seen = []

    class Object:
        def __call__(self, run, epoch, figures):
            seen.append(("object", epoch))

    def with_more(run, epoch, figures, name="partial"):
        seen.append((name, epoch))

    functions = [
        lambda run, epoch, figures: seen.append((sorted(figures), epoch)),
        Object(),
        functools.partial(with_more, name="part"),
        with_more,
    ]
    model = fit(functions, epochs=2)
    expected = [
        (name, epoch) for epoch in (0, 1) for name in (["loss"], "object", "part", "partial")
    ]
    assert seen == expected
    fit(lambda run, epoch, figures: setattr(run, "stop", True), epochs=5)
    stopped = fit(lambda run, epoch, figures: setattr(run, "stop", True), epochs=5)
    assert len(stopped.history.history["loss"]) == 1 < len(model.history.history["loss"])


class Duck:
    def on_epoch_end(self, run, epoch, figures):
        raise AssertionError


@pytest.mark.parametrize(
    ("callbacks", "words"),
    [
        ([Duck()], "callback must be a Callback.*got <.*Duck.*; derive its class from fastconv"),
        ([object()], "fit: callback must be a name"),
        ([np.ones(3)], "callback must be a Callback"),
        ([lambda epoch: 0], r"must take \(run, epoch, figures\), got .*lambda.* of \(epoch"),
        (lambda: 0, r"callback must take \(run, epoch, figures\)"),
        ([History], "got the class History; call it"),
        (History, "got the class History; call it"),
        ([None], "fit: callback must be a name"),
        ({"epoch_lines": {}}, "callbacks must be a list of names"),
        (7, "callbacks must be a list of names.*got 7"),
    ],
)
def test_what_is_no_callback_is_refused_before_training(callbacks, words, linear, blobs):
    model = linear()
    loop.compile(model, "sgd", "softmax_cross_entropy")
    with pytest.raises(ArgumentTypeError, match=words):
        loop.fit(model, *blobs, verbose=0, callbacks=callbacks)
    assert not model.steps and model.history is None


def test_one_alone_needs_no_list():
    assert as_callbacks(None) == []
    (only,) = as_callbacks(("history", {}))
    assert isinstance(only, History)
    assert as_callbacks(only) == [only] == as_callbacks(iter([only]))
    assert as_callbacks(print)[0].on_epoch_end is not None  # print takes anything


def test_a_history_of_ones_own_begins_anew(fit):
    mine = History()
    fit(mine, epochs=2)
    first = mine.history
    fit([mine], epochs=3)
    assert len(first["loss"]) == 2 and len(mine.history["loss"]) == 3


def test_a_function_of_c_that_tells_no_signature_is_tried():
    with pytest.raises(ValueError):
        inspect.signature(max)
    assert len(as_callbacks([max])) == 1
