"""Which losses fit the numbers that a network's outputs are."""

from __future__ import annotations

from typing import Any

from fastconv.errors import ArgumentError
from fastconv.training.trainable import Answer

__all__ = ["check_pair"]

_LOGITS = 'take loss="softmax_cross_entropy"'
_CLASSES = f"for classes leave the {{layer}} out and {_LOGITS}"
_CHANCES = 'take loss="binary_cross_entropy"'
_YES_OR_NO = f"for labels that are each yes or no {_CHANCES}"
_EXCLUSIVE = (
    'for one of several classes take loss="cross_entropy"; for labels that are each yes or no '
    'leave the {layer} out and take loss="sigmoid_cross_entropy"'
)
_NUMBERS = 'to learn numbers such as it gives take loss="mean_squared_error"'

#: The keys are what a loss takes and what it would be given. For each such pair that does not fit
#: there is the rule that it breaks, and what to do. Every other pair is right.
_CLASHES: dict[tuple[str, str], tuple[str, str]] = {
    ("logits", "probabilities"): (
        "take probabilities",
        'take loss="cross_entropy", or leave the {layer} out (more accurate)',
    ),
    ("logits", "chances"): ("not take logits", f"{_CLASSES}; {_YES_OR_NO}; {_NUMBERS}"),
    ("logits", "bounded"): ("not take logits", f"{_CLASSES}; {_NUMBERS}"),
    ("probabilities", "values"): ("take logits", f"{_LOGITS}, or end in Softmax"),
    ("probabilities", "chances"): (
        "not take probabilities that sum to 1 over the classes",
        f"{_CLASSES}; {_YES_OR_NO}; {_NUMBERS}",
    ),
    ("probabilities", "bounded"): ("not take probabilities", f"{_CLASSES}; {_NUMBERS}"),
    ("log odds", "probabilities"): ("not take log odds", _EXCLUSIVE),
    ("log odds", "chances"): (
        "take chances",
        f"{_CHANCES}, or leave the {{layer}} out (more accurate)",
    ),
    ("log odds", "bounded"): (
        "not take log odds",
        f"for labels that are each yes or no leave the {{layer}} out; {_NUMBERS}",
    ),
    ("chances", "values"): (
        "take log odds",
        'take loss="sigmoid_cross_entropy", or end in Sigmoid',
    ),
    ("chances", "probabilities"): ("not take chances that are each on its own", _EXCLUSIVE),
    ("chances", "bounded"): (
        "not take chances",
        "for labels that are each yes or no leave the {layer} out and take "
        f'loss="sigmoid_cross_entropy"; {_NUMBERS}',
    ),
}


def check_pair(loss: Any, answer: Answer) -> None:
    """Raise ArgumentError if `loss` does not take such numbers as those of `answer`.

    Layers that do not say what they give, and losses that do not say what they take, fit
    everything.
    """
    clash = _CLASHES.get((loss.takes, answer.kind or ""))
    if clash is not None:
        rule, remedy = clash
        raise ArgumentError(
            "compile",
            "loss",
            f"must {rule} after a {answer.layer} layer",
            loss.name,
            remedy.format(layer=answer.layer),
        )
