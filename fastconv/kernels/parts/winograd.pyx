"""Minimal filtering: the forward pass and both gradients, and the weights that they take."""

include "simd/vec.pxi"
include "tiles/axes.pxi"
include "tiles/slots.pxi"
include "sums/long_sums.pxi"
include "sums/chunk.pxi"
include "tiles/tile.pxi"
include "tiles/slim_tile.pxi"
include "tiles/channels_tile.pxi"
include "sums/stretches.pxi"
include "sums/rounds.pxi"
include "tiles/turning.pxi"
include "winograd/winograd.pxi"
include "winograd/winograd_weights.pxi"
include "winograd/winograd_lanes.pxi"
include "winograd/winograd_gradient.pxi"

winograd_sum = WINOGRAD_SUM
