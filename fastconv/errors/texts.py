"""What errors say of values, names and other errors, and which errors say nothing of a call."""

from __future__ import annotations

import re
import signal
from collections.abc import Callable, Iterable

__all__ = ["did_you_mean", "from_signal", "in_one_line", "nearest", "shorten", "text_of"]


def nearest(name: object, candidates: Iterable[str], count: int = 3) -> list[str]:
    """Return up to `count` of `candidates` that look like `name`, the likeliest first."""
    if not isinstance(name, str):
        return []
    import difflib  # not before there is an error to explain

    by_folded = {candidate.lower(): candidate for candidate in candidates}
    found = difflib.get_close_matches(name[:80].lower(), list(by_folded), n=count, cutoff=0.6)
    return [by_folded[folded] for folded in found]


def did_you_mean(name: object, candidates: Iterable[str]) -> str:
    """Return the remedy ``"did you mean 'x'?"``, or nothing where none of `candidates` is near."""
    close = nearest(name, candidates, 1)
    return f"did you mean {close[0]!r}?" if close else ""


def shorten(value: object, limit: int = 60) -> str:
    """Return ``repr(value)`` in one line, of at most `limit` characters; the middle is left out.

    Of a list or tuple whole items are left out, as long as two of them have room.

    Examples
    --------
    >>> shorten(["aeroplane", "bicycle", "boat", "camel"], 40)
    "['aeroplane', 'bicycle', ..., 'camel']"
    """
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) >= 10**40:
        return f"an integer of about {value.bit_length() * 0.30103:.0f} digits"
    if type(value) in (list, tuple) and len(value) > 2 * limit:  # type: ignore[arg-type]
        value = value[:limit] + value[-limit:]  # type: ignore[index]  # no more is shown
    text = text_of(repr, value) or f"<{type(value).__name__}>"
    if len(text) > limit and type(value) in (list, tuple):
        text = _with_whole_items(value, limit) or text  # type: ignore[arg-type]
    return in_one_line(text, limit)


def _with_whole_items(values: list[object] | tuple[object, ...], limit: int) -> str:
    """Return `values` with the first ones and the last that have room, or "" if two have none."""
    begin, end = "[]" if isinstance(values, list) else "()"
    items = [text_of(repr, value) or "" for value in values]
    *first, last = items
    shown = ""
    for count in range(1, len(first)):
        text = f"{begin}{', '.join(first[:count])}, ..., {last}{end}"
        if len(text) > limit:
            break
        shown = text
    return shown


def text_of(show: type[str] | Callable[[object], str], value: object) -> str | None:
    """Return ``show(value)``, or None where that fails: it must not hide what is being reported."""
    try:
        return str.__str__(show(value))  # of a subclass of str the plain text
    except BaseException as error:
        if from_signal(error):
            raise
        return None


def in_one_line(text: str, limit: int = 60) -> str:
    """Return `text` without breaks and control characters, cut in the middle at `limit`."""
    if len(text) <= limit and text.isprintable():  # the usual case, quickly
        return text
    keep = (limit - 5) // 2
    if len(text) > 4 * limit:  # no more is shown
        text = f"{text[: 2 * limit]}{text[-2 * limit :]}"
    text = re.sub(r"\s*[\r\n\v\f\x1c-\x1e\x85\u2028\u2029]\s*", " ", text).strip()
    if not text.isprintable():
        text = "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)
    return text if len(text) <= limit else f"{text[:keep]} ... {text[-keep:]}"


def from_signal(error: BaseException) -> bool:
    """Whether the handler of a signal has raised `error`, as that of Ctrl-C does.

    Who catches what code of others may raise lets such an error pass: it says nothing of that code,
    and whoever set the handler waits for it.

    Examples
    --------
    >>> from_signal(KeyboardInterrupt()), from_signal(ValueError())
    (True, False)
    """
    if isinstance(error, KeyboardInterrupt):
        return True
    handlers = {_code_of(signal.getsignal(number)) for number in signal.valid_signals()}
    trace = error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code in handlers:
            return True
        trace = trace.tb_next
    return False


def _code_of(handler: object) -> object:
    """Return the code that a call of `handler` runs; None where it is not of Python."""
    handler = getattr(handler, "func", handler)  # of functools.partial
    for function in (handler, getattr(handler, "__func__", None), type(handler).__call__):
        if hasattr(function, "__code__"):
            return function.__code__
    return None
