"""The errors of fastconv, each also a ``ValueError``, ``TypeError`` or ``MemoryError``.

Every message has one form: the operation, the parameter, the rule, the value and, where
there is one, the remedy: ``conv2d: stride must be at least 1, got 0``.
"""

from __future__ import annotations

from collections.abc import Iterable

__all__ = [
    "ArgumentError",
    "ArgumentTypeError",
    "ConfigError",
    "CostTableWarning",
    "FastconvError",
    "FormatError",
    "InstructionSetError",
    "InstructionSetWarning",
    "MemoryLimitError",
    "MissingExtraError",
    "PluginWarning",
    "ShapeError",
    "UnknownNameError",
    "nearest",
    "shorten",
]


class FastconvError(Exception):
    """Base class of every error that fastconv raises on purpose."""


class ArgumentError(FastconvError, ValueError):
    """An argument has the right type and a value that the operation cannot take."""


class ShapeError(ArgumentError):
    """Shapes, or shapes and geometry, do not fit each other."""


class ArgumentTypeError(FastconvError, TypeError):
    """An argument, or the dtype of an array, has the wrong type."""


class MemoryLimitError(ArgumentError):
    """A memory limit cannot be kept; the message names the least bytes that can be."""


class ConfigError(ArgumentError):
    """A configuration is wrong; `problems` holds every problem, each with its JSON path.

    Parameters
    ----------
    problems : str or iterable of str
        One line a problem, such as ``nodes[2].config.filters: must be at least 1, got 0``.
    """

    def __init__(self, problems: str | Iterable[str]):
        self.problems = [problems] if isinstance(problems, str) else list(problems)
        if len(self.problems) == 1:
            text = self.problems[0]
        else:
            lines = "\n".join(f"  {problem}" for problem in self.problems)
            text = f"{len(self.problems)} problems in the configuration:\n{lines}"
        super().__init__(text)

    def __reduce__(self):
        return type(self), (self.problems,)


class UnknownNameError(ConfigError):
    """No entry of a registry has this name; the message offers the nearest ones."""


class FormatError(FastconvError, ValueError):
    """A file is not what it claims to be, or is damaged."""


class InstructionSetError(FastconvError, ValueError):
    """``FASTCONV_ISA`` names an instruction set that is unknown, unbuilt or cannot run here."""


class MissingExtraError(FastconvError, ImportError):
    """An optional package is needed; the message names the extra that installs it."""


class CostTableWarning(UserWarning):
    """A table of costs that was measured on this machine is broken; the shipped one serves."""


class InstructionSetWarning(UserWarning):
    """The processor can run a better instruction set than this installation has kernels for."""


class PluginWarning(UserWarning):
    """A third party's plugin could not be used; nothing else is affected."""


def nearest(name: object, candidates: Iterable[str], count: int = 3) -> list[str]:
    """Return up to `count` of `candidates` that look like `name`, the likeliest first."""
    if not isinstance(name, str):
        return []
    import difflib  # not before there is an error to explain

    by_folded = {candidate.lower(): candidate for candidate in candidates}
    found = difflib.get_close_matches(name[:80].lower(), list(by_folded), n=count, cutoff=0.6)
    return [by_folded[folded] for folded in found]


def shorten(value: object, limit: int = 60) -> str:
    """Return ``repr(value)``, cut in the middle when it is longer than `limit` characters."""
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) >= 10**40:
        return f"an integer of about {value.bit_length() * 0.30103:.0f} digits"
    try:
        text = repr(value)
    except Exception:  # a hostile __repr__ must not hide the error being reported
        text = f"<{type(value).__name__}>"
    if len(text) <= limit:
        return text
    keep = (limit - 5) // 2
    return f"{text[:keep]} ... {text[-keep:]}"
