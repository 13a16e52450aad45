# Layer and group normalisation of rows: all numbers of a row lie one after the other.
#
#     sample n:   | group 0: D channels of P  | group 1        | ...      a row is a group of a sample
#
#     P > 1       | c c c c c | d d d d d |                 a weight for each plane of P elements
#     P = 1       | c d e f g h ...       |                 a weight for each element
#
# The mean of a row is rounded to a shift.  The second pass sums the deviations from it and their
# squares, and the mean deviation corrects both mean and variance: so they keep their digits where the
# mean is large.  Runs of ROW_RUN are summed in four chains, whose lanes are added in the tree of
# `vsum`, and runs are added in float64.
#
# What is computed element by element ends with a whole vector, if a row or plane has one: it moves
# back over the vector before, since a part of a vector takes longer to load and to store.

cdef extern from *:
    """
    enum { ROW_CHAINS = 4, ROW_RUN = 32 * ROW_CHAINS * VL };
    """
    enum: ROW_CHAINS
    enum: ROW_RUN                          # the numbers of a run

cdef enum:
    SUM_OF_ROW
    SPREAD_OF_ROW
    SLOPES_OF_ROW
    WEIGHTED_SLOPES_OF_ROW

cdef struct Groups:
    const real* x
    const real* dy
    real* out              # y or dx; NULL if dx is not wanted
    const real* weight
    const real* bias
    real* partial          # (items, 2, channels): sums of dy and of dy z; NULL if not wanted
    double* mean           # NULL, as the next, if they are not wanted
    double* inverse        # 1 / sqrt(variance + epsilon)
    double epsilon
    Py_ssize_t N, G, D, P


cdef inline void add_of_row(const int what, vreal* a, vreal* b, vreal x, vreal dy, vreal weight,
                            vreal shift) noexcept nogil:
    """Add to two sums: x; x - shift and its square; dy and dy (x - shift), perhaps weighted."""
    if what == SUM_OF_ROW:
        a[0] = a[0] + x
    elif what == SPREAD_OF_ROW:
        x = x - shift
        a[0] = a[0] + x
        b[0] = vmadd(b[0], x, x)
    elif what == SLOPES_OF_ROW:
        a[0] = a[0] + dy
        b[0] = vmadd(b[0], dy, x - shift)
    else:
        dy = dy * weight
        a[0] = a[0] + vopaque(dy)
        b[0] = vmadd(b[0], dy, x - shift)


cdef inline void sums_of_row(const int what, const real* x, const real* dy, const real* weight,
                             real shift, Py_ssize_t count, double* sums) noexcept nogil:
    cdef vreal a[ROW_CHAINS]
    cdef vreal b[ROW_CHAINS]
    cdef vreal vx, vdy, vw
    cdef Py_ssize_t first, i, n, last
    cdef int k
    sums[0] = sums[1] = 0
    vdy = vw = vzero()
    for first from 0 <= first < count by ROW_RUN:
        last = min(first + ROW_RUN, count)
        for k in range(ROW_CHAINS):
            a[k] = b[k] = vzero()
        i = first
        while i + ROW_CHAINS * VL <= last:
            for k in range(ROW_CHAINS):
                vx = vload(x + i + k * VL)
                if what >= SLOPES_OF_ROW:
                    vdy = vload(dy + i + k * VL)
                if what == WEIGHTED_SLOPES_OF_ROW:
                    vw = vload(weight + i + k * VL)
                add_of_row(what, &a[k], &b[k], vx, vdy, vw, vset1(shift))
            i += ROW_CHAINS * VL
        while i + VL <= last:
            if what >= SLOPES_OF_ROW:
                vdy = vload(dy + i)
            if what == WEIGHTED_SLOPES_OF_ROW:
                vw = vload(weight + i)
            add_of_row(what, &a[0], &b[0], vload(x + i), vdy, vw, vset1(shift))
            i += VL
        if i < last:
            n = last - i
            if what >= SLOPES_OF_ROW:
                vdy = vload_n(dy + i, n)
            if what == WEIGHTED_SLOPES_OF_ROW:
                vw = vload_n(weight + i, n)
            add_of_row(what, &a[0], &b[0], vload_n(x + i, n), vdy, vw, vset1_n(shift, n))
        sums[0] += vsum((a[0] + a[1]) + (a[2] + a[3]))
        if what != SUM_OF_ROW:
            sums[1] += vsum((b[0] + b[1]) + (b[2] + b[3]))


