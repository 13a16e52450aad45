# Maxima of windows, with the winner's tap where it is wanted.
#
#   x    a0 b0 a1 b1 a2 b2 ...      Windows that lie two apart: a row is taken apart into its
#        c0 d0 c1 d1 c2 d2 ...      even and odd columns, so that lane j has the taps of window
#                                   j, and the taps are contested in row-major order, as the
#   y    max(a0, b0, c0, d0) ...    first of equal maxima wins.

from libc.math cimport INFINITY

ctypedef fused argmax_t:
    unsigned char
    int

cdef inline bint is_nan(real a) noexcept nogil:
    return a != a


cdef inline void max_window(const Pooling* g, const real* x, Py_ssize_t i, Py_ssize_t j,
                            Py_ssize_t r0, Py_ssize_t r1, real* best,
                            Py_ssize_t* where) noexcept nogil:
    """One window, whose taps to the left and right may lie outside the map."""
    cdef Py_ssize_t r, s, s0, s1
    cdef const real* row
    cdef real value
    taps_inside(&g.columns, j, &s0, &s1)
    where[0] = r0 * g.columns.taps + s0
    best[0] = x[(i * g.rows.stride + g.rows.offset + r0 * g.rows.dilation) * g.W
                + j * g.columns.stride + g.columns.offset + s0 * g.columns.dilation]
    for r in range(r0, r1):
        row = x + (i * g.rows.stride + g.rows.offset + r * g.rows.dilation) * g.W \
            + j * g.columns.stride + g.columns.offset
        for s in range(s0, s1):
            value = row[s * g.columns.dilation]
            if value > best[0] or (is_nan(value) and not is_nan(best[0])):
                best[0] = value
                where[0] = r * g.columns.taps + s


cdef inline lanes_t max_chain(const Pooling* g, const real* x, const int S, const int step,
                              const bint numbers, const Sides* at, Py_ssize_t r0, Py_ssize_t r1,
                              Py_ssize_t count, vreal* best, vmask* taken) noexcept nogil:
    """Up to VL windows from tap (r0, 0) of the first; returns whether a NaN was among them.

    S and step are constants of the caller, step 0 for any stride and dilation.  at is NULL where
    all columns lie inside the map; elsewhere padding is minus infinity, and a window's winner
    is at first its first tap inside.
    """
    cdef Py_ssize_t r
    cdef int s
    cdef vreal a, b, value
    cdef lanes_t unordered = 0
    best[0] = vset1(<real> -INFINITY)
    taken[0] = vtap(<int> (r0 * S))
    if at != NULL:
        for s in range(S - 1, 0, -1):
            taken[0] = vpick_tap(taken[0], <int> (r0 * S + s), at.seen[s])
        taken[0] = vpick_tap(taken[0], <int> (r0 * S), at.seen[0])
    for r in range(r0, r1):
        for s in range(S):
            if step == 2:
                if s % 2 == 0:
                    if at == NULL:
                        a = vload_n(x + s, 2 * count - (s + 1 == S))
                        b = vload_n(x + s + VL, 2 * count - (s + 1 == S) - VL)
                    else:
                        a = vload_where(x + s, at.loaded[s])
                        b = vload_where(x + s + VL, at.loaded[s + 1])
                    unordered |= vunordered(a, b)
                value = vevens(a, b) if s % 2 == 0 else vodds(a, b)
            else:
                if step == 1 and at != NULL:
                    value = vload_where(x + s, at.loaded[s])
                elif step == 1:
                    value = vload_n(x + s, count)
                else:
                    value = load_pixels(x + s * g.columns.dilation, g.columns.stride, count)
                unordered |= vunordered(value, value)
            if at != NULL:
                value = vpick(vset1(<real> -INFINITY), value, at.seen[s])
            if numbers:
                vcontest_numbers(best, taken, value, <int> (r * S + s))
            else:
                vcontest(best, taken, value, <int> (r * S + s))
        x = x + g.rows.dilation * g.W
    return unordered


cdef void max_with_nan(const Pooling* g, const real* x, int S, int step, const Sides* at,
                       Py_ssize_t r0, Py_ssize_t r1, Py_ssize_t count, vreal* best,
                       vmask* taken) noexcept nogil:
    max_chain(g, x, S, step, False, at, r0, r1, count, best, taken)


cdef inline void max_column(const Pooling* g, const real* x, const int S, const int step,
                            const Sides* at, Py_ssize_t r0, Py_ssize_t r1, Py_ssize_t rows,
                            Py_ssize_t count, real* y, argmax_t* argmax,
                            const bint wants_argmax) noexcept nogil:
    """Up to VL windows of each of some rows, all of which see the same taps.

    Maxima without regard to NaN are a shorter chain, gone through again where there was one.
    """
    cdef Py_ssize_t i
    cdef vreal top
    cdef vmask taken
    for i in range(rows):
        if max_chain(g, x, S, step, True, at, r0, r1, count, &top, &taken):
            max_with_nan(g, x, S, step, at, r0, r1, count, &top, &taken)
        vstore_n(y, top, count)
        if wants_argmax:
            if argmax_t is int:
                vstore_ints(argmax, taken, count)
            else:
                vstore_bytes(argmax, taken, count)
            argmax = argmax + g.columns.outputs
        y = y + g.columns.outputs
        x = x + g.rows.stride * g.W


