"""The convolution and the gradient of its input: direct, in the order of docs/design.md."""

include "vec.pxi"
include "axes.pxi"
include "engines.pxi"
include "slots.pxi"
include "tile.pxi"
include "slim_tile.pxi"
include "turning.pxi"
include "convolution.pxi"
include "edges.pxi"
include "rows.pxi"
include "sides.pxi"
include "planes.pxi"
include "lines.pxi"
include "strips.pxi"
include "flat.pxi"
include "depthwise.pxi"
include "depth_bands.pxi"
include "depth_columns.pxi"
include "input_gradient.pxi"
include "pixel_strips.pxi"
include "spread.pxi"
include "entry.pxi"
include "folded.pxi"

lanes = LANES
tile_pixels = TILE
vector_bytes = VL * sizeof(real)
