# Maxima of windows, with the winner's tap where it is wanted, and their gradient.
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


cdef inline void max_vector(const Pooling* g, const real* x, const int S, const int step,
                            Py_ssize_t r0, Py_ssize_t r1, Py_ssize_t count, vreal* best,
                            vmask* taken) noexcept nogil:
    """Up to VL windows whose columns all lie inside the map, from tap (r0, 0) of the first.

    S and step are constants of the caller, step 0 for any stride and dilation.  Maxima without
    regard to NaN are a shorter chain: it is gone through again where there was one.
    """
    cdef Py_ssize_t r
    cdef int s, tap
    cdef vreal a, b, value
    cdef const real* row = x
    cdef lanes_t unordered = 0
    best[0] = vset1(<real> -INFINITY)
    taken[0] = vtap(<int> (r0 * S))
    for r in range(r0, r1):
        for s in range(S):
            tap = <int> (r * S + s)
            if step == 2:
                if s % 2 == 0:
                    a = vload_n(row + s, 2 * count - (s + 1 == S))
                    b = vload_n(row + s + VL, 2 * count - (s + 1 == S) - VL)
                    unordered |= vunordered(a, b)
                value = vevens(a, b) if s % 2 == 0 else vodds(a, b)
            else:
                value = vload_n(row + s, count) if step == 1 else \
                    load_pixels(row + s * g.columns.dilation, g.columns.stride, count)
                unordered |= vunordered(value, value)
            vcontest_numbers(best, taken, value, tap)
        row = row + g.rows.dilation * g.W
    if unordered:
        max_vector_nan(g, x, S, r0, r1, count, best, taken)


cdef void max_vector_nan(const Pooling* g, const real* x, int S, Py_ssize_t r0, Py_ssize_t r1,
                         Py_ssize_t count, vreal* best, vmask* taken) noexcept nogil:
    cdef Py_ssize_t r, s
    best[0] = vset1(<real> -INFINITY)
    taken[0] = vtap(<int> (r0 * S))
    for r in range(r0, r1):
        for s in range(S):
            vcontest(best, taken,
                     load_pixels(x + s * g.columns.dilation, g.columns.stride, count),
                     <int> (r * S + s))
        x = x + g.rows.dilation * g.W


cdef inline void max_column(const Pooling* g, const real* x, const int S, const int step,
                            Py_ssize_t r0, Py_ssize_t r1, Py_ssize_t rows, Py_ssize_t count,
                            real* y, argmax_t* argmax, const bint wants_argmax) noexcept nogil:
    """Up to VL windows of each of some rows, all of which see the same taps."""
    cdef Py_ssize_t i
    cdef vreal top
    cdef vmask taken
    for i in range(rows):
        max_vector(g, x, S, step, r0, r1, count, &top, &taken)
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
                          Py_ssize_t i, Py_ssize_t rows, Py_ssize_t r0, Py_ssize_t r1, real* y,
                          argmax_t* argmax, const bint wants_argmax) noexcept nogil:
    """Some rows of outputs from i: vectors of the windows whose columns lie inside the map,
    single windows at the sides; of a plane x, to row i of y."""
    cdef Py_ssize_t j, k, count, where
    cdef Py_ssize_t last = g.last_column
    cdef real best
    cdef const real* row = x + (i * g.rows.stride + g.rows.offset + r0 * g.rows.dilation) * g.W \
        + g.columns.offset
    for j in range(g.columns.outputs):
        if g.first_column <= j < last:
            continue
        for k in range(rows):
            max_window(g, x, i + k, j, r0, r1, &best, &where)
            y[k * g.columns.outputs + j] = best
            if wants_argmax:
                argmax[k * g.columns.outputs + j] = <argmax_t> where
    j = g.first_column
    while j < last:
        count = last - j
        if count < VL and last - g.first_column >= VL:  # some windows once more
            j, count = last - VL, VL
        if count >= VL:
            max_column(g, row + j * g.columns.stride, S, step, r0, r1, rows, VL, y + j,
                       argmax + j, wants_argmax)
        else:
            max_column(g, row + j * g.columns.stride, S, step, r0, r1, rows, count, y + j,
                       argmax + j, wants_argmax)
        j += VL


