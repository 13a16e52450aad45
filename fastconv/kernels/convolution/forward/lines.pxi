# Convolution with pixels in the lanes and several filters at once: the register tile with its
# sides exchanged.  It wins where there are few filters, whose lanes would be empty: forward
# with fewer than fill a vector, and the gradient of an input with few channels.
#
#               lanes: neighbouring pixels of a row
#              +-----------+-----------+     Weights are broadcast from (K, C, R, S) as it
#   filter 0   | acc[0][0] | acc[0][1] |     lies; pixels are read in place.  Rows narrower
#      ...     |           |           |     than two vectors are taken two at a time, and
#   filter 13  |           |           |     the last block of a wide row is moved back over
#              +-----------+-----------+     the one before: it writes the same bits again.
#
# Sums have the order of convolution.pxi.

cdef extern from *:
    """
    enum { LINE_ROWS = 8, SIDE_BY_SIDE = -1 };
    """
    enum: LINE_ROWS
    enum: SIDE_BY_SIDE


cdef void line_tile_of(const width* _, const real* w, Py_ssize_t step, const real* x,
                       Py_ssize_t x3, Py_ssize_t panel, Py_ssize_t gap, const Nest* nest,
                       vreal* total) noexcept nogil:
    if sizeof(width) <= TILE:
        tile(<int> sizeof(width), NV, w, step, x, x3, 0, gap, nest, total)


cdef void narrow_line_tile_of(const narrow_width* _, const real* w, Py_ssize_t step,
                              const real* x, Py_ssize_t x3, Py_ssize_t panel, Py_ssize_t gap,
                              const Nest* nest, vreal* total) noexcept nogil:
    if sizeof(narrow_width) <= NARROW:
        tile(<int> sizeof(narrow_width), 2 * NV, w, step, x, x3, LANES, VL, nest, total)


cdef tile_t line_tiles[15]
line_tiles[:] = [
    NULL, <tile_t> line_tile_of[n1], <tile_t> line_tile_of[n2], <tile_t> line_tile_of[n3],
    <tile_t> line_tile_of[n4], <tile_t> line_tile_of[n5], <tile_t> line_tile_of[n6],
    <tile_t> line_tile_of[n7], <tile_t> line_tile_of[n8], <tile_t> line_tile_of[n9],
    <tile_t> line_tile_of[n10], <tile_t> line_tile_of[n11], <tile_t> line_tile_of[n12],
    <tile_t> line_tile_of[n13], <tile_t> line_tile_of[n14],
]
cdef tile_t narrow_line_tiles[8]
narrow_line_tiles[:] = [
    NULL, <tile_t> narrow_line_tile_of[n1], <tile_t> narrow_line_tile_of[n2],
    <tile_t> narrow_line_tile_of[n3], <tile_t> narrow_line_tile_of[n4],
    <tile_t> narrow_line_tile_of[n5], <tile_t> narrow_line_tile_of[n6],
    <tile_t> narrow_line_tile_of[n7],
]


cdef inline void line_tile(int filters, const real* w, Py_ssize_t step, const real* x,
                           Py_ssize_t x3, const Nest* nest, vreal* total) noexcept nogil:
    """Two vectors side by side by up to TILE filters."""
    line_tiles[filters](NULL, w, step, x, x3, 0, VL, nest, total)


cdef inline void two_line_tile(int filters, const real* w, Py_ssize_t step, const real* x,
                               Py_ssize_t x3, Py_ssize_t gap, const Nest* nest,
                               vreal* total) noexcept nogil:
    """Two vectors `gap` apart by up to TILE filters."""
    line_tiles[filters](NULL, w, step, x, x3, 0, gap, nest, total)


cdef inline void narrow_line_tile(int filters, const real* w, Py_ssize_t step, const real* x,
                                  Py_ssize_t x3, const Nest* nest, vreal* total) noexcept nogil:
    """Four vectors side by side by up to NARROW filters."""
    narrow_line_tiles[filters](NULL, w, step, x, x3, LANES, VL, nest, total)


