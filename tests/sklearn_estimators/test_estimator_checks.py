"""scikit-learn's own checks of estimators, on both of ours as they are by default."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

#: Checks that are excused, each with the reason.
EXCUSED = {
    "check_sample_weight_equivalence_on_dense_data": (
        "a row of weight 2 is the same as the row twice only where all rows are one batch, then "
        "to the rounding of float32; the check wants 1e-7. "
        "test_a_weight_counts_as_so_many_rows shows it in float64"
    )
}


@pytest.mark.parametrize("name", ["CNNClassifier", "CNNRegressor"])
def test_the_checks_of_scikit_learn_hold(name, environment):
    done = subprocess.run(
        [sys.executable, str(Path(__file__).with_name("checked.py")), name],
        env={**environment, "SCIPY_ARRAY_API": "1"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    other = {
        check: why
        for status, check, why in found
        if status != "passed" and "pandas is not installed" not in why  # the library's own skip
    }
    assert other.keys() == EXCUSED.keys(), other
    assert len(found) >= 55
