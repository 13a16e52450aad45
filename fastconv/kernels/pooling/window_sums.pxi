# Sums of windows, columns first, then rows: averages with stride 1, and the gradient of any average.
#
#   map         rows that the windows of row i see   ...   shares dy / size, of a gradient
#   line i      0 0 c0 c1 c2 c3 .. 0 0      the sum of each column over these rows
#   y[i, j]     cj + .. + cj+S-1            the sum of neighbours in the line
#
# A window of R x S taps takes R + S additions in place of R S.  In a gradient, an element of the
# map is the sum of a window too: it adds the shares of all windows that hold it.  With stride T the
# columns of the map are of T kinds, the phases.  In each phase, the windows that hold an element
# are neighbours of those that hold the next.
#
# No sum is made from the sum before it by a difference, which would carry NaN and infinity along.
# A chain has at most SUM_CHAIN additions; longer sums are added in float64.

cdef extern from *:
    """
    enum { SUM_CHAIN = 16,
           SUM_LINES = 16384 / sizeof(real),  /* numbers of the lines of a band, half an L1 */
           SUM_VECTORS = 2 * SUM_LINES / VL, /* vectors of the lines and of the shares */
           SUM_TAPS = SUM_LINES / 4,    /* taps of a row that are added at a time */
           SUM_WIDTH = SUM_LINES / 8,   /* results of a row that are made together */
           SUM_ROWS = 32 };
    """
    enum: SUM_CHAIN
    enum: SUM_LINES
    enum: SUM_VECTORS
    enum: SUM_TAPS
    enum: SUM_WIDTH
    enum: SUM_ROWS

cdef struct Band:
    # rows of results that are made together
    Py_ssize_t top, bottom
    Py_ssize_t first, last                 # rows of the source that they see
    Py_ssize_t left, right                 # columns of the source that they see
    Py_ssize_t width                       # numbers of a row of shares


cdef struct Counted:
    # how many columns each window of an average counts, but at least 1, the same in all planes
    Py_ssize_t first, count                # of the windows first .. first + count
    real columns[SUM_TAPS + SUM_WIDTH + 2 * VL]


cdef inline void count_columns(const Pooling* g, Py_ssize_t first, Py_ssize_t count,
                               Counted* counted) noexcept nogil:
    """Count the columns of some windows, unless these are the ones that were counted last."""
    cdef Py_ssize_t j
    if counted.first == first and counted.count >= count:
        return
    counted.first, counted.count = first, count
    for j in range(count):
        counted.columns[j] = <real> max(columns_counted(g, first + j), <Py_ssize_t> 1)


cdef bint has_window_sums(const Pooling* g) noexcept nogil:
    """Whether averages are made this way: it saves few additions where windows are small."""
    return VL > 1 and g.columns.stride == 1 and g.rows.taps > 1 and g.columns.taps > 1 \
        and g.rows.taps * g.columns.taps >= 12


cdef vreal long_sum(const real* x, Py_ssize_t step, Py_ssize_t count, lanes_t lanes) noexcept nogil:
    """The sum of `count` vectors that lie `step` apart, in some lanes."""
    cdef double totals[VL]
    cdef vreal acc
    cdef Py_ssize_t r, end
    memset(totals, 0, sizeof(totals))
    for r from 0 <= r < count by SUM_CHAIN:
        acc = vzero()
        for end in range(r, min(r + SUM_CHAIN, count)):
            acc = acc + vload_where(x + end * step, lanes)
        vadd_long(totals, acc)
    return vlong(totals)


cdef inline void add_vectors(const int vectors, const bint whole, const real* x, Py_ssize_t step,
                             Py_ssize_t count, lanes_t lanes, vreal* acc) noexcept nogil:
    """The sum of `count` vectors that lie `step` apart, or the sums of two such columns of vectors
    side by side."""
    cdef Py_ssize_t r
    cdef int v
    for v in range(vectors):
        acc[v] = vzero()
    if count > SUM_CHAIN:
        for v in range(vectors):
            acc[v] = long_sum(x + v * VL, step, count, lanes)
        return
    for r in range(count):
        for v in range(vectors):
            acc[v] = acc[v] + (vload(x + v * VL) if whole else vload_where(x + v * VL, lanes))
        x = x + step


