"""Predictions by Ray Data: the class itself, in actors that stay."""

from __future__ import annotations

import os

import numpy as np
import pytest

import fastconv
from fastconv.testing import assert_bits_equal

ray = pytest.importorskip("ray")
pytest.importorskip("pandas")
pytest.importorskip("pyarrow")

pytestmark = pytest.mark.filterwarnings("default")


@pytest.fixture(scope="module")
def cluster():
    # two for actors, which keep theirs to the end, and two for what reads
    with pytest.MonkeyPatch.context() as context:
        # what is set where Ray starts goes before what it says; Dask's tests leave it
        context.delenv("OMP_NUM_THREADS", raising=False)
        ray.init(num_cpus=4, include_dashboard=False, log_to_driver=False)
    ray.data.DataContext.get_current().enable_progress_bars = False
    yield
    ray.shutdown()


@pytest.fixture
def images(cluster, x):
    """The number and the pixels of each image, in blocks."""
    pixels = ray.put(x)

    def read(batch):
        return {"number": batch["id"], "image": ray.get(pixels)[batch["id"]]}

    return ray.data.range(len(x), override_num_blocks=8).map_batches(read, batch_size=500)


def in_order(batches) -> tuple[np.ndarray, np.ndarray]:
    """Return numbers and predictions of a Dataset in the order of the numbers."""
    found = list(batches.iter_batches(batch_size=None))
    assert all(list(batch) == ["number", "prediction"] for batch in found)
    numbers = np.concatenate([batch["number"] for batch in found])
    order = numbers.argsort()
    return numbers[order], np.concatenate([batch["prediction"] for batch in found])[order]


def test_map_batches_takes_the_class_itself(images, path, expected):
    found = images.map_batches(
        fastconv.Predictor,
        fn_constructor_args=(str(path),),
        fn_constructor_kwargs={"columns": "image"},
        batch_size=700,
        concurrency=2,
    )
    numbers, predictions = in_order(found)
    assert np.array_equal(numbers, np.arange(len(expected)))
    assert_bits_equal(predictions, expected)


def test_content_and_tables_of_pandas_too(images, net, expected):
    found = images.limit(1_000).map_batches(
        fastconv.Predictor,
        fn_constructor_args=(net.to_bytes(),),
        fn_constructor_kwargs={"columns": "image", "memory_limit": "50 MB"},
        batch_format="pandas",
        batch_size=300,
        concurrency=1,
    )
    numbers, predictions = in_order(found)
    rows = np.stack(list(predictions))
    assert_bits_equal(rows, expected[numbers])


def test_a_task_that_has_no_file_says_where(images, tmp_path):
    found = images.limit(10).map_batches(
        fastconv.Predictor,
        fn_constructor_args=(str(tmp_path / "none.safetensors"),),
        fn_constructor_kwargs={"columns": "image"},
        concurrency=1,
    )
    with pytest.raises(Exception, match=r"no such file or directory on .*read_bytes"):
        found.materialize()


@pytest.mark.parametrize("cpus", [1, 2])
def test_an_actor_uses_the_processors_that_it_was_given(cluster, path, cpus):
    """Ray says by OMP_NUM_THREADS how many there are."""

    @ray.remote(num_cpus=cpus)
    class Actor:
        def __init__(self, source):
            self.predict = fastconv.Predictor(source)

        def seen(self):
            self.predict(np.zeros((1, 1, 8, 8)))
            return fastconv.get_num_threads(), os.environ["OMP_NUM_THREADS"]

    actor = Actor.remote(str(path))
    assert ray.get(actor.seen.remote()) == (cpus, str(cpus))
    ray.kill(actor)
