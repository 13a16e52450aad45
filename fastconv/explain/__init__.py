"""Convolution, pooling and im2col of small maps, every sum written out.

Each function returns an `Explanation`. It shows itself: printed, at the prompt, and in a notebook.
The results in it are those of fastconv's own functions, and every sum that is written out has been
added up again and compared with them.

>>> from fastconv import explain
>>> explain.conv2d([[1, 2], [3, 4]], [[1, -1]])
conv2d: x 2x2, weight 1x2, stride 1, padding 0 -> 2x1
<BLANKLINE>
x
1 2
3 4
<BLANKLINE>
weight
1 -1
<BLANKLINE>
y[0,0] = 1x1+2x(-1) = -1
y[1,0] = 3x1+4x(-1) = -1
<BLANKLINE>
y
-1
-1
"""

from fastconv.explain.convolution import conv2d
from fastconv.explain.explanation import Explanation
from fastconv.explain.pooling import pool2d
from fastconv.explain.unfolding import im2col

__all__ = ["Explanation", "conv2d", "im2col", "pool2d"]
