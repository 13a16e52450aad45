"""The errors of fastconv, each also a ``ValueError``, ``TypeError`` or ``MemoryError``.

Every error carries its parts: the operation, the parameter, the rule, the value and, where there
is one, the remedy.  The message is made of them and has one form: ``conv2d: stride must be at
least 1, got 0``.  Who needs a part reads the attribute; nobody parses a message.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from fastconv.errors.texts import did_you_mean, from_signal, in_one_line, nearest, shorten, text_of

__all__ = [
    "ArgumentError",
    "ArgumentTypeError",
    "CheckpointWarning",
    "ConfigError",
    "CostTableWarning",
    "DataWarning",
    "FastconvError",
    "FormatError",
    "InstructionSetError",
    "InstructionSetWarning",
    "MemoryLimitError",
    "MissingExtraError",
    "NotCompiledError",
    "PluginWarning",
    "Problem",
    "ShapeError",
    "TrainingError",
    "UnknownAttributeError",
    "UnknownNameError",
    "describe",
    "did_you_mean",
    "from_signal",
    "in_one_line",
    "nearest",
    "shorten",
]


class _Nothing:
    """Takes the place of a value that an error does not speak of."""

    def __repr__(self) -> str:
        return "NOTHING"

    def __reduce__(self) -> str:
        return "NOTHING"


NOTHING = _Nothing()


def _message(
    operation: str, parameter: str, rule: str, value: object, remedy: str, shown: str | None
) -> str:
    """Return the text of an error made of its parts."""
    text = " ".join(filter(None, (parameter, rule)))
    if shown is not None or value is not NOTHING:
        text += f", got {shorten(value) if shown is None else shown}"
    if remedy:
        text += f"; {remedy}"
    return f"{operation}: {text}" if operation and text else operation or text


def _without_array(value: object, shown: str | None) -> tuple[object, str | None]:
    """Return both, for an array its shape instead: an error keeps no array alive."""
    try:
        shape = getattr(value, "shape", ()) if hasattr(type(value), "__array__") else ()
        shape = tuple(shape)
    except Exception as error:  # such as of a data set in a file that has been closed
        if from_signal(error):
            raise
        shape = ()
    if not shape:
        return value, shown
    text = f"{type(value).__name__} of shape {shape}"
    return text, text if shown is None else shown


def _lasting(value: object) -> object:
    """Return `value` if it can be pickled anywhere and holds no array, else its short form."""
    if value is NOTHING or value is None or isinstance(value, (bool, int, float, str)):
        return value
    if type(value) in (tuple, list) and all(_lasting(item) is item for item in value):  # type: ignore[attr-defined]
        return value
    return shorten(value)


class FastconvError(Exception):
    """Base class of every error that fastconv raises on purpose.

    Parameters
    ----------
    operation : str
        The function, method or layer that refuses, such as ``"conv2d"``.  Given alone it is the
        whole message; layers of others may raise so.
    parameter : str
        What is wrong: ``"stride"``, ``"weights['conv2d_1/bias']"``.
    rule : str
        What must hold, with its verb: ``"must be at least 1"``.
    value : object, optional
        What was given.  Of an array the shape or dtype, so that an error keeps no array alive.
    remedy : str
        What to do instead, without a full stop.
    shown : str, optional
        How the message shows `value`, where its ``repr`` does not tell enough: ``"shape (3, 4)"``.

    Attributes
    ----------
    operation, parameter, rule, value, remedy, shown
        As given; `value` is `NOTHING` where there is none.

    Examples
    --------
    >>> error = FastconvError("conv2d", "stride", "must be at least 1", 0, "take 1 or more")
    >>> str(error)
    'conv2d: stride must be at least 1, got 0; take 1 or more'
    >>> error.parameter, error.value
    ('stride', 0)
    """

    # What a subclass has whose __init__ does not come here.
    operation = parameter = rule = remedy = ""
    value: Any = NOTHING
    shown: str | None = None

    def __init__(
        self,
        operation: str = "",
        parameter: str = "",
        rule: str = "",
        value: object = NOTHING,
        remedy: str = "",
        *,
        shown: str | None = None,
    ):
        value, shown = _without_array(value, shown)
        super().__init__(_message(operation, parameter, rule, value, remedy, shown))
        alone = not (parameter or rule or remedy or shown) and value is NOTHING
        self.operation = "" if alone else operation
        self.parameter = parameter
        self.rule = operation if alone else rule
        self.value = value
        self.remedy = remedy
        self.shown = shown

    @property
    def said(self) -> str:
        """The message without the operation, for who knows it already."""
        if not (self.operation and (self.parameter or self.rule)):
            return str(self)
        return _message("", self.parameter, self.rule, self.value, self.remedy, self.shown)

    def __str__(self) -> str:  # KeyError, ImportError and OSError would show it otherwise
        return str(self.args[0]) if self.args else ""

    def __reduce__(self) -> tuple[Any, ...]:
        state = {**vars(self), "value": _lasting(self.value)}
        return _restored, (type(self), self.args, state)


def _restored(cls: type[FastconvError], args: tuple[Any, ...], state: dict[str, Any]) -> Any:
    """Return an error as it was before it was pickled or copied."""
    error = cls.__new__(cls)
    error.args = args
    vars(error).update(state)
    return error


class ArgumentError(FastconvError, ValueError):
    """An argument has the right type and a value that the operation cannot take."""


class ShapeError(ArgumentError):
    """Shapes, or shapes and geometry, do not fit each other."""


class ArgumentTypeError(FastconvError, TypeError):
    """An argument, or the dtype of an array, has the wrong type."""


class MemoryLimitError(ArgumentError):
    """A memory limit cannot be kept.

    Attributes
    ----------
    least : int
        The fewest bytes that could be kept; as a limit they are accepted.
    """

    def __init__(self, *parts: Any, least: int = 0, **more: Any):
        super().__init__(*parts, **more)
        self.least = least


class Problem(str):
    """One problem of a configuration or a file: a text, with the parts that it is made of.

    Parameters
    ----------
    operation : str
        Where it is: the path in the JSON, ``"nodes[2].config.filters"``, or the operation.
    parameter, rule, value, remedy, shown
        As of `FastconvError`.

    Examples
    --------
    >>> problem = Problem("nodes[2].config.filters", "", "must be at least 1", 0)
    >>> problem, problem.value
    ('nodes[2].config.filters: must be at least 1, got 0', 0)
    """

    operation: str
    parameter: str
    rule: str
    value: Any
    remedy: str
    shown: str | None

    def __new__(
        cls,
        operation: str = "",
        parameter: str = "",
        rule: str = "",
        value: object = NOTHING,
        remedy: str = "",
        *,
        shown: str | None = None,
    ) -> Problem:
        value, shown = _without_array(value, shown)
        problem = super().__new__(cls, _message(operation, parameter, rule, value, remedy, shown))
        problem.operation, problem.parameter, problem.rule = operation, parameter, rule
        problem.value, problem.remedy, problem.shown = value, remedy, shown
        return problem

    @classmethod
    def of(cls, operation: str, error: FastconvError) -> Problem:
        """Return what `error` says of its parameter, as said of the place `operation`."""
        return cls(operation, "", error.rule, error.value, error.remedy, shown=error.shown)

    def within(self, place: str) -> Problem:
        """Return the same problem, said of what is inside `place`."""
        operation = f"{place}: {self.operation}" if self.operation else place
        parts = operation, self.parameter, self.rule, self.value, self.remedy
        return Problem(*parts, shown=self.shown)

    def __reduce__(self) -> tuple[Any, ...]:
        state = {**vars(self), "value": _lasting(self.value)}
        return _problem, (str(self), state)


def _problem(text: str, state: dict[str, Any]) -> Problem:
    problem = str.__new__(Problem, text)
    vars(problem).update(state)
    return problem


class ConfigError(ArgumentError):
    """A configuration is wrong; `problems` holds every problem, each with its JSON path.

    Parameters
    ----------
    operation : str, or iterable of str
        The operation, with the parts of one problem as of `FastconvError`; or all problems, each
        a text or a `Problem`, such as ``nodes[2].config.filters: must be at least 1, got 0``.
    parameter, rule, value, remedy, shown
        As of `FastconvError`.

    Attributes
    ----------
    problems : list of str
        One line a problem.  Those of fastconv are `Problem`.
    operation, parameter, rule, value, remedy, shown
        Those of the first problem.
    """

    problems: list[str] = []

    def __init__(self, operation: str | Iterable[str] = "", *parts: Any, **more: Any):
        if parts or more:
            super().__init__(str(operation), *parts, **more)
            one = Problem(str(operation), *parts, **more)
            self.problems = [one]
            return
        self.problems = [operation] if isinstance(operation, str) else list(operation)
        first = self.problems[0] if self.problems else ""
        text = str(first)
        if len(self.problems) != 1:
            lines = "\n".join(f"  {problem}" for problem in self.problems)
            text = f"{len(self.problems)} problems in the configuration:\n{lines}"
        super().__init__(text)
        if isinstance(first, Problem):
            self.operation, self.parameter = first.operation, first.parameter
            self.rule, self.value = first.rule, first.value
            self.remedy, self.shown = first.remedy, first.shown

    @property
    def said(self) -> str:
        """The message without the operation; of several problems the whole."""
        return super().said if len(self.problems) == 1 else str(self)

    def within(self, place: str) -> ConfigError:
        """Return the same error, said of what is inside `place`: a file, an operation."""
        problems = [
            problem.within(place) if isinstance(problem, Problem) else f"{place}: {problem}"
            for problem in self.problems
        ]
        return type(self)(problems)


class UnknownNameError(ConfigError, KeyError):
    """Nothing of a registry, a network or a layer has this name; the message offers the nearest."""


class FormatError(FastconvError, ValueError):
    """A file is not what it claims to be, or is damaged."""


class InstructionSetError(FastconvError, ValueError):
    """``FASTCONV_ISA`` names an instruction set that is unknown, unbuilt or cannot run here."""


class MissingExtraError(FastconvError, ImportError):
    """An optional package is needed; the message names the extra that installs it."""

    @classmethod
    def of(
        cls, operation: str, package: str, extra: str, rule: str = "must be installed"
    ) -> MissingExtraError:
        """Return the error of an `operation` for which `extra` would install a `package`."""
        return cls(operation, package, rule, None, f'pip install "fastconv[{extra}]"', shown="none")


class TrainingError(FastconvError, ValueError):
    """Training met numbers that are infinite or NaN; the weights are the last finite ones.

    Attributes
    ----------
    epoch, batch : int or None
        Where, counted from 0 as callbacks count; None where no ``fit`` ran.
    """

    def __init__(
        self, *parts: Any, epoch: int | None = None, batch: int | None = None, **more: Any
    ):
        super().__init__(*parts, **more)
        self.epoch, self.batch = epoch, batch


class UnknownAttributeError(FastconvError, AttributeError):
    """There is no such attribute, which other libraries have; the message says what to do here."""


class DataWarning(UserWarning):
    """Data that can be trained on, but hardly as it was meant."""


class CheckpointWarning(UserWarning):
    """A checkpoint is damaged, so that an older one serves, or a run from it ends otherwise."""


class NotCompiledError(FastconvError, ImportError):
    """The compiled kernels are not there, or not for this Python; the message says the remedy."""


class CostTableWarning(UserWarning):
    """A table of costs that was measured on this machine is broken; the shipped one serves."""


class InstructionSetWarning(UserWarning):
    """The processor can run a better instruction set than this installation has kernels for."""


class PluginWarning(UserWarning):
    """A third party's plugin could not be used; nothing else is affected."""


def describe(error: BaseException, limit: int = 600) -> str:
    """Return what `error` says in one line; of one that is not ours, with its class.

    Whatever a third party's error does when it is asked for its text, it does not get out of
    here.

    Examples
    --------
    >>> describe(ZeroDivisionError("division\\n  by zero"))
    'ZeroDivisionError: division by zero'
    """
    text = text_of(str, error)
    if isinstance(error, FastconvError) and text:
        return in_one_line(text, limit)
    kind = in_one_line(type(error).__name__, limit)
    if text is None:
        return f"{kind}, which cannot be shown as a text"
    return f"{kind}: {in_one_line(text, limit)}" if text else kind
