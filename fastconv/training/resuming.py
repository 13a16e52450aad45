"""A ``fit`` as checkpoints hold it: what is kept of it, and how another one goes on from there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Protocol

from fastconv import registry
from fastconv.arguments import as_mapping
from fastconv.errors import ArgumentError, FormatError, describe, from_signal, shorten
from fastconv.training.batch import Position
from fastconv.training.callbacks import Callback, Run
from fastconv.training.chain import Chain
from fastconv.training.checkpoint import Checkpoint, Kept, Place
from fastconv.training.described import described, differences

if TYPE_CHECKING:
    from fastconv.training.trainable import Trainable

__all__ = ["Course", "Saved", "capture", "compiled_as", "named"]


class Saved(Protocol):
    """A checkpoint that was read from a file.

    Attributes
    ----------
    path : str
    checkpoint : Checkpoint
    """

    path: str
    checkpoint: Checkpoint


class Course:
    """One ``fit`` on its way.

    Parameters
    ----------
    model : Trainable
    chain : Chain
        Its callbacks.
    run : Run
    settings : dict
        What must be the same in a run that goes on from here, as JSON values.
    """

    def __init__(self, model: Trainable, chain: Chain, run: Run, settings: dict[str, Any]) -> None:
        self.chain, self.run, self.settings = chain, run, settings
        self.history = model.history
        self.mark(model)

    def mark(self, model: Trainable) -> None:
        """Note that a step is complete, and the run's position is that behind it."""
        assert model.compiled is not None
        self.step, self.versions = model.compiled.step, model.versions()

    def whole(self, model: Trainable) -> bool:
        """Whether all that a checkpoint holds is of one moment: between two steps.

        It is not where an interrupt came in the middle of a step, or before all callbacks knew of
        it, or where something else has changed the weights since.
        """
        waiting = [one for one in self.chain.waiting if not one.runs_last and one.state()]
        return not waiting and self.versions == model.versions()

    def place(self) -> Place:
        """Return where the run is, with copies of all that goes on changing."""
        run = self.run
        return Place(
            self.settings,
            run.position.epoch,
            run.position.batch,
            run.stop,
            run.totals.state(),
            {} if self.history is None else self.history.state(),
            [
                _kept(callback, state)
                for callback in self._callbacks()
                if (state := callback.state())
            ],
        )

    def _callbacks(self) -> list[Callback]:
        return [callback for callback in self.chain.callbacks if callback is not self.history]

    def check(self, model: Trainable, saved: Saved) -> None:
        """Raise ArgumentError unless the run can go on from `saved` as its settings are."""
        checkpoint, run, compiled = saved.checkpoint, self.run, model.compiled
        assert compiled is not None
        again = "compile the network as it was"
        _compare(saved, checkpoint.compiled, compiled.chosen or {}, again)
        place = checkpoint.fit
        if place is None:
            return
        _compare(saved, place.settings, self.settings, "give it as it was")
        if place.epoch > run.epochs or (place.epoch == run.epochs and place.batch):
            least = place.epoch + bool(place.batch)
            rule = f"must be at least {least}, as {saved.path} is in its epoch {least}"
            remedy = "it counts all epochs, with those before the checkpoint"
            raise ArgumentError("fit", "epochs", rule, run.epochs, remedy)
        if place.epoch > checkpoint.epoch or place.batch > (run.batches or place.batch):
            raise _refusal(saved, "a place behind the end of the data")

    def restore(self, model: Trainable, saved: Saved) -> None:
        """Go on from `saved`: callbacks, optimizer, weights and counts; on an error none of these.

        The callbacks are those of this run, which have begun and not yet changed anything.
        """
        checkpoint, compiled = saved.checkpoint, model.compiled
        assert compiled is not None
        place = checkpoint.fit
        found: list[tuple[Callback, dict[str, Any]]] = []
        try:
            if place is not None:
                totals = compiled.totals(place.totals)
                totals.means()
                found = self._matched(place.callbacks, saved)
                if self.history is not None:
                    found.append((self.history, place.history))
            with _all_or_none(found):
                compiled.optimizer.restore(checkpoint.optimizer)
        except ArgumentError as error:
            if error.operation == "fit":
                raise
            raise _refusal(saved, describe(error)) from error
        except Exception as error:  # whatever a state of a hostile file brings about
            if from_signal(error):
                raise
            raise _refusal(saved, describe(error)) from error
        model.take_over(saved)
        compiled.step, compiled.epoch = checkpoint.step, checkpoint.epoch
        if place is not None:
            self.run.position = Position(place.epoch, place.batch)
            self.run.stop, self.run.totals = place.stop, totals
        self.mark(model)

    def _matched(self, kept: list[Kept], saved: Saved) -> list[tuple[Callback, dict[str, Any]]]:
        """Return each callback whose state was kept, with that state."""
        left, found = list(kept), []
        for callback in self._callbacks():
            name, settings = named(callback)
            one = next((one for one in left if one.name == name), None)
            if one is not None:
                left.remove(one)
                if not callback.runs_last:
                    _compare(saved, one.settings, settings, "give it as it was", name)
                found.append((callback, one.state))
            elif not callback.runs_last and callback.state():
                _refuse_callbacks(saved, f"without {name}", f"{name} too")
        for one in left:
            if not one.last:
                _refuse_callbacks(saved, f"with {one.name}", "none, or not as many of them")
        return found


