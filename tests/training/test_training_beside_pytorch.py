"""Steps, losses and metrics beside those of PyTorch, or of the same formula in its functions."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import fastconv
from fastconv import registry

torch = pytest.importorskip("torch", reason="PyTorch is not installed")
functional = torch.nn.functional

#: By dtype: the largest difference over the largest number of an array.
TOLERANCES = {"float32": 1e-5, "float64": 1e-12}
RATE, DECAY = 0.05, 0.1

#: What PyTorch calls the same optimizers, with the settings that are other ones by themselves.
OPTIMIZERS: dict[str, Any] = {
    "sgd": torch.optim.SGD,
    "momentum": lambda groups, **rest: torch.optim.SGD(groups, momentum=0.9, **rest),
    "nesterov": lambda groups, **rest: torch.optim.SGD(groups, momentum=0.9, nesterov=True, **rest),
    "adagrad": lambda groups, **rest: torch.optim.Adagrad(groups, eps=1e-7, **rest),
    "rmsprop": lambda groups, **rest: torch.optim.RMSprop(groups, alpha=0.9, eps=1e-7, **rest),
    "adam": torch.optim.Adam,
    "adamw": torch.optim.AdamW,
}
CLIPS: dict[str, dict[str, float]] = {
    "none": {},
    "value": {"clip_value": 0.01},
    "norm": {"clip_norm": 0.05},
    "both": {"clip_norm": 0.05, "clip_value": 0.02},
}


def clipped(weights: list[Any], clip_norm: float | None = None, clip_value: float | None = None):
    """Clip as PyTorch's users do before a step; `clip_grad_norm_` itself divides by norm + 1e-6."""
    if clip_norm is not None:
        norm = torch.sqrt(sum((weight.grad**2).sum() for weight in weights))
        for weight in weights:
            weight.grad *= min(1.0, clip_norm / norm.item())
    if clip_value is not None:
        torch.nn.utils.clip_grad_value_(weights, clip_value)


@pytest.mark.parametrize("dtype", TOLERANCES)
@pytest.mark.parametrize("clip", CLIPS)
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_steps_with_clipping_and_decay_agree(name, clip, dtype):
    layers = [("Dense", {"units": 7}), "Tanh", ("Dense", {"units": 3})]
    net = fastconv.Sequential(layers, (5,), dtype=dtype, seed=1)
    settings = {"learning_rate": RATE, "weight_decay": DECAY, **CLIPS[clip]}
    net.compile((name, settings), "softmax_cross_entropy")
    own = {key: torch.tensor(array, requires_grad=True) for key, array in net.weights().items()}
    groups = [
        {"params": [w for w in own.values() if w.ndim > 1], "weight_decay": DECAY},
        {"params": [w for w in own.values() if w.ndim == 1], "weight_decay": 0.0},
    ]
    theirs = OPTIMIZERS[name](groups, lr=RATE)
    rng, clips = np.random.default_rng(2), 0
    for _ in range(5):
        x, y = rng.standard_normal((8, 5)).astype(dtype), rng.integers(0, 3, 8)
        net.train_on_batch(x, y)
        hidden = torch.tanh(functional.linear(torch.tensor(x), *list(own.values())[:2]))
        outputs = functional.linear(hidden, *list(own.values())[2:])
        theirs.zero_grad()
        functional.cross_entropy(outputs, torch.tensor(y)).backward()
        before = [weight.grad.clone() for weight in own.values()]
        clipped(list(own.values()), **CLIPS[clip])
        clips += any((g != w.grad).any() for g, w in zip(before, own.values(), strict=True))
        theirs.step()
    assert clips == (5 if CLIPS[clip] else 0)
    for key, array in net.weights().items():
        other = own[key].detach().numpy()
        assert np.abs(array - other).max() <= 10 * TOLERANCES[dtype] * np.abs(other).max(), key


