"""Networks as functions that are sent to where the data is: to processes, threads and engines.

::

    predictor   Predictor: pickled in a few bytes, loaded once in a process
    columns     tables: which columns are inputs, and what comes back
    loaded      the networks that this process has loaded, by the content of their files

No engine is imported here.  Ray, Spark, joblib and `concurrent.futures` take a Predictor as the
function that it is; Dask has `fastconv.dask`.
"""

from fastconv.serving.predictor import Predictor

__all__ = ["Predictor"]
