# For the gradient of the weights, Winograd tiles are transformed with channels in the lanes: x
# becomes V and dy becomes D (winograd_gradient.pxi).
#
#   x[channel][row][column]  -- transposed -->  window[row][column][VL]  -- B^T x B -->  V[e][t]
#
# A window is a few rows on the stack, with zeros outside of the map, so that no tile is a special
# case.  A pixel is put into lanes once, even if four tiles see it.

cdef extern from *:
    """
    enum { RUN_TILES = 16, MOST_EDGE = 6 };
    """
    enum: RUN_TILES                        # neighbouring tiles that are transformed together
    enum: MOST_EDGE


cdef inline void output_gradient_line(const int m, vreal* d, vreal* z) noexcept nogil:
    """z = A d along one axis."""
    cdef vreal a, b
    if m == 2:
        z[0] = d[0]
        z[1] = d[0] + d[1]
        z[2] = d[0] - d[1]
        z[3] = vzero() - d[1]
    else:
        z[0] = d[0]
        a = d[0] + d[2]
        b = d[1] + d[3]
        z[1] = a + b
        z[2] = a - b
        a = d[0] + vset1(4) * d[2]
        b = vset1(2) * d[1] + vset1(8) * d[3]
        z[3] = a + b
        z[4] = a - b
        z[5] = d[3]


cdef inline void lay_strip(const real* x, Py_ssize_t xc, Py_ssize_t channels, Py_ssize_t count,
                           Py_ssize_t width, Py_ssize_t step, real* to) noexcept nogil:
    """Put `count` neighbouring pixels into lanes; after each `width` of them `to` moves by `step`.

    Lanes without a channel repeat the last channel, and their results are never read.
    """
    cdef vreal block[VL]
    cdef const real* at
    cdef Py_ssize_t first, i, k
    cdef Py_ssize_t column = 0
    for first from 0 <= first < count by VL:
        at = x + first
        if count - first >= VL:
            for k in range(VL):
                block[k] = vload(at)
                at += xc if k + 1 < channels else 0
        else:
            for k in range(VL):
                block[k] = vload_n(at, count - first)
                at += xc if k + 1 < channels else 0
        vtranspose(block)
        for i in range(min(<Py_ssize_t> VL, count - first)):
            vstore(to + column * VL, block[i])
            column += 1
            if column == width:
                column = 0
                to += step


cdef void lay_window(const real* x, Py_ssize_t xc, Py_ssize_t xh, Py_ssize_t channels,
                     Py_ssize_t top, Py_ssize_t rows, Py_ssize_t left, Py_ssize_t columns,
                     Py_ssize_t H, Py_ssize_t W, Py_ssize_t below, real* to) noexcept nogil:
    """to[row][column][VL] = x[channel][top + row][left + column], zero outside of the map.

    Where rows are cut into strips, it prefetches the rows that are laid out next, `below` these.
    """
    cdef Py_ssize_t r0 = clamp(-top, 0, rows)
    cdef Py_ssize_t r1 = clamp(H - top, r0, rows)
    cdef Py_ssize_t q0 = clamp(-left, 0, columns)
    cdef Py_ssize_t q1 = clamp(W - left, q0, columns)
    cdef Py_ssize_t r, q, k
    for r in range(rows):
        for q in range(columns):
            if not (r0 <= r < r1 and q0 <= q < q1):
                vstore(to + (r * columns + q) * VL, vzero())
    if r0 == r1 or q0 == q1:
        return
    x += (top + r0) * xh + left + q0
    to += (r0 * columns + q0) * VL
    if q1 - q0 == W == xh:                 # rows that follow one another
        lay_strip(x, xc, channels, (r1 - r0) * W, W, columns * VL, to)
        return
    for r in range(r1 - r0):
        for k in range(channels):          # in as many pages: no hardware prefetcher foresees them
            for q from 0 <= q < q1 - q0 by CACHE_LINE:
                vprefetch(x + k * xc + (r + below) * xh + q)
        lay_strip(x + r * xh, xc, channels, q1 - q0, q1 - q0, 0, to + r * columns * VL)


cdef inline void transform_lanes(const int m, bint gradient, const real* window,
                                 Py_ssize_t columns, Py_ssize_t count, real* to, Py_ssize_t row,
                                 Py_ssize_t plane) noexcept nogil:
    """to[e][t][row] = the transform of `count` tiles of VL channels.  The planes of e are `plane`
    apart.  A `gradient` is that of the output, dy; else the tiles are of x."""
    cdef vreal line[MOST_EDGE]
    cdef vreal out[MOST_EDGE]
    cdef vreal down[MOST_EDGE * MOST_EDGE]
    cdef int edge = m + 2
    cdef int side = m if gradient else m + 2
    cdef int r, q
    cdef Py_ssize_t t
    for t in range(count):
        for q in range(side):
            for r in range(side):
                line[r] = vload(window + (r * columns + t * m + q) * VL)
            if gradient:
                output_gradient_line(m, line, out)
            else:
                input_line(m, line, out)
            for r in range(edge):
                down[r * MOST_EDGE + q] = out[r]
        for r in range(edge):
            if gradient:
                output_gradient_line(m, &down[r * MOST_EDGE], out)
            else:
                input_line(m, &down[r * MOST_EDGE], out)
            for q in range(edge):
                vstore(to + (r * edge + q) * plane + t * row, out[q])