CLASSES, SHARES, NUMBERS, YES = "classes", "shares", "numbers", "yes or no"
#: By name: the loss, what its targets are, and the same in PyTorch with a figure for each row.
LOSSES: dict[str, tuple[Any, str, Any]] = {
    "softmax_cross_entropy": (
        "softmax_cross_entropy",
        CLASSES,
        lambda o, t: functional.cross_entropy(o, t, reduction="none"),
    ),
    "softmax_cross_entropy of shares": (
        "softmax_cross_entropy",
        SHARES,
        lambda o, t: functional.cross_entropy(o, t, reduction="none"),
    ),
    "softmax_cross_entropy smoothed": (
        ("softmax_cross_entropy", {"label_smoothing": 0.2}),
        CLASSES,
        lambda o, t: functional.cross_entropy(o, t, reduction="none", label_smoothing=0.2),
    ),
    "sigmoid_cross_entropy": (
        "sigmoid_cross_entropy",
        YES,
        lambda o, t: functional.binary_cross_entropy_with_logits(o, t, reduction="none").mean(1),
    ),
    "mean_squared_error": (
        "mean_squared_error",
        NUMBERS,
        lambda o, t: functional.mse_loss(o, t, reduction="none").mean(1),
    ),
    "mean_absolute_error": (
        "mean_absolute_error",
        NUMBERS,
        lambda o, t: functional.l1_loss(o, t, reduction="none").mean(1),
    ),
    "huber": (
        ("huber", {"delta": 0.6}),
        NUMBERS,
        lambda o, t: functional.huber_loss(o, t, reduction="none", delta=0.6).mean(1),
    ),
}


def made(kind: str, dtype: str) -> tuple[np.ndarray, np.ndarray]:
    """Return outputs (30, 4), and targets of a kind."""
    rng = np.random.default_rng(5)
    outputs = rng.normal(0.0, 2.0, (30, 4)).astype(dtype)
    targets = {
        CLASSES: lambda: rng.integers(0, 4, 30),
        SHARES: lambda: rng.dirichlet(np.ones(4), 30).astype(dtype),
        NUMBERS: lambda: rng.standard_normal((30, 4)).astype(dtype),
        YES: lambda: rng.integers(0, 2, (30, 4)).astype(dtype),
    }
    return outputs, targets[kind]()


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("dtype", TOLERANCES)
@pytest.mark.parametrize("name", LOSSES)
def test_losses_and_their_gradients_agree(name, dtype, weighted):
    spec, kind, theirs = LOSSES[name]
    outputs, targets = made(kind, dtype)
    weights = np.random.default_rng(6).uniform(0.0, 2.0, 30) if weighted else None
    given = (outputs, targets) if weights is None else (outputs, targets, weights)
    value, gradient = registry.resolve(registry.losses, spec, "test").value_and_gradient(*given)
    other = torch.tensor(outputs, requires_grad=True)
    each = theirs(other, torch.tensor(targets))
    counts = torch.tensor(np.ones(30) if weights is None else weights, dtype=each.dtype)
    loss = (each * counts).sum() / counts.sum()
    loss.backward()
    tolerance = TOLERANCES[dtype]
    assert value == pytest.approx(loss.item(), rel=tolerance)
    wanted = other.grad.numpy()
    assert gradient.dtype == outputs.dtype
    assert np.abs(gradient - wanted).max() <= tolerance * np.abs(wanted).max()


