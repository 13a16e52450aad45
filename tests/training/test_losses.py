from __future__ import annotations

import numpy as np
import pytest

import fastconv
from fastconv import registry
from fastconv.errors import ArgumentError, ArgumentTypeError, FastconvError, ShapeError
from fastconv.training import CrossEntropy, Loss, MeanSquaredError, SoftmaxCrossEntropy

RNG = np.random.default_rng(0)
OF_CLASSES = ("softmax_cross_entropy", "cross_entropy")  # the losses that take labels of classes


def softmax(y):
    e = np.exp(y - y.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def numerical(loss, outputs, targets, step=1e-6):
    gradient = np.zeros_like(outputs)
    for index in np.ndindex(outputs.shape):
        up, down = outputs.copy(), outputs.copy()
        up[index] += step
        down[index] -= step
        gradient[index] = (loss(up, targets) - loss(down, targets)) / (2 * step)
    return gradient


def cases(name):
    for shape in [(1, 2), (5, 4), (2, 3, 2, 3)]:
        outputs = RNG.normal(size=shape)
        if name.endswith("cross_entropy") and not name.startswith("s"):
            outputs = softmax(outputs)
        if name in OF_CLASSES:
            labels = RNG.integers(0, shape[1], (shape[0], *shape[2:]))
            yield outputs, labels
            yield outputs, labels.astype(np.uint8)
            yield outputs, np.moveaxis(np.eye(shape[1])[labels], -1, 1)
        yield outputs, softmax(RNG.normal(size=shape))


@pytest.mark.parametrize("name", registry.losses.names())
def test_gradient_is_the_numerical_one(name):
    loss = registry.resolve(registry.losses, name, "test")
    for outputs, targets in cases(name):
        before = outputs.copy(), targets.copy()
        value, gradient = loss.value_and_gradient(outputs, targets)
        assert value == loss(outputs, targets)
        assert gradient.shape == outputs.shape and gradient.dtype == outputs.dtype
        np.testing.assert_allclose(
            gradient, numerical(loss, outputs, targets), rtol=1e-6, atol=1e-9
        )
        np.testing.assert_array_equal(outputs, before[0])
        np.testing.assert_array_equal(targets, before[1])


@pytest.mark.parametrize("name", registry.losses.names())
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_gradient_has_the_dtype_of_the_outputs(name, dtype):
    loss = registry.resolve(registry.losses, name, "test")
    outputs = softmax(RNG.normal(size=(3, 4))).astype(dtype)
    _, gradient = loss.value_and_gradient(outputs, np.eye(4)[[0, 1, 2]])
    assert gradient.dtype == dtype


def test_worked_values():
    assert SoftmaxCrossEntropy()(np.zeros((4, 10)), np.arange(4)) == pytest.approx(np.log(10))
    assert CrossEntropy()(np.array([[0.25, 0.75]]), np.array([1])) == pytest.approx(-np.log(0.75))
    assert MeanSquaredError()(np.array([[1.0, 2.0]]), np.array([[1.0, 4.0]])) == 2.0


def test_labels_and_one_hot_are_the_same():
    outputs, labels = RNG.normal(size=(6, 5)), RNG.integers(0, 5, 6)
    for loss, y in [(SoftmaxCrossEntropy(), outputs), (CrossEntropy(), softmax(outputs))]:
        value, gradient = loss.value_and_gradient(y, labels)
        shares, by_shares = loss.value_and_gradient(y, np.eye(5)[labels])
        assert value == pytest.approx(shares, rel=1e-14)
        np.testing.assert_allclose(gradient, by_shares, rtol=1e-12, atol=1e-16)


def test_the_pair_softmax_and_cross_entropy_agrees_with_the_fused_loss():
    outputs, labels = RNG.normal(size=(6, 5)), RNG.integers(0, 5, 6)
    assert CrossEntropy()(softmax(outputs), labels) == pytest.approx(
        SoftmaxCrossEntropy()(outputs, labels), rel=1e-13
    )


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_huge_logits_stay_finite(dtype):
    loss = SoftmaxCrossEntropy()
    value, gradient = loss.value_and_gradient(np.array([[1e30, -1e30]], dtype), np.array([1]))
    assert np.isfinite(value) and value > 1e30 and gradient.tolist() == [[1, -1]]
    masked = np.array([[0, 0, -np.inf]], dtype)  # a class that is ruled out
    assert loss(masked, np.array([[1.0, 0.0, 0.0]])) == pytest.approx(np.log(2))
    assert loss(masked, np.array([0])) == pytest.approx(np.log(2))


TINY = np.exp(-40.0)  # of logits that are 40 apart


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    ("row", "label", "value", "slopes"),
    [
        ((0, -40), 0, TINY, (-TINY, TINY)),
        ((0, -40), 1, 40, (1, -1)),
        ((100, 0), 1, 100, (1, -1)),
        ((-700, -740), 0, TINY, (-TINY, TINY)),
        ((0, 0, -np.inf), 0, np.log(2), (-0.5, 0.5, 0)),
        ((-40, 0, -40, -40), 1, 3 * TINY, (TINY, -3 * TINY, TINY, TINY)),
    ],
)
def test_tails_of_logits_keep_their_digits(row, label, value, slopes, dtype):
    """Figure and gradient, by labels and by shares, of rows and of pixels."""
    loss, close = SoftmaxCrossEntropy(), {"rtol": 5e-7 if dtype == "float32" else 1e-15}
    outputs = np.array([row], dtype)
    shares = np.eye(len(row))[[label]]
    pixels = np.repeat(outputs[:, :, None], 5, axis=2)
    for y, targets in [
        (outputs, np.array([label])),
        (outputs, shares),
        (pixels, np.full((1, 5), label)),
        (pixels, np.repeat(shares[:, :, None], 5, axis=2)),
    ]:
        found, gradient = loss.value_and_gradient(y, targets)
        answers = y.size // len(row)
        np.testing.assert_allclose(found, value, **close)
        for one in np.moveaxis(gradient, 1, -1).reshape(-1, len(row)):
            np.testing.assert_allclose(one * answers, slopes, **close)
    assert loss(outputs, np.array([label])) == loss(outputs, shares)


