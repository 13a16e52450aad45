# Averages of windows, and their gradient.  A sum goes through the taps in row-major order; that
# of a whole plane is one run of pixels, VL chains of it, which a fixed tree adds.

cdef inline Py_ssize_t counted(const Axis* axis, Py_ssize_t i, Py_ssize_t before,
                               Py_ssize_t after) noexcept nogil:
    """How many taps of window i lie inside the map and the padding that counts."""
    cdef Py_ssize_t base = i * axis.stride + axis.offset
    return clamp(axis.inputs + after - base, 0, axis.taps) - clamp(-before - base, 0, axis.taps)


cdef inline real window_size(const Pooling* g, Py_ssize_t i, Py_ssize_t j, Py_ssize_t r0,
                             Py_ssize_t r1) noexcept nogil:
    cdef Py_ssize_t s0, s1
    if g.count_padding:
        return <real> (counted(&g.rows, i, g.top, g.bottom)
                       * counted(&g.columns, j, g.left, g.right))
    taps_inside(&g.columns, j, &s0, &s1)
    return <real> ((r1 - r0) * (s1 - s0))


cdef inline bint is_whole_plane(const Pooling* g) noexcept nogil:
    """Whether the one window is the map, without padding."""
    return g.rows.outputs == 1 and g.columns.outputs == 1 and g.rows.taps == g.H \
        and g.columns.taps == g.W and g.rows.offset == 0 and g.columns.offset == 0


cdef inline real sum_plane(const real* x, Py_ssize_t n) noexcept nogil:
    """Four chains of vectors, whose lanes and sums are added in a fixed tree."""
    cdef vreal acc[4]
    cdef Py_ssize_t first
    cdef int v
    for v in range(4):
        acc[v] = vzero()
    for first from 0 <= first < n by 4 * VL:
        for v in range(4):
            acc[v] = acc[v] + vload_n(x + first + v * VL, n - first - v * VL)
    return vsum((acc[0] + acc[1]) + (acc[2] + acc[3]))


cdef void average_planes(void* args, Py_ssize_t begin, Py_ssize_t end) noexcept nogil:
    cdef Pooling* g = <Pooling*> args
    cdef Py_ssize_t item, plane, top, i, j, r, r0, r1, s, s0, s1, left, right
    cdef Py_ssize_t rows, count
    cdef bint inside
    cdef const real* row
    cdef real* y
    cdef vreal acc
    cdef Py_ssize_t step = g.columns.stride
    if is_whole_plane(g):
        for plane in range(begin, end):
            g.y[plane] = sum_plane(g.x + plane * g.H * g.W, g.H * g.W) / <real> (g.H * g.W)
        return
    for item in range(begin, end):
        plane = item // g.blocks
        top = item % g.blocks * POOL_ROWS
        for i in range(top, min(top + POOL_ROWS, g.rows.outputs)):
            taps_inside(&g.rows, i, &r0, &r1)
            y = g.y + (plane * g.rows.outputs + i) * g.columns.outputs
            rows = counted(&g.rows, i, g.top, g.bottom) if g.count_padding else r1 - r0
            j = 0
            while j < g.columns.outputs:
                left = j
                right = same_taps(&g.columns, j, g.columns.outputs, &s0, &s1)
                inside = s0 == 0 and s1 == g.columns.taps
                while j < right:
                    count = min(<Py_ssize_t> VL, right - j)
                    acc = vzero()
                    for r in range(r0, r1):
                        row = g.x + (plane * g.H + i * g.rows.stride + g.rows.offset + r) * g.W \
                            + j * step + g.columns.offset
                        for s in range(s0, s1):
                            acc = acc + load_pixels(row + s, step, count)
                    if inside:
                        acc = acc / vset1(<real> (rows * g.columns.taps))
                    vstore_n(y + j, acc, count)
                    j += count
                if not inside:
                    for j in range(left, right):
                        y[j] = y[j] / window_size(g, i, j, r0, r1)
                    j = right


cdef void average_planes_backward(void* args, Py_ssize_t begin, Py_ssize_t end) noexcept nogil:
    cdef Pooling* g = <Pooling*> args
    cdef Py_ssize_t item, i, j, r, r0, r1, s, s0, s1
    cdef real* row
    cdef real share
    if is_whole_plane(g):
        for item in range(begin, end):
            share = g.x[item] / <real> (g.H * g.W)
            for i in range(g.H * g.W):
                g.y[item * g.H * g.W + i] = share
        return
    for item in range(begin, end):
        memset(g.y + item * g.H * g.W, 0, g.H * g.W * sizeof(real))
        for i in range(g.rows.outputs):
            taps_inside(&g.rows, i, &r0, &r1)
            for j in range(g.columns.outputs):
                taps_inside(&g.columns, j, &s0, &s1)
                share = g.x[(item * g.rows.outputs + i) * g.columns.outputs + j] \
                    / window_size(g, i, j, r0, r1)
                for r in range(r0, r1):
                    row = g.y + (item * g.H + i * g.rows.stride + g.rows.offset + r) * g.W \
                        + j * g.columns.stride + g.columns.offset
                    for s in range(s0, s1):
                        row[s] += share
