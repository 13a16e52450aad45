"""What layers say of themselves: what is false is found, and subclasses say it anew."""

from __future__ import annotations

import numpy as np
import pytest

import fastconv
from fastconv import registry
from fastconv.layers import Add, Affine, BatchNorm, Conv2D, Dense, Flatten, MaxPool2D, ReLU
from fastconv.layers.traits import Traits
from fastconv.testing import check_layer


class Double(fastconv.Layer):
    """2 x, in a new array."""

    new_gradients = True

    def infer(self, *specs):
        return self.one_input(specs)

    def forward(self, ctx, *xs):
        return 2 * xs[0]

    def backward(self, ctx, dy):
        return 2 * dy if ctx.needs(0) else None


class Scale(fastconv.Layer):
    """A learned number for each channel times x."""

    def infer(self, *specs):
        return self.one_input(specs)

    def build(self, rng, *specs):
        self.add_param("scale", specs[0].shape[:1], "ones")

    def forward(self, ctx, *xs):
        ctx.save(*xs)
        return self.param("scale").value * xs[0]

    def backward(self, ctx, dy):
        (x,) = ctx.saved
        ctx.add_grad("scale", (dy * x).sum(axis=0))
        return self.param("scale").value * dy if ctx.needs(0) else None


class Square(Double):
    """x squared; its gradient reads the output."""

    def forward(self, ctx, *xs):
        y = xs[0] * xs[0]
        ctx.save(xs[0], y)
        return y

    def backward(self, ctx, dy):
        x, y = ctx.saved
        return 2 * dy * (y / x)


class Kept(Double):
    """Hands out one gradient at every call."""

    def forward(self, ctx, *xs):
        ctx.save(xs[0])
        return np.zeros_like(xs[0])

    def backward(self, ctx, dy):
        (x,) = ctx.saved
        return np.broadcast_to(ZEROS[x.dtype.name], x.shape)


ZEROS = {dtype: np.zeros((), dtype) for dtype in ("float32", "float64")}


class Leaky(Double):
    """Positive numbers, and a tenth of the others."""

    def forward(self, ctx, *xs):
        ctx.save(*xs)
        return np.where(xs[0] > 0, xs[0], xs[0] / 10)

    def backward(self, ctx, dy):
        return np.where(ctx.saved[0] > 0, dy, dy / 10)


class Mean(Double):
    """The mean of a row in the place of each of its elements."""

    def forward(self, ctx, *xs):
        return np.repeat(xs[0].mean(axis=1, keepdims=True), xs[0].shape[1], axis=1)

    def backward(self, ctx, dy):
        return np.repeat(dy.mean(axis=1, keepdims=True), dy.shape[1], axis=1)


def other(self, name):
    return Scale() if name == "relu" else None


def plain(self, name):
    return self.twin() if name == "relu" else None


def wrong_affine(self):
    number = self.param("scale").value.astype("float64")
    return Affine(0 * number, 0 * number, number)


def half_affine(self):
    return Affine(*np.ones((3, 4), "float32"))


FALSE = [
    (Double, {"output_is_view": True}, "output_is_view is True, and the output is not in the"),
    (Double, {"output_is_view": 1}, "output_is_view must be True or False, got 1"),
    (Double, {"idle": lambda self, training: not training}, r"idle\(False\) is True, and the out"),
    (Double, {"idle": lambda self, training: training}, r"idle\(True\) is True, and the output is"),
    (Double, {"idle": lambda self, training: None}, "idle must return True or False, got None"),
    (Square, {"output_may_be_overwritten": True}, "may_be_overwritten is True, and backward reads"),
    (Flatten, {"output_may_be_overwritten": True}, "and it lies in memory that others read"),
    (Double, {"overwrites_input": True}, "and the output is not written over the input"),
    (Double, {"passes_gradient": True}, "passes_gradient is True, and a gradient is not in the"),
    (Kept, {}, "new_gradients is True, and dx of input 0 lies in memory that others read"),
    (Double, {"acts_as": "double"}, "acts_as must be a name with a dot in it, such as 'acme.mish'"),
    (Double, {"acts_as": 2}, "acts_as must be a name with a dot in it"),
    (Leaky, {"acts_as": "relu"}, "acts_as is 'relu', and ReLU, which acts so too, computes someth"),
    (Mean, {"acts_as": "acme.mean"}, "'acme.mean', and it is no function of each element alone"),
    (Scale, {"acts_as": "acme.scale"}, "acts_as is 'acme.scale', and it has parameters"),
    (Mean, {"commutes_with": frozenset({"relu"})}, "has 'relu', and it matters which comes first"),
    (Double, {"commutes_with": frozenset({"acme.odd"})}, "'acme.odd', and no registered layer act"),
    (Double, {"commutes_with": {"relu"}}, "commutes_with must be a frozenset of texts"),
    (Double, {"with_activation": plain}, r"with_activation\('relu'\) is not the layer and then R"),
    (Double, {"with_activation": lambda self, name: self}, "must not return the layer itself"),
    (Double, {"with_activation": lambda self, name: name}, "must return a layer, or None"),
    (Scale, {"with_activation": other}, r"has other parameters; self.twin\(\) has the same"),
    (Scale, {"channel_affine": True, "affine": wrong_affine}, "affine is not what the layer compu"),
    (Scale, {"channel_affine": True, "affine": half_affine}, r"arrays \(4,\) float64, got \(4"),
    (Scale, {"folds_affine": True, "folded": lambda self, a: self}, "folded has scale of the laye"),
    (Double, {"folds_affine": True, "folded": lambda self, a: self}, "is not the layer and then"),
    (Double, {"packs": ("weight",)}, "packs must be a tuple of names of parameters"),
    (Double, {"normalizes": True}, "normalizes is True, and of pixels to 255 it makes numbers to"),
]


