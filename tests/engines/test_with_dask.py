"""Predictions by Dask: graph, schedulers, a cluster of processes, and a worker that dies."""

from __future__ import annotations

import os
import signal
import threading
import time

import numpy as np
import pytest

import fastconv
from fastconv.errors import ArgumentError, ArgumentTypeError, FormatError, ShapeError
from fastconv.testing import assert_bits_equal

dask = pytest.importorskip("dask")
da = pytest.importorskip("dask.array")
distributed = pytest.importorskip("distributed")

pytestmark = pytest.mark.filterwarnings("default")


@pytest.fixture
def array(x):
    return da.from_array(x, chunks=(1_000, 1, 8, 8))


# The graph.


def test_what_is_said_before_anything_runs(net, array, monkeypatch):
    """No function is called to find shapes and dtypes."""
    monkeypatch.setattr(fastconv.Predictor, "__call__", None)
    found = fastconv.dask.predict(net, array)
    assert found.shape == (10_000, 10) and found.dtype == np.float32
    assert found.chunks == ((1_000,) * 10, (10,))
    assert type(found._meta) is np.ndarray and found._meta.shape == (0, 0)


def test_the_network_is_one_node(path, array):
    found = fastconv.dask.predict(path, array)
    nodes = [key for key in dict(found.dask) if str(key).startswith("network-")]
    assert len(nodes) == 1
    tasks = [key for key in dict(found.dask) if str(key[0]).startswith("prediction-")]
    assert len(tasks) == 10


def test_the_same_has_the_same_name(net, path, array):
    """So that what Dask has computed already serves again; another network is another."""
    one = fastconv.dask.predict(net, array)
    assert one.name == fastconv.dask.predict(path, array).name
    assert one.name != fastconv.dask.predict(path, array, memory_limit="1 GB").name
    assert one.name != fastconv.dask.predict(path, array[:1_000]).name
    net = fastconv.load(path)
    net.set_weights({key: value + 1 for key, value in net.weights().items()})
    assert one.name != fastconv.dask.predict(net, array).name


@pytest.mark.parametrize("scheduler", ["synchronous", "threads", "processes"])
def test_the_bits_of_every_scheduler(scheduler, path, array, expected):
    found = fastconv.dask.predict(path, array[:3_000]).compute(scheduler=scheduler)
    assert_bits_equal(found, expected[:3_000])


@pytest.mark.parametrize("rows", [1, 7, 333, 10_000])
def test_the_bits_of_every_cut(rows, net, x, expected):
    count = min(len(x), 20 * rows)
    array = da.from_array(x[:count], chunks=(rows, -1, -1, -1))
    found = fastconv.dask.predict(net, array).compute(scheduler="synchronous")
    assert_bits_equal(found, expected[:count])


def test_rows_of_one_axis_and_of_unknown_number(net, x, expected):
    array = da.from_array(x[:500].reshape(500, -1), chunks=(100, -1))
    found = fastconv.dask.predict(net, array)
    assert_bits_equal(found.compute(scheduler="synchronous"), expected[:500])
    some = array[array[:, 0] > 0]
    found = fastconv.dask.predict(net, some)
    assert np.isnan(found.shape[0]) and found.shape[1] == 10
    kept = x[:500, 0, 0, 0] > 0
    assert_bits_equal(found.compute(scheduler="synchronous"), expected[:500][kept])


def test_chunks_without_rows(net, x, expected):
    array = da.concatenate([da.from_array(x[:0]), da.from_array(x[:5])])
    found = fastconv.dask.predict(net, array)
    assert_bits_equal(found.compute(scheduler="synchronous"), expected[:5])
    assert fastconv.dask.predict(net, da.from_array(x[:0])).compute().shape == (0, 10)


def test_several_inputs_and_outputs(x):
    a, b = fastconv.Input((1, 8, 8), name="a"), fastconv.Input((64,), name="b")
    left = fastconv.create_layer("Dense", units=4)(fastconv.create_layer("Flatten")(a))
    net = fastconv.Model((a, b), (left, fastconv.create_layer("Dense", units=3)(b)), seed=0)
    flat = x.reshape(-1, 64)
    given = da.from_array(x, chunks=(900, 1, 8, 8)), da.from_array(flat, chunks=(900, -1))
    found = fastconv.dask.predict(net, given)
    assert [each.shape for each in found] == [(10_000, 4), (10_000, 3)]
    got = dask.compute(*found, scheduler="threads")
    for one, other in zip(got, net.predict((x, flat)), strict=True):
        assert_bits_equal(one, other)
    with pytest.raises(ShapeError, match="b must have the chunks of the first array"):
        fastconv.dask.predict(net, (given[0], given[1].rechunk((800, -1))))
    some = da.map_blocks(
        lambda block: block, given[1], chunks=((np.nan,) * 12, (64,)), meta=flat[:0]
    )
    assert np.isnan(some.shape[0])
    assert_bits_equal(fastconv.dask.predict(net, (given[0], some))[1].compute(), got[1])
    with pytest.raises(ShapeError, match="b must have the chunks of the first array"):
        fastconv.dask.predict(net, (given[0].rechunk((800, -1, -1, -1)), some))
    with pytest.raises(ArgumentTypeError, match="one array for each input: a, b, got 1"):
        fastconv.dask.predict(net, given[0])


# What is refused.


def test_a_chunk_that_ends_within_an_example_is_told_how_to_rechunk(net, x):
    array = da.from_array(x, chunks=(1_000, 1, 4, 3))
    with pytest.raises(ShapeError, match=r"whole examples.*array.rechunk\(\{2: -1, 3: -1\}\)$"):
        fastconv.dask.predict(net, array)
    assert fastconv.dask.predict(net, array.rechunk({2: -1, 3: -1})).shape == (10_000, 10)


