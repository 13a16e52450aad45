# The tile of 1x1 kernels whose weights come from memory, and of Winograd's products.  There the
# first tile of a panel would wait for it.  Here every tile asks for its share of the panel that
# comes next.  Those of Winograd ask for their own pixels of the next line of channels too.

cdef extern from *:
    """
    enum { ASKS_AHEAD = TILE >= 12,  /* targets of 16 registers have strips for such kernels */
           PRODUCTS_ASK = ASKS_AHEAD || VL * sizeof(real) == 32 };
    """
    enum: ASKS_AHEAD                       # whether tiles of 1x1 kernels do
    enum: PRODUCTS_ASK                     # whether those of Winograd's products do

cdef struct Ahead:
    const real* next           # weights to prefetch during the first channel
    Py_ssize_t move            # and how much further with every channel


cdef inline void channels_tile(const int pixels, const real* x, Py_ssize_t step, const real* w,
                               const Nest* nest, const Ahead* ahead, vreal* total) noexcept nogil:
    """As `tile` for one panel where n2 is 1; the weights of all channels follow each other."""
    cdef vreal acc[TILE * NV]
    cdef vreal weights[NV]
    cdef vreal pixel
    cdef const real* next_ = ahead.next
    cdef const real* pixels_ahead
    cdef Pixels at
    cdef Py_ssize_t i1 = 0, i3
    cdef int p, v
    space_pixels(&at, step)
    for p in range(pixels * NV):
        acc[p] = vzero()
    while True:
        nest = <const Nest*> vanew(nest)
        i3 = nest.n3
        pixels_ahead = vbeyond(x, nest.x1)  # a line for each pixel
        begin_pixels(pixels, x, &at)
        while True:
            vprefetch(pixels_ahead)
            pixels_ahead = pixels_ahead + step
            vprefetch(next_)
            next_ = next_ + ahead.move
            for v in range(NV):
                weights[v] = vload(w + v * VL)
            for p in range(pixels):
                pixel = pixel_at(p, &at)
                for v in range(NV):
                    acc[p * NV + v] = vadd_product(acc[p * NV + v], pixel, weights[v])
            move_pixels(pixels, nest.x3, &at)
            w = w + LANES
            i3 -= 1
            if i3 == 0:
                break
        x = vbeyond(x, nest.x1)
        i1 += 1
        if i1 == nest.n1:
            break
    if nest.fresh:
        for p in range(pixels * NV):
            total[p] = vzero() + acc[p]
    else:
        for p in range(pixels * NV):
            total[p] = total[p] + acc[p]


ctypedef void (*channels_t)(const void*, const real* x, Py_ssize_t step, const real* w,
                            const Nest* nest, const Ahead* ahead, vreal* total) noexcept nogil


cdef void channels_tile_of(const width* _, const real* x, Py_ssize_t step, const real* w,
                           const Nest* nest, const Ahead* ahead, vreal* total) noexcept nogil:
    if PRODUCTS_ASK and sizeof(width) <= TILE:
        channels_tile(<int> sizeof(width), x, step, w, nest, ahead, total)


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
