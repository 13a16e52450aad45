# Gradients of layer and group normalisation of rows, which groups.pxi draws.
#
# Gradients of the weights are partial sums first, of a sample each, or for P = 1 of SAMPLES samples;
# the partial sums are added in order (bias_gradient.pxi).  For P = 1 an item does dx of its samples
# and then goes down their columns, which are in the cache by then, unless rows are too long for that.

cdef extern from *:
    """
    enum { SAMPLES = 32, COLUMNS = 32 };
    """
    enum: SAMPLES                          # samples of a partial sum, where P is 1
    enum: COLUMNS                          # vectors of an item that goes down columns

cdef enum:
    NEAR_ROWS = 1 << 15                    # numbers of SAMPLES samples that stay in the cache


cdef inline void slopes_of_run(const bint each, const bint whole, const real* x, const real* dy,
                               real* dx, const real* weight, real shift, real scale, real slope,
                               real level, Py_ssize_t count) noexcept nogil:
    """dx of a row, or of a plane, whose weight is in `scale`."""
    cdef Py_ssize_t first, i, n
    cdef vreal v
    for first from 0 <= first < count by VL:
        i = min(first, count - VL) if whole else first
        n = count - i
        v = load_part(whole, dy + i, n)
        if each:
            v = vopaque(v * load_part(whole, weight + i, n))
        v = vmadd(vset1(level), v, vset1(scale))
        v = vmadd(v, load_part(whole, x + i, n) - vset1(shift), vset1(slope))
        store_part(whole, dx + i, v, n)


cdef inline void slopes_of_row(const Groups* g, Py_ssize_t row, double along, double total) noexcept nogil:
    """dx of a row: inverse (g - mean(g) - z mean(g z)) with g = weight dy; the sums are of g."""
    cdef Py_ssize_t c, at, size = g.D * g.P
    cdef const real* x = g.x + row * size
    cdef const real* dy = g.dy + row * size
    cdef const real* weight = g.weight + row % g.G * g.D
    cdef real* dx = g.out + row * size
    cdef double inverse = g.inverse[row], rest, share
    cdef real shift = g.mean[row], slope, level
    rest = g.mean[row] - shift
    share = inverse * inverse * inverse * (along - rest * total) / size
    slope, level = -share, share * rest - inverse * total / size
    if g.P == 1 and size >= VL:
        slopes_of_run(True, True, x, dy, dx, weight, shift, inverse, slope, level, size)
    elif g.P == 1:
        slopes_of_run(True, False, x, dy, dx, weight, shift, inverse, slope, level, size)
    elif g.P >= VL:
        for c in range(g.D):
            at = c * g.P
            slopes_of_run(False, True, x + at, dy + at, dx + at, NULL, shift,
                          inverse * weight[c], slope, level, g.P)
    else:
        for c in range(g.D):
            at = c * g.P
            slopes_of_run(False, False, x + at, dy + at, dx + at, NULL, shift,
                          inverse * weight[c], slope, level, g.P)


cdef void rows_backward(void* args, Py_ssize_t begin, Py_ssize_t end) noexcept nogil:
    """Items are rows, of planes.  A partial sum is that of a sample."""
    cdef const Groups* g = <const Groups*> args
    cdef Py_ssize_t row, c, at, channels = g.G * g.D
    cdef double sums[2]
    cdef double total, along, rest, inverse
    cdef real shift
    cdef real* partial
    cdef const real* weight
    for row in range(begin, end):
        weight = g.weight + row % g.G * g.D
        partial = NULL
        if g.partial != NULL:
            partial = g.partial + row // g.G * 2 * channels + row % g.G * g.D
        shift, inverse = g.mean[row], g.inverse[row]
        rest = g.mean[row] - shift
        total = along = 0
        for c in range(g.D):
            at = (row * g.D + c) * g.P
            sums_of_row(SLOPES_OF_ROW, g.x + at, g.dy + at, NULL, shift, g.P, sums)
            total += sums[0] * weight[c]
            along += sums[1] * weight[c]
            if partial != NULL:
                partial[c] = sums[0]
                partial[channels + c] = (sums[1] - rest * sums[0]) * inverse
        if g.out != NULL:
            slopes_of_row(g, row, along, total)


cdef inline void slopes_of_weighted_row(const Groups* g, Py_ssize_t row) noexcept nogil:
    cdef Py_ssize_t at = row * g.D
    cdef double sums[2]
    sums_of_row(WEIGHTED_SLOPES_OF_ROW, g.x + at, g.dy + at, g.weight + row % g.G * g.D,
                g.mean[row], g.D, sums)
    slopes_of_row(g, row, sums[1], sums[0])


cdef inline void down_vectors(const bint whole, const Groups* g, Py_ssize_t at,
                              Py_ssize_t samples, const real* shift, const real* inverse,
                              const real* rest, real* partial, Py_ssize_t room) noexcept nogil:
    """The partial sums of four vectors of columns, whose first sample is `at`."""
    cdef vreal total[4]
    cdef vreal along[4]
    cdef vreal dy
    cdef const real* x = g.x + at
    cdef const real* slope = g.dy + at
    cdef Py_ssize_t n, channels = g.G * g.D
    cdef int k
    for k in range(4):
        total[k] = along[k] = vzero()
    for n in range(samples):
        for k in range(4):
            dy = load_part(whole, slope + k * VL, room - k * VL)
            total[k] = total[k] + dy
            along[k] = vmadd(along[k], dy,
                             vmadd(vset1(rest[n]), load_part(whole, x + k * VL, room - k * VL)
                                   - vset1(shift[n]), vset1(inverse[n])))
        x += channels
        slope += channels
    for k in range(4):
        vstore_n(partial + k * VL, total[k], room - k * VL)
        vstore_n(partial + channels + k * VL, along[k], room - k * VL)


cdef inline void down_columns(const Groups* g, Py_ssize_t chunk, Py_ssize_t group, Py_ssize_t begin,
                              Py_ssize_t end) noexcept nogil:
    """The partial sums of some columns of a group, over SAMPLES samples."""
    cdef real shift[SAMPLES]
    cdef real inverse[SAMPLES]
    cdef real rest[SAMPLES]
    cdef Py_ssize_t n, row, i, channels = g.G * g.D, first = chunk * SAMPLES
    cdef Py_ssize_t samples = min(<Py_ssize_t> SAMPLES, g.N - first)
    cdef Py_ssize_t at = first * channels + group * g.D
    cdef real* partial = g.partial + chunk * 2 * channels + group * g.D
    for n in range(samples):
        row = (first + n) * g.G + group
        shift[n], inverse[n] = g.mean[row], g.inverse[row]
        rest[n] = (shift[n] - g.mean[row]) * g.inverse[row]
    # lest the compiler unroll the loop over samples, with all their numbers on the stack
    samples = vapart_at(samples)
    for i from begin <= i < end by 4 * VL:
        if i + 4 * VL <= end:
            down_vectors(True, g, at + i, samples, vapart(shift), vapart(inverse), vapart(rest),
                         partial + i, 4 * VL)
        else:
            down_vectors(False, g, at + i, samples, vapart(shift), vapart(inverse), vapart(rest),
                         partial + i, end - i)


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
