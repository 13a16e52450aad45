# Forward convolution in rows: tiles know the edges of the map, where the left one or two pixels
# miss the first taps and the right ones the last.
#
#   tap     0   1   2   3   4        In a step a tap adds to the pixels that see it, so the
#   pixel 0 .   .   x   x   x        padding is never multiplied, and the columns at the
#         1 .   x   x   x   x        edges need no tiles of their own, of a single pixel's
#         2 x   x   x   x   x        width and with scattered stores.  The order of a sum is
#       ... x   x   x   x   x        that of `tile`.
#         n x   x   x   x   .

cdef extern from *:
    """
    enum { CACHE_LINE = 64 / sizeof(real),
           ROW_TOTALS = ITEM_PIXELS * NV, RUN_PIXELS = 4 * TILE };
    """
    enum: CACHE_LINE                       # numbers of one
    enum: ROW_TOTALS
    enum: RUN_PIXELS                       # that are stored together, at least

cdef struct Edges:
    # numbers of neighbouring taps that two pixels at the left miss, that one misses, that all
    # see, that one pixel at the right misses, that two miss
    Py_ssize_t left2, left1, middle, right1, right2
    Py_ssize_t below           # from the first row of x to the one that the next tile below needs
    const real* next           # weights that are wanted soon, and lines of them for a channel
    Py_ssize_t lines


