"""Which inputs layers take: dtypes, and places of the batch."""

from __future__ import annotations

import numpy as np
import pytest

import fastconv
from fastconv import registry
from fastconv.errors import ArgumentTypeError, ShapeError
from fastconv.layers import Layer, Spec
from fastconv.layers.spec import DTYPES, FLOATS
from fastconv.testing import check_layer

INTEGERS = [dtype for dtype in DTYPES if dtype not in FLOATS]
BUILT_IN = [name for name in fastconv.list_layers() if "." not in name]
KINDS = {name: registry.layers.get(name) for name in BUILT_IN}
MOVE = {name for name, kind in KINDS.items() if set(INTEGERS) <= set(kind.takes)}
WIDEN = {"Rescaling"}  # they make floats of any numbers
OF_INTEGERS = {name for name, kind in KINDS.items() if not set(FLOATS) & set(kind.takes)}
ELEMENTWISE = {name for name, kind in KINDS.items() if kind.any_batch_axis}


def example(name, dtype=None, **more):
    cls = registry.layers.get(name)
    specs = [Spec(shape, dtype or cls.takes[0], **more) for shape in cls.example_shapes]
    return cls(**cls.example_config), specs


def refused(layer, specs):
    """Return the error of inference, which is that of a call on nodes."""
    nodes = [fastconv.Input(s.shape, s.dtype, batch_axis=s.batch_axis) for s in specs]
    with pytest.raises((ArgumentTypeError, ShapeError)) as caught:
        layer.infer(*specs)
    with pytest.raises(type(caught.value)) as again:
        layer(*nodes)
    assert str(again.value) == str(caught.value)
    return caught.value


def test_there_are_built_in_layers():
    assert OF_INTEGERS >= {"Embedding"}
    assert MOVE >= {"Flatten", "Concatenate"}  # numbers, whatever they are
    assert ELEMENTWISE >= {"Add", "Dropout", "Multiply", "ReLU", "Sigmoid", "Tanh"}
    assert set(BUILT_IN) - MOVE - ELEMENTWISE >= {"Conv2D", "Dense", "BatchNorm", "Softmax"}


@pytest.mark.parametrize("dtype", INTEGERS)
@pytest.mark.parametrize("name", BUILT_IN)
def test_layers_of_floats_refuse_integers(name, dtype):
    layer, specs = example(name, dtype=dtype)
    if name in MOVE:
        assert layer.infer(*specs).dtype == ("float32" if name in WIDEN else dtype)
        return
    if name in OF_INTEGERS and dtype in layer.takes:
        assert layer.infer(*specs).is_float
        return
    error = refused(layer, specs)
    assert isinstance(error, ArgumentTypeError)
    first = layer.takes[0]
    assert str(error) == (
        f"{name}: input must be {' or '.join(layer.takes)}, got {dtype}; make the Input {first}, "
        f"which casts what it is given, or put a layer before it that gives {first}"
    )


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("name", sorted(OF_INTEGERS))
def test_layers_of_integers_refuse_floats(name, dtype):
    layer, specs = example(name, dtype=dtype)
    assert str(refused(layer, specs)).startswith(f"{name}: input must be int64 or ")


@pytest.mark.parametrize("name", BUILT_IN)
def test_layers_of_batches_on_axis_0_refuse_others(name):
    for axis in (1, None):
        layer, specs = example(name, batch_axis=axis)
        if name in ELEMENTWISE:
            output = layer.infer(*specs)
            assert output.batch_axis == axis
            assert output == specs[0] or name in OF_INTEGERS
            continue
        error = refused(layer, specs)
        assert isinstance(error, ShapeError)
        place = f"with it on axis {axis}; take Input(shape), and move the batch"
        if axis is None:
            place = "without a batch; take Input(shape), and give it a row for each sample"
        expected = f"{name}: input must have the batch on axis 0, got {specs[0].letters}, {place}"
        assert str(error).startswith(expected)


class Plain(Layer):
    def infer(self, *specs):
        return specs[0]

    def forward(self, ctx, x):
        return x.copy()

    def backward(self, ctx, dy):
        return dy.copy()


def test_a_layer_of_others_takes_what_it_says():
    error = refused_on_nodes(Plain(), fastconv.Input((3,), "int8"))
    assert str(error).endswith("; a layer that takes int8 has it in its attribute takes")
    error = refused_on_nodes(Plain(), fastconv.Input((3,), batch_axis=1))
    assert str(error).endswith("; a layer that takes such inputs has any_batch_axis = True")

    class Heir(Plain):
        takes, any_batch_axis = DTYPES, True

    assert Heir()(fastconv.Input((3,), "int8", batch_axis=1)).spec == Spec((3,), "int8", 1)

    class Second(Heir):
        pass

    assert Second.takes == FLOATS and Second.any_batch_axis is False  # each says it itself


