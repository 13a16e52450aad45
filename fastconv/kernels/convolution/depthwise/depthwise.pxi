# Depthwise convolution with the usual windows, 3x3 and 5x5 with strides 1 and 2, one channel a
# group.  It is for targets with registers of masks (AVX-512) or without vectors; depth_columns.pxi
# is for the others.  Pixels are in the lanes, and the weights of all taps are in registers.
#
#   source rows      q = 0  1  2  3  4  5        A column of output vectors is walked down the map.
#                        |\ |\ |\ |  |  |        Each source row is loaded once, moved to every
#   output rows          0  1  2  3              column of the kernel, and added to all output
#                                                rows that see it: sums[0] is done next, the
#                                                others have begun.  A row outside the map is
#                                                skipped.
#
# Maps whose rows fit a vector are done in tiles of some rows (narrow.pxi).
#
# In the first and last vectors of a row some lanes lie outside the map for some taps.  These
# lanes are left out of the multiply-add, so that a padded zero never meets an infinite weight.
# The gradient of the input for stride 1 is the same walk, mirrored: from the last row upward.
# The order of every sum is that of planes.pxi.

cdef extern from *:
    """
    enum { DEPTH_ROWS = 4, DEPTH_BAND = 16 };
    """
    enum: DEPTH_ROWS
    enum: DEPTH_BAND                       # rows of the map that are walked together

cdef struct Depthwise:
    const Convolution* c
    int kind                               # ASIDE, or what narrow.pxi knows
    Sides sides                            # of a whole row, for narrow.pxi


cdef inline void depth_tile(const Convolution* c, const int S, const int step, const int sign,
                            const int rows, const bint rows_inside, const int kind,
                            const real* x, const real* other, Py_ssize_t h,
                            const vreal* w, const Sides* at, const vmask* turns,
                            vreal* acc) noexcept nogil:
    """acc[rows] = the sums of a tile; x is in map row h, at column 0 of the first window."""
    cdef vreal taps[5]
    cdef vreal product
    cdef lanes_t seen[5]
    cdef int q, o, r, s, k
    for s in range(S):
        seen[s] = vkeep(at.seen[s]) if kind != INSIDE else 0
    for o in range(rows):
        acc[o] = vzero()
    for k in range((rows - 1) * step + S):
        # mirrored, output o meets source row q = o - r: q goes down, so that taps ascend
        q = k if sign == 1 else rows - 1 - k
        if not rows_inside and (h + q < 0 or h + q >= c.rows.inputs):
            continue
        load_taps(x + q * c.xh, other + q * c.xh, S, step, sign, kind, at, seen, turns,
                  taps)
        for o in range(rows):
            r = q - o * step if sign == 1 else o - q
            if r < 0 or r >= S:
                continue
            for s in range(S):
                if sign == 1 and kind == INSIDE:
                    acc[o] = vmadd(acc[o], w[r * S + s], taps[s])
                elif sign == 1:
                    acc[o] = vmadd_where(acc[o], w[r * S + s], taps[s], seen[s])
                else:  # every tap is a sum of its own
                    product = vzero() + w[r * S + s] * taps[s]
                    if kind == INSIDE:
                        acc[o] = acc[o] + product
                    else:
                        acc[o] = vadd_where(acc[o], product, seen[s])