@contextmanager
def _all_or_none(found: list[tuple[Callback, dict[str, Any]]]) -> Iterator[None]:
    """Restore each callback; give all back the states that they had if something fails.

    What they do at the end of ``fit`` must not be done with states of a file that was refused.
    """
    before: list[tuple[Callback, dict[str, Any]]] = []
    try:
        for callback, state in found:
            before.append((callback, callback.state()))
            callback.restore(state)
        yield
    except BaseException:
        for callback, state in before:
            callback.restore(state)
        raise


def named(callback: Callback) -> tuple[str, dict[str, Any]]:
    """Return name and settings of a callback, but for where it writes, which may change."""
    name, settings = described(callback, registry.callbacks)
    settings.pop("path", None)
    return name, settings


def _kept(callback: Callback, state: dict[str, Any]) -> Kept:
    as_mapping(type(callback).__name__, "state()", state, "names to values")
    return Kept(*named(callback), dict(state), callback.runs_last)


def _refuse_callbacks(saved: Saved, wanted: str, got: str) -> None:
    raise ArgumentError(
        "fit",
        "callbacks",
        f"must be those of {saved.path}, {wanted}",
        got,
        "give the callbacks of the run that was saved, in their order",
        shown=got,
    )


def _compare(
    saved: Saved, before: Mapping[str, Any], now: Mapping[str, Any], remedy: str, name: str = ""
) -> None:
    """Raise ArgumentError if a setting differs from that of the checkpoint."""
    for place, then, given in differences(dict(before), dict(now), name):
        raise ArgumentError(
            "fit",
            place,
            f"must be {shorten(then)}, as in {saved.path}",
            given,
            f"{remedy}, or leave resume out to begin anew",
        )


def _refusal(saved: Saved, what: str) -> FormatError:
    rule = "must be that of such a run"
    return FormatError("fit", f"the training in {saved.path}", rule, what, shown=what)


def capture(model: Trainable) -> tuple[Checkpoint, bool]:
    """Return how far the training of a compiled model has come, and whether that is one moment.

    Arrays of the optimizer are those that its next step changes.
    """
    compiled = model.compiled
    assert compiled is not None
    course = compiled.course
    going = course is not None and course.step == compiled.step
    checkpoint = Checkpoint(
        model.seed,
        compiled.step,
        compiled.epoch,
        compiled.chosen or {},
        compiled.optimizer.state(copy=False),
        course.place() if going else None,
    )
    return checkpoint, not going or course.whole(model)


def compiled_as(checkpoint: Checkpoint, path: str) -> dict[str, Any]:
    """Return what to give to `compile`, for a network that is not yet compiled."""
    chosen = checkpoint.compiled
    pairs = {
        "optimizer": [(registry.optimizers, chosen["optimizer"])],
        "loss": [(registry.losses, one) for one in chosen["losses"]],
        "metrics": [(registry.metrics, one) for group in chosen["metrics"] for one in group],
    }
    for what, found in pairs.items():
        for where, (name, _) in found:
            if name not in where:
                raise ArgumentError(
                    "fit",
                    "the network",
                    "must be compiled first",
                    remedy=f"{path} does not hold the {what} {name}, which has no registered name",
                )
    losses, metrics = chosen["losses"], chosen["metrics"]
    return {
        "optimizer": chosen["optimizer"],
        "loss": losses[0] if len(losses) == 1 else losses,
        "metrics": metrics[0] if len(metrics) == 1 else metrics,
    }
