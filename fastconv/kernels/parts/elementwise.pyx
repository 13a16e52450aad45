"""One pass over arrays: activations, functions, optimizers, sums and batch normalisation."""

include "vec.pxi"
include "axes.pxi"
include "elementwise.pxi"
include "functions.pxi"
include "softmax.pxi"
include "normalize.pxi"
include "sums.pxi"
