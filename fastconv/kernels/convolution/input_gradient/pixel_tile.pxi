# The tile of a strip of dy that lies by pixels, with a place for each pixel of dx (pixel_strips.pxi):
# a sum over filters, which lie side by side.
#
#     filters  0 .. 15 | 16 .. 31 | ...      Before every sixteen steps the tile asks for a few of
#              ^         ^                   the weights that come next.  A core has some sixteen
#              lines that come next          lines on their way: more at one time would wait.
#
# Ten pixels by two vectors are twenty sums, more than two units need, and leave registers for the
# places.  Weights stream from the L2.  Other targets have the tile of flat.pxi.

cdef extern from *:
    """
    enum { PIXEL_ASKS = TILE == 14,                 /* whether the tile below is used */
           PIXEL_TILE = PIXEL_ASKS ? 10 : FLAT_TILE,
           PIXEL_STEPS = 16 };                      /* from one prefetch to the next */
    """
    enum: PIXEL_ASKS
    enum: PIXEL_TILE                       # pixels of a tile, at the most
    enum: PIXEL_STEPS


cdef inline void pixel_tile(const int pixels, const real* x, const Py_ssize_t* places,
                            const real* w, Py_ssize_t filters, bint fresh, Coming* coming,
                            vreal* total) noexcept nogil:
    """Add a sum over filters, at least one, to total[pixels][NV]."""
    cdef vreal acc[TILE * NV]
    cdef vreal weights[NV]
    cdef vreal pixel
    cdef const real* from_[TILE]
    cdef Py_ssize_t at = 0, stop
    cdef int p, v
    for p in range(pixels):
        from_[p] = x + places[p]
    for p in range(pixels * NV):
        acc[p] = vzero()
    while True:
        ask_for(coming)
        stop = min(at + PIXEL_STEPS, filters)
        while True:
            for v in range(NV):
                weights[v] = vload(w + v * VL)
            for p in range(pixels):
                pixel = vset1(from_[p][at])
                for v in range(NV):
                    acc[p * NV + v] = vadd_product(acc[p * NV + v], pixel, weights[v])
            w = w + LANES
            at += 1
            if at == stop:
                break
        if at == filters:
            break
    if fresh:
        for p in range(pixels * NV):
            total[p] = vzero() + acc[p]
    else:
        for p in range(pixels * NV):
            total[p] = total[p] + acc[p]


ctypedef void (*pixel_tile_t)(const void*, const real* x, const Py_ssize_t* places, const real* w,
                              Py_ssize_t filters, bint fresh, Coming* coming,
                              vreal* total) noexcept nogil


cdef void pixel_tile_of(const width* _, const real* x, const Py_ssize_t* places, const real* w,
                        Py_ssize_t filters, bint fresh, Coming* coming,
                        vreal* total) noexcept nogil:
    if PIXEL_ASKS and sizeof(width) <= PIXEL_TILE:
        pixel_tile(<int> sizeof(width), x, places, w, filters, fresh, coming, total)


cdef pixel_tile_t pixel_tiles[11]
pixel_tiles[:] = [
    NULL, <pixel_tile_t> pixel_tile_of[n1], <pixel_tile_t> pixel_tile_of[n2],
    <pixel_tile_t> pixel_tile_of[n3], <pixel_tile_t> pixel_tile_of[n4],
    <pixel_tile_t> pixel_tile_of[n5], <pixel_tile_t> pixel_tile_of[n6],
    <pixel_tile_t> pixel_tile_of[n7], <pixel_tile_t> pixel_tile_of[n8],
    <pixel_tile_t> pixel_tile_of[n9], <pixel_tile_t> pixel_tile_of[n10],
]
