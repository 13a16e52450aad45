# Forward convolution with pixels in the lanes, from a strip of the map that is laid out anew
# in a small buffer.  It is for sums of at most STRIP_TAPS products, as first layers have.  Storing
# such a sum costs as much as computing it, and here whole vectors go straight to NCHW.
#
#               lanes: neighbouring pixels                 Weights are broadcast from the
#              +-----------+-----------+-----------+       panels of convolution.pxi.  Few
#   filter 0   | acc[0][0] | acc[0][1] | acc[0][2] |       filters at a time: their planes
#      ...     |           |           |           |       often lie at the same place in
#   filter 7   |           |           |           |       a page, and more of them would
#              +-----------+-----------+-----------+       push each other out of the L1.
#
# A strip is a block of output rows.  The buffer holds the rows of the map that they see, with
# the zeros of the padding.  It has `copies` copies of each row: copy m is every stride-th number
# from m - pad on.  Where copies = stride, tap s is in copy s % stride, moved by s / stride.  Where
# copies = S, every tap has its own copy, as wide as the output, and the outputs of all rows of the
# strip follow each other without a gap: so narrow maps fill whole vectors.
#
# A convolution with a 1x1 kernel and few channels reads the map in place, as one long row; for more
# channels see points.pxi.  Its sums are short beside what a line of cache takes on its way, so the
# lines of the results are asked for while they are made.  First layers gained nothing from that.
# Where that is done, the gradient of the input with stride 1 is the same walk over dy.
#
# Sums have the order of convolution.pxi, and the whole sum is one block.  A zero of the padding
# times a finite weight changes no bit of it.

cdef extern from *:
    """
    enum { STRIP_TAPS = 128, STRIP_CHANNELS = 4, STRIP_ROWS = 8, TALL_ROWS = 24, TALL_IMAGES = 16,
           STRIP_COLUMNS = 6,
           STRIP_VECTORS = TILE >= 12 || VL * sizeof(real) == 32 ? 3 : 2,
           STRIP_LINES = STRIP_VECTORS + 1, STRIPS_ASK = VL * sizeof(real) >= 64,
           STRIP_FILTERS = TILE >= 12 && LANES >= 8 ? 8 : LANES < 4 ? LANES : 4,
           STRIP_NUMBERS = (32 << 10) / sizeof(real), STRIP_MEMORY = STRIP_NUMBERS / VL };
    """
    enum: STRIP_TAPS
    enum: STRIP_CHANNELS                   # most channels, unless the map is read in place
    enum: STRIP_ROWS                       # most rows of outputs
    enum: TALL_ROWS                        # most, if TALL_IMAGES make enough items for threads
    enum: TALL_IMAGES
    enum: STRIP_LINES                      # of a filter's results, which seldom begin with a line
    enum: STRIPS_ASK                       # where a vector is a line; no other target was measured
    enum: STRIP_COLUMNS                    # least vectors of a map that is read in place
    enum: STRIP_VECTORS
    enum: STRIP_FILTERS                    # divides LANES: no block crosses a panel
    enum: STRIP_NUMBERS                    # numbers in the buffer
    enum: STRIP_MEMORY

cdef struct Strips:
    const Convolution* c
    Py_ssize_t rows            # rows of outputs of a strip
    Py_ssize_t inputs          # rows of the map that they see
    Py_ssize_t copies, pitch   # copies of a row; numbers from one row to the next
    Py_ssize_t span            # numbers from one copy to the next
    Py_ssize_t taps
    Py_ssize_t asks            # lines of results that are asked for with every tap
    bint flat                  # whether rows of outputs follow each other without a gap
    bint in_place              # whether the map itself is read: one row, 1x1
    Py_ssize_t column_blocks   # blocks that the row is cut into, if it is read in place
    Py_ssize_t offset[STRIP_TAPS]  # from the first pixel of a tile to tap (c, r, s)


