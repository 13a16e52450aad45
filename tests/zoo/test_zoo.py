"""Networks by name: their sizes and settings, and what is imported for them."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest

import fastconv
from fastconv import registry
from fastconv.cli import main
from fastconv.errors import (
    ArgumentError,
    ArgumentTypeError,
    ConfigError,
    ShapeError,
    UnknownNameError,
)
from fastconv.testing import assert_bits_equal

#: Trainable parameters without any argument, and the shape of an image and of the output.
NETWORKS = {
    "AlexNet": (60_965_224, (3, 224, 224), (1000,)),
    "DeepConvNet": (123_552, (1, 28, 28), (10,)),
    "DigitsNet": (178_858, (1, 8, 8), (10,)),
    "KerasMNIST": (217_610, (1, 28, 28), (10,)),
    "LeNet5": (61_706, (1, 32, 32), (10,)),
    "MobileNetV1": (4_231_976, (3, 224, 224), (1000,)),
    "MobileNetV2": (3_504_872, (3, 224, 224), (1000,)),
    "ResNet18": (11_689_512, (3, 224, 224), (1000,)),
    "ResNet50": (25_557_032, (3, 224, 224), (1000,)),
    "SimpleConvNet": (433_890, (1, 28, 28), (10,)),
    "UNet": (481_762, (1, 128, 128), (2, 128, 128)),
    "VGG16": (138_357_544, (3, 224, 224), (1000,)),
}
#: The fewest rows and columns of an image, and the smallest usual image that is large enough.
LEAST = {
    "AlexNet": (63, (3, 64, 64)),
    "DeepConvNet": (4, (1, 8, 8)),
    "DigitsNet": (2, (1, 8, 8)),
    "KerasMNIST": (4, (1, 8, 8)),
    "LeNet5": (16, (1, 28, 28)),
    "MobileNetV1": (1, (1, 8, 8)),
    "MobileNetV2": (1, (1, 8, 8)),
    "ResNet18": (1, (1, 8, 8)),
    "ResNet50": (1, (1, 8, 8)),
    "SimpleConvNet": (6, (1, 8, 8)),
    "UNet": (8, (1, 8, 8)),
    "VGG16": (32, (3, 32, 32)),
}


def test_every_network_is_here():
    ours = [name for name in fastconv.list_models() if "." not in name]
    assert ours == sorted(NETWORKS) == sorted(LEAST)
    assert fastconv.list_models("resnet*") == ["ResNet18", "ResNet50"]


@pytest.mark.parametrize("name", NETWORKS)
def test_parameters_and_shapes_without_arguments(name):
    count, shape, output = NETWORKS[name]
    net = fastconv.create_model(name, seed=0)
    assert net.count_params() == count
    config = net.to_config()
    spec = net.output_specs()[0]
    assert (tuple(config["inputs"][0]["shape"]), spec.shape) == (shape, output)
    assert net.name == name
    versioned = fastconv.create_model(f"fastconv.{name}.v1")
    assert versioned.to_config() == config
    assert registry.models.canonical(name) == f"fastconv.{name}.v1"
    again = fastconv.from_config(json.dumps(config))
    assert again.to_config() == config
    assert not any(node["layer"].startswith("fastconv.Softmax") for node in config["nodes"])


def test_parameters_with_settings():
    # torchvision's AlexNet, and the U-Net of the paper with its filters and depth
    assert fastconv.create_model("AlexNet", towers=1).count_params() == 61_100_840
    large = fastconv.create_model("UNet", filters=64, depth=4, input_shape=(1, 64, 64))
    assert large.count_params() == 31_030_658
    for settings in ({"towers": 3}, {"towers": 0}):
        with pytest.raises(ArgumentError, match="AlexNet: towers must be"):
            fastconv.create_model("AlexNet", **settings)
    with pytest.raises(ShapeError, match="rows and columns that 8 divides, for maps are halved 3"):
        fastconv.create_model("UNet", input_shape=(1, 64, 60))
    assert fastconv.create_model("KerasMNIST", kernel_size=4).count_params() == 186_506
    smaller = fastconv.create_model("SimpleConvNet", filters=2, kernel_size=3, hidden=5)
    assert smaller.count_params() == 20 + 5 * (2 * 13 * 13) + 5 + 5 * 10 + 10


@pytest.mark.parametrize("name", LEAST)
def test_small_images_and_few_classes(name, rng):
    shape = LEAST[name][1]
    net = fastconv.create_model(name, classes=3, input_shape=shape, seed=1)
    x = rng.random((2, *shape), np.float32)
    y = net(x)
    assert y.shape[:2] == (2, 3) and np.isfinite(y).all() and y.std() > 0
    twin = fastconv.create_model(name, classes=3, input_shape=list(shape), seed=1)
    assert_bits_equal(twin(x), y)
    other = fastconv.create_model(name, classes=3, input_shape=shape, seed=2)
    assert (other(x) != y).any()
    net.compile("sgd", "softmax_cross_entropy" if y.ndim == 2 else "mean_squared_error")
    assert np.isfinite(net.train_on_batch(x, [0, 2] if y.ndim == 2 else 0 * y)["loss"])


@pytest.mark.parametrize("name", LEAST)
def test_the_least_size_is_right_and_told(name):
    least = LEAST[name][0]
    for shape in ((1, least, least), (2, least, least + 8)):
        net = fastconv.create_model(name, input_shape=shape)
        assert min(net.output_specs()[0].shape) >= 1
    if least > 1:
        for shape in ((1, least - 1, least), (3, least, least - 1)):
            with pytest.raises(ShapeError) as caught:
                fastconv.create_model(name, input_shape=shape)
            rule = f"{name}: input_shape must have at least {least} rows and columns"
            assert str(caught.value) == f"{rule}, got {shape}"


@pytest.mark.parametrize("name", LEAST)
@pytest.mark.parametrize(
    ("settings", "error", "said"),
    [
        ({"classes": 0}, ArgumentError, "classes must be at least 1, got 0"),
        ({"classes": "ten"}, ArgumentTypeError, "classes must be an int"),
        ({"input_shape": (224, 224)}, ShapeError, "input_shape must"),
        ({"input_shape": 224}, ArgumentTypeError, "input_shape must be a tuple"),
        ({"input_shape": (0, 64, 64)}, ArgumentError, "input_shape"),
        ({"num_classes": 3}, ConfigError, "num_classes is unknown"),
    ],
)
def test_wrong_settings_are_told(name, settings, error, said):
    with pytest.raises(error) as caught:
        fastconv.create_model(name, **settings)
    assert said in str(caught.value)


def test_a_misspelt_network_is_told_the_nearest():
    with pytest.raises(UnknownNameError, match="create_model: model .* did you mean 'ResNet50'"):
        fastconv.create_model("resnet50")
    with pytest.raises(UnknownNameError, match="there is only 'fastconv.VGG16.v1'"):
        fastconv.create_model("fastconv.VGG16.v2")
    with pytest.raises(UnknownNameError, match="describe_model: model must be"):
        fastconv.describe_model("nothing")


def test_names_of_networks_are_ours():
    with pytest.raises(ArgumentError, match="must be in a namespace of your own"):
        registry.models.register("fastconv.ResNet50.v2", lambda: {})
    with registry.isolated():
        fastconv.create_model("DeepConvNet")
    assert fastconv.create_model("DeepConvNet").count_params() == 123_552


def test_importing_fastconv_imports_no_network(environment):
    code = """
