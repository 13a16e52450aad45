# Forward convolution, a block of whole rows at a time, in the tiles of edges.pxi.

cdef extern from *:
    """
    enum { RUN_PIXELS = 4 * TILE, MOST_PIECES = (ITEM_PIXELS + TILE - 1) / TILE,
           ROW_SUMS = ROW_TOTALS * (1 + SUMS_WAIT) };
    """
    enum: ROW_SUMS                         # totals, and sums that wait for the rest of a block
    enum: MOST_PIECES                      # pieces of a row; of a pair's, which is narrow, one
    enum: RUN_PIXELS                       # pixels that are stored together, at least


cdef struct Piece:
    # some neighbouring pixels of every row, which are a tile
    Py_ssize_t first           # column of the first pixel
    Py_ssize_t at              # where it begins to read, from column 0 of the map on
    int pixels
    Edges edges


cdef inline bint edges_within(const Axis* axis, Py_ssize_t reach) noexcept nogil:
    """Whether at most `reach` outputs at each end miss a tap."""
    cdef Py_ssize_t low, high, other
    taps_inside(axis, reach, &low, &other)
    taps_inside(axis, axis.outputs - 1 - reach, &other, &high)
    return low == 0 and high == axis.taps


cdef inline int edges_fit(const Convolution* c) noexcept nogil:
    """Whether rows can be cut into tiles that know their edges (edges.pxi): at each end at most
    two outputs miss a tap, or five, and no tap is missed at both ends.  Return the kind of edges,
    or 0.

    A tile has at least four pixels: these are eight sums at once, which keep two units busy that
    take four cycles for an addition.
    """
    cdef const Axis* axis = &c.columns
    cdef Py_ssize_t first, last, low, high
    if c.taps_first or c.R * c.S == 1 or axis.outputs < 4 * ceil_div(axis.outputs, TILE):
        return 0
    taps_inside(axis, 0, &low, &last)
    taps_inside(axis, axis.outputs - 1, &first, &high)
    if low >= high:
        return 0
    if edges_within(axis, 2):
        return ANY_TAPS
    return FAR_TAPS if FAR_EDGES and edges_within(axis, 5) else 0


cdef inline void add_nothing(const Nest* nest, int count, vreal* total) noexcept nogil:
    """Add a block in a row all of whose taps lie in the padding: only a fresh total is written."""
    cdef int i
    if nest.fresh:
        for i in range(count):
            total[i] = vzero()


cdef inline void look_at_edges(const Axis* axis, Py_ssize_t first, Py_ssize_t pixels,
                               bint three, int kind, Edges* edges) noexcept nogil:
    """Count the taps of `pixels` outputs, from `first` on, by how many pixels at each end miss
    them.  `three` says whether neighbouring taps and pixels are neighbours in memory."""
    cdef Py_ssize_t l1, l2, r1, r2, other
    taps_inside(axis, first, &l1, &other)
    taps_inside(axis, first + 1, &l2, &other)
    taps_inside(axis, first + pixels - 1, &other, &r1)
    taps_inside(axis, first + pixels - 2, &other, &r2)
    edges.left2, edges.left1, edges.middle = l2, l1 - l2, r1 - l1
    edges.right1, edges.right2 = r2 - r1, axis.taps - r2
    edges.kind = ANY_TAPS
    if axis.taps == 3 and three and l2 == 0 and r2 == axis.taps:
        edges.kind = <int> (l1 + 2 * (axis.taps - r1))
    if kind == FAR_TAPS:
        look_further(axis, first, pixels, edges)


cdef inline void look_further(const Axis* axis, Py_ssize_t first, Py_ssize_t pixels,
                              Edges* edges) noexcept nogil:
    """Count the taps that three pixels and more miss, which `look_at_edges` took for those that
    two miss."""
    cdef Py_ssize_t at, other
    cdef Py_ssize_t l[3]
    cdef Py_ssize_t r[3]
    for at in range(3):
        taps_inside(axis, first + 2 + at, &l[at], &other)
        taps_inside(axis, first + pixels - 3 - at, &other, &r[at])
    if l[0] > 0 or r[0] < axis.taps:
        edges.kind = FAR_TAPS
    edges.left2 -= l[0]
    edges.left3, edges.left4, edges.left5 = l[0] - l[1], l[1] - l[2], l[2]
    edges.right2 -= axis.taps - r[0]
    edges.right3, edges.right4, edges.right5 = r[1] - r[0], r[2] - r[1], axis.taps - r[2]


cdef inline bint cut_row(const Convolution* c, Py_ssize_t left, Py_ssize_t right, int count,
                         bint three, Py_ssize_t lines, Piece* pieces) noexcept nogil:
    """Cut a row into pieces of nearly equal length, and return whether all have three taps.  Rows
    have the same ones, and to look for edges at every tile would take a twentieth of the time where
    channels are few."""
    cdef Piece* piece
    cdef bint all_three = True
    cdef Py_ssize_t first, end = left
    cdef int i
    for i in range(count):
        first, end = end, left + (i + 1) * (right - left) // count
        piece = &pieces[i]
        piece.first, piece.pixels = first, <int> (end - first)
        piece.at = (first * c.columns.stride + c.columns.offset) * c.xw
        look_at_edges(&c.columns, first, piece.pixels, three, c.edges, &piece.edges)
        piece.edges.lines = lines
        all_three = all_three and piece.edges.kind < ANY_TAPS
    return all_three