cdef void max_planes(Pooling* g, argmax_t* argmax, const bint wants_argmax,
                     Py_ssize_t begin, Py_ssize_t end) noexcept nogil:
    cdef Py_ssize_t item, plane, i, bottom, rows, r0, r1, offset
    cdef Py_ssize_t step = g.columns.stride
    cdef Py_ssize_t S = g.columns.taps
    cdef bint plain = g.columns.dilation == 1 and g.rows.dilation == 1 and S == g.rows.taps
    cdef const real* x
    cdef real* y
    for item in range(begin, end):
        plane = item // g.blocks
        x = g.x + plane * g.H * g.W
        i = item % g.blocks * POOL_ROWS
        bottom = min(i + POOL_ROWS, g.rows.outputs)
        while i < bottom:
            rows = min(same_taps(&g.rows, i, bottom, &r0, &r1) - i, <Py_ssize_t> BAND)
            offset = (plane * g.rows.outputs + i) * g.columns.outputs
            y = g.y + offset
            if not plain or r0 > 0 or r1 < S:
                max_band(g, x, <int> S, 0, i, rows, r0, r1, y, argmax + offset, wants_argmax)
            elif S == 2 and step == 2:
                max_band(g, x, 2, 2, i, rows, 0, 2, y, argmax + offset, wants_argmax)
            elif S == 3 and step == 2:
                max_band(g, x, 3, 2, i, rows, 0, 3, y, argmax + offset, wants_argmax)
            elif S == 3 and step == 1:
                max_band(g, x, 3, 1, i, rows, 0, 3, y, argmax + offset, wants_argmax)
            else:
                max_band(g, x, <int> S, 0, i, rows, r0, r1, y, argmax + offset, wants_argmax)
            i += rows


cdef void max_planes_uint8(void* args, Py_ssize_t begin, Py_ssize_t end) noexcept nogil:
    max_planes(<Pooling*> args, <unsigned char*> (<Pooling*> args).argmax, True, begin, end)


cdef void max_planes_int32(void* args, Py_ssize_t begin, Py_ssize_t end) noexcept nogil:
    max_planes(<Pooling*> args, <int*> (<Pooling*> args).argmax, True, begin, end)


cdef void max_planes_alone(void* args, Py_ssize_t begin, Py_ssize_t end) noexcept nogil:
    max_planes(<Pooling*> args, <unsigned char*> NULL, False, begin, end)


cdef inline void gather_column(const Pooling* g, const int S, const bint rows_inside,
                               const bint columns_inside, const real* dy,
                               const unsigned char* argmax, Py_ssize_t top, Py_ssize_t bottom,
                               Py_ssize_t m, real* dx) noexcept nogil:
    """Stride 2: rows 2i and 2i + 1 for top <= i < bottom, columns 2m .. 2m + 2 VL - 1, all
    counted in the padded map.

        even row    taps 8 6 2 0 | 7 1    of the windows (i-1, m-1) (i-1, m) (i, m-1) (i, m)
        odd row          5 3     | 4      in even columns | in odd columns, which see the
                                          windows of column m alone; of a 2x2 window 0 | 1, 2 | 3
    """
    cdef vreal d[4]                        # of those four windows
    cdef vmask t[4]
    cdef vreal even, odd
    cdef lanes_t lanes
    cdef Py_ssize_t OW = g.columns.outputs
    cdef Py_ssize_t i, row, column, at, h
    cdef Py_ssize_t c = 2 * m + g.columns.offset
    cdef int k
    for i in range(top, bottom):
        for k in range(4):
            if S == 2 and k < 3:
                continue
            row, column = i - 1 + k // 2, m - 1 + k % 2
            at = row * OW + column
            if columns_inside:
                lanes = lanes_between(0, VL)
            else:
                lanes = lanes_between(-column, OW - column)
            if not rows_inside and (row < 0 or row >= g.rows.outputs):
                lanes = 0
            if columns_inside and rows_inside:
                d[k] = vload(dy + at)
            else:
                d[k] = vload_where(dy + at, lanes)
            t[k] = vload_bytes(argmax + at, lanes)
        for k in range(2):
            even = odd = vzero()
            if S == 2:
                even = vadd_winner(even, d[3], t[3], 2 * k)
                odd = vadd_winner(odd, d[3], t[3], 2 * k + 1)
            else:
                if k == 0:
                    even = vadd_winner(even, d[0], t[0], 8)
                    even = vadd_winner(even, d[1], t[1], 6)
                    odd = vadd_winner(odd, d[1], t[1], 7)
                even = vadd_winner(even, d[2], t[2], 3 * k + 2)
                even = vadd_winner(even, d[3], t[3], 3 * k)
                odd = vadd_winner(odd, d[3], t[3], 3 * k + 1)
            h = 2 * i + k + g.rows.offset
            if not rows_inside and (h < 0 or h >= g.H):
                continue
            if columns_inside:
                vstore(dx + h * g.W + c, vlow(even, odd))
                vstore(dx + h * g.W + c + VL, vhigh(even, odd))
            else:
                vstore_where(dx + h * g.W + c, vlow(even, odd), lanes_between(-c, g.W - c))
                vstore_where(dx + h * g.W + c + VL, vhigh(even, odd),
                             lanes_between(-c - VL, g.W - c - VL))


