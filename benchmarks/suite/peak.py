"""Peak resident memory of the whole process, as the operating system counts it.

It counts what no library counts of itself, but includes the interpreter, NumPy and `setup`:
some 40 MB, and differences below tens of MB drown in it.  So each benchmark has an empty twin,
`peakmem_reference`, to be subtracted, and the case is a large one.  For exact bytes see
memory.py.
"""

from __future__ import annotations

from . import needs
from .shapes import ALGORITHMS, LAYERS, normal


class Convolution:
    """VGG's second layer: 115.6 MB unfolded, the input and the output 12.8 MB each."""

    version = "1"
    params = [ALGORITHMS]
    param_names = ["algorithm"]
    case = LAYERS["vgg1.2"]

    def setup(self, algorithm: str) -> None:
        self.fastconv = needs("conv2d", "conv2d_costs")
        shapes = self.case.x_shape, self.case.weight_shape
        if algorithm not in self.fastconv.conv2d_costs(*shapes, **self.case.options):
            raise NotImplementedError(f"no algorithm {algorithm} on this commit")
        self.x = normal(self.case.x_shape)
        self.weight = normal(self.case.weight_shape, 1)

    def peakmem_reference(self, algorithm: str) -> None:
        """Nothing but `setup`."""

    def peakmem_forward(self, algorithm: str) -> None:
        self.fastconv.conv2d(self.x, self.weight, algorithm=algorithm, **self.case.options)