import sys, fastconv
names = fastconv.list_models()
def networks():
    return {n for n in sys.modules if n.startswith("fastconv.zoo.")}
assert "ResNet50" in names and "ResNet50" in fastconv.registry.models and not networks()
fastconv.create_model("LeNet5")
assert networks() == {"fastconv.zoo.lenet", "fastconv.zoo.nodes"}, networks()
fastconv.zoo.torchvision
assert "fastconv.zoo.renaming" in networks()
"""
    subprocess.run([sys.executable, "-c", code], check=True, env=environment)


def run(capsys, *words):
    code = main(words)
    return code, *capsys.readouterr()


def test_names_of_networks_on_the_command_line(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code, out, _ = run(capsys, "models")
    assert code == 0 and out.split() == fastconv.list_models()
    assert run(capsys, "models", "net50")[1] == "ResNet50\n"
    code, _, err = run(capsys, "models", "rasnet50")
    assert code == 2 and "did you mean 'ResNet50'" in err
    code, out, _ = run(capsys, "summary", "LeNet5")
    assert code == 0 and "61,706 parameters" in out
    code, out, _ = run(capsys, "plan", "ResNet50", "--batch", "2")
    assert code == 0 and "layer4.2.conv3" in out
    code, _, err = run(capsys, "summary", "Resnet50")
    assert code == 2 and "did you mean 'ResNet50'" in err
    code, out, _ = run(capsys, "train", "DigitsNet", "--epochs", "1", "--save", "net.safetensors")
    assert code == 0
    assert fastconv.load("net.safetensors").count_params() == 178_858
    # a file of that name comes first
    (tmp_path / "LeNet5").write_text('{"input_shape": [4], "layers": ["ReLU"]}')
    code, out, _ = run(capsys, "summary", "LeNet5")
    assert code == 0 and "ReLU" in out and "61,706" not in out


def test_describing_a_network(capsys):
    code, out, _ = run(capsys, "describe", "KerasMNIST")
    assert code == 0 and out.startswith("fastconv.KerasMNIST.v1\nKerasMNIST(classes=10, input_sh")
    assert "kernel_size" in out and "3 or 4 in" in out
    assert out.rstrip() == fastconv.describe_model("fastconv.KerasMNIST.v1")
    code, out, _ = run(capsys, "describe", "Conv2D")
    assert code == 0 and out.startswith("fastconv.Conv2D.v1\n")
    for typed, near in (("ResNet5", "ResNet50"), ("Konv2D", "Conv2D"), ("lenet5", "LeNet5")):
        code, _, err = run(capsys, "describe", typed)
        assert code == 2 and f"did you mean '{near}'" in err
