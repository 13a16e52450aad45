"""The worked numbers of the documents that the project was asked for.

A: notes on chapter 7 of "Deep Learning from Scratch"; B: a lecture on convolutional networks
with im2col; C: a Keras article on MNIST; D: a quiz on convolution layers; E: an introduction
to convolution, pooling and dense layers.
"""

from __future__ import annotations

import numpy as np
import pytest

import fastconv

X = [[1, 2, 3, 4], [4, 3, 2, 1], [0, 1, 2, 3], [3, 2, 1, 2]]
F = [[1, 0, 2], [0, 2, 0], [1, 1, -1]]


@pytest.fixture(params=["float32", "float64"])
def x(request):
    return np.array(X, request.param).reshape(1, 1, 4, 4)


@pytest.fixture
def f(x):
    return np.array(F, x.dtype).reshape(1, 1, 3, 3)


@pytest.fixture(params=["direct", "im2col", "auto"])
def algorithm(request):
    return request.param


def conv(filters, kernel_size, **config):
    return "Conv2D", {"filters": filters, "kernel_size": kernel_size, **config}


def pool(pool_size, **config):
    return "MaxPool2D", {"pool_size": pool_size, **config}


def dense(units):
    return "Dense", {"units": units}


def network(layers, shape):
    return fastconv.Sequential(layers, input_shape=shape, seed=0)


def test_convolution_is_nine_products(x, f, algorithm):
    y = fastconv.conv2d(x, f, algorithm=algorithm)
    assert y[0, 0].tolist() == [[12, 14], [14, 10]]
    products = [a * b for a, b in zip([1, 2, 3, 4, 3, 2, 0, 1, 2], np.ravel(F), strict=True)]
    assert products == [1, 0, 6, 0, 6, 0, 0, 1, -2]
    assert y[0, 0, 0, 0] == sum(products)


@pytest.mark.parametrize(
    ("stride", "expected"),
    [
        (1, [[3, 9, 10, 11], [11, 12, 14, 10], [7, 14, 10, 11], [8, 8, 9, 6]]),
        (2, [[3, 10], [7, 10]]),
        (3, [[3, 11], [8, 6]]),
    ],
)
def test_convolution_with_padding_and_stride(x, f, algorithm, stride, expected):
    y = fastconv.conv2d(x, f, padding=1, stride=stride, algorithm=algorithm)
    assert y[0, 0].tolist() == expected


def test_same_padding_keeps_the_shape(x, f):
    same = fastconv.conv2d(x, f, padding="same")
    np.testing.assert_array_equal(same, fastconv.conv2d(x, f, padding=1))


def test_the_same_convolution_as_a_layer(x, f):
    net = fastconv.Sequential(
        [conv(1, 3, padding=1, bias=False)], input_shape=(1, 4, 4), dtype=x.dtype.name
    )
    net["conv2d_1"].set_params(weight=f)
    assert net(x)[0, 0].tolist()[0] == [3, 9, 10, 11]


def test_channels_are_summed_and_filters_have_a_bias_each(x, f, algorithm):
    images = np.concatenate([x, 2 * x], axis=1)  # two channels
    weight = np.concatenate([np.concatenate([f, f], axis=1), np.zeros((1, 2, 3, 3), x.dtype)])
    y = fastconv.conv2d(images, weight, np.array([0.5, -7], x.dtype), algorithm=algorithm)
    assert y[0, 0].tolist() == [[36.5, 42.5], [42.5, 30.5]]
    assert (y[0, 1] == -7).all()


def test_pooling(x):
    assert fastconv.max_pool2d(x, 2)[0, 0].tolist() == [[4, 4], [3, 3]]
    assert fastconv.avg_pool2d(x, 2)[0, 0].tolist() == [[2.5, 2.5], [1.5, 2.0]]
    for layer, right in (("MaxPool2D", [[4, 4], [3, 3]]), ("AvgPool2D", [[2.5, 2.5], [1.5, 2.0]])):
        net = fastconv.Sequential(
            [(layer, {"pool_size": 2})], input_shape=(1, 4, 4), dtype=x.dtype.name
        )
        assert net(x)[0, 0].tolist() == right
        assert net.count_params() == 0


def test_im2col_has_a_row_a_window():
    assert fastconv.im2col(np.ones((10, 3, 7, 7)), 5, 5).shape == (90, 75)
    assert fastconv.im2col(np.ones((1, 3, 7, 7)), 5, 5).shape == (9, 75)
    col, x = fastconv.im2col(np.ones((10, 3, 7, 7), np.float32), 5, 5), np.ones((10, 3, 7, 7))
    assert (col.size, x.size) == (6750, 1470)
    assert round(col.size / x.size, 2) == 4.59
    assert col.dtype == np.float32  # the book's is float64 always