cdef void sum_lines(const Convolution* c, const Region* at, const real* x, const real* w,
                    Py_ssize_t step, int filters, int vectors, Py_ssize_t gap,
                    vreal* total) noexcept nogil:
    """total = the whole sums of some filters for one block of pixels, whose tap (0, 0) is at x.
    Its vectors lie side by side, or if `gap` >= 0 in two rows that are `gap` apart."""
    cdef Nest nest
    cdef Py_ssize_t channel, count, r, s
    cdef Py_ssize_t rows = at.r1 - at.r0
    cdef Py_ssize_t columns = at.s1 - at.s0
    cdef Py_ssize_t down = c.rows.dilation * c.xh
    cdef Py_ssize_t across = c.columns.dilation * c.xw
    cdef Py_ssize_t move
    cdef const real* xb
    cdef const real* wb
    cdef int i
    nest.fresh = True
    nest.n1, nest.n2 = 1, 1
    if rows * columns == 0:
        for i in range(filters * vectors):
            total[i] = vzero()
        return
    for channel from 0 <= channel < c.C by c.block:
        count = min(c.block, c.C - channel)
        for r in range(at.r0, at.r1 if c.taps_first else at.r0 + 1):
            for s in range(at.s0, at.s1 if c.taps_first else at.s0 + 1):
                xb = x + channel * c.xc + r * down + s * across
                wb = w + channel * c.wc + (c.rows.first + r * c.rows.every) * c.wr \
                    + (c.columns.first + s * c.columns.every) * c.ws
                # in the nest "x" is what is broadcast: that is the weights here
                if c.taps_first or rows * columns == 1:
                    nest.n3, move = count, c.xc
                    set_moves(&nest, 0, 0, c.wc, 0, 0)
                else:
                    nest.n1, nest.n2, nest.n3, move = count, rows, columns, across
                    set_moves(&nest, c.wc, c.wr, c.ws, c.xc, down)
                if vectors == 4:
                    narrow_line_tile(filters, wb, step, xb, move, &nest, total)
                elif gap >= 0:
                    two_line_tile(filters, wb, step, xb, move, gap, &nest, total)
                else:
                    line_tile(filters, wb, step, xb, move, &nest, total)
                nest.fresh = False


cdef inline bint within(const Convolution* c, const Region* at, const real* x) noexcept nogil:
    """Whether at every tap of x a whole vector lies inside the array that x belongs to."""
    cdef Py_ssize_t r = at.r1 - 1 if c.rows.dilation > 0 else at.r0  # of the tap furthest on
    cdef Py_ssize_t s = at.s1 - 1 if c.columns.dilation > 0 else at.s0
    return c.x_end != NULL and x + (c.C - 1) * c.xc + r * c.rows.dilation * c.xh \
        + s * c.columns.dilation * c.xw + VL <= c.x_end


cdef void sum_guarded(const Convolution* c, const Region* at, const real* x, const real* w,
                      Py_ssize_t step, int filters, Py_ssize_t x_row, int rows,
                      Py_ssize_t lanes, vreal* total) noexcept nogil:
    """As `sum_lines` for one or two rows, but a filter at a time, reading only `lanes` lanes.  It
    is for the end of the array, where a whole vector would reach beyond it."""
    cdef vreal acc, sum_
    cdef Py_ssize_t down = c.rows.dilation * c.xh
    cdef Py_ssize_t across = c.columns.dilation * c.xw
    cdef Py_ssize_t channel, end, i, r, s
    cdef const real* xp
    cdef const real* wp
    cdef int k, v
    for k in range(filters):
        for v in range(rows):
            xp = x + v * x_row
            wp = w + k * step
            sum_ = vzero()
            for channel from 0 <= channel < c.C by c.block:
                end = min(channel + c.block, c.C)
                if c.taps_first:
                    for r in range(at.r0, at.r1):
                        for s in range(at.s0, at.s1):
                            acc = vzero()
                            for i in range(channel, end):
                                acc = acc + vset1(
                                    wp[i * c.wc + (c.rows.first + r * c.rows.every) * c.wr
                                       + (c.columns.first + s * c.columns.every) * c.ws]) \
                                    * vload_n(xp + i * c.xc + r * down + s * across, lanes)
                            sum_ = sum_ + acc
                else:
                    acc = vzero()
                    for i in range(channel, end):
                        for r in range(at.r0, at.r1):
                            for s in range(at.s0, at.s1):
                                acc = acc + vset1(wp[i * c.wc + r * c.wr + s * c.ws]) \
                                    * vload_n(xp + i * c.xc + r * down + s * across, lanes)
                    sum_ = sum_ + acc
            total[k * NV + v] = sum_


cdef inline void prefetch_lines(const Convolution* c, const real* y, int filters,
                                int vectors) noexcept nogil:
    """Prefetch the lines that will be written: those of one filter are far from another's."""
    cdef int k, v
    if c.yw == 1:
        for k in range(filters):
            for v in range(vectors):
                vprefetch_write(y + k * c.yk + v * VL)


