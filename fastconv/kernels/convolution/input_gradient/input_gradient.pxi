# The gradient of the input in whole rows, with channels in the lanes and neighbouring pixels of dx
# in a tile.  Every tap is a sum over filters of its own, which is added to the pixels that see it:
#
#   tap     0   1   2          One or two pixels at an end of the row miss taps.  The loop of such
#   pixel 0 x   x   .          a tap leaves them out, so the padding is never multiplied, and
#         1 x   x   x          columns at the edge need no tiles of their own.
#       ...
#         n .   x   x          With a stride, the phases of a row are summed one after the other
#                              and stored together, so that whole rows are written.
#
# The order of a sum is that of convolution.pxi.

cdef extern from *:
    """
    enum { MOST_PHASES = 2 };
    """
    enum: MOST_PHASES                      # the largest stride

cdef struct InputGradient:
    const Convolution* c                   # its x is dy, and its y is dx
    Axis rows[MOST_PHASES]
    Axis columns[MOST_PHASES]
    Py_ssize_t H, W, down, across          # rows and columns of dx; the stride


cdef inline Axis phase_axis(Py_ssize_t phase, Py_ssize_t inputs, Py_ssize_t outputs,
                            Py_ssize_t taps, Py_ssize_t stride, Py_ssize_t pad,
                            Py_ssize_t dilation) noexcept nogil:
    """The axis of a convolution of dy whose outputs are every stride-th input, from `phase` on.

    Tap r joins input p and output (p + pad - r * dilation) / stride, if that is a whole number.
    For one phase these are every (stride / gcd)-th tap, and dy is read backwards.
    """
    cdef Axis axis
    cdef Py_ssize_t a = stride
    cdef Py_ssize_t b = dilation
    cdef Py_ssize_t r = 0
    while b:
        a, b = b, a % b
    axis.every = stride // a
    while r < min(axis.every, taps) and (phase + pad - r * dilation) % stride != 0:
        r += 1
    axis.first = r
    axis.taps = (taps - 1 - r) // axis.every + 1 if r < min(axis.every, taps) else 0
    axis.outputs = (inputs - phase + stride - 1) // stride
    axis.inputs = outputs
    axis.stride = 1
    axis.offset = (phase + pad - r * dilation) // stride if axis.taps else 0
    axis.dilation = -(dilation // a)
    return axis


cdef inline void add_tap(const int first, const int last, const int vectors, const real* dy,
                         Py_ssize_t move, const real* w, Py_ssize_t filters,
                         vreal* total) noexcept nogil:
    """total[first .. last] += the sum of one tap."""
    cdef vreal acc[TILE * NV]
    cdef vreal weights[NV]
    cdef vreal pixel
    cdef Py_ssize_t i
    cdef int p, v
    for p in range(first * vectors, last * vectors):
        acc[p] = vzero()
    for i in range(filters):
        for v in range(vectors):
            weights[v] = vload(w + v * VL)
        for p in range(first, last):
            pixel = vset1(dy[p])
            for v in range(vectors):
                acc[p * vectors + v] = vadd_product(acc[p * vectors + v], pixel, weights[v])
        dy = dy + move
        w = w + LANES
    for p in range(first * vectors, last * vectors):
        total[p] = total[p] + acc[p]


cdef void add_few(int pixels, int vectors, const real* dy, Py_ssize_t move, const real* w,
                  Py_ssize_t filters, vreal* total) noexcept nogil:
    """As `add_tap`, for a tap that pixels at both ends miss, or more than two pixels."""
    cdef Nest nest
    nest.n1, nest.n2, nest.n3, nest.fresh = 1, 1, filters, False
    set_moves(&nest, 0, 0, move, 0, 0)
    if vectors == 1:
        slim_tile(pixels, dy, 1, w, &nest, total)
    else:
        wide_tile(pixels, dy, 1, w, &nest, total)


cdef inline void input_tile(const int pixels, const int vectors, const Convolution* c,
                            const Axis* rows, const Axis* columns, Py_ssize_t r0, Py_ssize_t r1,
                            const real* dy, const real* w, Py_ssize_t first, int every,
                            vreal* to) noexcept nogil:
    """Compute the whole sums of neighbouring pixels of one phase; in `to` they are `every` pixels
    apart.  dy is at tap (0, 0) of the first pixel, which is column `first` of the phase."""
    cdef vreal total[TILE * NV]
    cdef vreal aside[TILE * NV]
    cdef Py_ssize_t filter, count, r, s, left, right, low, high
    # from one tap to the next, and from one row of taps; by additions, see `edge_tile`
    cdef Py_ssize_t across = columns.dilation, down = rows.dilation * c.xh
    cdef Py_ssize_t w_across = columns.every * c.C * LANES, w_down = rows.every * c.S * c.C * LANES
    cdef const real* at_row
    cdef const real* w_row
    cdef const real* at
    cdef const real* wt
    cdef int p, v
    for p in range(pixels * vectors):
        total[p] = vzero()
    for filter from 0 <= filter < c.C by c.block:
        count = min(c.block, c.C - filter)
        at_row = dy + filter * c.xc + r0 * down
        w_row = w + (((rows.first + r0 * rows.every) * c.S + columns.first) * c.C
                     + filter) * LANES
        for r in range(r0, r1):
            at, wt = at_row, w_row
            left = -(first + columns.offset)
            for s in range(columns.taps):
                right = left + columns.inputs  # the pixels from left to right see the tap
                if left <= 0 and right >= pixels:
                    add_tap(0, pixels, vectors, at, c.xc, wt, count, total)
                elif left == 1 and right >= pixels:
                    add_tap(1, pixels, vectors, at, c.xc, wt, count, total)
                elif left == 2 and right >= pixels:
                    add_tap(2, pixels, vectors, at, c.xc, wt, count, total)
                elif left <= 0 and right == pixels - 1:
                    add_tap(0, pixels - 1, vectors, at, c.xc, wt, count, total)
                elif left <= 0 and right == pixels - 2:
                    add_tap(0, pixels - 2, vectors, at, c.xc, wt, count, total)
                else:
                    for p in range(pixels * vectors):
                        aside[p] = total[p]
                    low, high = max(left, <Py_ssize_t> 0), min(right, <Py_ssize_t> pixels)
                    if low < high:
                        add_few(<int> (high - low), vectors, at + low, c.xc, wt, count,
                                aside + low * vectors)
                    for p in range(pixels * vectors):
                        total[p] = aside[p]
                at, wt = at + across, wt + w_across
                left -= across
            at_row, w_row = at_row + down, w_row + w_down
    for p in range(pixels):
        for v in range(vectors):
            to[p * every * vectors + v] = total[p * vectors + v]


cdef inline void input_tiles(int pixels, const int vectors, const Convolution* c,
                             const Axis* rows, const Axis* columns, Py_ssize_t r0, Py_ssize_t r1,
                             const real* dy, const real* w, Py_ssize_t first, int every,
                             vreal* to) noexcept nogil:
    """A tile of up to TILE pixels; widths that a target lacks are compiled out."""
    if TILE >= 14 and pixels == 14:
        input_tile(14, vectors, c, rows, columns, r0, r1, dy, w, first, every, to)
    elif TILE >= 13 and pixels == 13:
        input_tile(13, vectors, c, rows, columns, r0, r1, dy, w, first, every, to)
    elif TILE >= 12 and pixels == 12:
        input_tile(12, vectors, c, rows, columns, r0, r1, dy, w, first, every, to)
    elif TILE >= 11 and pixels == 11:
        input_tile(11, vectors, c, rows, columns, r0, r1, dy, w, first, every, to)
    elif TILE >= 10 and pixels == 10:
        input_tile(10, vectors, c, rows, columns, r0, r1, dy, w, first, every, to)
    elif TILE >= 9 and pixels == 9:
        input_tile(9, vectors, c, rows, columns, r0, r1, dy, w, first, every, to)
    elif TILE >= 8 and pixels == 8:
        input_tile(8, vectors, c, rows, columns, r0, r1, dy, w, first, every, to)
    elif TILE >= 7 and pixels == 7:
        input_tile(7, vectors, c, rows, columns, r0, r1, dy, w, first, every, to)
    elif pixels == 6:
        input_tile(6, vectors, c, rows, columns, r0, r1, dy, w, first, every, to)
    elif pixels == 5:
        input_tile(5, vectors, c, rows, columns, r0, r1, dy, w, first, every, to)
    elif pixels == 4:
        input_tile(4, vectors, c, rows, columns, r0, r1, dy, w, first, every, to)
    else:
        input_tile(3, vectors, c, rows, columns, r0, r1, dy, w, first, every, to)


cdef void wide_input(int pixels, const Convolution* c, const Axis* rows, const Axis* columns,
                     Py_ssize_t r0, Py_ssize_t r1, const real* dy, const real* w,
                     Py_ssize_t first, int every, vreal* to) noexcept nogil:
    input_tiles(pixels, NV, c, rows, columns, r0, r1, dy, w, first, every, to)


cdef void slim_input(int pixels, const Convolution* c, const Axis* rows, const Axis* columns,
                     Py_ssize_t r0, Py_ssize_t r1, const real* dy, const real* w,
                     Py_ssize_t first, int every, vreal* to) noexcept nogil:
    """For the first vector of a panel alone: then both sums and totals are in registers."""
    input_tiles(pixels, 1, c, rows, columns, r0, r1, dy, w, first, every, to)


cdef void input_rows(void* args, Py_ssize_t begin, Py_ssize_t end) noexcept nogil:
    """Items are (group, panel, image, block of rows); the last varies fastest.  So neighbouring
    items share their weights."""
    cdef const InputGradient* g = <const InputGradient*> args
    cdef const Convolution* c = g.c
    cdef vreal totals[(RUN_PIXELS + MOST_PHASES * TILE) * NV]
    cdef Destination to
    cdef const Axis* rows
    cdef const Axis* columns
    cdef Py_ssize_t item, rest, group, panel, n, h, bottom, i, r0, r1, piece, first, last, channels
    cdef Py_ssize_t panel_size = c.C * c.R * c.S * LANES
    cdef Py_ssize_t pieces = (g.columns[0].outputs + TILE - 1) // TILE
    cdef const real* dy
    cdef const real* at
    cdef const real* w
    cdef real* dx
    cdef int j, pixels, vectors
    cdef Py_ssize_t run
    to.channel, to.pixel, to.relu, to.adds, to.bias = c.yk, 1, False, False, NULL
    for item in range(begin, end):
        rest = item
        h = rest % c.row_blocks * c.row_height
        bottom = min(h + c.row_height, g.H)
        rest //= c.row_blocks
        n = rest % c.N
        rest //= c.N
        panel = rest % c.panels
        group = rest // c.panels
        w = c.w + (group * c.panels + panel) * panel_size
        channels = c.K - panel * LANES
        vectors = 1 if channels <= VL else NV
        dy = c.x + n * c.xn + group * c.C * c.xc
        dx = c.y + n * c.yn + (group * c.K + panel * LANES) * c.yk
        run = 0
        while h < bottom:
            rows = &g.rows[h % g.down]
            i = h // g.down
            taps_inside(rows, i, &r0, &r1)
            for piece in range(pieces):  # pieces of nearly equal length
                first = piece * g.columns[0].outputs // pieces
                last = (piece + 1) * g.columns[0].outputs // pieces
                if run == 0:
                    to.y = dx + h * c.yh + first * g.across
                prefetch_tile(&to, min(channels, <Py_ssize_t> vectors * VL), <int> run,
                              <int> ((last - first) * g.across))
                for j in range(<int> g.across):
                    columns = &g.columns[j]
                    pixels = <int> (min(last, columns.outputs) - first)
                    at = dy + (i + rows.offset) * c.xh + first + columns.offset
                    if vectors == 1:
                        slim_input(pixels, c, rows, columns, r0, r1, at, w, first, <int> g.across,
                                   totals + run + j)
                    else:
                        wide_input(pixels, c, rows, columns, r0, r1, at, w, first, <int> g.across,
                                   totals + (run + j) * NV)
                run += min(last * g.across, g.W) - first * g.across
                if run >= RUN_PIXELS or piece == pieces - 1 and (h == bottom - 1 or c.yh != g.W):
                    store_tile(&to, totals, <int> run, vectors, channels)
                    run = 0
            h += 1


cdef inline bint fills_tiles(Py_ssize_t pixels) noexcept nogil:
    """Whether a row can be cut into tiles of four or more pixels, nearly.  Four pixels are as many
    sums at once as keep two units busy that take four cycles for an addition."""
    return pixels >= 4 * ceil_div(pixels, TILE)


cdef bint plan_rows(InputGradient* g, Convolution* c, const Axis* rows,
                    const Axis* columns) noexcept nogil:
    """Whether `input_rows` may do the gradient of a forward pass along these axes; if so, cut it
    into items."""
    cdef Py_ssize_t sums = ITEM_WORK // (LANES * c.C * c.R * c.S) + 1
    cdef Py_ssize_t least = columns.inputs // columns.stride
    cdef int i
    g.c = c
    g.H, g.W, g.down, g.across = rows.inputs, columns.inputs, rows.stride, columns.stride
    if c.R * c.S == 1 and g.across == 1 or c.xw != 1 or c.yw != 1 or g.W > ITEM_PIXELS * 4 \
            or g.down > MOST_PHASES or g.across > MOST_PHASES or g.H < g.down \
            or not fills_tiles(least):
        return False
    for i in range(<int> g.down):
        g.rows[i] = phase_axis(i, g.H, rows.outputs, rows.taps, g.down, -rows.offset,
                               rows.dilation)
    for i in range(<int> g.across):
        g.columns[i] = phase_axis(i, g.W, columns.outputs, columns.taps, g.across,
                                  -columns.offset, columns.dilation)
    c.panels = (c.K + LANES - 1) // LANES
    c.row_height = clamp(min(sums, <Py_ssize_t> ITEM_PIXELS) // g.W, 1, g.H)
    c.row_height = shared_rows(c.row_height, g.H, c.groups * c.panels * c.N, c.threads)
    c.row_blocks = ceil_div(g.H, c.row_height)
    return True
