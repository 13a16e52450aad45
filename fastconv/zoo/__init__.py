"""Known networks by name; each makes a configuration, and its module is imported when it is used.

::

    nodes          Nodes, with which a configuration is written
    book           SimpleConvNet, DeepConvNet, KerasMNIST
    digits         DigitsNet, the demo's network
    lenet  alexnet  vgg  resnet  mobilenet_v1  mobilenet_v2  unet    those of the papers
    trained        the weights that come with three of them
    renaming       torchvision: what torchvision calls their weights

>>> import fastconv
>>> fastconv.create_model("ResNet18", classes=10, input_shape=(3, 32, 32)).count_params()
11181642
"""

from typing import Any

from fastconv import registry

__all__ = ["torchvision"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from fastconv.zoo import renaming

    return getattr(renaming, name)


registry.models.announce(
    {
        "fastconv.AlexNet.v1": "fastconv.zoo.alexnet:alexnet",
        "fastconv.DeepConvNet.v1": "fastconv.zoo.book:deep_conv_net",
        "fastconv.DigitsNet.v1": "fastconv.zoo.digits:digits_net",
        "fastconv.KerasMNIST.v1": "fastconv.zoo.book:keras_mnist",
        "fastconv.LeNet5.v1": "fastconv.zoo.lenet:lenet5",
        "fastconv.MobileNetV1.v1": "fastconv.zoo.mobilenet_v1:mobilenet_v1",
        "fastconv.MobileNetV2.v1": "fastconv.zoo.mobilenet_v2:mobilenet_v2",
        "fastconv.ResNet18.v1": "fastconv.zoo.resnet:resnet18",
        "fastconv.ResNet50.v1": "fastconv.zoo.resnet:resnet50",
        "fastconv.SimpleConvNet.v1": "fastconv.zoo.book:simple_conv_net",
        "fastconv.UNet.v1": "fastconv.zoo.unet:unet",
        "fastconv.VGG16.v1": "fastconv.zoo.vgg:vgg16",
    }
)
