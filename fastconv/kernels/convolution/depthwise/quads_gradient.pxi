# The gradient of the weights of 3x3 windows where groups have few filters (quads.pxi says for which
# targets).  x and dy are read where they lie, with pixels in the lanes:
#
#   rows of x        q = 0  1  2  3  4  5        The pixels of a row of x are loaded once, and
#                        |\ |\ |\ |  |  |        multiplied by all rows of dy that see it.  Nine
#   rows of dy           0  1  2  3              sums, one for each tap, stay in registers.
#
# A block of the sum is a quad of rows of dy, with stride 2 a pair, of at most QUAD_VECTORS vectors.
# Totals and sums are those of planes_gradient.pxi.  Where a result is not finite, dot_planes
# computes it again without the zeros beside the maps.

cdef extern from *:
    """
    enum { QUAD_TAPS = 9 };
    """
    enum: QUAD_TAPS

cdef struct DotQuads:                      # of one item: a filter and a channel
    const WeightGradient* g
    QuadLanes sides[2]                     # of the first and of the last vector of a row
    Py_ssize_t inside                      # vectors before it are whole, and see no column behind
    Py_ssize_t blocks, left                # of a total, and until it is next added to its sums
    vreal total[QUAD_TAPS]
    double sums[QUAD_TAPS * VL]

cdef struct QuadLines:                     # of a block, at column 0
    const real* x[QUAD + 2]
    const real* dy[QUAD]


cdef inline void dot_quad(const int step, const bint edge, const QuadLines* lines,
                          Py_ssize_t column, Py_ssize_t j, const QuadLanes* at,
                          vreal* acc) noexcept nogil:
    """acc[3][3] += products of a vector of dy in each row, from output j on, with the rows of x,
    whose leftmost tap is at `column`."""
    cdef vreal d[QUAD]
    cdef vreal pair[2]
    cdef vreal tap
    cdef const real* line
    cdef int rows = QUAD // step, q, o, r, s
    for o in range(rows):
        line = lines.dy[o] + j
        d[o] = vload_masked(line, &at.own) if edge else vload(line)
        if step == 2:
            d[o] = vundealt(d[o])          # which deals too
    for q in range(QUAD + 3 - step):
        line = lines.x[q] + column
        if edge:                           # there are no registers that could keep the masks
            at = <const QuadLanes*> vanew(at)
        for s in range(3):
            tap = load_tap(step, edge, line, s, at, pair)
            for o in range(rows):
                r = q - o * step
                if 0 <= r < 3:
                    acc[r * 3 + s] = vadd_product(acc[r * 3 + s], d[o], tap)


cdef inline void dot_block(DotQuads* quads, const int step, const QuadLines* lines,
                           Py_ssize_t first, Py_ssize_t last) noexcept nogil:
    """Add the products of the columns first .. last of a quad of rows."""
    cdef const Axis* columns = &quads.g.columns
    cdef QuadLanes other
    cdef const QuadLanes* at
    cdef vreal acc[QUAD_TAPS]
    cdef Py_ssize_t j = first, column, end
    cdef int t
    quads = <DotQuads*> vanew(quads)       # totals have no registers, and are to be where they lie
    if quads.left == 0:
        add_totals(QUAD_TAPS, quads.total, quads.sums)
        quads.left = quads.blocks
    quads.left -= 1
    for t in range(QUAD_TAPS):
        acc[t] = vzero()
    while j < last:
        column = j * step + columns.offset
        if column < 0 or j >= quads.inside:
            at = &quads.sides[0 if j == 0 else 1]
            if 0 < j < columns.outputs - VL:
                find_quad_lanes(&other, column, columns.inputs, columns.outputs - j)
                at = &other
            dot_quad(step, True, lines, column, j, at, acc)
            j += VL
            continue
        end = min(last, quads.inside)
        while j < end:
            dot_quad(step, False, lines, j * step + columns.offset, j, NULL, acc)
            j += VL
    for t in range(QUAD_TAPS):
        quads.total[t] = quads.total[t] + acc[t]


cdef struct Gathered:                      # lines whose numbers did not lie side by side
    real x[(QUAD + 2) * QUAD_PITCH]
    real dy[QUAD * QUAD_PITCH]


cdef void gather(const real* line, Py_ssize_t step, Py_ssize_t first, Py_ssize_t last,
                 real* to) noexcept nogil:
    """to[column - first] = the number at this column."""
    cdef Py_ssize_t j
    for j in range(first, last):
        to[j - first] = line[j * step]


