"""Predictions by Spark: predict_batch_udf, pandas_udf and mapInPandas.

Spark needs Java: without it these tests are skipped, and `make test-engines` says so.
"""

from __future__ import annotations

import os
import shutil
import sys
from functools import partial

import numpy as np
import pytest

import fastconv
from fastconv.testing import assert_bits_equal

pytest.importorskip("pyspark")
pandas = pytest.importorskip("pandas")
pytest.importorskip("pyarrow")
if not (os.environ.get("JAVA_HOME") or shutil.which("java")):
    pytest.skip("SPARK WAS NOT TESTED: it needs Java 17 or newer", allow_module_level=True)

from pyspark.ml.functions import predict_batch_udf  # noqa: E402
from pyspark.sql import SparkSession  # noqa: E402
from pyspark.sql.functions import pandas_udf  # noqa: E402
from pyspark.sql.types import ArrayType, FloatType  # noqa: E402

pytestmark = pytest.mark.filterwarnings("default")
ROWS = 2_000


@pytest.fixture(scope="module")
def spark():
    """A session of two processors, whose workers run this Python."""
    os.environ["PYSPARK_PYTHON"] = os.environ["PYSPARK_DRIVER_PYTHON"] = sys.executable
    session = (
        SparkSession.builder.master("local[2]")
        .config("spark.ui.enabled", "false")
        .config("spark.driver.bindAddress", "127.0.0.1")
        .config("spark.driver.host", "127.0.0.1")
        .config("spark.sql.execution.arrow.maxRecordsPerBatch", "300")
        .getOrCreate()
    )
    session.sparkContext.setLogLevel("ERROR")
    yield session
    session.stop()


@pytest.fixture(scope="module")
def images(spark, x):
    """The number and the pixels of each image; a row of pixels has one axis."""
    pixels = list(x[:ROWS].reshape(ROWS, -1))
    table = pandas.DataFrame({"number": np.arange(ROWS), "image": pixels})
    return spark.createDataFrame(table, "number long, image array<float>").repartition(4)


def in_order(frame) -> np.ndarray:
    """Return the predictions in the order of the numbers, (ROWS, 10)."""
    found = frame.toPandas().sort_values("number")
    assert found["number"].tolist() == list(range(ROWS))
    return np.stack(found["prediction"].to_numpy()).astype(np.float32)


def test_predict_batch_udf(images, path, expected):
    predict = predict_batch_udf(
        partial(fastconv.Predictor, str(path)),
        return_type=ArrayType(FloatType()),
        batch_size=500,
        input_tensor_shapes=[[1, 8, 8]],
    )
    found = images.select("number", predict("image").alias("prediction"))
    assert_bits_equal(in_order(found), expected[:ROWS])


def test_predict_batch_udf_of_two_inputs(images, x):
    a, b = fastconv.Input((1, 8, 8)), fastconv.Input((1,))
    flat = fastconv.create_layer("Flatten")(a)
    both = fastconv.create_layer("Concatenate")(flat, b)
    net = fastconv.Model((a, b), fastconv.create_layer("Dense", units=3)(both), seed=0)
    content = net.to_bytes()

    def make():
        predictor = fastconv.Predictor(content)
        return lambda image, number: predictor(image, number)

    predict = predict_batch_udf(
        make,
        return_type=ArrayType(FloatType()),
        batch_size=500,
        input_tensor_shapes=[[1, 8, 8], None],
    )
    found = images.select("number", predict("image", "number").alias("prediction"))
    numbers = np.arange(ROWS, dtype=np.float32)[:, None]
    assert_bits_equal(in_order(found), net.predict((x[:ROWS], numbers)))


def test_pandas_udf_of_a_series(images, net, expected):
    predictor = fastconv.Predictor(net)

    @pandas_udf("array<float>")
    def predict(image: pandas.Series) -> pandas.Series:
        return predictor(image)

    found = images.select("number", predict("image").alias("prediction"))
    assert_bits_equal(in_order(found), expected[:ROWS])


def test_map_in_pandas_of_a_table(images, path, expected):
    predictor = fastconv.Predictor(path, "50 MB", columns="image")
    found = images.mapInPandas(
        lambda tables: map(predictor, tables), "number long, prediction array<float>"
    )
    assert_bits_equal(in_order(found), expected[:ROWS])


def test_a_worker_uses_the_processors_that_it_was_given(spark):
    """Spark says by OMP_NUM_THREADS how many a task has: spark.task.cpus, which is 1."""

    def seen(_):
        import fastconv

        return fastconv.get_num_threads(), os.environ.get("OMP_NUM_THREADS")

    assert set(spark.sparkContext.range(4).map(seen).collect()) == {(1, "1")}
