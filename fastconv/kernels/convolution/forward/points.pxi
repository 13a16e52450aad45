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
# A strip is two tiles wide.  The two tiles meet the same few filters one after the other, so whole
# lines of y are written at one time.  Sums have the order of convolution.pxi.  With many registers
# the gradient of the input is the same walk over dy, which scatters its results if there is a
# stride.  There a tile asks, a line of cache at a time, for the place of its results, for the next
# panel, and for what is laid out next.

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
           POINT_AHEAD = 4,
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
    enum: POINT_AHEAD                      # rows are prefetched so many channels ahead
    enum: POINTS_ASK                       # whether tiles ask for what comes next
    enum: POINTS_EACH                      # strips of a thread, from which on none is cut
    enum: MANY_REGISTERS                   # whether the tile of maps in place is good, see below
    enum: POINT_FEWEST                     # then the most channels that are left to others
    enum: POINT_PLANE                      # and the least bytes from one channel to the next
    enum: POINT_CHANNELS                   # channels of a strip, which is in the L1
    enum: POINTS_KEPT                      # filters whose sums and totals wait for more channels
    enum: POINT_MEMORY
    enum: POINT_SUMS

cdef struct Points:
    const Convolution* c
    Py_ssize_t length                      # vectors of an image
    Py_ssize_t strips                      # strips of an image
    Py_ssize_t filters, filter_blocks      # filters of an item, and how many blocks these make
    Py_ssize_t channels                    # channels that are laid out at one time
    bint scattered                         # whether outputs do not follow each other in y

cdef struct PointSums:
    Py_ssize_t channels, step              # of the strip; vectors from one channel to the next
    bint resume                            # whether the block of the sum goes on from `waiting`
    bint ends, fresh, last                 # whether that block ends here, is the first, the last
    bint relu, adds
    const Py_ssize_t* places               # of the tile's pixels in y if scattered, or NULL
    Coming pixels, weights                 # of the strip, and of the panel, that come next


cdef inline bint plan_points(Points* plan, const Convolution* c) noexcept nogil:
    """Whether the kernel is 1x1, with enough pixels and filters; if so, cut the map into strips."""
    cdef Py_ssize_t pixels = c.rows.outputs * c.columns.outputs
    plan.scattered = c.yw != 1 or c.rows.outputs > 1 and c.yh != c.columns.outputs
    if POINT_VECTORS == 0 or c.R * c.S != 1 or c.taps_first and (
            not MANY_REGISTERS or c.rows.taps * c.columns.taps == 0
            or c.rows.offset != 0 or c.columns.offset != 0) \
            or plan.scattered and not MANY_REGISTERS or pads(&c.rows) or pads(&c.columns):
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
    plan.strips = shared_blocks(ceil_div(plan.length, POINT_STRIP), plan.length,
                                c.groups * c.N * plan.filter_blocks, c.threads, POINTS_EACH)
    return True


cdef inline bint in_a_row(const Convolution* c) noexcept nogil:
    """Whether the pixels of all rows follow each other in x."""
    return c.columns.stride * c.xw == 1 and (
        c.rows.outputs == 1 or c.rows.stride * c.xh == c.columns.outputs)


cdef inline void lay_out_points(const Convolution* c, const real* x, Py_ssize_t channels,
                                Py_ssize_t first, Py_ssize_t pixels, bint ahead,
                                real* to) noexcept nogil:
    """to[channels][.] = some pixels of each channel, from output `first` on, with zeros in the rest
    of the last vector.  If `ahead`, the pixels after these are prefetched."""
    cdef Py_ssize_t width = c.columns.outputs * (c.rows.outputs if in_a_row(c) else 1)
    cdef Py_ssize_t step = c.columns.stride * c.xw
    cdef Py_ssize_t row = first // width, column = first % width
    cdef Py_ssize_t length = ceil_div(pixels, VL) * VL
    cdef Py_ssize_t channel, done, count, i
    cdef const real* at
    x = x + row * c.rows.stride * c.xh + column * step
    for channel in range(channels):
        at, done, count = x, 0, min(pixels, width - column)
        while True:
            if MASKS and step > 1:         # the hardware does not foresee every other row
                for i from 0 <= i < count * step by CACHE_LINE:
                    vprefetch(at + POINT_AHEAD * c.xc + i)
            # the next row writes over the zeros that follow this one
            lay_out_row(at, step, 0, count, length - done if done + count == pixels else count,
                        (count - 1) * c.columns.stride + 1, to + done)
            done += count
            if done == pixels:
                break
            at = at + c.rows.stride * c.xh - (column * step if done == count else 0)
            count = min(width, pixels - done)
        if ahead:
            for i from 0 <= i < POINT_STRIP * VL by CACHE_LINE:
                vprefetch(x + pixels + i)
        x = x + c.xc
        to = to + length


cdef inline Coming pixels_after(const Points* plan, const real* x, Py_ssize_t channels,
                                Py_ssize_t pixels, Py_ssize_t times) noexcept nogil:
    """What is laid out after so many channels of `pixels` at x: more of them, or the next strip."""
    cdef const Convolution* c = plan.c
    if channels < c.C:
        return comes(x + channels * c.xc, min(plan.channels, c.C - channels), pixels, c.xc, times)
    return comes(x + pixels, plan.channels, POINT_STRIP * VL, c.xc, times)


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