cdef inline void source_rows(const Pooling* g, const bint backward, Py_ssize_t row,
                             Py_ssize_t* first, Py_ssize_t* last) noexcept nogil:
    """The rows of the source that a row of results is made from."""
    cdef Py_ssize_t base
    if backward:
        base = row - g.rows.offset
        if g.rows.stride == 1:             # without the divisions
            first[0] = clamp(base - g.rows.taps + 1, 0, g.rows.outputs)
            last[0] = clamp(base + 1, first[0], g.rows.outputs)
            return
        first[0] = clamp(ceil_div(base - g.rows.taps + 1, g.rows.stride), 0, g.rows.outputs)
        last[0] = clamp(floor_div(base, g.rows.stride) + 1, first[0], g.rows.outputs)
    else:
        base = row * g.rows.stride + g.rows.offset
        first[0] = clamp(base, 0, g.H)
        last[0] = clamp(base + g.rows.taps, first[0], g.H)


cdef inline void lay_out_shares(const Pooling* g, const real* dy, const Band* at,
                                const real* columns, real* shares) noexcept nogil:
    """Lay out what each window gives to each of its taps."""
    cdef Py_ssize_t i, j, OW = g.columns.outputs, count = at.right - at.left
    cdef lanes_t lanes = lanes_between(0, count)
    cdef vreal rows
    for i in range(at.first, at.last):
        rows = vset1(<real> rows_counted(g, i))
        if count < VL:
            vstore(shares, vratio(vload_where(dy + i * OW + at.left, lanes), rows * vload(columns)))
        else:
            j = 0
            while True:
                vstore(shares + j, vratio(vload(dy + i * OW + at.left + j),
                                          rows * vload(columns + j)))
                if j + VL >= count:
                    break
                j = min(j + VL, count - VL)
        shares = shares + at.width


cdef vreal sum_shares(const Pooling* g, const real* dy, Py_ssize_t first, Py_ssize_t last,
                      vreal columns, lanes_t lanes) noexcept nogil:
    """The sum of the shares of some rows, where there are too many shares to lay out."""
    cdef double totals[VL]
    cdef vreal acc
    cdef Py_ssize_t i, end
    memset(totals, 0, sizeof(totals))
    for end from first <= end < last by SUM_CHAIN:
        acc = vzero()
        for i in range(end, min(end + SUM_CHAIN, last)):
            acc = acc + vratio(vload_where(dy + i * g.columns.outputs, lanes),
                               vset1(<real> rows_counted(g, i)) * columns)
        vadd_long(totals, acc)
    return vlong(totals)


cdef inline void sum_columns(const Pooling* g, const bint backward, const real* source,
                             const real* shares, const Band* at, const real* columns,
                             Py_ssize_t row, real* line) noexcept nogil:
    """Write a line: the sum of each column over the rows of the source that `row` is made from."""
    cdef vreal acc[2]
    cdef Py_ssize_t first, last, j = 0, count = at.right - at.left
    cdef Py_ssize_t step = at.width if shares != NULL else g.columns.outputs if backward else g.W
    cdef lanes_t lanes = lanes_between(0, count)
    source_rows(g, backward, row, &first, &last)
    if shares != NULL:
        source = shares + (first - at.first) * step
    else:
        source = source + first * step + at.left
    if backward and shares == NULL:
        while j < count:
            if count >= VL:
                j = min(j, count - VL)
            vstore(line + j, sum_shares(g, source - first * step + j, first, last,
                                        vload(columns + j), lanes))
            j += VL
        return
    if count < VL:
        add_vectors(1, False, source, step, last - first, lanes, acc)
        vstore(line, acc[0])
        return
    while j + 2 * VL <= count:
        add_vectors(2, True, source + j, step, last - first, lanes, acc)
        vstore(line + j, acc[0])
        vstore(line + j + VL, acc[1])
        j += 2 * VL
    while j < count:
        j = min(j, count - VL)
        add_vectors(1, True, source + j, step, last - first, lanes, acc)
        vstore(line + j, acc[0])
        j += VL


cdef struct Row:
    # where the results of a row go
    real* out
    Py_ssize_t column, step, width         # first column; from one to the next; of the whole row
    const real* columns                    # how many columns each window of an average counts
    vreal rows