cdef void gather_lines(const WeightGradient* g, Py_ssize_t i, Py_ssize_t first, Py_ssize_t last,
                       QuadLines* lines, Gathered* to) noexcept nogil:
    """Bring together what a block reads of its lines, and let these be the copies."""
    cdef Py_ssize_t step = g.columns.stride, h = i * step + g.rows.offset, left, right, q
    left = first * step + g.columns.offset
    # whole vectors are read, also where they are more than there are outputs
    right = min(left + (ceil_div(last - first, VL) * VL - 1) * step + 3, g.columns.inputs)
    left = max(left, <Py_ssize_t> 0)
    for q in range(QUAD + 3 - step):
        if 0 <= h + q < g.rows.inputs:
            gather(lines.x[q], g.xw, left, right, to.x + q * QUAD_PITCH)
            lines.x[q] = to.x + q * QUAD_PITCH - left
    for q in range(QUAD // step):
        if i + q < g.rows.outputs:
            gather(lines.dy[q], g.yw, first, last, to.dy + q * QUAD_PITCH)
            lines.dy[q] = to.dy + q * QUAD_PITCH - first


cdef inline void find_lines(const WeightGradient* g, const int step, const real* x, const real* dy,
                            Py_ssize_t i, Py_ssize_t first, QuadLines* lines) noexcept nogil:
    """Find the lines of a quad from row i of dy on, for columns from `first` on."""
    cdef Py_ssize_t h = i * step + g.rows.offset, left = first * step + g.columns.offset
    cdef int q
    for q in range(QUAD + 3 - step):
        lines.x[q] = quad_line(x, h + q, g.rows.inputs, g.xh, left)
    for q in range(QUAD // step):
        lines.dy[q] = quad_line(dy, i + q, g.rows.outputs, g.yh, first)


cdef inline void dot_quads(const WeightGradient* g, const int step, Py_ssize_t begin,
                           Py_ssize_t end) noexcept nogil:
    """Items are (filter of all groups, channel of the group)."""
    cdef DotQuads quads
    cdef QuadLines lines
    cdef Gathered gathered
    cdef Py_ssize_t outputs = g.columns.outputs, vectors = ceil_div(outputs, VL)
    cdef Py_ssize_t item, k, n, i, t, first, last
    cdef const real* x
    cdef const real* dy
    cdef real* dweight
    quads.g = g
    quads.blocks = LONGEST_CHAIN - QUAD // step * min(vectors, <Py_ssize_t> QUAD_VECTORS)
    # with stride 2 a vector is loaded up to the column behind the last that it sees
    quads.inside = clamp(floor_div(g.columns.inputs - g.columns.offset - 2, step * VL) * VL, 0,
                         outputs // VL * VL)
    find_quad_lanes(&quads.sides[0], g.columns.offset, g.columns.inputs, outputs)
    last = (vectors - 1) * VL
    find_quad_lanes(&quads.sides[1], last * step + g.columns.offset, g.columns.inputs,
                    outputs - last)
    for item in range(begin, end):
        k, dweight = item // g.C, g.dweight + item * QUAD_TAPS
        x = g.x + (k // g.K * g.C + item % g.C) * g.xc
        dy = g.dy + k * g.yk
        quads.left = quads.blocks
        memset(quads.sums, 0, sizeof(quads.sums))
        for t in range(QUAD_TAPS):
            quads.total[t] = vzero()
        for n in range(g.N):
            for i from 0 <= i < g.rows.outputs by QUAD // step:
                for first from 0 <= first < outputs by QUAD_VECTORS * VL:
                    last = min(outputs, first + QUAD_VECTORS * VL)
                    find_lines(g, step, x, dy, i, first, &lines)
                    if g.xw != 1 or g.yw != 1:
                        gather_lines(g, i, first, last, &lines, &gathered)
                    dot_block(&quads, step, &lines, first, last)
            x, dy = x + g.xn, dy + g.yn
        add_totals(QUAD_TAPS, quads.total, quads.sums)
        for t in range(QUAD_TAPS):
            dweight[t] = vsum(vlong(quads.sums + t * VL))
        if not all_finite(dweight, QUAD_TAPS):
            dot_planes(<void*> g, item * QUAD_TAPS, (item + 1) * QUAD_TAPS)


# Each stride has a function: the compiler takes far longer for one function that holds both.

cdef void dot_quads_of_three(void* args, Py_ssize_t begin, Py_ssize_t end) noexcept nogil:
    if QUADS:
        dot_quads(<const WeightGradient*> args, 1, begin, end)


cdef void dot_quads_of_three_apart(void* args, Py_ssize_t begin, Py_ssize_t end) noexcept nogil:
    if QUADS:
        dot_quads(<const WeightGradient*> args, 2, begin, end)
