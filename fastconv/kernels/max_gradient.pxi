# The gradient of the maxima for any window: to the taps that won.  Those of strides 1 and 2
# gather (gather.pxi).

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
                if tap >= g.rows.taps * g.columns.taps:
                    continue               # of a maximum that ReLU made zero
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