def test_shares_near_one_keep_what_they_leave_to_others():
    """Not p - t, both near 1: (1 - t) - (1 - p)."""
    outputs, t = np.array([[0, -14]], np.float32), np.float32(1 - 2.0**-20)
    _, gradient = SoftmaxCrossEntropy().value_and_gradient(outputs, np.array([[t, 1 - t]]))
    other = np.exp(-14.0) / (1 + np.exp(-14.0))
    right = 2.0**-20 - other
    np.testing.assert_allclose(gradient, [[right, -right]], rtol=1e-5)


@pytest.mark.parametrize("name", registry.losses.names())
def test_long_sums_are_exact(name):
    """Four million answers: the error is that of an answer, and not of as many additions."""
    count = 1 << 22
    loss = registry.resolve(registry.losses, name, "test")
    outputs = np.empty((count, 2), np.float32)
    outputs[:] = 0.1, 0.9
    value = loss(outputs, np.zeros(count, np.int64) if name in OF_CLASSES else np.zeros((count, 2)))
    first, second = np.float64(outputs[0])
    right = {
        "softmax_cross_entropy": np.log1p(np.exp(second - first)),
        "cross_entropy": -np.log(first),
        "sigmoid_cross_entropy": (np.log1p(np.exp(first)) + np.log1p(np.exp(second))) / 2,
        "binary_cross_entropy": -(np.log1p(-first) + np.log1p(-second)) / 2,
        "mean_squared_error": (first**2 + second**2) / 2,
        "mean_absolute_error": (first + second) / 2,
        "huber": (first**2 + second**2) / 4,
    }[name]
    assert abs(value / right - 1) < 2e-7


@pytest.mark.parametrize("name", registry.losses.names())
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_error_state_of_the_caller_is_without_effect(name, dtype):
    loss = registry.resolve(registry.losses, name, "test")
    outputs = np.array([[0, 1e-40, 1], [3e38, 1e-45, 0], [1, 90, 0]], dtype)
    if loss.takes in ("probabilities", "chances"):
        outputs = np.minimum(outputs, 1)
    cases = [(outputs, np.eye(3)), (outputs[:, ::-1], np.full((3, 3), 1e-45))]
    if name in OF_CLASSES:
        cases.append((outputs, np.array([0, 1, 2])))
    for y, targets in cases:
        value, gradient = loss.value_and_gradient(y, targets)
        with np.errstate(all="raise"):
            again = loss.value_and_gradient(y, targets)
        assert again[0] == value
        np.testing.assert_array_equal(again[1], gradient)


def test_a_probability_is_at_most_1():
    loss, labels = CrossEntropy(), np.array([0, 1])
    for y in ([[0.5, 0.5], [3.0, 0.1]], [[1.01, 0.0], [0.5, 0.5]]):
        for targets in (labels, np.eye(2)[labels]):
            with pytest.raises(ArgumentError, match="probabilities must be at most 1, got"):
                loss(np.array(y, np.float32), targets)
    for one in (np.float32(1.0000005), 1.0):
        assert abs(loss(np.array([[one, 0], [0, one]], np.float32), labels)) < 1e-6


def test_a_probability_of_zero_gives_a_large_finite_loss():
    y = np.array([[0, 1]], np.float32)
    for targets in (np.array([0]), np.array([[1.0, 0.0]])):
        value, gradient = CrossEntropy().value_and_gradient(y, targets)
        assert value == pytest.approx(87.3365, abs=1e-3) and np.isfinite(gradient).all()