def refused_on_nodes(layer, node):
    with pytest.raises((ArgumentTypeError, ShapeError)) as caught:
        layer(node)
    return caught.value


def test_a_batch_is_neither_lost_nor_made():
    class Loses(Plain):
        any_batch_axis = True

        def infer(self, *specs):
            return Spec(specs[0].shape, batch_axis=None)

    class Makes(Plain):
        any_batch_axis = True

        def infer(self, *specs):
            return Spec(specs[0].shape)

    with pytest.raises(ShapeError, match="Loses: infer must return a Spec with a batch"):
        Loses()(fastconv.Input((3,)))
    with pytest.raises(ShapeError, match="Makes: infer must return a Spec without a batch"):
        Makes()(fastconv.Input((3,), batch_axis=None))
    assert Loses()(fastconv.Input((3,), batch_axis=None)).spec.batch_axis is None


def test_sums_are_of_arrays_with_the_batch_at_one_place():
    a, b = Spec((3, 3)), Spec((3, 3), batch_axis=1)
    with pytest.raises(ShapeError, match=r"Add: inputs .* \(N, 3, 3\) and \(3, N, 3\)"):
        fastconv.create_layer("Add").infer(a, b)


class Pick(Layer):
    """Of each row of floats the element whose number is given."""

    takes = (*FLOATS, "int64")

    def infer(self, *specs):
        return Spec(specs[1].shape, specs[0].dtype)

    def forward(self, ctx, x, numbers):
        ctx.save(x.shape, numbers)
        return np.take_along_axis(x, numbers, 1)

    def backward(self, ctx, dy):
        shape, numbers = ctx.saved
        dx = np.zeros(shape, dy.dtype)
        for (row, place), number in np.ndenumerate(numbers):
            dx[row, number] += dy[row, place]
        return dx, None


class WrongPick(Pick):
    takes = (*FLOATS, "int64")

    def backward(self, ctx, dy):
        dx, nothing = super().backward(ctx, dy)
        return 1.01 * dx, nothing


def test_check_layer_takes_a_dtype_for_each_input():
    with registry.isolated():
        for cls in (Pick, WrongPick):
            fastconv.register_layer(f"acme.{cls.__name__}.v1")(cls)
        check_layer(Pick(), (3, 4), (3, 5), dtype=("float64", "int64"))
        with pytest.raises(AssertionError, match="WrongPick in training: dx of input 0"):
            check_layer(WrongPick(), (3, 4), (3, 5), dtype=("float64", "int64"))
        with pytest.raises(ArgumentTypeError, match="dtype must have one for each of 2 inputs"):
            check_layer(Pick(), (3, 4), (3, 5), dtype=("float64",))


def test_check_layer_holds_layers_against_it():
    class WrongForms(Plain):
        takes = ["float32"]

    class HalfOfThem(Plain):
        takes = ("float32",)

    class OnlyAxis0(Plain):
        any_batch_axis = True

        def infer(self, *specs):
            return Spec(specs[0].shape, specs[0].dtype, specs[0].batch_axis and 0)

    class WrongIntegers(Plain):
        takes = ("int64", "bool")

        def infer(self, *specs):
            return Spec(specs[0].shape, "int64")

    with registry.isolated():
        for cls, text in (
            (WrongForms, "WrongForms: takes must be a tuple of some of float32"),
            (HalfOfThem, "HalfOfThem: takes must hold both of float32 and float64, or none"),
            (OnlyAxis0, r"any_batch_axis is True, and with the batch on axis 1 y is \(4, 2\)"),
            (WrongIntegers, "WrongIntegers in bool: y is bool"),
        ):
            cls.__qualname__ = cls.__name__
            fastconv.register_layer(f"acme.{cls.__name__}.v1")(cls)
            globals()[cls.__name__] = cls  # so that it can be pickled
            with pytest.raises(AssertionError, match=text):
                check_layer(cls(), (2, 4))


class Abs(Layer):
    """The absolute value of whole numbers."""

    takes = ("int64", "int32")
    any_batch_axis = True

    def infer(self, *specs):
        return specs[0]

    def forward(self, ctx, x):
        return np.abs(x)


def test_check_layer_compares_integers_on_any_axis():
    with registry.isolated():
        fastconv.register_layer("acme.Abs.v1")(Abs)
        check_layer("acme.Abs", (2, 3, 4))


def test_a_class_that_is_no_layer_brings_its_traits_along():
    class Whole:
        takes = ("int64",)

    class Mixed(Whole, Layer):
        pass

    class Sub(Mixed):
        pass

    assert Mixed.takes == ("int64",)
    assert Sub.takes == FLOATS  # a subclass says them anew
