# Maxima of whole maps, which are one window each, and their gradient.
#
# The maximum of a map is taken in whole vectors, the last of which sees some numbers twice.  If its
# place is wanted, the map, which then lies in the cache, is searched for it from the begin.  Of
# zeros the first has the sign of the maximum, and of NaN the first is the maximum: then the place
# is looked for too.

cdef extern from "simd/vec_bits.h":
    """
    enum { WHOLE_RUN = 16384 / sizeof(real) };
    """
    enum: WHOLE_RUN                        # numbers of the maps that are cleared, or taken, together
    vmask vequal(vreal a, vreal b) noexcept nogil


cdef inline real largest_number(const real* x, Py_ssize_t n, bint* nan) noexcept nogil:
    """The largest of n numbers, and whether there is a NaN; with one, the number is any."""
    cdef vreal a, b, first, second
    cdef vmask nans
    cdef real most
    cdef Py_ssize_t i
    if n < VL:
        most, nan[0] = x[0], is_nan(x[0])
        for i in range(1, n):
            nan[0] = nan[0] or is_nan(x[i])
            most = x[i] if x[i] > most else most
        return most
    first, second = vload(x), vload(x + n - VL)
    nans = vnans_of_pair(first, second)
    for i from VL <= i < n - VL by 2 * VL:
        a, b = vload(x + i), vload(x + min(i + VL, n - VL))
        nans = nans | vnans_of_pair(a, b)
        first, second = vlarger(a, first), vlarger(b, second)
    nan[0] = vany(nans)
    return vmost(vlarger(first, second))


cdef inline Py_ssize_t first_place(const real* x, Py_ssize_t n, real most, bint nan) noexcept nogil:
    """Where the first number is that equals `most`, or the first NaN."""
    cdef Py_ssize_t i = 0
    cdef vreal v
    while i <= n - VL:
        v = vload(x + i)
        if vany(vnans(v) if nan else vequal(v, vset1(most))):
            break
        i += VL
    while i < n - 1 and not (is_nan(x[i]) if nan else x[i] == most):
        i += 1
    return i


cdef inline void max_whole(const Pooling* g, argmax_t* argmax, const bint wants_argmax,
                           Py_ssize_t begin, Py_ssize_t end) noexcept nogil:
    """Items are maps."""
    cdef Py_ssize_t item, n = g.H * g.W, where = 0
    cdef const real* x
    cdef real most
    cdef bint nan, relu = g.relu
    for item in range(begin, end):
        x = g.x + item * n
        most = largest_number(x, n, &nan)
        if wants_argmax or nan or most == 0:
            where = first_place(x, n, most, nan)
            most = x[where]
        if relu and not most > 0:
            where = n
            most = most if nan else 0
        g.y[item] = most
        if wants_argmax:
            argmax[item] = <argmax_t> where


cdef void max_whole_alone(void* args, Py_ssize_t begin, Py_ssize_t end) noexcept nogil:
    max_whole(<const Pooling*> args, <unsigned char*> NULL, False, begin, end)


cdef void max_whole_uint8(void* args, Py_ssize_t begin, Py_ssize_t end) noexcept nogil:
    max_whole(<const Pooling*> args, <unsigned char*> (<Pooling*> args).argmax, True, begin, end)


cdef void max_whole_int32(void* args, Py_ssize_t begin, Py_ssize_t end) noexcept nogil:
    max_whole(<const Pooling*> args, <int*> (<Pooling*> args).argmax, True, begin, end)


cdef inline void max_whole_backward(const Pooling* g, const argmax_t* argmax, Py_ssize_t begin,
                                    Py_ssize_t end) noexcept nogil:
    """Put each gradient (g.x) in its place among zeros; a place outside of the map is none."""
    cdef Py_ssize_t item, last, n = g.H * g.W, run = 1 + WHOLE_RUN // n
    cdef const real* dy = g.x
    cdef real* dx = g.y
    while begin < end:
        last = min(begin + run, end)
        memset(dx + begin * n, 0, (last - begin) * n * sizeof(real))
        for item in range(begin, last):
            if 0 <= argmax[item] < n:
                dx[item * n + argmax[item]] += dy[item]
        begin = last


cdef void max_whole_backward_uint8(void* args, Py_ssize_t begin, Py_ssize_t end) noexcept nogil:
    max_whole_backward(<const Pooling*> args, <const unsigned char*> (<Pooling*> args).argmax,
                       begin, end)


cdef void max_whole_backward_int32(void* args, Py_ssize_t begin, Py_ssize_t end) noexcept nogil:
    max_whole_backward(<const Pooling*> args, <const int*> (<Pooling*> args).argmax, begin, end)
