# Weights in the order in which the register tile reads them: panels of LANES channels.

cdef extern from *:
    """
    enum { LINE = 64 / sizeof(real) };
    """
    enum: LINE                             # numbers of a cache line

cdef struct Packing:
    const real* weight
    real* packed
    Py_ssize_t K, C, taps, panels, blocks


cdef void pack_panels(void* args, Py_ssize_t begin, Py_ssize_t end) noexcept nogil:
    """Items are (group, panel of filters)."""
    cdef const Packing* g = <const Packing*> args
    cdef Py_ssize_t size = g.C * g.taps
    cdef Py_ssize_t item, first
    for item in range(begin, end):
        first = item % g.panels * LANES
        transpose_chunk(g.weight + (item // g.panels * g.K + first) * size, size, 0, 1, 1, size,
                        min(<Py_ssize_t> LANES, g.K - first), LANES, g.packed + item * size * LANES)


cdef void turn_filter(const real* w, Py_ssize_t taps, Py_ssize_t channels, real* to,
                      Py_ssize_t plane) noexcept nogil:
    """to[t * plane + lane] = w[lane][t] for LANES channels, zeros beyond `channels`."""
    cdef vreal block[VL]
    cdef Py_ssize_t lane, t, count, i
    for lane from 0 <= lane < LANES by VL:
        for t from 0 <= t < taps by VL:
            count = min(<Py_ssize_t> VL, taps - t)
            for i in range(VL):
                block[i] = vload_n(w + (lane + i) * taps + t, count) if lane + i < channels \
                    else vzero()
            vtranspose(block)
            for i in range(VL):
                if i < count:
                    vstore(to + (t + i) * plane + lane, block[i])


cdef inline void prefetch_filter(const real* w, Py_ssize_t size) noexcept nogil:
    """Ask for weights that are far from those before: no hardware prefetcher sees them coming."""
    cdef Py_ssize_t i
    for i from 0 <= i < size by LINE:
        vprefetch(w + i)


cdef void pack_panels_backward(void* args, Py_ssize_t begin, Py_ssize_t end) noexcept nogil:
    """Items are (group, panel of channels, block of 64 filters).

    For one filter a panel is a matrix of channels by taps, which is transposed.
    """
    cdef const Packing* g = <const Packing*> args
    cdef Py_ssize_t item, group, panel, first, k, t, i, channels
    cdef const real* w
    cdef real* to
    for item in range(begin, end):
        first = item % g.blocks * 64
        panel = item // g.blocks % g.panels
        group = item // g.blocks // g.panels
        channels = min(<Py_ssize_t> LANES, g.C - panel * LANES)
        for k in range(first, min(first + 64, g.K)):
            w = g.weight + ((group * g.K + k) * g.C + panel * LANES) * g.taps
            to = g.packed + ((group * g.panels + panel) * g.taps * g.K + k) * LANES
            if g.taps == 1:
                for i from 0 <= i < LANES by VL:
                    vstore(to + i, vload_n(w + i, channels - i))
                continue
            prefetch_filter(w + 4 * g.C * g.taps, channels * g.taps)
            for t in range(g.taps):
                for i from 4 * LANES <= i < 5 * LANES by LINE:
                    vprefetch_write(to + t * g.K * LANES + i)
            turn_filter(w, g.taps, channels, to, g.K * LANES)


cdef Packing packing(const real[:, :, :, ::1] weight, real[::1] packed, Py_ssize_t groups):
    cdef Packing g
    g.weight, g.packed = &weight[0, 0, 0, 0], &packed[0]
    g.K, g.C = weight.shape[0] // groups, weight.shape[1]
    g.taps = weight.shape[2] * weight.shape[3]
    g.blocks = (g.K + 63) // 64
    return g


def pack_weight(const real[:, :, :, ::1] weight, real[::1] packed, Py_ssize_t groups,
                Py_ssize_t part, Py_ssize_t parts, int threads):
    """weight (K, C, R, S) to packed [group][panel][c][r][s][LANES], zeros beyond K."""
    cdef Packing g = packing(weight, packed, groups)
    g.panels = (g.K + LANES - 1) // LANES
    with nogil:
        run_items(pack_panels, &g, groups * g.panels, part, parts, 1, threads)


def pack_weight_backward(const real[:, :, :, ::1] weight, real[::1] packed, Py_ssize_t groups,
                         Py_ssize_t part, Py_ssize_t parts, int threads):
    """weight (K, C, R, S) to packed [group][panel of c][r][s][k][LANES], zeros beyond C."""
    cdef Packing g = packing(weight, packed, groups)
    g.panels = (g.C + LANES - 1) // LANES
    with nogil:
        run_items(pack_panels_backward, &g, groups * g.panels * g.blocks, part, parts, 1, threads)
