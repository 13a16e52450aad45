# The gradient of the weights of groups with few filters, pixels in the lanes: for any window, and
# at once for all taps of the usual ones.  A row is a block of the sum.  Lane l holds the outputs whose
# column is l modulo VL, wherever the row is cut by the padding.

cdef void dot_planes(void* args, Py_ssize_t begin, Py_ssize_t end) noexcept nogil:
    """The same gradient for groups with few filters: pixels in the lanes, a row is a block.

    Items are (filter of all groups, channel of the group, kernel row, kernel column).
    """
    cdef const WeightGradient* g = <const WeightGradient*> args
    cdef Py_ssize_t item, k, channel, n, i, j, r, s, i0, i1, j0, j1, low, high
    cdef Py_ssize_t step = g.columns.stride * g.xw
    cdef Py_ssize_t taps = g.rows.taps * g.columns.taps
    cdef vreal total, acc, value
    cdef const real* x
    cdef const real* dy
    for item in range(begin, end):
        k = item // taps // g.C
        channel = k // g.K * g.C + item // taps % g.C
        r = item % taps // g.columns.taps
        s = item % g.columns.taps
        outputs_inside(&g.rows, r, 0, g.rows.outputs, &i0, &i1)
        outputs_inside(&g.columns, s, 0, g.columns.outputs, &j0, &j1)
        total = vzero()
        for n in range(g.N):
            for i in range(i0, i1):
                x = g.x + n * g.xn + channel * g.xc \
                    + (i * g.rows.stride + g.rows.offset + r * g.rows.dilation) * g.xh \
                    + (g.columns.offset + s * g.columns.dilation) * g.xw
                dy = g.dy + n * g.yn + k * g.yk + i * g.yh
                acc = vzero()
                for j from j0 // VL * VL <= j < j1 by VL:
                    low = j0 - j
                    high = min(j1 - j, <Py_ssize_t> VL)
                    if step == 1:
                        value = vload_range(x + j, low, high)
                    else:
                        value = vload_lanes(x + j * step, step, low, high)
                    acc = vmadd(acc, value, vload_range(dy + j, low, high))
                total = total + acc
        g.dweight[item] = vsum(total)


cdef inline void dot_vector(const WeightGradient* g, const int outs, const int R, const int S,
                            const int step, const int kind, const real* x, const real* dy,
                            Py_ssize_t count, const Sides* at, vreal* acc) noexcept nogil:
    """acc[outs][R][S] += products of a vector of each of `outs` output rows with R map rows."""
    cdef vreal d[2]
    cdef vreal taps[5]
    cdef lanes_t seen[5]
    cdef int o, q, r, s
    for s in range(S):
        # nor the lanes after the last output: their zeros of dy may meet an infinity of x
        seen[s] = vkeep(at.seen[s] & lanes_between(0, count)) if kind == ASIDE else 0
    for o in range(outs):
        d[o] = vload(dy + o * g.yh) if kind == INSIDE else vload_n(dy + o * g.yh, count)
    for q in range((outs - 1) * step + R):
        load_taps(x + q * g.xh, x, S, step, 1, kind, at, seen, NULL, taps)
        for o in range(outs):
            r = q - o * step
            if r < 0 or r >= R:
                continue
            for s in range(S):
                if kind == INSIDE:
                    acc[(o * R + r) * S + s] = vmadd(acc[(o * R + r) * S + s], taps[s], d[o])
                else:
                    acc[(o * R + r) * S + s] = vmadd_where(acc[(o * R + r) * S + s], taps[s],
                                                           d[o], seen[s])


cdef inline void dot_row(const WeightGradient* g, const int outs, const int R, const int S,
                         const int step, const Sides* sides, const real* x, const real* dy,
                         vreal* total) noexcept nogil:
    """total[R][S] += products of `outs` output rows, each a block, with R map rows, x at column 0.

    sides are those of the first and of the last vector.
    """
    cdef vreal acc[18]
    cdef Sides other
    cdef const Sides* at
    cdef Py_ssize_t j, column
    cdef int o, t
    for t in range(outs * R * S):
        acc[t] = vzero()
    for j from 0 <= j < g.columns.outputs by VL:
        column = j * step + g.columns.offset
        if column >= 0 and column + VL * step + S - 1 <= g.columns.inputs \
                and j + VL <= g.columns.outputs:
            dot_vector(g, outs, R, S, step, INSIDE, x + column, dy + j, VL, sides, acc)
        else:
            at = &sides[0 if j == 0 else 1]
            if j > 0 and j + VL < g.columns.outputs:
                look_aside(&other, S, step, 1, column, g.columns.inputs)
                at = &other
            dot_vector(g, outs, R, S, step, ASIDE, x + column, dy + j, g.columns.outputs - j, at,
                       acc)
    for o in range(outs):
        for t in range(R * S):
            total[t] = total[t] + acc[o * R * S + t]


