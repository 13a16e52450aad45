# The gradient of the maxima: to the taps that won.

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