cdef inline void max_band(const Pooling* g, const real* x, const int S, const int step,
                          const Sides* sides, Py_ssize_t rows, Py_ssize_t r0, Py_ssize_t r1,
                          real* y, argmax_t* argmax, const bint wants_argmax) noexcept nogil:
    """Some rows of outputs, vector by vector; x at tap (r0, 0) of the first window, y and
    argmax at its result.  Of sides the third is free for vectors at neither end."""
    cdef Py_ssize_t j = 0, count, last
    cdef Py_ssize_t outputs = g.columns.outputs
    cdef Sides* at
    while j < outputs:
        last = max(outputs - VL, <Py_ssize_t> 0)
        j = min(j, last)                   # some windows once more
        count = min(<Py_ssize_t> VL, outputs - j)
        if g.first_column <= j and j + count <= g.last_column:
            if count == VL:
                max_column(g, x + j * step, S, step, NULL, r0, r1, rows, VL, y + j, argmax + j,
                           wants_argmax)
            else:
                max_column(g, x + j * step, S, step, NULL, r0, r1, rows, count, y + j,
                           argmax + j, wants_argmax)
        else:
            at = &sides[0 if j == 0 else 1]
            if j > 0 and j < last:
                at = <Sides*> &sides[2]
                look_aside(at, S, step, 1, j * step + g.columns.offset, g.W)
            max_column(g, x + j * step, S, step, at, r0, r1, rows, count, y + j, argmax + j,
                       wants_argmax)
        j += VL


cdef inline void max_rows(const Pooling* g, const real* x, Py_ssize_t i, Py_ssize_t rows,
                          Py_ssize_t r0, Py_ssize_t r1, real* y, argmax_t* argmax,
                          const bint wants_argmax) noexcept nogil:
    """Any window: vectors of those whose columns lie inside the map, single ones at the sides."""
    cdef Py_ssize_t j, k, count, where
    cdef Py_ssize_t step = g.columns.stride
    cdef real best
    cdef const real* row = x + (i * g.rows.stride + g.rows.offset + r0 * g.rows.dilation) * g.W \
        + g.columns.offset
    for j in range(g.columns.outputs):
        if g.first_column <= j < g.last_column:
            continue
        for k in range(rows):
            max_window(g, x, i + k, j, r0, r1, &best, &where)
            y[k * g.columns.outputs + j] = best
            if wants_argmax:
                argmax[k * g.columns.outputs + j] = <argmax_t> where
    for j from g.first_column <= j < g.last_column by VL:
        count = min(<Py_ssize_t> VL, g.last_column - j)
        max_column(g, row + j * step, <int> g.columns.taps, 0, NULL, r0, r1, rows, count, y + j,
                   argmax + j, wants_argmax)


cdef void max_planes(Pooling* g, argmax_t* argmax, const bint wants_argmax,
                     Py_ssize_t begin, Py_ssize_t end) noexcept nogil:
    cdef Py_ssize_t item, plane, i, bottom, rows, r0, r1, offset
    cdef Py_ssize_t outputs = g.columns.outputs
    cdef int step = <int> g.columns.stride
    cdef int S = <int> g.columns.taps
    cdef bint plain = g.columns.dilation == 1 and (step == 2 and S == 2 or step <= 2 and S == 3)
    cdef Sides sides[3]
    cdef const real* x
    cdef const real* row
    cdef real* y
    if plain:
        look_aside(&sides[0], S, step, 1, g.columns.offset, g.W)
        look_aside(&sides[1], S, step, 1,
                   max(outputs - VL, <Py_ssize_t> 0) * step + g.columns.offset, g.W)
    for item in range(begin, end):
        plane = item // g.blocks
        x = g.x + plane * g.H * g.W
        i = item % g.blocks * POOL_ROWS
        bottom = min(i + POOL_ROWS, g.rows.outputs)
        while i < bottom:
            rows = min(same_taps(&g.rows, i, bottom, &r0, &r1) - i, <Py_ssize_t> BAND)
            offset = (plane * g.rows.outputs + i) * outputs
            y = g.y + offset
            row = x + (i * g.rows.stride + g.rows.offset + r0 * g.rows.dilation) * g.W \
                + g.columns.offset
            if not plain:
                max_rows(g, x, i, rows, r0, r1, y, argmax + offset, wants_argmax)
            elif S == 2 and r0 == 0 and r1 == 2:
                max_band(g, row, 2, 2, sides, rows, 0, 2, y, argmax + offset, wants_argmax)
            elif S == 2:
                max_band(g, row, 2, 2, sides, rows, r0, r1, y, argmax + offset, wants_argmax)
            elif step == 2 and r0 == 0 and r1 == 3:
                max_band(g, row, 3, 2, sides, rows, 0, 3, y, argmax + offset, wants_argmax)
            elif step == 2:
                max_band(g, row, 3, 2, sides, rows, r0, r1, y, argmax + offset, wants_argmax)
            elif r0 == 0 and r1 == 3:
                max_band(g, row, 3, 1, sides, rows, 0, 3, y, argmax + offset, wants_argmax)
            else:
                max_band(g, row, 3, 1, sides, rows, r0, r1, y, argmax + offset, wants_argmax)
            i += rows


cdef void max_planes_uint8(void* args, Py_ssize_t begin, Py_ssize_t end) noexcept nogil:
    max_planes(<Pooling*> args, <unsigned char*> (<Pooling*> args).argmax, True, begin, end)


cdef void max_planes_int32(void* args, Py_ssize_t begin, Py_ssize_t end) noexcept nogil:
    max_planes(<Pooling*> args, <int*> (<Pooling*> args).argmax, True, begin, end)


cdef void max_planes_alone(void* args, Py_ssize_t begin, Py_ssize_t end) noexcept nogil:
    max_planes(<Pooling*> args, <unsigned char*> NULL, False, begin, end)
