"""Parameter, Context and Spec by themselves."""

from __future__ import annotations

import copy
import pickle
import threading

import numpy as np
import pytest

from fastconv import memory
from fastconv.errors import ArgumentError, ArgumentTypeError, FastconvError, ShapeError
from fastconv.layers import Context, Parameter, Spec
from fastconv.layers.parameter import assign_all, exclusively
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


def test_what_is_packed_while_the_value_changes_is_not_kept():
    parameter = Parameter(np.zeros(3, "float32"))

    def change():
        value = parameter.writable()
        value[0] = 1
        half = parameter.packed("a", Packed)  # as a signal handler or another thread may
        assert half.copy.tolist() == [1, 0, 0]
        value[1:] = 1
        assert parameter.packed("a", Packed).copy.tolist() == [1, 1, 1]
        assert parameter.packed_nbytes == 0
        return half

    old = parameter.packed("a", Packed)
    half = exclusively(change)
    new = parameter.packed("a", Packed)
    assert new.copy.tolist() == [1, 1, 1] and new is not half and new is not old
    assert parameter.packed("a", Packed) is new and parameter.version == 1


def test_what_was_begun_before_a_change_does_not_survive_it():
    parameter = Parameter(np.zeros(3, "float32"))

    def slowly(value):
        made = Packed(value)
        parameter.assign([1, 1, 1])
        return made

    assert parameter.packed("a", slowly).copy.tolist() == [0, 0, 0]
    assert parameter.packed("a", Packed).copy.tolist() == [1, 1, 1]


def test_an_interrupted_change_keeps_what_was_written_and_nothing_packed():
    parameter, kept = Parameter(np.zeros(3, "float32")), []

    def change():
        parameter.writable()[0] = 1
        raise KeyboardInterrupt

    for _ in range(2):
        parameter.packed("a", Packed)
        with pytest.raises(KeyboardInterrupt) as caught:
            exclusively(change)
        kept.append(caught)  # a traceback that is kept changes nothing
        new = parameter.packed("a", Packed)
        assert new.copy.tolist() == [1, 0, 0] and parameter.packed("a", Packed) is new
    with pytest.raises(FastconvError, match="must be written to by a function that exclusively"):
        parameter.writable()


def test_copies_of_one_time():
    parameter = Parameter(np.zeros(3, "float32"), name="bias")
    packed = parameter.packed("a", Packed)
    twin = exclusively(parameter.copied)
    assert twin.packed("a", Packed) is packed and not np.shares_memory(twin.value, parameter.value)
    parameter.assign([1, 1, 1])
    assert twin.packed("a", Packed) is packed and twin.value.tolist() == [0, 0, 0]
    handed = parameter.hand_out()
    parameter.assign([2, 2, 2])
    assert pickle.loads(pickle.dumps(parameter)).value.tolist() == [1, 1, 1], "as handed out"
    del handed
    assert pickle.loads(pickle.dumps(parameter)).value.tolist() == [2, 2, 2]
    assert copy.deepcopy(parameter).value.tolist() == [2, 2, 2]


def test_views_of_the_values_themselves():
    a, b = Parameter(np.arange(3.0)), Parameter(-np.arange(3.0))
    assign_all([(a, b.view), (b, a.view)])
    assert a.value.tolist() == [0, -1, -2] and b.value.tolist() == [0, 1, 2]
    assign_all([(a, b.value), (b, a.value)])
    assert a.value.tolist() == [0, 1, 2] and b.value.tolist() == [0, -1, -2]
    a.assign(a.view[::-1])
    assert a.value.tolist() == [2, 1, 0]


