# The gradient of the maxima for any window: each gradient is added to the tap that won.  With
# strides 1 and 2 gather.pxi and halves.pxi know the usual windows, and winners.pxi most others.

cdef extern from *:
    """
    #define NOWHERE (-(PTRDIFF_MAX / 2))
    enum { MOST_PLACES = 1024 };
    """
    Py_ssize_t NOWHERE
    enum: MOST_PLACES                      # the most taps in a table, which saves divisions

cdef struct Place:
    Py_ssize_t row, column                 # of a tap, counted from the first tap of its window


cdef inline Place place_of(const Pooling* g, Py_ssize_t tap) noexcept nogil:
    cdef Place at
    at.row, at.column = NOWHERE, 0         # for a maximum that ReLU made zero: it has no tap
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
                # a caller's argmax may point anywhere; as size_t a negative place is a large one
                if <size_t> r < <size_t> H and <size_t> s < <size_t> W:
                    dx[r * W + s] += dy[j]
                left += step
            dy, where = dy + outputs, where + outputs


cdef void max_backward_uint8(void* args, Py_ssize_t begin, Py_ssize_t end) noexcept nogil:
    max_planes_backward(<Pooling*> args, <unsigned char*> (<Pooling*> args).argmax, begin, end)


cdef void max_backward_int32(void* args, Py_ssize_t begin, Py_ssize_t end) noexcept nogil:
    max_planes_backward(<Pooling*> args, <int*> (<Pooling*> args).argmax, begin, end)


cdef void scatter_planes(void* args, Py_ssize_t begin, Py_ssize_t end) noexcept nogil:
    """Add each gradient to its flat position in the H * W elements of its plane.  Positions outside
    the plane are skipped."""
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
