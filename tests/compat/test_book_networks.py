"""The book's networks and its Trainer give the book's numbers, in the book's order."""

from __future__ import annotations

import gzip
import inspect
import struct

import book_reference as reference
import numpy as np
import pytest

import fastconv
from fastconv.compat import deep_learning_from_scratch as book
from fastconv.errors import ArgumentError, ArgumentTypeError, ShapeError

SMALL = {"filter_num": 5, "filter_size": 3, "pad": 0, "stride": 1}


@pytest.fixture(scope="module")
def digits():
    return fastconv.data.digits()


def small(**options):
    return book.SimpleConvNet((1, 8, 8), SMALL, hidden_size=20, **options)


def test_the_loss_curve_of_simple_conv_net_is_the_book_s(digits):
    """100 steps of three optimizers, each from the same weights and batches."""
    x, t = digits[0].astype(np.float64), digits[1]
    for name, rate in (("SGD", 0.1), ("Momentum", 0.02), ("Adam", 0.005)):
        np.random.seed(0)
        net = small(weight_init_std=0.3)
        params = {key: value.copy() for key, value in net.params.items()}
        ours, theirs = getattr(book, name)(lr=rate), reference.Descent(name.lower(), rate)
        curves = []
        for _ in range(100):
            rows = np.random.choice(len(x), 20)
            ours.update(net.params, net.gradient(x[rows], t[rows]))
            loss, grads = reference.simple_conv_net(params, x[rows], t[rows])
            assert net.last_layer.loss == pytest.approx(loss, rel=1e-4)
            theirs.update(params, grads)
            curves.append(loss)
        assert np.mean(curves[-10:]) < 0.8 * np.mean(curves[:10])
        for key in params:
            np.testing.assert_allclose(net.params[key], params[key], rtol=1e-4, atol=1e-7)


def test_weights_are_drawn_in_the_book_s_order():
    np.random.seed(5)
    drawn = [np.random.randn(*shape) for shape in ((30, 1, 5, 5), (4320, 100), (100, 10))]
    np.random.seed(5)
    net = book.SimpleConvNet()
    for number, values in enumerate(drawn, 1):
        assert (net.params[f"W{number}"] == 0.01 * values).all()
        assert (net.params[f"b{number}"] == 0).all()
    assert list(net.params) == ["W1", "b1", "W2", "b2", "W3", "b3"]
    assert list(net.layers) == ["Conv1", "Relu1", "Pool1", "Affine1", "Relu2", "Affine2"]
    assert net.layers["Conv1"].W is net.params["W1"]
    np.random.seed(5)
    first = np.random.randn(784, 50)
    np.random.seed(5)
    he = book.MultiLayerNet(784, [50, 40], 10).params["W1"]
    np.testing.assert_allclose(he, first * np.sqrt(2 / 784), rtol=1e-15)
    np.random.seed(5)
    xavier = book.MultiLayerNet(784, [50], 10, weight_init_std="Xavier").params["W1"]
    np.testing.assert_allclose(xavier, first * np.sqrt(1 / 784), rtol=1e-15)


def networks():
    extended = {"use_batchnorm": True, "weight_decay_lambda": 0.1, "activation": "sigmoid"}
    return {
        "SimpleConvNet": (small(weight_init_std=0.3), (1, 8, 8)),
        "TwoLayerNet": (book.TwoLayerNet(6, 5, 3, weight_init_std=0.5), (6,)),
        "MultiLayerNet": (book.MultiLayerNet(6, [5, 4], 3, weight_decay_lambda=0.1), (6,)),
        "MultiLayerNetExtend": (book.MultiLayerNetExtend(6, [5, 4], 3, **extended), (6,)),
    }


@pytest.mark.parametrize(
    "name", ["SimpleConvNet", "TwoLayerNet", "MultiLayerNet", "MultiLayerNetExtend"]
)
def test_gradients_are_those_by_differences(name):
    np.random.seed(0)
    net, shape = networks()[name]
    x, t = np.random.rand(4, *shape), np.array([0, 2, 1, 1])
    found, expected = net.gradient(x, t), net.numerical_gradient(x, t)
    assert set(found) == set(expected) == set(net.params)
    for key in expected:
        np.testing.assert_allclose(found[key], expected[key], rtol=1e-3, atol=1e-5)
        assert np.abs(found[key]).max() > 1e-3 or (name.endswith("Extend") and key[0] == "b")


