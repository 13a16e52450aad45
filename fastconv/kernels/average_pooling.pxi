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


cdef void average_planes(void* args, Py_ssize_t begin, Py_ssize_t end) noexcept nogil:
    cdef Pooling* g = <Pooling*> args
    cdef Py_ssize_t item, plane, top, i, j, r, r0, r1, s, s0, s1, right, count
    cdef const real* row
    cdef real* y
    cdef vreal acc
    cdef Py_ssize_t step = g.columns.stride
    for item in range(begin, end):
        plane = item // g.blocks
        top = item % g.blocks * POOL_ROWS
        for i in range(top, min(top + POOL_ROWS, g.rows.outputs)):
            taps_inside(&g.rows, i, &r0, &r1)
            y = g.y + (plane * g.rows.outputs + i) * g.columns.outputs
            j = 0
            while j < g.columns.outputs:
                right = same_taps(&g.columns, j, g.columns.outputs, &s0, &s1)
                while j < right:
                    count = min(<Py_ssize_t> VL, right - j)
                    acc = vzero()
                    for r in range(r0, r1):
                        row = g.x + (plane * g.H + i * g.rows.stride + g.rows.offset + r) * g.W \
                            + j * step + g.columns.offset
                        for s in range(s0, s1):
                            acc = acc + load_pixels(row + s, step, count)
                    vstore_n(y + j, acc, count)
                    j += count
            for j in range(g.columns.outputs):
                y[j] = y[j] / window_size(g, i, j, r0, r1)


cdef void average_planes_backward(void* args, Py_ssize_t begin, Py_ssize_t end) noexcept nogil:
    cdef Pooling* g = <Pooling*> args
    cdef Py_ssize_t item, i, j, r, r0, r1, s, s0, s1
    cdef real* row
    cdef real share
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