def test_class_weights_are_those_of_pytorch():
    rng = np.random.default_rng(8)
    x, y = rng.standard_normal((30, 5)), rng.integers(0, 4, 30)
    weights = [0.5, 2.0, 1.0, 0.25]
    net = fastconv.Sequential([("Dense", {"units": 4})], (5,), dtype="float64", seed=0)
    before = {key: torch.tensor(array, requires_grad=True) for key, array in net.weights().items()}
    net.compile(("sgd", {"learning_rate": RATE}), "softmax_cross_entropy")
    history = net.fit(x, y, batch_size=30, epochs=1, verbose=0, class_weight=weights)
    outputs = functional.linear(torch.tensor(x), *before.values())
    loss = functional.cross_entropy(
        outputs, torch.tensor(y), torch.tensor(weights, dtype=torch.float64)
    )
    loss.backward()
    assert history.history["loss"] == [pytest.approx(loss.item(), rel=1e-12)]
    for key, array in net.weights().items():
        wanted = (before[key] - RATE * before[key].grad).detach().numpy()
        assert np.abs(array - wanted).max() <= 1e-12 * np.abs(wanted).max()


def counted(said: Any, true: Any) -> tuple[Any, Any, Any]:
    """Return for each class how often it was rightly said, was said, and was there."""
    classes = torch.arange(4)
    says, is_so = said[:, None] == classes, true[:, None] == classes
    return (says & is_so).sum(0).double(), says.sum(0).double(), is_so.sum(0).double()


def area(outputs: Any, true: Any) -> Any:
    """Return how often a row of a class gets more for it than another, by all pairs."""
    areas = []
    for number in range(4):
        yes, no = outputs[true == number, number], outputs[true != number, number]
        pairs = yes[:, None] - no[None]
        areas.append(((pairs > 0).double() + 0.5 * (pairs == 0).double()).mean())
    return torch.stack(areas).mean()


def f1(hits: Any, said: Any, true: Any) -> Any:
    return 2 * hits / (said + true)


METRICS: dict[str, tuple[Any, str, Any]] = {
    "accuracy": ("accuracy", CLASSES, lambda o, t: (o.argmax(1) == t).double().mean()),
    "top_k": (
        ("top_k", {"k": 2}),
        CLASSES,
        lambda o, t: (o.topk(2, 1).indices == t[:, None]).any(1).double().mean(),
    ),
    "precision": (
        "precision",
        CLASSES,
        lambda o, t: (counted(o.argmax(1), t)[0] / counted(o.argmax(1), t)[1]).mean(),
    ),
    "recall of the weighted mean": (
        ("recall", {"average": "weighted"}),
        CLASSES,
        lambda o, t: (o.argmax(1) == t).double().mean(),
    ),
    "recall": (
        "recall",
        CLASSES,
        lambda o, t: (counted(o.argmax(1), t)[0] / counted(o.argmax(1), t)[2]).mean(),
    ),
    "f1": ("f1", CLASSES, lambda o, t: f1(*counted(o.argmax(1), t)).mean()),
    "auc": ("auc", CLASSES, lambda o, t: area(o.double().log_softmax(1), t)),
    "binary_accuracy": (
        "binary_accuracy",
        YES,
        lambda o, t: ((torch.sigmoid(o) > 0.5) == (t > 0.5)).double().mean(),
    ),
    "mean_absolute_error": ("mean_absolute_error", NUMBERS, lambda o, t: functional.l1_loss(o, t)),
}
LOSS_OF = {
    CLASSES: "softmax_cross_entropy",
    YES: "sigmoid_cross_entropy",
    NUMBERS: "mean_squared_error",
}


@pytest.mark.parametrize("dtype", TOLERANCES)
@pytest.mark.parametrize("name", METRICS)
def test_metrics_over_batches_agree(name, dtype):
    spec, kind, theirs = METRICS[name]
    outputs, targets = made(kind, dtype)
    net = fastconv.Sequential(["Identity"], (4,), dtype=dtype)
    net.compile("sgd", LOSS_OF[kind], [spec])
    figures = net.evaluate(outputs, targets, batch_size=7)
    found = figures[spec if isinstance(spec, str) else spec[0]]
    wanted = theirs(torch.tensor(outputs), torch.tensor(targets)).item()
    assert 0.1 < found and found == pytest.approx(wanted, rel=1e-6 if dtype == "float32" else 1e-12)
