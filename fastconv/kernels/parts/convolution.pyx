"""The convolution and the gradient of its input: direct, in the order of docs/design.md."""

include "simd/vec.pxi"
include "tiles/axes.pxi"
include "tiles/padding.pxi"
include "convolution/caches.pxi"
include "tiles/slots.pxi"
include "simd/finite.pxi"
include "tiles/places.pxi"
include "tiles/tile.pxi"
include "tiles/narrow_tile.pxi"
include "tiles/slim_tile.pxi"
include "tiles/channels_tile.pxi"
include "tiles/turning.pxi"
include "tiles/coming.pxi"
include "convolution/convolution.pxi"
include "convolution/forward/edges.pxi"
include "convolution/forward/rows.pxi"
include "convolution/depthwise/sides.pxi"
include "convolution/depthwise/planes.pxi"
include "convolution/forward/lines.pxi"
include "convolution/forward/strips.pxi"
include "convolution/forward/flat.pxi"
include "convolution/forward/point_strips.pxi"
include "convolution/forward/points.pxi"
include "convolution/depthwise/depthwise.pxi"
include "convolution/depthwise/depth_bands.pxi"
include "convolution/depthwise/depth_columns.pxi"
include "convolution/depthwise/quads.pxi"
include "convolution/depthwise/depth_quads.pxi"
include "convolution/input_gradient/input_gradient.pxi"
include "convolution/input_gradient/pixel_tile.pxi"
include "convolution/input_gradient/pixel_strips.pxi"
include "convolution/input_gradient/pixel_panels.pxi"
include "convolution/depthwise/spread.pxi"
include "convolution/engines.pxi"
include "convolution/entry.pxi"
include "convolution/input_gradient/folded.pxi"


def items_of_part(Py_ssize_t items, Py_ssize_t part, Py_ssize_t parts, int threads):
    """Return the first item of a part, and the item after its last."""
    return (part_start(items, part, parts, threads), part_start(items, part + 1, parts, threads))


lanes = LANES
tile_pixels = TILE
vector_bytes = VL * sizeof(real)
folded_taps = FOLD_TAPS
folded_width = FOLD_WIDTH
