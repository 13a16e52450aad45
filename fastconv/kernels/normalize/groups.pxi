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
# Gradients of the weights are partial sums first, of a sample each, or for P = 1 of SAMPLES samples;
# the partial sums are added in order (bias_gradient.pxi).  For P = 1 an item does dx of its samples
# and then goes down their columns, which are in the cache by then, unless rows are too long for that.

cdef extern from *:
    """
    enum { ROW_CHAINS = 4, ROW_RUN = 32 * ROW_CHAINS * VL, SAMPLES = 32, COLUMNS = 32 };
    """
    enum: ROW_CHAINS
    enum: ROW_RUN                          # the numbers of a run
    enum: SAMPLES                          # samples of a partial sum, where P is 1
    enum: COLUMNS                          # vectors of an item that goes down columns

cdef enum:
    SUM_OF_ROW
    SPREAD_OF_ROW
    SLOPES_OF_ROW
    WEIGHTED_SLOPES_OF_ROW
    NEAR_ROWS = 1 << 15                    # numbers of SAMPLES samples that stay in the cache

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
        while i < last:
            n = last - i
            if what >= SLOPES_OF_ROW:
                vdy = vload_n(dy + i, n)
            if what == WEIGHTED_SLOPES_OF_ROW:
                vw = vload_n(weight + i, n)
            add_of_row(what, &a[0], &b[0], vload_n(x + i, n), vdy, vw, vset1_n(shift, n))
            i += VL
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


cdef void normalize_rows(void* args, Py_ssize_t begin, Py_ssize_t end) noexcept nogil:
    """Items are rows."""
    cdef const Groups* g = <const Groups*> args
    cdef Py_ssize_t row, i, c, k, n, size = g.D * g.P
    cdef double sums[2]
    cdef double mean, scale
    cdef real shift, inverse, rest
    cdef const real* x
    cdef const real* weight
    cdef const real* bias
    cdef real* y
    cdef vreal z
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
        if g.P == 1:
            for i from 0 <= i < size by VL:
                n = size - i
                z = vmadd(vset1(-rest), vload_n(x + i, n) - vset1(shift), vset1(inverse))
                vstore_n(y + i, vmadd(vload_n(bias + i, n), z, vload_n(weight + i, n)), n)
            continue
        for c in range(g.D):
            for i from 0 <= i < g.P by VL:
                n, k = g.P - i, c * g.P + i
                z = vmadd(vset1(-rest), vload_n(x + k, n) - vset1(shift), vset1(inverse))
                vstore_n(y + k, vmadd(vset1(bias[c]), z, vset1(weight[c])), n)


cdef inline void slopes_of_row(const Groups* g, Py_ssize_t row, double along, double total) noexcept nogil:
    """dx of a row: inverse (g - mean(g) - z mean(g z)) with g = weight dy; the sums are of g."""
    cdef Py_ssize_t c, i, n, k, size = g.D * g.P
    cdef const real* x = g.x + row * size
    cdef const real* dy = g.dy + row * size
    cdef const real* weight = g.weight + row % g.G * g.D
    cdef real* dx = g.out + row * size
    cdef double inverse = g.inverse[row], rest, share
    cdef real shift = g.mean[row], slope, level, scale
    cdef vreal v
    rest = g.mean[row] - shift
    share = inverse * inverse * inverse * (along - rest * total) / size
    slope, level = -share, share * rest - inverse * total / size
    if g.P == 1:
        scale = inverse
        for i from 0 <= i < size by VL:
            n = size - i
            v = vload_n(dy + i, n) * vload_n(weight + i, n)
            v = vmadd(vset1(level), vopaque(v), vset1(scale))
            vstore_n(dx + i, vmadd(v, vload_n(x + i, n) - vset1(shift), vset1(slope)), n)
        return
    for c in range(g.D):
        scale = inverse * weight[c]
        for i from 0 <= i < g.P by VL:
            n, k = g.P - i, c * g.P + i
            v = vmadd(vset1(level), vload_n(dy + k, n), vset1(scale))
            vstore_n(dx + k, vmadd(v, vload_n(x + k, n) - vset1(shift), vset1(slope)), n)


