# Forward convolution by 1x1 with pixels in the lanes, from strips of the map that are laid out
# anew: channels of one map, or of one strip of it, lie a page or more apart.
#
#               lanes: neighbouring pixels                  the strip: two halves of up to three
#              +-----------+-----------+-----------+        vectors, channel after channel
#   filter 0   | acc[0][0] | acc[0][1] | acc[0][2] |
#      ...     |           |           |           |        Weights are broadcast from panels.
#   filter 3   |           |           |           |        Sums go to NCHW as they are.
#              +-----------+-----------+-----------+
#
# Both halves meet the same few filters, one after the other: so whole lines of y are written at
# one time.  Sums have the order of convolution.pxi.

cdef extern from *:
    """
    enum { POINT_VECTORS = TILE >= 12 ? 0 : 3,  /* 0: as strips.pxi does */
           POINT_FILTERS = 4,
           POINT_PIXELS = 64,
           POINT_CHANNELS = 128,
           POINTS_KEPT = 128,
           POINT_MEMORY = 2 * 3 * POINT_CHANNELS,
           POINT_SUMS = 2 * 3 * POINTS_KEPT };
    """
    enum: POINT_VECTORS                    # of a half
    enum: POINT_FILTERS                    # of a tile; they divide LANES
    enum: POINT_PIXELS                     # of a map, at least
    enum: POINT_CHANNELS                   # of a strip, which is in the L1
    enum: POINTS_KEPT                      # filters whose sums wait for more channels
    enum: POINT_MEMORY
    enum: POINT_SUMS

cdef struct Points:
    const Convolution* c
    Py_ssize_t length                      # vectors of an image
    Py_ssize_t strips                      # of an image
    Py_ssize_t filters, filter_blocks      # that an item is for
    Py_ssize_t channels                    # that are laid out at one time

cdef struct PointSums:
    Py_ssize_t channels                    # of the strip
    bint resume                            # whether the block of the sum goes on from `waiting`
    bint ends, fresh, last                 # whether it ends here, is the first, is the last
    bint relu