@pytest.mark.parametrize("loss", [SoftmaxCrossEntropy(), CrossEntropy()])
@pytest.mark.parametrize(
    ("targets", "error", "words"),
    [
        (np.array([0, 3]), ArgumentError, "0 to 2 for 3 outputs, got 3"),
        (np.array([-1, 0]), ArgumentError, "got -1"),
        (np.array([0.0, 1.0]), ArgumentTypeError, "y.astype"),
        (np.array([[0], [1]]), ShapeError, r"\(2,\).*got \(2, 1\)"),
        (np.array([0, 1, 2]), ShapeError, r"got \(3,\)"),
        (np.array(["a", "b"]), ArgumentTypeError, "integers"),
        (np.full((2, 3), None), ArgumentTypeError, "numbers"),
    ],
)
def test_wrong_targets_are_refused(loss, targets, error, words):
    with pytest.raises(error, match=words):
        loss(np.full((2, 3), 1 / 3), targets)


def test_other_refusals():
    with pytest.raises(ArgumentError, match="softmax_cross_entropy"):
        CrossEntropy()(np.array([[-1.0, 2.0]]), np.array([0]))
    with pytest.raises(ShapeError, match="one-hot"):
        MeanSquaredError()(np.zeros((2, 3)), np.array([0, 1]))
    with pytest.raises(ArgumentTypeError, match="numbers"):
        MeanSquaredError()(np.zeros((1, 1)), np.array([["a"]]))
    with pytest.raises(ShapeError, match="outputs"):
        SoftmaxCrossEntropy()(np.zeros(3), np.array([0, 1, 2]))


@pytest.mark.parametrize("name", registry.losses.names())
def test_an_empty_batch_costs_nothing(name):
    loss = registry.resolve(registry.losses, name, "test")
    value, gradient = loss.value_and_gradient(np.zeros((0, 3)), np.zeros((0, 3)))
    assert value == 0 and gradient.shape == (0, 3)


@pytest.mark.parametrize("name", registry.losses.names())
def test_masked_targets_are_refused(name):
    loss = registry.create(registry.losses, name, {}, "test")
    outputs = np.full((4, 3), 1 / 3)
    for targets in (np.ma.array([0, 1, 2, 0], mask=[1, 0, 0, 0]), np.ma.array(outputs)):
        with pytest.raises(ArgumentTypeError, match=f"{name}: targets must be a plain array"):
            loss(outputs, targets)
        with pytest.raises(ArgumentTypeError, match=f"{name}: targets must be a plain array"):
            loss.check_targets(outputs.shape, targets)


@pytest.mark.parametrize(
    ("give", "text"),
    [
        (lambda y: 1.0, r"own: value_and_gradient must return \(loss, gradient\), got float"),
        (lambda y: (1.0, y, y), r"must return \(loss, gradient\), got tuple"),
        (lambda y: ("much", y), "own: the loss must be one number, got 'much'"),
        (lambda y: ("1.0", y), "own: the loss must be one number, got '1.0'"),
        (lambda y: (None, y), "own: the loss must be one number, got None"),
        (lambda y: (1j, y), "own: the loss must be one number, got 1j"),
        (lambda y: (10**400, y), "own: the loss must be one number, got an integer of about 400"),
        (lambda y: (np.ones(4), y), "own: the loss must be one number, got ndarray of shape"),
        (lambda y: (1.0, None), r"the gradient must be an array of shape \(4, 3\).* got NoneType"),
        (lambda y: (1.0, y.tolist()), r"must be an array of shape \(4, 3\), as .*, got list"),
        (lambda y: (1.0, y[:1]), r"own: the gradient must be an array .* got shape \(1, 3\)"),
        (lambda y: (1.0, y.astype(float)), "the gradient must be float32, .* got dtype float64"),
        (lambda y: (1.0, y > 0), "own: the gradient must be float32, as .* got dtype bool"),
    ],
)
def test_a_loss_of_others_that_gives_something_else_is_named(give, text):
    class Own(Loss):
        name = "own"

        def value_and_gradient(self, outputs, targets):
            return give(outputs)

    net = fastconv.Sequential([("Dense", {"units": 3})], (5,), seed=0)
    net.compile("sgd", Own())
    x, y, weights = np.ones((4, 5)), np.zeros((4, 3)), net.weights()
    for call in (net.train_on_batch, net.evaluate):
        with pytest.raises(FastconvError, match=text):
            call(x, y)
    for key, value in net.weights().items():
        assert np.array_equal(value, weights[key])


@pytest.mark.parametrize("name", registry.losses.names())
def test_gradients_have_the_byte_order_of_the_machine(name):
    loss = registry.losses.get(name)()
    shares = np.array([[0.25, 0.75], [0.5, 0.5]], np.float32)
    expected = loss.value_and_gradient(shares, shares)[1]
    other = shares.astype(shares.dtype.newbyteorder())
    found = loss.value_and_gradient(other, other)[1]
    assert found.dtype.isnative
    np.testing.assert_array_equal(found, expected)
    if name in OF_CLASSES:
        classes = np.array([0, 1])
        found = loss.value_and_gradient(other, classes)[1]
        assert found.dtype.isnative
        np.testing.assert_array_equal(found, loss.value_and_gradient(shares, classes)[1])
