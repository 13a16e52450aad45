# The gradient of the weights where groups have few filters, with pixels in the lanes.  It does any
# window tap by tap, and the usual windows with all taps at once.  Lane l holds the outputs whose
# column is l modulo VL, wherever the padding cuts the row.
#
# A block of the sum is a row, or ROW_VECTORS vectors of a longer row.  Blocks are added to a total.
# After `total_blocks` blocks the total is added in float64 to the sum of those before it.

cdef extern from *:
    """
    enum { ROW_VECTORS = 16, LONGEST_CHAIN = 48,
           DOT_BANDS = VL > 1,
           DOT_MASKS = VL * sizeof(real) >= 64 };
    """
    enum: DOT_BANDS                        # whether bands_gradient.pxi is for this target
    enum: DOT_MASKS                        # whether it leaves windows of 3x3 to masks
    enum: ROW_VECTORS
    enum: LONGEST_CHAIN                    # additions of the chains of a block and a total together


cdef inline Py_ssize_t total_blocks(const WeightGradient* g) noexcept nogil:
    """How many blocks are added to a total before it is added in float64."""
    return LONGEST_CHAIN - min(<Py_ssize_t> ROW_VECTORS, (g.columns.outputs + VL - 1) // VL)


cdef Py_ssize_t inside_end(const Axis* columns) noexcept nogil:
    """The end of the vectors of outputs that are whole and see no column right of the map."""
    cdef Py_ssize_t seen = floor_div(columns.inputs - columns.offset - columns.taps + 1,
                                     columns.stride * VL) * VL
    return clamp(seen, 0, columns.outputs // VL * VL)


cdef inline void add_totals(int count, vreal* total, double* sums) noexcept nogil:
    """Add `count` totals to their sums, and begin the totals again."""
    cdef int t
    for t in range(count):
        vadd_long(sums + t * VL, total[t])
        total[t] = vzero()


cdef void dot_planes(void* args, Py_ssize_t begin, Py_ssize_t end) noexcept nogil:
    """The gradient for any window, a tap at a time.

    Items are (filter of all groups, channel of the group, kernel row, kernel column).
    """
    cdef const WeightGradient* g = <const WeightGradient*> args
    cdef Py_ssize_t item, k, channel, n, i, j, r, s, i0, i1, j0, j1, low, high
    cdef Py_ssize_t step = g.columns.stride * g.xw
    cdef Py_ssize_t taps = g.rows.taps * g.columns.taps
    cdef Py_ssize_t blocks = total_blocks(g), left, first, last
    cdef double sums[VL]
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
        total, left = vzero(), blocks
        memset(sums, 0, sizeof(sums))
        for n in range(g.N):
            for i in range(i0, i1):
                x = g.x + n * g.xn + channel * g.xc \
                    + (i * g.rows.stride + g.rows.offset + r * g.rows.dilation) * g.xh \
                    + (g.columns.offset + s * g.columns.dilation) * g.xw
                dy = g.dy + n * g.yn + k * g.yk + i * g.yh
                first = j0 // VL * VL
                while first < j1:
                    last = min(j1, (first // (ROW_VECTORS * VL) + 1) * (ROW_VECTORS * VL))
                    acc = vzero()
                    for j from first <= j < last by VL:
                        low = j0 - j
                        high = min(j1 - j, <Py_ssize_t> VL)
                        if step == 1:
                            value = vload_range(x + j, low, high)
                        else:
                            value = vload_lanes(x + j * step, step, low, high)
                        acc = vmadd(acc, value, vload_range(dy + j, low, high))
                    total = total + acc
                    left -= 1
                    if left == 0:
                        add_totals(1, &total, sums)
                        left = blocks
                    first = last
        add_totals(1, &total, sums)
        g.dweight[item] = vsum(vlong(sums))


cdef inline void dot_vector(const WeightGradient* g, const int outs, const int R, const int S,
                            const int step, const int kind, const real* x, const real* dy,
                            Py_ssize_t count, const Sides* at, vreal* acc) noexcept nogil:
    """acc[outs][R][S] += products of a vector in each of `outs` output rows with the R map rows
    that it sees."""
    cdef vreal d[2]
    cdef vreal taps[5]
    cdef lanes_t seen[5]
    cdef int o, q, r, s
    for s in range(S):
        # lanes after the last output count as unseen: their dy is 0, but x may be infinite
        seen[s] = vkeep(at.seen[s] & lanes_between(0, count)) if kind == ASIDE else 0
    for o in range(outs):
        d[o] = vload(dy + o * g.yh) if kind == INSIDE else vload_n(dy + o * g.yh, count)
    for q in range((outs - 1) * step + R):
        load_taps(x + q * g.xh, x, S, step, 1, kind, at, seen, NULL, taps)
        for s in range(S if outs > 1 and kind == INSIDE else 0):
            taps[s] = vheld(taps[s])
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
                         Py_ssize_t first, Py_ssize_t last, vreal* total) noexcept nogil:
    """total[R][S] += products of a block in each of `outs` output rows with R map rows.

    The block has the columns first .. last; x and dy are at column 0.  sides are those of the first
    and of the last vector of a row.
    """
    cdef vreal acc[18]
    cdef Sides other
    cdef const Sides* at
    cdef Py_ssize_t j = first, column, end
    cdef int o, t
    for t in range(outs * R * S):
        acc[t] = vzero()
    while j < last:
        column = j * step + g.columns.offset
        if column < 0 or j >= g.inside:
            at = &sides[0 if j == 0 else 1]
            if j > 0 and j + VL < g.columns.outputs:
                look_aside(&other, S, step, 1, column, g.columns.inputs)
                at = &other
            dot_vector(g, outs, R, S, step, ASIDE, x + column, dy + j, g.columns.outputs - j, at,
                       acc)
            j += VL
            continue
        end = min(last, g.inside)
        while j < end:
            dot_vector(g, outs, R, S, step, INSIDE, x + j * step + g.columns.offset, dy + j, VL,
                       sides, acc)
            j += VL
    for o in range(outs):
        for t in range(R * S):
            total[t] = total[t] + acc[o * R * S + t]


cdef inline void dot_window(const WeightGradient* g, const int S, const int step, const real* x,
                            const real* dy, real* dweight) noexcept nogil:
    """Write all taps of one filter and channel; x and dy are those of image 0."""
    cdef vreal total[25]
    cdef double sums[25 * VL]
    cdef Sides sides[2]
    cdef Py_ssize_t blocks = total_blocks(g), left = blocks, outputs = g.columns.outputs
    cdef Py_ssize_t n, i, h, r, outs, first, last
    cdef bint lasting = g.N * g.rows.outputs * ceil_div(outputs, ROW_VECTORS * VL) > blocks
    cdef const real* row
    cdef const real* out
    look_aside(&sides[0], S, step, 1, g.columns.offset, g.columns.inputs)
    look_aside(&sides[1], S, step, 1, (outputs - 1) // VL * VL * step + g.columns.offset,
               g.columns.inputs)
    for i in range(S * S):
        total[i] = vzero()
    if lasting:
        memset(sums, 0, S * S * VL * sizeof(double))
    for n in range(g.N):
        i = 0
        while i < g.rows.outputs:
            h = i * step + g.rows.offset
            row = x + n * g.xn + h * g.xh
            out = dy + n * g.yn + i * g.yh
            outs = 1
            if S == 3 and h >= 0 and h + step + S <= g.rows.inputs and i + 1 < g.rows.outputs:
                outs = 2
            for first from 0 <= first < outputs by ROW_VECTORS * VL:
                last = min(outputs, first + ROW_VECTORS * VL)
                if left < outs:
                    add_totals(S * S, total, sums)
                    left = blocks
                left -= outs
                if outs == 2:
                    dot_row(g, 2, 3, 3, step, sides, row, out, first, last, total)
                    continue
                for r in range(S):
                    if 0 <= h + r < g.rows.inputs:
                        dot_row(g, 1, 1, S, step, sides, row + r * g.xh, out, first, last,
                                total + r * S)
            i += outs
    if lasting:
        add_totals(S * S, total, sums)
    for i in range(S * S):
        dweight[i] = vsum(vlong(sums + i * VL) if lasting else total[i])


include "convolution/depthwise/narrow_gradient.pxi"


cdef inline void dot_items(const WeightGradient* g, const int S, const int step,
                           Py_ssize_t begin, Py_ssize_t end) noexcept nogil:
    """The gradient for the usual windows.  Items are (filter of all groups, channel of the
    group)."""
    cdef Sides sides
    cdef int kind = look_narrow(&sides, &g.columns, 1)
    cdef Py_ssize_t item, k
    for item in range(begin, end):
        if knows_narrow(S) and kind == TWO_MAPS:
            dot_item(g, S, step, TWO_MAPS, item, &sides)
        elif knows_narrow(S) and kind == NARROW_MAP:
            dot_item(g, S, step, NARROW_MAP, item, &sides)
        elif not DOT_BANDS or DOT_MASKS and S == 3:  # else quads or bands do it
            k = item // g.C
            dot_window(g, S, step, g.x + (k // g.K * g.C + item % g.C) * g.xc, g.dy + k * g.yk,
                       g.dweight + item * S * S)


# Each case has a function: the compiler takes far longer for one function that holds them all.

cdef void dot_three(void* args, Py_ssize_t begin, Py_ssize_t end) noexcept nogil:
    dot_items(<const WeightGradient*> args, 3, 1, begin, end)


cdef void dot_three_apart(void* args, Py_ssize_t begin, Py_ssize_t end) noexcept nogil:
    dot_items(<const WeightGradient*> args, 3, 2, begin, end)


cdef void dot_five(void* args, Py_ssize_t begin, Py_ssize_t end) noexcept nogil:
    dot_items(<const WeightGradient*> args, 5, 1, begin, end)


cdef void dot_five_apart(void* args, Py_ssize_t begin, Py_ssize_t end) noexcept nogil:
    dot_items(<const WeightGradient*> args, 5, 2, begin, end)


cdef task_t dot_task(const WeightGradient* g) noexcept nogil:
    """The function for the taps and the stride of `g`; `dots_windows(g)` is true."""
    if g.columns.taps == 3:
        return dot_three if g.columns.stride == 1 else dot_three_apart
    return dot_five if g.columns.stride == 1 else dot_five_apart


cdef bint dots_windows(const WeightGradient* g) noexcept nogil:
    """Whether `dot_task` knows this convolution."""
    return knows_dots(g) and g.xw == 1 and g.yw == 1 and leaves_bands(g)


cdef bint knows_dots(const WeightGradient* g) noexcept nogil:
    """Whether `dot_task` knows this window, however x and dy lie."""
    cdef Py_ssize_t S = g.columns.taps
    return (S == 3 or S == 5) and g.rows.taps == S and g.rows.dilation == 1 \
        and g.columns.dilation == 1 and g.rows.stride == g.columns.stride and g.rows.stride <= 2


cdef bint leaves_bands(const WeightGradient* g) noexcept nogil:
    """Whether bands_gradient.pxi does not do it, which no layout of x and dy decides."""
    return not DOT_BANDS or dots_narrow(g) or DOT_MASKS and knows_dots(g) and g.columns.taps == 3


cdef bint dots_narrow(const WeightGradient* g) noexcept nogil:
    """Whether narrow_gradient.pxi does it: bands of such small maps cost more than they save."""
    cdef Sides sides
    return knows_dots(g) and look_narrow(&sides, &g.columns, 1) != ASIDE