cdef inline void dot_window(const WeightGradient* g, const int S, const int step, const real* x,
                            const real* dy, real* dweight) noexcept nogil:
    """All taps of one filter and channel; x and dy of image 0."""
    cdef vreal total[25]
    cdef Sides sides[2]
    cdef Py_ssize_t n, i, h, r
    cdef const real* row
    cdef const real* out
    look_aside(&sides[0], S, step, 1, g.columns.offset, g.columns.inputs)
    look_aside(&sides[1], S, step, 1,
               (g.columns.outputs - 1) // VL * VL * step + g.columns.offset, g.columns.inputs)
    for i in range(S * S):
        total[i] = vzero()
    for n in range(g.N):
        i = 0
        while i < g.rows.outputs:
            h = i * step + g.rows.offset
            row = x + n * g.xn + h * g.xh
            out = dy + n * g.yn + i * g.yh
            i += 1
            if S == 3 and h >= 0 and h + step + S <= g.rows.inputs and i < g.rows.outputs:
                dot_row(g, 2, 3, 3, step, sides, row, out, total)
                i += 1
                continue
            for r in range(S):
                if 0 <= h + r < g.rows.inputs:
                    dot_row(g, 1, 1, S, step, sides, row + r * g.xh, out, total + r * S)
    for i in range(S * S):
        dweight[i] = vsum(total[i])


include "narrow_gradient.pxi"


cdef inline void dot_items(const WeightGradient* g, const int S, const int step,
                           Py_ssize_t begin, Py_ssize_t end) noexcept nogil:
    """As dot_planes; items are (filter of all groups, channel of the group)."""
    cdef Sides sides
    cdef int kind = look_narrow(&sides, &g.columns, 1)
    cdef Py_ssize_t item, k
    for item in range(begin, end):
        if knows_narrow(S) and kind == TWO_MAPS:
            dot_item(g, S, step, TWO_MAPS, item, &sides)
        elif knows_narrow(S) and kind == NARROW_MAP:
            dot_item(g, S, step, NARROW_MAP, item, &sides)
        else:
            k = item // g.C
            dot_window(g, S, step, g.x + (k // g.K * g.C + item % g.C) * g.xc, g.dy + k * g.yk,
                       g.dweight + item * S * S)


# A function for each case: a compiler takes far longer for one that holds them all.

cdef void dot_three(void* args, Py_ssize_t begin, Py_ssize_t end) noexcept nogil:
    dot_items(<const WeightGradient*> args, 3, 1, begin, end)


cdef void dot_three_apart(void* args, Py_ssize_t begin, Py_ssize_t end) noexcept nogil:
    dot_items(<const WeightGradient*> args, 3, 2, begin, end)


cdef void dot_five(void* args, Py_ssize_t begin, Py_ssize_t end) noexcept nogil:
    dot_items(<const WeightGradient*> args, 5, 1, begin, end)


cdef void dot_five_apart(void* args, Py_ssize_t begin, Py_ssize_t end) noexcept nogil:
    dot_items(<const WeightGradient*> args, 5, 2, begin, end)


cdef task_t dot_task(const WeightGradient* g) noexcept nogil:
    """The function for the taps and the stride of `g`, which `dots_windows`."""
    if g.columns.taps == 3:
        return dot_three if g.columns.stride == 1 else dot_three_apart
    return dot_five if g.columns.stride == 1 else dot_five_apart


cdef bint dots_windows(const WeightGradient* g) noexcept nogil:
    """Whether `dot_task` knows this convolution."""
    cdef Py_ssize_t S = g.columns.taps
    return (S == 3 or S == 5) and g.rows.taps == S and g.rows.dilation == 1 \
        and g.columns.dilation == 1 and g.rows.stride == g.columns.stride \
        and g.rows.stride <= 2 and g.xw == 1 and g.yw == 1
