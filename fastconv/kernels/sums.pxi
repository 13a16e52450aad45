# Sums over the pixels of a batch: the gradient of a bias.

cdef struct Sums:
    const real* dy
    real* out
    Py_ssize_t N, K, P


cdef void sum_channels(void* args, Py_ssize_t begin, Py_ssize_t end) noexcept nogil:
    """Items are channels; a block of the sum is a run of 32 vectors."""
    cdef Sums* g = <Sums*> args
    cdef Py_ssize_t k, n, first, i
    cdef vreal total, acc
    cdef const real* plane
    for k in range(begin, end):
        total = vzero()
        for n in range(g.N):
            plane = g.dy + (n * g.K + k) * g.P
            for first from 0 <= first < g.P by 32 * VL:
                acc = vzero()
                for i from first <= i < min(first + 32 * VL, g.P) by VL:
                    acc = acc + vload_n(plane + i, g.P - i)
                total = total + acc
        g.out[k] = vsum(total)


def channel_sums(const real[:, :, ::1] dy, real[::1] out, int threads):
    """out[k] = sum of dy[n, k, p] over n and p: the gradient of a bias."""
    cdef Sums g
    g.N, g.K, g.P = dy.shape[0], dy.shape[1], dy.shape[2]
    g.dy, g.out = &dy[0, 0, 0], &out[0]
    with nogil:
        run_items(sum_channels, &g, g.K, 0, 1, 1, threads)
