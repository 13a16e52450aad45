"""`CNNClassifier.partial_fit`: epoch after epoch, on rows that come one after the other."""

from __future__ import annotations

import joblib
import numpy as np
import pytest
from fitted import weights_of

from fastconv.errors import ArgumentError, ArgumentTypeError
from fastconv.sklearn import CNNClassifier


def test_partial_fit_goes_on_as_fit_does(images):
    """Epoch by epoch it has the bits of one fit, and it may begin with rows of one class."""
    x, y = images
    whole = CNNClassifier(epochs=3, random_state=0).fit(x, y)
    parts = CNNClassifier(random_state=0)
    for _ in range(3):
        parts.partial_fit(x, y, classes=["stands", "lies"])
    assert weights_of(parts) == weights_of(whole)
    assert parts.history_.history == whole.history_.history
    assert parts.history_.learning_rate == whole.history_.learning_rate
    one = y == "lies"
    parts = CNNClassifier(random_state=0).partial_fit(x[one], y[one], ["lies", "stands", "x"])
    parts.partial_fit(x[~one], y[~one])
    assert parts.predict_proba(x).shape == (240, 3)
    after_fit = whole.partial_fit(x, y)
    assert len(after_fit.history_.history["loss"]) == 4


@pytest.mark.parametrize(
    ("settings", "given", "said"),
    [
        ({}, {}, "classes must be given in the first call"),
        ({}, {"classes": ["lies"]}, "at least 2 classes, got 1 class, 'lies'"),
        ({}, {"classes": ["lies", "runs"]}, "y must hold classes of .*, got 'stands'"),
        ({}, {"classes": [1.0, np.nan]}, "classes must not be NaN"),
        (
            {"class_weight": "balanced"},
            {"classes": ["lies", "stands"]},
            "class_weight must be a dict or an array for partial_fit",
        ),
        (
            {"early_stopping": True},
            {"classes": ["lies", "stands"]},
            "early_stopping must be False for partial_fit",
        ),
    ],
)
def test_what_partial_fit_cannot_do_is_told(images, settings, given, said):
    with pytest.raises(ArgumentError, match=said):
        CNNClassifier(**settings).partial_fit(*images, **given)


def test_other_classes_later_are_told(images):
    x, y = images
    classifier = CNNClassifier(random_state=0).partial_fit(x, y, classes=["lies", "stands"])
    with pytest.raises(ArgumentError, match="classes must be those of the call before"):
        classifier.partial_fit(x, y, classes=["lies", "runs"])


@pytest.mark.parametrize("classes", [np.array(["lies", 1], object), [None, 1], [[1], [1, 2]]])
def test_classes_of_several_kinds_are_told(images, classes):
    for classifier in (CNNClassifier(), CNNClassifier(epochs=1, random_state=0).fit(*images)):
        with pytest.raises(ArgumentTypeError, match="classes must be labels of one kind"):
            classifier.partial_fit(*images, classes=classes)


def test_weights_that_joblib_has_mapped_go_on_learning(images, tmp_path):
    """To the same bits, in memory of their own."""
    x, y = images
    whole = CNNClassifier(random_state=0).partial_fit(x, y, classes=["lies", "stands"])
    joblib.dump(whole, tmp_path / "classifier.joblib")
    content = (tmp_path / "classifier.joblib").read_bytes()
    mapped = joblib.load(tmp_path / "classifier.joblib", mmap_mode="r")
    weight = mapped.net_.layers[-1].parameters["weight"].value
    assert isinstance(weight, np.memmap) and not weight.flags.writeable
    for each in (whole, mapped):
        each.partial_fit(x, y)
    assert weights_of(mapped) == weights_of(whole)
    assert (tmp_path / "classifier.joblib").read_bytes() == content
