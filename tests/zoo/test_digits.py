"""The weights that come with the package: what they are worth, and that anyone can make them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import fastconv
from fastconv import registry
from fastconv.errors import ArgumentError, ArgumentTypeError
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
    for shape in ((1, 8, 8), [1, 8, 8]):
        fastconv.create_model("DigitsNet", weights="digits", classes=10, input_shape=shape)


@pytest.mark.parametrize("name", ACCURACY)
def test_settings_of_another_network_beside_weights(name):
    owner = registry.models.get(name)
    others = {"classes": 11, "input_shape": (1, 28, 28), "filters": 31, "hidden": 49}
    others["kernel_size"] = 7
    taken = [key for key in others if key in registry.parameters_of(owner)]
    assert taken[:2] == ["classes", "input_shape"]
    for key in taken:
        told = rf"create_model: {key} must be .* for the weights 'digits', got .*; or leave the we"
        with pytest.raises(ArgumentError, match=told):
            fastconv.create_model(name, weights="digits", **{key: others[key]})


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
    with pytest.raises(ArgumentError, match="must be None or a path, got 'imagenet'; it is no fi"):
        fastconv.create_model("ResNet50", weights="imagenet")
    told = "got 'digits'; networks that come with such are DigitsNet, KerasMNIST, SimpleConvNet"
    for model in ("VGG16", fastconv.create_model("LeNet5").to_config()):
        with pytest.raises(ArgumentError, match=told):
            fastconv.create_model(model, weights="digits")
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
