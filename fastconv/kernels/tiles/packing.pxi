# Weights in the order in which the register tile reads them: panels of LANES channels.

cdef struct Packing:
    const real* weight
    real* packed
    Py_ssize_t K, C, taps, panels, blocks
    Py_ssize_t panels_each, panel_blocks   # panels of an item, and how many blocks these make


cdef void pack_panels(void* args, Py_ssize_t begin, Py_ssize_t end) noexcept nogil:
    """Items are (group, panel of filters)."""
    cdef const Packing* g = <const Packing*> args
    cdef Py_ssize_t size = g.C * g.taps
    cdef Py_ssize_t item, first
    for item in range(begin, end):
        first = item % g.panels * LANES
        turn(g.weight + (item // g.panels * g.K + first) * size, size, size,
             min(<Py_ssize_t> LANES, g.K - first), LEAD, g.packed + item * size * LANES, LANES)


cdef void pack_panels_backward(void* args, Py_ssize_t begin, Py_ssize_t end) noexcept nogil:
    """Items are (group, block of panels of channels, block of 64 filters); with more than one tap a
    panel is a block.

    Of one filter a panel of 1x1 is one line of cache, and so several are copied together.  Else
    for one filter a panel is a matrix of channels by taps, which is transposed.  The planes of
    the taps often lie so far apart that they share a set of the cache.  So a few filters are put
    together on the stack, and each plane is then written in one run.
    """
    cdef const Packing* g = <const Packing*> args
    cdef real planes[VL * TURNED * LANES]
    cdef Py_ssize_t item, group, panel, first, k, t, i, channels, count, taps
    cdef const real* w
    cdef real* to
    for item in range(begin, end):
        first = item % g.blocks * 64
        panel = item // g.blocks % g.panel_blocks * g.panels_each
        group = item // g.blocks // g.panel_blocks
        if g.taps == 1:
            copy_panels(g.weight + (group * g.K + first) * g.C + panel * LANES, g.C,
                        min(<Py_ssize_t> 64, g.K - first), g.C - panel * LANES,
                        min(g.panels_each, g.panels - panel),
                        g.packed + ((group * g.panels + panel) * g.K + first) * LANES, g.K * LANES)
            continue
        channels = min(<Py_ssize_t> LANES, g.C - panel * LANES)
        for k from first <= k < min(first + 64, g.K) by TURNED:
            count = min(<Py_ssize_t> TURNED, min(first + 64, g.K) - k)
            w = g.weight + ((group * g.K + k) * g.C + panel * LANES) * g.taps
            to = g.packed + ((group * g.panels + panel) * g.taps * g.K + k) * LANES
            for t from 0 <= t < g.taps by VL:
                taps = min(<Py_ssize_t> VL, g.taps - t)
                turn_filters(w + t, g.C * g.taps, count, g.taps, taps, channels, planes,
                             TURNED * LANES)
                for i in range(taps):
                    memcpy(to + (t + i) * g.K * LANES, planes + i * TURNED * LANES,
                           count * LANES * sizeof(real))


cdef Packing packing(const real[:, :, :, ::1] weight, real[::1] packed, Py_ssize_t groups):
    cdef Packing g
    g.weight, g.packed = &weight[0, 0, 0, 0], &packed[0]
    g.K, g.C = weight.shape[0] // groups, weight.shape[1]
    g.taps = weight.shape[2] * weight.shape[3]
    g.blocks = (g.K + 63) // 64
    return g


def pack_weight(const real[:, :, :, ::1] weight, real[::1] packed, Py_ssize_t groups,
                Py_ssize_t part, Py_ssize_t parts, int threads):
    """Pack weight (K, C, R, S) into [group][panel][c][r][s][LANES], with zeros beyond K."""
    cdef Packing g = packing(weight, packed, groups)
    g.panels = (g.K + LANES - 1) // LANES
    with nogil:
        run_items(pack_panels, &g, groups * g.panels, part, parts, 1, threads)


def pack_weight_backward(const real[:, :, :, ::1] weight, real[::1] packed, Py_ssize_t groups,
                         Py_ssize_t part, Py_ssize_t parts, int threads):
    """Pack weight (K, C, R, S) into [group][panel of c][r][s][k][LANES], with zeros beyond C."""
    cdef Packing g = packing(weight, packed, groups)
    g.panels = (g.C + LANES - 1) // LANES
    g.panels_each = PANELS_COPIED if g.taps == 1 else 1
    g.panel_blocks = (g.panels + g.panels_each - 1) // g.panels_each
    with nogil:
        run_items(pack_panels_backward, &g, groups * g.panel_blocks * g.blocks, part, parts, 1,
                  threads)
