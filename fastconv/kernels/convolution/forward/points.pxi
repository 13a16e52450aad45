# Forward convolution by 1x1 with pixels in the lanes, from strips of the map that are laid out
# anew: in the map, channels lie a page or more apart, and with strides pixels are not neighbours.
#
#               lanes: neighbouring outputs                 the strip: outputs that follow each
#              +-----------+-----------+-----------+        other in y, also over the ends of rows,
#   filter 0   | acc[0][0] | acc[0][1] | acc[0][2] |        channel after channel
#      ...     |           |           |           |
#  3, or 7     |           |           |           |        Weights are broadcast from panels.
#              +-----------+-----------+-----------+        Sums go to NCHW as they are.
#
# A strip is two tiles wide, each laid out by itself.  A tile meets the filters of a panel one after
# the other, then the second tile does: so one tile and one panel are in the L1, and lines of y that
# two tiles share are written soon one after the other.  Sums have the order of convolution.pxi.
# The gradient of the input is the same walk over dy, which scatters its results if there is a
# stride.  With many registers a tile asks, a line of cache at a time, for the place of its results,
# for the next panel, and for what is laid out next.  With few, asking costs more than it saves: the
# next panel would push the tile out of the L1.

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
           POINT_PLANE = 1280,
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

cdef struct PointSums:
    Py_ssize_t channels                    # of the strip
    bint resume                            # whether the block of the sum goes on from `waiting`
    bint ends, fresh, last                 # whether that block ends here, is the first, the last
    bint relu, adds
    const real* bias                       # of the tile's filters, or NULL
    const Py_ssize_t* places               # of the tile's pixels in y if scattered, or NULL
    Coming pixels, weights                 # of the strip, and of the panel, that come next


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
            if MANY_REGISTERS and step > 1:  # the hardware does not foresee every other row
                for i from 0 <= i < count * step by CACHE_LINE:
                    vprefetch(at + POINT_AHEAD * c.xc + i)
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


cdef inline void point_step(const int vectors, const vreal* x, const real* w,
                            vreal* acc) noexcept nogil:
    cdef vreal pixels[POINT_MOST]
    cdef vreal weight
    cdef int f, v
    for v in range(vectors):
        pixels[v] = x[v]
    for f in range(POINT_TILE):
        weight = vset1(w[f])
        for v in range(vectors):
            acc[f * vectors + v] = vadd_product(acc[f * vectors + v], weight, pixels[v])


cdef inline void scatter(real* y, const Py_ssize_t* places, vreal value,
                         Py_ssize_t count) noexcept nogil:
    cdef real lanes[VL]
    cdef int i
    vstore(lanes, value)
    for i in range(min(<Py_ssize_t> VL, count)):
        y[places[i]] = lanes[i]


cdef inline void store_whole(const int vectors, vreal* acc, const PointSums* sums, real* y,
                             Py_ssize_t plane) noexcept nogil:
    """Store a tile no filter or pixel of which is left out, without a question for each vector."""
    cdef int f, v
    if sums.adds:
        for f in range(POINT_TILE):
            for v in range(vectors):
                acc[f * vectors + v] = vload(y + f * plane + v * VL) + acc[f * vectors + v]
    if sums.relu:
        for f in range(POINT_TILE * vectors):
            acc[f] = vrelu(acc[f])
    for f in range(POINT_TILE):
        for v in range(vectors):
            vstore(y + f * plane + v * VL, acc[f * vectors + v])


