# Gradients of 3x3 and 2x2 pooling with stride 2 as in gather.pxi, for vectors of 64 bytes: down the
# columns of a plane, with what two rows of windows share in registers.  Masks cost such vectors
# nothing, so that windows need not be laid out, and two narrow maps share a vector.
#
#        even row    taps 8 6 2 0 | 7 1    of the windows (i-1, m-1) (i-1, m) (i, m-1) (i, m)
#        odd row          5 3     | 4      in even columns | in odd columns, which see the
#                                          windows of column m alone; of a 2x2 window 0 | 1, 2 | 3
#
# Rows and columns are those of the padded map.

cdef extern from *:
    """
    enum { GATHERS_COLUMNS = VL * sizeof(real) == 64 };
    """
    enum: GATHERS_COLUMNS

cdef inline vreal window_columns(const Pooling* g, Py_ssize_t j, bint twice) noexcept nogil:
    """How many columns of each of the windows j, j + 1, ... the average counts, but at least 1; if
    `twice`, half as many windows."""
    cdef real counts[VL]
    cdef int lane, windows = VL // 2 if twice else VL
    for lane in range(VL):
        counts[lane] = <real> max(columns_counted(g, j + lane % windows), <Py_ssize_t> 1)
    return vload(counts)


cdef inline void load_windows(const Pooling* g, const int S, const bint maxima, const int kind,
                              const real* dy, const unsigned char* argmax, Py_ssize_t next,
                              Py_ssize_t row, Py_ssize_t m, const lanes_t* lanes,
                              const vreal* columns, vreal* d, vmask* t) noexcept nogil:
    """Load the gradients of a row's windows from columns m - 1 and m on, and the taps that won.

    With TWO_MAPS the upper half of a vector belongs to the map `next` elements further on; its
    lanes are `lanes + 2`.
    """
    cdef Py_ssize_t at
    cdef int k
    cdef bint inside = 0 <= row < g.rows.outputs
    for k in range(2):
        if S == 2 and k == 0:
            continue
        at = row * g.columns.outputs + m - 1 + k
        if kind == INSIDE and inside:
            d[k] = vload(dy + at)
            if maxima:
                t[k] = vload_bytes(argmax + at, lanes_between(0, VL))
        elif inside:
            d[k] = vload_where(dy + at, lanes[k])
            if maxima:
                t[k] = vload_bytes(argmax + at, lanes[k])
            if kind == TWO_MAPS:
                d[k] = vpick(d[k], vload_where(dy + at + next - VL // 2, lanes[2 + k]),
                             lanes[2 + k])
                if maxima:
                    t[k] = t[k] | vload_bytes(argmax + at + next - VL // 2, lanes[2 + k])
        else:
            d[k], t[k] = vzero(), vtap(0)
        if not maxima:
            d[k] = vratio(d[k], vset1(<real> rows_counted(g, row) if inside else 1) * columns[k])


cdef inline void gather_column(const Pooling* g, const int S, const bint maxima, const int kind,
                               const real* dy, const unsigned char* argmax, Py_ssize_t next,
                               Py_ssize_t m, real* dx, real* other) noexcept nogil:
    """Write the columns 2m .. 2m + 2 VL - 1 of a plane, or with TWO_MAPS half as many of two."""
    cdef vreal d[4]
    cdef vmask t[4]
    cdef vreal columns[2]
    cdef lanes_t lanes[4]
    cdef lanes_t low, high
    cdef vreal even, odd
    cdef Py_ssize_t width = VL // 2 if kind == TWO_MAPS else VL
    cdef Py_ssize_t c = 2 * m + g.columns.offset
    cdef Py_ssize_t i, h
    cdef int k
    low = vkeep(lanes_between(-c, g.W - c))
    high = low if kind == TWO_MAPS else vkeep(lanes_between(-c - VL, g.W - c - VL))
    for k in range(2):
        lanes[k] = vkeep(lanes_between(1 - k - m, min(g.columns.outputs - m + 1 - k, width)))
        lanes[2 + k] = vkeep(lanes[k] << (VL // 2))
        columns[k] = vset1(<real> g.columns.taps)
        if not maxima and kind != INSIDE:
            columns[k] = window_columns(g, m - 1 + k, kind == TWO_MAPS)
    if S == 3:
        load_windows(g, S, maxima, kind, dy, argmax, next, -1, m, lanes, columns, d + 2, t + 2)
    for i in range((g.H - g.rows.offset + 1) // 2):
        d[0], d[1], t[0], t[1] = d[2], d[3], t[2], t[3]
        load_windows(g, S, maxima, kind, dy, argmax, next, i, m, lanes, columns, d + 2, t + 2)
        for k in range(2):
            h = 2 * i + k + g.rows.offset
            if h < 0 or h >= g.H:
                continue
            even = odd = vzero()
            if S == 2:
                even = gather_tap(maxima, even, d[3], t[3], 2 * k)
                odd = gather_tap(maxima, odd, d[3], t[3], 2 * k + 1)
            else:
                if k == 0:
                    even = gather_tap(maxima, even, d[0], t[0], 8)
                    even = gather_tap(maxima, even, d[1], t[1], 6)
                    odd = gather_tap(maxima, odd, d[1], t[1], 7)
                even = gather_tap(maxima, even, d[2], t[2], 3 * k + 2)
                even = gather_tap(maxima, even, d[3], t[3], 3 * k)
                odd = gather_tap(maxima, odd, d[3], t[3], 3 * k + 1)
            if kind == INSIDE:
                vstore(dx + h * g.W + c, vlow(even, odd))
                vstore(dx + h * g.W + c + VL, vhigh(even, odd))
            elif kind == TWO_MAPS:
                vstore_where(dx + h * g.W + c, vlow(even, odd), low)
                vstore_where(other + h * g.W + c, vhigh(even, odd), high)
            else:
                vstore_where(dx + h * g.W + c, vlow(even, odd), low)
                vstore_where(dx + h * g.W + c + VL, vhigh(even, odd), high)


cdef inline void gather_by_columns(const Pooling* g, const int S, const bint maxima,
                                   Py_ssize_t begin, Py_ssize_t end) noexcept nogil:
    """Write every element of dx once.  Where planes are narrow, the item of an even plane also does
    the next plane."""
    cdef Py_ssize_t item, m, outputs = g.rows.outputs * g.columns.outputs, size = g.H * g.W
    cdef Py_ssize_t pairs = (g.W - g.columns.offset + 1) // 2
    cdef const unsigned char* argmax = NULL
    cdef const real* dy
    cdef real* dx
    cdef Py_ssize_t other
    for item in range(begin, end):
        dy, dx = g.x + item * outputs, g.y + item * size
        if maxima:
            argmax = <unsigned char*> g.argmax + item * outputs
        prefetch_planes(g, item, True)
        if pairs <= VL // 2:
            other = 1 if item + 1 < g.planes else 0
            if item % 2 == 0:
                gather_column(g, S, maxima, TWO_MAPS, dy, argmax, other * outputs, 0, dx,
                              dx + other * size)
            continue
        for m from 0 <= m < pairs by VL:
            if m >= S - 2 and m + VL <= g.columns.outputs and 2 * m + g.columns.offset >= 0 \
                    and 2 * m + 2 * VL + g.columns.offset <= g.W \
                    and (maxima or g.first_column <= m - (S - 2) and m + VL <= g.last_column):
                gather_column(g, S, maxima, INSIDE, dy, argmax, 0, m, dx, dx)
            else:
                gather_column(g, S, maxima, ASIDE, dy, argmax, 0, m, dx, dx)