cdef inline void edge_steps(const int vectors, const int first, const int last,
                            const real** x, Py_ssize_t step, Py_ssize_t move, const real** w,
                            Py_ssize_t panel, Py_ssize_t count, vreal* acc) noexcept nogil:
    """`count` taps, in which the pixels first <= p < last take part."""
    cdef vreal weights[2 * NV]
    cdef vreal pixel
    cdef Py_ssize_t i
    cdef int p, v
    for i in range(count):
        for v in range(vectors):
            weights[v] = vload(w[0] + (v // NV) * panel + (v % NV) * VL)
        for p in range(first, last):
            pixel = vset1(x[0][p * step])
            for v in range(vectors):
                acc[p * vectors + v] = acc[p * vectors + v] + pixel * weights[v]
        x[0] = x[0] + move
        w[0] = w[0] + LANES


cdef inline void edge_tile(const int pixels, const int vectors, const real* x, Py_ssize_t step,
                           const real* w, Py_ssize_t panel, const Nest* nest,
                           const Edges* edges, vreal* total) noexcept nogil:
    """As `tile`, but that the innermost loop goes over the taps of `edges`.

    Between two channels it asks for numbers that come next: rows of x are in as many pages as
    there are channels, more than a hardware prefetcher follows.
    """
    cdef vreal acc[TILE * NV]
    cdef const real* xp
    cdef const real* wp
    cdef Py_ssize_t i1, i2
    cdef int p
    for p in range(pixels * vectors):
        acc[p] = vzero()
    for i1 in range(nest.n1):
        vprefetch(x + i1 * nest.x1 + edges.below)
        for i2 in range(edges.lines):
            vprefetch(edges.next + (i1 * edges.lines + i2) * CACHE_LINE)
            if vectors > NV:
                vprefetch(edges.next + panel + (i1 * edges.lines + i2) * CACHE_LINE)
        for i2 in range(nest.n2):
            xp = x + i1 * nest.x1 + i2 * nest.x2
            wp = w + i1 * nest.w1 + i2 * nest.w2
            edge_steps(vectors, 2, pixels, &xp, step, nest.x3, &wp, panel, edges.left2, acc)
            edge_steps(vectors, 1, pixels, &xp, step, nest.x3, &wp, panel, edges.left1, acc)
            edge_steps(vectors, 0, pixels, &xp, step, nest.x3, &wp, panel, edges.middle, acc)
            edge_steps(vectors, 0, pixels - 1, &xp, step, nest.x3, &wp, panel, edges.right1, acc)
            edge_steps(vectors, 0, pixels - 2, &xp, step, nest.x3, &wp, panel, edges.right2, acc)
    if nest.fresh:
        for p in range(pixels * vectors):
            total[p] = vzero() + acc[p]
    else:
        for p in range(pixels * vectors):
            total[p] = total[p] + acc[p]


cdef void wide_edges(int pixels, const real* x, Py_ssize_t step, const real* w,
                     const Nest* nest, const Edges* edges, vreal* total) noexcept nogil:
    """A tile of up to TILE pixels by one panel; the widths a target lacks are compiled out."""
    if TILE >= 14 and pixels == 14:
        edge_tile(14, NV, x, step, w, 0, nest, edges, total)
    elif TILE >= 13 and pixels == 13:
        edge_tile(13, NV, x, step, w, 0, nest, edges, total)
    elif TILE >= 12 and pixels == 12:
        edge_tile(12, NV, x, step, w, 0, nest, edges, total)
    elif TILE >= 11 and pixels == 11:
        edge_tile(11, NV, x, step, w, 0, nest, edges, total)
    elif TILE >= 10 and pixels == 10:
        edge_tile(10, NV, x, step, w, 0, nest, edges, total)
    elif TILE >= 9 and pixels == 9:
        edge_tile(9, NV, x, step, w, 0, nest, edges, total)
    elif TILE >= 8 and pixels == 8:
        edge_tile(8, NV, x, step, w, 0, nest, edges, total)
    elif TILE >= 7 and pixels == 7:
        edge_tile(7, NV, x, step, w, 0, nest, edges, total)
    elif pixels == 6:
        edge_tile(6, NV, x, step, w, 0, nest, edges, total)
    elif pixels == 5:
        edge_tile(5, NV, x, step, w, 0, nest, edges, total)
    elif pixels == 4:
        edge_tile(4, NV, x, step, w, 0, nest, edges, total)
    elif pixels == 3:
        edge_tile(3, NV, x, step, w, 0, nest, edges, total)
    elif pixels == 2:
        edge_tile(2, NV, x, step, w, 0, nest, edges, total)
    else:
        edge_tile(1, NV, x, step, w, 0, nest, edges, total)


cdef void narrow_edges(int pixels, const real* x, Py_ssize_t step, const real* w,
                       Py_ssize_t panel, const Nest* nest, const Edges* edges,
                       vreal* total) noexcept nogil:
    """A tile of up to NARROW pixels by two panels."""
    if NARROW >= 7 and pixels == 7:
        edge_tile(7, 2 * NV, x, step, w, panel, nest, edges, total)
    elif NARROW >= 6 and pixels == 6:
        edge_tile(6, 2 * NV, x, step, w, panel, nest, edges, total)
    elif NARROW >= 5 and pixels == 5:
        edge_tile(5, 2 * NV, x, step, w, panel, nest, edges, total)
    elif NARROW >= 4 and pixels == 4:
        edge_tile(4, 2 * NV, x, step, w, panel, nest, edges, total)
    elif pixels == 3:
        edge_tile(3, 2 * NV, x, step, w, panel, nest, edges, total)
    elif pixels == 2:
        edge_tile(2, 2 * NV, x, step, w, panel, nest, edges, total)
    else:
        edge_tile(1, 2 * NV, x, step, w, panel, nest, edges, total)


cdef inline bint edges_fit(const Convolution* c) noexcept nogil:
    """Whether rows can be cut into tiles that know their edges (edges.pxi): at each end at most
    two outputs miss a tap, and no tap is missed at both.  Four pixels are eight sums at once,
    with which two units are busy that take four cycles for one."""
    cdef const Axis* axis = &c.columns
    cdef Py_ssize_t first, last, low, high
    if c.taps_first or c.R * c.S == 1 or axis.outputs < 4 * ceil_div(axis.outputs, TILE):
        return False
    taps_inside(axis, 0, &low, &last)
    taps_inside(axis, axis.outputs - 1, &first, &high)
    if low > high:
        return False
    taps_inside(axis, 2, &low, &last)
    taps_inside(axis, axis.outputs - 3, &first, &high)
    return low == 0 and high == axis.taps


cdef inline void look_at_edges(const Axis* axis, Py_ssize_t first, Py_ssize_t pixels,
                               Edges* edges) noexcept nogil:
    """The taps of `pixels` outputs from `first` on, by how many pixels at each end miss them."""
    cdef Py_ssize_t l1, l2, r1, r2, other
    taps_inside(axis, first, &l1, &other)
    taps_inside(axis, first + 1, &l2, &other)
    taps_inside(axis, first + pixels - 1, &other, &r1)
    taps_inside(axis, first + pixels - 2, &other, &r2)
    edges.left2, edges.left1, edges.middle = l2, l1 - l2, r1 - l1
    edges.right1, edges.right2 = r2 - r1, axis.taps - r2


cdef void convolve_rows(const Convolution* c, Py_ssize_t top, Py_ssize_t bottom, Py_ssize_t left,
                        Py_ssize_t right, const real* x, real* y, const real* w,
                        const real* after, const real* bias, Py_ssize_t channels,
                        bint pair) noexcept nogil:
    """Outputs of some rows and columns for one panel, or two where `pair`, a block of channels
    at a time: its weights stay in the cache for all of them.  Where `after` is not NULL they do
    not stay there until they are wanted again, and `after` is what is wanted after these."""
    cdef vreal totals[ROW_TOTALS]
    cdef vreal* total
    cdef Destination to
    cdef Nest nest
    cdef Edges edges
    cdef int most = NARROW if pair else TILE
    cdef int vectors = 2 * NV if pair else NV
    cdef Py_ssize_t pieces = (right - left + most - 1) // most
    cdef Py_ssize_t panel = c.C * c.R * c.S * LANES
    cdef Py_ssize_t step = c.columns.stride * c.xw
    cdef Py_ssize_t channel, i, piece, first, r0, r1
    cdef const real* xb
    cdef const real* wb
    cdef int pixels
    cdef int run = 0           # outputs that are summed and wait to be stored together
    cdef bint flat = left == 0 and right == c.columns.outputs and c.yh == right * c.yw
    cdef bint last
    cdef const real* ahead
    cdef Py_ssize_t done, tiles = (bottom - top) * pieces
    edges.lines = 0
    if after != NULL:  # every tile asks for its share of the next block
        edges.lines = ceil_div(c.R * c.S * LANES, CACHE_LINE * tiles)
    to.channel, to.pixel, to.relu, to.bias = c.yk, c.yw, c.relu, bias
    nest.x1, nest.x2, nest.x3 = c.xc, c.rows.dilation * c.xh, c.columns.dilation * c.xw
    nest.w1, nest.w2 = c.R * c.S * LANES, c.S * LANES
    for channel from 0 <= channel < c.C by c.block:
        last = channel + c.block >= c.C
        ahead = after if last else w + (channel + c.block) * nest.w1
        done = 0
        nest.n1 = min(c.block, c.C - channel)
        nest.fresh = channel == 0
        total = totals
        for i in range(top, bottom):
            taps_inside(&c.rows, i, &r0, &r1)
            nest.n2 = r1 - r0
            wb = w + channel * nest.w1 + r0 * nest.w2
            for piece in range(pieces):  # pieces of nearly equal length
                first = left + piece * (right - left) // pieces
                pixels = <int> (left + (piece + 1) * (right - left) // pieces - first)
                look_at_edges(&c.columns, first, pixels, &edges)
                xb = x + channel * c.xc + (i * c.rows.stride + c.rows.offset) * c.xh \
                    + r0 * nest.x2 + (first * c.columns.stride + c.columns.offset) * c.xw
                if last:
                    if run == 0:
                        to.y = y + i * c.yh + first * c.yw
                    prefetch_tile(&to, min(channels, <Py_ssize_t> vectors * VL), run, pixels)
                edges.below = (c.R - r0) * nest.x2
                edges.next = ahead + done * edges.lines * c.block * CACHE_LINE
                done += 1
                if pair:
                    narrow_edges(pixels, xb, step, wb, panel, &nest, &edges, total)
                elif TILE < 12 and edges.middle == c.S:
                    # steps are so few cycles that the loops around them count
                    nest.n3 = c.S
                    wide_tile(pixels, xb, step, wb, &nest, total)
                else:
                    wide_edges(pixels, xb, step, wb, &nest, &edges, total)
                total += pixels * vectors
                if last:
                    run += pixels
                    if run >= RUN_PIXELS or piece == pieces - 1 and not (flat and i < bottom - 1):
                        store_tile(&to, total - run * vectors, run, vectors, channels)
                        run = 0
                        if c.C <= c.block:
                            total = totals
