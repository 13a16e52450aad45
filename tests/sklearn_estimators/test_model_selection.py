"""Among scikit-learn's tools: pipelines, searches, copies, pickles, joblib."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
import threading

import joblib
import numpy as np
import pytest
import sklearn
from sklearn.base import clone
from sklearn.compose import TransformedTargetRegressor
from sklearn.decomposition import PCA
from sklearn.model_selection import GridSearchCV, StratifiedKFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

import fastconv
from fastconv.sklearn import CNNClassifier, CNNRegressor, estimator

FOLDS = StratifiedKFold(2, shuffle=True, random_state=0)


def layers_of(input_shape, outputs):
    return ["Flatten", ("Dense", {"units": outputs})]


def threads_now(run, epoch, figures):
    run.model.name = f"{fastconv.get_num_threads()} threads"


def test_the_name_sklearn_is_scikit_learns():
    assert estimator.BaseEstimator is sklearn.base.BaseEstimator
    assert os.path.dirname(fastconv.sklearn.__file__) != os.path.dirname(sklearn.__file__)


def test_in_a_pipeline(images):
    x, y = images
    flat = 1000 * x.reshape(len(x), -1)
    network = CNNClassifier(input_shape=(1, 6, 6), epochs=12, random_state=0)
    pipeline = make_pipeline(StandardScaler(), network).fit(flat[:200], y[:200])
    assert pipeline.score(flat[200:], y[200:]) > 0.9
    assert pipeline.predict_proba(flat).shape == (240, 2)
    weights = np.arange(240) % 2
    few = make_pipeline(PCA(5), CNNClassifier(epochs=1, random_state=0))
    few.fit(flat, y, cnnclassifier__sample_weight=weights)
    assert few[-1].n_features_in_ == 5


def test_targets_are_scaled_by_scikit_learn(rng):
    x = rng.normal(size=(200, 3))
    y = 1e4 + 1e3 * x[:, 0]
    scaled = TransformedTargetRegressor(
        CNNRegressor(epochs=20, random_state=0), transformer=StandardScaler()
    )
    assert scaled.fit(x, y).score(x, y) > 0.8


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_grid_is_searched(images, jobs):
    """Networks are parameters too; processes and the caller find the same bits."""
    x, y = images
    grid = {
        "model": [None, layers_of, ["Flatten", ("Dense", {"units": 2})]],
        "optimizer": ["adam", ("sgd", {"learning_rate": 0.1})],
    }
    network = CNNClassifier(epochs=4, random_state=0)
    search = GridSearchCV(network, grid, cv=FOLDS, n_jobs=jobs).fit(x, y)
    scores = search.cv_results_["mean_test_score"].reshape(3, 2)
    np.testing.assert_array_equal(scores[1], scores[2])  # two ways to say the same
    assert search.best_score_ == scores.max() > 0.8
    assert search.predict(x).shape == (240,) and search.best_estimator_.n_features_in_ == 36
    alone = cross_val_score(search.best_estimator_, x, y, cv=FOLDS)
    assert alone.mean() == search.best_score_


def test_a_clone_has_the_parameters_alone(images):
    network = CNNClassifier(layers_of, epochs=1, learning_rate=0.25, random_state=0).fit(*images)
    twin = clone(network)
    assert twin.get_params() == network.get_params()
    assert not hasattr(twin, "net_")
    assert "learning_rate=0.25" in repr(twin) and "CNNClassifier" in twin._repr_html_()


def test_parameters_are_set_by_name():
    network = CNNClassifier().set_params(epochs=3, model="LeNet5")
    assert (network.epochs, network.model) == (3, "LeNet5")
    with pytest.raises(ValueError, match="Invalid parameter 'n_epochs'"):
        network.set_params(n_epochs=3)
    own = set(CNNClassifier().get_params()) - set(CNNRegressor().get_params())
    assert own == {"class_weight"}


def test_pickled_with_the_network_inside(images, tmp_path):
    x, y = images
    classifier = CNNClassifier(epochs=2, random_state=0).fit(x, y)
    joblib.dump(classifier, tmp_path / "classifier.joblib")
    for again in (
        pickle.loads(pickle.dumps(classifier)),
        joblib.load(tmp_path / "classifier.joblib"),
        joblib.load(tmp_path / "classifier.joblib", mmap_mode="r"),
    ):
        np.testing.assert_array_equal(again.predict_proba(x), classifier.predict_proba(x))
        np.testing.assert_array_equal(again.predict(x), classifier.predict(x))
        again.partial_fit(x, y)
        twin = pickle.loads(pickle.dumps(classifier)).partial_fit(x, y)
        np.testing.assert_array_equal(again.predict_proba(x), twin.predict_proba(x))
        assert again.history_.history == twin.history_.history
    classifier.net_.save(tmp_path / "net.safetensors")
    net = fastconv.load(tmp_path / "net.safetensors")
    places = net.predict(x).argmax(axis=1)
    np.testing.assert_array_equal(classifier.classes_[places], classifier.predict(x))


def used(fitted):
    return int(fitted.net_.name.split()[0])


def test_processes_have_the_threads_that_joblib_gives_them(images, monkeypatch):
    """The processors divided by the number of processes."""
    for variable in ("FASTCONV_NUM_THREADS", "OMP_NUM_THREADS"):
        monkeypatch.delenv(variable, raising=False)
    network = CNNClassifier(layers_of, epochs=1, callbacks=[threads_now])
    share = max(1, joblib.cpu_count() // 2)
    with joblib.parallel_config("loky", n_jobs=2):
        fitted = joblib.Parallel()(joblib.delayed(network.fit)(*images) for _ in range(2))
    assert [used(one) for one in fitted] == [share, share]
    with joblib.parallel_config("loky", n_jobs=2, inner_max_num_threads=3):
        fitted = joblib.Parallel()(joblib.delayed(network.fit)(*images) for _ in range(2))
    assert [used(one) for one in fitted] == [3, 3]


def test_threads_share_what_there_is(images):
    """Together they use no more than one of them would alone."""
    before = fastconv.get_num_threads()
    both_are_inside = threading.Barrier(2)
    found = []

    def look(run, epoch, figures):
        both_are_inside.wait(60)
        found.append(fastconv.get_num_threads())
        both_are_inside.wait(60)

    with threadpool_limits(6):
        networks = [CNNClassifier(layers_of, epochs=2, callbacks=[look]) for _ in range(2)]
        with joblib.parallel_config("threading", n_jobs=2):
            joblib.Parallel()(joblib.delayed(network.fit)(*images) for network in networks)
        assert found == [3, 3, 3, 3] and fastconv.get_num_threads() == 6
        alone = CNNClassifier(layers_of, epochs=1, callbacks=[threads_now])
        assert used(alone.fit(*images)) == 6
        assert used(alone.set_params(threads=2).fit(*images)) == 2
        assert fastconv.get_num_threads() == 6
    assert fastconv.get_num_threads() == before


def test_threads_find_the_bits_of_one(images):
    network = CNNClassifier(epochs=2, random_state=0)
    alone = cross_val_score(network, *images, cv=FOLDS)
    with joblib.parallel_config("threading", n_jobs=2):
        np.testing.assert_array_equal(cross_val_score(network, *images, cv=FOLDS), alone)


def test_a_limit_of_threadpoolctl_holds(images):
    network = CNNClassifier(layers_of, epochs=1, callbacks=[threads_now])
    with threadpool_limits(1):
        assert used(network.fit(*images)) == 1


WITHOUT = """
import sys
for name in ("sklearn", "sklearn.base"):
    sys.modules[name] = None
import fastconv
try:
    fastconv.sklearn
except ImportError as error:
    assert isinstance(error, fastconv.MissingExtraError)
    print(error)
"""


def test_without_scikit_learn_the_extra_is_named(environment):
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT], env=environment, capture_output=True, text=True
    )
    assert done.stdout == (
        "fastconv.sklearn: scikit-learn 1.6 or newer must be installed, got none; "
        'pip install "fastconv[sklearn]"\n'
    ), done.stderr