cdef inline Py_ssize_t part_of(const Convolution* c, Py_ssize_t block,
                               Py_ssize_t width) noexcept nogil:
    """How many channels of a block go through all tiles before the others.

    If the weights of a block and the rows that they meet do not share the L1, every tile reads both
    from the L2.  So the weights of a part take a third, and neighbouring tiles find the lines of x.
    Totals pass through once for each part, and are not counted.
    """
    cdef Py_ssize_t l1 = CACHES.l1 // <Py_ssize_t> sizeof(real)
    cdef Py_ssize_t weights = c.R * c.S * LANES
    if block * (weights + c.R * width) <= l1:
        return block
    return ceil_div(block, ceil_div(block * weights, l1 // 3))


cdef void convolve_rows(const Convolution* c, Py_ssize_t top, Py_ssize_t bottom, Py_ssize_t left,
                        Py_ssize_t right, const real* x, real* y, const real* w,
                        const real* after, const real* bias, Py_ssize_t channels,
                        bint pair) noexcept nogil:
    """Write some rows and columns of outputs for one panel, or for two where `pair`.

    It goes through a block of channels at a time, or a part of one, whose weights stay in the cache
    for all outputs.  If the weights do not stay in the cache until the next item, `after` points to
    the weights that are needed next, to prefetch them; else it is NULL.
    """
    cdef vreal totals[ROW_SUMS]
    cdef vreal* total
    cdef Destination to
    cdef Nest nest
    cdef Piece pieces[MOST_PIECES]
    cdef Piece* piece
    cdef Edges* edges
    cdef Py_ssize_t width = right - left
    cdef int most = NARROW if pair else TILE
    cdef int vectors = 2 * NV if pair else 1 if channels <= VL else NV
    cdef int count = <int> ((width + most - 1) // most)
    cdef Py_ssize_t kernel = c.R * c.S * LANES, panel = c.C * kernel
    cdef Py_ssize_t step = c.columns.stride * c.xw, down = c.rows.dilation * c.xh
    cdef Py_ssize_t channel, first, end    # a part begins at `channel`, its block is first .. end
    cdef Py_ssize_t i, r0, r1
    cdef const real* row
    cdef const real* xb
    cdef const real* wb
    cdef int k, pixels
    cdef int run = 0           # outputs whose sums wait to be stored together
    cdef bint flat = left == 0 and right == c.columns.outputs and c.yh == right * c.yw
    cdef bint three = THREE_TAPS and step == 1 and c.columns.dilation * c.xw == 1
    cdef bint all_three, in_parts, last, planes
    cdef const real* ahead
    cdef Py_ssize_t share, lines = 0
    if after != NULL:  # every tile prefetches its share of the next block
        lines = ceil_div(c.R * c.S * LANES, CACHE_LINE * (bottom - top) * count)
    all_three = cut_row(c, left, right, count, three, lines, pieces) and vectors == NV
    to.channel, to.pixel, to.bias, to.relu, to.adds = c.yk, c.yw, bias, c.relu, c.adds
    # only rows of whole vectors: `store_planes` would write over the totals of the next row
    planes = vectors == NV and planes_collide(&to) and (flat or width % VL == 0)
    set_moves(&nest, c.xc, down, c.columns.dilation * c.xw, kernel, c.S * LANES)
    channel = first = 0
    while channel < c.C:
        end = min(first + c.block, c.C)
        nest.n1 = end - channel
        if SUMS_WAIT and all_three:
            nest.n1 = min(nest.n1, part_of(c, end - first, width))
        in_parts = SUMS_WAIT and nest.n1 < end - first
        nest.fresh, nest.resume, nest.ends = first == 0, channel > first, channel + nest.n1 == end
        last = channel + nest.n1 == c.C
        ahead = w + (channel + c.block) * kernel
        if end == c.C:
            ahead = after + (channel - first) * kernel if after != NULL else NULL
        share = lines * nest.n1 * CACHE_LINE
        total = totals
        for i in range(top, bottom):
            taps_inside(&c.rows, i, &r0, &r1)
            nest.n2 = r1 - r0
            wb = w + channel * kernel + r0 * c.S * LANES
            row = x + channel * c.xc + (i * c.rows.stride + c.rows.offset) * c.xh + r0 * down
            for k in range(count):
                piece = &pieces[k]
                pixels, edges, xb = piece.pixels, &piece.edges, row + piece.at
                if last:
                    if run == 0:
                        to.y = y + i * c.yh + piece.first * c.yw
                    prefetch_tile(&to, min(channels, <Py_ssize_t> vectors * VL), run, pixels)
                edges.below, edges.next = (c.R - r0) * down, ahead
                ahead = ahead + share
                if nest.n2 == 0:
                    add_nothing(&nest, pixels * vectors, total)
                elif pair:
                    narrow_edges(pixels, xb, step, wb, panel, &nest, edges, total)
                elif vectors == 1:
                    slim_edges(pixels, xb, step, wb, &nest, edges, total)
                elif TILE < 12 and edges.middle == c.S and edges.kind == ANY_TAPS:
                    # a step takes so few cycles that the loops around it count
                    nest.n3 = c.S
                    wide_tile(pixels, xb, step, wb, &nest, total)
                elif in_parts:
                    part_edges(pixels, xb, step, wb, &nest, edges, total)
                else:
                    wide_edges(pixels, xb, step, wb, &nest, edges, total)
                total += pixels * vectors
                if not last:
                    continue
                run += pixels
                if k < count - 1 or (flat and i < bottom - 1):
                    if planes or run < RUN_PIXELS:
                        continue
                if planes:
                    store_planes(&to, total - run * vectors, run, channels)
                else:
                    store_tile(&to, total - run * vectors, run, vectors, channels)
                run = 0
                if nest.n1 == c.C:         # no other part needs them
                    total = totals
        channel += nest.n1
        if nest.ends:
            first = channel