cdef inline void depth_line(const int S, const int step, const int sign, const int kind,
                            const real* x, const int r, const vreal* w, const Sides* at,
                            const lanes_t* seen, vreal* sums) noexcept nogil:
    """Add a row of the map to the sums; sum k meets it at kernel row r - k * step."""
    cdef vreal taps[5]
    cdef vreal product
    cdef int k, s, row
    load_middle(x, S, step, sign, kind, at, taps)
    for k in range((S - 1) // step + 1):
        row = r - k * step
        if row < 0:
            continue
        for s in range(S):
            if sign == 1 and kind == INSIDE:
                sums[k] = vmadd(sums[k], w[row * S + s], taps[s])
            elif sign == 1:
                sums[k] = vmadd_where(sums[k], w[row * S + s], taps[s], seen[s])
            else:  # every tap is a sum of its own
                product = vzero() + w[row * S + s] * taps[s]
                if kind == INSIDE:
                    sums[k] = sums[k] + product
                else:
                    sums[k] = vadd_where(sums[k], product, seen[s])


cdef inline void depth_column(const Convolution* c, const int S, const int step, const int sign,
                              const int kind, const real* x, real* y, Py_ssize_t count,
                              const vreal* w, vreal bias, const Sides* sides,
                              Py_ssize_t top, Py_ssize_t bottom) noexcept nogil:
    """Write rows top <= i < bottom of a vector of outputs; x is in row 0 of the map, at the first
    window's column."""
    cdef vreal sums[5]                     # of the next output row and of those that have begun
    cdef vreal total
    cdef lanes_t seen[5]
    cdef const real* ahead
    cdef lanes_t stored = vkeep(lanes_between(0, count)) if kind != INSIDE else 0
    cdef Py_ssize_t n, h, xh = c.xh, yh = c.yh, inputs = c.rows.inputs
    cdef bint relu = c.relu
    cdef Sides at
    cdef int k, r, s
    for s in range(S):
        seen[s] = vkeep(sides.seen[s]) if kind != INSIDE else 0
    if kind != INSIDE:
        keep_middle(&at, sides, S)
    n = top if sign == 1 else bottom - 1
    y = y + n * yh
    h = n * step + c.rows.offset           # the next row of the map
    # in the next band, which is below also where this one is walked upward
    ahead = x + (h + (S if sign == 1 else 0) + DEPTH_BAND) * xh + S // 2 * sign
    for k in range((S - 1) // step + 1):
        sums[k] = vzero()
    for r in range(S - step):
        if 0 <= h < inputs:
            depth_line(S, step, sign, kind, x + h * xh, r, w, &at, seen, sums)
        h += sign
    for n in range(bottom - top):
        for r in range(S - step, S):
            if 0 <= h < inputs:
                depth_line(S, step, sign, kind, x + h * xh, r, w, &at, seen, sums)
            vprefetch(ahead)
            if step == 2:
                vprefetch(ahead + VL)
            h += sign
            ahead = ahead + sign * xh
        total = (vzero() + sums[0]) + bias
        if relu:
            total = vrelu(total)
        if kind == INSIDE:
            vstore(y, total)
        else:
            vstore_where(y, total, stored)
        for k in range((S - 1) // step):
            sums[k] = sums[k + 1]
        sums[(S - 1) // step] = vzero()
        y = y + sign * yh


cdef inline void depth_rows(const Convolution* c, const int S, const int step, const int sign,
                            const real* x, real* y, const real* weight, vreal bias,
                            Py_ssize_t top, Py_ssize_t bottom) noexcept nogil:
    """Write rows top <= i < bottom of one plane, some rows at a time, vector by vector."""
    cdef vreal w[25]
    cdef Sides sides[2]                    # of the first and of the last vector of a row
    cdef Sides other
    cdef const Sides* at
    cdef Py_ssize_t outputs = c.columns.outputs, last = max(outputs - VL, <Py_ssize_t> 0)
    cdef Py_ssize_t i, j, end, column, low
    cdef int t
    look_aside(&sides[0], S, step, sign, c.columns.offset, c.columns.inputs)
    look_aside(&sides[1], S, step, sign, last * step + c.columns.offset, c.columns.inputs)
    for t in range(S * S):
        w[t] = vset1(weight[t])
    for i from top <= i < bottom by DEPTH_BAND // step:
        end = min(i + DEPTH_BAND // step, bottom)
        j = 0
        while j < outputs:
            j = min(j, last)               # the last vector does some outputs once more
            column = j * step + c.columns.offset
            low = column - (S - 1 if sign == -1 else 0)
            if low >= 0 and low + VL * step + S - step <= c.columns.inputs and j + VL <= outputs:
                depth_column(c, S, step, sign, INSIDE, x + column, y + j, VL, w, bias,
                             sides, i, end)
            else:
                at = &sides[0 if j == 0 else 1]
                if 0 < j < last:
                    look_aside(&other, S, step, sign, column, c.columns.inputs)
                    at = &other
                depth_column(c, S, step, sign, ASIDE, x + column, y + j, outputs - j, w,
                             bias, at, i, end)
            j += VL


include "convolution/depthwise/narrow.pxi"


cdef inline void depth_items(const Depthwise* d, const int S, const int step, const int sign,
                             Py_ssize_t begin, Py_ssize_t end) noexcept nogil:
    """Items as in convolve_planes: (image, group, filter, block of PLANE_ROWS rows)."""
    cdef const Convolution* c = d.c
    cdef Py_ssize_t filters = c.groups * c.K
    cdef Py_ssize_t item, plane, top, n, k
    if NO_MASKS:                           # depth_columns.pxi does it
        return
    for item in range(begin, end):
        if knows_narrow(S) and d.kind == NARROW_MAP:
            narrow_plane(d, S, step, sign, NARROW_MAP, item)
            continue
        if knows_narrow(S) and d.kind == TWO_MAPS:
            narrow_plane(d, S, step, sign, TWO_MAPS, item)
            continue
        plane, top = item // c.row_blocks, item % c.row_blocks * PLANE_ROWS
        n, k = plane // filters, plane % filters
        depth_rows(c, S, step, sign, c.x + n * c.xn + k // c.K * c.xc,
                   c.y + n * c.yn + k * c.yk, c.w + k * S * S,
                   vset1(c.bias[k] if c.bias != NULL else 0), top,
                   min(top + <Py_ssize_t> PLANE_ROWS, c.rows.outputs))


# Each case has a function: the compiler takes far longer for one function that holds them all.

cdef void depth_three(void* args, Py_ssize_t begin, Py_ssize_t end) noexcept nogil:
    depth_items(<const Depthwise*> args, 3, 1, 1, begin, end)


cdef void depth_three_apart(void* args, Py_ssize_t begin, Py_ssize_t end) noexcept nogil:
    depth_items(<const Depthwise*> args, 3, 2, 1, begin, end)


cdef void depth_three_back(void* args, Py_ssize_t begin, Py_ssize_t end) noexcept nogil:
    depth_items(<const Depthwise*> args, 3, 1, -1, begin, end)


cdef void depth_five(void* args, Py_ssize_t begin, Py_ssize_t end) noexcept nogil:
    depth_items(<const Depthwise*> args, 5, 1, 1, begin, end)


cdef void depth_five_apart(void* args, Py_ssize_t begin, Py_ssize_t end) noexcept nogil:
    depth_items(<const Depthwise*> args, 5, 2, 1, begin, end)


cdef void depth_five_back(void* args, Py_ssize_t begin, Py_ssize_t end) noexcept nogil:
    depth_items(<const Depthwise*> args, 5, 1, -1, begin, end)


cdef task_t depth_task(const Convolution* c) noexcept nogil:
    """The function for the taps, the stride and the direction of `c`, which is depthwise."""
    if c.columns.taps == 3:
        if c.taps_first:
            return depth_three_back
        return depth_three if c.columns.stride == 1 else depth_three_apart
    if c.taps_first:
        return depth_five_back
    return depth_five if c.columns.stride == 1 else depth_five_apart


cdef Depthwise plan_depthwise(const Convolution* c) noexcept nogil:
    cdef Depthwise d
    d.c = c
    d.kind = ASIDE
    if c.row_blocks == 1:
        d.kind = look_narrow(&d.sides, &c.columns, c.columns.dilation)
    return d


cdef bint is_depthwise(const Convolution* c) noexcept nogil:
    """Whether `depth_task` knows this convolution."""
    cdef Py_ssize_t S = c.columns.taps
    cdef Py_ssize_t step = c.columns.stride
    cdef int sign = -1 if c.taps_first else 1
    return c.C == 1 and (S == 3 or S == 5) and c.rows.taps == S and c.R == S and c.S == S \
        and c.rows.stride == step and (step == 1 or (step == 2 and sign == 1)) \
        and c.rows.dilation == sign and c.columns.dilation == sign \
        and c.rows.every == 1 and c.columns.every == 1 and c.xw == 1 and c.yw == 1
