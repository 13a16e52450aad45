"""Metrics of all rows together: precision, recall, F1, AUC; top_k, binary_accuracy, confusion."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

import fastconv
from fastconv import registry
from fastconv.errors import ArgumentError, ArgumentTypeError, FastconvError, ShapeError
from fastconv.training import (
    AUC,
    F1,
    Accuracy,
    BinaryAccuracy,
    CountingMetric,
    Precision,
    Recall,
    SigmoidCrossEntropy,
    SoftmaxCrossEntropy,
    TopK,
    confusion_matrix,
    loop,
)
from fastconv.training.compiled import Totals

RNG = np.random.default_rng(11)
COUNTING = ("precision", "recall", "f1", "auc")


def of(name, **settings):
    return registry.create(registry.metrics, name, settings, "test")


def one_hot(labels, classes):
    return np.eye(classes)[np.asarray(labels)]


# Values that scikit-learn documents: precision_score, recall_score, f1_score, roc_auc_score,
# top_k_accuracy_score, confusion_matrix

TRUE, SAID = np.array([0, 1, 2, 0, 1, 2]), one_hot([0, 2, 1, 0, 0, 1], 3)


@pytest.mark.parametrize(
    ("name", "average", "value"),
    [
        ("precision", "macro", 2 / 9),
        ("precision", "micro", 1 / 3),
        ("precision", "weighted", 2 / 9),
        ("recall", "macro", 1 / 3),
        ("recall", "micro", 1 / 3),
        ("recall", "weighted", 1 / 3),
        ("f1", "macro", 4 / 15),
        ("f1", "micro", 1 / 3),
        ("f1", "weighted", 4 / 15),
        ("precision", 0, 2 / 3),
        ("precision", 1, 0),
        ("recall", 0, 1),
        ("f1", 0, 0.8),
    ],
)
def test_documented_values_of_three_classes(name, average, value):
    assert of(name, average=average)(SAID, TRUE) == pytest.approx(value, rel=1e-15)


def test_other_documented_values():
    assert AUC()(np.array([[0.1], [0.4], [0.35], [0.8]]), [0, 0, 1, 1]) == 0.75
    scores = [[0.5, 0.2, 0.2], [0.3, 0.4, 0.2], [0.2, 0.4, 0.3], [0.7, 0.2, 0.1]]
    assert TopK(2)(np.array(scores), np.array([0, 1, 2, 2])).mean() == 0.75
    matrix = confusion_matrix([2, 0, 2, 2, 0, 1], [0, 0, 2, 2, 0, 2])
    assert matrix.tolist() == [[2, 0, 0], [0, 0, 1], [1, 0, 2]] and matrix.dtype == np.int64


# Against a plain count of every pair and answer


def plain_auc(scores, true, weights):
    pairs = [
        (wi * wj, 1.0 if si > sj else 0.5 if si == sj else 0.0)
        for (si, ti, wi), (sj, tj, wj) in itertools.product(
            zip(scores, true, weights, strict=True), repeat=2
        )
        if ti and not tj
    ]
    return sum(w * v for w, v in pairs) / sum(w for w, _ in pairs) if pairs else None


def plain(name, said, true, weights):
    """Precision, recall or F1 of two lists of bools."""
    hits, of_said, of_true = (weights[a].sum() for a in (said & true, said, true))
    part, whole = {
        "precision": (hits, of_said),
        "recall": (hits, of_true),
        "f1": (2 * hits, of_said + of_true),
    }[name]
    return part / whole if whole else 0.0


def rows(classes, count=60):
    """Outputs with many ties, labels, weights."""
    outputs = RNG.integers(0, 5, (count, classes)) / 4 + 0.125 * RNG.integers(0, 2, (count, 1))
    return outputs, RNG.integers(0, classes, count), RNG.integers(0, 4, count) / 2


@pytest.mark.parametrize("weighted", [False, True])
def test_areas_are_the_share_of_pairs_in_order(weighted):
    for classes in (2, 3):
        outputs, labels, weights = rows(classes)
        weights = weights if weighted else np.ones(len(labels))
        given = weights if weighted else None
        areas = [plain_auc(outputs[:, k], labels == k, weights) for k in range(classes)]
        for k, area in enumerate(areas):
            assert AUC(k)(outputs, labels, given) == pytest.approx(area, rel=1e-14)
        macro = areas[1] if classes == 2 else np.mean(areas)
        assert AUC()(outputs, labels, given) == pytest.approx(macro, rel=1e-14)
        assert AUC("macro")(outputs, labels, given) == pytest.approx(np.mean(areas), rel=1e-14)
        by = np.array([weights[labels == k].sum() for k in range(classes)])
        found = AUC("weighted")(outputs, labels, given)
        assert found == pytest.approx(np.average(areas, weights=by), rel=1e-14)


@pytest.mark.parametrize("name", ["precision", "recall", "f1"])
@pytest.mark.parametrize("weighted", [False, True])
def test_class_figures_are_those_of_plain_counts(name, weighted):
    for classes in (2, 4):
        outputs, labels, weights = rows(classes)
        weights = weights if weighted else np.ones(len(labels))
        given, said = weights if weighted else None, outputs.argmax(1)
        each = [plain(name, said == k, labels == k, weights) for k in range(classes)]
        right = each[1] if classes == 2 else np.mean(each)
        assert of(name)(outputs, labels, given) == pytest.approx(right, rel=1e-14)
        assert of(name)(outputs, one_hot(labels, classes), given) == pytest.approx(right)
        if not weighted:  # a micro average of classes is the accuracy
            micro = of(name, average="micro")(outputs, labels)
            assert micro == pytest.approx((said == labels).mean(), rel=1e-14)


@pytest.mark.parametrize("name", ["precision", "recall", "f1"])
def test_labels_that_are_each_yes_or_no(name):
    outputs, true = RNG.uniform(size=(40, 3)), RNG.integers(0, 2, (40, 3))
    each = [plain(name, outputs[:, k] > 0.7, true[:, k] == 1, np.ones(40)) for k in range(3)]
    assert of(name, threshold=0.7)(outputs, true) == pytest.approx(np.mean(each), rel=1e-14)
    assert of(name, threshold=0.7, average=2)(outputs, true) == pytest.approx(each[2])
    logits = np.log(outputs / (1 - outputs))
    bound = of(name).for_loss(SigmoidCrossEntropy())
    halves = of(name, threshold=0.5)(outputs, true)
    assert bound(logits, true) == halves
    one = of(name)(outputs[:, :1], true[:, 0])  # one output is a label
    assert one == plain(name, outputs[:, 0] > 0.5, true[:, 0] == 1, np.ones(40))


# Where a class is empty


def test_figures_of_empty_classes():
    nothing_said = np.array([[0.9, 0.1], [0.8, 0.2]])
    assert Precision()(nothing_said, [1, 0]) == 0
    assert Recall()(nothing_said, [0, 0]) == 0
    assert F1()(nothing_said, [0, 0]) == 0
    assert AUC()(nothing_said, [0, 0]) == AUC()(nothing_said, [1, 1]) == 0.5
    # class 2 was neither there nor said: the mean is over the other two
    said = one_hot([0, 0, 1, 1], 3)
    assert Recall()(said, [0, 0, 1, 0]) == pytest.approx((2 / 3 + 1) / 2)
    assert Recall(2)(said, [0, 0, 1, 0]) == 0
    # but counts where it was said
    assert Precision()(one_hot([0, 2, 1, 1], 3), [0, 0, 1, 0]) == pytest.approx((1 + 0.5 + 0) / 3)
    only = AUC("macro")
    assert only(np.array([[0.1, 0.2, 0.7], [0.3, 0.5, 0.2]]), [0, 1]) == pytest.approx(0.5)


@pytest.mark.parametrize("name", COUNTING)
def test_an_empty_batch_adds_nothing(name):
    metric = of(name)
    none = metric.counts(np.zeros((0, 3)), np.zeros(0, int))
    assert metric.figure(none) == (0.5 if name == "auc" else 0)
    outputs, labels, _ = rows(3)
    counts = metric.counts(outputs, labels)
    np.testing.assert_array_equal(metric.added(counts, none), counts)


@pytest.mark.parametrize("name", COUNTING)
@pytest.mark.parametrize("extra", [(), (2, 2)])
@pytest.mark.parametrize("weighted", [False, True])
def test_batches_of_any_size_give_the_bits_of_all_rows(name, extra, weighted):
    labels = RNG.integers(0, 3, (50, *extra))
    outputs = RNG.integers(0, 9, (50, 3, *extra)).astype("float32")
    weights = RNG.integers(0, 5, 50) / 4 if weighted else None
    metric = of(name)
    whole = metric(outputs, labels, weights)
    for size in (1, 7, 50):
        totals = Totals()
        for at in range(0, 50, size):
            part = slice(at, at + size)
            own = None if weights is None else weights[part]
            totals.count("it", metric, metric.counts(outputs[part], labels[part], own))
        assert totals.means() == {"it": whole}


def test_all_rows_of_an_epoch_and_of_evaluate_count_once():
    x, y = RNG.normal(size=(103, 4)), RNG.integers(0, 3, 103)
    net = fastconv.Sequential([("Dense", {"units": 3})], (4,), "float64", seed=0)
    net.compile("sgd", "softmax_cross_entropy", [*COUNTING, ("top_k", {"k": 2}), "accuracy"])
    found = net.evaluate(x, y, batch_size=10)
    assert list(found) == ["loss", *COUNTING, "top_k", "accuracy"]
    assert net.evaluate(x, y, batch_size=103) == pytest.approx(found, rel=1e-13)
    logits = net.predict(x)
    p = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    assert found["auc"] == pytest.approx(AUC()(p, y), rel=1e-13)
    assert found["f1"] == F1()(logits, y)
    history = net.fit(x, y, batch_size=9, epochs=2, verbose=0, validation_data=(x, y)).history
    assert history["val_auc"][-1] == net.evaluate(x, y)["auc"] and len(history["auc"]) == 2


def test_areas_of_logits_are_those_of_their_probabilities():
    """The logit of a class alone says nothing of its rank among rows."""
    logits = np.array([[5.0, 4.0, 0.0], [1.0, 3.0, 0.0], [0.0, 9.0, 9.5]])
    labels = np.array([0, 1, 2])
    bound = AUC().for_loss(SoftmaxCrossEntropy())
    p = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    assert bound(logits, labels) == AUC()(p, labels) != AUC()(logits, labels)
    # probabilities that have become 1 in float32 are still told apart
    far = np.array([[0, 30], [0, 40], [0, 50]], np.float32)
    assert bound(far, np.array([0, 0, 1])) == 1


def test_nan_is_never_right():
    outputs = np.array([[np.nan, 1.0, 0.5], [0.1, 0.8, 0.1]])
    assert TopK(2)(outputs, np.array([1, 1])).tolist() == [False, True]
    assert Recall()(outputs, np.array([1, 1])) == 0.5
    assert np.isnan(AUC()(outputs, np.array([0, 1])))
    nans = np.array([[np.nan], [np.nan], [0.9]])
    assert BinaryAccuracy()(nans, np.array([0, 1, 1])).ravel().tolist() == [False, False, True]


def test_binary_accuracy_reads_the_outputs_that_the_loss_takes():
    y = np.array([0, 1, 1, 0])
    logits = np.array([[-1.0], [0.2], [-0.3], [0.4]])
    bound = BinaryAccuracy().for_loss(SigmoidCrossEntropy())
    assert bound(logits, y).ravel().tolist() == [True, True, False, False]
    assert BinaryAccuracy()(logits, y).ravel().tolist() == [True, False, False, True]
    own = BinaryAccuracy(threshold=0.3).for_loss(SigmoidCrossEntropy())
    assert own(logits, y).ravel().tolist() == [True, False, False, False]


def test_top_k_of_one_is_accuracy_and_ties_go_to_the_first():
    outputs, labels, _ = rows(4, 200)
    np.testing.assert_array_equal(TopK(1)(outputs, labels), Accuracy()(outputs, labels))
    for k in (2, 3):
        order = np.argsort(-outputs, axis=1, kind="stable")[:, :k]
        right = (order == labels[:, None]).any(axis=1)
        np.testing.assert_array_equal(TopK(k)(outputs, labels), right)
        np.testing.assert_array_equal(TopK(k)(outputs, one_hot(labels, 4)), right)
    maps = np.moveaxis(outputs.reshape(2, 10, 10, 4), -1, 1)
    found = TopK(2)(maps, labels.reshape(2, 10, 10))
    np.testing.assert_array_equal(found.ravel(), TopK(2)(outputs, labels))


@pytest.mark.parametrize(
    ("loss", "metric", "words"),
    [
        ("sigmoid_cross_entropy", "accuracy", 'take "binary_accuracy"'),
        ("sigmoid_cross_entropy", ("top_k", {"k": 1}), 'take "binary_accuracy"'),
        ("softmax_cross_entropy", "binary_accuracy", 'take "accuracy"'),
        ("softmax_cross_entropy", ("f1", {"threshold": 0.3}), "leave the threshold out"),
        ("softmax_cross_entropy", "top_k", "must have more than 5 classes"),
        ("softmax_cross_entropy", ("recall", {"average": 3}), "must be a class, 0 to 2, got 3"),
        ("softmax_cross_entropy", ("recall", {"average": 1.5}), "or the number of a class"),
        ("softmax_cross_entropy", ("recall", {"average": "makro"}), "did you mean 'macro'"),
        ("softmax_cross_entropy", ("auc", {"average": "micro"}), "'auto', 'macro' or 'weighted'"),
        ("softmax_cross_entropy", "top_5_accuracy", "did you mean 'top_k'"),
        ("softmax_cross_entropy", "roc_auc", "did you mean 'auc'"),
        ("softmax_cross_entropy", "acc", "did you mean 'accuracy'"),
        ("softmax_cross_entropy", "mae", "did you mean 'mean_absolute_error'"),
        ("softmax_cross_entropy", ("precision", {"threshold": "x"}), "must be a number"),
    ],
)
def test_metrics_that_do_not_fit_are_refused_with_what_to_do(loss, metric, words):
    net = fastconv.Sequential([("Dense", {"units": 3})], (4,))
    with pytest.raises(FastconvError, match=words):
        net.compile("sgd", loss, [metric])


def test_a_metric_serves_networks_of_different_losses():
    metric = Precision()
    logits, classes = (fastconv.Sequential([("Dense", {"units": 2})], (4,)) for _ in range(2))
    logits.compile("sgd", "sigmoid_cross_entropy", [metric])
    classes.compile("sgd", "softmax_cross_entropy", [metric])
    assert metric.takes is None
    assert logits.compiled.metrics[0][0].takes == "log odds"
    assert classes.compiled.metrics[0][0].takes == "logits"


def test_a_metric_of_others_keeps_counts_too(linear, blobs):
    class Worst(CountingMetric):
        name = "worst"

        def counts(self, outputs, targets, weights=None):
            return outputs.min(axis=0)

        def added(self, counts, more):
            return np.minimum(counts, more)

        def figure(self, counts):
            return counts.min()

    x, y = blobs
    model = linear()
    loop.compile(model, "sgd", "softmax_cross_entropy", [Worst()])
    found = loop.evaluate(model, x, y, batch_size=7)
    assert found["worst"] == model.predict_batch((x,)).min()
    totals = model.compiled.totals()
    model.compiled.measure(totals, {"loss": 1.0}, (model.predict_batch((x,)),), (y,))
    assert model.compiled.totals(totals.state()).means() == totals.means()
    for method, wrong, said in [
        ("figure", "0.5", "worst: figure must return one number, got '0.5'"),
        ("figure", np.zeros(2), "worst: figure must return one number"),
        ("added", None, "worst: added must return an array, got NoneType"),
        ("counts", 1.0, "worst: counts must return an array, got float"),
    ]:
        setattr(Worst, method, lambda *args, wrong=wrong: wrong)
        with pytest.raises(ArgumentTypeError, match=said):
            loop.evaluate(model, x, y, batch_size=7)


def test_counts_that_grow_are_added_up_a_few_times_only():
    calls, metric = [], AUC()
    added = metric.added
    metric.added = lambda one, more: calls.append(len(one) + len(more)) or added(one, more)
    scores, labels = RNG.normal(size=(3000, 1)), RNG.integers(0, 2, 3000)
    totals = Totals()
    for at in range(0, 3000, 3):
        part = slice(at, at + 3)
        totals.count("auc", metric, metric.counts(scores[part], labels[part]))
        assert totals.so_far().keys() == {"auc"}
    assert totals.means()["auc"] == metric(scores, labels)
    assert sum(calls) < 30 * 3000  # one after the other they would be 500 times 3000


@pytest.mark.parametrize("name", COUNTING)
def test_counts_that_go_on_from_their_state_give_the_bits_of_those_that_never_stopped(name):
    metric = of(name)
    outputs, labels, weights = rows(3, 120)
    weights = weights * np.pi
    parts = [slice(at, at + 4) for at in range(0, 120, 4)]
    counts = [metric.counts(outputs[p], labels[p], weights[p]) for p in parts]
    straight, stopped = Totals(), Totals()
    for one in counts:
        straight.count(name, metric, one)
        stopped.count(name, metric, one)
        again = Totals()
        again.restore(stopped.state(), {name: metric})
        stopped = again
    assert stopped.means() == straight.means()


# The confusion matrix


def test_the_confusion_matrix_takes_labels_and_outputs():
    outputs, labels, _ = rows(3)
    right = np.zeros((3, 3), int)
    for i, j in zip(labels, outputs.argmax(1), strict=True):
        right[i, j] += 1
    for y in (labels, one_hot(labels, 3), labels.tolist(), one_hot(labels, 3).astype(int)):
        np.testing.assert_array_equal(confusion_matrix(y, outputs), right)
    np.testing.assert_array_equal(confusion_matrix(one_hot(labels, 3), outputs.argmax(1)), right)
    assert confusion_matrix([0, 1], [1, 1], classes=3).shape == (3, 3)
    maps = np.moveaxis(outputs.reshape(3, 4, 5, 3), -1, 1)
    np.testing.assert_array_equal(confusion_matrix(labels.reshape(3, 4, 5), maps), right)
    p = np.array([0.2, 0.7, 0.6])
    assert confusion_matrix(np.array([False, True, False]), p > 0.5).tolist() == [[1, 1], [0, 1]]
    assert confusion_matrix(np.zeros(0, int), np.zeros((0, 2))).tolist() == [[0, 0], [0, 0]]


@pytest.mark.parametrize(
    ("y", "predicted", "error", "words"),
    [
        ([0, 1], [0.2, 0.7], ArgumentTypeError, "predicted must be integers.*predicted > 0.5"),
        ([0, 1], [[0.2], [0.7]], ShapeError, r"predicted\[:, 0\] > 0.5"),
        ([0, 1], [0, 1, 1], ShapeError, r"must be labels or outputs that fit y, \(2,\)"),
        ([0, 3], [[0.2, 0.8], [0.7, 0.3]], ArgumentError, "0 to 1 for 2 classes, got 3"),
        ([0, -1], [0, 1], ArgumentError, "y must be at least 0, got -1"),
        ([0, 1], [[np.nan, 0.8], [0.7, 0.3]], ArgumentError, "must be numbers, got nan"),
        (["a"], [0], ArgumentTypeError, "y must be an array of real numbers"),
    ],
)
def test_wrong_arrays_for_the_confusion_matrix(y, predicted, error, words):
    with pytest.raises(error, match=words):
        confusion_matrix(y, predicted)