@pytest.mark.parametrize(("base", "said", "text"), FALSE)
def test_what_is_false_is_found(base, said, text):
    with registry.isolated():
        cls = type("False" + base.__name__, (base,), {**said, "__module__": __name__})
        globals()[cls.__name__] = cls  # where pickle looks for it
        fastconv.register_layer(f"acme.{cls.__name__}.v1")(cls)
        with pytest.raises(AssertionError, match=text) as caught:
            check_layer(cls(), (3, 4))
        assert cls.__name__ in str(caught.value)


@pytest.mark.parametrize(
    ("said", "text"),
    [
        ({"overwrites_input": True}, "overwrites_input is True"),
        ({"idle": lambda self, training: True}, "idle is True"),
        ({"channel_affine": True}, "channel_affine is True"),
        ({"acts_as": "acme.sum"}, "acts_as is 'acme.sum'"),
        ({"gives": "input"}, "gives is 'input'"),
    ],
)
def test_what_is_said_of_one_input_is_not_said_of_several(said, text):
    with registry.isolated():
        cls = type("FalseAdd", (Add,), {**said, "__module__": __name__})
        globals()["FalseAdd"] = cls
        fastconv.register_layer("acme.FalseAdd.v1")(cls)
        with pytest.raises(AssertionError, match=f"FalseAdd: {text}, and there are several"):
            check_layer(cls(), (3, 4), (3, 4))


def test_layers_that_say_nothing_keep_what_layers_promise():
    with registry.isolated():
        for cls in (Double, Scale, Square, Leaky, Mean):
            fastconv.register_layer(f"acme.{cls.__name__}.v1")(cls)
            check_layer(cls(), (3, 4))


def test_what_packs_must_name_every_parameter_that_is_packed():
    with registry.isolated():
        cls = type("Forgets", (Dense,), {"packs": (), "__module__": __name__})
        globals()["Forgets"] = cls
        fastconv.register_layer("acme.Forgets.v1")(cls)
        with pytest.raises(AssertionError, match="Forgets: pack packs weight, and packs does not"):
            check_layer("acme.Forgets", (3, 4), units=2)


@pytest.mark.parametrize("base", [BatchNorm, Conv2D, Dense, Flatten, MaxPool2D, ReLU])
def test_a_subclass_promises_nothing_that_it_does_not_say_itself(base):
    cls = type("Heir", (base,), {})
    for trait in (
        "output_is_view",
        "output_may_be_overwritten",
        "overwrites_input",
        "acts_as",
        "passes_gradient",
        "commutes_with",
        "channel_affine",
        "folds_affine",
        "idle",
        "with_activation",
        "is_sum",
        "with_addition",
        "affine",
        "folded",
        "gives",
        "given_by",
    ):
        assert vars(cls)[trait] == vars(Traits)[trait]
    assert cls.new_gradients and cls.packs == base.packs  # these are inherited


def test_a_subclass_that_computes_something_else_is_neither_fused_nor_folded(rng):
    """Its forward may leave out what the class before it could compute, or do more."""

    class Odd(ReLU):
        def forward(self, ctx, *xs):
            y = xs[0] + 1
            ctx.save(y)
            return y

    conv, norm = Conv2D(2, 3), BatchNorm()
    net = fastconv.Sequential([conv, norm, Odd(), MaxPool2D(2), Odd()], (1, 8, 8))
    x = rng.standard_normal((2, 1, 8, 8)).astype("float32")
    ids = ["conv2d_1", "batch_norm_1", "odd_1", "max_pool2d_1", "odd_2"]
    for training in (False, True):
        assert [node.id for node in net.plan(2, training=training).nodes] == ids
    expected = net.intermediate(x, "max_pool2d_1") + 1
    assert (net(x) == expected).all()


def test_no_promise_holds_for_one_object_with_a_forward_of_its_own(rng):
    x = rng.standard_normal((2, 1, 6, 6)).astype("float32")
    for patched in (0, 1):
        layers = [Conv2D(2, 3), ReLU()]
        layer, whole = layers[patched], layers[patched].forward
        layer.forward = lambda ctx, *xs, whole=whole: whole(ctx, *xs) + 1
        net = fastconv.Sequential(layers, (1, 6, 6))
        assert len(net.plan(2).nodes) == 2
        between = net.intermediate(x, "conv2d_1")
        assert (net(x) == np.maximum(between, 0) + patched).all()


def test_a_twin_stands_for_the_layer():
    layer = Conv2D(4, 3, name="mine")
    layer.precision = "strict"
    early = layer.twin()  # of a layer that is not built yet
    layer.ensure_built(0, fastconv.Spec((2, 6, 6)))
    for twin in (early, layer.twin()):
        assert type(twin) is Conv2D and twin.name == "mine" and twin.precision == "strict"
        assert twin.param("weight") is layer.param("weight")
        twin.activation = "relu"
        assert layer.activation is None
