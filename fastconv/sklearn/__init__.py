"""Convolutional networks as scikit-learn's estimators.

::

    estimator    NetworkEstimator: what both have, from the parameters to `fit`
    classifier   CNNClassifier
    regressor    CNNRegressor
    networks     a network of what `model` says, or a small one that fits the data

They go where scikit-learn's own go: into a Pipeline, GridSearchCV and cross_val_score, and into
joblib's processes and threads.  scikit-learn is imported with this module, and not with fastconv.

>>> from sklearn.datasets import load_digits
>>> from fastconv.sklearn import CNNClassifier
>>> X, y = load_digits(return_X_y=True)
>>> classifier = CNNClassifier(input_shape=(1, 8, 8), epochs=10, random_state=0)
>>> bool(classifier.fit(X[:900] / 16, y[:900]).score(X[900:] / 16, y[900:]) > 0.9)
True
"""

from fastconv.errors import MissingExtraError

try:
    from fastconv.sklearn.classifier import CNNClassifier
    from fastconv.sklearn.regressor import CNNRegressor
except ImportError as error:
    if (error.name or "").partition(".")[0] != "sklearn":
        raise
    package = "scikit-learn 1.6 or newer"
    raise MissingExtraError.of("fastconv.sklearn", package, "sklearn") from error

__all__ = ["CNNClassifier", "CNNRegressor"]
