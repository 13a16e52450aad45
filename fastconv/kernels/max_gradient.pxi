# The gradient of the maxima for any window: to the taps that won.  Those of strides 1 and 2
# gather (gather.pxi).

cdef extern from *:
    """
    #define NOWHERE (-(PTRDIFF_MAX / 2))
    enum { MOST_PLACES = 1024 };
    """
    Py_ssize_t NOWHERE
    enum: MOST_PLACES                      # taps that are looked up: divisions take longer

cdef struct Place:
    Py_ssize_t row, column                 # of a tap, from the first of its window


cdef inline Place place_of(const Pooling* g, Py_ssize_t tap) noexcept nogil:
    cdef Place at
    at.row = at.column = NOWHERE           # of a maximum that ReLU made zero
    if 0 <= tap < g.rows.taps * g.columns.taps:
        at.row = tap // g.columns.taps * g.rows.dilation
        at.column = tap % g.columns.taps * g.columns.dilation
    return at


cdef inline void max_planes_backward(Pooling* g, const argmax_t* argmax, Py_ssize_t begin,
                                     Py_ssize_t end) noexcept nogil:
    """Add each gradient (g.x) to the tap that won, in a plane of g.y that begins as zeros."""
    cdef Place places[MOST_PLACES]
    cdef Place at
    cdef Py_ssize_t taps = g.rows.taps * g.columns.taps, known = min(taps, <Py_ssize_t> MOST_PLACES)
    cdef Py_ssize_t item, i, j, r, s, tap
    cdef real* dx
    cdef const real* dy
    cdef const argmax_t* where
    for tap in range(known):
        places[tap] = place_of(g, tap)
    for item in range(begin, end):
        dx = g.y + item * g.H * g.W
        memset(dx, 0, g.H * g.W * sizeof(real))
        for i in range(g.rows.outputs):
            dy = g.x + (item * g.rows.outputs + i) * g.columns.outputs
            where = argmax + (item * g.rows.outputs + i) * g.columns.outputs
            for j in range(g.columns.outputs):
                tap = where[j]
                at = places[tap] if 0 <= tap < known else place_of(g, tap)
                r = i * g.rows.stride + g.rows.offset + at.row
                s = j * g.columns.stride + g.columns.offset + at.column
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