cdef void store_lines(const Convolution* c, real* y, const real* bias, int filters, int vectors,
                      Py_ssize_t gap, Py_ssize_t lanes, int rows, vreal* total) noexcept nogil:
    """Write total[filters][vectors], the vectors side by side or, if `gap` >= 0, in `rows` rows."""
    cdef vreal value
    cdef real* to
    cdef int k, v
    for k in range(filters):
        for v in range(rows if gap >= 0 else vectors):
            value = total[k * vectors + v]
            if bias != NULL:
                value = value + vset1(bias[k])
            if c.relu:
                value = vrelu(value)
            to = y + k * c.yk + (v * c.yh if gap >= 0 else v * VL * c.yw)
            if c.yw == 1:
                vstore_n(to, value, lanes)
            else:
                vstore_strided(to, c.yw, value, lanes)


cdef void convolve_run(const Convolution* c, const Region* at, const real* x, real* y,
                       const real* w, Py_ssize_t step, const real* bias, int filters,
                       int rows) noexcept nogil:
    """Write a run of outputs that see the same taps, in one row or two; x and y are at column 0."""
    cdef vreal total[TILE * NV]
    cdef Py_ssize_t x_row = c.rows.stride * c.xh
    # where rows run backwards `within` is never true, and the gap only says: two rows
    cdef Py_ssize_t gap = max(x_row, <Py_ssize_t> 0)
    cdef Py_ssize_t end = at.left + at.width
    cdef Py_ssize_t j = at.left
    cdef Py_ssize_t lanes, first
    cdef int vectors = 2 * NV if filters <= NARROW and at.width >= 2 * NV * VL else NV
    cdef int row
    if at.width < vectors * VL:
        if rows == 1:
            gap = 0  # the row is taken twice and written once
        while j < end:
            lanes = min(<Py_ssize_t> VL, end - j)
            if within(c, at, x + j * c.xw + (rows - 1) * x_row):
                sum_lines(c, at, x + j * c.xw, w, step, filters, NV, gap, total)
            else:
                sum_guarded(c, at, x + j * c.xw, w, step, filters, x_row, rows, lanes, total)
            store_lines(c, y + j * c.yw, bias, filters, NV, gap, lanes, rows, total)
            j += lanes
        return
    while j < end:
        first = min(j, end - vectors * VL)  # the last block is moved back
        for row in range(rows):
            prefetch_lines(c, y + row * c.yh + first * c.yw, filters, vectors)
            sum_lines(c, at, x + row * x_row + first * c.xw, w, step, filters, vectors,
                      SIDE_BY_SIDE, total)
            store_lines(c, y + row * c.yh + first * c.yw, bias, filters, vectors,
                        SIDE_BY_SIDE, VL, 1, total)
        j = first + vectors * VL


cdef void convolve_lines(void* args, Py_ssize_t begin, Py_ssize_t end) noexcept nogil:
    """Items are (image, group, block of LINE_ROWS rows, block of filters)."""
    cdef const Convolution* c = <const Convolution*> args
    cdef Region at
    cdef Py_ssize_t item, rest, n, group, k, i, bottom, right, r0, r1, step
    cdef int filters, rows
    cdef const real* x
    cdef const real* w
    cdef const real* bias
    cdef real* y
    step = c.wk
    for item in range(begin, end):
        rest = item
        k = rest % c.panels * c.K // c.panels
        filters = <int> ((rest % c.panels + 1) * c.K // c.panels - k)
        rest //= c.panels
        i = rest % c.row_blocks * LINE_ROWS
        bottom = min(i + LINE_ROWS, c.rows.outputs)
        rest //= c.row_blocks
        group = rest % c.groups
        n = rest // c.groups
        w = c.w + group * (c.C * c.wc if c.taps_first else c.K * c.wk) + k * c.wk
        bias = c.bias + group * c.K + k if c.bias != NULL else NULL
        while i < bottom:
            taps_inside(&c.rows, i, &at.r0, &at.r1)
            rows = 1
            if i + 1 < bottom:
                taps_inside(&c.rows, i + 1, &r0, &r1)
                if r0 == at.r0 and r1 == at.r1:
                    rows = 2
            x = c.x + n * c.xn + group * c.C * c.xc + c.columns.offset * c.xw \
                + (i * c.rows.stride + c.rows.offset) * c.xh
            y = c.y + n * c.yn + (group * c.K + k) * c.yk + i * c.yh
            at.left = 0
            while at.left < c.columns.outputs:
                right = same_taps(&c.columns, at.left, c.columns.outputs, &at.s0, &at.s1)
                at.width = right - at.left
                convolve_run(c, &at, x, y, w, step, bias, filters, rows)
                at.left = right
            i += rows
