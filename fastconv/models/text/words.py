"""Words of Keras, PyTorch and scikit-learn: what to write or do here instead."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any, TypeVar, cast

from fastconv.errors import ArgumentTypeError, UnknownAttributeError, nearest, shorten

__all__ = ["ATTRIBUTES", "explained", "unknown_attribute"]

F = TypeVar("F", bound=Callable[..., Any])

_RATE = 'it belongs to the optimizer: net.compile(("adam", {"learning_rate": 0.01}), loss=...)'
_COMPILE = "it is chosen before: net.compile(optimizer, loss, metrics)"
_REPEAT = "rows that shall count more can be given more often: x[rows], y[rows]"
_THREADS = "threads are chosen by fastconv.set_num_threads(n)"
_NOT_NEEDED = "nothing of the kind is needed, leave it out"
_BATCHES = "an epoch is all rows in batches of batch_size, or all that an iterable gives"
_AHEAD = "a thread reads the next batch where reading takes time; leave it out"
_ITERABLE = "an iterable of batches (x, y) is given as x, without y"
_CPU = "networks run on the CPU; leave it out"
_GO_ON = "a second fit goes on where the first ended; leave it out"

#: By method, and then by word: the parameter that is meant, or what to do instead.
_WORDS: dict[str, dict[str, str]] = {
    "fit": {
        "augment": "transform",
        "augmentation": "transform",
        "batch": "batch_size",
        "bs": "batch_size",
        "callback": "callbacks",
        "class_weights": "class_weight",
        "criterion": _COMPILE,
        "data": "x",
        "data_loader": _ITERABLE,
        "dataloader": _ITERABLE,
        "dataset": _ITERABLE,
        "device": _CPU,
        "eval_set": "validation_data",
        "generator": _ITERABLE,
        "initial_epoch": _GO_ON,
        "inputs": "x",
        "labels": "y",
        "learning_rate": _RATE,
        "learning_rate_init": _RATE,
        "loss": _COMPILE,
        "lr": _RATE,
        "max_epochs": "epochs",
        "max_iter": "epochs",
        "max_queue_size": _AHEAD,
        "metrics": _COMPILE,
        "mini_batch_size": "batch_size",
        "minibatch_size": "batch_size",
        "n_epochs": "epochs",
        "n_iter": "epochs",
        "n_jobs": _THREADS,
        "nb_epoch": "epochs",
        "num_epochs": "epochs",
        "num_workers": _AHEAD,
        "optimizer": _COMPILE,
        "pin_memory": _CPU,
        "prefetch": _AHEAD,
        "preprocessing_function": "transform",
        "random_state": "seed",
        "sample_weights": "sample_weight",
        "steps_per_epoch": _BATCHES,
        "target": "y",
        "targets": "y",
        "test_size": "validation_split",
        "train_loader": _ITERABLE,
        "transforms": "transform: fastconv.data.compose(...) makes one of several",
        "use_multiprocessing": _AHEAD,
        "val_data": "validation_data",
        "validation_batch_size": "validation runs in batches of batch_size; leave it out",
        "validation_fraction": "validation_split",
        "validation_freq": "validation comes after every epoch; leave it out",
        "validation_generator": "validation_data",
        "validation_steps": _BATCHES,
        "workers": _AHEAD,
    },
    "compile": {
        "criterion": "loss",
        "jit_compile": _NOT_NEEDED,
        "learning_rate": 'it belongs to the optimizer: ("adam", {"learning_rate": 0.01})',
        "loss_fn": "loss",
        "loss_function": "loss",
        "loss_weights": "losses are added as they are; weigh them in a Loss of your own",
        "lr": 'it belongs to the optimizer: ("adam", {"learning_rate": 0.01})',
        "metric": "metrics",
        "optim": "optimizer",
        "run_eagerly": _NOT_NEEDED,
        "steps_per_execution": _NOT_NEEDED,
        "weighted_metrics": "metrics",
    },
    "evaluate": {
        "callbacks": _NOT_NEEDED,
        "class_weight": "what each row counts is sample_weight",
        "generator": _ITERABLE,
        "return_dict": "figures are always a dict; leave it out",
        "sample_weights": "sample_weight",
        "steps": "all rows are evaluated; leave it out",
        "verbose": _NOT_NEEDED,
    },
    "train_on_batch": {
        "class_weight": _REPEAT,
        "return_dict": "figures are always a dict; leave it out",
        "sample_weight": _REPEAT,
    },
    "predict": {
        "callbacks": _NOT_NEEDED,
        "generator": "an iterable of batches is given as x",
        "steps": "all rows are predicted; leave it out",
        "verbose": _NOT_NEEDED,
    },
}

_INFERENCE = "net(x) is inference, net(x, training=True) is as in training; nothing is switched"
_FREEZE = 'net.freeze("conv*") keeps layers as they are, net.unfreeze() lets them learn'
_COMPILED = "net.compiled holds what compile chose: .optimizer, .losses, .metrics"
_LAYERS = "the layers are given at once: fastconv.Sequential([...], input_shape)"
_STEP = "net.train_on_batch(x, y) takes a step, and leaves net.gradients"

_RUNS_ALONE = "a network made for inference runs alone; take the one it was made from"

#: Attributes of networks elsewhere, and what to do here.
ATTRIBUTES = {
    "add": _LAYERS,
    "add_module": _LAYERS,
    "apply": "net(x) runs a batch",
    "backward": _STEP,
    "build": "a network is built when it is made",
    "call": "net(x) runs a batch",
    "children": "net.layers is the list of layers",
    "compile": _RUNS_ALONE,
    "cpu": "networks run on the CPU alone",
    "cuda": "networks run on the CPU alone",
    "eval": _INFERENCE,
    "evaluate": _RUNS_ALONE,
    "fit": _RUNS_ALONE,
    "evaluate_generator": "net.evaluate takes iterables of batches (x, y) as x",
    "fit_generator": "net.fit takes iterables of batches (x, y) as x",
    "forward": "net(x) runs a batch",
    "freeze": _RUNS_ALONE,
    "get_config": "net.to_config() is the network as JSON",
    "get_layer": 'net["conv2d_1"] is the layer of that name',
    "get_weights": "net.weights() gives all weights by name",
    "load_state_dict": "net.set_weights({...}) takes arrays by name, net.load_weights(path) a file",
    "loss": _COMPILED,
    "metrics": _COMPILED,
    "modules": "net.layers is the list of layers",
    "named_parameters": "net.weights() gives all weights by name",
    "optimizer": _COMPILED,
    "parameters": "net.weights() gives all weights by name; " + _FREEZE,
    "partial_fit": "net.fit goes on where it ended; net.train_on_batch(x, y) takes one step",
    "pop": _LAYERS,
    "predict_generator": "net.predict takes iterables of batches as x",
    "predict_classes": "net.predict(x).argmax(1) are the classes",
    "predict_proba": "net.predict(x) are the outputs; end in Softmax for probabilities",
    "requires_grad_": _FREEZE,
    "save": _RUNS_ALONE,
    "score": 'net.evaluate(x, y)["accuracy"] where metrics=["accuracy"] was compiled',
    "set_weights": _RUNS_ALONE,
    "state_dict": "net.weights() gives all weights by name, net.save_weights(path) a file",
    "test_on_batch": "net.evaluate(x, y) gives loss and metrics",
    "to": "networks run on the CPU alone; dtype is chosen when a network is made",
    "to_json": "net.to_config() is the network as JSON",
    "train": _INFERENCE,
    "train_on_batch": _RUNS_ALONE,
    "trainable": _FREEZE,
    "trainable_variables": "net.trainable_parameters() gives what learns, by name",
    "trainable_weights": "net.trainable_parameters() gives what learns, by name",
    "training": _INFERENCE,
    "unfreeze": _RUNS_ALONE,
    "variables": "net.weights() gives all weights by name",
    "zero_grad": "gradients begin anew with each step",
}


def explained(method: F) -> F:
    """Return `method` so that it says what to do about parameters that it does not have.

    Raises
    ------
    ArgumentTypeError
        When arguments do not fit. The error names the nearest parameter, or says what the word of
        another library is here.
    """
    signature = inspect.signature(method)
    parameters = list(signature.parameters.values())
    places = [p for p in parameters if p.kind is p.POSITIONAL_OR_KEYWORD]
    least = sum(p.default is p.empty for p in places)
    # the names that are left, by the number of arguments that come without a name
    left = [frozenset(list(signature.parameters)[n:]) for n in range(len(places) + 1)]

    @functools.wraps(method)
    def checked(*args: Any, **kwargs: Any) -> Any:
        if not (least <= len(args) <= len(places) and left[len(args)].issuperset(kwargs)):
            _bind(method.__name__, signature, args, kwargs)
        return method(*args, **kwargs)

    return cast(F, checked)


def _bind(
    method: str, signature: inspect.Signature, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> None:
    """Raise unless the arguments fit."""
    known = list(signature.parameters)[1:]
    for word in kwargs:
        if word not in known:
            remedy = _remedy(method, word, known)
            raise ArgumentTypeError(method, word, "is no parameter", remedy=remedy)
    try:
        signature.bind(*args, **kwargs)
    except TypeError as error:
        raise ArgumentTypeError(method, "", _said(signature, args, error)) from None


def _remedy(method: str, word: str, known: list[str]) -> str:
    meant = _WORDS.get(method, {}).get(word.lower())
    if meant is None and word.lower() in known:
        meant = word.lower()
    if meant is None:
        close = nearest(word, known, 1)
        meant = close[0] if close else ""
    if not meant:
        return f"there are {', '.join(known)}"
    return f"did you mean {meant!r}?" if meant in known else meant


def _said(signature: inspect.Signature, args: tuple[Any, ...], error: TypeError) -> str:
    """Return what is wrong with arguments whose names are right."""
    parameters = list(signature.parameters.values())
    places = [p.name for p in parameters if p.kind is p.POSITIONAL_OR_KEYWORD][1:]
    if len(args) - 1 > len(places):
        named = [p.name for p in parameters if p.kind is p.KEYWORD_ONLY]
        after = ", ".join(f"{name}=..." for name in named[: len(args) - 1 - len(places)])
        return (
            f"only {' and '.join(places)} may come without a name, got {len(args) - 1} arguments"
            + (f"; write {after}" if after else "")
        )
    return str(error)


def unknown_attribute(owner: object, name: str) -> AttributeError:
    """Return the error for an attribute that `owner`, a network, does not have."""
    kind = type(owner).__name__
    remedy = ATTRIBUTES.get(name, "")
    if not remedy and not name.startswith("_"):
        close = nearest(name, [known for known in dir(type(owner)) if known[0] != "_"], 1)
        remedy = f"did you mean {close[0]!r}?" if close else ""
    if not remedy:
        return AttributeError(f"{kind!r} object has no attribute {name!r}")
    return UnknownAttributeError(kind, shorten(name).strip("'"), "is no attribute", remedy=remedy)
