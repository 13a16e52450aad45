# The tile for maps that are a few pixels wide: half as many pixels by two panels.

cdef void narrow_tile_of(const narrow_width* _, const real* x, Py_ssize_t step, const real* w,
                         Py_ssize_t w3, Py_ssize_t panel, Py_ssize_t gap, const Nest* nest,
                         vreal* total) noexcept nogil:
    if sizeof(narrow_width) <= NARROW:
        tile(<int> sizeof(narrow_width), 2 * NV, x, step, w, LANES, panel, VL, nest, total)


cdef tile_t narrow_tiles[8]
narrow_tiles[:] = [
    NULL, <tile_t> narrow_tile_of[n1], <tile_t> narrow_tile_of[n2], <tile_t> narrow_tile_of[n3],
    <tile_t> narrow_tile_of[n4], <tile_t> narrow_tile_of[n5], <tile_t> narrow_tile_of[n6],
    <tile_t> narrow_tile_of[n7],
]


cdef inline void narrow_tile(int pixels, const real* x, Py_ssize_t step, const real* w,
                             Py_ssize_t panel, const Nest* nest, vreal* total) noexcept nogil:
    """A tile of up to NARROW pixels by two panels."""
    narrow_tiles[pixels](NULL, x, step, w, LANES, panel, VL, nest, total)
