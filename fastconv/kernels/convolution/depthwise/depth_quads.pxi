# Depthwise convolution by 3x3 with stride 2 on wide maps, and the gradient of its input with stride
# 1 (quads.pxi says for which targets).
#
#   rows of the map  q = 0  1  2  3  4  5        The pixels of a row of the map are loaded once,
#                        |\ |\ |\ |  |  |        for the rows of outputs of a quad that see it.
#   rows of outputs      0  1  2  3              Rows are read from their beginning to their end.
#
# A walk down the map, as in depth_columns.pxi, reads a line of each row and then leaves it, and its
# sums wait for each other.  Forward with stride 1 that walk is as fast, and is taken.  planes.pxi
# does weights that are infinite or NaN.  With stride 2 lanes stay in the order that one shuffle
# gives, until they are stored.  The gradient is mirrored: it goes from the last row of the map
# upward, so that the taps of a sum ascend.  The order of every sum is that of planes.pxi.

cdef extern from *:
    """
    enum { QUAD_WIDTH = 3 * VL };
    """
    enum: QUAD_WIDTH                       # the fewest outputs of a row: sides take twice as long

cdef struct DepthQuads:
    const Convolution* c
    bint finite                            # whether all weights are finite
    Py_ssize_t left, top                   # of output 0, the leftmost column and the topmost row
    Py_ssize_t last                        # the output where the last vector of a row begins
    Py_ssize_t inside                      # vectors that begin before it see no column behind
    QuadLanes sides[2]                     # of the first and of the last vector


cdef inline void depth_quad(const Convolution* c, const int step, const bint mirrored,
                            const bint edge, const real** lines, Py_ssize_t column,
                            const QuadLanes* at, const vreal* w, vreal bias, Py_ssize_t rows,
                            real* y) noexcept nogil:
    """Write a vector of outputs in the first `rows` rows of a quad; its leftmost tap is at
    `column`."""
    cdef vreal acc[QUAD]
    cdef vreal pair[2]
    cdef vreal taps[3]
    cdef int count = (QUAD - 1) * step + 3, k, q, o, r, s
    for o in range(QUAD):
        acc[o] = vzero()
    for k in range(count):
        q = count - 1 - k if mirrored else k
        if edge:                           # there are no registers that could keep the masks
            at = <const QuadLanes*> vanew(at)
        for s in range(3):
            taps[s] = load_tap(step, edge, lines[q] + column, s, at, pair)
        for o in range(QUAD):
            r = o + 2 - q if mirrored else q - o * step
            if r < 0 or r >= 3:
                continue
            for s in range(3):
                acc[o] = add_tap_of(mirrored, acc[o], w[r * 3 + s], taps[2 - s if mirrored else s])
    for o in range(QUAD):
        acc[o] = (vzero() + (vundealt(acc[o]) if step == 2 else acc[o])) + bias
    if c.relu:
        for o in range(QUAD):
            acc[o] = vrelu(acc[o])
    for o in range(QUAD):
        if o < rows:
            vstore(y + o * c.yh, acc[o])


cdef inline void depth_quad_columns(const DepthQuads* d, const int step, const bint mirrored,
                                    const real** lines, Py_ssize_t first, Py_ssize_t last,
                                    const vreal* w, vreal bias, Py_ssize_t rows,
                                    real* y) noexcept nogil:
    """Write the columns first .. last of a quad; y is at column 0."""
    cdef const Convolution* c = d.c
    cdef QuadLanes other
    cdef const QuadLanes* at
    cdef Py_ssize_t j = min(first, d.last), end = min(last, d.inside)
    while j < last:
        if j * step + d.left < 0 or j >= d.inside:
            at = &d.sides[0 if j == 0 else 1]
            if 0 < j < d.last:
                find_quad_lanes(&other, j * step + d.left, c.columns.inputs, VL)
                at = &other
            depth_quad(c, step, mirrored, True, lines, j * step + d.left, at, w, bias, rows, y + j)
            if j == d.last:                # it did some outputs once more
                break
            j = min(j + VL, d.last)
            continue
        while j < end:
            depth_quad(c, step, mirrored, False, lines, j * step + d.left, NULL, w, bias, rows,
                       y + j)
            if j == d.last:
                return
            j = min(j + VL, d.last)


