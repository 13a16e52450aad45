"""Batches cut into pieces: how they are cut, in which order is added, and where gradients lie."""

from __future__ import annotations

import numpy as np
import pytest

import fastconv
from fastconv.errors import ArgumentError
from fastconv.testing.case import Case
from fastconv.testing.synchronising import check_synchronised
from fastconv.training.losses import SoftmaxCrossEntropy
from fastconv.training.sharding.cutting import cut, owned, shards_of
from fastconv.training.sharding.layout import Layout
from fastconv.training.sharding.sums import Blocks, Sums
from fastconv.training.sharding.tree import joined, merges, most_kept, whole_nodes

RNG = np.random.default_rng(0)
X = RNG.standard_normal((45, 6))
Y = RNG.integers(0, 3, 45)
F32 = np.dtype("float32")


def network(layers=(), dtype="float64", **settings):
    last = ("Dense", {"units": 3})
    net = fastconv.Sequential([*layers, last], input_shape=(6,), seed=1, dtype=dtype)
    net.compile(settings.pop("optimizer", "sgd"), "softmax_cross_entropy", ["accuracy"])
    return net


@pytest.mark.parametrize("rows", [1, 2, 5, 16, 17, 100])
@pytest.mark.parametrize("shards", [1, 3, 16, 40])
@pytest.mark.parametrize("least", [1, 2, 5])
def test_pieces_are_all_rows(rows, shards, least):
    pieces = cut(rows, shards, least)
    assert [row for piece in pieces for row in range(piece.begin, piece.end)] == [*range(rows)]
    assert len(pieces) <= shards and all(piece.rows for piece in pieces)
    if least > 1:
        assert all(piece.rows >= min(least, rows) for piece in pieces)
    if least == 1:
        assert all(piece.begin == rows * piece.number // shards for piece in pieces)


@pytest.mark.parametrize("pieces", [1, 2, 3, 7, 8, 16, 21])
@pytest.mark.parametrize("ranks", [1, 2, 3, 4, 5, 16, 30])
def test_one_tree_whatever_the_number_of_ranks(pieces, ranks):
    """Leaves as texts: the brackets are the order in which they are added."""
    whole = joined({(i, i + 1): str(i) for i in range(pieces)}, "({}+{})".format, (0, pieces))
    parts = {}
    for rank in range(ranks):
        own = owned(pieces, rank, ranks)
        leaves = {(i, i + 1): str(i) for i in own}
        nodes = whole_nodes(own, pieces)
        assert [i for begin, end in nodes for i in range(begin, end)] == list(own)
        parts.update({node: joined(leaves, "({}+{})".format, node) for node in nodes})
    assert joined(parts, "({}+{})".format, (0, pieces)) == whole


@pytest.mark.parametrize("begin, end", [(0, 16), (0, 7), (1, 15), (5, 6), (6, 13)])
def test_sums_of_pieces_in_little_memory(begin, end):
    entries = [("a", (3, 5), F32), ("b", (2,), F32), ("c", (), np.dtype("float64"))]
    layout, nodes = Layout(entries), whole_nodes(range(begin, end), 16)
    final, given = [], {key: RNG.random((end - begin, *shape)) for key, shape, _ in entries}
    sums = Sums(layout, nodes, Blocks(), final.append)
    for at in range(end - begin):
        assert not final
        for key, _, dtype in entries:
            sums.add(at, key, given[key][at].astype(dtype))
    assert final == [0, 1, 2]
    assert len(sums.kept) == most_kept(merges(nodes)) <= 6
    for node, block in zip(nodes, sums.kept, strict=False):
        for key, _, dtype in entries:
            leaves = {(i, i + 1): given[key][i - begin].astype(dtype) for i in range(*node)}
            due = joined(leaves, np.add, node)
            np.testing.assert_array_equal(layout.places[key].of(block), due)


def test_buckets_hold_everything_once():
    sizes = [3, 5_000_000, 7, 1, 2_000_000, 0, 9]
    entries = [(i, (n,), F32 if i != 3 else np.dtype("float64")) for i, n in enumerate(sizes)]
    layout = Layout(entries)
    block, seen = np.zeros(layout.nbytes, np.uint8), 0
    for bucket in layout.buckets():
        assert bucket.end - bucket.begin <= 4 << 20 and bucket.begin >= seen
        seen = bucket.end
        for rank in range(3):
            bucket.part(block, rank, 3)[...] += 1
        ready = {place.number for place in layout.places.values() if place.begin < bucket.end}
        assert bucket.last >= max(ready)
    for place in layout.places.values():
        assert (place.of(block) == 1).all()


def test_gradients_that_somebody_keeps_stay_what_they_are():
    kept = []

    def keep(run, epoch, figures):
        kept.append(
            (dict(run.model.gradients), {k: v.copy() for k, v in run.model.gradients.items()})
        )

    net = network()
    net.fit(X, Y, batch_size=45, epochs=4, shards=4, verbose=0, callbacks=[keep])
    for held, copied in kept:
        for key, array in held.items():
            np.testing.assert_array_equal(array, copied[key])


@pytest.mark.parametrize("weights", [None, np.linspace(0.0, 2.0, 45)])
@pytest.mark.parametrize("shards", [1, 4, 16, 64])
def test_pieces_train_as_the_whole_batch_does(shards, weights):
    """Up to rounding, where no layer looks at other rows."""
    nets = network(), network()
    given = {"batch_size": 20, "epochs": 3, "verbose": 0, "sample_weight": weights}
    whole = nets[0].fit(X, Y, **given).history
    pieces = nets[1].fit(X, Y, shards=shards, **given).history
    assert whole.keys() == pieces.keys()
    for name, figures in whole.items():
        np.testing.assert_allclose(pieces[name], figures, rtol=1e-12)
    for key, array in nets[0].weights().items():
        np.testing.assert_allclose(nets[1].weights()[key], array, rtol=1e-10, atol=1e-13)


def test_a_loss_of_somebody_else_is_divided_once_too():
    def doubled(outputs, targets, weights=None):
        return 2.0

    class Twice(SoftmaxCrossEntropy):
        name = "twice"

    class Wrapped(fastconv.training.Loss):
        name = "wrapped"

        def value_and_gradient(self, outputs, targets, weights=None):
            return SoftmaxCrossEntropy().value_and_gradient(outputs, targets, weights)

    nets = network(), network()
    for net, loss in zip(nets, (Twice(), Wrapped()), strict=True):
        net.compile("sgd", loss)
        net.fit(X, Y, batch_size=20, epochs=2, shards=6, verbose=0)
    np.testing.assert_allclose(*(net.history.history["loss"] for net in nets), rtol=1e-12)


def test_one_piece_has_the_bits_of_no_pieces():
    layers = [("Dense", {"units": 8}), "BatchNorm", "ReLU", ("Dropout", {"rate": 0.5})]
    nets = network(layers), network(layers)
    nets[0].fit(X, Y, batch_size=20, epochs=3, verbose=0)
    nets[1].fit(X, Y, batch_size=20, epochs=3, verbose=0, shards=1)
    for key, array in nets[0].weights().items():
        assert array.tobytes() == nets[1].weights()[key].tobytes()


def test_synchronised_statistics_are_those_of_the_batch():
    layers = [("Dense", {"units": 8}), "BatchNorm", "ReLU"]
    nets = network(layers), network(layers)
    nets[0].fit(X, Y, batch_size=20, epochs=3, verbose=0)
    nets[1].fit(X, Y, batch_size=20, epochs=3, verbose=0, shards=16, batch_norm="synchronised")
    for key, array in nets[0].weights().items():
        np.testing.assert_allclose(nets[1].weights()[key], array, rtol=1e-9, atol=1e-12)


def test_statistics_by_piece_are_the_mean_of_the_pieces():
    net = network([("BatchNorm", {"momentum": 0.0})])
    net.fit(X, Y, batch_size=45, epochs=1, shards=2, shuffle=False, verbose=0)
    parts = X[:22], X[22:]
    mean = sum(len(part) / 45 * part.mean(axis=0) for part in parts)
    variance = sum(len(part) / 45 * part.var(axis=0) for part in parts)
    np.testing.assert_allclose(
        net.weights()["batch_norm_1/running_mean"], mean, rtol=1e-6, atol=1e-8
    )
    np.testing.assert_allclose(net.weights()["batch_norm_1/running_var"], variance, rtol=1e-6)


class OwnNorm(fastconv.layers.BatchNorm):
    """A class of one's own says anew how it synchronises."""


def test_statistics_that_cannot_be_of_the_batch_are_refused():
    net = network([OwnNorm()])
    with pytest.raises(ArgumentError, match="fit: .*'by_piece' for own_norm_1, whose statistics"):
        net.fit(X, Y, batch_size=20, shards=4, verbose=0, batch_norm="synchronised")
    with pytest.raises(ArgumentError, match="plan: .*'by_piece' for own_norm_1, whose statistics"):
        net.plan(20, training=True, shards=4, batch_norm="synchronised")
    net.fit(X, Y, batch_size=20, shards=4, verbose=0, epochs=1)


def test_a_false_promise_to_synchronise_is_found():
    class Wrong(fastconv.layers.BatchNorm):
        synchronises = True
        moments = fastconv.layers.BatchNorm.moments
        gradient_sums = fastconv.layers.BatchNorm.gradient_sums

        def merged(self, one, other):
            return one

    with pytest.raises(AssertionError):
        check_synchronised(Case(Wrong(), [(7, 3, 4, 4)], ["float64"], 0))
    check_synchronised(Case(fastconv.layers.BatchNorm(), [(7, 3, 4, 4)], ["float64"], 0))


def test_pieces_that_are_too_small_are_refused_with_what_to_do():
    net = network(["BatchNorm"])
    with pytest.raises(
        ArgumentError, match='shards must be at most 10 .*batch_norm="synchronised"'
    ):
        net.fit(X, Y, batch_size=20, shards=11, verbose=0)
    net.fit(X, Y, batch_size=20, shards=11, verbose=0, epochs=1, batch_norm="synchronised")


@pytest.mark.parametrize(
    "wrong, said",
    [
        ({"shards": 0}, "shards must be at least 1"),
        ({"shards": 2.5}, "shards must be an integer"),
        ({"batch_norm": "by_pieces"}, "did you mean 'by_piece'"),
        ({"comm": "MPI"}, "comm must be a communicator"),
    ],
)
def test_wrong_settings(wrong, said):
    with pytest.raises((ArgumentError, TypeError), match=said):
        network().fit(X, Y, verbose=0, **wrong)


def test_many_ranks_ask_for_a_number_of_pieces():
    assert shards_of(None, None, 1) is None and shards_of(None, object(), 16) == 16
    with pytest.raises(ArgumentError, match="shards=32"):
        shards_of(None, object(), 17)


@pytest.mark.parametrize("batch_norm", ["by_piece", "synchronised"])
def test_a_limit_counts_the_sums(batch_norm):
    layers = [("Dense", {"units": 200}), "BatchNorm", "ReLU"]
    nets = network(layers, "float32"), network(layers, "float32")
    given = {"batch_size": 40, "epochs": 2, "verbose": 0, "shards": 8, "batch_norm": batch_norm}
    with pytest.raises(fastconv.errors.MemoryLimitError) as refused:
        nets[0].fit(X, Y, memory_limit=10_000, **given)
    assert refused.value.least > 3 * 4 * nets[0].count_params()
    nets[0].fit(X, Y, memory_limit=refused.value.least, **given)
    nets[1].fit(X, Y, **given)
    for key, array in nets[0].weights().items():
        assert array.tobytes() == nets[1].weights()[key].tobytes()


def test_what_is_not_finite_is_named_with_its_row():
    x = X.copy()
    x[33, 2] = np.inf
    net = network()
    before = net.weights()
    with pytest.raises(fastconv.errors.TrainingError, match="x must be finite, got inf in row 33"):
        net.fit(x, Y, batch_size=45, shards=8, verbose=0)
    assert all(array.tobytes() == net.weights()[key].tobytes() for key, array in before.items())


def test_plans_say_what_the_sums_take():
    net = network([("Dense", {"units": 200}), "BatchNorm", "ReLU"], "float32")
    whole, pieces = net.plan(40, training=True), net.plan(40, training=True, shards=8)
    assert pieces.rows == 5 and pieces.batch_size == 40
    assert pieces.multiply_adds == whole.multiply_adds
    assert 3 * 4 * net.count_params() < pieces.sums < pieces.peak
    assert "sums of gradients of pieces" in str(pieces) and pieces.to_dict()["sums"] == pieces.sums
    net.fit(
        X.astype("float32"),
        Y,
        batch_size=40,
        epochs=1,
        shards=8,
        memory_limit=pieces.peak,
        verbose=0,
    )
    for shards in (None, 8):
        with pytest.raises(ArgumentError, match="plan: batch_norm must be 'by_piece' or"):
            net.plan(40, training=True, shards=shards, batch_norm="by_pieces")
    with pytest.raises(ArgumentError, match="training must be True"):
        net.plan(40, shards=8)
    with pytest.raises(ArgumentError, match="plan: shards must be at most 20"):
        net.plan(40, training=True, shards=21)


@pytest.mark.parametrize("streams", [False, True])
def test_a_limit_too_small_for_pieces_says_how_batches_are_cut(streams):
    x, y = np.tile(X, (2, 1))[:64], np.tile(Y, 2)[:64]
    for size, said in (
        (64, "a batch of 64 in 16 pieces, of which 4 rows run at a time, got 1000; take a smaller"),
        (16, "16 pieces, of which 1 row runs at a time, got 1000; take a smaller batch_size and"),
    ):
        given = {"x": x, "y": y, "batch_size": size}
        if streams:
            given = {"x": [(x[:size], y[:size])]}
        with pytest.raises(fastconv.MemoryLimitError, match=said):
            network().fit(shards=16, memory_limit=1000, verbose=0, **given)


def test_fewer_rows_and_pieces_take_less():
    least = []
    for size in (16, 8):
        with pytest.raises(fastconv.MemoryLimitError) as raised:
            network().fit(X, Y, batch_size=size, shards=size, memory_limit=1000, verbose=0)
        least.append(raised.value.least)
    assert least[1] < least[0]
