"""What torchvision calls the weights of the networks that both have."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from fastconv.errors import ArgumentError, ArgumentTypeError, did_you_mean
from fastconv.zoo import mobilenet_v2, vgg

__all__ = ["torchvision"]


def torchvision(network: str) -> Callable[[str], str | None]:
    """Return the mapping for `Model.load_weights` from torchvision's names to those of a network.

    Parameters
    ----------
    network : {"AlexNet", "MobileNetV2", "ResNet18", "ResNet50", "VGG16"}
        AlexNet is the one that ``create_model("AlexNet", towers=1)`` makes: torchvision's has
        neither groups nor a normalisation.

    Returns
    -------
    function of str
        For a name of torchvision's, the key of the network; None for ``num_batches_tracked``,
        which fastconv does not have.

    Raises
    ------
    ArgumentTypeError, ArgumentError
        If `network` is another.

    Notes
    -----
    Shapes are the same, and nothing is transposed. Images for torchvision's weights are RGB from 0
    to 1, from which the means (0.485, 0.456, 0.406) are taken, and which are then divided by
    (0.229, 0.224, 0.225).

    Examples
    --------
    >>> names = torchvision("VGG16")
    >>> names("features.28.weight"), names("classifier.6.bias")
    ('conv5_3/weight', 'fc8/bias')
    """
    if not isinstance(network, str):
        raise ArgumentTypeError("torchvision", "network", "must be the name of a network", network)
    if network not in _MODULES:
        known = ", ".join(_MODULES)
        remedy = did_you_mean(network, _MODULES)
        raise ArgumentError("torchvision", "network", f"must be one of {known}", network, remedy)
    modules = dict(_MODULES[network]())

    def key(name: str) -> str | None:
        module, _, parameter = name.rpartition(".")
        if parameter == "num_batches_tracked":
            return None
        return f"{modules.get(module, module)}/{parameter}"

    return key


def _resnet() -> Iterator[tuple[str, str]]:
    """Yield nothing: the layers have torchvision's names."""
    yield from ()


def _alexnet() -> Iterator[tuple[str, str]]:
    for number, module in enumerate((0, 3, 6, 8, 10), start=1):
        yield f"features.{module}", f"conv{number}"
    for number, module in enumerate((1, 4, 6), start=6):
        yield f"classifier.{module}", f"fc{number}"


def _vgg16() -> Iterator[tuple[str, str]]:
    module = 0
    for stage, widths in enumerate(vgg.STAGES, start=1):
        for number in range(1, len(widths) + 1):
            yield f"features.{module}", f"conv{stage}_{number}"
            module += 2  # and its ReLU
        module += 1  # pooling
    for number, module in enumerate((0, 3, 6), start=6):
        yield f"classifier.{module}", f"fc{number}"


def _mobilenet_v2() -> Iterator[tuple[str, str]]:
    yield from _pair("features.0.0", "features.0.1", "conv")
    for number, (factor, *_) in enumerate(mobilenet_v2.blocks(), start=1):
        block, ours, at = f"features.{number}.conv", f"block{number}", 0
        for part in ("expand", "depthwise") if factor > 1 else ("depthwise",):
            yield from _pair(f"{block}.{at}.0", f"{block}.{at}.1", f"{ours}.{part}")
            at += 1
        yield from _pair(f"{block}.{at}", f"{block}.{at + 1}", f"{ours}.project")
    yield from _pair(f"features.{number + 1}.0", f"features.{number + 1}.1", "last")
    yield "classifier.1", "fc"


def _pair(convolution: str, norm: str, ours: str) -> Iterator[tuple[str, str]]:
    yield convolution, ours
    yield norm, f"{ours}.bn"


_MODULES = {
    "AlexNet": _alexnet,
    "MobileNetV2": _mobilenet_v2,
    "ResNet18": _resnet,
    "ResNet50": _resnet,
    "VGG16": _vgg16,
}
