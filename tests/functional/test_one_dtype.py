"""The arrays of one call have one dtype: float32 beside float64 is refused, whichever it is."""

from __future__ import annotations

import inspect

import numpy as np
import pytest

from fastconv import functional
from fastconv.errors import ArgumentTypeError

X = np.random.default_rng(0).uniform(0.1, 1.0, (2, 4, 5, 5))
C = np.ones(4)
ROWS = X.reshape(2, -1)

#: What each function that takes several arrays is called with; those are made of one dtype.
CALLS = {
    "batch_norm": (X, C, C, 1e-5),
    "batch_norm_backward": (X, X, C, C, C, True),
    "conv2d": (X, np.ones((3, 4, 2, 2)), np.ones(3)),
    "conv2d_backward": (np.ones((2, 3, 4, 4)), X, np.ones((3, 4, 2, 2))),
    "conv2d_transpose": (X, np.ones((4, 3, 2, 2)), np.ones(3)),
    "conv2d_transpose_backward": (np.ones((2, 3, 6, 6)), X, np.ones((4, 3, 2, 2))),
    "dense": (ROWS, np.ones((3, 100)), np.ones(3)),
    "dense_backward": (np.ones((2, 3)), ROWS, np.ones((3, 100))),
    "elu_backward": (X, X),
    "gelu_backward": (X, X),
    "group_norm": (X, C, C, 2),
    "group_norm_backward": (X, X, C, np.ones((2, 2)), np.ones((2, 2))),
    "hard_sigmoid_backward": (X, X),
    "hard_swish_backward": (X, X),
    "layer_norm": (X, np.ones(X.shape[1:]), np.ones(X.shape[1:])),
    "layer_norm_backward": (X, X, np.ones(X.shape[1:]), np.ones(2), np.ones(2)),
    "leaky_relu_backward": (X, X),
    "local_response_norm_backward": (X, X, 3),
    "prelu": (X, C),
    "prelu_backward": (X, X, C),
    "relu6_backward": (X, X),
    "relu_backward": (X, X),
    "sigmoid_backward": (X, X),
    "silu_backward": (X, X),
    "softmax_backward": (ROWS, ROWS),
    "softplus_backward": (X, X),
    "tanh_backward": (X, X),
}
#: Statistics are float64, whatever x is of, and are taken as float32 too.
STATISTICS = {
    "batch_norm_backward": (3, 4),
    "group_norm_backward": (3, 4),
    "layer_norm_backward": (3, 4),
}
#: These have a single array of floats, or other arrays that are no floats.
ALONE = {
    *("dropout", "embedding", "embedding_backward", "rescale"),
    *("max_pool2d_argmax_backward", "max_pool2d_backward"),
}


def test_every_function_of_several_arrays_is_here():
    several = set()
    for name in functional.__all__:
        function = getattr(functional, name)
        if inspect.isfunction(function):
            arrays = {"x", "dy", "y", "weight", "bias", "mean", "kept", "indices", "argmax"}
            found = arrays & set(inspect.signature(function).parameters)
            if len(found) > 1:
                several.add(name)
    assert several - ALONE == set(CALLS)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", CALLS)
def test_one_array_of_another_dtype_is_refused(name, dtype):
    given = [a.astype(dtype) if isinstance(a, np.ndarray) else a for a in CALLS[name]]
    other = {"float32": "float64", "float64": "float32"}[dtype]
    function, names = (
        getattr(functional, name),
        list(inspect.signature(getattr(functional, name)).parameters),
    )
    function(*given)
    for place, array in enumerate(given):
        if not isinstance(array, np.ndarray):
            continue
        mixed = [*given[:place], array.astype(other), *given[place + 1 :]]
        if place in STATISTICS.get(name, ()):
            function(*mixed)
            continue
        with pytest.raises(ArgumentTypeError, match="must have the dtype of") as caught:
            function(*mixed)
        assert caught.value.operation == name and caught.value.parameter in names
