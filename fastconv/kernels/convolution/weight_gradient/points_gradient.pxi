# The gradient of the weights of a 1x1 kernel, added where it lies.  Channels are in the lanes,
# filters are the "pixels", and dy is read as it lies.
#
#   x, panels of channels, <= CHUNK pixels  -- transposed -->  points[panel][pixel][LANES]  (stack)
#   partial[k][c] += sum over pixels of dy[k, pixel] * points[panel of c][pixel][c]
#
# A tile of filters meets all panels while its dy is in the L1.  Its sums go from registers
# straight to their place, except those of a panel that is not whole.

cdef extern from *:
    """
    enum { POINT_PANELS = PLACED ? 8 : 4,
           POINT_FILTERS = 384 };
    """
    enum: POINT_PANELS                     # most panels of an item: 64 KiB
    enum: POINT_FILTERS                    # filters of an item, whose sums stay in the L2


cdef inline Py_ssize_t point_strips(const WeightGradient* g) noexcept nogil:
    return ceil_div(ceil_div(g.C, LANES), POINT_PANELS)


cdef inline void add_filters(real* partial, Py_ssize_t taps, const vreal* total, int filters,
                             int vectors, Py_ssize_t count, bint fresh) noexcept nogil:
    """partial[filters][taps] += total[filters][vectors], where `count` lanes are taps."""
    cdef int k, v
    cdef vreal value
    cdef real* to
    for k in range(filters):
        for v in range(vectors):
            to = partial + k * taps + v * VL
            value = total[k * vectors + v]
            if not fresh:
                value = vload_n(to, count - v * VL) + value
            vstore_n(to, value, count - v * VL)


cdef inline void prefetch_chunk(const WeightGradient* g, const real* dy, Py_ssize_t height,
                                Py_ssize_t width, int filters) noexcept nogil:
    """Prefetch what the next tile will read: a short piece of each of many maps, far apart."""
    cdef Py_ssize_t i
    cdef int k
    if g.yw == 1 and g.yh == g.columns.outputs:
        for k in range(filters):
            for i from 0 <= i < height * width by LINE:
                vprefetch(dy + k * g.yk + i)


cdef inline void join_taps(const WeightGradient* g, Py_ssize_t round, Py_ssize_t size,
                           Py_ssize_t at, Py_ssize_t lanes) noexcept nogil:
    """Add the partial sums of a round, which lie `size` apart, to the total of the rounds before,
    for some taps of a filter.  The total waits in dweight, which is done after the last round."""
    cdef vreal sum_, lost
    if g.rounds.count == 1:
        if g.sums > 1:
            vstore_n(g.dweight + at, add_sums(g.partial + at, size, g.sums, lanes), lanes)
        return
    sum_ = vzero() if round == 0 else vload_n(g.dweight + at, lanes)
    sum_ = join_sums(g.partial + at, size, g.sums, sum_, lanes, &lost)
    vstore_n(g.dweight + at, sum_, lanes)
    vstore_n(g.partial + at, lost, lanes)


cdef void join_run(const WeightGradient* g, Py_ssize_t round, Py_ssize_t filter, Py_ssize_t last,
                   Py_ssize_t tap, Py_ssize_t count) noexcept nogil:
    """The same for the taps tap .. tap + count of some filters, with a single partial sum.  If
    there is one round, that sum is dweight already."""
    cdef Py_ssize_t taps = g.C * g.rows.taps * g.columns.taps, i
    if g.rounds.count == 1:
        return
    while filter < last:
        for i from 0 <= i < count by VL:
            join_taps(g, round, 0, filter * taps + tap + i, count - i)
        filter += 1


cdef void join_columns(void* args, Py_ssize_t begin, Py_ssize_t end) noexcept nogil:
    """Join a round of several partial sums; items are (filter of all groups)."""
    cdef const WeightGradient* g = <const WeightGradient*> args
    cdef Py_ssize_t taps = g.C * g.rows.taps * g.columns.taps
    cdef Py_ssize_t i
    for i from begin * taps <= i < end * taps by VL:
        join_taps(g, g.rounds.round, g.groups * g.K * taps, i, end * taps - i)


