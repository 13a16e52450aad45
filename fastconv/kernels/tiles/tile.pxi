# The register tile.  Every sum of products that has output channels to put in lanes runs
# through it: convolution, its gradients, and the matrix product.
#
#             lanes: output channels                 TILE x NV accumulators stay in
#           +-----------+-----------+                registers for a whole block of
#   pixel 0 | acc[0][0] | acc[0][1] |                the sum; each step loads NV
#   pixel 1 | acc[1][0] | acc[1][1] |   += x * w     vectors of weights and broadcasts
#      ...  |           |           |                TILE pixels, which lie a constant
#  TILE - 1 |           |           |                `step` apart, straight from x.
#           +-----------+-----------+
#
# A step walks a nest of three loops.  In the forward pass they are channel, kernel row and
# kernel column; in the gradient of the weights the pixels of a chunk.

cdef extern from *:
    """
    enum { CACHE_LINE = 64 / sizeof(real), PLANES_AHEAD = 2 };
    """
    enum: CACHE_LINE                       # numbers of one
    enum: PLANES_AHEAD                     # how many channels ahead lines are prefetched

cdef struct Nest:
    Py_ssize_t n1, n2, n3      # iterations, outermost first
    # how far the pixels and the weights move, in bytes: an instruction that multiplies by the size
    # of a number waits for a unit of the multiply-adds, one that adds does not
    Py_ssize_t x1, x2, x3
    Py_ssize_t w1, w2          # the innermost loop's is w3 of `tile`
    bint fresh                 # whether this block begins the total
    bint resume, ends          # in rows: whether it goes on with a sum that waits, and ends it


cdef inline void set_moves(Nest* nest, Py_ssize_t x1, Py_ssize_t x2, Py_ssize_t x3,
                           Py_ssize_t w1, Py_ssize_t w2) noexcept nogil:
    """Say how far pixels and weights move with each iteration: so many numbers."""
    cdef Py_ssize_t size = sizeof(real)
    nest.x1, nest.x2, nest.x3 = x1 * size, x2 * size, x3 * size
    nest.w1, nest.w2 = w1 * size, w2 * size


