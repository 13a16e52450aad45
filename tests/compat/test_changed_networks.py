"""Networks whose layers a reader of the book has changed give what their layers give, in a row."""

from __future__ import annotations

import numpy as np
import pytest

from fastconv.compat import deep_learning_from_scratch as book
from fastconv.compat.deep_learning_from_scratch.network import Network


class Steeper(book.Relu):
    def backward(self, dout):
        return 3 * super().backward(dout)


class Louder(book.Convolution):
    def backward(self, dout):
        dx = super().backward(dout)
        self.dW = 7 * self.dW
        return dx


class InPlace:
    """Changes what it is given, and gives it on."""

    def forward(self, x):
        x -= 0.5
        return x

    def backward(self, dout):
        return dout


class Keeping:
    """Remembers the gradient that it gives."""

    def forward(self, x):
        self.given = np.random.default_rng(1).normal(size=x.shape)
        return x

    def backward(self, dout):
        return self.given


class Of:
    """Gives the gradient in another form."""

    def __init__(self, form):
        self.form = form

    def forward(self, x):
        return x

    def backward(self, dout):
        return self.form(dout)


def convolution(kind=book.Convolution, channels=1):
    weight = np.random.default_rng(channels).normal(size=(3, channels, 3, 3))
    return kind(weight, np.zeros(3), 1, 1)


def affine():
    return book.Affine(np.random.default_rng(9).normal(size=(3 * 36, 4)), np.zeros(4))


def around(*layers):
    return [convolution(), book.Relu(), *layers, affine()]


def twice_the_same(*between):
    same = book.Relu()
    return [convolution(), same, *between, same, affine()]


def replaced(method, kind):
    """A row in which a method of one layer is replaced by one of the user's."""
    layers = around()
    layer = layers[0] if kind is book.Convolution else layers[1]
    own = getattr(layer, method)

    def other(given):
        found = own(given)
        if method == "backward" and kind is book.Convolution:
            layer.dW = 5 * layer.dW
        return 5 * found

    setattr(layer, method, other)
    return layers


ROWS = {
    "as they are": around,
    "a Relu twice": lambda: twice_the_same(convolution(channels=3)),
    "a Relu twice in a row": twice_the_same,
    "a Relu twice around what changes its input": lambda: twice_the_same(InPlace()),
    "a subclass of Relu": lambda: [convolution(), Steeper(), affine()],
    "a subclass of Convolution": lambda: [convolution(Louder), book.Relu(), affine()],
    "a gradient that is kept": lambda: around(Keeping()),
    "a gradient that is a list": lambda: around(Of(np.ndarray.tolist)),
    "a gradient of float32": lambda: around(Of(np.float32)),
    "a gradient in Fortran's order": lambda: around(Of(np.asfortranarray)),
    "a gradient of one number": lambda: around(Of(lambda dy: np.broadcast_to(1.0, dy.shape))),
    "a Relu first": lambda: [book.Relu(), *around()],
    **{
        f"another {method} of one {kind.__name__}": lambda m=method, k=kind: replaced(m, k)
        for method in ("forward", "backward")
        for kind in (book.Convolution, book.Relu)
    },
}


def network(layers):
    net = Network()
    net.layers = layers
    net._number_params()
    return net


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("name", ROWS)
def test_a_changed_network_gives_what_its_layers_give_in_a_row(name, dtype, rng):
    net, apart = network(ROWS[name]()), network(ROWS[name]())
    x, t = rng.normal(size=(5, 1, 6, 6)).astype(dtype), np.array([0, 1, 2, 3, 0])
    for _ in range(2):  # also with what is left of the first time
        expected = x.copy()
        for layer in apart.layers:
            expected = layer.forward(expected)
        assert np.array_equal(net.predict(x.copy()), expected)
        loss = apart.last_layer.forward(expected, t)
        dout = apart.last_layer.backward(1)
        for layer in reversed(apart.layers):
            dout = layer.backward(dout)
        found = net.gradient(x.copy(), t)
        assert net.last_layer.loss == loss
        for key, layer, attribute in apart._parameters():
            assert np.array_equal(found[key], getattr(layer, f"d{attribute}"))
        for one, other in zip(net.layers, apart.layers, strict=True):
            if isinstance(one, Keeping):
                assert np.array_equal(one.given, other.given)


def test_a_network_without_layers_gives_its_input():
    net, x = network([]), np.eye(3)
    assert net.predict(x) is x
    assert net.gradient(x, np.arange(3)) == {}


def test_a_layer_that_was_added_decays_too():
    net = book.MultiLayerNet(6, [5], 3, weight_decay_lambda=0.1)
    net.layers["Affine3"] = added = book.Affine(np.eye(3), np.zeros(3))
    found = net.gradient(np.ones((4, 6)), np.array([0, 2, 1, 1]))
    np.testing.assert_array_equal(found["W3"], added.dW + 0.1 * np.eye(3))