cdef inline void store_sums(const bint backward, const Row* to, Py_ssize_t k, Py_ssize_t count,
                            vreal v) noexcept nogil:
    """Store the results k, k + 1, ... of a row."""
    cdef real lanes[VL]
    cdef Py_ssize_t w = to.column + k * to.step
    cdef int lane
    if not backward:
        v = vratio(v, to.rows * vload(to.columns + k))
    if to.step == 1:
        vstore_n(to.out + w, v, count)
        return
    vstore(lanes, v)
    for lane in range(<int> min(count, <Py_ssize_t> VL)):
        if 0 <= w < to.width:              # the first and the last of a phase may be padding
            to.out[w] = lanes[lane]
        w += to.step


cdef inline void sum_row(const bint backward, const real* line, Py_ssize_t taps, Py_ssize_t width,
                         const Row* to) noexcept nogil:
    """Store a row of results: sums of neighbours in a line."""
    cdef vreal acc[2]
    cdef lanes_t lanes = lanes_between(0, VL)
    cdef Py_ssize_t k = 0
    while k + 2 * VL <= width:
        add_vectors(2, True, line + k, 1, taps, lanes, acc)
        store_sums(backward, to, k, VL, acc[0])
        store_sums(backward, to, k + VL, VL, acc[1])
        k += 2 * VL
    while k < width:
        if width >= VL:
            k = min(k, width - VL)         # the last vector does some sums once more
        add_vectors(1, True, line + k, 1, taps, lanes, acc)
        store_sums(backward, to, k, width - k, acc[0])
        k += VL


cdef void add_to_row(const real* line, Py_ssize_t taps, Py_ssize_t width,
                     double* totals) noexcept nogil:
    """Add a part of each sum to its total, where a line cannot hold all numbers of a sum."""
    cdef Py_ssize_t k
    for k from 0 <= k < width by VL:
        vadd_long(totals + k, long_sum(line + k, 1, taps, lanes_between(0, VL)))


cdef void look_at_band(const Pooling* g, const bint backward, Py_ssize_t base, Py_ssize_t span,
                       Band* at, Counted* counted) noexcept nogil:
    """Find what the results of a band see: `span` columns of the source from `base` on."""
    cdef Py_ssize_t unused
    cdef Py_ssize_t sources = g.columns.outputs if backward else g.W
    source_rows(g, backward, at.top, &at.first, &unused)
    source_rows(g, backward, at.bottom - 1, &unused, &at.last)
    at.left = clamp(base, 0, sources)
    at.right = clamp(base + span, at.left, sources)
    at.width = ceil_div(at.right - at.left, VL) * VL
    if backward:
        count_columns(g, at.left, at.width, counted)


cdef inline void sum_band(const Pooling* g, const bint backward, const Band* at, Py_ssize_t base,
                          const real* source, real* shares, const real* columns,
                          Py_ssize_t pitch, real* lines) noexcept nogil:
    """Make the lines of a band."""
    cdef bint laid_out = backward and (at.last - at.first) * at.width <= SUM_LINES
    cdef Py_ssize_t i
    if at.left == at.right:
        return
    if laid_out:
        lay_out_shares(g, source, at, columns, shares)
    for i in range(at.top, at.bottom):
        sum_columns(g, backward, source, shares if laid_out else NULL, at, columns, i,
                    lines + (i - at.top) * pitch + at.left - base)