def test_deep_conv_net_is_the_book_s(monkeypatch):
    np.random.seed(0)
    net = book.DeepConvNet(dtype="float64")
    assert sum(value.size for value in net.params.values()) == 123_552
    kinds = [type(layer).__name__ for layer in net.layers]
    block = ["Convolution", "Relu", "Convolution", "Relu", "Pooling"]
    assert kinds == [*block * 3, "Affine", "Relu", "Dropout", "Affine", "Dropout"]
    x, t = np.random.rand(2, 1, 28, 28), np.array([3, 7])
    h = x
    for layer in net.layers:
        if isinstance(layer, book.Convolution):
            h = reference.conv(h, layer.W, layer.b, layer.stride, layer.pad)
        elif isinstance(layer, book.Pooling):
            h = reference.pool(h, (2, 2), 2)
        elif isinstance(layer, book.Affine):
            h = h.reshape(2, -1) @ layer.W + layer.b
        else:
            h = np.maximum(h, 0) if isinstance(layer, book.Relu) else 0.5 * h
    np.testing.assert_allclose(net.predict(x), h, rtol=1e-10)
    monkeypatch.setattr(np.random, "rand", lambda *shape: np.ones(shape))  # nothing is dropped
    grads = net.gradient(x, t)
    assert {key: value.shape for key, value in grads.items()} == {
        key: value.shape for key, value in net.params.items()
    }
    for key, place in (("W1", (3, 0, 1, 1)), ("W6", (5, 6, 0, 2)), ("W7", (9, 9)), ("b8", (3,))):
        value, losses = net.params[key][place], []
        for step in (1e-5, -1e-5):
            net.params[key][place] = value + step
            losses.append(net.loss(x, t))
        net.params[key][place] = value
        slope = (losses[0] - losses[1]) / 2e-5
        assert grads[key][place] == pytest.approx(slope, rel=1e-4, abs=1e-9)
    assert book.DeepConvNet(input_dim=(1, 16, 16)).params["W7"].shape == (64 * 2 * 2, 50)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_results_have_the_dtype_of_the_network(dtype, digits):
    x, t = digits[0][:10], digits[1][:10]
    net = small(dtype=dtype)
    assert net.predict(x).dtype == net.predict(x.astype(np.float64)).dtype == dtype
    uint8 = (x * 16).astype(np.uint8)
    assert net.predict(uint8).dtype == dtype
    assert {value.dtype for value in net.gradient(x, t).values()} == {np.dtype(dtype)}
    one_hot = np.eye(10)[t]
    assert net.loss(x, one_hot) == net.loss(x, t)


def test_accuracy_counts_the_last_rows_too():
    net = book.TwoLayerNet(3, 4, 3)
    net.predict = lambda x, train_flg=False: x
    x, t = np.eye(3)[[0, 1, 2, 0, 1]], np.array([0, 1, 2, 0, 2])
    assert net.accuracy(x, t, batch_size=2) == net.accuracy(x, np.eye(3)[t]) == 4 / 5


def test_trainer_takes_the_book_s_steps(digits, capsys):
    x, t = digits[0].astype(np.float64)[:95], digits[1][:95]
    np.random.seed(1)
    net = small(weight_init_std=0.1)
    params = {key: value.copy() for key, value in net.params.items()}
    trainer = book.Trainer(
        net,
        x,
        t,
        x[:30],
        t[:30],
        epochs=2,
        mini_batch_size=20,
        optimizer="AdaGrad",
        optimizer_param={"lr": 0.02},
        evaluate_sample_num_per_epoch=10,
    )
    state = np.random.get_state()
    trainer.train()
    np.random.set_state(state)
    theirs, losses = reference.Descent("adagrad", 0.02), []
    for _ in range(9):  # int(2 * 95 / 20)
        rows = np.random.choice(95, 20)
        theirs.update(params, reference.simple_conv_net(params, x[rows], t[rows])[1])
        losses.append(reference.simple_conv_net(params, x[rows], t[rows])[0])
    assert trainer.train_loss_list == pytest.approx(losses, rel=1e-8)
    out = capsys.readouterr().out
    assert len(trainer.train_acc_list) == len(trainer.test_acc_list) == 3 == trainer.current_epoch
    assert out.count("train loss:") == 9 and out.count("=== epoch:") == 3
    assert out.endswith(
        f"=============== Final Test Accuracy ===============\ntest acc:"
        f"{net.accuracy(x[:30], t[:30])}\n"
    )


def test_trainer_learns_the_digits_quietly(digits, capsys):
    x, t = digits
    np.random.seed(0)
    filters = {**SMALL, "filter_num": 30}
    net = book.SimpleConvNet((1, 8, 8), filters, weight_init_std=0.1, dtype="float32")
    trainer = book.Trainer(
        net,
        x[:1400],
        t[:1400],
        x[1400:],
        t[1400:],
        epochs=8,
        optimizer="adam",
        optimizer_param={"lr": 0.01},
        verbose=False,
    )
    trainer.train()
    assert capsys.readouterr().out == ""
    assert net.accuracy(x[1400:], t[1400:]) > 0.9
    assert trainer.iter_per_epoch == 14 and len(trainer.test_acc_list) == 8