def test_many_threads_get_one_packed_form():
    """Several may make it, for none waits for another; one of them is kept."""
    parameter = Parameter(np.zeros(3, "float32"))
    start, found = threading.Barrier(16), []

    def use():
        start.wait()
        found.append(parameter.packed("a", Packed))

    threads = [threading.Thread(target=use) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 16 and len(set(map(id, found))) == 1
    assert parameter.packed_nbytes == 12


def test_a_context_keeps_nothing_unless_backward_will_follow():
    for ctx in (Context(), Context(True), Context(True, needs=[False, False])):
        ctx.save(1, 2)
        assert ctx.saved == ()
    for ctx in (
        Context(needs=[False, True]),
        Context(needs_params={"bias"}),
        Context(needs_params=lambda name: name == "bias"),
    ):
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
        ((0, 3), "float32", ArgumentError, r"shape\[0\] must be at least 1, got 0"),
        ((-1,), "float32", ArgumentError, "must be at least 1, got -1"),
        ((1.5,), "float32", ArgumentTypeError, "must be an integer, got 1.5"),
        ((True,), "float32", ArgumentTypeError, "must be an integer, got True"),
        ((10**40,), "float32", ArgumentError, "must be at most 2147483647"),
        (3, "float32", ArgumentTypeError, "must be a tuple of integers, got 3"),
        ("123", "float32", ArgumentTypeError, "must be a tuple of integers"),
        (None, "float32", ArgumentTypeError, "must be a tuple of integers, got None"),
        ((3,), "float16", ArgumentTypeError, "dtype must be 'float32', .* got 'float16'"),
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


@pytest.mark.parametrize(
    ("dtype", "itemsize"),
    [
        ("int64", 8),
        ("int32", 4),
        ("uint8", 1),
        ("int8", 1),
        ("bool", 1),
        (bool, 1),
        (np.bool_, 1),
        (np.uint8, 1),
        (np.dtype("int32"), 4),
    ],
)
def test_specs_of_integers(dtype, itemsize):
    spec = Spec((3, 4), dtype)
    assert spec.nbytes == 12 * itemsize and spec.numpy_dtype == np.dtype(dtype)
    assert not spec.is_float and not spec.is_plain and Spec((3,)).is_plain
    assert spec != Spec((3, 4)) and repr(spec) == f"Spec(shape=(3, 4), dtype={spec.dtype!r})"


def test_the_batch_of_a_spec():
    spec, shared, scalar = (
        Spec((7, 5), batch_axis=1),
        Spec((7, 5), batch_axis=None),
        Spec((), "int8", None),
    )
    assert [s.whole_shape(3) for s in (Spec((7, 5)), spec, shared, scalar)] == [
        (3, 7, 5),
        (7, 3, 5),
        (7, 5),
        (),
    ]
    assert [s.letters for s in (Spec((7,)), Spec((7,), batch_axis=1), spec, shared, scalar)] == [
        "(N, 7)",
        "(7, N)",
        "(7, N, 5)",
        "(7, 5)",
        "()",
    ]
    assert Spec((3,), batch_axis=None).letters == "(3,)" and scalar.nbytes == 1
    assert len({spec, shared, Spec((7, 5)), Spec((7, 5), "float32", 1)}) == 3
    assert repr(shared) == "Spec(shape=(7, 5), dtype='float32', batch_axis=None)"
    for one in (spec, shared, scalar, Spec((7,), batch_axis=np.int64(1))):
        again = pickle.loads(pickle.dumps(one))
        assert again == one == eval(repr(one)) == copy.deepcopy(one) and hash(again) == hash(one)
        assert one.batch_axis is None or type(one.batch_axis) is int


def test_specs_that_were_pickled_without_a_batch_axis_have_it_first():
    old = object.__new__(Spec)
    vars(old).update(shape=(3,), dtype="float64")
    assert (
        old == Spec((3,), "float64")
        and old.batch_axis == 0
        and hash(old) == hash(Spec((3,), "float64"))
    )


@pytest.mark.parametrize(
    ("shape", "axis", "error", "text"),
    [
        ((), 0, ShapeError, "at least one axis beside the batch"),
        ((3,), 2, ShapeError, r"must be at most 1 for shape \(3,\), or None, got 2"),
        ((3,), -1, ArgumentError, "batch_axis must be at least 0, got -1"),
        ((3,), True, ArgumentTypeError, "batch_axis must be an integer, got True"),
        ((3,), False, ArgumentTypeError, "batch_axis must be an integer, got False"),
        ((3,), "0", ArgumentTypeError, "batch_axis must be an integer, got '0'"),
        ((3,), 0.5, ArgumentTypeError, "batch_axis must be an integer, got 0.5"),
        ((3,), (), ArgumentTypeError, "batch_axis must be an integer, got"),
    ],
)
def test_the_batch_axis_of_specs_is_checked(shape, axis, error, text):
    with pytest.raises(error, match=text):
        Spec(shape, batch_axis=axis)


def test_an_array_is_no_dtype():
    with pytest.raises(ArgumentTypeError, match="Spec: dtype must be 'float32', 'float64'"):
        Spec((3,), np.array(["float32", "float64"]))
