"""The book's layers and functions give the numbers of its formulas."""

from __future__ import annotations

import inspect

import book_reference as reference
import numpy as np
import pytest

import fastconv
from fastconv.compat import deep_learning_from_scratch as book
from fastconv.errors import ArgumentError, ArgumentTypeError, FastconvError, ShapeError


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def close(a, b):
    np.testing.assert_allclose(a, b, rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("b", [0, 0.5, np.float32(2)])
def test_one_number_is_the_bias_of_all(b, rng):
    """The program that shows filters of chapter 7 convolves with ``b = 0``."""
    x, w = rng.normal(size=(2, 1, 6, 6)), rng.normal(size=(3, 1, 3, 3))
    expected = book.Convolution(w, np.full(3, float(b))).forward(x)
    assert np.array_equal(book.Convolution(w, b).forward(x), expected)
    x, w = rng.normal(size=(2, 4)), rng.normal(size=(4, 3))
    expected = book.Affine(w, np.full(3, float(b))).forward(x)
    assert np.array_equal(book.Affine(w, b).forward(x), expected)
    with pytest.raises(ShapeError, match=r"Affine: b must have shape \(3,\)"):
        book.Affine(w, np.zeros(2)).forward(x)


@pytest.mark.parametrize(("stride", "pad"), [(1, 0), (2, 1)])
def test_convolution(rng, stride, pad):
    x, w, b = rng.normal(size=(3, 2, 7, 7)), rng.normal(size=(4, 2, 3, 3)), rng.normal(size=4)
    layer = book.Convolution(w, b, stride, pad)
    y = layer.forward(x)
    close(y, reference.conv(x, w, b, stride, pad))
    dy = rng.normal(size=y.shape)
    dx, dw, db = reference.conv_backward(dy, x, w, stride, pad)
    close(layer.backward(dy), dx)
    close(layer.dW, dw)
    close(layer.db, db)
    assert layer.W is w and layer.b is b


@pytest.mark.parametrize(("size", "stride"), [((2, 2), 2), ((3, 2), 1)])
def test_pooling(rng, size, stride):
    x = rng.integers(0, 5, (3, 2, 8, 8)).astype(float)  # with ties
    layer = book.Pooling(*size, stride=stride)
    y = layer.forward(x)
    close(y, reference.pool(x, size, stride))
    dy = rng.normal(size=y.shape)
    close(layer.backward(dy), reference.pool_backward(dy, x, size, stride))


def test_pooling_with_padding_which_never_wins():
    y = book.Pooling(2, 2, 2, pad=1).forward(-np.ones((1, 1, 4, 4)))
    assert y.tolist() == np.full((1, 1, 3, 3), -1).tolist()


def test_affine_gives_images_their_shape_again(rng):
    x, w, b = rng.normal(size=(3, 2, 2, 2)), rng.normal(size=(8, 5)), rng.normal(size=5)
    layer = book.Affine(w, b)
    close(layer.forward(x), x.reshape(3, 8) @ w + b)
    dy = rng.normal(size=(3, 5))
    close(layer.backward(dy), (dy @ w.T).reshape(x.shape))
    close(layer.dW, x.reshape(3, 8).T @ dy)
    close(layer.db, dy.sum(axis=0))


def test_relu_leaves_the_gradient_as_it_is():
    layer = book.Relu()
    assert layer.forward([-1.0, 0.0, 2.0]).tolist() == [0, 0, 2]
    assert layer.mask.tolist() == [True, True, False]
    dout = np.array([3.0, 4.0, 5.0])
    assert layer.backward(dout).tolist() == [0, 0, 5]
    assert dout.tolist() == [3, 4, 5]


def test_sigmoid(rng):
    x, layer = rng.normal(size=(3, 4)), book.Sigmoid()
    y = 1 / (1 + np.exp(-x))
    close(layer.forward(x), y)
    close(layer.backward(np.full(x.shape, 2.0)), 2 * y * (1 - y))


@pytest.mark.parametrize("one_hot", [True, False])
def test_softmax_with_loss(rng, one_hot):
    x, t = rng.normal(size=(4, 3)), np.array([0, 2, 1, 1])
    layer = book.SoftmaxWithLoss()
    y = reference.softmax(x)
    given = np.eye(3)[t] if one_hot else t
    assert layer.forward(x, given) == pytest.approx(reference.cross_entropy(y, t), rel=1e-12)
    close(layer.y, y)
    close(layer.backward(), (y - np.eye(3)[t]) / 4)
    close(layer.backward(2), (y - np.eye(3)[t]) / 2)


def test_dropout_takes_the_book_s_random_numbers(rng):
    x, layer = rng.normal(size=(50, 4)), book.Dropout(0.3)
    np.random.seed(1)
    kept = np.random.rand(50, 4) > 0.3
    np.random.seed(1)
    close(layer.forward(x), x * kept)
    close(layer.backward(x), x * kept)
    close(layer.forward(x, train_flg=False), x * 0.7)
    assert 0 < kept.mean() < 1


@pytest.mark.parametrize("shape", [(6, 5), (6, 2, 3, 3)])
def test_batch_normalisation_of_activations(rng, shape):
    x = rng.normal(1, 2, size=shape)
    flat = x.reshape(6, -1)
    gamma, beta = rng.normal(size=flat.shape[1]), rng.normal(size=flat.shape[1])
    layer = book.BatchNormalization(gamma, beta, 0.8)
    mean, variance = flat.mean(axis=0), flat.var(axis=0)
    z = (flat - mean) / np.sqrt(variance + 1e-6)
    close(layer.forward(x), (gamma * z + beta).reshape(shape))
    close(layer.running_mean, 0.2 * mean)
    close(layer.running_var, 0.2 * variance)
    dy = rng.normal(size=flat.shape)
    dx = gamma / np.sqrt(variance + 1e-6) * (dy - dy.mean(axis=0) - z * (dy * z).mean(axis=0))
    close(layer.backward(dy.reshape(shape)), dx.reshape(shape))
    close(layer.dgamma, (dy * z).sum(axis=0))
    close(layer.dbeta, dy.sum(axis=0))
    later = (flat - layer.running_mean) / np.sqrt(layer.running_var + 1e-6)
    close(layer.forward(x, train_flg=False), (gamma * later + beta).reshape(shape))


def test_batch_normalisation_of_channels(rng):
    x = rng.normal(size=(4, 2, 3, 3))
    layer = book.BatchNormalization(np.ones(2), np.zeros(2))
    y = layer.forward(x)
    mean, variance = x.mean(axis=(0, 2, 3)), x.var(axis=(0, 2, 3))
    close(y, (x - mean[:, None, None]) / np.sqrt(variance + 1e-6)[:, None, None])
    assert layer.running_mean.shape == (2,)


def test_functions(rng):
    x = rng.normal(size=(3, 4))
    assert book.identity_function(x) is x
    assert book.step_function([-1.0, 0.0, 3.0]).tolist() == [0, 0, 1]
    assert book.relu([-1, 2]).tolist() == [0, 2]
    assert book.relu_grad([-1.0, 0.0, 2.0]).tolist() == [0, 1, 1]
    y = 1 / (1 + np.exp(-x))
    close(book.sigmoid(x), y)
    close(book.sigmoid_grad(x), y * (1 - y))
    close(book.softmax(x), reference.softmax(x))
    close(book.softmax(x[0]), reference.softmax(x[0]))
    assert book.softmax([1010, 1000, 990]).sum() == 1
    assert book.mean_squared_error([0.1, 0.6], [0, 1]) == pytest.approx(0.085)
    t = np.array([3, 0, 1])
    loss = reference.cross_entropy(reference.softmax(x), t)
    assert book.softmax_loss(x, t) == pytest.approx(loss, rel=1e-12)
    assert book.conv_output_size(7, 5) == 3 and type(book.conv_output_size(28, 5, 2, 1)) is int
    assert book.im2col(np.random.rand(10, 3, 7, 7), 5, 5).shape == (90, 75)
    assert book.col2im is fastconv.col2im


def test_numerical_gradient_changes_nothing(rng):
    x = rng.normal(size=(2, 3))
    before = x.copy()
    close(book.numerical_gradient(lambda a: (a**2).sum(), x).round(6), (2 * x).round(6))
    assert (x == before).all()

    def fails(a):
        raise KeyError

    with pytest.raises(KeyError):
        book.numerical_gradient(fails, x)
    assert (x == before).all()
    for f, y in ((np.sum, [1.0]), (None, x), (lambda a: None, x)):
        with pytest.raises(ArgumentTypeError):
            book.numerical_gradient(f, y)
    assert (x == before).all()


def test_smooth_curve_is_an_average_with_reflected_ends(rng):
    x = rng.normal(size=30)
    weights = np.kaiser(11, 2)
    weights /= weights.sum()
    y = book.smooth_curve(x)
    assert y.shape == x.shape
    assert y[12] == pytest.approx(weights @ x[7:18])
    assert y[0] == pytest.approx(weights @ [*x[5:0:-1], *x[:6]])
    assert y[-1] == pytest.approx(weights @ [*x[-6:], *x[:-6:-1]])
    close(book.smooth_curve(np.ones(12)), np.ones(12))


def test_shuffle_dataset_takes_the_book_s_order():
    np.random.seed(3)
    order = np.random.permutation(5)
    np.random.seed(3)
    x, t = book.shuffle_dataset(np.arange(10).reshape(5, 2), np.arange(5))
    assert t.tolist() == order.tolist() and x[:, 0].tolist() == (2 * order).tolist()


RULES = [
    ("SGD", "sgd"),
    ("Momentum", "momentum"),
    ("Nesterov", "nesterov"),
    ("AdaGrad", "adagrad"),
    ("RMSprop", "rmsprop"),
    ("Adam", "adam"),
]


@pytest.mark.parametrize(("name", "rule"), RULES)
def test_optimizers(rng, name, rule):
    ours = {"W": rng.normal(size=(3, 4)), "b": rng.normal(size=4), "F": rng.normal(size=(4, 3)).T}
    theirs = {key: value.copy() for key, value in ours.items()}
    same = dict(ours)
    optimizer, expected = getattr(book, name)(lr=0.05), reference.Descent(rule, 0.05)
    for _ in range(5):
        grads = {key: rng.normal(size=value.shape) for key, value in ours.items()}
        optimizer.update(ours, grads)
        expected.update(theirs, grads)
    for key in ours:
        assert ours[key] is same[key]
        close(ours[key], theirs[key])


@pytest.mark.parametrize(("name", "rule"), RULES)
def test_optimizers_of_numbers_as_in_chapter_6(name, rule):
    ours, theirs = {"x": -7.0, "y": 2.0}, {"x": np.array(-7.0), "y": np.array(2.0)}
    optimizer, expected = getattr(book, name)(lr=0.1), reference.Descent(rule, 0.1)
    for _ in range(3):
        optimizer.update(ours, {"x": ours["x"] / 10, "y": 2 * ours["y"]})
        expected.update(theirs, {"x": theirs["x"] / 10, "y": 2 * theirs["y"]})
    close([ours["x"], ours["y"]], [theirs["x"], theirs["y"]])


SIGNATURES = {
    "SGD": "(lr=0.01)",
    "Momentum": "(lr=0.01, momentum=0.9)",
    "Nesterov": "(lr=0.01, momentum=0.9)",
    "AdaGrad": "(lr=0.01)",
    "RMSprop": "(lr=0.01, decay_rate=0.99)",
    "Adam": "(lr=0.001, beta1=0.9, beta2=0.999)",
    "Affine": "(W, b)",
    "BatchNormalization": "(gamma, beta, momentum=0.9, running_mean=None, running_var=None)",
    "Convolution": "(W, b, stride=1, pad=0)",
    "Dropout": "(dropout_ratio=0.5)",
    "Pooling": "(pool_h, pool_w, stride=1, pad=0)",
    "Relu": "()",
    "Sigmoid": "()",
    "SoftmaxWithLoss": "()",
    "im2col": "(input_data, filter_h, filter_w, stride=1, pad=0)",
    "col2im": "(col, input_shape, filter_h, filter_w, stride=1, pad=0)",
    "conv_output_size": "(input_size, filter_size, stride=1, pad=0)",
    "numerical_gradient": "(f, x)",
    "softmax": "(x)",
    "cross_entropy_error": "(y, t)",
    "smooth_curve": "(x)",
    "shuffle_dataset": "(x, t)",
}


@pytest.mark.parametrize("name", SIGNATURES)
def test_signatures_are_the_book_s(name):
    signature = inspect.signature(getattr(book, name))
    plain = [p.replace(annotation=p.empty) for p in signature.parameters.values()]
    assert str(inspect.Signature(plain)).replace(" = ", "=") == SIGNATURES[name]


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (
            lambda: book.Relu().backward(np.ones(2)),
            ShapeError,
            "Relu.backward: the layer must have run forward before",
        ),
        (lambda: book.Pooling(2, 2).backward(np.ones(2)), ShapeError, "must have run forward"),
        (
            lambda: book.Affine(np.ones((3, 2)), np.ones(2)).forward(np.ones((4, 5))),
            ShapeError,
            "3 numbers in a row",
        ),
        (lambda: book.cross_entropy_error(np.ones((2, 3)), [0]), ShapeError, "must hold 2 classes"),
        (lambda: book.cross_entropy_error(np.ones((2, 3)), [0, 3]), FastconvError, "between 0 and"),
        (lambda: book.cross_entropy_error(np.ones((2, 3)), [0, 0.5]), ArgumentTypeError, "integer"),
        (
            lambda: book.BatchNormalization(np.ones(4), 0.0).forward(np.ones((2, 3))),
            ShapeError,
            "gamma must have 3 numbers",
        ),
        (
            lambda: book.SGD().update({"a": np.ones(2)}, {"a": np.ones(3)}),
            ShapeError,
            r"grads\['a'\] must have the shape",
        ),
        (
            lambda: book.SGD().update({"W": np.ones(2)}, {"b": np.ones(2)}),
            ArgumentError,
            r"must have every parameter, \['W'\], got \['b'\]; what is missing is \['W'\]",
        ),
        (
            lambda: book.numerical_gradient(np.sum, np.array([3, 4])),
            ArgumentTypeError,
            r"got dtype int64; take np.array\(x, float\)",
        ),
        (
            lambda: book.SimpleConvNet().predict(np.ones((2, 784))),
            ShapeError,
            r"SimpleConvNet: x must have shape \(N, 1, 28, 28\), got \(2, 784\); "
            r"x.reshape\(-1, 1, 28, 28\) has it, and so has load_mnist\(flatten=False\)",
        ),
        (
            lambda: book.DeepConvNet().accuracy(np.ones((2, 1, 8, 8)), [0, 1]),
            ShapeError,
            r"got \(2, 1, 8, 8\); DeepConvNet\(input_dim=\(1, 8, 8\)\) is made for such images",
        ),
        (lambda: book.smooth_curve(np.ones(3)), ShapeError, "at least 6 values"),
        (lambda: book.shuffle_dataset(np.ones(3), np.ones(2)), ShapeError, "one row for each"),
        (lambda: book.conv_output_size(4, 0), ArgumentError, "filter_size must be at least 1"),
        (lambda: book.softmax(3.0), ShapeError, "axis of classes"),
    ],
)
def test_refusals(call, error, text):
    with pytest.raises(error, match=text):
        call()
