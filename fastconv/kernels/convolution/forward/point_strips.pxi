# Strips of the map that 1x1 kernels meet, laid out anew: how the map is cut into strips, strips
# into tiles, and channels into those that are laid out at one time.  points.pxi walks over them.

cdef extern from *:
    """
    enum { MANY_REGISTERS = TILE >= 12,
           POINT_TILE = MANY_REGISTERS ? 8 : 4,
           POINT_MOST = 3,
           /* 0 leaves 1x1 to strips.pxi, flat.pxi and the tile, also where a panel is narrower */
           POINT_VECTORS = (MANY_REGISTERS && VL * sizeof(real) < 64) || LANES % POINT_TILE
                               ? 0 : POINT_MOST,
           POINT_STRIP = POINT_VECTORS ? 2 * POINT_VECTORS : 1, /* never 0: it divides */
           POINT_PIXELS = 64,
           POINT_STEPS = 4,
           POINT_AHEAD = MANY_REGISTERS ? 4 : 8,
           POINTS_ASK = MANY_REGISTERS,
           POINTS_EACH = 8,
           POINT_CHANNELS = 128,
           POINTS_KEPT = 256,
           POINT_FEWEST = 64,
           POINT_PLANE = FLAT_PLANE,
           POINT_MEMORY = 2 * POINT_MOST * POINT_CHANNELS + 1, /* vectors; the last may overrun */
           POINT_SUMS = 2 * POINT_MOST * POINTS_KEPT };
    """
    enum: POINT_MOST                       # most vectors of a tile; a strip has twice as many
    enum: POINT_VECTORS
    enum: POINT_STRIP                      # most vectors of a strip
    enum: POINT_TILE                       # filters of a tile; they divide LANES
    enum: POINT_PIXELS                     # pixels of a map, at least
    enum: POINT_STEPS                      # channels between two tests for the end
    enum: POINT_AHEAD                      # pixels are prefetched so many channels ahead
    enum: POINTS_ASK                       # whether tiles ask for what comes next
    enum: POINTS_EACH                      # strips of a thread, from which on none is cut
    enum: MANY_REGISTERS                   # for 8 filters; then maps in place may do, see below
    enum: POINT_FEWEST                     # then the most channels that are left to others
    enum: POINT_PLANE                      # and the least bytes from one channel to the next
    enum: POINT_CHANNELS                   # most channels of a strip: a tile of them is in the L1
    enum: POINTS_KEPT                      # filters whose sums and totals wait for more channels
    enum: POINT_MEMORY
    enum: POINT_SUMS

cdef struct Points:
    const Convolution* c
    Py_ssize_t length                      # vectors of an image
    Py_ssize_t tiles, strips               # tiles and strips of an image
    Py_ssize_t filters, filter_blocks      # filters of an item, and how many blocks these make
    Py_ssize_t channels                    # channels that are laid out at one time
    bint scattered                         # whether outputs do not follow each other in y

