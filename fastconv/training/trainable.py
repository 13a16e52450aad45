"""What training asks of a model; it knows nothing else about one."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from fastconv.batches import Array, Runnable
from fastconv.layers.parameter import Parameter
from fastconv.layers.spec import Spec

if TYPE_CHECKING:
    from fastconv.training.callbacks import History
    from fastconv.training.compiled import Compiled

__all__ = ["Accept", "Answer", "LossFunction", "PieceRun", "Taker", "Trainable"]

LossFunction = Callable[[tuple[Array, ...]], tuple[dict[str, float], tuple[Array, ...]]]
#: It is called with the gradients and the new statistics of a step, by ``layer/parameter``, before
#: the model uses them. If it raises, the model stays as it was.
Accept = Callable[[Mapping[str, Array], Mapping[str, Array]], None]


class Answer(NamedTuple):
    """What the numbers of an output are.

    Attributes
    ----------
    kind : str or None
        One of the values of the layers' trait ``gives``; None if nothing is known.
    layer : str
        The class of the layer that makes the numbers so, such as ``"Softmax"``.
    """

    kind: str | None
    layer: str


class PieceRun(NamedTuple):
    """A piece of a batch that is to be run.

    Attributes
    ----------
    number : int
        Beside seed, step and node the key of its random numbers.
    xs : callable
        It returns the inputs, cast.
    dloss : LossFunction
        What the piece adds to the losses of the batch, and to their gradients.
    """

    number: int
    xs: Callable[[], tuple[Array, ...]]
    dloss: LossFunction


class Taker(Protocol):
    """What takes the results of pieces; `at` counts the pieces that are run, from 0."""

    def gradient(self, at: int, key: str, array: Array) -> None:
        """Take a gradient, as soon as it is known; the memory of `array` is not to be kept."""

    def statistics(self, at: int, arrays: Mapping[str, Array]) -> None:
        """Take the new statistics of a piece, by ``layer/parameter``."""

    def outputs(self, at: int, outputs: tuple[Array, ...], losses: Mapping[str, float]) -> None:
        """Take the outputs of a piece, and what its losses add to those of the batch."""

    def together(self, arrays: Sequence[Array], merge: Callable[[Array, Array], Array]) -> Array:
        """Return what `merge` makes of one array of each piece, those of other processes too."""

    def poll(self) -> None:
        """Do what is waiting; it is called after each operation of the backward pass."""


class Trainable(Runnable, Protocol):
    """What training asks of a model, beside that it runs on batches.

    Attributes
    ----------
    compiled : Compiled or None
        What `compile` chose.
    gradients : mapping of str to ndarray
        Those of the loss in the last step, before the optimizer clipped them or added a decay,
        under the keys of `trainable_parameters`.
    history : History or None
        That of the last ``fit``, however it ended.
    seed : int
        The key of dropout.
    """

    compiled: Compiled | None
    gradients: Mapping[str, Array]
    history: History | None
    seed: int

    def forward_backward(
        self,
        xs: tuple[Array, ...],
        dloss: LossFunction,
        step: int,
        program: Any = None,
        *,
        accept: Accept | None = None,
    ) -> tuple[tuple[Array, ...], dict[str, float]]:
        """Run one batch forward and backward; set `gradients` and the new statistics.

        `dloss` maps the outputs to (losses by name, one gradient for each output). `step` is part
        of the key of random numbers. `program` is what the method of that name gave, or None.
        Return the outputs, and the losses by name.
        """

    def structure(self) -> dict[str, Any]:
        """Return what the model is made of, as JSON values.

        ``{"layers": {"relu_1": [name, {...}]}, "outputs": ["relu_1"]}``: of each node the name of
        its layer, with settings, inputs, and the parameters that are frozen.
        """

    def learned_in_order(self) -> tuple[dict[str, Parameter], dict[str, Parameter]]:
        """Return the parameters that the optimizer changes, and the statistics of training.

        Both are by ``layer/parameter``, in the order in which gradients become known.
        """

    def least_rows_of_piece(self, operation: str = "fit") -> int:
        """Return the fewest rows of a piece where statistics are of whole batches.

        It raises ArgumentError, of `operation`, if those of a layer cannot be.
        """

    def run_pieces(
        self,
        pieces: Sequence[PieceRun],
        step: int,
        taker: Taker,
        program: Any = None,
        *,
        synchronised: bool = False,
    ) -> None:
        """Run pieces of a batch forward and backward; `taker` gets all that they give.

        Nothing of the model changes. If `synchronised`, layers that can take statistics of the
        whole batch; then the pieces run at the same time, else one after the other.
        """

    def take_statistics(self, arrays: Mapping[str, Array]) -> None:
        """Give statistics new values, by ``layer/parameter``."""

    def first_not_finite(
        self, xs: tuple[Array, ...], step: int, program: Any = None, piece: int | None = None
    ) -> tuple[str, float] | None:
        """Return the first weight or output of a layer that is not finite in a step, if any.

        An example is ``("the output of conv2d_1", inf)``. `piece` is the number of a piece of the
        batch, if `xs` are its inputs.
        """

    def every_parameter(self) -> dict[str, Parameter]:
        """Return all parameters, frozen ones and statistics too, by ``layer/parameter``."""

    def trainable_parameters(self) -> dict[str, Parameter]:
        """Return the parameters that the optimizer changes, by ``layer/parameter``."""

    def normalized_inputs(self) -> Sequence[bool]:
        """Return for each input whether the network brings it from any scale to a usual one."""

    def input_specs(self) -> Sequence[Spec]:
        """Return shape and dtype of each input, without the batch."""

    def output_layers(self) -> Sequence[Any]:
        """Return the layer that makes each output, or None if none does."""

    def output_answers(self) -> Sequence[Answer]:
        """Return for each output what its numbers are, and what makes them so."""

    def output_specs(self) -> Sequence[Spec]:
        """Return shape and dtype of each output, without the batch."""

    def least_rows(self) -> tuple[int, str]:
        """Return the fewest rows that the model can learn from, and the layer that says so."""

    def versions(self) -> int:
        """Return a number that every change of a weight or a statistic raises."""

    def read_checkpoint(self, operation: str, path: Any) -> Any:
        """Return the newest checkpoint at `path`, a `fastconv.training.resuming.Saved`.

        It is checked, and of this network; the network is as it was.
        """

    def take_over(self, saved: Any) -> None:
        """Take over the weights, frozen flags and seed of what `read_checkpoint` returned."""
