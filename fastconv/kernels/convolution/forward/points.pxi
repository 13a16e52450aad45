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
# A strip is two tiles wide, which lie one behind the other.  A tile meets the filters of a panel
# one after the other, then the second tile does: so one tile and one panel are in the L1, and lines
# of y that two tiles share are written one soon after the other.  Sums have the order of
# convolution.pxi.
#
# The gradient of the input is the same walk over dy, which scatters its results if there is a
# stride.  With many registers a tile asks, a line of cache at a time, for the place of its results,
# for the next panel, and for what is laid out next.  With few, asking costs more than it saves: the
# next panel would push the tile out of the L1.

cdef struct PointSums:
    Py_ssize_t channels                    # of the strip
    bint resume                            # whether the block of the sum goes on from `waiting`
    bint ends, fresh, last                 # whether that block ends here, is the first, the last
    bint relu, adds
    const real* bias                       # of the tile's filters, or NULL
    const Py_ssize_t* places               # of the tile's pixels in y if scattered, or NULL
    Coming pixels, weights                 # of the strip, and of the panel, that come next


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
    cdef Py_ssize_t item, channel, stop, j, i, k, k0, panel, count, asks, half, before
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
                lay_out_tiles(c, x + j * c.xc, count, &strip, memory)
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
                        before = h * half * VL
                        sums.places = places + before if plan.scattered else NULL
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
                                y if plan.scattered else y + strip.first + before, c.yk,
                                strip.pixels - before)


cdef inline Py_ssize_t point_items(const Points* plan) noexcept nogil:
    return plan.c.groups * plan.filter_blocks * plan.c.N * plan.strips
