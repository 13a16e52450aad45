"""Ranks that are threads: the same bits for any number of them, one run for its callbacks."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
from communicators import Communicator, Ended, Fabric, on_ranks
from six_networks import SIX, X, Y, bits, trained

import fastconv
from fastconv.training import Callback

FAST = {"epochs": 1}


def alike(found, due):
    for one in found:
        if isinstance(one, BaseException):
            raise one
        assert one == due


@pytest.mark.parametrize("name", SIX)
def test_bits_do_not_depend_on_ranks(name):
    due = bits(trained(name))
    for ranks in (2, 3):
        alike(on_ranks(ranks, lambda comm: bits(trained(name, comm))), due)


@pytest.mark.parametrize("ranks", [1, 2, 4, 11])
def test_more_ranks_than_pieces_and_any_number(ranks):
    due = bits(trained("mlp", **FAST))
    alike(on_ranks(ranks, lambda comm: bits(trained("mlp", comm, **FAST))), due)


@pytest.mark.parametrize(
    "settings",
    [
        {"batch_norm": "synchronised"},
        {"sample_weight": np.linspace(0, 3, 93)},
        {"class_weight": "balanced", "validation_data": None, "validation_split": 0.3},
        {"shuffle": False, "memory_limit": "30 MB"},
        {"transform": fastconv.data.noise(0.1), "shards": 5},
        {"callbacks": [("early_stopping", {"patience": 1}), "reduce_on_plateau"], "epochs": 3},
    ],
    ids=lambda settings: "-".join(settings),
)
def test_settings(settings):
    given = {**FAST, **settings}
    due = bits(trained("convolutional", **given))
    alike(on_ranks(3, lambda comm: bits(trained("convolutional", comm, **given))), due)


class Read:
    """Rows that are read; it notes which."""

    def __init__(self, array):
        self.array, self.rows = array, []
        self.shape, self.dtype = array.shape, array.dtype

    def __len__(self):
        return len(self.array)

    def __getitem__(self, rows):
        self.rows += np.atleast_1d(rows).tolist()
        return self.array[rows]


def network():
    net = fastconv.Sequential(["Flatten", ("Dense", {"units": 4})], X.shape[1:], seed=0)
    net.compile("sgd", "softmax_cross_entropy", ["accuracy"])
    return net


def test_each_rank_reads_its_own_rows():
    def work(comm):
        read = Read(X)
        network().fit(read, Y, batch_size=31, epochs=1, comm=comm, shards=4, verbose=0)
        return read.rows

    found = on_ranks(2, work)
    compared = {0, 13, 26, 39, 52, 65, 78, 92}  # the first one says the shape before
    own = [set(rows[9:]) for rows in found]
    assert [set(rows[:9]) for rows in found] == [compared] * 2
    assert not own[0] & own[1] and own[0] | own[1] == set(range(93))


def test_every_rank_runs_through_an_iterable():
    batches = [(X[at : at + 25], Y[at : at + 25]) for at in range(0, 93, 25)]

    def work(comm=None):
        net = network()
        net.fit(batches, epochs=2, comm=comm, shards=4, verbose=0, validation_data=batches)
        return bits(net)

    alike(on_ranks(3, work), work())


def changed_by_rank(change):
    """Return batches that `change` makes others on ranks beside the first."""

    class Batches:
        def __init__(self, rank):
            self.rank = rank

        def __iter__(self):
            batches = [(X[at : at + 25], Y[at : at + 25]) for at in range(0, 93, 25)]
            return iter(change(batches) if self.rank else batches)

    return Batches


def fails(batches):
    yield batches[0]
    raise OSError("the disk is gone")


ITERABLES = {
    "fewer": (lambda batches: batches[:-1], "a batch of 18 rows on rank 0 and the end on rank 1"),
    "more": (lambda batches: batches + batches, "the end on rank 0 and a batch of 25 rows on rank"),
    "smaller": (lambda batches: [(x[1:], y[1:]) for x, y in batches], "25 rows on rank 0 and a"),
    "shuffled": (lambda batches: batches[::-1], "18 rows on rank 1; each rank runs through all"),
    "x": (lambda batches: [(x + 1, y) for x, y in batches], "with other numbers on rank 1 than"),
    "y": (
        lambda batches: [(x, y ^ 1) for x, y in batches],
        "own rows; let all that is random in it follow from one seed",
    ),
}


@pytest.mark.parametrize("change, said", ITERABLES.values(), ids=ITERABLES)
@pytest.mark.parametrize("name", ["x", "validation_data"])
def test_iterables_that_differ_are_told_on_all_ranks(name, change, said):
    """Else a rank would wait for ever, or learn from parts of other batches."""
    kind = changed_by_rank(change)

    def work(comm):
        batches = kind(comm.Get_rank())
        given = {"x": batches} if name == "x" else {"x": X, "y": Y, name: batches}
        network().fit(epochs=2, comm=comm, shards=4, verbose=0, **given)

    for error in on_ranks(2, work):
        assert isinstance(error, fastconv.errors.ArgumentError), error
        assert f"fit: {name} must give the same batches on all ranks" in str(error)
        assert said in str(error)


def test_an_iterable_that_fails_on_one_rank_is_told_on_all():
    kind = changed_by_rank(fails)

    def work(comm):
        try:
            network().fit(kind(comm.Get_rank()), epochs=1, comm=comm, shards=4, verbose=0)
        except OSError as error:
            return str(error)

    first, second = on_ranks(2, work)
    assert "fit: rank 1 failed: OSError: the disk is gone" in str(first)
    assert second == "the disk is gone"


def test_a_limit_too_small_for_a_batch_is_told_on_all_ranks():
    def work(comm):
        try:
            network().fit([(X, Y)], comm=comm, shards=2, verbose=0, memory_limit=5000)
        except fastconv.MemoryLimitError as error:
            return error

    errors = on_ranks(3, work)
    assert "memory_limit must be at least" in str(errors[1])
    assert all(isinstance(error, (fastconv.MemoryLimitError, ValueError)) for error in errors)


class Watch(Callback):
    def __init__(self):
        self.seen = []

    def on_epoch_end(self, run, epoch, figures):
        self.seen.append((run.rank, run.ranks, run.writes, tuple(figures.values())))


def test_callbacks_run_on_every_rank_and_rank_0_writes(tmp_path, capsys):
    def work(comm):
        folder = tmp_path if comm.Get_rank() == 0 else tmp_path / "of nobody"
        watch, log = Watch(), ("csv_log", {"path": folder / "log.csv"})
        saved = ("checkpoint", {"path": folder / "net.safetensors"})
        net = network()
        net.fit(X, Y, epochs=2, comm=comm, verbose=2, callbacks=[watch, log, saved])
        return watch.seen

    found = on_ranks(2, work)
    assert [[one[:3] for one in seen] for seen in found] == [
        [(0, 2, True)] * 2,
        [(1, 2, False)] * 2,
    ]
    assert [one[3] for one in found[0]] == [one[3] for one in found[1]]
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "log.csv",
        "net.safetensors",
        "net.safetensors.1",
    ]
    assert len(capsys.readouterr().out.splitlines()) == 2


@pytest.mark.parametrize("every", ["epoch", 3])
def test_a_run_goes_on_with_any_number_of_ranks(tmp_path, every):
    given = {"shards": 8, "batch_norm": "by_piece"}
    due = bits(trained("convolutional", **given))

    class Stop(Callback):
        runs_last = True
        batches = 0

        def on_batch_end(self, run, batch, figures):
            self.batches += 1
            if self.batches == 8:
                raise KeyboardInterrupt

    path = tmp_path / "net.safetensors"
    saving = [("checkpoint", {"path": path, "every": every})]
    on_ranks(2, lambda comm: trained("convolutional", comm, callbacks=[*saving, Stop()], **given))
    again = partial(trained, "convolutional", resume=path, callbacks=saving, **given)
    copies = [path.read_bytes() for _ in range(1)]
    alike(on_ranks(3, lambda comm: bits(again(comm))), due)
    path.write_bytes(copies[0])
    assert bits(again()) == due


def test_other_pieces_cannot_go_on(tmp_path):
    path = tmp_path / "net.safetensors"
    trained("mlp", callbacks=[("checkpoint", {"path": path})], **FAST)
    for other in ({"shards": 4}, {"shards": None}, {"batch_norm": "synchronised"}):
        with pytest.raises(fastconv.errors.ArgumentError, match="must be"):
            trained("mlp", resume=path, epochs=2, **other)


@pytest.mark.parametrize(
    "change, said",
    [
        (
            lambda net, given: net.set_weights({k: v + 1 for k, v in net.weights().items()}),
            "seed=0",
        ),
        (lambda net, given: given.update(batch_size=12), "batch_size must be the same"),
        (lambda net, given: given.update(epochs=9), "epochs must be the same"),
        (
            lambda net, given: given.update(callbacks=["early_stopping"]),
            "callbacks must be the same on all ranks, got [] on rank 0 and ['early_stopping'] on "
            "rank 1",
        ),
        (lambda net, given: net.compile("adam", "softmax_cross_entropy"), "fit: optimizer must be"),
        (
            lambda net, given: given.update(x=X[:50], y=Y[:50]),
            "x.shape must be the same on all ranks, got [93, 2, 8, 8] on rank 0 and "
            "[50, 2, 8, 8] on rank 1; give every rank all of the data",
        ),
        (
            lambda net, given: given.update(x=X[::-1].copy()),
            "x must be the same on all ranks, got other rows on rank 1 than on rank 0; give every",
        ),
        (
            lambda net, given: given.update(
                x=np.where(np.arange(X.size) == 777, 9, X.flat).reshape(X.shape).astype(X.dtype)
            ),
            "x must be the same on all ranks, got other rows on rank 1 than on rank 0; give every",
        ),
        (
            lambda net, given: given.update(y=np.where(np.arange(93) == 58, Y ^ 1, Y)),
            "y must be the same on all ranks, got other rows on rank 1 than on rank 0; give every",
        ),
        (
            lambda net, given: given.update(sample_weight=np.ones(93)),
            "sample_weight must be the same on all ranks, got given on rank 1 and not on rank 0; "
            "give every rank all of the data",
        ),
        (lambda net, given: net.freeze("*"), "network.layers.dense_1.frozen must be the same"),
        (
            lambda net, given: given.update(seed=7),
            "fit: seed must be the same on all ranks, got 0 on rank 0 and 7 on rank 1; give all "
            "ranks the same seed=",
        ),
        (
            lambda net, given: given.update(validation_data=(X, Y)),
            "validation_data must be the same on all ranks, got given on rank 1 and not on rank 0; "
            "give every rank all of the data",
        ),
        (
            lambda net, given: given.update(x=[(X, Y)], y=None),
            "fit: x must be the same on all ranks, got rows on rank 0 and batches on rank 1",
        ),
        (
            lambda net, given: given.update(x=X[:0], y=Y[:0]),
            "x must hold at least one row, got shape (0, 2, 8, 8); give every rank all of the data",
        ),
    ],
)
def test_what_differs_is_told_on_all_ranks(change, said):
    def work(comm):
        net, given = network(), {"x": X, "y": Y, "epochs": 2, "verbose": 0}
        if comm.Get_rank() == 1:
            change(net, given)
        net.fit(comm=comm, **given)

    for error in on_ranks(3, work):
        assert isinstance(error, fastconv.errors.ArgumentError), error
        assert said in str(error)


def test_rows_that_are_read_are_compared_too():
    def work(comm):
        x = Read(X * np.float32(comm.Get_rank() + 1))
        network().fit(x, Y, epochs=1, comm=comm, verbose=0)

    for error in on_ranks(2, work):
        assert "x must be the same on all ranks, got other rows on rank 1" in str(error)


def test_labels_for_validation_that_differ_are_told():
    other = np.where(np.arange(93) == 77, Y ^ 1, Y)

    def work(comm):
        data = X, other if comm.Get_rank() else Y
        network().fit(X, Y, comm=comm, epochs=1, verbose=0, validation_data=data)

    for error in on_ranks(2, work):
        assert "validation_data[1] must be the same on all ranks, got other rows on" in str(error)


def test_which_of_several_callbacks_differs_is_counted_from_the_first_given():
    def work(comm):
        patience = 1 + comm.Get_rank()
        given = ["reduce_on_plateau", ("early_stopping", {"patience": patience})]
        network().fit(X, Y, comm=comm, epochs=1, verbose=2, callbacks=given, validation_data=(X, Y))

    for error in on_ranks(2, work):
        assert "callbacks[1].patience must be the same on all ranks, got 1 on rank 0" in str(error)


def test_another_callback_is_told_by_name():
    def work(comm):
        given = ["early_stopping", "reduce_on_plateau"][comm.Get_rank()]
        network().fit(X, Y, comm=comm, epochs=1, verbose=0, callbacks=given, validation_data=(X, Y))

    for error in on_ranks(2, work):
        assert "got 'early_stopping' on rank 0 and 'reduce_on_plateau' on rank 1" in str(error)


class Scale(fastconv.Layer):
    """A layer without a name, so that no file can hold it."""

    def __init__(self, by: float) -> None:
        self.by = by

    def infer(self, spec):
        return spec

    def forward(self, ctx, x):
        return x * np.float32(self.by)

    def backward(self, ctx, dy):
        return dy * np.float32(self.by)


@pytest.mark.parametrize(
    "layers, said",
    [
        (lambda rank: ["Sigmoid" if rank else "ReLU"], "network.layers.relu_1"),
        (lambda rank: [("Dropout", {"rate": 0.1 + rank / 4})], "layers.dropout_1.rate"),
        (lambda rank: [Scale(by=rank + 1.0)], "layers.scale_1.by"),
    ],
)
def test_layers_that_differ_are_told_though_weights_are_alike(layers, said, tmp_path):
    def work(comm):
        rank = comm.Get_rank()
        own = ["Flatten", *layers(rank), ("Dense", {"units": 4, "name": "last"})]
        net = fastconv.Sequential(own, X.shape[1:], seed=0)
        net.compile("sgd", "softmax_cross_entropy")
        net.fit(X, Y, epochs=1, comm=comm, verbose=0)

    for error in on_ranks(2, work):
        assert isinstance(error, fastconv.errors.ArgumentError), error
        assert said in str(error) and "the same network" in str(error)


def test_layers_that_are_frozen_on_one_rank_are_told():
    def work(comm):
        net = network()
        if comm.Get_rank():
            net.freeze("*")
        net.fit(X, Y, comm=comm, verbose=0)

    for error in on_ranks(2, work):
        assert isinstance(error, fastconv.errors.ArgumentError), error
        assert ".frozen must be the same on all ranks" in str(error)


def test_frozen_weights_that_differ_are_told():
    def work(comm):
        layers = [("Dense", {"units": 4}), ("Dense", {"units": 4})]
        net = fastconv.Sequential(["Flatten", *layers], X.shape[1:], seed=0)
        net.set_weights({"dense_1/bias": np.full(4, float(comm.Get_rank()))})
        net.freeze("dense_1")
        net.compile("sgd", "softmax_cross_entropy")
        net.fit(X, Y, comm=comm, verbose=0)

    for error in on_ranks(2, work):
        assert "fit: weights.dense_1/bias must be the same on all ranks" in str(error)


class OnOneRank(Callback):
    """Changes something on rank 1 alone, when it is called as `when`."""

    def __init__(self, when, change):
        def called(run, *rest):
            if run.rank == 1:
                change(run)

        setattr(self, when, called)


def double(run):
    net = run.model
    net.set_weights({key: 2 * value for key, value in net.weights().items()})


CHANGES = {
    "stop": ("run.stop", lambda run: setattr(run, "stop", True)),
    "seed": ("seed", lambda run: setattr(run.model, "seed", 7)),
    "rate": ("learning_rate", lambda run: setattr(run.optimizer, "learning_rate", 0.5)),
    "weights": ("weights.dense_1/weight", double),
    "freeze": ("trainable", lambda run: run.model.freeze("*")),
}


@pytest.mark.parametrize("name, change", CHANGES.values(), ids=CHANGES)
@pytest.mark.parametrize("when", ["on_fit_begin", "on_epoch_begin", "on_epoch_end"])
def test_what_a_callback_changes_on_one_rank_is_told_on_all(when, name, change):
    """Else ranks would wait for each other, or end with networks that differ."""

    def work(comm):
        callbacks = [OnOneRank(when, change)]
        network().fit(X, Y, epochs=2, comm=comm, verbose=0, callbacks=callbacks)

    for error in on_ranks(2, work):
        assert isinstance(error, fastconv.errors.ArgumentError), error
        assert f"fit: {name} must be the same on all ranks" in str(error)
        assert "what a callback changes, it must change on all ranks" in str(error)


def test_layers_frozen_within_an_epoch_on_one_rank_are_told_on_all():
    """Else sums of other sizes would meet."""

    def work(comm):
        freeze = OnOneRank("on_batch_end", lambda run: run.model.freeze("dense_1"))
        network().fit(X, Y, epochs=1, batch_size=16, comm=comm, verbose=0, callbacks=[freeze])

    for error in on_ranks(2, work):
        assert "fit: trainable must be the same on all ranks" in str(error)
        assert "what a callback changes, it must change on all ranks" in str(error)


def test_what_only_prints_may_differ(capsys):
    def work(comm):
        net = network()
        net.fit(X, Y, epochs=1, comm=comm, verbose=2 * (comm.Get_rank() == 0))
        return bits(net)

    first, second = on_ranks(2, work)
    assert first == second
    assert len(capsys.readouterr().out.splitlines()) == 1


def test_an_error_before_training_is_told_on_all_ranks():
    def work(comm):
        network().fit(X, Y[: 93 - comm.Get_rank()], comm=comm, verbose=0)

    first, second = on_ranks(2, work)
    assert "as many rows as x" in str(second)
    assert "fit: rank 1 failed: y must have as many rows as x" in str(first)


@pytest.mark.parametrize("without", [0, 1])
def test_data_on_one_rank_alone_is_told_on_all(without):
    def work(comm):
        x, y = (None, None) if comm.Get_rank() == without else (X, Y)
        network().fit(x, y, comm=comm, verbose=0)

    found = on_ranks(2, work)
    assert "fit: x must be an array" in str(found[without])
    assert f"fit: rank {without} failed: x must be an array" in str(found[1 - without])


def test_a_callback_that_cannot_begin_is_told_on_all_ranks(tmp_path):
    saving = [("checkpoint", {"path": tmp_path / "none" / "net.safetensors"})]

    def work(comm):
        network().fit(X, Y, comm=comm, verbose=0, callbacks=saving)

    first, second = on_ranks(2, work)
    assert "checkpoint: path must be of a file, in a folder that exists" in str(first)
    assert "fit: rank 0 failed: checkpoint: path must be" in str(second)


def test_a_checkpoint_is_not_left_out_because_rank_0_has_none(tmp_path):
    path = tmp_path / "net.safetensors"
    trained("mlp", callbacks=[("checkpoint", {"path": path})], **FAST)

    def work(comm):
        trained("mlp", comm, epochs=2, resume=path if comm.Get_rank() else None)

    for error in on_ranks(2, work):
        assert isinstance(error, fastconv.errors.ArgumentError)
        assert "resume must be given on rank 0" in str(error) and "on rank 1" in str(error)


class Between(Communicator):
    """Two groups of processes."""

    def Is_inter(self):  # noqa: N802
        return True


class Null(Communicator):
    def Get_rank(self):  # noqa: N802
        raise RuntimeError("null communicator, error stack:\ninternal_Comm_rank(78): failed")


@pytest.mark.parametrize(
    "comm, said",
    [
        (Communicator, "buffer interface, got Communicator; from mpi4py import MPI"),
        (Between(Fabric(1), 0), "one group of processes, got an inter-communicator; comm.Merge"),
        (Null(Fabric(1), 0), "that can be used, got RuntimeError: null communicator; from mpi4py"),
    ],
)
def test_communicators_that_cannot_serve(comm, said):
    with pytest.raises((TypeError, ValueError), match=rf"fit: comm must be .*{said}"):
        network().fit(X, Y, comm=comm, verbose=0)


def test_an_error_in_training_ends_all_and_says_what_it_was(capsys):
    class Fails(Callback):
        def on_batch_end(self, run, batch, figures):
            if run.rank == 1 and batch == 1:
                raise RuntimeError("the disk of rank 1 is gone")

    def work(comm):
        network().fit(X, Y, batch_size=20, comm=comm, verbose=0, callbacks=[Fails()])

    assert all(isinstance(error, Ended) for error in on_ranks(3, work))
    said = capsys.readouterr().err
    assert "[rank 1] RuntimeError: the disk of rank 1 is gone" in said
    assert "[rank 1] ends all 3 ranks" in said


def test_what_is_not_finite_is_raised_on_all_ranks():
    x = X.copy()
    x[70] = np.nan

    def work(comm):
        network().fit(x, Y, batch_size=93, shuffle=False, comm=comm, verbose=0)

    for error in on_ranks(3, work):
        assert isinstance(error, fastconv.errors.TrainingError), error
        assert "in row 70 in epoch 1, batch 1" in str(error)
