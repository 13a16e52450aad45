# The tile of 1x1 kernels and of Winograd's products whose weights come from memory.  There the
# first tile of a panel would wait for it.  Here every tile asks for its share of the panel that
# comes next.  The sum is that of `tile`, over one loop of channels.

cdef extern from *:
    """
    enum { ASKS_AHEAD = TILE >= 12 };  /* targets of 16 registers have strips for such kernels */
    """
    enum: ASKS_AHEAD

cdef struct Ahead:
    const real* next           # weights to prefetch during the first channel
    Py_ssize_t move            # and how much further with every channel
    Py_ssize_t channel, step   # from one channel, and from one pixel, of x to the next


cdef inline void channels_tile(const int pixels, const real* x, const real* w, Py_ssize_t count,
                               bint fresh, const Ahead* ahead, vreal* total) noexcept nogil:
    """Add `count` channels, at least one, to total[pixels][NV]."""
    cdef vreal acc[TILE * NV]
    cdef vreal weights[NV]
    cdef vreal pixel
    cdef const real* next_ = ahead.next
    cdef Py_ssize_t step = ahead.step
    cdef Py_ssize_t i = 0
    cdef int p, v
    for p in range(pixels * NV):
        acc[p] = vzero()
    while True:
        vprefetch(next_)
        next_ = next_ + ahead.move
        for v in range(NV):
            weights[v] = vload(w + v * VL)
        for p in range(pixels):
            pixel = vset1(x[p * step])
            for v in range(NV):
                acc[p * NV + v] = vadd_product(acc[p * NV + v], pixel, weights[v])
        x = x + ahead.channel
        w = w + LANES
        i += 1
        if i == count:
            break
    if fresh:
        for p in range(pixels * NV):
            total[p] = vzero() + acc[p]
    else:
        for p in range(pixels * NV):
            total[p] = total[p] + acc[p]


ctypedef void (*channels_t)(const void*, const real* x, const real* w, Py_ssize_t count, bint fresh,
                            const Ahead* ahead, vreal* total) noexcept nogil


cdef void channels_tile_of(const width* _, const real* x, const real* w, Py_ssize_t count,
                           bint fresh, const Ahead* ahead, vreal* total) noexcept nogil:
    if ASKS_AHEAD and sizeof(width) <= TILE:
        channels_tile(<int> sizeof(width), x, w, count, fresh, ahead, total)


cdef channels_t channels_tiles[15]
channels_tiles[:] = [
    NULL, <channels_t> channels_tile_of[n1], <channels_t> channels_tile_of[n2],
    <channels_t> channels_tile_of[n3], <channels_t> channels_tile_of[n4],
    <channels_t> channels_tile_of[n5], <channels_t> channels_tile_of[n6],
    <channels_t> channels_tile_of[n7], <channels_t> channels_tile_of[n8],
    <channels_t> channels_tile_of[n9], <channels_t> channels_tile_of[n10],
    <channels_t> channels_tile_of[n11], <channels_t> channels_tile_of[n12],
    <channels_t> channels_tile_of[n13], <channels_t> channels_tile_of[n14],
]
