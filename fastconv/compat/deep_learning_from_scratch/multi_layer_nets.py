"""The book's networks of affine layers, of chapters 5 and 6."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from fastconv.arguments import as_bool, as_choice, as_int, as_list
from fastconv.compat.deep_learning_from_scratch.arrays import as_dtype, as_rate
from fastconv.compat.deep_learning_from_scratch.layers import Affine, Dropout, Relu, Sigmoid
from fastconv.compat.deep_learning_from_scratch.network import Network, gaussian
from fastconv.compat.deep_learning_from_scratch.normalization import BatchNormalization

__all__ = ["MultiLayerNet", "MultiLayerNetExtend", "TwoLayerNet"]

ACTIVATIONS: dict[str, Any] = {"relu": Relu, "sigmoid": Sigmoid}
#: The words for standard deviations, and what is divided by the number of inputs.
SCALES = {"relu": 2.0, "he": 2.0, "sigmoid": 1.0, "xavier": 1.0}


def _scale(operation: str, given: Any, inputs: int) -> float:
    """Return the standard deviation of the weights of a layer."""
    if isinstance(given, str):
        word = as_choice(operation, "weight_init_std", given.lower(), tuple(SCALES))
        return math.sqrt(SCALES[word] / inputs)
    return as_rate(operation, "weight_init_std", given)


class TwoLayerNet(Network):
    """affine - relu - affine - softmax; weights are normal times `weight_init_std`."""

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        output_size: int,
        weight_init_std: float = 0.01,
        dtype: Any = "float64",
    ):
        super().__init__()
        operation = "TwoLayerNet"
        input_size = as_int(operation, "input_size", input_size, 1)
        hidden_size = as_int(operation, "hidden_size", hidden_size, 1)
        output_size = as_int(operation, "output_size", output_size, 1)
        weight_init_std = as_rate(operation, "weight_init_std", weight_init_std)
        dtype = as_dtype(operation, dtype)
        w1 = gaussian(weight_init_std, input_size, hidden_size, dtype=dtype)
        w2 = gaussian(weight_init_std, hidden_size, output_size, dtype=dtype)
        self.layers["Affine1"] = Affine(w1, np.zeros(hidden_size, dtype))
        self.layers["Relu1"] = Relu()
        self.layers["Affine2"] = Affine(w2, np.zeros(output_size, dtype))
        self._number_params()

    @property
    def lastLayer(self) -> Any:  # noqa: N802
        """The book's name here for `last_layer`."""
        return self.last_layer


class MultiLayerNetExtend(Network):
    """Affine layers with an activation each, weight decay, dropout and batch normalisation.

    Parameters
    ----------
    input_size : int
    hidden_size_list : list of int
    output_size : int
    activation : "relu" or "sigmoid"
    weight_init_std : float, or "relu", "he", "sigmoid" or "xavier"
        Standard deviations: ``sqrt(2 / inputs)`` for the first two, ``sqrt(1 / inputs)`` for the
        others.
    weight_decay_lambda : float
        Half of it times the sum of the squares of all W is added to the loss.
    use_dropout, use_batchnorm : bool
    dropout_ration : float
        Spelt as in the book.
    dtype : "float64" or "float32"
    """

    def __init__(
        self,
        input_size: int,
        hidden_size_list: Any,
        output_size: int,
        activation: str = "relu",
        weight_init_std: Any = "relu",
        weight_decay_lambda: float = 0,
        use_dropout: bool = False,
        dropout_ration: float = 0.5,
        use_batchnorm: bool = False,
        dtype: Any = "float64",
    ):
        super().__init__()
        operation = type(self).__name__
        hidden = as_list(operation, "hidden_size_list", hidden_size_list, "must be a list of sizes")
        self.input_size = as_int(operation, "input_size", input_size, 1)
        self.output_size = as_int(operation, "output_size", output_size, 1)
        self.hidden_size_list = [as_int(operation, "hidden_size_list", n, 1) for n in hidden]
        self.hidden_layer_num = len(self.hidden_size_list)
        self.weight_decay_lambda = as_rate(operation, "weight_decay_lambda", weight_decay_lambda)
        self.use_dropout = as_bool(operation, "use_dropout", use_dropout)
        self.use_batchnorm = as_bool(operation, "use_batchnorm", use_batchnorm)
        dtype = as_dtype(operation, dtype)
        word = as_choice(operation, "activation", activation, tuple(ACTIVATIONS))
        inputs = self.input_size
        for at, units in enumerate([*self.hidden_size_list, self.output_size], 1):
            scale = _scale(operation, weight_init_std, inputs)
            weight = gaussian(scale, inputs, units, dtype=dtype)
            self.layers[f"Affine{at}"] = Affine(weight, np.zeros(units, dtype))
            inputs = units
            if at > self.hidden_layer_num:
                break
            if use_batchnorm:
                ones, zeros = np.ones(units, dtype), np.zeros(units, dtype)
                self.layers[f"BatchNorm{at}"] = BatchNormalization(ones, zeros)
            self.layers[f"Activation_function{at}"] = ACTIVATIONS[word]()
            if use_dropout:
                self.layers[f"Dropout{at}"] = Dropout(dropout_ration)
        self._number_params()


class MultiLayerNet(MultiLayerNetExtend):
    """Affine layers with an activation each, and weight decay; see `MultiLayerNetExtend`."""

    def __init__(
        self,
        input_size: int,
        hidden_size_list: Any,
        output_size: int,
        activation: str = "relu",
        weight_init_std: Any = "relu",
        weight_decay_lambda: float = 0,
        dtype: Any = "float64",
    ):
        super().__init__(
            input_size,
            hidden_size_list,
            output_size,
            activation,
            weight_init_std,
            weight_decay_lambda,
            dtype=dtype,
        )
