# Sums over the pixels of a batch: the gradient of a bias.

cdef extern from *:
    """
    enum { SUM_CHANNELS = 16 };
    """
    enum: SUM_CHANNELS                     # that are summed together, image by image

cdef struct Sums:
    const real* dy
    real* out
    Py_ssize_t N, K, P


cdef inline vreal sum_run(const real* from_, Py_ssize_t count) noexcept nogil:
    cdef vreal acc = vzero()
    cdef Py_ssize_t i
    for i from 0 <= i <= count - VL by VL:
        acc = acc + vload(from_ + i)
    if count % VL:
        acc = acc + vload_n(from_ + count // VL * VL, count % VL)
    return acc


cdef void sum_channels(void* args, Py_ssize_t begin, Py_ssize_t end) noexcept nogil:
    """Items are SUM_CHANNELS channels, whose planes follow each other in memory.

    A block of the sum is a run of 32 vectors.
    """
    cdef const Sums* g = <const Sums*> args
    cdef vreal totals[SUM_CHANNELS]
    cdef Py_ssize_t item, first, channels, k, n, i
    cdef const real* plane
    for item in range(begin, end):
        first = item * SUM_CHANNELS
        channels = min(<Py_ssize_t> SUM_CHANNELS, g.K - first)
        for k in range(channels):
            totals[k] = vzero()
        for n in range(g.N):
            for k in range(channels):
                plane = g.dy + (n * g.K + first + k) * g.P
                for i from 0 <= i < g.P by 32 * VL:
                    totals[k] = totals[k] + sum_run(plane + i, min(32 * <Py_ssize_t> VL, g.P - i))
        for k in range(channels):
            g.out[first + k] = vsum(totals[k])


cdef void sum_units(void* args, Py_ssize_t begin, Py_ssize_t end) noexcept nogil:
    """The same for planes of one pixel: items are vectors of channels."""
    cdef const Sums* g = <const Sums*> args
    cdef vreal total
    cdef Py_ssize_t item, n, count
    for item in range(begin, end):
        count = g.K - item * VL
        total = vzero()
        for n in range(g.N):
            total = total + vload_n(g.dy + n * g.K + item * VL, count)
        vstore_n(g.out + item * VL, total, count)


def channel_sums(const real[:, :, ::1] dy, real[::1] out, int threads):
    """out[k] = sum of dy[n, k, p] over n and p: the gradient of a bias."""
    cdef Sums g
    g.N, g.K, g.P = dy.shape[0], dy.shape[1], dy.shape[2]
    g.dy, g.out = &dy[0, 0, 0], &out[0]
    with nogil:
        if g.P == 1:
            run_items(sum_units, &g, (g.K + VL - 1) // VL, 0, 1, 1, threads)
        else:
            run_items(sum_channels, &g, (g.K + SUM_CHANNELS - 1) // SUM_CHANNELS, 0, 1, 1,
                      threads)
