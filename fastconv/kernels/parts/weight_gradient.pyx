"""The gradient of the weights of a convolution."""

include "simd/vec.pxi"
include "tiles/axes.pxi"
include "tiles/padding.pxi"
include "simd/finite.pxi"
include "sums/long_sums.pxi"
include "sums/chunk.pxi"
include "tiles/places.pxi"
include "sums/stretches.pxi"
include "sums/rounds.pxi"
include "convolution/depthwise/sides.pxi"
include "tiles/turning.pxi"
include "convolution/weight_gradient/gradient.pxi"
include "convolution/weight_gradient/slab_gradient.pxi"

chunk = CHUNK