cdef inline bint plan_points(Points* plan, const Convolution* c) noexcept nogil:
    """Whether the convolution is one long row by 1x1; cut it into strips."""
    cdef Py_ssize_t pixels = c.columns.outputs
    if POINT_VECTORS == 0 or c.R * c.S != 1 or c.rows.outputs != 1 or c.xw != 1 or c.yw != 1 \
            or c.columns.stride != 1 or c.taps_first or pads(&c.rows) or pads(&c.columns) \
            or c.K <= LANES and not share_sets(c.xc):
        return False                       # few filters read the map where it lies
    plan.c = c
    plan.length = ceil_div(pixels, VL)
    if pixels < POINT_PIXELS or 10 * pixels < 9 * plan.length * VL:
        return False                       # too many lanes would be empty, weights read too often
    plan.strips = ceil_div(plan.length, 2 * POINT_VECTORS)
    plan.channels = min(c.C, c.block)
    plan.channels = ceil_div(plan.channels, ceil_div(plan.channels, POINT_CHANNELS))
    plan.filters = c.K if plan.channels == c.C else POINTS_KEPT
    plan.filters = clamp(ITEM_WORK // (2 * POINT_VECTORS * VL * c.C), POINT_FILTERS, plan.filters)
    plan.filter_blocks = ceil_div(c.K, plan.filters)
    plan.filters = ceil_div(ceil_div(c.K, plan.filter_blocks), POINT_FILTERS) * POINT_FILTERS
    plan.filter_blocks = ceil_div(c.K, plan.filters)
    return True


cdef inline void lay_out_points(const real* x, Py_ssize_t plane, Py_ssize_t channels,
                                Py_ssize_t pixels, Py_ssize_t half, bint ahead,
                                vreal* to) noexcept nogil:
    """to[2][channels][POINT_VECTORS]; `half` vectors are in the first of the two."""
    cdef Py_ssize_t whole = pixels // VL
    cdef Py_ssize_t channel, v, i
    for channel in range(channels):
        for v in range(half):
            i = channel * POINT_VECTORS + v
            to[i] = vload(x + v * VL) if v < whole else vload_n(x + v * VL, pixels - v * VL)
        for v from half * VL <= v < pixels by VL:
            i = (channels + channel) * POINT_VECTORS + v // VL - half
            to[i] = vload(x + v) if v + VL <= pixels else vload_n(x + v, pixels - v)
        if ahead:
            for v from 0 <= v < 2 * POINT_VECTORS * VL by CACHE_LINE:
                vprefetch(x + pixels + v)
        x = x + plane


cdef inline void point_step(const int vectors, const vreal* x, const real* w,
                            vreal* acc) noexcept nogil:
    cdef vreal pixels[3]
    cdef vreal weight
    cdef int f, v
    for v in range(vectors):
        pixels[v] = x[v]
    for f in range(POINT_FILTERS):
        weight = vset1(w[f])
        for v in range(vectors):
            acc[f * vectors + v] = vadd_product(acc[f * vectors + v], weight, pixels[v])


cdef inline void point_tile(const int vectors, const vreal* x, const real* w,
                            const PointSums* sums, vreal* waiting, vreal* total,
                            const real* bias, Py_ssize_t filters, real* y, Py_ssize_t plane,
                            Py_ssize_t pixels) noexcept nogil:
    """POINT_FILTERS filters, of which `filters` are stored, by some vectors of `pixels` pixels."""
    cdef vreal acc[3 * POINT_FILTERS]
    cdef vreal value, added
    cdef Py_ssize_t channel = sums.channels
    cdef int f, v, i
    if sums.resume:
        for i in range(POINT_FILTERS * vectors):
            acc[i] = waiting[i]
    else:
        for i in range(POINT_FILTERS * vectors):
            acc[i] = vzero()
    while True:
        point_step(vectors, x, w, acc)
        x = x + POINT_VECTORS
        w = w + LANES
        channel -= 1
        if channel == 0:
            break
    if not sums.ends:
        for i in range(POINT_FILTERS * vectors):
            waiting[i] = acc[i]
        return
    for i in range(POINT_FILTERS * vectors):
        acc[i] = (vzero() if sums.fresh else total[i]) + acc[i]
    if not sums.last:
        for i in range(POINT_FILTERS * vectors):
            total[i] = acc[i]
        return
    for f in range(POINT_FILTERS):
        if f < filters:
            added = vset1(bias[f]) if bias != NULL else vzero()
            for v in range(vectors):
                value = acc[f * vectors + v] + added
                if sums.relu:
                    value = vrelu(value)
                if v < vectors - 1:
                    vstore(y + v * VL, value)
                else:
                    vstore_n(y + v * VL, value, pixels - v * VL)
            y = y + plane


ctypedef fused half_width:
    n1
    n2
    n3

ctypedef void (*point_t)(const void*, const vreal* x, const real* w, const PointSums* sums,
                         vreal* waiting, vreal* total, const real* bias, Py_ssize_t filters,
                         real* y, Py_ssize_t plane, Py_ssize_t pixels) noexcept nogil


cdef void point_tile_of(const half_width* _, const vreal* x, const real* w, const PointSums* sums,
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
    """Items are (group, block of filters, image, strip), the last the fastest."""
    cdef const Points* plan = <const Points*> args
    cdef const Convolution* c = plan.c
    cdef vreal strip[POINT_MEMORY]
    cdef vreal waiting[POINT_SUMS]
    cdef vreal total[POINT_SUMS]
    cdef PointSums sums
    cdef Py_ssize_t item, rest, at, first, n, group, k0, k, filters, channel, stop, j, i, h
    cdef Py_ssize_t vectors, half, pixels, count, wide
    cdef Py_ssize_t waits = plan.channels < c.C
    cdef const real* x
    cdef const real* w
    cdef const real* bias
    cdef real* y
    sums.relu = c.relu
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
        pixels = min(c.columns.outputs, (first + vectors) * VL) - first * VL
        x = c.x + n * c.xn + group * c.C * c.xc + first * VL
        for channel from 0 <= channel < c.C by c.block:
            stop = min(channel + c.block, c.C)
            for j from channel <= j < stop by plan.channels:
                count = min(plan.channels, stop - j)
                lay_out_points(x + j * c.xc, c.xc, count, pixels, half,
                               at + 1 < plan.strips and k0 + filters == c.K, strip)
                sums.channels, sums.resume, sums.ends = count, j > channel, j + count == stop
                sums.fresh, sums.last = channel == 0, stop == c.C
                for k from 0 <= k < filters by POINT_FILTERS:
                    w = c.w + (group * c.panels + (k0 + k) // LANES) * c.C * LANES \
                        + j * LANES + (k0 + k) % LANES
                    bias = c.bias + group * c.K + k0 + k if c.bias != NULL else NULL
                    y = c.y + n * c.yn + (group * c.K + k0 + k) * c.yk + first * VL
                    for h in range(2):
                        wide = vectors - half if h else half
                        if wide == 0:
                            break
                        i = waits * (2 * k + h * POINT_FILTERS) * POINT_VECTORS
                        point_tiles[wide](
                            NULL, strip + h * count * POINT_VECTORS, w, &sums, waiting + i,
                            total + i, bias, filters - k, y + h * half * VL, c.yk,
                            pixels - h * half * VL)


cdef inline Py_ssize_t point_items(const Points* plan) noexcept nogil:
    return plan.c.groups * plan.filter_blocks * plan.c.N * plan.strips
