"""Maxima and averages of windows, and their gradients."""

include "vec.pxi"
include "axes.pxi"
include "long_sums.pxi"
include "sides.pxi"
include "pooling.pxi"