cdef inline void point_tile(const int vectors, const vreal* x, const real* w,
                            PointSums* sums, vreal* waiting, vreal* total,
                            const real* bias, Py_ssize_t filters, real* y, Py_ssize_t plane,
                            Py_ssize_t pixels) noexcept nogil:
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
                x = x + sums.step
                w = w + LANES
            channel -= POINT_STEPS
            if channel == 0:
                break
    else:
        while True:
            point_step(vectors, x, w, acc)
            x = x + sums.step
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
        if f < filters:
            added = vset1(bias[f]) if bias != NULL else vzero()
            for v in range(vectors):
                value = acc[f * vectors + v] + added
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


ctypedef fused half_width:
    n1
    n2
    n3

ctypedef void (*point_t)(const void*, const vreal* x, const real* w, PointSums* sums,
                         vreal* waiting, vreal* total, const real* bias, Py_ssize_t filters,
                         real* y, Py_ssize_t plane, Py_ssize_t pixels) noexcept nogil


cdef void point_tile_of(const half_width* _, const vreal* x, const real* w, PointSums* sums,
                        vreal* waiting, vreal* total, const real* bias, Py_ssize_t filters,
                        real* y, Py_ssize_t plane, Py_ssize_t pixels) noexcept nogil:
    if sizeof(half_width) <= POINT_VECTORS:
        point_tile(<int> sizeof(half_width), x, w, sums, waiting, total, bias, filters, y, plane,
                   pixels)


cdef point_t point_tiles[4]
point_tiles[:] = [
    NULL, <point_t> point_tile_of[n1], <point_t> point_tile_of[n2], <point_t> point_tile_of[n3],
]


cdef void convolve_points(void* args, Py_ssize_t begin, Py_ssize_t end) noexcept nogil:
    """Items are (group, block of filters, image, strip); the last varies fastest."""
    cdef const Points* plan = <const Points*> args
    cdef const Convolution* c = plan.c
    cdef vreal strip[POINT_MEMORY]
    cdef Py_ssize_t places[POINT_STRIP * VL]
    cdef vreal waiting[2 * POINT_SUMS]
    cdef vreal* total = waiting + (POINT_SUMS if c.C > c.block else 0)
    cdef PointSums sums
    cdef Py_ssize_t item, rest, at, first, n, group, k0, k, filters, channel, stop, j, i, h
    cdef Py_ssize_t vectors, half, pixels, count, wide, asks
    cdef Py_ssize_t waits = plan.channels < c.C
    cdef bint row = in_a_row(c)
    cdef const real* x
    cdef const real* w
    cdef const real* bias
    cdef real* y
    sums.relu, sums.adds = c.relu, c.adds
    for item in range(begin, end):
        rest = item
        at = rest % plan.strips
        rest //= plan.strips
        n = rest % c.N
        rest //= c.N
        k0 = rest % plan.filter_blocks * plan.filters
        group = rest // plan.filter_blocks
        filters = min(plan.filters, c.K - k0)
        first = at * plan.length // plan.strips
        vectors = (at + 1) * plan.length // plan.strips - first
        half = (vectors + 1) // 2
        first *= VL
        pixels = min(c.rows.outputs * c.columns.outputs - first, vectors * VL)
        x = c.x + n * c.xn + group * c.C * c.xc
        if plan.scattered:
            for i in range(pixels):
                places[i] = (first + i) // c.columns.outputs * c.yh \
                    + (first + i) % c.columns.outputs * c.yw
        for channel from 0 <= channel < c.C by c.block:
            stop = min(channel + c.block, c.C)
            for j from channel <= j < stop by plan.channels:
                count = min(plan.channels, stop - j)
                lay_out_points(c, x + j * c.xc, count, first, pixels,
                               not POINTS_ASK and row and at + 1 < plan.strips
                               and k0 + filters == c.K, <real*> strip)
                asks = max(count // POINT_STEPS, <Py_ssize_t> 1) * (2 if vectors > 1 else 1)
                sums.pixels = nothing_comes()
                if POINTS_ASK and row and (j + count < c.C or at + 1 < plan.strips):
                    sums.pixels = pixels_after(plan, x + first, j + count, pixels,
                                               asks * ceil_div(filters, POINT_TILE))
                sums.channels, sums.step = count, vectors
                sums.resume, sums.ends = j > channel, j + count == stop
                sums.fresh, sums.last = channel == 0, stop == c.C
                for k from 0 <= k < filters by POINT_TILE:
                    w = c.w + (group * c.panels + (k0 + k) // LANES) * c.C * LANES \
                        + j * LANES + (k0 + k) % LANES
                    if POINTS_ASK and k % LANES == 0:
                        sums.weights = comes(w + c.C * LANES, 1, count * LANES, 0,
                                             asks * (LANES // POINT_TILE))
                    bias = c.bias + group * c.K + k0 + k if c.bias != NULL else NULL
                    y = c.y + n * c.yn + (group * c.K + k0 + k) * c.yk
                    for h in range(2):
                        wide = vectors - half if h else half
                        if wide == 0:
                            break
                        sums.places = places + h * half * VL if plan.scattered else NULL
                        i = waits * (2 * k + h * POINT_TILE) * POINT_VECTORS
                        point_tiles[wide](
                            NULL, strip + h * half, w, &sums, waiting + i,
                            total + i, bias, filters - k,
                            y if plan.scattered else y + first + h * half * VL, c.yk,
                            pixels - h * half * VL)


cdef inline Py_ssize_t point_items(const Points* plan) noexcept nogil:
    return plan.c.groups * plan.filter_blocks * plan.c.N * plan.strips
