"""torchvision's names of weights: all of them find their place, and nothing is left over.

The names and shapes are those of torchvision's modules, written down here from its sources.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
import torch_writer

import fastconv
from fastconv.errors import ArgumentError, ArgumentTypeError, ConfigError
from fastconv.testing import assert_bits_equal

Weight = tuple[str, tuple[int, ...]]


def conv(name: str, filters: int, channels: int, size: int, bias: bool = False) -> Iterator[Weight]:
    yield f"{name}.weight", (filters, channels, size, size)
    if bias:
        yield f"{name}.bias", (filters,)


def norm(name: str, channels: int) -> Iterator[Weight]:
    for key in ("weight", "bias", "running_mean", "running_var"):
        yield f"{name}.{key}", (channels,)
    yield f"{name}.num_batches_tracked", ()


def linear(name: str, units: int, inputs: int) -> Iterator[Weight]:
    yield f"{name}.weight", (units, inputs)
    yield f"{name}.bias", (units,)


def resnet(blocks: tuple[int, ...], bottleneck: bool) -> Iterator[Weight]:
    yield from conv("conv1", 64, 3, 7)
    yield from norm("bn1", 64)
    channels = 64
    for stage, count in enumerate(blocks, start=1):
        width = 64 * 2 ** (stage - 1)
        sizes = (1, 3, 1) if bottleneck else (3, 3)
        filters = 4 * width if bottleneck else width
        for number in range(count):
            block, inputs = f"layer{stage}.{number}", channels
            for at, size in enumerate(sizes, start=1):
                outputs = filters if at == len(sizes) else width
                yield from conv(f"{block}.conv{at}", outputs, inputs, size)
                yield from norm(f"{block}.bn{at}", outputs)
                inputs = outputs
            if number == 0 and channels != filters:
                yield from conv(f"{block}.downsample.0", filters, channels, 1)
                yield from norm(f"{block}.downsample.1", filters)
            channels = filters
    yield from linear("fc", 1000, channels)


def vgg16() -> Iterator[Weight]:
    places = (0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28)
    filters = (64, 64, 128, 128, 256, 256, 256, *(512,) * 6)
    for place, outputs, inputs in zip(places, filters, (3, *filters), strict=False):
        yield from conv(f"features.{place}", outputs, inputs, 3, bias=True)
    yield from linear("classifier.0", 4096, 512 * 7 * 7)
    yield from linear("classifier.3", 4096, 4096)
    yield from linear("classifier.6", 1000, 4096)


def alexnet() -> Iterator[Weight]:
    convolutions = ((0, 64, 3, 11), (3, 192, 64, 5), (6, 384, 192, 3), (8, 256, 384, 3))
    for place, filters, channels, size in (*convolutions, (10, 256, 256, 3)):
        yield from conv(f"features.{place}", filters, channels, size, bias=True)
    yield from linear("classifier.1", 4096, 256 * 6 * 6)
    yield from linear("classifier.4", 4096, 4096)
    yield from linear("classifier.6", 1000, 4096)


def mobilenet_v2() -> Iterator[Weight]:
    def both(name: str, at: str, filters: int, channels: int, size: int) -> Iterator[Weight]:
        yield from conv(f"{name}", filters, channels, size)
        yield from norm(at, filters)

    yield from both("features.0.0", "features.0.1", 32, 3, 3)
    channels, number = 32, 0
    stages = ((1, 16, 1), (6, 24, 2), (6, 32, 3), (6, 64, 4), (6, 96, 3), (6, 160, 3), (6, 320, 1))
    for factor, filters, count in stages:
        for _ in range(count):
            number += 1
            block, wide, at = f"features.{number}.conv", factor * channels, 0
            if factor > 1:
                yield from both(f"{block}.0.0", f"{block}.0.1", wide, channels, 1)
                at = 1
            yield from both(f"{block}.{at}.0", f"{block}.{at}.1", wide, 1, 3)
            yield from both(f"{block}.{at + 1}", f"{block}.{at + 2}", filters, wide, 1)
            channels = filters
    yield from both("features.18.0", "features.18.1", 1280, 320, 1)
    yield from linear("classifier.1", 1000, 1280)


#: What torchvision's network is here, if it is not what the name alone makes.
SETTINGS = {"AlexNet": {"towers": 1}}
NETWORKS = {
    "AlexNet": alexnet,
    "MobileNetV2": mobilenet_v2,
    "ResNet18": lambda: resnet((2, 2, 2, 2), False),
    "ResNet50": lambda: resnet((3, 4, 6, 3), True),
    "VGG16": vgg16,
}


@pytest.mark.parametrize("name", NETWORKS)
def test_every_weight_of_torchvision_finds_its_place(name):
    key = fastconv.zoo.torchvision(name)
    found = {key(weight): shape for weight, shape in NETWORKS[name]()}
    found.pop(None, None)
    slots = fastconv.create_model(name, **SETTINGS.get(name, {}))._slots
    assert found == {key: slot.shape for key, slot in slots.items()}


def test_a_file_of_torchvision_is_loaded(tmp_path):
    rng = np.random.default_rng(0)
    state = {
        name: np.array(7) if not shape else rng.random(shape, np.float32)
        for name, shape in NETWORKS["ResNet18"]()
    }
    path = tmp_path / "resnet18.pth"
    path.write_bytes(torch_writer.of_state(state))
    net = fastconv.create_model("ResNet18", input_shape=(3, 32, 32))
    names = fastconv.zoo.torchvision("ResNet18")
    assert len(net.load_weights(path, mapping=names)) == 20 * 5 + 2
    loaded = net.weights()
    assert_bits_equal(
        loaded["layer2.0.downsample.1/running_var"], state["layer2.0.downsample.1.running_var"]
    )
    assert_bits_equal(loaded["fc/weight"], state["fc.weight"])
    # other classes: all but the last layer
    other = fastconv.create_model("ResNet18", classes=3, input_shape=(3, 32, 32))
    with pytest.raises(ConfigError, match=r"fc/weight must have shape \(3, 512\)"):
        other.load_weights(path, mapping=names)
    loaded_keys = other.load_weights(
        path, strict=False, mapping=lambda name: None if name.startswith("fc.") else names(name)
    )
    assert len(loaded_keys) == 20 * 5
    with pytest.raises(ConfigError, match="no layer has 'layer1.0.bn1.num_batches_tracked'"):
        net.load_weights(path)


def test_other_networks_are_refused():
    with pytest.raises(ArgumentError, match="did you mean 'ResNet50'"):
        fastconv.zoo.torchvision("resnet50")
    with pytest.raises(ArgumentTypeError, match="network must be the name of a network, got None"):
        fastconv.zoo.torchvision(None)
