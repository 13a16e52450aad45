# The gradient of a bias: sums over the pixels of a batch.

cdef extern from *:
    """
    enum { SUM_CHANNELS = 16 };
    """
    enum: SUM_CHANNELS                     # channels that are summed together, image by image

cdef struct Sums:
    const real* dy
    real* out
    Py_ssize_t N, K, P


cdef inline vreal sum_run(const real* x, Py_ssize_t count) noexcept nogil:
    """The sum of up to 32 vectors, in four chains.  The vectors that do not fill all four go to the
    first chain, and so does a run of fewer than eight vectors."""
    cdef vreal acc[4]
    cdef Py_ssize_t i
    cdef int v
    if count < 8 * VL:
        acc[0] = vzero()
        for i from 0 <= i <= count - VL by VL:
            acc[0] = acc[0] + vload(x + i)
        if count % VL:
            acc[0] = acc[0] + vload_n(x + count // VL * VL, count % VL)
        return acc[0]
    for v in range(4):
        acc[v] = vzero()
    for i from 0 <= i <= count - 4 * VL by 4 * VL:
        for v in range(4):
            acc[v] = acc[v] + vload(x + i + v * VL)
    for i from count // (4 * VL) * 4 * VL <= i < count by VL:
        acc[0] = acc[0] + vload_n(x + i, count - i)
    return (acc[0] + acc[1]) + (acc[2] + acc[3])


cdef void sum_channels(void* args, Py_ssize_t begin, Py_ssize_t end) noexcept nogil:
    """Items are SUM_CHANNELS channels, whose planes follow each other in memory.

    A block of the sum is a run of 32 vectors, or as many images as have at most 32 together.
    """
    cdef const Sums* g = <const Sums*> args
    cdef double totals[SUM_CHANNELS * VL]
    cdef vreal blocks[SUM_CHANNELS]
    cdef Py_ssize_t item, first, channels, k, n, i
    cdef Py_ssize_t images = max(<Py_ssize_t> 1, 32 // ((g.P - 1) // VL + 1)), next
    cdef Py_ssize_t last = (g.P - 1) // (32 * VL) * (32 * VL)  # where the last run begins
    cdef const real* plane
    for item in range(begin, end):
        first = item * SUM_CHANNELS
        channels = min(<Py_ssize_t> SUM_CHANNELS, g.K - first)
        memset(totals, 0, sizeof(totals))
        for k in range(channels):
            blocks[k] = vzero()
        next = images
        for n in range(g.N):
            for k in range(channels):
                plane = g.dy + (n * g.K + first + k) * g.P
                for i from 0 <= i < last by 32 * VL:
                    vadd_long(totals + k * VL, sum_run(plane + i, 32 * VL))
                blocks[k] = blocks[k] + sum_run(plane + last, g.P - last)
            if n + 1 == next or n + 1 == g.N:
                for k in range(channels):
                    vadd_long(totals + k * VL, blocks[k])
                    blocks[k] = vzero()
                next += images
        for k in range(channels):
            g.out[first + k] = vsum(vlong(totals + k * VL))


cdef void sum_units(void* args, Py_ssize_t begin, Py_ssize_t end) noexcept nogil:
    """The same for planes of one pixel.  Items are vectors of channels; a block is 32 images."""
    cdef const Sums* g = <const Sums*> args
    cdef double totals[VL]
    cdef vreal block
    cdef Py_ssize_t item, n, first, count
    for item in range(begin, end):
        count = g.K - item * VL
        memset(totals, 0, sizeof(totals))
        for first from 0 <= first < g.N by 32:
            block = vzero()
            for n in range(first, min(first + 32, g.N)):
                block = block + vload_n(g.dy + n * g.K + item * VL, count)
            vadd_long(totals, block)
        vstore_n(g.out + item * VL, vlong(totals), count)


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
