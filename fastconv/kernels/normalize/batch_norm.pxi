# Batch normalisation, a channel at a time: first its sums, then its values, which are read from the
# cache.
#
#     item c:  x[0, c, :] x[1, c, :] ... x[N-1, c, :]      planes of P elements
#              read for the mean, read for the variance, read and written
#
# A plane is summed in runs of 32 vectors.  The lanes of a run are added in the tree of `vsum`, and
# runs are added in order in float64, so every number of threads gives the same bits.

cdef struct Normalization:
    const real* x
    const real* dy
    real* out
    const real* weight
    const real* bias
    double* mean
    double* inverse        # 1 / sqrt(variance + epsilon)
    double* sums           # (2, C): sums of dy, and of dy (x - mean) inverse
    double epsilon
    bint batch             # whether the statistics are those of x
    Py_ssize_t N, C, P


cdef inline double plane_sum(const real* x, Py_ssize_t size) noexcept nogil:
    cdef double total = 0
    cdef Py_ssize_t first, i
    cdef vreal acc
    for first from 0 <= first < size by 32 * VL:
        acc = vzero()
        for i from first <= i < min(first + 32 * VL, size) by VL:
            acc = acc + vload_n(x + i, size - i)
        total += vsum(acc)
    return total


cdef inline double plane_product(const real* x, real a, const real* y, real b,
                                 Py_ssize_t size) noexcept nogil:
    """The sum of (x - a) (y - b)."""
    cdef double total = 0
    cdef Py_ssize_t first, i, n
    cdef vreal acc
    for first from 0 <= first < size by 32 * VL:
        acc = vzero()
        for i from first <= i < min(first + 32 * VL, size) by VL:
            n = size - i
            # fused where the target can; if the compiler chose, the bits would depend on it
            acc = vadd_product(acc, vload_n(x + i, n) - vset1_n(a, n),
                               vload_n(y + i, n) - vset1_n(b, n))
        total += vsum(acc)
    return total


cdef void normalize_channels(void* args, Py_ssize_t begin, Py_ssize_t end) noexcept nogil:
    cdef Normalization* g = <Normalization*> args
    cdef Py_ssize_t c, n, i
    cdef double total, count = <double> g.N * g.P
    cdef real shift, scale, bias
    cdef const real* x
    cdef real* y
    for c in range(begin, end):
        if g.batch:
            total = 0
            for n in range(g.N):
                total += plane_sum(g.x + (n * g.C + c) * g.P, g.P)
            shift = g.mean[c] = total / count
            total = 0
            for n in range(g.N):
                x = g.x + (n * g.C + c) * g.P
                total += plane_product(x, shift, x, shift, g.P)
            g.sums[c] = total / count
            g.inverse[c] = 1 / dsqrt(g.sums[c] + g.epsilon)
        shift, scale, bias = g.mean[c], g.inverse[c] * g.weight[c], g.bias[c]
        for n in range(g.N):
            x, y = g.x + (n * g.C + c) * g.P, g.out + (n * g.C + c) * g.P
            for i from 0 <= i < g.P by VL:
                vstore_n(y + i, (vload_n(x + i, g.P - i) - shift) * scale + bias, g.P - i)


cdef void normalize_channels_backward(void* args, Py_ssize_t begin,
                                      Py_ssize_t end) noexcept nogil:
    """dx = weight inverse (dy - mean(dy) - z mean(dy z)), z = (x - mean) inverse."""
    cdef Normalization* g = <Normalization*> args
    cdef Py_ssize_t c, n, i, at
    cdef double along, total, count = <double> g.N * g.P
    cdef real shift, scale, slope, level
    for c in range(begin, end):
        along = total = 0
        shift = g.mean[c]
        for n in range(g.N):
            at = (n * g.C + c) * g.P
            total += plane_sum(g.dy + at, g.P)
            along += plane_product(g.x + at, shift, g.dy + at, 0, g.P)
        g.sums[c], g.sums[g.C + c] = total, along * g.inverse[c]
        if g.out == NULL:
            continue
        scale = g.inverse[c] * g.weight[c]
        slope, level = along * g.inverse[c] * g.inverse[c] / count, total / count
        for n in range(g.N):
            at = (n * g.C + c) * g.P
            for i from 0 <= i < g.P by VL:
                if g.batch:
                    vstore_n(g.out + at + i,
                             (vload_n(g.dy + at + i, g.P - i) - level
                              - (vload_n(g.x + at + i, g.P - i) - shift) * slope) * scale, g.P - i)
                else:  # a slope of 0 will not do: times an infinite x it is NaN
                    vstore_n(g.out + at + i, vload_n(g.dy + at + i, g.P - i) * scale, g.P - i)


def batch_norm(const real[:, :, ::1] x, real[:, :, ::1] y, const real[::1] weight,
               const real[::1] bias, double[::1] mean, double[::1] inverse,
               double[::1] variance, double epsilon, bint batch, Py_ssize_t part,
               Py_ssize_t parts, int threads):
    """y = (x - mean) inverse weight + bias; with `batch` the statistics of x are written."""
    cdef Normalization g
    g.x, g.out, g.weight, g.bias = &x[0, 0, 0], &y[0, 0, 0], &weight[0], &bias[0]
    g.mean, g.inverse, g.sums = &mean[0], &inverse[0], &variance[0]
    g.epsilon, g.batch = epsilon, batch
    g.N, g.C, g.P = x.shape[0], x.shape[1], x.shape[2]
    with nogil:
        run_items(normalize_channels, &g, g.C, part, parts, 1, threads)


def batch_norm_backward(const real[:, :, ::1] dy, const real[:, :, ::1] x, dx,
                        const real[::1] weight, double[::1] mean, double[::1] inverse,
                        double[:, ::1] sums, bint batch, Py_ssize_t part, Py_ssize_t parts,
                        int threads):
    """Write the gradients of bias and weight to sums (2, C), and dx if it is not None."""
    cdef Normalization g
    cdef real[:, :, ::1] target
    g.dy, g.x, g.weight = &dy[0, 0, 0], &x[0, 0, 0], &weight[0]
    g.mean, g.inverse, g.sums, g.batch = &mean[0], &inverse[0], &sums[0, 0], batch
    g.out = NULL
    if dx is not None:
        target = dx
        g.out = &target[0, 0, 0]
    g.N, g.C, g.P = x.shape[0], x.shape[1], x.shape[2]
    with nogil:
        run_items(normalize_channels_backward, &g, g.C, part, parts, 1, threads)