def test_convolution_by_the_books_im2col(x, f):
    """The filter as a column, one matrix product, reshaped back."""
    product = fastconv.im2col(x, 3, 3, 1, 1) @ f.reshape(1, -1).T  # K a row of C*R*S
    y = product.reshape(1, 4, 4, 1).transpose(0, 3, 1, 2)  # (N*OH*OW, K) -> NCHW
    np.testing.assert_array_equal(y, fastconv.conv2d(x, f, padding=1))


def test_pooling_by_the_books_im2col(rng):
    """Rows are windows x channels, and the maximum of each row is the output."""
    x = rng.standard_normal((2, 3, 6, 6))
    col = fastconv.im2col(x, 2, 2, 2).reshape(-1, 4)  # (N*OH*OW, C*4) -> (N*OH*OW*C, 4)
    y = col.max(axis=1).reshape(2, 3, 3, 3).transpose(0, 3, 1, 2)  # (N, OH, OW, C) -> NCHW
    np.testing.assert_array_equal(y, fastconv.max_pool2d(x, 2))


def test_columns_of_a_whole_batch_take_441_mib():
    """Float64, as the book has it; ours keeps none of it for the backward pass."""
    costs = fastconv.conv2d_costs((32, 64, 56, 56), (64, 64, 3, 3), dtype="float64", padding=1)
    assert costs["im2col"].workspace == 441 * 2**20
    assert costs["direct"].workspace == 0


def test_output_size_of_the_quiz():
    y = fastconv.conv2d(np.ones((1, 1, 25, 25)), np.ones((1, 1, 5, 5)), stride=2)
    assert y.shape == (1, 1, 11, 11)
    assert all(type(size) is int for size in y.shape)
    net = network([conv(1, 5, stride=2)], (1, 25, 25))
    assert net(np.ones((3, 1, 25, 25), np.float32)).shape == (3, 1, 11, 11)


def test_parameters_of_the_quiz():
    net = network([conv(32, 3)], (16, 8, 8))
    assert net["conv2d_1"].params["weight"].size == 4608
    assert net["conv2d_1"].params["bias"].size == 32
    assert net.count_params() == 4640


def test_bottleneck_of_one_by_one():
    assert network([conv(64, 3)], (32, 100, 100)).count_params() == 18496
    through = network([conv(16, 1), "ReLU", conv(64, 3)], (32, 100, 100))
    assert sum(a.size for a in through["conv2d_1"].params.values()) == 528
    assert sum(a.size for a in through["conv2d_2"].params.values()) == 9280
    assert through.count_params() == 9808