cdef inline void depth_quads(const DepthQuads* d, const int step, const bint mirrored,
                             Py_ssize_t begin, Py_ssize_t end) noexcept nogil:
    """Items as in convolve_planes: (image, group, filter, block of PLANE_ROWS rows)."""
    cdef const Convolution* c = d.c
    cdef Py_ssize_t filters = c.groups * c.K, outputs = c.columns.outputs
    cdef Py_ssize_t item, plane, n, k, i, top, bottom, first
    cdef const real* lines[QUAD_ROWS]
    cdef const real* x
    cdef real* y
    cdef vreal w[9]
    cdef vreal bias
    cdef int q, t
    if not QUADS:
        return
    for item in range(begin, end):
        plane, top = item // c.row_blocks, item % c.row_blocks * PLANE_ROWS
        n, k = plane // filters, plane % filters
        bottom = min(top + <Py_ssize_t> PLANE_ROWS, c.rows.outputs)
        if not d.finite and not all_finite(c.w + k * 9, 9):
            convolve_planes(<void*> c, item, item + 1)
            continue
        x, y = c.x + n * c.xn + k // c.K * c.xc, c.y + n * c.yn + k * c.yk
        bias = vset1(c.bias[k] if c.bias != NULL else 0)
        for t in range(9):
            w[t] = vset1(c.w[k * 9 + t])
        for i from top <= i < bottom by QUAD:
            for first from 0 <= first < outputs by QUAD_VECTORS * VL:
                for q in range((QUAD - 1) * step + 3):
                    lines[q] = quad_line(x, i * step + d.top + q, c.rows.inputs, c.xh,
                                         first * step + d.left)
                depth_quad_columns(d, step, mirrored, lines, first,
                                   min(outputs, first + QUAD_VECTORS * VL), w, bias, bottom - i,
                                   y + i * c.yh)


# Each case has a function: the compiler takes far longer for one function that holds them all.

cdef void depth_quads_of_three_apart(void* args, Py_ssize_t begin, Py_ssize_t end) noexcept nogil:
    depth_quads(<const DepthQuads*> args, 2, False, begin, end)


cdef void depth_quads_of_three_back(void* args, Py_ssize_t begin, Py_ssize_t end) noexcept nogil:
    depth_quads(<const DepthQuads*> args, 1, True, begin, end)


cdef task_t depth_quads_task(const Convolution* c) noexcept nogil:
    """The function for the stride and the direction of `c`, which has a plan."""
    return depth_quads_of_three_back if c.taps_first else depth_quads_of_three_apart


cdef bint plan_quads(DepthQuads* d, const Convolution* c) noexcept nogil:
    """Whether quads are worth it for this convolution, which `is_depthwise`."""
    cdef Py_ssize_t step = c.columns.stride
    if not QUADS or c.columns.taps != 3 or c.columns.outputs < QUAD_WIDTH \
            or step == 1 and not c.taps_first:
        return False
    d.c = c
    d.finite = all_finite(c.w, c.groups * c.K * 9)
    d.left = c.columns.offset - (2 if c.taps_first else 0)
    d.top = c.rows.offset - (2 if c.taps_first else 0)
    d.last = c.columns.outputs - VL
    # with stride 2 a vector is loaded up to the column behind the last that it sees
    d.inside = min(floor_div(c.columns.inputs - d.left - 2, step) - VL + 1, d.last + 1)
    find_quad_lanes(&d.sides[0], d.left, c.columns.inputs, VL)
    find_quad_lanes(&d.sides[1], d.last * step + d.left, c.columns.inputs, VL)
    return True
