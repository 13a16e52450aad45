"""The book's convolutional networks of chapters 7 and 8."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from fastconv.arguments import as_int, as_shape
from fastconv.compat.deep_learning_from_scratch.arrays import as_dtype, as_rate
from fastconv.compat.deep_learning_from_scratch.images import Convolution, Pooling
from fastconv.compat.deep_learning_from_scratch.layers import Affine, Dropout, Relu
from fastconv.compat.deep_learning_from_scratch.network import Network, gaussian
from fastconv.compat.deep_learning_from_scratch.util import conv_output_size
from fastconv.errors import ArgumentError

__all__ = ["DeepConvNet", "SimpleConvNet"]


def _filters(operation: str, parameter: str, given: Mapping[str, int]) -> tuple[int, ...]:
    """Return number, size, pad and stride of filters."""
    names = ("filter_num", "filter_size", "pad", "stride")
    if not isinstance(given, Mapping) or set(given) != set(names):
        rule = f"must be a dict of {', '.join(names)}"
        raise ArgumentError(operation, parameter, rule, given)
    least = {"pad": 0}
    found = (as_int(operation, f"{parameter}[{n!r}]", given[n], least.get(n, 1)) for n in names)
    return tuple(found)


def _conv(number: int, size: int, pad: int = 0, stride: int = 1) -> dict[str, int]:
    return {"filter_num": number, "filter_size": size, "pad": pad, "stride": stride}


class SimpleConvNet(Network):
    """conv - relu - pool - affine - relu - affine - softmax.

    Parameters
    ----------
    input_dim : (C, H, W)
    conv_param : dict of filter_num, filter_size, pad and stride
    hidden_size, output_size : int
    weight_init_std : float
        The standard deviation of the weights; ``np.random.seed`` fixes them.
    dtype : "float64" or "float32"
        Of parameters and results. The book has float64; float32 is faster.

    Examples
    --------
    >>> net = SimpleConvNet()
    >>> sum(value.size for value in net.params.values())
    433890
    """

    def __init__(
        self,
        input_dim: Any = (1, 28, 28),
        conv_param: Any = None,
        hidden_size: int = 100,
        output_size: int = 10,
        weight_init_std: float = 0.01,
        dtype: Any = "float64",
    ):
        super().__init__()
        operation = "SimpleConvNet"
        c, h, w = self._example = as_shape(operation, "input_dim", input_dim, "CHW")
        given = _conv(30, 5) if conv_param is None else conv_param
        number, size, pad, stride = _filters(operation, "conv_param", given)
        dtype = as_dtype(operation, dtype)
        weight_init_std = as_rate(operation, "weight_init_std", weight_init_std)
        hidden_size = as_int(operation, "hidden_size", hidden_size, 1)
        output_size = as_int(operation, "output_size", output_size, 1)
        rows, columns = (conv_output_size(n, size, stride, pad) // 2 for n in (h, w))
        w1 = gaussian(weight_init_std, number, c, size, size, dtype=dtype)
        w2 = gaussian(weight_init_std, number * rows * columns, hidden_size, dtype=dtype)
        w3 = gaussian(weight_init_std, hidden_size, output_size, dtype=dtype)
        self.layers["Conv1"] = Convolution(w1, np.zeros(number, dtype), stride, pad)
        self.layers["Relu1"] = Relu()
        self.layers["Pool1"] = Pooling(pool_h=2, pool_w=2, stride=2)
        self.layers["Affine1"] = Affine(w2, np.zeros(hidden_size, dtype))
        self.layers["Relu2"] = Relu()
        self.layers["Affine2"] = Affine(w3, np.zeros(output_size, dtype))
        self._number_params()


class DeepConvNet(Network):
    """Three times conv - relu - conv - relu - pool, then affine - relu - dropout, and the scores.

    Parameters
    ----------
    input_dim : (C, H, W)
    conv_param_1 to conv_param_6 : dict of filter_num, filter_size, pad and stride
    hidden_size, output_size : int
    dtype : "float64" or "float32"

    Notes
    -----
    Weights are normal with a standard deviation of ``sqrt(2 / inputs)`` (He et al. 2015). The
    book's dropout behind the scores is here too.

    Examples
    --------
    >>> net = DeepConvNet()
    >>> sum(value.size for value in net.params.values())
    123552
    """

    def __init__(
        self,
        input_dim: Any = (1, 28, 28),
        conv_param_1: Any = None,
        conv_param_2: Any = None,
        conv_param_3: Any = None,
        conv_param_4: Any = None,
        conv_param_5: Any = None,
        conv_param_6: Any = None,
        hidden_size: int = 50,
        output_size: int = 10,
        dtype: Any = "float64",
    ):
        super().__init__()
        operation = "DeepConvNet"
        c, h, w = self._example = as_shape(operation, "input_dim", input_dim, "CHW")
        given = (conv_param_1, conv_param_2, conv_param_3, conv_param_4, conv_param_5, conv_param_6)
        self.layers = []
        dtype = as_dtype(operation, dtype)
        hidden_size = as_int(operation, "hidden_size", hidden_size, 1)
        output_size = as_int(operation, "output_size", output_size, 1)
        for at, (own, usual) in enumerate(zip(given, USUAL, strict=True), 1):
            number, size, pad, stride = _filters(
                operation, f"conv_param_{at}", usual if own is None else own
            )
            weight = gaussian((2.0 / (c * size**2)) ** 0.5, number, c, size, size, dtype=dtype)
            self.layers += [Convolution(weight, np.zeros(number, dtype), stride, pad), Relu()]
            c, h, w = number, *(conv_output_size(n, size, stride, pad) for n in (h, w))
            if at % 2 == 0:
                self.layers.append(Pooling(pool_h=2, pool_w=2, stride=2))
                h, w = conv_output_size(h, 2, 2), conv_output_size(w, 2, 2)
        pixels = c * h * w
        hidden = gaussian((2.0 / pixels) ** 0.5, pixels, hidden_size, dtype=dtype)
        scores = gaussian((2.0 / hidden_size) ** 0.5, hidden_size, output_size, dtype=dtype)
        self.layers += [Affine(hidden, np.zeros(hidden_size, dtype)), Relu(), Dropout(0.5)]
        self.layers += [Affine(scores, np.zeros(output_size, dtype)), Dropout(0.5)]
        self._number_params()

    def loss(self, x: Any, t: Any, train_flg: bool = True) -> float:
        """Return the loss of a batch, with dropout, as in the book."""
        return super().loss(x, t, train_flg)


#: The settings of the six convolutions.
USUAL = (
    _conv(16, 3, 1),
    _conv(16, 3, 1),
    _conv(32, 3, 1),
    _conv(32, 3, 2),
    _conv(64, 3, 1),
    _conv(64, 3, 1),
)