cdef inline void walk_ahead(const WeightGradient* g, Steps* steps, const real* dy,
                            const real* partial, int filters, bint more, Py_ssize_t at,
                            Py_ssize_t count, Py_ssize_t pixels) noexcept nogil:
    """Have a tile prefetch, line by line, the sums of the next panel and its share of the dy of the
    next filters.  All at once they would wait for each other: a core has room for a dozen lines."""
    cdef Py_ssize_t lines = ceil_div(pixels, LINE)
    steps.reads.first, steps.writes.first = NULL, NULL
    if at + LANES < count:
        steps.writes.first = partial + at + LANES + LINE - 1
    elif more:
        steps.writes.first = partial + filters * g.C + LINE - 1
    steps.writes.row = g.C
    steps.writes.rows = filters
    if more and g.yw == 1 and g.yh == g.columns.outputs:
        steps.reads.first = dy + filters * g.yk + at * lines // count * LINE
        steps.reads.row, steps.reads.rows = g.yk, filters


cdef void add_points(void* args, Py_ssize_t begin, Py_ssize_t end) noexcept nogil:
    """Items are (partial sum, group, block of filters, strip of panels of channels); the last
    varies fastest.  So threads, each of which has items that follow each other, write to different
    rows of the result.

    The chunks are those of `add_partial_sums`.  How channels and filters are cut changes no sum.
    """
    cdef const WeightGradient* g = <const WeightGradient*> args
    cdef vreal memory[POINT_PANELS * CHUNK * NV]
    cdef real* points = <real*> memory
    cdef vreal total[TILE * NV]
    cdef Py_ssize_t places[TILE]
    cdef Steps steps
    cdef Py_ssize_t strips = point_strips(g), panels = ceil_div(g.C, LANES)
    cdef Py_ssize_t item, rest, group, share, k, last, n, filter, panel, first, tiles, t, c
    cdef Py_ssize_t at, end_, run, top, bottom, left, right, count, pixels, i
    cdef bint fresh
    cdef const real* x
    cdef const real* dy
    cdef real* partial
    cdef int filters, vectors, p
    for p in range(TILE):
        places[p] = p * g.yk
    for item in range(begin, end):
        first = item % strips * panels // strips
        panel = (item % strips + 1) * panels // strips
        c = first * LANES                  # channels c .. c + count
        count = min(panel * LANES, g.C) - c
        rest = item // strips
        k = rest % g.blocks * g.K // g.blocks
        last = (rest % g.blocks + 1) * g.K // g.blocks
        rest //= g.blocks
        group = rest % g.groups
        share = rest // g.groups
        tiles = (last - k + TILE - 1) // TILE
        run = chunks_now(&g.rounds, share, &at, &end_)
        for at in range(at, end_):
            n = chunk_place(g, at, &top, &bottom, &left, &right)
            fresh = begins_anew(&g.rounds, run, at)
            x = g.x + n * g.xn + (group * g.C + c) * g.xc \
                + (top * g.rows.stride + g.rows.offset) * g.xh \
                + (left * g.columns.stride + g.columns.offset) * g.xw
            pixels = (bottom - top) * (right - left)
            steps = cut_steps(bottom - top, right - left, g.yh, g.yw, not g.rounds.several)
            for i from 0 <= i < count by LANES:
                transpose_chunk(x + i * g.xc, g.xc, g.rows.stride * g.xh,
                                g.columns.stride * g.xw, bottom - top, right - left,
                                min(<Py_ssize_t> LANES, count - i),
                                VL if count - i <= VL else LANES, points + i * pixels)
            for t in range(tiles):
                filter = k + t * (last - k) // tiles
                filters = <int> (k + (t + 1) * (last - k) // tiles - filter)
                dy = g.dy + n * g.yn + (group * g.K + filter) * g.yk + top * g.yh + left * g.yw
                if not WALKS:
                    prefetch_chunk(g, dy + filters * g.yk, bottom - top, right - left, filters)
                partial = g.partial + ((share * g.groups + group) * g.K + filter) * g.C + c
                for i from 0 <= i < count by LANES:
                    vectors = 1 if count - i <= VL else NV
                    if WALKS:
                        walk_ahead(g, &steps, dy, partial, filters, t + 1 < tiles, i, count,
                                   pixels)
                    else:
                        for p in range(filters):
                            vprefetch_write(partial + p * g.C + i)
                    if count - i >= vectors * VL:
                        add_steps(filters, vectors, dy, places, points + i * pixels, &steps, fresh,
                                  partial + i, g.C)
                    else:
                        add_steps(filters, vectors, dy, places, points + i * pixels, &steps, True,
                                  <real*> total, vectors * VL)
                        add_filters(partial + i, g.C, total, filters, vectors, count - i, fresh)
            if g.rounds.sums == 1 and at + 1 == run_start(&g.rounds, run + 1):
                join_run(g, run, group * g.K + k, group * g.K + last, c, count)
                run += 1
