"""`Predictor`: a saved network as a function that can be sent anywhere."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import numpy as np

from fastconv.arguments import as_bool, as_int, as_list, as_path, as_text, parse_bytes
from fastconv.batches import BATCH_SIZE
from fastconv.errors import ArgumentError, ArgumentTypeError
from fastconv.layers.spec import Spec
from fastconv.models import InferenceModel, Model
from fastconv.models.graph import inputs
from fastconv.serving import columns as tables
from fastconv.serving.loaded import Loaded, checksum, loaded
from fastconv.threads import sharing

__all__ = ["Predictor"]

Array = np.ndarray[Any, Any]

#: What the column of an output is called, where a network has one.
RESULT = "prediction"


class Predictor:
    """A saved network as a function: pickled in a few bytes, loaded once in every process.

    Dask, Ray, Spark, joblib and `concurrent.futures` send it to where the rows are.  It gives the
    bits of ``fastconv.load(source).predict(x)``, whoever computes which rows.

    Parameters
    ----------
    source : str, path, bytes or Model
        The path of a file that `Model.save` wrote, which every process that predicts must be able
        to read; or the content of such a file, which then travels with each pickle; or a network,
        of which the content is taken as it is now.  A relative path is completed at once.
    memory_limit : int or str, optional
        The most bytes, also as in ``"20 MB"``, that a call may take, as of `Model.predict`.
    batch_size : int
        The most rows that are computed at a time, which changes no result.
    columns : str or sequence of str, optional
        The column that is the input, or those that are the inputs in their order, where tables are
        given.
    results : str or sequence of str, optional
        What the columns of the outputs are called.  By default ``"prediction"``, or the ids of the
        nodes that several outputs are of.
    for_inference : bool
        Whether to load as ``fastconv.load(source, for_inference=True)`` does: in less memory, with
        normalisations folded, so that results are equal up to rounding.

    Notes
    -----
    The file is read by the first call in a process.  The network then serves every Predictor of
    the same content there, from all threads; a process keeps the last four.  Whoever puts a file
    in the place of another, while a job runs, gets results of both: give it another name.

    Calls that come at once, from threads of one process, share its threads
    (`fastconv.get_num_threads`), which are those that the engine grants by ``OMP_NUM_THREADS``.
    What one process starts beside others without saying so, as `concurrent.futures` does, is told
    by ``initializer=fastconv.set_num_threads, initargs=(1,)``.

    Networks whose rows are on another axis than the first are refused.

    Raises
    ------
    ArgumentTypeError, ArgumentError
        If an argument is wrong; by the first call, if there is no such file where it runs, with the
        name of the machine.
    FormatError
        If the content holds no network; by the first call.

    Examples
    --------
    >>> import pickle
    >>> import fastconv
    >>> net = fastconv.Sequential(["Flatten", ("Dense", {"units": 10})], input_shape=(1, 8, 8))
    >>> predict = pickle.loads(pickle.dumps(fastconv.Predictor(net)))
    >>> predict(np.zeros((3, 1, 8, 8), np.float32)).shape
    (3, 10)
    >>> sorted(predict({"x": np.zeros((3, 64)), "number": np.arange(3)}))
    ['number', 'prediction']
    """

    def __init__(
        self,
        source: str | os.PathLike[str] | bytes | bytearray | memoryview | Model,
        memory_limit: int | str | None = None,
        *,
        batch_size: int = BATCH_SIZE,
        columns: str | Sequence[str] | None = None,
        results: str | Sequence[str] | None = None,
        for_inference: bool = False,
    ):
        self._source = found = _as_source(source)
        self._digest = checksum(found) if isinstance(found, bytes) else None
        self._memory_limit = parse_bytes("Predictor", "memory_limit", memory_limit)
        self._batch_size = as_int("Predictor", "batch_size", batch_size, 1)
        self._columns = _as_names("columns", columns)
        self._results = _as_names("results", results)
        self._for_inference = as_bool("Predictor", "for_inference", for_inference)
        self._found: Loaded | None = None

    def __call__(self, *xs: Any) -> Any:
        """Return what the network returns for some rows, none included.

        Parameters
        ----------
        *xs : array-like (N, ...), Series of pandas, tuple of them, mapping or DataFrame
            An array or Series for each input; or one table, a mapping from names to columns or a
            DataFrame.  Rows may have one axis with the numbers of an example, as engines without
            arrays of several axes keep them; rows of a Series, of a list and of an array of objects
            may be arrays or lists.  Without rows, (0,) is right too.

            In a table the inputs are the `columns`; where these were not given, the columns that
            have the names of the network's inputs (`inputs`), or the only column, for the only
            input.

        Returns
        -------
        ndarray (N, ...), or a tuple of them for several outputs
            In the dtype of the network.
        Series
            For a Series, with its index; of arrays of one axis, or of numbers where an output has
            one for each row.  A DataFrame of them for several outputs.
        dict or DataFrame
            For a table: its columns that were no inputs, and one for each output, under the names
            of `outputs`.  An output of one number for each row is (N,).

        Raises
        ------
        ArgumentError
            If there is no file where the call runs, or a table does not say which column is what.
        ShapeError, ArgumentTypeError
            If shapes or dtypes do not fit; the message says how to reshape.
        MemoryLimitError
            If `memory_limit` cannot be kept.
        """
        if len(xs) == 1 and isinstance(xs[0], tuple):
            xs = xs[0]
        for x in xs:
            tables.check_kind(x)
        with sharing():
            if len(xs) == 1 and tables.is_table(xs[0]):
                used = tables.chosen(xs[0], self._columns, self.inputs)
                outputs = self._predict([xs[0][name] for name in used])
                return tables.table(xs[0], used, self._named(outputs))
            outputs = self._predict(xs)
            like = next((x for x in xs if tables.is_series(x)), None)
            if like is not None:
                return tables.indexed(self._named(outputs), like)
            return outputs[0] if len(outputs) == 1 else outputs

    @property
    def inputs(self) -> dict[str, Spec]:
        """Shape of an example and dtype of each input, by name; the network is loaded for it."""
        graph = self._network()._graph
        return dict(zip(graph.input_ids, graph.input_specs, strict=True))

    @property
    def outputs(self) -> dict[str, Spec]:
        """Shape for an example and dtype of each output, by the name of its column."""
        graph = self._network()._graph
        ids = tuple([graph.ids[output] for output in graph.outputs])
        names = self._results or (ids if len(ids) > 1 else (RESULT,))
        if len(names) != len(graph.outputs) or len(set(names)) < len(names):
            rule = f"must be different names for {len(graph.outputs)} outputs"
            raise ArgumentError("Predictor", "results", rule, list(names))
        specs = [graph.specs[output] for output in graph.outputs]
        return dict(zip(names, specs, strict=True))

    def _network(self) -> Model | InferenceModel:
        return self._load().network

    def _load(self) -> Loaded:
        if self._found is None:
            found = loaded(self._source, self._digest, self._for_inference)
            _check_axes(found.network)
            self._found = found
        return self._found

    def _named(self, outputs: Sequence[Array]) -> dict[str, Array]:
        """Return outputs by the names of their columns."""
        return dict(zip(self.outputs, outputs, strict=True))

    def _predict(self, xs: Sequence[Any]) -> tuple[Array, ...]:
        """Return the outputs for arrays or columns, one for each input."""
        specs = self.inputs
        if len(xs) != len(specs):
            rule = f"must have one array for each input: {', '.join(list(specs)[:8])}"
            shown = f"{len(xs)} array{'s' * (len(xs) != 1)}"
            raise ArgumentTypeError("Predictor", "a call", rule, len(xs), shown=shown)
        arrays = [
            tables.as_rows(name, x, spec) for x, (name, spec) in zip(xs, specs.items(), strict=True)
        ]
        network = self._network()
        for name, array in zip(specs, arrays, strict=True):
            if inputs.stream(array, network._graph) is not None:
                rule, remedy = "must be an array (N, ...)", "call it with one batch after the other"
                shown = f"{type(array).__name__}, an iterable"
                raise ArgumentTypeError("Predictor", name, rule, array, remedy, shown=shown)
        found = network.predict(
            tuple(arrays) if len(arrays) > 1 else arrays[0],
            self._batch_size,
            memory_limit=self._memory_limit,
        )
        return found if isinstance(found, tuple) else (found,)

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "_found": None}

    def __dask_tokenize__(self) -> tuple[Any, ...]:
        settings = {k: v for k, v in vars(self).items() if k not in ("_source", "_found")}
        return "fastconv.Predictor", *{**settings, "_digest": self._load().digest}.items()

    def __repr__(self) -> str:
        content = isinstance(self._source, bytes)
        what = f"{len(self._source):,} bytes" if content else repr(self._source)
        return f"<Predictor of {what}>"


def _as_source(source: Any) -> str | bytes:
    """Return a path that holds in other processes of this machine, or the content of a file."""
    if isinstance(source, Model):
        return source.to_bytes()
    if isinstance(source, InferenceModel):
        rule = "must be the network that it was made from, for other processors pack otherwise"
        remedy = "Predictor(net, for_inference=True)"
        shown = "one made for inference"
        raise ArgumentTypeError("Predictor", "source", rule, remedy=remedy, shown=shown)
    if isinstance(source, (bytes, bytearray, memoryview)):
        return bytes(source)
    if not isinstance(source, (str, os.PathLike)):
        rule = "must be the path of a file, the content of one in bytes, or a network"
        remedy = "Predictor(estimator.net_)" if hasattr(source, "net_") else ""
        raise ArgumentTypeError("Predictor", "source", rule, source, remedy)
    return os.path.abspath(as_path("Predictor", "source", source))


def _as_names(parameter: str, given: Any) -> tuple[str, ...] | None:
    if given is None:
        return None
    rule = "must be a name or a list of names"
    names = [given] if isinstance(given, str) else as_list("Predictor", parameter, given, rule)
    if not names:
        raise ArgumentError("Predictor", parameter, rule, given, "or None")
    return tuple(as_text("Predictor", parameter, name) for name in names)


def _check_axes(network: Model | InferenceModel) -> None:
    """Raise unless the first axis of every input and output counts the rows."""
    graph = network._graph
    for spec in (*graph.input_specs, *(graph.specs[output] for output in graph.outputs)):
        if spec.batch_axis != 0:
            rule = "must be of a network whose inputs and outputs have their rows on axis 0"
            raise ArgumentError("Predictor", "source", rule, spec, shown=f"one of {spec}")
