"""One pass over arrays: activations, functions, optimizers, sums and normalisation."""

include "simd/vec.pxi"
include "tiles/axes.pxi"
include "sums/long_sums.pxi"
include "elementwise/elementwise.pxi"
include "elementwise/functions.pxi"
include "elementwise/activations.pxi"
include "elementwise/softmax.pxi"
include "elementwise/channels.pxi"
include "elementwise/embedding.pxi"
include "sums/bias_gradient.pxi"
include "normalize/batch_norm.pxi"
include "normalize/local_response.pxi"
include "normalize/groups.pxi"
include "normalize/group_gradients.pxi"
include "normalize/channels.pxi"

local_channels = LOCAL_CHANNELS
norm_samples = SAMPLES
norm_positions = POSITIONS
