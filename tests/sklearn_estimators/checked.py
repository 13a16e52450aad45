"""Runs scikit-learn's checks on an estimator of this package; prints (status, check, why) as JSON.

It is a program because SciPy looks at SCIPY_ARRAY_API where it is imported: only then scikit-learn
runs the check of array types too.
"""

from __future__ import annotations

import json
import sys

from sklearn.utils.estimator_checks import check_estimator

import fastconv.sklearn

if __name__ == "__main__":
    estimator = getattr(fastconv.sklearn, sys.argv[1])()
    found = check_estimator(estimator, on_skip=None, on_fail=None)
    print(json.dumps([[one["status"], one["check_name"], str(one["exception"])] for one in found]))
