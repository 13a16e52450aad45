# The tile of 1x1 kernels whose weights come from memory, and of Winograd's products.  There the
# first tile of a panel would wait for it.  Here every tile asks for its share of the panel that
# comes next.  Those of Winograd ask for their own pixels of the next line of channels too.

cdef extern from *:
    """
    enum { ASKS_AHEAD = TILE >= 12,  /* targets of 16 registers have strips for such kernels */
           PRODUCTS_ASK = ASKS_AHEAD || VL * sizeof(real) == 32,
           CHANNEL_PAIRS = !ASKS_AHEAD };
    """
    enum: ASKS_AHEAD                       # whether tiles of 1x1 kernels do
    enum: PRODUCTS_ASK                     # whether those of Winograd's products do
    enum: CHANNEL_PAIRS                    # whether channels go in pairs: the loop itself costs
                                           # time beside the few products of a tile of six pixels

cdef struct Ahead:
    const real* next           # weights to prefetch during the first channel
    Py_ssize_t move            # and how much further with every channel


cdef struct ChannelPlaces:
    # where a tile is, and what it asks for
    Pixels pixels
    const real* weights
    const real* pixels_ahead               # a line for each pixel
    const real* next                       # weights


cdef inline void add_channel(const int pixels, Py_ssize_t step, const Nest* nest,
                             const Ahead* ahead, ChannelPlaces* at, vreal* acc) noexcept nogil:
    """Add a channel to the sums, ask for a line of what comes next, and move on."""
    cdef vreal weights[NV]
    cdef vreal pixel
    cdef int p, v
    vprefetch(at.pixels_ahead)
    at.pixels_ahead = at.pixels_ahead + step
    vprefetch(at.next)
    at.next = at.next + ahead.move
    for v in range(NV):
        weights[v] = vload(at.weights + v * VL)
    for p in range(pixels):
        pixel = pixel_at(p, &at.pixels)
        for v in range(NV):
            acc[p * NV + v] = vadd_product(acc[p * NV + v], pixel, weights[v])
    move_pixels(pixels, nest.x3, &at.pixels)
    at.weights = at.weights + LANES


cdef inline void channels_tile(const int pixels, const real* x, Py_ssize_t step, const real* w,
                               const Nest* nest, const Ahead* ahead, vreal* total) noexcept nogil:
    """As `tile` for one panel where n2 is 1; the weights of all channels follow each other."""
    cdef vreal acc[TILE * NV]
    cdef ChannelPlaces at
    cdef Py_ssize_t i1 = 0, i3
    cdef int p
    at.weights, at.next = w, ahead.next
    space_pixels(&at.pixels, step)
    for p in range(pixels * NV):
        acc[p] = vzero()
    while True:
        nest = <const Nest*> vanew(nest)
        i3 = nest.n3
        at.pixels_ahead = vbeyond(x, nest.x1)
        begin_pixels(pixels, x, &at.pixels)
        if CHANNEL_PAIRS and i3 % 2 == 1:
            add_channel(pixels, step, nest, ahead, &at, acc)
            i3 -= 1
        while i3 > 0:
            add_channel(pixels, step, nest, ahead, &at, acc)
            if CHANNEL_PAIRS:
                add_channel(pixels, step, nest, ahead, &at, acc)
                i3 -= 1
            i3 -= 1
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
