# The gradient of the weights where a row of the map fits a vector, or half of one, with the lanes
# of narrow.pxi.  A row is a block of its own, so a block is one product.  Totals and sums are those
# of planes_gradient.pxi.

cdef inline void dot_narrow(const WeightGradient* g, const int S, const int step,
                            const int rows, const int kind, const real* x, const real* other,
                            const real* dy, const real* other_dy, Py_ssize_t i,
                            const Sides* at, const vmask* turns, vreal* total) noexcept nogil:
    """total[S][S] += products of `rows` output rows, from row i on, with the rows they see."""
    cdef vreal d[NARROW_ROWS]
    cdef vreal taps[5]
    cdef lanes_t seen[5]
    cdef lanes_t lanes = lanes_between(0, g.columns.outputs)
    cdef Py_ssize_t h = i * step + g.rows.offset
    cdef int q, o, r, s
    for s in range(S):
        seen[s] = vkeep(at.seen[s])
    for o in range(rows):
        d[o] = vload_where(dy + (i + o) * g.yh, lanes)
        if kind == TWO_MAPS:
            d[o] = vpick(d[o], vload_where(other_dy + (i + o) * g.yh - VL // 2,
                                           lanes << (VL // 2)), lanes << (VL // 2))
    for q in range((rows - 1) * step + S):
        if h + q < 0 or h + q >= g.rows.inputs:
            continue
        load_taps(x + (h + q) * g.xh, other + (h + q) * g.xh, S, step, 1, kind, at, seen, turns,
                  taps)
        for o in range(rows):
            r = q - o * step
            if r < 0 or r >= S:
                continue
            for s in range(S):
                total[r * S + s] = vadd_where(total[r * S + s], vzero() + taps[s] * d[o], seen[s])


cdef inline void dot_item(const WeightGradient* g, const int S, const int step,
                          const int kind, Py_ssize_t item, const Sides* at) noexcept nogil:
    """Do all taps of one item, which is a filter and a channel.  With TWO_MAPS, an even item does
    the next one too, and an odd item does nothing."""
    cdef vreal total[25]
    cdef double sums[25 * VL]
    cdef vmask turns[5]
    cdef Py_ssize_t blocks = total_blocks(g), left = blocks, last
    cdef Py_ssize_t band = g.rows.outputs if g.rows.outputs <= blocks else 4 * NARROW_ROWS
    cdef bint lasting = g.N * g.rows.outputs > blocks
    cdef Py_ssize_t next = item, k = item // g.C, k2, n, i
    cdef const real* x
    cdef const real* x2
    cdef const real* dy
    cdef const real* dy2
    cdef int t
    if kind == TWO_MAPS and item % 2 == 1:
        return
    if kind == TWO_MAPS and item + 1 < g.groups * g.K * g.C:
        next = item + 1
    k2 = next // g.C
    x = g.x + (k // g.K * g.C + item % g.C) * g.xc
    x2 = g.x + (k2 // g.K * g.C + next % g.C) * g.xc
    dy, dy2 = g.dy + k * g.yk, g.dy + k2 * g.yk
    for t in range(S * S):
        total[t] = vzero()
    if lasting:
        memset(sums, 0, S * S * VL * sizeof(double))
    for t in range(S):
        turns[t] = vturn(at.turn[t])
    for n in range(g.N):
        i = 0
        while i < g.rows.outputs:
            last = min(i + band, g.rows.outputs)
            if left < last - i:
                add_totals(S * S, total, sums)
                left = blocks
            left -= last - i
            if S == 3 and g.rows.outputs % NARROW_ROWS == 0:
                while i < last:
                    dot_narrow(g, S, step, NARROW_ROWS, kind, x, x2, dy, dy2, i, at, turns, total)
                    i += NARROW_ROWS
            while i + 4 <= last:
                dot_narrow(g, S, step, 4, kind, x, x2, dy, dy2, i, at, turns, total)
                i += 4
            while i < last:
                dot_narrow(g, S, step, 1, kind, x, x2, dy, dy2, i, at, turns, total)
                i += 1
        x, x2, dy, dy2 = x + g.xn, x2 + g.xn, dy + g.yn, dy2 + g.yn
    if lasting:
        add_totals(S * S, total, sums)
    for t in range(S * S):
        if lasting:
            total[t] = vlong(sums + t * VL)
        if kind == TWO_MAPS:
            vsum_halves(total[t], g.dweight + item * S * S + t, g.dweight + next * S * S + t)
        else:
            g.dweight[item * S * S + t] = vsum(total[t])
