# The tile for a last panel that has at most one vector of channels: a second vector would only
# multiply zeros.

cdef void slim_tile_of(const slim_width* _, const real* x, Py_ssize_t step, const real* w,
                       Py_ssize_t w3, Py_ssize_t panel, Py_ssize_t gap, const Nest* nest,
                       vreal* total) noexcept nogil:
    if sizeof(slim_width) <= SLIM:
        tile(<int> sizeof(slim_width), 1, x, step, w, LANES, 0, VL, nest, total)


cdef tile_t slim_tiles[17]
slim_tiles[:] = [
    NULL, <tile_t> slim_tile_of[n1], <tile_t> slim_tile_of[n2], <tile_t> slim_tile_of[n3],
    <tile_t> slim_tile_of[n4], <tile_t> slim_tile_of[n5], <tile_t> slim_tile_of[n6],
    <tile_t> slim_tile_of[n7], <tile_t> slim_tile_of[n8], <tile_t> slim_tile_of[n9],
    <tile_t> slim_tile_of[n10], <tile_t> slim_tile_of[n11], <tile_t> slim_tile_of[n12],
    <tile_t> slim_tile_of[n13], <tile_t> slim_tile_of[n14], <tile_t> slim_tile_of[n15],
    <tile_t> slim_tile_of[n16],
]


cdef inline void slim_tile(int pixels, const real* x, Py_ssize_t step, const real* w,
                           const Nest* nest, vreal* total) noexcept nogil:
    """A tile of up to SLIM pixels by the first vector of a panel."""
    slim_tiles[pixels](NULL, x, step, w, LANES, 0, VL, nest, total)
