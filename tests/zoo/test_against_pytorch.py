"""Every named network beside the same one in PyTorch, with the same weights."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import fastconv

torch = pytest.importorskip("torch", reason="PyTorch is not installed")
functional = torch.nn.functional

#: Images on which every map keeps enough values for a variance, where a network has BatchNorm.
SHAPES = {
    "AlexNet": (3, 67, 67),
    "MobileNetV1": (3, 96, 96),
    "MobileNetV2": (3, 96, 96),
    "ResNet18": (3, 96, 96),
    "ResNet50": (3, 96, 96),
    "UNet": (2, 32, 48),
    "VGG16": (3, 32, 32),
}
#: By dtype: differences over an array's largest, of the output and after a step.
TOLERANCES = {"float32": (1e-4, 1e-3), "float64": (1e-9, 1e-9)}
ROWS, RATE = 6, 1e-3


def same(size: int) -> int:
    assert size % 2, "an even kernel is padded otherwise"
    return size // 2


class Twin:
    """A configuration in PyTorch's functions.

    Parameters
    ----------
    config : dict
        What `Model.to_config` gives.
    weights : dict of str to ndarray
        By ``layer/parameter``.
    """

    def __init__(self, config: dict[str, Any], weights: dict[str, np.ndarray]) -> None:
        self.config = config
        self.weights = {key: torch.tensor(array) for key, array in weights.items()}
        for key, weight in self.weights.items():
            if "/running_" not in key:
                weight.requires_grad_()

    def __call__(self, x: np.ndarray, training: bool = False) -> Any:
        values = {self.config["inputs"][0]["id"]: torch.tensor(x)}
        for node in self.config["nodes"]:
            name = node["id"]
            kind = node["layer"].split(".")[1]
            inputs = [values[source] for source in node["from"]]
            own = {
                key.partition("/")[2]: weight
                for key, weight in self.weights.items()
                if key.partition("/")[0] == name
            }
            values[name] = getattr(self, kind)(own, training, *inputs, **node["config"])
        return values[self.config["outputs"][0]]

    def step(self, x: np.ndarray, y: np.ndarray, rate: float) -> float:
        """Take a step of gradient descent; return the loss before it."""
        outputs, targets = self(x, training=True), torch.tensor(y)
        if outputs.ndim == 2:
            loss = functional.cross_entropy(outputs, targets)
        else:
            loss = functional.mse_loss(outputs, targets)
        loss.backward()
        with torch.no_grad():
            for weight in self.weights.values():
                if weight.grad is not None:
                    weight -= rate * weight.grad
        return loss.item()

    # The layers: their weights, whether they are trained, their inputs, their settings

    def Conv2D(self, own, training, x, *, kernel_size, stride, padding, dilation, groups, **_):
        padding = same(kernel_size) if padding == "same" else padding
        bias = own.get("bias")
        return functional.conv2d(x, own["weight"], bias, stride, padding, dilation, groups)

    def Conv2DTranspose(self, own, training, x, *, stride, padding, output_padding, **_):
        bias = own.get("bias")
        return functional.conv_transpose2d(x, own["weight"], bias, stride, padding, output_padding)

    def BatchNorm(self, own, training, x, *, momentum, epsilon):
        mean, variance = own["running_mean"], own["running_var"]
        if training:
            with torch.no_grad():
                # the variance has the divisor N H W here, in PyTorch one less
                axes = [0, *range(2, x.ndim)]
                mean.mul_(momentum).add_((1 - momentum) * x.mean(axes))
                variance.mul_(momentum).add_((1 - momentum) * x.var(axes, correction=0))
            mean = variance = None
        weight, bias = own["weight"], own["bias"]
        return functional.batch_norm(x, mean, variance, weight, bias, training, 0.0, epsilon)

    def LocalResponseNorm(self, own, training, x, *, size, alpha, beta, k):
        return functional.local_response_norm(x, size, alpha, beta, k)

    def MaxPool2D(self, own, training, x, *, pool_size, stride, padding, **_):
        return functional.max_pool2d(x, pool_size, stride, padding)

    def AvgPool2D(self, own, training, x, *, pool_size, stride, padding, **_):
        return functional.avg_pool2d(x, pool_size, stride, padding)

    def GlobalAvgPool2D(self, own, training, x):
        return x.mean((2, 3))

    def Dense(self, own, training, x, **_):
        return functional.linear(x, own["weight"], own.get("bias"))

    def Dropout(self, own, training, x, *, rate):
        assert rate == 0
        return x

    def Flatten(self, own, training, x):
        return x.flatten(1)

    def ReLU(self, own, training, x):
        return functional.relu(x)

    def ReLU6(self, own, training, x):
        return functional.relu6(x)

    def Tanh(self, own, training, x):
        return torch.tanh(x)

    def Add(self, own, training, *xs):
        return sum(xs[1:], xs[0])

    def Concatenate(self, own, training, *xs, axis):
        return torch.cat(xs, axis)


def made(name: str, dtype: str) -> fastconv.Model:
    """Return a network without dropout, all of whose weights are random."""
    shape = {"input_shape": SHAPES[name]} if name in SHAPES else {}
    config = fastconv.create_model(name, classes=5, **shape).to_config()
    for node in config["nodes"]:
        if node["layer"] == "fastconv.Dropout.v1":
            node["config"]["rate"] = 0.0
    net = fastconv.from_config({**config, "dtype": dtype}, seed=3)
    rng = np.random.default_rng(5)
    plain = {}
    weights = net.weights()
    # In tens of layers, rounding to float32 grows with the gradient. Small logits keep it as small
    # as it is in training.
    last = next(key for key in reversed(weights) if key.endswith("/weight"))
    plain[last] = weights[last] / 8
    for key, array in weights.items():
        if key.endswith("/running_var") or (array.ndim == 1 and key.endswith("/weight")):
            plain[key] = rng.uniform(0.5, 1.5, array.shape)
        elif array.ndim == 1:
            plain[key] = rng.normal(0, 0.1, array.shape)
    net.set_weights(plain)
    return net


def largest_difference(ours: np.ndarray, theirs: Any) -> float:
    """Return the largest difference over the largest of all numbers."""
    other = theirs.detach().numpy()
    assert ours.shape == other.shape and ours.dtype == other.dtype
    return float(np.abs(ours - other).max() / np.abs(other).max())


@pytest.mark.parametrize("dtype", TOLERANCES)
@pytest.mark.parametrize("name", [n for n in fastconv.list_models() if "." not in n])
def test_forward_pass_and_a_training_step_agree(name, dtype):
    net = made(name, dtype)
    weights = net.weights()
    twin = Twin(net.to_config(), weights)
    rng = np.random.default_rng(7)
    shape = net.to_config()["inputs"][0]["shape"]
    x = rng.standard_normal((ROWS, *shape)).astype(dtype)
    outputs = net(x)
    forward, after = TOLERANCES[dtype]
    theirs = twin(x)
    assert outputs.std() > 0.01
    assert largest_difference(outputs, theirs) <= forward
    if outputs.ndim == 2:
        y, loss = rng.integers(0, 5, ROWS), "softmax_cross_entropy"
    else:
        y, loss = rng.standard_normal(outputs.shape).astype(dtype), "mean_squared_error"
    net.compile(("sgd", {"learning_rate": RATE}), loss)
    ours, right = net.train_on_batch(x, y)["loss"], twin.step(x, y, RATE)
    assert abs(ours - right) <= after * abs(right)
    for key, array in net.weights().items():
        if array.ndim > 1:  # a shift that a later BatchNorm takes away again has no gradient
            assert (array != weights[key]).any(), f"{key} stayed as it was"
        assert largest_difference(array, twin.weights[key]) <= after, key