cdef inline void tile(const int pixels, const int vectors, const real* x, Py_ssize_t step,
                      const real* w, Py_ssize_t w3, Py_ssize_t panel, Py_ssize_t gap,
                      const Nest* nest, vreal* total) noexcept nogil:
    """Add a block of products to total[pixels][vectors].

    The innermost loop moves the weights by w3.  The two vectors of a pair are `gap` numbers apart,
    and pairs are `panel` apart.

    Each of the three loops has at least one iteration.  So GCC knows that the sums are written,
    and keeps them in registers from the first to the last; else they would go through memory.

    A fresh total is 0 + the block, not the block itself.  A sum that underflows may be -0.  im2col
    adds zeros for the padding, which makes it +0, and both must give the same bits.
    """
    cdef vreal acc[TILE * NV]
    cdef vreal weights[2 * NV]
    cdef vreal pixel
    cdef Pixels at
    cdef const real* x_row
    cdef const real* w_row
    cdef const real* wp
    cdef Py_ssize_t i1, i2, i3
    cdef int p, v
    space_pixels(&at, step)
    for p in range(pixels * vectors):
        acc[p] = vzero()
    i1 = 0
    while True:
        x_row, w_row = x, w
        i2 = 0
        while True:
            nest = <const Nest*> vanew(nest)
            begin_pixels(pixels, x_row, &at)
            wp = w_row
            i3 = nest.n3
            while True:
                for v in range(vectors):
                    weights[v] = vload(wp + (v // NV) * panel + (v % NV) * gap)
                for p in range(pixels):
                    pixel = pixel_at(p, &at)
                    for v in range(vectors):
                        acc[p * vectors + v] = vadd_product(acc[p * vectors + v], pixel, weights[v])
                move_pixels(pixels, nest.x3, &at)
                wp = wp + w3
                i3 -= 1
                if i3 == 0:
                    break
            x_row, w_row = vbeyond(x_row, nest.x2), vbeyond(w_row, nest.w2)
            i2 += 1
            if i2 == nest.n2:
                break
        x, w = vbeyond(x, nest.x1), vbeyond(w, nest.w1)
        i1 += 1
        if i1 == nest.n1:
            break
    if nest.fresh:
        for p in range(pixels * vectors):
            total[p] = vzero() + acc[p]
    else:
        for p in range(pixels * vectors):
            total[p] = total[p] + acc[p]


ctypedef void (*tile_t)(const void*, const real* x, Py_ssize_t step, const real* w,
                        Py_ssize_t w3, Py_ssize_t panel, Py_ssize_t gap, const Nest* nest,
                        vreal* total) noexcept nogil


cdef void wide_tile_of(const width* _, const real* x, Py_ssize_t step, const real* w,
                       Py_ssize_t w3, Py_ssize_t panel, Py_ssize_t gap, const Nest* nest,
                       vreal* total) noexcept nogil:
    if sizeof(width) <= TILE:
        tile(<int> sizeof(width), NV, x, step, w, LANES, 0, VL, nest, total)


cdef tile_t wide_tiles[15]
wide_tiles[:] = [
    NULL, <tile_t> wide_tile_of[n1], <tile_t> wide_tile_of[n2], <tile_t> wide_tile_of[n3],
    <tile_t> wide_tile_of[n4], <tile_t> wide_tile_of[n5], <tile_t> wide_tile_of[n6],
    <tile_t> wide_tile_of[n7], <tile_t> wide_tile_of[n8], <tile_t> wide_tile_of[n9],
    <tile_t> wide_tile_of[n10], <tile_t> wide_tile_of[n11], <tile_t> wide_tile_of[n12],
    <tile_t> wide_tile_of[n13], <tile_t> wide_tile_of[n14],
]


cdef inline void wide_tile(int pixels, const real* x, Py_ssize_t step, const real* w,
                           const Nest* nest, vreal* total) noexcept nogil:
    """A tile of up to TILE pixels by one panel."""
    wide_tiles[pixels](NULL, x, step, w, LANES, 0, VL, nest, total)


cdef struct Destination:
    real* y                    # of pixel 0, channel 0 of the panel
    Py_ssize_t channel         # from one output channel to the next
    Py_ssize_t pixel           # from one pixel of the tile to the next
    const real* bias           # of channel 0 of the panel, or NULL
    bint relu
    bint adds                  # whether results are added to what y holds, before ReLU


cdef inline void prefetch_tile(const Destination* to, Py_ssize_t channels, int first,
                               int pixels) noexcept nogil:
    """Prefetch the lines that the tile will write: they arrive while its sum is computed.

    In NCHW every channel of a tile is in a line of its own, often at the same place in its
    page, so no hardware prefetcher foresees them.
    """
    cdef Py_ssize_t k
    if to.channel != 1 and to.pixel == 1:
        for k in range(channels):
            if first == 0 or pixels > CACHE_LINE:  # else the tile before has asked for that line
                vprefetch_write(to.y + k * to.channel + first)
            vprefetch_write(to.y + k * to.channel + first + pixels - 1)


cdef inline vreal finish(const Destination* to, vreal total, vreal bias) noexcept nogil:
    """A result, or what is to be added.  A total is never -0, so adding a bias of 0 gives the same
    as having no bias."""
    return vrelu(total + bias) if to.relu and not to.adds else total + bias


cdef inline vreal onto(const Destination* to, vreal held, vreal value) noexcept nogil:
    """A result that is added to what y held."""
    return vrelu(held + value) if to.relu else held + value


cdef inline void store_vectors(const Destination* to, const vreal* total, int pixels,
                               int vectors, Py_ssize_t channels) noexcept nogil:
    """Finish the first vector of each pixel of the tile, and write `channels` of its lanes."""
    cdef vreal block[VL]
    cdef vreal value
    cdef vreal bias = vload_n(to.bias, channels) if to.bias != NULL else vzero()
    cdef real* y = to.y
    cdef int p, first, count, i
    if to.channel == 1:
        for p in range(pixels):
            value = finish(to, total[p * vectors], bias)
            if to.adds:
                value = onto(to, vload_n(y + p * to.pixel, channels), value)
            vstore_n(y + p * to.pixel, value, channels)
    elif to.pixel != 1:
        for p in range(pixels):
            value = finish(to, total[p * vectors], bias)
            if to.adds:
                value = onto(to, vload_strided(y + p * to.pixel, to.channel, channels), value)
            vstore_strided(y + p * to.pixel, to.channel, value, channels)
    else:
        # the lanes are channels, but in memory pixels are neighbours: transpose VL x VL at a time
        for first from 0 <= first < pixels by VL:
            count = min(<int> VL, pixels - first)
            if count == VL and channels >= VL:
                for i in range(VL):
                    block[i] = finish(to, total[(first + i) * vectors], bias)
                vtranspose(block)
                if to.adds:
                    for i in range(VL):
                        block[i] = onto(to, vload(y + i * to.channel + first), block[i])
                for i in range(VL):
                    vstore(y + i * to.channel + first, block[i])
                continue
            for i in range(VL):
                block[i] = finish(to, total[(first + i) * vectors], bias) if i < count else vzero()
            vtranspose(block)
            for i in range(VL):
                if i < channels:
                    if to.adds:
                        block[i] = onto(to, vload_n(y + i * to.channel + first, count), block[i])
                    vstore_n(y + i * to.channel + first, block[i], count)


cdef void store_tile(const Destination* to, const vreal* total, int pixels, int vectors,
                     Py_ssize_t channels) noexcept nogil:
    """Write total[pixels][vectors], whose first `channels` lanes are channels."""
    cdef Destination part = to[0]
    cdef int v
    for v in range(vectors):
        if v * VL < channels:
            part.y = to.y + v * VL * to.channel
            part.bias = to.bias + v * VL if to.bias != NULL else NULL
            store_vectors(&part, total + v, pixels, vectors, channels - v * VL)


cdef inline bint share_sets(Py_ssize_t plane) noexcept nogil:
    """Whether planes begin at nearly the same place in a page or in half of one.  Then their lines
    share the sets of the L1."""
    cdef Py_ssize_t bytes = plane * <Py_ssize_t> sizeof(real) % 2048
    return bytes < 64 or bytes > 2048 - 64


cdef inline bint planes_collide(const Destination* to) noexcept nogil:
    """Whether the lines that a tile writes, one for each channel, share sets of the L1.  These have
    fewer ways than there are channels, so a prefetched line would be gone before it is written."""
    return to.pixel == 1 and share_sets(to.channel)


cdef void store_planes(const Destination* to, vreal* total, int pixels,
                       Py_ssize_t channels) noexcept nogil:
    """As `store_tile` for one panel and long runs, but channel by channel, so that the stores that
    wait at one time go to many lines of few channels.  Writes over `total`, in whole vectors of
    pixels."""
    cdef vreal block[VL]
    cdef vreal bias, value
    cdef int first, v, i
    cdef Py_ssize_t k, count = min(<Py_ssize_t> LANES, channels)
    cdef real* y
    for v in range(NV):
        bias = vload_n(to.bias + v * VL, channels - v * VL) if to.bias != NULL else vzero()
        for first from 0 <= first < pixels by VL:
            for i in range(VL):
                block[i] = finish(to, total[(first + i) * NV + v], bias)
            vtranspose(block)
            for i in range(VL):        # block[i] is now of channel v * VL + i
                total[(first + i) * NV + v] = block[i]
    for k in range(count):
        y = to.y + k * to.channel
        if k + PLANES_AHEAD < count:
            for first from 0 <= first < pixels by CACHE_LINE:
                vprefetch_write(y + PLANES_AHEAD * to.channel + first)
        for first from 0 <= first < pixels by VL:
            value = total[(first + k % VL) * NV + k // VL]
            if to.adds:
                value = onto(to, vload_n(y + first, pixels - first), value)
            vstore_n(y + first, value, pixels - first)