cdef inline void sum_strip(const Pooling* g, const bint backward, const real* source,
                           Py_ssize_t top, Py_ssize_t bottom, Py_ssize_t from_,
                           Py_ssize_t width, Counted* counted, real* out) noexcept nogil:
    """Make results in some rows of a plane: `width` of each row and phase, from `from_` on."""
    cdef vreal vectors[SUM_VECTORS]        # lines and shares, as vectors so that they are aligned
    cdef real* lines = <real*> vectors
    cdef real* shares = lines + SUM_LINES
    cdef real* columns = counted.columns
    cdef double totals[SUM_WIDTH + VL]
    cdef Band at
    cdef Row to
    cdef Py_ssize_t S = g.columns.taps, step = g.columns.stride if backward else 1
    cdef Py_ssize_t n = (S - 1) // step + 1            # the most neighbours that a result adds
    cdef Py_ssize_t taps = min(n, <Py_ssize_t> SUM_TAPS), pitch = ceil_div(width + taps, VL) * VL + VL
    cdef Py_ssize_t rows = min(SUM_LINES // pitch, <Py_ssize_t> SUM_ROWS) if n == taps else 1
    cdef Py_ssize_t base, phase, missing, i, k, t
    while rows > 4 and (rows + g.rows.taps) * (width + taps + VL) > SUM_LINES:
        rows //= 2                         # the more rows, the fewer shares are made again
    memset(lines, 0, rows * pitch * sizeof(real))      # what lies outside of the map stays 0
    to.step, to.columns = step, columns
    to.width = g.W if backward else g.columns.outputs
    if not backward:
        count_columns(g, from_, width + VL, counted)
    at.top = top
    while at.top < bottom:
        at.bottom = min(bottom, at.top + rows)
        for phase in range(step):
            missing = n - ((S - 1 - phase) // step + 1 if phase < S else 0)
            to.column = step * from_ + (phase + g.columns.offset if backward else 0)
            if n > taps:
                memset(totals, 0, sizeof(totals))
            for t from 0 <= t < n by SUM_TAPS:
                taps = min(n - t, <Py_ssize_t> SUM_TAPS)
                base = from_ + t + (1 - n if backward else g.columns.offset)
                if phase == 0 or rows == 1:
                    if n > SUM_TAPS:
                        memset(lines, 0, pitch * sizeof(real))
                    look_at_band(g, backward, base, width + taps - 1, &at, counted)
                    sum_band(g, backward, &at, base, source, shares, columns, pitch, lines)
                k = min(max(missing - t, <Py_ssize_t> 0), taps)
                if n > SUM_TAPS:
                    add_to_row(lines + k, taps - k, width, totals)
                    continue
                for i in range(at.top, at.bottom):
                    to.out = out + i * to.width
                    to.rows = vset1(<real> (1 if backward else rows_counted(g, i)))
                    sum_row(backward, lines + (i - at.top) * pitch + k, taps - k, width, &to)
            if n > SUM_TAPS:
                to.out = out + at.top * to.width
                to.rows = vset1(<real> (1 if backward else rows_counted(g, at.top)))
                for k from 0 <= k < width by VL:
                    store_sums(backward, &to, k, width - k, vlong(totals + k))
        at.top = at.bottom


cdef void average_by_columns(void* args, Py_ssize_t begin, Py_ssize_t end) noexcept nogil:
    """Items are blocks of rows of planes."""
    cdef const Pooling* g = <const Pooling*> args
    cdef Py_ssize_t item, plane, top, from_, OW = g.columns.outputs
    cdef Counted counted
    counted.first, counted.count = 0, -1
    for item in range(begin, end):
        plane, top = item // g.blocks, item % g.blocks * POOL_ROWS
        if g.blocks == 1:
            prefetch_planes(g, plane, False)
        for from_ from 0 <= from_ < OW by SUM_WIDTH:
            sum_strip(g, False, g.x + plane * g.H * g.W, top,
                      min(top + POOL_ROWS, g.rows.outputs), from_,
                      min(<Py_ssize_t> SUM_WIDTH, OW - from_), &counted,
                      g.y + plane * g.rows.outputs * OW)


cdef void spread_by_columns(void* args, Py_ssize_t begin, Py_ssize_t end) noexcept nogil:
    """The gradient of any average; items are planes."""
    cdef const Pooling* g = <const Pooling*> args
    cdef Py_ssize_t plane, from_, step = g.columns.stride
    cdef Py_ssize_t last = ceil_div(g.W - g.columns.offset, step)
    cdef Counted counted
    counted.first, counted.count = 0, -1
    for plane in range(begin, end):
        prefetch_planes(g, plane, True)
        for from_ from ceil_div(1 - step - g.columns.offset, step) <= from_ < last by SUM_WIDTH:
            sum_strip(g, True, g.x + plane * g.rows.outputs * g.columns.outputs, 0, g.H, from_,
                      min(<Py_ssize_t> SUM_WIDTH, last - from_), &counted,
                      g.y + plane * g.H * g.W)