DEFAULTS = {
    "MultiLayerNet": "input_size hidden_size_list output_size activation='relu' "
    "weight_init_std='relu' weight_decay_lambda=0",
    "MultiLayerNetExtend": "input_size hidden_size_list output_size activation='relu' "
    "weight_init_std='relu' weight_decay_lambda=0 use_dropout=False dropout_ration=0.5 "
    "use_batchnorm=False",
    "SimpleConvNet": "input_dim=(1, 28, 28) conv_param=None hidden_size=100 output_size=10 "
    "weight_init_std=0.01",
    "TwoLayerNet": "input_size hidden_size output_size weight_init_std=0.01",
}


@pytest.mark.parametrize("name", DEFAULTS)
def test_signatures_are_the_book_s_with_a_dtype(name):
    *given, dtype = inspect.signature(getattr(book, name)).parameters.values()
    plain = [p.replace(annotation=p.empty) for p in given]
    assert " ".join(map(str, plain)).replace(" = ", "=") == DEFAULTS[name]
    assert dtype.default == "float64"


@pytest.fixture
def folder(tmp_path):
    """Four files as MNIST has them, of images of 2x2."""
    for part, count in (("train", 3), ("t10k", 2)):
        images = np.arange(count * 4, dtype=np.uint8) * 20
        head = struct.pack(">4B3I", 0, 0, 8, 3, count, 2, 2)
        with gzip.open(tmp_path / f"{part}-images-idx3-ubyte.gz", "wb") as file:
            file.write(head + images.tobytes())
        head = struct.pack(">4BI", 0, 0, 8, 1, count)
        labels = tmp_path / f"{part}-labels-idx1-ubyte"
        labels.write_bytes(head + bytes(range(7, 7 + count)))
    return tmp_path


def test_load_mnist(folder):
    (x, t), (x_test, t_test) = book.load_mnist(folder=folder)
    assert x.shape == (3, 4) and x.dtype == np.float32 and x_test.shape == (2, 4)
    assert t.dtype == np.uint8 and t.tolist() == [7, 8, 9] and t_test.tolist() == [7, 8]
    np.testing.assert_array_equal(x.ravel(), (20 * np.arange(12)).astype("f4") / np.float32(255))
    (x, t), _ = book.load_mnist(False, False, True, folder)
    assert x.shape == (3, 1, 2, 2) and x.dtype == np.uint8
    assert x.ravel().tolist() == [20 * n for n in range(12)]
    assert t.shape == (3, 10) and t.argmax(axis=1).tolist() == [7, 8, 9] and t.sum() == 3


def test_load_mnist_looks_where_the_book_has_it(folder, monkeypatch):
    with pytest.raises(ArgumentError, match="dataset"):
        book.load_mnist()
    (folder / "dataset").mkdir()
    for path in list(folder.glob("*ubyte*")):
        path.rename(folder / "dataset" / path.name)
    monkeypatch.chdir(folder)
    assert book.load_mnist()[0][0].shape == (3, 4)
    (folder / "ch07").mkdir()  # as the book's programs are started
    monkeypatch.chdir(folder / "ch07")
    assert book.load_mnist()[0][0].shape == (3, 4)
    with pytest.raises(ArgumentError, match="must hold train-images"):
        book.load_mnist(folder="dataset")  # what is named is not looked for elsewhere
    (folder / "ch07" / "dataset").mkdir()
    with pytest.raises(ArgumentError, match="got 'dataset' without it"):
        book.load_mnist()


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (lambda: book.SimpleConvNet(conv_param={"filters": 3}), ArgumentError, "must be a dict of"),
        (lambda: book.SimpleConvNet((28, 28)), ArgumentError, "input_dim"),
        (lambda: book.MultiLayerNet(3, 4, 5), ArgumentTypeError, "must be a list of sizes"),
        (lambda: book.MultiLayerNet(3, [4], 5, "tanh"), ArgumentError, "'relu' or 'sigmoid'"),
        (lambda: book.MultiLayerNet(3, [4], 5, weight_init_std="hee"), ArgumentError, "'he'"),
        (
            lambda: book.Trainer(None, np.ones(3), np.ones(2), None, None),
            ShapeError,
            "one row for each of x_train",
        ),
        (
            lambda: book.Trainer(None, *[np.ones(3)] * 4, optimizer="addam"),
            ArgumentError,
            "did you mean 'adam'",
        ),
        (
            lambda: book.TwoLayerNet(2, 2, 2).accuracy(np.ones((0, 2)), []),
            ShapeError,
            "must have rows, at least one",
        ),
    ],
)
def test_refusals(call, error, text):
    with pytest.raises(error, match=text):
        call()
