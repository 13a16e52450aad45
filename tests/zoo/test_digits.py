"""The weights that come with the package: what they are worth, and that anyone can make them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import fastconv
from fastconv.errors import ArgumentError, ArgumentTypeError, ConfigError
from fastconv.zoo.trained import FOLDER

ROOT = Path(__file__).parents[2]
FILES = sorted(Path(FOLDER).glob("*.safetensors"))
#: The least accuracy on the quarter of the digits that the networks have not seen.
ACCURACY = {"DigitsNet": 0.98, "KerasMNIST": 0.975, "SimpleConvNet": 0.96}


def test_the_files_are_small():
    assert [path.name.partition(".")[0] for path in FILES] == sorted(ACCURACY)
    assert sum(path.stat().st_size for path in FILES) <= 400_000


@pytest.mark.parametrize("name", ACCURACY)
def test_accuracy_on_digits_that_the_network_has_not_seen(name):
    x, y = fastconv.data.digits()
    _, test = fastconv.data.stratified_split(y, seed=0)
    net = fastconv.create_model(name, weights="digits")
    assert np.mean(net.predict(x[test]).argmax(1) == y[test]) >= ACCURACY[name]
    frozen = net.for_inference()
    assert np.mean(frozen.predict(x[test]).argmax(1) == y[test]) >= ACCURACY[name]
    # float16 is where they are kept, float32 what they are
    weights = net.weights()
    assert all(array.dtype == np.float32 for array in weights.values())
    assert all((a == a.astype(np.float16)).all() for a in weights.values())
    assert "weights 'digits': the bundled digits" in fastconv.describe_model(name)


def test_settings_beside_weights():
    net = fastconv.create_model("SimpleConvNet", weights="digits", name="mine")
    assert net.name == "mine"
    assert net.to_config()["inputs"][0]["shape"] == [1, 8, 8]
    assert (
        fastconv.create_model("KerasMNIST", weights="digits", kernel_size=4).count_params() == 7306
    )
    with pytest.raises(ConfigError, match="fc2/weight must have shape"):
        fastconv.create_model("SimpleConvNet", weights="digits", classes=11)


def test_weights_from_a_file(tmp_path):
    net = fastconv.create_model("LeNet5", seed=1)
    net.save_weights(tmp_path / "w.safetensors")
    for path in (tmp_path / "w.safetensors", str(tmp_path / "w.safetensors")):
        twin = fastconv.create_model("LeNet5", seed=2, weights=path)
        for key, array in net.weights().items():
            np.testing.assert_array_equal(twin.weights()[key], array)
    config = net.to_config()
    twin = fastconv.create_model(config, weights=tmp_path / "w.safetensors")
    np.testing.assert_array_equal(twin.weights()["fc5/weight"], net.weights()["fc5/weight"])


def test_wrong_weights_are_told(tmp_path):
    with pytest.raises(ArgumentError) as caught:
        fastconv.create_model("DigitsNet", weights="digit")
    assert str(caught.value) == (
        "create_model: weights must be None, 'digits' or a path, got 'digit'; "
        "did you mean 'digits'?"
    )
    with pytest.raises(ArgumentError, match="must be None or a path, got 'imagenet'"):
        fastconv.create_model("ResNet50", weights="imagenet")
    with pytest.raises(ArgumentTypeError, match="must be None or a path, got True"):
        fastconv.create_model("ResNet50", weights=True)
    with pytest.raises(FileNotFoundError):
        fastconv.create_model("LeNet5", weights=tmp_path / "none.safetensors")


@pytest.mark.slow
def test_the_script_makes_the_same_bits_again(tmp_path, environment):
    command = [sys.executable, str(ROOT / "building" / "digits.py"), str(tmp_path)]
    subprocess.run(command, check=True, env=environment)
    for path in FILES:
        assert (tmp_path / path.name).read_bytes() == path.read_bytes(), path.name