cdef void rows_backward(void* args, Py_ssize_t begin, Py_ssize_t end) noexcept nogil:
    """Items are rows, of planes.  A partial sum is that of a sample."""
    cdef const Groups* g = <const Groups*> args
    cdef Py_ssize_t row, c, channel, at, channels = g.G * g.D
    cdef double sums[2]
    cdef double total, along, rest
    cdef real shift
    cdef real* partial
    for row in range(begin, end):
        shift = g.mean[row]
        rest = g.mean[row] - shift
        total = along = 0
        for c in range(g.D):
            channel = row % g.G * g.D + c
            at = (row // g.G * channels + channel) * g.P
            sums_of_row(SLOPES_OF_ROW, g.x + at, g.dy + at, NULL, shift, g.P, sums)
            total += sums[0] * g.weight[channel]
            along += sums[1] * g.weight[channel]
            if g.partial != NULL:
                partial = g.partial + row // g.G * 2 * channels + channel
                partial[0] = sums[0]
                partial[channels] = (sums[1] - rest * sums[0]) * g.inverse[row]
        if g.out != NULL:
            slopes_of_row(g, row, along, total)


cdef inline void slopes_of_weighted_row(const Groups* g, Py_ssize_t row) noexcept nogil:
    cdef Py_ssize_t at = row * g.D
    cdef double sums[2]
    sums_of_row(WEIGHTED_SLOPES_OF_ROW, g.x + at, g.dy + at, g.weight + row % g.G * g.D,
                g.mean[row], g.D, sums)
    slopes_of_row(g, row, sums[1], sums[0])


cdef inline void down_columns(const Groups* g, Py_ssize_t chunk, Py_ssize_t group, Py_ssize_t begin,
                              Py_ssize_t end) noexcept nogil:
    """The partial sums of some columns of a group, over SAMPLES samples."""
    cdef vreal total[4]
    cdef vreal along[4]
    cdef real shift[SAMPLES]
    cdef real inverse[SAMPLES]
    cdef real rest[SAMPLES]
    cdef vreal dy
    cdef Py_ssize_t n, row, i, at, room, k, channels = g.G * g.D, first = chunk * SAMPLES
    cdef Py_ssize_t samples = min(<Py_ssize_t> SAMPLES, g.N - first)
    cdef real* partial = g.partial + chunk * 2 * channels + group * g.D
    for n in range(samples):
        row = (first + n) * g.G + group
        shift[n], inverse[n] = g.mean[row], g.inverse[row]
        rest[n] = (shift[n] - g.mean[row]) * g.inverse[row]
    for i from begin <= i < end by 4 * VL:
        for k in range(4):
            total[k] = along[k] = vzero()
        for n in range(samples):
            at = (first + n) * channels + group * g.D + i
            for k in range(4):
                room = end - i - k * VL
                dy = vload_n(g.dy + at + k * VL, room)
                total[k] = total[k] + dy
                along[k] = vmadd(along[k], dy,
                                 vmadd(vset1(rest[n]), vload_n(g.x + at + k * VL, room)
                                       - vset1(shift[n]), vset1(inverse[n])))
        for k in range(4):
            room = end - i - k * VL
            vstore_n(partial + i + k * VL, total[k], room)
            vstore_n(partial + channels + i + k * VL, along[k], room)


cdef void near_rows_backward(void* args, Py_ssize_t begin, Py_ssize_t end) noexcept nogil:
    """Items are SAMPLES samples: dx of their rows, then their columns."""
    cdef const Groups* g = <const Groups*> args
    cdef Py_ssize_t chunk, row, group
    for chunk in range(begin, end):
        if g.out != NULL:
            for row in range(chunk * SAMPLES * g.G, min((chunk + 1) * SAMPLES, g.N) * g.G):
                slopes_of_weighted_row(g, row)
        if g.partial != NULL:
            for group in range(g.G):
                down_columns(g, chunk, group, 0, g.D)


cdef void far_rows_backward(void* args, Py_ssize_t begin, Py_ssize_t end) noexcept nogil:
    """Items are rows: dx alone."""
    cdef Py_ssize_t row
    for row in range(begin, end):
        slopes_of_weighted_row(<const Groups*> args, row)


cdef void far_columns(void* args, Py_ssize_t begin, Py_ssize_t end) noexcept nogil:
    """Items are COLUMNS vectors of columns of SAMPLES samples: partial sums alone."""
    cdef const Groups* g = <const Groups*> args
    cdef Py_ssize_t item, first, blocks = (g.D + COLUMNS * VL - 1) // (COLUMNS * VL)
    for item in range(begin, end):
        first = item % blocks * COLUMNS * VL
        down_columns(g, item // blocks // g.G, item // blocks % g.G, first,
                     min(first + COLUMNS * VL, g.D))


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


def group_norm_backward(const real[:, :, :, ::1] dy, const real[:, :, :, ::1] x, dx, partial,
                        const real[::1] weight, double[::1] mean, double[::1] inverse,
                        Py_ssize_t part, Py_ssize_t parts, int threads):
    """Write dx and the partial sums of the gradients of bias and weight, (items, 2, G D); None is
    not wanted.  An item is a sample, or SAMPLES of them where P is 1."""
    cdef Groups g
    cdef real[:, :, :, ::1] target
    cdef real[:, :, ::1] sums
    cdef Py_ssize_t chunks
    g.x, g.dy, g.weight = &x[0, 0, 0, 0], &dy[0, 0, 0, 0], &weight[0]
    g.mean, g.inverse = &mean[0], &inverse[0]
    g.N, g.G, g.D, g.P = x.shape[0], x.shape[1], x.shape[2], x.shape[3]
    g.out = g.partial = NULL
    if dx is not None:
        target = dx
        g.out = &target[0, 0, 0, 0]
    if partial is not None:
        sums = partial
        g.partial = &sums[0, 0, 0]
    chunks = (g.N + SAMPLES - 1) // SAMPLES
    with nogil:
        if g.P > 1:
            run_items(rows_backward, &g, g.N * g.G, part, parts, 1, threads)
        elif g.G * g.D * SAMPLES <= NEAR_ROWS:
            run_items(near_rows_backward, &g, chunks, part, parts, 1, threads)
        else:
            if g.out != NULL:
                run_items(far_rows_backward, &g, g.N * g.G, part, parts, 1, threads)
            if g.partial != NULL:
                run_items(far_columns, &g,
                          chunks * g.G * ((g.D + COLUMNS * VL - 1) // (COLUMNS * VL)), part, parts,
                          1, threads)