def test_one_by_one_is_a_ninth_of_the_work():
    costs = [
        fastconv.conv2d_costs((1, 32, 100, 100), (64, 32, k, k), padding=k // 2)["direct"]
        for k in (1, 3)
    ]
    assert 9 * costs[0].multiply_adds == costs[1].multiply_adds


@pytest.mark.parametrize(
    ("kernel", "first", "last", "total"), [(3, 1280, 216330, 217610), (4, 2176, 184330, 186506)]
)
def test_the_keras_model(kernel, first, last, total):
    net = network([conv(128, kernel), pool(2), "Flatten", dense(10)], (1, 28, 28))
    counts = [sum(array.size for array in layer.params.values()) for layer in net.layers]
    assert counts == [first, 0, 0, last]
    assert net.count_params() == total
    assert net(np.ones((2, 1, 28, 28), np.float32)).shape == (2, 10)
    summary = str(net.summary()).replace(",", "")  # it may write 217,610
    assert all(str(number) in summary for number in (first, last, total))


def test_five_dense_layers_on_an_image_of_800_x_600():
    """A dense layer is a 1x1 convolution of a map of one pixel: one multiply-add a weight."""
    pixels = 800 * 600
    units = [(pixels, pixels)] * 3 + [(pixels, 4)]
    weights = [
        fastconv.conv2d_costs((1, inputs, 1, 1), (outputs, inputs, 1, 1))["direct"].multiply_adds
        for inputs, outputs in units
    ]
    # 3 (800 x 600)^2 + 4 x 800 x 600; the article misprints it
    assert sum(weights) == 691_201_920_000
    net = network(["Flatten", ("Dense", {"units": 4, "bias": False})], (1, 600, 800))
    assert net.count_params() == weights[-1]


def test_an_rgb_image_of_100_x_100():
    net = network(["Flatten"], (3, 100, 100))
    assert net(np.ones((1, 3, 100, 100), np.float32)).shape == (1, 30000)


@pytest.mark.parametrize(("kernel", "centre"), [(5, 3.0), (6, 3.5)])
def test_the_centre_of_an_even_kernel_is_between_pixels(kernel, centre):
    """A single point becomes a square; its middle is the point only if the kernel is odd."""
    x = np.zeros((1, 1, 21, 21))
    x[0, 0, 10, 10] = 1
    y = fastconv.conv2d(x, np.ones((1, 1, kernel, kernel)), padding="same")[0, 0]
    rows, columns = np.nonzero(y)
    assert np.mean(np.arange(1, kernel + 1)) == centre
    # "same" has its odd cell after the map, so the tap on the point is floor(centre), from 1.
    assert abs(rows.mean() - 10) == abs(columns.mean() - 10) == centre - np.floor(centre)


def test_pooling_ignores_shifts_within_a_window():
    def pooled(i, j):
        x = np.zeros((1, 1, 6, 6))
        x[0, 0, i, j] = 9
        return fastconv.max_pool2d(x, 2)[0, 0].tolist()

    within = [pooled(i, j) for i in (2, 3) for j in (2, 3)]
    assert all(y == [[0, 0, 0], [0, 9, 0], [0, 0, 0]] for y in within)
    assert pooled(2, 4) == [[0, 0, 0], [0, 0, 9], [0, 0, 0]]  # across the border


NETWORKS = {
    "SimpleConvNet": (
        433_890,
        (1, 28, 28),
        [conv(30, 5), "ReLU", pool(2), "Flatten", dense(100), "ReLU", dense(10)],
    ),
    "DeepConvNet": (
        123_552,
        (1, 28, 28),
        [
            *[conv(16, 3, padding=1), "ReLU", conv(16, 3, padding=1), "ReLU", pool(2)],
            *[conv(32, 3, padding=1), "ReLU", conv(32, 3, padding=2), "ReLU", pool(2)],
            *[conv(64, 3, padding=1), "ReLU", conv(64, 3, padding=1), "ReLU", pool(2)],
            *["Flatten", dense(50), "ReLU", ("Dropout", {"rate": 0.5})],
            *[dense(10), ("Dropout", {"rate": 0.5})],
        ],
    ),
    "LeNet-5": (
        61_706,
        (1, 28, 28),
        [
            *[conv(6, 5, padding=2), "Tanh", ("AvgPool2D", {"pool_size": 2})],
            *[conv(16, 5), "Tanh", ("AvgPool2D", {"pool_size": 2})],
            *["Flatten", dense(120), "Tanh", dense(84), "Tanh", dense(10)],
        ],
    ),
    "AlexNet": (
        60_965_224,
        (3, 227, 227),
        [
            *[conv(96, 11, stride=4), "ReLU", pool(3, stride=2)],
            *[conv(256, 5, padding=2, groups=2), "ReLU", pool(3, stride=2)],
            *[conv(384, 3, padding=1), "ReLU", conv(384, 3, padding=1, groups=2), "ReLU"],
            *[conv(256, 3, padding=1, groups=2), "ReLU", pool(3, stride=2)],
            *["Flatten", dense(4096), "ReLU", dense(4096), "ReLU", dense(1000)],
        ],
    ),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_parameters_of_the_networks_of_the_book(name):
    count, shape, layers = NETWORKS[name]
    net = network(layers, shape)
    assert net.count_params() == count
    y = net(np.ones((1, *shape), np.float32))
    assert y.shape == (1, 1000 if name == "AlexNet" else 10)
    assert np.isfinite(y).all() and np.any(y)


def test_filters_find_edges_and_diagonals():
    """A filter answers most where the image looks like it: an inner product."""
    images = {
        "vertical": np.tile([1.0, -1.0, 0.0], (3, 1)),
        "horizontal": np.tile([1.0, -1.0, 0.0], (3, 1)).T,
        "diagonal": np.eye(3) - 1 / 3,
    }
    weight = np.stack(list(images.values()))[:, None]
    for place, image in enumerate(images.values()):
        y = fastconv.conv2d(image[None, None], weight).ravel()
        assert y.argmax() == place
        assert y[place] == pytest.approx(np.vdot(image, image))


def test_where_the_code_of_the_book_is_weak():
    x = -np.ones((1, 1, 4, 4), np.float32)
    assert fastconv.max_pool2d(x, 2, padding=1).tolist() == [[[[-1] * 3] * 3]]  # not 0
    net = network(["ReLU"], (1, 4, 4))
    dy = np.ones((1, 1, 4, 4), np.float32)
    dx = net.input_gradient(x, dy)
    assert (dy == 1).all() and (dx == 0).all()  # the caller's gradient is not written
    norm = network(["BatchNorm"], (5, 4, 4))
    assert norm.count_params() == 10  # two a channel, not two an activation