cdef inline void gather_plane(const Pooling* g, const int S, const real* dy,
                              const unsigned char* argmax, real* dx) noexcept nogil:
    cdef Py_ssize_t m, i, end = (g.H - g.rows.offset + 1) // 2
    cdef Py_ssize_t first = max(S - 2, (1 - g.rows.offset) // 2)  # rows that need no look
    cdef Py_ssize_t last = min(g.rows.outputs, (g.H - g.rows.offset) // 2)
    cdef Py_ssize_t top = 0, bottom
    while top < end:
        if first <= top < last:
            bottom = min(top + BAND, last)
        else:
            bottom = top + 1
        for m from 0 <= m < (g.W - g.columns.offset + 1) // 2 by VL:
            if not first <= top < last:
                gather_column(g, S, False, False, dy, argmax, top, bottom, m, dx)
            elif m >= S - 2 and m + VL <= g.columns.outputs and 2 * m + g.columns.offset >= 0 \
                    and 2 * m + 2 * VL + g.columns.offset <= g.W:
                gather_column(g, S, True, True, dy, argmax, top, bottom, m, dx)
            else:
                gather_column(g, S, True, False, dy, argmax, top, bottom, m, dx)
        top = bottom


cdef void gather_planes(void* args, Py_ssize_t begin, Py_ssize_t end) noexcept nogil:
    """Write every element of dx once, the sum of the windows it won in row-major order."""
    cdef const Pooling* g = <const Pooling*> args
    cdef Py_ssize_t item, outputs = g.rows.outputs * g.columns.outputs
    cdef const real* dy
    cdef const unsigned char* argmax
    for item in range(begin, end):
        dy, argmax = g.x + item * outputs, <unsigned char*> g.argmax + item * outputs
        if g.rows.taps == 2:
            gather_plane(g, 2, dy, argmax, g.y + item * g.H * g.W)
        else:
            gather_plane(g, 3, dy, argmax, g.y + item * g.H * g.W)


cdef bint gathers(const Pooling* g) noexcept nogil:
    """Whether `gather_planes` knows this window: 2x2 or 3x3, stride 2."""
    return g.rows.taps == g.columns.taps and (g.rows.taps == 2 or g.rows.taps == 3) \
        and g.rows.stride == 2 and g.columns.stride == 2 \
        and g.rows.dilation == 1 and g.columns.dilation == 1


cdef void max_planes_backward(Pooling* g, const argmax_t* argmax, Py_ssize_t begin,
                              Py_ssize_t end) noexcept nogil:
    """Add each gradient (g.x) to the tap that won, in a plane of g.y that begins as zeros."""
    cdef Py_ssize_t item, i, j, r, s, tap
    cdef real* dx
    cdef const real* dy
    cdef const argmax_t* where
    for item in range(begin, end):
        dx = g.y + item * g.H * g.W
        memset(dx, 0, g.H * g.W * sizeof(real))
        for i in range(g.rows.outputs):
            dy = g.x + (item * g.rows.outputs + i) * g.columns.outputs
            where = argmax + (item * g.rows.outputs + i) * g.columns.outputs
            for j in range(g.columns.outputs):
                tap = where[j]
                r = i * g.rows.stride + g.rows.offset \
                    + tap // g.columns.taps * g.rows.dilation
                s = j * g.columns.stride + g.columns.offset \
                    + tap % g.columns.taps * g.columns.dilation
                if 0 <= r < g.H and 0 <= s < g.W:  # the argmax is only as good as its owner
                    dx[r * g.W + s] += dy[j]


cdef void max_backward_uint8(void* args, Py_ssize_t begin, Py_ssize_t end) noexcept nogil:
    max_planes_backward(<Pooling*> args, <unsigned char*> (<Pooling*> args).argmax, begin, end)


cdef void max_backward_int32(void* args, Py_ssize_t begin, Py_ssize_t end) noexcept nogil:
    max_planes_backward(<Pooling*> args, <int*> (<Pooling*> args).argmax, begin, end)


cdef void scatter_planes(void* args, Py_ssize_t begin, Py_ssize_t end) noexcept nogil:
    """Add each gradient to its flat position H * W, skipping positions outside the plane."""
    cdef Pooling* g = <Pooling*> args
    cdef Py_ssize_t outputs = g.rows.outputs * g.columns.outputs
    cdef Py_ssize_t item, i
    cdef long long position
    cdef real* dx
    for item in range(begin, end):
        dx = g.y + item * g.H * g.W
        memset(dx, 0, g.H * g.W * sizeof(real))
        for i in range(outputs):
            position = (<long long*> g.argmax)[item * outputs + i]
            if 0 <= position < g.H * g.W:
                dx[position] += g.x[item * outputs + i]
