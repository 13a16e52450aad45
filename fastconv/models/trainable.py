"""Networks that learn: the functions of the loop of training as methods."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from fastconv.batches import BATCH_SIZE
from fastconv.models.graph import inputs
from fastconv.models.sharded import ShardedNetwork
from fastconv.models.text import explained

if TYPE_CHECKING:  # training is imported where it is used: many programs only run networks
    from fastconv.training.callbacks import History
    from fastconv.training.compiled import Compiled

__all__ = ["TrainableNetwork"]


class TrainableNetwork(ShardedNetwork):
    """A network that has gradients and learns.

    Attributes
    ----------
    compiled : Compiled or None
        Optimizer, loss and metrics, once `compile` has chosen them.
    history : History or None
        The history of the last `fit`, however that ended.
    """

    compiled: Compiled | None
    history: History | None = None

    @explained
    def compile(self, optimizer: Any = "adam", loss: Any = None, metrics: Any = ()) -> None:
        """Choose how the network learns.

        Parameters
        ----------
        optimizer : str, (str, dict) or Optimizer
            ``adagrad``, ``adam``, ``adamw``, ``momentum``, ``nesterov``, ``rmsprop`` or ``sgd``,
            with settings such as ``("adam", {"learning_rate": 0.01, "weight_decay": 1e-4})``. The
            rate may be a schedule: ``constant``, ``step``, ``exponential`` or ``cosine``, with its
            settings. An object serves only this network, and starts anew.
        loss : str, (str, dict) or Loss
            For classes ``softmax_cross_entropy``, or after Softmax ``cross_entropy``; for labels
            that are each yes or no ``sigmoid_cross_entropy``, or after Sigmoid
            ``binary_cross_entropy``; for numbers ``mean_squared_error``, ``mean_absolute_error``
            or ``huber``. For several outputs, a list with one loss for each.
        metrics : str, or sequence of str, (str, dict) or callable
            ``accuracy``, ``top_k``, ``binary_accuracy``, ``precision``, ``recall``, ``f1``,
            ``auc``, ``mean_absolute_error``, or any function of (outputs, targets) that gives
            one figure per answer. If names are equal, the later ones are numbered.
        """
        from fastconv.training import loop

        loop.compile(self, optimizer, loss, metrics)

    @explained
    def fit(
        self,
        x: Any,
        y: Any = None,
        *,
        batch_size: int = BATCH_SIZE,
        epochs: int = 10,
        validation_data: Any = None,
        validation_split: float | None = None,
        shuffle: bool = True,
        seed: int = 0,
        verbose: int = 1,
        callbacks: Iterable[Any] | None = (),
        class_weight: Any = None,
        sample_weight: Any = None,
        transform: Callable[..., Any] | None = None,
        stop_on_nan: bool = True,
        resume: Any = None,
        memory_limit: int | str | None = None,
        comm: Any = None,
        shards: int | None = None,
        batch_norm: str = "by_piece",
    ) -> History:
        """Train on arrays, on rows that are read, or on batches; see `fastconv.training.loop.fit`.

        Parameters
        ----------
        x : array-like (N, ...), object whose rows are read, tuple of them, or iterable of batches
            An object with ``__len__`` and ``__getitem__`` is called with one int for each row; if
            it has a ``shape`` too, with the ascending row numbers of a batch. An iterable gives
            (x, y) or (x, y, sample_weight), and comes without y; an iterator runs for one epoch.
        y : array-like (N, ...), object whose rows are read, or tuple of them
        batch_size, epochs : int
            A last batch with fewer rows than a layer can learn from joins the one before. Batches
            of an iterable are as they come: then `batch_size` is that of the rows of
            validation_data, and without such it is left out.
        validation_data : (x, y), (x, y, sample_weight), or iterable of batches, optional
            The network is evaluated on it after each epoch.
        validation_split : float, optional
            The share of the rows that is held out for that: of each class if y holds classes,
            chosen by `seed`, else the last rows.
        shuffle : bool
            Whether each epoch takes the rows in another order, which `seed` decides.
        verbose : {0, 1, 2}
            Nothing, a progress bar, or a line for each epoch.
        callbacks : sequence of Callback, name, (name, dict) or function; or one
            A function gets ``(run, epoch, figures)`` at the end of each epoch.
        class_weight : dict of int to float, array (K,), or "balanced", optional
            What rows of a class count in loss and metrics; classes without a number count 1.
        sample_weight : array-like (N,), optional
            What each row counts, times what its class does.
        transform : callable, optional
            ``transform(rng, x, y) -> (x, y)`` is called on each batch to learn from, and makes
            what the network takes. Its random numbers are keyed by seed, epoch and batch;
            `fastconv.data` has some.
        stop_on_nan : bool
            Whether to raise TrainingError if loss, gradients or statistics are not finite,
            before they reach a weight.
        resume : str or path, optional
            A checkpoint, from which training goes on; `epochs` counts those before it too.
        memory_limit : int or str, optional
            The most bytes, also as in ``"20 MB"``, for activations, gradients, workspace, packed
            weights and the gathered batch together, and for the next batch if there is room to
            read it ahead. If need be, the backward pass computes activations again. Loss and
            gradients have the bits that the same algorithms give without a limit.
        comm : communicator of mpi4py's buffer interface, optional
            The processes that train together, such as ``MPI.COMM_WORLD``; each is given the same.
            Rank 0 prints and writes. The bits do not depend on how many there are.
        shards : int, optional
            In how many pieces each batch is cut, of which each process runs some. By default 16
            with `comm`, and else none: the batch is run as a whole.
        batch_norm : {"by_piece", "synchronised"}
            Whether BatchNorm takes the statistics of each piece, or of the whole batch.

        Returns
        -------
        History
            ``.history`` has for each figure a list with one entry per epoch. The network's own
            `history` is the same object, also after an error or Ctrl-C.
        """
        from fastconv.training import loop
        from fastconv.training.sharding.faults import joined_by

        with joined_by(comm) as ranks:
            data, held_out = ranks.agreed(
                lambda: (self._data(x, y), self._held_out(validation_data))
            )
            return loop.fit(
                self,
                data,
                y,
                batch_size=batch_size,
                epochs=epochs,
                validation_data=held_out,
                validation_split=validation_split,
                shuffle=shuffle,
                seed=seed,
                verbose=verbose,
                callbacks=callbacks,
                class_weight=class_weight,
                sample_weight=sample_weight,
                transform=transform,
                stop_on_nan=stop_on_nan,
                resume=resume,
                memory_limit=memory_limit,
                comm=ranks,
                shards=shards,
                batch_norm=batch_norm,
            )

    @explained
    def train_on_batch(
        self, x: Any, y: Any, *, stop_on_nan: bool = True, memory_limit: int | str | None = None
    ) -> dict[str, float]:
        """Take one step of the optimizer; return loss and metrics of the batch before the step.

        Parameters
        ----------
        x, y : array-like (N, ...), or a tuple of them
        stop_on_nan : bool
            Whether numbers that are not finite raise TrainingError before the step; see `fit`.
        memory_limit : int or str, optional
            The most bytes that the step may take; see `fit`.
        """
        from fastconv.training import loop

        return loop.train_on_batch(
            self, self._parts(x), y, stop_on_nan=stop_on_nan, memory_limit=memory_limit
        )

    @explained
    def evaluate(
        self,
        x: Any,
        y: Any = None,
        *,
        batch_size: int = BATCH_SIZE,
        sample_weight: Any = None,
        memory_limit: int | str | None = None,
    ) -> dict[str, float]:
        """Return loss and metrics over all rows, exact for any batch size.

        Parameters
        ----------
        x, y : array-like (N, ...), objects whose rows are read, tuples of them; or x alone
            An iterable of batches is given as x alone; see `fit`.
        batch_size : int
            The most rows that are computed at a time. Batches of an iterable are as they come, and
            it is left out.
        sample_weight : array-like (N,), optional
            What each row counts.
        memory_limit : int or str, optional
            The most bytes that each batch may take; see `predict`.
        """
        from fastconv.training import loop

        return loop.evaluate(
            self,
            self._data(x, y),
            y,
            batch_size=batch_size,
            sample_weight=sample_weight,
            memory_limit=memory_limit,
        )

    def _parts(self, x: Any) -> tuple[Any, ...]:
        return tuple(inputs.split(x, self._graph))

    def _data(self, x: Any, y: Any) -> Any:
        """Return `x` as one thing for each input, or as a Stream."""
        return inputs.stream(x, self._graph, alone=y is None) or self._parts(x)

    def _held_out(self, data: Any) -> Any:
        if isinstance(data, list) and len(self._graph.input_ids) == 1:
            batches = inputs.stream(data, self._graph, alone=True)  # also two or three of them
            if batches is not None:
                return batches
        if isinstance(data, (tuple, list)) and len(data) in (2, 3):
            return (self._parts(data[0]), *data[1:])
        return inputs.stream(data, self._graph, alone=True) or data