cdef inline void point_tile(const int vectors, const vreal* x, const real* w,
                            PointSums* sums, vreal* waiting, vreal* total, Py_ssize_t filters,
                            real* y, Py_ssize_t plane, Py_ssize_t pixels) noexcept nogil:
    """A tile of POINT_TILE filters, the first `filters` of which are stored, by some vectors with
    `pixels` pixels."""
    cdef vreal acc[POINT_MOST * POINT_TILE]
    cdef vreal value, added
    cdef Py_ssize_t channel = sums.channels
    cdef Coming results
    cdef int f, v, i
    cdef bint scattered = sums.places != NULL
    if sums.resume:
        for i in range(POINT_TILE * vectors):
            acc[i] = waiting[i]
    else:
        for i in range(POINT_TILE * vectors):
            acc[i] = vzero()
    if channel % POINT_STEPS == 0:
        results = nothing_comes()
        if POINTS_ASK and sums.ends and sums.last:
            results = comes(y + sums.places[0] if scattered else y,
                            min(filters, <Py_ssize_t> POINT_TILE),
                            sums.places[pixels - 1] - sums.places[0] if scattered else vectors * VL,
                            plane, channel // POINT_STEPS)
        while True:
            if POINTS_ASK:
                ask_for(&results)
                ask_for(&sums.weights)
                ask_for(&sums.pixels)
            for i in range(POINT_STEPS):
                point_step(vectors, x, w, acc)
                x = x + vectors
                w = w + LANES
            channel -= POINT_STEPS
            if channel == 0:
                break
    else:
        while True:
            point_step(vectors, x, w, acc)
            x = x + vectors
            w = w + LANES
            channel -= 1
            if channel == 0:
                break
    if not sums.ends:
        for i in range(POINT_TILE * vectors):
            waiting[i] = acc[i]
        return
    for i in range(POINT_TILE * vectors):
        acc[i] = (vzero() if sums.fresh else total[i]) + acc[i]
    if not sums.last:
        for i in range(POINT_TILE * vectors):
            total[i] = acc[i]
        return
    for f in range(POINT_TILE):
        added = vset1(sums.bias[f]) if sums.bias != NULL and f < filters else vzero()
        for v in range(vectors):
            acc[f * vectors + v] = acc[f * vectors + v] + added
    if not scattered and filters >= POINT_TILE and pixels >= vectors * VL:
        store_whole(vectors, acc, sums, y, plane)
        return
    for f in range(POINT_TILE):
        if f < filters:
            for v in range(vectors):
                value = acc[f * vectors + v]
                if sums.adds:
                    value = vload_n(y + v * VL, pixels - v * VL) + value
                if sums.relu:
                    value = vrelu(value)
                if scattered:
                    scatter(y, sums.places + v * VL, value, pixels - v * VL)
                elif v < vectors - 1:
                    vstore(y + v * VL, value)
                else:
                    vstore_n(y + v * VL, value, pixels - v * VL)
            y = y + plane


ctypedef void (*point_t)(const void*, const vreal* x, const real* w, PointSums* sums,
                         vreal* waiting, vreal* total, Py_ssize_t filters, real* y,
                         Py_ssize_t plane, Py_ssize_t pixels) noexcept nogil


cdef void point_tile_of(const strip_width* _, const vreal* x, const real* w, PointSums* sums,
                        vreal* waiting, vreal* total, Py_ssize_t filters, real* y,
                        Py_ssize_t plane, Py_ssize_t pixels) noexcept nogil:
    if sizeof(strip_width) <= POINT_VECTORS:
        point_tile(<int> sizeof(strip_width), x, w, sums, waiting, total, filters, y, plane,
                   pixels)


cdef point_t point_tiles[4]
point_tiles[:] = [
    NULL, <point_t> point_tile_of[n1], <point_t> point_tile_of[n2], <point_t> point_tile_of[n3],
]


cdef void convolve_points(void* args, Py_ssize_t begin, Py_ssize_t end) noexcept nogil:
    cdef const Points* plan = <const Points*> args
    cdef const Convolution* c = plan.c
    cdef vreal memory[POINT_MEMORY]
    cdef Py_ssize_t places[POINT_STRIP * VL]
    cdef vreal waiting[2 * POINT_SUMS]
    cdef vreal* total = waiting + (POINT_SUMS if c.C > c.block else 0)
    cdef PointSums sums
    cdef PointStrip strip
    cdef Py_ssize_t item, channel, stop, j, i, k, k0, panel, count, asks, half, seen
    cdef Py_ssize_t waits = plan.channels < c.C
    cdef int h
    cdef bint row = in_a_row(c)
    cdef const real* x
    cdef const real* w
    cdef real* y
    sums.relu, sums.adds = c.relu, c.adds
    sums.pixels = sums.weights = nothing_comes()
    for item in range(begin, end):
        strip = point_strip(plan, item)
        half = strip.vectors[0]
        if plan.scattered:
            for i in range(strip.pixels):
                places[i] = (strip.first + i) // c.columns.outputs * c.yh \
                    + (strip.first + i) % c.columns.outputs * c.yw
        x = c.x + strip.n * c.xn + strip.group * c.C * c.xc
        for channel from 0 <= channel < c.C by c.block:
            stop = min(channel + c.block, c.C)
            for j from channel <= j < stop by plan.channels:
                count = min(plan.channels, stop - j)
                for h in range(2):
                    if strip.vectors[h]:
                        seen = h * half * VL
                        lay_out_points(c, x + j * c.xc, count, strip.first + seen,
                                       min(strip.pixels - seen, strip.vectors[h] * VL),
                                       memory + h * half * count)
                sums.channels = count
                sums.resume, sums.ends = j > channel, j + count == stop
                sums.fresh, sums.last = channel == 0, stop == c.C
                asks = max(count // POINT_STEPS, <Py_ssize_t> 1) * (2 if strip.vectors[1] else 1)
                if POINTS_ASK and row:
                    sums.pixels = pixels_after(plan, &strip, x, j + count,
                                               asks * ceil_div(strip.filters, POINT_TILE))
                for panel from 0 <= panel < strip.filters by LANES:
                    for h in range(2):
                        if strip.vectors[h] == 0:
                            break
                        seen = h * half * VL
                        sums.places = places + seen if plan.scattered else NULL
                        for k from panel <= k < min(panel + LANES, strip.filters) by POINT_TILE:
                            k0 = strip.k0 + k
                            w = c.w + (strip.group * c.panels + k0 // LANES) * c.C * LANES \
                                + j * LANES + k0 % LANES
                            if POINTS_ASK and k == panel and h == 0:
                                sums.weights = comes(w + c.C * LANES, 1, count * LANES, 0,
                                                     asks * (LANES // POINT_TILE))
                            k0 += strip.group * c.K
                            sums.bias = c.bias + k0 if c.bias != NULL else NULL
                            y = c.y + strip.n * c.yn + k0 * c.yk
                            i = waits * (2 * k + h * POINT_TILE) * POINT_VECTORS
                            point_tiles[strip.vectors[h]](
                                NULL, memory + h * half * count, w, &sums, waiting + i, total + i,
                                strip.filters - k,
                                y if plan.scattered else y + strip.first + seen, c.yk,
                                strip.pixels - seen)


cdef inline Py_ssize_t point_items(const Points* plan) noexcept nogil:
    return plan.c.groups * plan.filter_blocks * plan.c.N * plan.strips