cdef inline bint plan_points(Points* plan, const Convolution* c) noexcept nogil:
    """Whether the kernel is 1x1, with enough pixels and filters; if so, cut the map into strips."""
    cdef Py_ssize_t pixels = c.rows.outputs * c.columns.outputs
    plan.scattered = c.yw != 1 or c.rows.outputs > 1 and c.yh != c.columns.outputs
    if POINT_VECTORS == 0 or c.R * c.S != 1 or c.taps_first and (
            c.rows.taps * c.columns.taps == 0 or c.rows.offset != 0 or c.columns.offset != 0) \
            or plan.scattered and not (MANY_REGISTERS or c.taps_first) \
            or pads(&c.rows) or pads(&c.columns):
        return False
    if c.K <= LANES and c.rows.outputs == 1 and not share_sets(c.xc):
        return False                       # few filters read the map where it lies
    if MANY_REGISTERS and (c.C <= POINT_FEWEST
                           or c.xc * <Py_ssize_t> sizeof(real) < POINT_PLANE):
        return False                       # the hardware foresees small planes, and few
    plan.c = c
    plan.length = ceil_div(pixels, VL)
    if pixels < POINT_PIXELS or 10 * pixels < 9 * plan.length * VL:
        return False                       # too many empty lanes, or weights are read too often
    plan.channels = min(c.C, c.block)
    plan.channels = ceil_div(plan.channels, ceil_div(plan.channels, POINT_CHANNELS))
    plan.filters = c.K
    if plan.channels < c.C:                # sums wait, and if there are several blocks totals too
        plan.filters = POINTS_KEPT if c.C > c.block else 2 * POINTS_KEPT
    plan.filters = clamp(ITEM_WORK // (POINT_STRIP * VL * c.C), POINT_TILE, plan.filters)
    plan.filter_blocks = ceil_div(c.K, plan.filters)
    plan.filters = ceil_div(ceil_div(c.K, plan.filter_blocks), POINT_TILE) * POINT_TILE
    plan.filter_blocks = ceil_div(c.K, plan.filters)
    plan.tiles = ceil_div(plan.length, POINT_MOST)
    plan.strips = shared_blocks(ceil_div(plan.tiles, 2), plan.tiles,
                                c.groups * c.N * plan.filter_blocks, c.threads, POINTS_EACH)
    return True


cdef inline Py_ssize_t tile_begins(const Points* plan, Py_ssize_t tile) noexcept nogil:
    """The first vector of a tile.  Tiles have POINT_MOST vectors.  The last one may have two; where
    one vector would be left over, the last two have two each."""
    if plan.length % POINT_MOST == 1 and tile == plan.tiles - 1:
        return plan.length - 2
    return min(tile * POINT_MOST, plan.length)


cdef struct PointStrip:                    # of an item
    Py_ssize_t n, group
    Py_ssize_t k0, filters                 # the filters
    Py_ssize_t first, pixels               # the first output, and how many there are
    Py_ssize_t vectors[2]                  # of the tiles; the second may have none


cdef inline PointStrip point_strip(const Points* plan, Py_ssize_t item) noexcept nogil:
    """Items are (group, block of filters, image, strip); the last varies fastest."""
    cdef const Convolution* c = plan.c
    cdef PointStrip strip
    cdef Py_ssize_t at = item % plan.strips
    cdef Py_ssize_t tile = at * plan.tiles // plan.strips
    cdef Py_ssize_t end = tile_begins(plan, (at + 1) * plan.tiles // plan.strips)
    item //= plan.strips
    strip.n = item % c.N
    item //= c.N
    strip.k0 = item % plan.filter_blocks * plan.filters
    strip.filters = min(plan.filters, c.K - strip.k0)
    strip.group = item // plan.filter_blocks
    strip.first = tile_begins(plan, tile)
    strip.vectors[0] = tile_begins(plan, tile + 1) - strip.first
    strip.vectors[1] = end - strip.first - strip.vectors[0]
    strip.pixels = min(c.rows.outputs * c.columns.outputs, end * VL) - strip.first * VL
    strip.first *= VL
    return strip


cdef inline void copy_columns(const int vectors, const real* x, Py_ssize_t xc,
                              Py_ssize_t channels, vreal* to) noexcept nogil:
    """to[channels][vectors] = the pixels at x of each channel.  Every load has the same step from
    one channel to the next, which the hardware foresees within a page; beyond, it is asked for."""
    cdef Py_ssize_t channel
    cdef const real* ahead = x + POINT_AHEAD * xc
    cdef int v
    for channel in range(channels):
        vprefetch(ahead)
        vprefetch(ahead + vectors * VL - 1)
        ahead = ahead + xc
        for v in range(vectors):
            to[v] = vload(x + v * VL)
        x = x + xc
        to = to + vectors


cdef inline void copy_two_tiles(const real* x, Py_ssize_t xc, Py_ssize_t channels,
                                vreal* to) noexcept nogil:
    """As `copy_columns` for two whole tiles, one behind the other.  Every line is asked for, not
    only the first and the last."""
    cdef const real* ahead = x + POINT_AHEAD * xc
    cdef vreal* second = to + POINT_MOST * channels
    cdef Py_ssize_t channel
    cdef int v
    for channel in range(channels):
        for v from 0 <= v < POINT_STRIP * VL by CACHE_LINE:
            vprefetch(ahead + v)
        vprefetch(ahead + POINT_STRIP * VL - 1)
        ahead = ahead + xc
        for v in range(POINT_MOST):
            to[v] = vload(x + v * VL)
            second[v] = vload(x + (POINT_MOST + v) * VL)
        x = x + xc
        to = to + POINT_MOST
        second = second + POINT_MOST


cdef inline void lay_out_points(const Convolution* c, const real* x, Py_ssize_t channels,
                                Py_ssize_t first, Py_ssize_t pixels, vreal* tile) noexcept nogil:
    """tile[channels][.] = some pixels of each channel, from output `first` on, with zeros in the
    rest of the last vector."""
    cdef Py_ssize_t width = c.columns.outputs * (c.rows.outputs if in_a_row(c) else 1)
    cdef Py_ssize_t step = c.columns.stride * c.xw
    cdef Py_ssize_t row = first // width, column = first % width
    cdef Py_ssize_t length = ceil_div(pixels, VL) * VL
    cdef Py_ssize_t channel, done, count, i
    cdef const real* at
    cdef real* to = <real*> tile
    x = x + row * c.rows.stride * c.xh + column * step
    if step == 1 and pixels == length and column + pixels <= width:
        if pixels == POINT_MOST * VL:
            copy_columns(POINT_MOST, x, c.xc, channels, tile)
        else:                              # no tile has one vector
            copy_columns(POINT_MOST - 1, x, c.xc, channels, tile)
        return
    for channel in range(channels):
        at, done, count = x, 0, min(pixels, width - column)
        while True:
            if step > 1:                   # the hardware does not foresee every other row
                for i from 0 <= i < count * step by CACHE_LINE:
                    vprefetch(at + FLAT_AHEAD * c.xc + i)
            # the next row writes over the zeros that follow this one
            lay_out_row(at, step, 0, count, length - done if done + count == pixels else count,
                        (count - 1) * step + 1, to + done)
            done += count
            if done == pixels:
                break
            at = at + c.rows.stride * c.xh - (column * step if done == count else 0)
            count = min(width, pixels - done)
        x = x + c.xc
        to = to + length


cdef inline void lay_out_tiles(const Convolution* c, const real* x, Py_ssize_t channels,
                               const PointStrip* strip, vreal* memory) noexcept nogil:
    """Lay out the two tiles of a strip, one behind the other.

    In the map, channels are on pages of their own.  So with few registers, where nothing is asked
    for while tiles are multiplied, each page is visited once for both tiles.
    """
    cdef Py_ssize_t width = c.columns.outputs * (c.rows.outputs if in_a_row(c) else 1)
    cdef Py_ssize_t half = strip.vectors[0], before = half * VL
    cdef Py_ssize_t column = strip.first % width
    if not POINTS_ASK and strip.pixels == POINT_STRIP * VL and column + strip.pixels <= width \
            and c.columns.stride * c.xw == 1:
        x = x + strip.first // width * c.rows.stride * c.xh + column
        copy_two_tiles(x, c.xc, channels, memory)
        return
    lay_out_points(c, x, channels, strip.first, min(strip.pixels, before), memory)
    if strip.vectors[1]:
        lay_out_points(c, x, channels, strip.first + before, strip.pixels - before,
                       memory + half * channels)


cdef inline Coming pixels_after(const Points* plan, const PointStrip* strip, const real* x,
                                Py_ssize_t channel, Py_ssize_t times) noexcept nogil:
    """What is laid out next: the strip's pixels from `channel` on, or those of the next strip.
    x is the image."""
    cdef const Convolution* c = plan.c
    x = x + strip.first
    if channel < c.C:
        return comes(x + channel * c.xc, min(plan.channels, c.C - channel), strip.pixels, c.xc,
                     times)
    if strip.first + strip.pixels < c.rows.outputs * c.columns.outputs:
        return comes(x + strip.pixels, plan.channels, POINT_STRIP * VL, c.xc, times)
    return nothing_comes()
