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
    at.row, at.column = NOWHERE, 0         # of a maximum that ReLU made zero
    if 0 <= tap < g.rows.taps * g.columns.taps:
        at.row = tap // g.columns.taps * g.rows.dilation
        at.column = tap % g.columns.taps * g.columns.dilation
    return at


cdef inline void max_planes_backward(Pooling* g, const argmax_t* argmax, Py_ssize_t begin,
                                     Py_ssize_t end) noexcept nogil:
    """Add each gradient (g.x) to the tap that won, in a plane of g.y that begins as zeros."""
    cdef Place places[MOST_PLACES]
    cdef Place at
    cdef Py_ssize_t known = 256            # every tap that a byte can name
    cdef Py_ssize_t H = g.H, W = g.W, outputs = g.columns.outputs, step = g.columns.stride
    cdef Py_ssize_t item, i, j, r, s, top, left, tap
    cdef real* dx
    cdef const real* dy
    cdef const argmax_t* where
    if sizeof(argmax_t) > 1:
        known = min(g.rows.taps * g.columns.taps, <Py_ssize_t> MOST_PLACES)
    for tap in range(known):
        places[tap] = place_of(g, tap)
    for item in range(begin, end):
        dx = g.y + item * H * W
        memset(dx, 0, H * W * sizeof(real))
        dy, where = g.x + item * g.rows.outputs * outputs, argmax + item * g.rows.outputs * outputs
        for i in range(g.rows.outputs):
            top, left = i * g.rows.stride + g.rows.offset, g.columns.offset
            for j in range(outputs):
                tap = where[j]
                if sizeof(argmax_t) == 1 or 0 <= tap < known:
                    at = places[tap]
                else:
                    at = place_of(g, tap)
                r, s = top + at.row, left + at.column
                # the argmax is only as good as its owner; what is below 0 is a large size
                if <size_t> r < <size_t> H and <size_t> s < <size_t> W:
                    dx[r * W + s] += dy[j]
                left += step
            dy, where = dy + outputs, where + outputs


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
