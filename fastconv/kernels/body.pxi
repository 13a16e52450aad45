# The functions of one compiled module, for one instruction set and one dtype.
#
# They check nothing: sizes, dtypes and contiguity are the caller's (fastconv/functional).
# Each does the share [part / parts, (part + 1) / parts) of its items, on up to `threads`
# threads, and gives the same bits for every way to share.

include "vec.pxi"
include "axes.pxi"
include "tile.pxi"
include "slim_tile.pxi"
include "convolution.pxi"
include "edges.pxi"
include "rows.pxi"
include "planes.pxi"
include "lines.pxi"
include "strips.pxi"
include "flat.pxi"
include "winograd.pxi"
include "sides.pxi"
include "depthwise.pxi"
include "depth_bands.pxi"
include "input_gradient.pxi"
include "spread.pxi"
include "entry.pxi"
include "folded.pxi"
include "packing.pxi"
include "gradient.pxi"
include "slab_gradient.pxi"
include "winograd_weights.pxi"
include "winograd_lanes.pxi"
include "winograd_gradient.pxi"
include "dense.pxi"
include "sums.pxi"
include "pooling.pxi"
include "unfold.pxi"
include "elementwise.pxi"
include "normalize.pxi"

lanes = LANES
tile_pixels = TILE
vector_bytes = VL * sizeof(real)
