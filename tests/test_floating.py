"""The floating-point error state of the caller, and warnings that are errors, never matter."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Callable, Iterator

import numpy as np
import pytest

import fastconv
from fastconv import functional, initializers, reference, registry
from fastconv.floating import is_finite, quietly
from fastconv.layers import Spec
from fastconv.layers.context import Context
from fastconv.layers.parameter import Parameter
from fastconv.training import Callback

HARD = {
    "float32": [3e38, -3e38, 1e-40, -1e-45, 1e-20, 1e20, np.inf, -np.inf, np.nan, 0.0, 88.0, -104],
    "float64": [
        1.7e308,
        -1.7e308,
        1e-310,
        5e-324,
        1e-200,
        1e200,
        np.inf,
        -np.inf,
        np.nan,
        0.0,
        710.0,
        -745.0,
    ],
}


@pytest.fixture(autouse=True)
def every_error_raises() -> Iterator[None]:
    with warnings.catch_warnings(), np.errstate(all="raise"):
        warnings.simplefilter("error")
        yield


def hard(shape: tuple[int, ...], dtype: str, seed: int = 0) -> np.ndarray:
    """Numbers at both ends of the range, infinities and NaN among Gaussian ones."""
    rng = np.random.default_rng(seed)
    array = rng.standard_normal(shape).astype(dtype)
    flat = array.reshape(-1)
    places = rng.permutation(flat.size)[: 3 * len(HARD[dtype])]
    flat[places] = np.resize(np.array(HARD[dtype], dtype), len(places))
    return array


def test_the_arrays_are_hard():
    with pytest.raises(FloatingPointError):
        hard((6, 6), "float32") * np.float32(1e-30)
    with pytest.raises(FloatingPointError):
        np.exp(hard((6, 6), "float64"))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("name", fastconv.list_layers())
def test_layers(name, training, dtype):
    kind = registry.layers.get(name)
    layer = fastconv.create_layer(name, **kind.example_config)
    takes = dtype if dtype in kind.takes else kind.takes[0]
    layer.ensure_built(0, *(Spec(shape, takes) for shape in kind.example_shapes))
    xs = [hard((3, *shape), dtype, i) for i, shape in enumerate(kind.example_shapes)]
    if takes != dtype:  # integers, which have no such numbers
        xs = [np.ones(x.shape, takes) for x in xs]
    for needs in (frozenset(layer.parameters), ()):
        ctx = Context(training, needs=[True] * len(xs), needs_params=needs)
        y = layer.forward(ctx, *xs)
        layer.backward(ctx, hard(y.shape, dtype, 9))
    for key, parameter in layer.parameters.items():
        layer.set_params(**{key: np.full(parameter.shape, 1e-300)})


SHARES = {"cross_entropy", "binary_cross_entropy"}
BINARY = {"binary_cross_entropy", "sigmoid_cross_entropy", "binary_accuracy", "auc"}
CLASSES = {
    "softmax_cross_entropy",
    "cross_entropy",
    "accuracy",
    "top_k",
    "precision",
    "recall",
    "f1",
}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", registry.losses.names() + registry.metrics.names())
def test_losses_and_metrics(name, dtype):
    where = registry.losses if name in registry.losses.names() else registry.metrics
    use = registry.create(where, name, {"k": 2} if name == "top_k" else {}, "test")
    outputs, targets = hard((8, 5), dtype), hard((8, 5), "float64", 1)
    if name in SHARES:
        outputs = np.minimum(np.abs(outputs), 1) if name in BINARY else np.abs(outputs)
    if name in BINARY:
        targets = np.where(np.isfinite(targets), np.minimum(np.abs(targets), 1), 1e-300)
    elif name in CLASSES:
        targets = np.where(np.isfinite(targets), np.abs(targets), 1e-300)
        use(outputs, np.arange(8) % 5)
    use(outputs, targets)


@pytest.mark.parametrize("name", registry.optimizers.names())
def test_optimizers(name):
    optimizer = registry.create(registry.optimizers, name, {}, "test")
    parameter = Parameter(hard((7, 5), "float32"))
    for seed in range(3):
        optimizer.update({"w": parameter}, {"w": hard((7, 5), "float64", seed)})
    optimizer.load_state_dict(optimizer.state_dict())


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    "spec",
    [
        ("gaussian", {"std": 1e-39}),
        ("gaussian", {"std": 1e38}),
        ("constant", {"value": 1e-41}),
        "he",
        "xavier",
        "ones",
        "zeros",
    ],
)
def test_initializers(spec, dtype):
    start = initializers.resolve(spec, "test")
    start(np.random.default_rng(0), (30, 40), 4, dtype)


PADDED = {"padding": 1, "precision": "fast"}
FUNCTIONS: dict[str, Callable] = {
    "conv2d": lambda x, w, b, a: fastconv.conv2d(x, w, b, algorithm=a, **PADDED),
    "relu": lambda x, w, b, a: fastconv.conv2d(x, w, b, algorithm=a, activation="relu", **PADDED),
    "conv2d_backward": lambda x, w, b, a: fastconv.conv2d_backward(
        hard((2, 5, 8, 8), x.dtype.name, 3), x, w, algorithm=a, **PADDED
    ),
    "prepare_conv2d": lambda x, w, b, a: fastconv.conv2d(x, fastconv.prepare_conv2d(w)),
    "max_pool2d": lambda x, w, b, a: fastconv.max_pool2d_backward(
        hard((2, 4, 4, 4), x.dtype.name, 3),
        fastconv.max_pool2d(x, 2, return_indices=True)[1],
        x.shape,
    ),
    "avg_pool2d": lambda x, w, b, a: fastconv.avg_pool2d_backward(
        fastconv.avg_pool2d(x, 2), x.shape, 2
    ),
    "im2col": lambda x, w, b, a: fastconv.col2im(fastconv.im2col(x, 3, 3), x.shape, 3, 3),
    "conv2d_transpose": lambda x, w, b, a: fastconv.conv2d_transpose(
        x, w[:4], b[:4], algorithm=a, activation="relu", **PADDED
    ),
    "conv2d_transpose_backward": lambda x, w, b, a: fastconv.conv2d_transpose_backward(
        hard((2, 4, 8, 8), x.dtype.name, 3), x, w[:4], algorithm=a, **PADDED
    ),
    "upsample2d": lambda x, w, b, a: fastconv.upsample2d_backward(
        fastconv.upsample2d(x, 3, "bilinear"), 3, "bilinear"
    ),
    "unfold2d": lambda x, w, b, a: functional.fold2d(functional.unfold2d(x, 3), (8, 8), 3),
}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("algorithm", ["auto", "direct", "im2col", "im2col_tiled", "winograd"])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions(name, algorithm, dtype):
    x, weight, bias = hard((2, 4, 8, 8), dtype), hard((5, 4, 3, 3), dtype, 1), hard((5,), dtype, 2)
    FUNCTIONS[name](x, weight, bias, algorithm)


TWINS: dict[str, Callable] = {
    "conv2d": lambda x, w, b, dy: reference.conv2d(x, w, b, padding=1, activation="relu"),
    "conv2d_backward": lambda x, w, b, dy: reference.conv2d_backward(dy, x, w, padding=1),
    "max_pool2d": lambda x, w, b, dy: reference.max_pool2d(x, 2, return_indices=True),
    "avg_pool2d": lambda x, w, b, dy: reference.avg_pool2d(x, 2),
    "avg_pool2d_backward": lambda x, w, b, dy: reference.avg_pool2d_backward(x, (2, 4, 16, 16), 2),
    "col2im": lambda x, w, b, dy: reference.col2im(reference.im2col(x, 3, 3), x.shape, 3, 3),
    "conv2d_transpose": lambda x, w, b, dy: reference.conv2d_transpose(
        x, w[:4], b[:4], activation="relu"
    ),
    "conv2d_transpose_backward": lambda x, w, b, dy: reference.conv2d_transpose_backward(
        x, x, w[:4], padding=1
    ),
    "upsample2d": lambda x, w, b, dy: reference.upsample2d(x, 3, "bilinear"),
    "upsample2d_backward": lambda x, w, b, dy: reference.upsample2d_backward(x, 2, "bilinear"),
    "fold2d": lambda x, w, b, dy: reference.fold2d(reference.unfold2d(x, 3), (8, 8), 3),
    "dense": lambda x, w, b, dy: reference.dense(x[0, 0], x[1, 0], x[0, 1, 0]),
    "dense_backward": lambda x, w, b, dy: reference.dense_backward(x[0, 0], x[0, 1], x[1, 0]),
    "embedding_backward": lambda x, w, b, dy: reference.embedding_backward(
        x[0, 0], np.array([0, 1, 1, 0, 2, 1, 1, 0]), 3
    ),
    "layer_norm": lambda x, w, b, dy: reference.layer_norm(x, x[0], x[1]),
    "layer_norm_backward": lambda x, w, b, dy: reference.layer_norm_backward(
        x, x[::-1], x[0], x[:, 0, 0, 0], x[:, 0, 0, 1]
    ),
    "group_norm": lambda x, w, b, dy: reference.group_norm(x, x[0, :, 0, 0], x[0, :, 0, 1], 2),
    "group_norm_backward": lambda x, w, b, dy: reference.group_norm_backward(
        x, x[::-1], x[0, :, 0, 0], x[:, :2, 0, 0], x[:, :2, 0, 1]
    ),
    "local_response_norm": lambda x, w, b, dy: reference.local_response_norm(x, 3),
    "local_response_norm_backward": lambda x, w, b, dy: reference.local_response_norm_backward(
        x, x[::-1], 3
    ),
    **{
        f"{name}_backward": lambda x, w, b, dy, f=f"{name}_backward": getattr(reference, f)(
            x[0, 0], x[1, 0]
        )
        for name in ("sigmoid", "tanh", "softmax")
    },
    **{
        name: lambda x, w, b, dy, name=name: getattr(reference, name)(x[0, 0])
        for name in (
            "exp",
            "expm1",
            "log",
            "log1p",
            "tanh",
            "erf",
            "sigmoid",
            "softmax",
            "log_softmax",
        )
    },
}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", TWINS)
def test_the_specification(name, dtype):
    x, weight, bias = hard((2, 4, 8, 8), dtype), hard((5, 4, 3, 3), dtype, 1), hard((5,), dtype, 2)
    TWINS[name](x, weight, bias, hard((2, 5, 8, 8), dtype, 3))


def network() -> fastconv.Sequential:
    layers = [
        ("Conv2D", {"filters": 4, "kernel_size": 3}),
        "BatchNorm",
        "ReLU",
        ("MaxPool2D", {"pool_size": 2}),
        "Flatten",
        ("Dropout", {"rate": 0.3}),
        ("Dense", {"units": 5}),
        "Sigmoid",
        ("Dense", {"units": 5}),
        "Tanh",
        ("Dense", {"units": 3}),
        "Softmax",
    ]
    net = fastconv.Sequential(layers, (2, 8, 8), seed=0)
    net.compile("adam", "cross_entropy", "accuracy")
    return net


@pytest.mark.parametrize("limit", [None, "1 MB"])
@pytest.mark.parametrize("kind", ["small", "hard"])
def test_the_whole_of_a_training(kind, limit, tmp_path):
    net, y = network(), np.arange(20) % 3
    x = hard((20, 2, 8, 8), "float64")
    if kind == "small":
        x = np.clip(np.where(np.isfinite(x), x, 0), -1e-30, 1e-30)
    options = {"memory_limit": limit}
    net.fit(x, y, epochs=2, verbose=0, validation_data=(x, y), stop_on_nan=False, **options)
    net.train_on_batch(x, y, stop_on_nan=False, **options)
    net.evaluate(x, y, **options)
    net.predict(x, 7, **options), net(x, **options)
    net.intermediate(x, ["conv2d_1", "softmax_1"])
    net.input_gradient(x, np.full((20, 3), 1e-300))
    net.set_weights({"dense_1/bias": np.full(5, 1e-300)})
    net.for_inference()(x)
    net.save(tmp_path / "net.safetensors")
    net.save_weights(tmp_path / "weights.safetensors")
    net.load_weights(tmp_path / "weights.safetensors")
    for for_inference in (False, True):
        fastconv.load(tmp_path / "net.safetensors", for_inference=for_inference)(x)
    net.plan(4, training=True, **options), net.measure(4, training=True), net.summary()


def test_a_training_that_is_stopped():
    net = network()
    with pytest.raises(fastconv.errors.TrainingError):
        net.fit(hard((20, 2, 8, 8), "float64"), np.arange(20) % 3, verbose=0)


def test_a_batch_norm_is_folded():
    net = network()
    net.set_weights(
        {"batch_norm_1/running_var": np.full(4, 1e-38), "batch_norm_1/weight": np.full(4, 3e38)}
    )
    net.for_inference()


def test_callbacks_and_metrics_run_under_the_callers_state():
    seen = []

    class Look(Callback):
        def on_epoch_begin(self, run, epoch):
            seen.append(np.geterr())

        on_fit_begin = on_fit_end = lambda self, run: seen.append(np.geterr())

        def on_batch_end(self, run, batch, figures):
            seen.append(np.geterr())

    def metric(outputs, targets):
        seen.append(np.geterr())
        return np.zeros(len(outputs))

    net = network()
    net.compile("sgd", "cross_entropy", metric)
    x, y = np.ones((20, 2, 8, 8)), np.arange(20) % 3
    state = np.geterr()
    net.fit(x, y, epochs=1, verbose=0, callbacks=[Look(), lambda *_: seen.append(np.geterr())])
    net.evaluate(x, y)
    assert len(seen) == 7 and all(found == state for found in seen)
    assert np.geterr() == state


class Square(fastconv.Layer):
    """A third party's layer, whose arithmetic is NumPy's."""

    def infer(self, *specs: Spec) -> Spec:
        return specs[0]

    def forward(self, ctx: Context, *xs: np.ndarray) -> np.ndarray:
        return xs[0] * xs[0]


def test_layers_of_others_run_as_ours():
    x = np.array([[1e30, 1e-30, 2]], "float32")
    net = fastconv.Sequential(["ReLU", Square(), "ReLU"], (3,))
    for run in (net, net.predict, net.for_inference(), lambda x: net(x, memory_limit="1 MB")):
        assert run(x).tolist() == [[np.inf, 0, 4]]


def test_the_state_is_given_back_also_by_recursion_threads_and_errors():
    @quietly
    def nested(depth: int) -> None:
        if depth:
            nested(depth - 1)
        assert np.geterr()["over"] == "ignore"
        if not depth:
            raise KeyError

    def run() -> None:
        with np.errstate(all="call"):
            with pytest.raises(KeyError):
                nested(3)
            assert np.geterr()["over"] == "call"

    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    run()
    for thread in threads:
        thread.join()
    assert np.geterr()["over"] == "raise"


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_what_is_finite(dtype):
    largest = np.finfo(dtype).max
    assert is_finite(np.full(1000, largest, dtype)) and is_finite(np.zeros((0, 3), dtype))
    assert is_finite(np.array(1.0, dtype)) and is_finite(np.full((3, 4), -largest, dtype).T[::-1])
    for wrong in (np.nan, np.inf, -np.inf):
        for place in (0, 77, 999):
            array = np.full(1000, largest, dtype)
            array[place] = wrong
            assert not is_finite(array) and not is_finite(array.reshape(10, 100).T)
    assert not is_finite(np.array([np.inf, -np.inf], dtype))


@pytest.mark.parametrize(
    ("layer", "settings"),
    [
        ("Dense", {"units": 3, "initializer": ("gaussian", {"std": 1e-60})}),
        ("Dense", {"units": 3, "initializer": ("gaussian", {"std": 1e60})}),
        ("Dense", {"units": 3, "initializer": ("constant", {"value": 1e60})}),
        ("Dense", {"units": 3, "initializer": ("constant", {"value": -1e-60})}),
    ],
)
def test_starting_values_that_the_dtype_does_not_hold_are_refused(layer, settings):
    with pytest.raises(fastconv.ArgumentError, match="must not round to -?(0|inf) in float32"):
        fastconv.Sequential([(layer, settings)], (4,))
    fastconv.Sequential([(layer, settings)], (4,), dtype="float64")


def test_pictures_and_help_for_tests():
    weight = hard((2, 1, 6, 6), "float64")
    drawn = fastconv.plot.filters_text({"a": np.where(np.isfinite(weight), weight, 0)})
    assert {" ", "█"} <= set(drawn)
    fastconv.testing.assert_close(np.float32([1e-45]), np.float32([1e-45]))
    fastconv.testing.check_layer("BatchNorm", (2, 3, 4, 4))
