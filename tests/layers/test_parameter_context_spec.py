"""Parameter, Context and Spec by themselves."""

from __future__ import annotations

import threading

import numpy as np
import pytest

from fastconv import memory
from fastconv.errors import ArgumentError, ArgumentTypeError, ShapeError
from fastconv.layers import Context, Parameter, Spec
from fastconv.testing import assert_bits_equal


class Packed:
    def __init__(self, value):
        self.copy = value.copy()
        self.nbytes = value.nbytes


def test_a_parameter_owns_a_contiguous_copy():
    start = np.arange(6, dtype="float32").reshape(2, 3).T
    parameter = Parameter(start)
    assert parameter.value.flags.c_contiguous and not np.shares_memory(parameter.value, start)
    assert parameter.shape == (3, 2) and parameter.size == 6 and parameter.nbytes == 24


def test_every_change_makes_a_new_version_and_new_packed_forms():
    parameter = Parameter(np.zeros(3, "float32"))
    made = []

    def make(value):
        made.append(value.copy())
        return Packed(value)

    first = parameter.packed("a", make)
    assert parameter.packed("a", make) is first and parameter.packed("b", make) is not first
    assert parameter.packed_nbytes == 24 and len(made) == 2
    parameter.value[0] = 1
    parameter.bump()
    assert parameter.version == 1
    assert parameter.packed("a", make).copy.tolist() == [1, 0, 0]
    assert parameter.packed_nbytes == 12, "what is old is let go"
    parameter.assign([1, 2, 3])
    assert parameter.version == 2 and parameter.packed("a", make).copy.tolist() == [1, 2, 3]


def test_many_threads_make_a_packed_form_once():
    parameter = Parameter(np.zeros(3, "float32"))
    made, start = [], threading.Barrier(16)

    def make(value):
        made.append(1)
        return Packed(value)

    def use():
        start.wait()
        parameter.packed("a", make)

    threads = [threading.Thread(target=use) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == 1


def test_a_context_keeps_nothing_unless_backward_will_follow():
    for ctx in (Context(), Context(True), Context(True, needs=[False, False])):
        ctx.save(1, 2)
        assert ctx.saved == ()
    for ctx in (Context(needs=[False, True]), Context(needs_params={"bias"}),
                Context(needs_params=lambda name: name == "bias")):  # fmt: skip
        ctx.save(1, 2)
        assert ctx.saved == (1, 2)


def test_a_context_knows_what_is_needed():
    ctx = Context(needs=[False, True], needs_params={"bias"})
    assert [ctx.needs(i) for i in range(3)] == [False, True, False]
    assert ctx.needs_param("bias") and not ctx.needs_param("weight")
    ctx.add_grad("weight", np.ones(1))
    ctx.add_grad("bias", None)
    assert not ctx.grads
    first = np.ones(1)
    ctx.add_grad("bias", first)
    ctx.add_grad("bias", np.ones(1))
    assert ctx.grads["bias"] == [2] and first == [1]


def test_random_numbers_follow_from_the_key():
    draws = [Context(rng_key=key).rng.random(4) for key in ((1, 2, 3), (1, 2, 3), (1, 2, 4))]
    assert_bits_equal(draws[0], draws[1])
    assert (draws[0] != draws[2]).all()
    ctx = Context()
    assert ctx.rng is ctx.rng


def test_a_context_takes_memory_that_is_counted():
    ctx = Context()
    with memory.track() as used:
        assert ctx.empty((2, 3), "float32").shape == (2, 3)
        with ctx.workspace(1000) as raw:
            assert raw.dtype == np.uint8 and raw.nbytes == 1000
    assert used.workspace_peak >= 1000 and used.output == 24


@pytest.mark.parametrize(
    ("shape", "dtype", "error", "text"),
    [
        ((), "float32", ShapeError, "at least one axis"),
        ((0, 3), "float32", ArgumentError, "shape must be at least 1, got 0"),
        ((-1,), "float32", ArgumentError, "must be at least 1, got -1"),
        ((1.5,), "float32", ArgumentTypeError, "must be an integer, got 1.5"),
        ((True,), "float32", ArgumentTypeError, "must be an integer, got True"),
        ((10**40,), "float32", ArgumentError, "must be at most 2147483647"),
        (3, "float32", ArgumentTypeError, "must be a tuple of integers, got 3"),
        ("123", "float32", ArgumentTypeError, "must be a tuple of integers"),
        (None, "float32", ArgumentTypeError, "must be a tuple of integers, got None"),
        ((3,), "float16", ArgumentTypeError, "dtype must be 'float32' or 'float64', got 'float16'"),
        ((3,), int, ArgumentTypeError, "dtype must be"),
        ((3,), ["float32"], ArgumentTypeError, "dtype must be"),
    ],
    ids=repr,
)
def test_specs_are_checked(shape, dtype, error, text):
    with pytest.raises(error, match=text):
        Spec(shape, dtype)


def test_specs_are_plain():
    spec = Spec([np.int64(3), 4], np.float64)
    assert spec == Spec((3, 4), "float64") == Spec((3, 4), np.dtype("float64"))
    assert type(spec.shape[0]) is int and type(spec.dtype) is str
    assert spec.size == 12 and spec.nbytes == 96 and len({spec, Spec((3, 4))}) == 2


def test_an_array_is_no_dtype():
    with pytest.raises(ArgumentTypeError, match="Spec: dtype must be 'float32' or 'float64'"):
        Spec((3,), np.array(["float32", "float64"]))