cdef bint plan_strips(Strips* plan, const Convolution* c) noexcept nogil:
    """Lay out the buffer; return whether a strip fits it and is worth it."""
    cdef Py_ssize_t stride = c.columns.stride
    cdef Py_ssize_t width = c.columns.outputs
    cdef Py_ssize_t i, rows, channel, r, s
    plan.c = c
    plan.asks = 0
    plan.taps = c.C * c.R * c.S
    plan.in_place = c.R * c.S == 1
    if c.taps_first and not (STRIPS_ASK and plan.in_place and c.rows.offset == 0
                             and c.columns.offset == 0 and c.rows.taps * c.columns.taps) \
            or not plan.in_place and (c.C > STRIP_CHANNELS or c.columns.dilation != 1
                                      or c.rows.dilation != 1) \
            or c.yw != 1 or plan.taps > STRIP_TAPS or c.C > c.block or stride > 2:
        return False
    if (pads(&c.rows) or pads(&c.columns)) and not all_finite(
            c.w, c.groups * ((c.K + LANES - 1) // LANES) * plan.taps * LANES):
        return False  # an infinity or NaN times a zero of the padding is NaN
    plan.column_blocks = 1
    if plan.in_place:
        # blocks of whole vectors, the last one at least as long as a tile
        plan.column_blocks = width // (STRIP_COLUMNS * VL)
        if stride != 1 or c.rows.outputs != 1 or c.xw != 1 or pads(&c.rows) \
                or pads(&c.columns) or plan.column_blocks == 0:
            return False
        plan.rows, plan.flat = 1, True
        if STRIPS_ASK:
            plan.asks = 1 if plan.taps >= STRIP_FILTERS * STRIP_LINES else 2
        for channel in range(c.C):
            plan.offset[channel] = channel * c.xc
        return True
    rows = clamp(ITEM_WORK // (width * c.K * plan.taps), 1,
                 min(<Py_ssize_t> TALL_ROWS if c.N * c.groups >= TALL_IMAGES else STRIP_ROWS,
                     c.rows.outputs))
    plan.rows = rows
    plan.flat = c.rows.stride == 1 and c.yh == width and width % VL != 0
    while True:
        plan.inputs = (plan.rows - 1) * c.rows.stride + c.R
        plan.copies = c.S if plan.flat else min(stride, c.S)
        plan.pitch = width if plan.flat else width + (c.S - 1) // stride
        plan.span = (plan.inputs * plan.pitch + VL - 1) // VL * VL + VL
        if c.C * plan.copies * plan.span + STRIP_VECTORS * VL <= STRIP_NUMBERS:
            break
        if plan.rows > 1:
            plan.rows -= 1
        elif plan.flat:
            plan.flat = False
            plan.rows = rows
        else:
            return False
    i = 0
    for channel in range(c.C):
        for r in range(c.R):
            for s in range(c.S):
                plan.offset[i] = (
                    (channel * plan.copies + s % plan.copies) * plan.span + r * plan.pitch
                    + s // plan.copies)
                i += 1
    return True


cdef void fill_copy(const Strips* plan, const real* x, Py_ssize_t top, Py_ssize_t inputs,
                    Py_ssize_t first, real* to) noexcept nogil:
    """to[row][j] = number first + j * stride in row top + row of the map x, or 0 outside the map.

    Whole vectors are written, so up to VL - 1 numbers after a row too; the next row comes there.
    """
    cdef const Convolution* c = plan.c
    cdef Py_ssize_t stride = c.columns.stride
    cdef Py_ssize_t begin = clamp(ceil_div(-first, stride), 0, plan.pitch)
    cdef Py_ssize_t end = clamp(floor_div(c.columns.inputs - 1 - first, stride) + 1, begin,
                                plan.pitch)
    cdef Py_ssize_t row, j
    cdef const real* at
    x = x + top * c.xh + first * c.xw
    for row in range(inputs):
        if top + row < 0 or top + row >= c.rows.inputs:
            for j from 0 <= j < plan.pitch by VL:
                vstore(to + j, vzero())
        elif c.xw != 1 or stride > 2:
            for j from 0 <= j < plan.pitch by VL:
                vstore(to + j, vload_lanes(x + j * stride * c.xw, stride * c.xw, begin - j,
                                           end - j))
        elif stride == 1:
            j = 0
            while j < begin:
                vstore(to + j, vload_where(x + j, lanes_between(begin - j, end - j)))
                j += VL
            while j + VL <= end:
                vstore(to + j, vload(x + j))
                j += VL
            while j < plan.pitch:
                vstore(to + j, vload_where(x + j, lanes_between(begin - j, end - j)))
                j += VL
        else:
            for j from 0 <= j < plan.pitch by VL:
                # every second number; the number after the last may lie outside the array
                at = x + 2 * j
                vstore(to + j, vevens(
                    vload_where(at, lanes_between(2 * (begin - j), 2 * (end - j) - 1)),
                    vload_where(at + VL, lanes_between(2 * (begin - j) - VL,
                                                       2 * (end - j) - 1 - VL))))
        x = x + c.xh
        to = to + plan.pitch


cdef void fill_strip(const Strips* plan, const real* x, Py_ssize_t top, Py_ssize_t inputs,
                     real* buffer) noexcept nogil:
    """Copy `inputs` rows of the map, from row `top` on; x is at its image and group."""
    cdef const Convolution* c = plan.c
    cdef Py_ssize_t channel, m
    for channel in range(c.C):
        for m in range(plan.copies):
            fill_copy(plan, x + channel * c.xc, top, inputs, m + c.columns.offset,
                      buffer + (channel * plan.copies + m) * plan.span)


cdef inline void store_strip(const int vectors, const bint relu, const bint whole,
                             const vreal* acc, const real* bias, int filters, real* y,
                             Py_ssize_t plane, Py_ssize_t last) noexcept nogil:
    """Finish and write a tile; `whole` says that all its filters and lanes are stored.

    Sums are so short that a test for every vector would show: for whole tiles both are constants.
    """
    cdef vreal value, added
    cdef int f, v
    for f in range(STRIP_FILTERS):
        if whole or f < filters:
            added = vset1(bias[f])
            for v in range(vectors):
                # 0 + sum: see `tile`
                value = vzero() + acc[f * vectors + v] + added
                if relu:
                    value = vrelu(value)
                if whole or v < vectors - 1:
                    vstore(y + v * VL, value)
                else:
                    vstore_n(y + v * VL, value, last)
            y = y + plane


cdef inline void add_strip(const int vectors, const bint relu, const vreal* acc,
                           const real* bias, int filters, real* y, Py_ssize_t plane,
                           Py_ssize_t done, Py_ssize_t last) noexcept nogil:
    """As `store_strip`, but results are added to what y holds, except in the first `done` lanes,
    which the tile before has written."""
    cdef vreal value, added
    cdef lanes_t lanes
    cdef int f, v
    for f in range(min(filters, <int> STRIP_FILTERS)):
        added = vset1(bias[f])
        for v in range(vectors):
            lanes = lanes_between(0 if v else done, VL if v < vectors - 1 else last)
            value = vload_where(y + v * VL, lanes) + (vzero() + acc[f * vectors + v] + added)
            vstore_where(y + v * VL, vrelu(value) if relu else value, lanes)
        y = y + plane


cdef inline void ask_for_results(real* y, Py_ssize_t plane, Py_ssize_t filters,
                                 Py_ssize_t line) noexcept nogil:
    """Prefetch one of the lines that a tile will write.  After the last there is no test, but the
    lines of the last filter are asked for again: planes beyond would be looked for in vain."""
    vprefetch(y + min(line // STRIP_LINES, filters - 1) * plane + line % STRIP_LINES * LINE)


cdef inline void strip_tile(const int vectors, const Strips* plan, const real* x,
                            const real* w, const real* bias, int filters, real* y,
                            Py_ssize_t done, Py_ssize_t last) noexcept nogil:
    """A tile of STRIP_FILTERS filters, the first `filters` of which are stored, by some vectors of
    pixels, the last with `last` pixels.  The first `done` pixels have been written."""
    cdef vreal acc[STRIP_FILTERS * STRIP_VECTORS]
    cdef vreal pixels[STRIP_VECTORS]
    cdef vreal weight
    cdef const real* at
    cdef Py_ssize_t tap
    cdef Py_ssize_t plane = plan.c.yk
    cdef int f, v
    for f in range(STRIP_FILTERS * vectors):
        acc[f] = vzero()
    for tap in range(plan.taps):
        at = x + plan.offset[tap]
        if STRIPS_ASK and plan.asks:
            ask_for_results(y, plane, filters, tap * plan.asks)
            if plan.asks > 1:
                ask_for_results(y, plane, filters, tap * plan.asks + 1)
        for v in range(vectors):
            pixels[v] = vload(at + v * VL)
        for f in range(STRIP_FILTERS):
            weight = vset1(w[f])
            for v in range(vectors):
                acc[f * vectors + v] = vadd_product(acc[f * vectors + v], weight, pixels[v])
        w = w + LANES
    if plan.c.adds:
        add_strip(vectors, plan.c.relu, acc, bias, filters, y, plane, done, last)
    elif filters < STRIP_FILTERS or last < VL:
        store_strip(vectors, plan.c.relu, False, acc, bias, filters, y, plane, last)
    elif plan.c.relu:
        store_strip(vectors, True, True, acc, bias, filters, y, plane, last)
    else:
        store_strip(vectors, False, True, acc, bias, filters, y, plane, last)


ctypedef void (*strip_t)(const void*, const Strips* plan, const real* x, const real* w,
                         const real* bias, int filters, real* y, Py_ssize_t done,
                         Py_ssize_t last) noexcept nogil


cdef void strip_tile_of(const strip_width* _, const Strips* plan, const real* x, const real* w,
                        const real* bias, int filters, real* y, Py_ssize_t done,
                        Py_ssize_t last) noexcept nogil:
    if sizeof(strip_width) <= STRIP_VECTORS:
        strip_tile(<int> sizeof(strip_width), plan, x, w, bias, filters, y, done, last)


cdef strip_t strip_tiles[4]
strip_tiles[:] = [
    NULL, <strip_t> strip_tile_of[n1], <strip_t> strip_tile_of[n2], <strip_t> strip_tile_of[n3],
]


cdef void strip_run(const Strips* plan, const real* x, const real* w, const real* bias,
                    int filters, real* y, Py_ssize_t pixels) noexcept nogil:
    """Write a run of outputs that follow each other in x and in y.  If it is long enough, the last
    tile is moved back over the one before it, and writes the same bits again, or adds nothing
    there."""
    cdef Py_ssize_t length = (pixels + VL - 1) // VL
    cdef Py_ssize_t pieces = (length + STRIP_VECTORS - 1) // STRIP_VECTORS
    cdef Py_ssize_t piece, first, end, vectors, done, last
    for piece in range(pieces):
        first = piece * length // pieces
        end = (piece + 1) * length // pieces
        vectors = end - first
        done = max(<Py_ssize_t> 0, min(first * VL, end * VL - pixels))
        first = first * VL - done
        last = min(<Py_ssize_t> VL, pixels - first - (vectors - 1) * VL)
        strip_tiles[vectors](NULL, plan, x + first, w, bias, filters, y + first, done, last)


cdef void convolve_strips(void* args, Py_ssize_t begin, Py_ssize_t end) noexcept nogil:
    """Items are (image, group, strip), or blocks of columns where the map is read in place."""
    cdef const Strips* plan = <const Strips*> args
    cdef const Convolution* c = plan.c
    cdef vreal memory[STRIP_MEMORY]
    cdef real zeros[STRIP_FILTERS]         # stand for a bias that is not there
    cdef real* buffer = <real*> memory
    cdef Py_ssize_t item, rest, n, group, top, rows, row, column, first, pixels, k
    cdef const real* x
    cdef int filters
    cdef const real* w
    cdef const real* bias
    cdef real* y
    memset(zeros, 0, STRIP_FILTERS * sizeof(real))
    for item in range(begin, end):
        rest = item
        column = rest % plan.column_blocks
        rest //= plan.column_blocks
        top = rest % c.row_blocks * plan.rows
        rows = min(plan.rows, c.rows.outputs - top)
        rest //= c.row_blocks
        group = rest % c.groups
        n = rest // c.groups
        x = c.x + n * c.xn + group * c.C * c.xc
        first = column * c.columns.outputs // plan.column_blocks // VL * VL
        pixels = rows * c.columns.outputs
        if plan.in_place:
            x = x + first
            if column + 1 < plan.column_blocks:
                pixels = (column + 1) * c.columns.outputs // plan.column_blocks // VL * VL
            pixels -= first
        else:
            fill_strip(plan, x, top * c.rows.stride + c.rows.offset,
                       (rows - 1) * c.rows.stride + c.R, buffer)
            x = buffer
        for k from 0 <= k < c.K by STRIP_FILTERS:
            filters = <int> min(<Py_ssize_t> STRIP_FILTERS, c.K - k)
            w = c.w + (group * c.panels + k // LANES) * plan.taps * LANES + k % LANES
            bias = c.bias + group * c.K + k if c.bias != NULL else zeros
            y = c.y + n * c.yn + (group * c.K + k) * c.yk + top * c.yh + first
            if plan.flat:
                strip_run(plan, x, w, bias, filters, y, pixels)
            else:
                for row in range(rows):
                    strip_run(plan, x + row * c.rows.stride * plan.pitch, w, bias, filters,
                              y + row * c.yh, c.columns.outputs)
