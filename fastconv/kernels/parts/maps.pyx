"""What is done to maps element by element: up-sampling, and the bias of a channel."""

include "simd/vec.pxi"
include "simd/runs.pxi"
include "maps/resampling.pxi"
include "maps/channel_bias.pxi"
include "maps/zeros.pxi"

most_scale = MOST_SCALE
