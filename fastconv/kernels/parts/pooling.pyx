"""Maxima and averages of windows, and their gradients."""

include "simd/vec.pxi"
include "tiles/axes.pxi"
include "sums/long_sums.pxi"
include "convolution/depthwise/sides.pxi"
include "pooling/pooling.pxi"