def test_many_chunks_leave_room_for_what_to_do(net, x):
    array = da.from_array(x, chunks=2)
    with pytest.raises(ShapeError, match=r"got chunks of \(2, 1, 2, 2\); array.rechunk") as caught:
        fastconv.dask.predict(net, array)
    assert len(str(caught.value)) < 200


def test_a_remedy_names_what_was_given(net, x):
    array = da.from_array(x, chunks=-1)
    with pytest.raises(ShapeError, match=r"array\.transpose\(0, 3, 1, 2\)$"):
        fastconv.dask.predict(net, array.transpose(0, 2, 3, 1))


def test_a_frame_of_a_column_for_each_number_becomes_an_array(net, x):
    pandas, frames = pytest.importorskip("pandas"), pytest.importorskip("dask.dataframe")
    frame = frames.from_pandas(pandas.DataFrame(x[:30].reshape(30, 64)), npartitions=3)
    with pytest.raises(
        ArgumentTypeError, match=r"got DataFrame; frame.to_dask_array\(lengths=True"
    ):
        fastconv.dask.predict(net, frame)
    found = fastconv.dask.predict(net, frame.to_dask_array(lengths=True))
    assert_bits_equal(found.compute(), net.predict(x[:30]))


def test_what_does_not_fit_is_told_before_anything_runs(net, path, x, array, tmp_path):
    predict = fastconv.dask.predict
    with pytest.raises(ArgumentTypeError, match=r"array of Dask, got ndarray; dask.array.from_arr"):
        predict(net, x)
    with pytest.raises(ShapeError, match=r"must have shape \(N, 1, 8, 8\).*add the channel"):
        predict(net, array[:, 0])
    with pytest.raises(ArgumentTypeError, match="real numbers, got complex64"):
        predict(net, array.astype("complex64"))
    masked = da.ma.masked_greater(array, 1)
    with pytest.raises(
        ArgumentTypeError, match=r"in MaskedArray; dask.array.ma.filled\(array, val"
    ):
        predict(net, masked)
    assert predict(net, da.ma.filled(masked, 1)).shape == (10_000, 10)
    with pytest.raises(ArgumentTypeError, match="dask.predict: net must be the path"):
        predict(3, array)
    with pytest.raises(ArgumentError, match="no such file"):
        predict(tmp_path / "none.safetensors", array)
    with pytest.raises(FormatError):
        predict(b"x", array)
    with pytest.raises(ArgumentError, match="dask.predict: memory_limit must be"):
        predict(path, array, memory_limit="1 XB")
    with pytest.raises(ArgumentError, match="must be left out beside a Predictor"):
        predict(fastconv.Predictor(path), array, memory_limit=10)


def test_floats_for_an_input_of_integers(array):
    i = fastconv.Input((1, 8, 8), "uint8")
    net = fastconv.Model(i, fastconv.create_layer("Rescaling", scale=0.5)(i))
    with pytest.raises(ArgumentTypeError, match="integers, got float32"):
        fastconv.dask.predict(net, array)
    assert fastconv.dask.predict(net, array.astype("uint8")).dtype == np.float32


# A cluster.


@pytest.fixture(scope="module")
def client():
    with (
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, dashboard_address=None
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        yield client


def _loaded():
    from fastconv.serving import loaded

    return os.getpid(), len(loaded._networks)


def _threads():
    import fastconv

    return fastconv.get_num_threads(), os.environ["OMP_NUM_THREADS"]


def test_a_worker_loads_once_and_uses_the_threads_it_was_given(client, path, array, expected):
    found = fastconv.dask.predict(path, array).compute()
    assert_bits_equal(found, expected)
    assert all(count == 1 for _, count in client.run(_loaded).values())
    # the nanny says 1 for a worker whose tasks have a thread each
    assert set(client.run(_threads).values()) == {(1, "1")}


def test_content_needs_no_file_on_the_workers(client, net, x, expected):
    array = da.from_array(x, chunks=(500, 1, 8, 8))
    assert_bits_equal(fastconv.dask.predict(net, array).compute(), expected)


def test_a_limit_holds_in_every_task(client, path, array, expected):
    with pytest.raises(fastconv.MemoryLimitError) as caught:
        fastconv.dask.predict(path, array, memory_limit=100).compute()
    found = fastconv.dask.predict(path, array, memory_limit=caught.value.least)
    least = found.compute()
    strict = fastconv.load(path).predict(array[:1_000].compute(), memory_limit=caught.value.least)
    assert_bits_equal(least[:1_000], strict)


def _slowly(block):
    time.sleep(0.05)
    return block


def test_a_worker_that_is_killed_changes_nothing(path, x, expected):
    """10,000 images in 100 tasks; one of two workers dies after the first tenth of them."""
    cluster = distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None)
    with cluster, distributed.Client(cluster) as client:
        array = da.from_array(x, chunks=(100, 1, 8, 8)).map_blocks(_slowly, meta=x[:0])
        future = client.compute(fastconv.dask.predict(path, array))
        (first, second), killed = client.run(os.getpid).values(), threading.Event()
        deadline = time.monotonic() + 60
        while sum(client.run(_predicted_here).values()) < 10 and time.monotonic() < deadline:
            time.sleep(0.02)
        assert future.status == "pending", "the kill came too late to say anything"
        os.kill(first, signal.SIGKILL)
        killed.set()
        found = future.result(timeout=120)
        pids = set(client.run(os.getpid).values())
    assert_bits_equal(found, expected)
    assert first not in pids and second in pids


def _predicted_here(dask_worker):
    return sum(str(key).startswith("('prediction-") for key in dask_worker.data)