cdef inline void settle(double shift, double away, double squares, double count, double epsilon,
                        double* mean, double* inverse) noexcept nogil:
    """Mean and inverse from sums of deviations from `shift` and of their squares."""
    cdef double variance
    away /= count
    variance = squares / count - away * away
    mean[0] = shift + away if away == away else shift    # of an infinite shift
    inverse[0] = 1 / dsqrt((0 if variance < 0 else variance) + epsilon)


cdef inline void normalize_run(const bint each, const bint whole, const real* x, real* y,
                               const real* weight, const real* bias, real shift, real inverse,
                               real rest, Py_ssize_t count) noexcept nogil:
    """A row, or a plane of it; `whole` if it has a vector and more."""
    cdef Py_ssize_t first, i, n
    cdef vreal z
    for first from 0 <= first < count by VL:
        i = min(first, count - VL) if whole else first
        n = count - i
        z = vmadd(vset1(-rest), load_part(whole, x + i, n) - vset1(shift), vset1(inverse))
        z = vmadd(load_factor(each, whole, bias, i, n), z, load_factor(each, whole, weight, i, n))
        store_part(whole, y + i, z, n)


cdef void normalize_rows(void* args, Py_ssize_t begin, Py_ssize_t end) noexcept nogil:
    """Items are rows."""
    cdef const Groups* g = <const Groups*> args
    cdef Py_ssize_t row, c, size = g.D * g.P
    cdef double sums[2]
    cdef double mean, scale
    cdef real shift, inverse, rest
    cdef const real* x
    cdef const real* weight
    cdef const real* bias
    cdef real* y
    for row in range(begin, end):
        x, y = g.x + row * size, g.out + row * size
        weight, bias = g.weight + row % g.G * g.D, g.bias + row % g.G * g.D
        sums_of_row(SUM_OF_ROW, x, NULL, NULL, 0, size, sums)
        shift = sums[0] / size
        sums_of_row(SPREAD_OF_ROW, x, NULL, NULL, shift, size, sums)
        settle(shift, sums[0], sums[1], size, g.epsilon, &mean, &scale)
        shift, inverse, rest = mean, scale, (mean - <real> mean) * scale
        if g.mean != NULL:
            g.mean[row], g.inverse[row] = mean, scale
        if g.P == 1 and size >= VL:
            normalize_run(True, True, x, y, weight, bias, shift, inverse, rest, size)
        elif g.P == 1:
            normalize_run(True, False, x, y, weight, bias, shift, inverse, rest, size)
        elif g.P >= VL:
            for c in range(g.D):
                normalize_run(False, True, x + c * g.P, y + c * g.P, weight + c, bias + c, shift,
                              inverse, rest, g.P)
        else:
            for c in range(g.D):
                normalize_run(False, False, x + c * g.P, y + c * g.P, weight + c, bias + c, shift,
                              inverse, rest, g.P)


def group_norm(const real[:, :, :, ::1] x, real[:, :, :, ::1] y, const real[::1] weight,
               const real[::1] bias, double[::1] mean, double[::1] inverse, double epsilon,
               Py_ssize_t part, Py_ssize_t parts, int threads):
    """y = (x - mean) inverse weight + bias, of the groups (D, P) of x (N, G, D, P).

    Statistics that are None are not written."""
    cdef Groups g
    g.x, g.out, g.weight, g.bias = &x[0, 0, 0, 0], &y[0, 0, 0, 0], &weight[0], &bias[0]
    g.epsilon, g.mean, g.inverse = epsilon, NULL, NULL
    if mean is not None:
        g.mean, g.inverse = &mean[0], &inverse[0]
    g.N, g.G, g.D, g.P = x.shape[0], x.shape[1], x.shape[2], x.shape[3]
    with nogil:
        run_items(normalize_rows, &g, g.N * g.G, part, parts, 1, threads)
