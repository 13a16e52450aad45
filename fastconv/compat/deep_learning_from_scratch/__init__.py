"""The names of "Deep Learning from Scratch" (Saito 2016), computed by fastconv.

Change the imports of the book's programs of chapters 5 to 8, and they run many times faster::

    from fastconv.compat.deep_learning_from_scratch import SimpleConvNet, Trainer, load_mnist

in place of ``from simple_convnet import SimpleConvNet``, ``from common.trainer import Trainer`` and
``from dataset.mnist import load_mnist``. What ``common.layers``, ``common.functions``,
``common.util``, ``common.gradient`` and ``common.optimizer`` have is here too, under one name.
After the same ``np.random.seed``, weights, batches, losses and accuracies are the book's, but for
rounding.

Networks compute in float64, as in the book. With ``dtype="float32"``, the last argument of each,
they take half of the memory and are faster still.

What is different from the book, on purpose:

- `Pooling` with ``pad`` works. Padding never wins, and the output's size counts it.
- `Relu` leaves the gradient that it is given as it is, and ``mask`` cannot be set.
- `Convolution` and `Pooling` keep their input for ``backward``, and not the columns of the batch.
  There is no ``col`` and no ``col_W``.
- `im2col` keeps float32. Integers become float64.
- ``accuracy`` counts all rows, those of the last partial batch too.
- `BatchNormalization` of images has one gamma for each channel if it is given so many; with one for
  each activation it is the book's.
- `SoftmaxWithLoss.backward` multiplies by what it is given; the book's ignores it.
- What is computed with weights has their dtype, whatever images have.
- `Trainer` says how accurate a network is at the first step of each epoch, also where batches do
  not divide the rows.
- ``load_params`` reads a pickle without unpickling it: it takes a dict of arrays and nothing else,
  and checks their shapes. ``params`` and the layers keep their arrays, with new numbers.
- `load_mnist` reads the files of a ``folder``, and downloads nothing.
- The sizes of a network follow from ``input_dim``, and they are integers.
"""

from fastconv.compat.deep_learning_from_scratch.conv_nets import DeepConvNet, SimpleConvNet
from fastconv.compat.deep_learning_from_scratch.functions import (
    cross_entropy_error,
    identity_function,
    mean_squared_error,
    numerical_gradient,
    relu,
    relu_grad,
    sigmoid,
    sigmoid_grad,
    softmax,
    softmax_loss,
    step_function,
    sum_squared_error,
)
from fastconv.compat.deep_learning_from_scratch.images import Convolution, Pooling
from fastconv.compat.deep_learning_from_scratch.layers import (
    Affine,
    Dropout,
    Relu,
    Sigmoid,
    SoftmaxWithLoss,
)
from fastconv.compat.deep_learning_from_scratch.mnist import load_mnist
from fastconv.compat.deep_learning_from_scratch.multi_layer_nets import (
    MultiLayerNet,
    MultiLayerNetExtend,
    TwoLayerNet,
)
from fastconv.compat.deep_learning_from_scratch.normalization import BatchNormalization
from fastconv.compat.deep_learning_from_scratch.optimizers import (
    SGD,
    AdaGrad,
    Adam,
    Momentum,
    Nesterov,
    RMSprop,
)
from fastconv.compat.deep_learning_from_scratch.trainer import Trainer
from fastconv.compat.deep_learning_from_scratch.util import (
    col2im,
    conv_output_size,
    im2col,
    shuffle_dataset,
    smooth_curve,
)

__all__ = [
    "SGD",
    "AdaGrad",
    "Adam",
    "Affine",
    "BatchNormalization",
    "Convolution",
    "DeepConvNet",
    "Dropout",
    "Momentum",
    "MultiLayerNet",
    "MultiLayerNetExtend",
    "Nesterov",
    "Pooling",
    "RMSprop",
    "Relu",
    "Sigmoid",
    "SimpleConvNet",
    "SoftmaxWithLoss",
    "Trainer",
    "TwoLayerNet",
    "col2im",
    "conv_output_size",
    "cross_entropy_error",
    "identity_function",
    "im2col",
    "load_mnist",
    "mean_squared_error",
    "numerical_gradient",
    "relu",
    "relu_grad",
    "shuffle_dataset",
    "sigmoid",
    "sigmoid_grad",
    "smooth_curve",
    "softmax",
    "softmax_loss",
    "step_function",
    "sum_squared_error",
]
