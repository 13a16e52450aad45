# Winograd's transformed weights: u[panel][e][c][LANES], with output channels in the lanes.
#
# They are made from packed panels, which are all that a prepared weight keeps, or from the weights
# (K, C, R, R) as they lie.  For the gradient of the input these are turned: its output channels are
# C, and its taps are mirrored.
#
# A block of channels is put into lanes on the stack, and its transform is made on the stack too.
# The planes of u often lie so far apart that they share a set of the cache, so each plane is then
# written in one run.

cdef extern from *:
    """
    enum { MOST_SIDE = 5 };
    """
    enum: MOST_SIDE                        # the longest side of a kernel

cdef struct WinogradWeights:
    const real* panels                     # [panel][c][R][R][LANES], or NULL
    const real* weight                     # (K, C, R, R)
    real* u
    Py_ssize_t K, C                        # of the weight; the lanes are K, or C where it is turned
    Py_ssize_t channels                    # the other of them
    int edge, side
    bint turned


cdef inline void transform_weight(const int edge, const int side, const real* w, Py_ssize_t tap,
                                  real* u, Py_ssize_t plane) noexcept nogil:
    """u = G w G^T for VL lanes; the taps of w are `tap` apart."""
    cdef vreal line[MOST_SIDE]
    cdef vreal out[MOST_EDGE]
    cdef vreal down[MOST_EDGE * MOST_SIDE]
    cdef int r, s, e
    for s in range(side):
        for r in range(side):
            line[r] = vload(w + (r * side + s) * tap)
        weight_line(edge, side, line, out)
        for r in range(edge):
            down[r * MOST_SIDE + s] = out[r]
    for r in range(edge):
        weight_line(edge, side, &down[r * MOST_SIDE], out)
        for e in range(edge):
            vstore(u + (r * edge + e) * plane, out[e])


cdef void transform_channels(const WinogradWeights* g, Py_ssize_t panel, Py_ssize_t first,
                             real* to) noexcept nogil:
    """Write up to TURNED channels, from the first on, of a panel that begins at `to`."""
    cdef real block[TURNED * MOST_SIDE * MOST_SIDE * LANES]
    cdef real planes[MOST_EDGE * MOST_EDGE * TURNED * LANES]
    cdef Py_ssize_t lanes = min(<Py_ssize_t> LANES, (g.C if g.turned else g.K) - panel * LANES)
    cdef Py_ssize_t count = min(<Py_ssize_t> TURNED, g.channels - first)
    cdef Py_ssize_t c, lane, tap = LANES, e
    cdef Py_ssize_t taps = g.side * g.side
    cdef const real* w
    cdef const real* from_ = block
    cdef real* u
    if g.panels != NULL:
        from_ = g.panels + (panel * g.channels + first) * taps * LANES
    elif g.turned:
        for c in range(count):
            w = g.weight + ((first + c) * g.C + panel * LANES) * taps
            prefetch_filter(w + 4 * g.C * taps, lanes * taps)
            turn(w, taps, taps, lanes, 0, block + c * taps * LANES, LANES)
        from_ = block + (taps - 1) * LANES  # mirrored: the last tap comes first
        tap = -LANES
    else:
        turn(g.weight + (panel * LANES * g.C + first) * taps, g.C * taps, count * taps, lanes, LEAD,
             block, LANES)
    for c in range(count):
        for lane from 0 <= lane < LANES by VL:
            w = from_ + c * taps * LANES + lane
            u = planes + c * LANES + lane
            if g.edge == 4:
                transform_weight(4, 3, w, tap, u, TURNED * LANES)
            elif g.edge == 8:
                transform_weight(8, 5, w, tap, u, TURNED * LANES)
            elif g.side == 3:
                transform_weight(6, 3, w, tap, u, TURNED * LANES)
            else:
                transform_weight(6, 5, w, tap, u, TURNED * LANES)
    for e in range(g.edge * g.edge):
        memcpy(to + (e * g.channels + first) * LANES, planes + e * TURNED * LANES,
               count * LANES * sizeof(real))


cdef void transform_weights(void* args, Py_ssize_t begin, Py_ssize_t end) noexcept nogil:
    """Items are (panel, block of TURNED channels)."""
    cdef const WinogradWeights* g = <const WinogradWeights*> args
    cdef Py_ssize_t size = g.edge * g.edge * g.channels * LANES
    cdef Py_ssize_t blocks = ceil_div(g.channels, TURNED)
    cdef Py_ssize_t item, panel, first
    for item in range(begin, end):
        panel = item // blocks
        first = item % blocks * TURNED
        transform_channels(g, panel, first, g.u + panel * size)


cdef WinogradWeights plan_weights(Py_ssize_t K, Py_ssize_t C, int edge, int side,
                                  bint turned) noexcept:
    """Return all but where they lie."""
    cdef WinogradWeights g
    g.panels = g.weight = NULL
    g.K, g.C, g.edge, g.side, g.turned = K, C, edge, side, turned
    g.channels = K if turned else C
    return g


cdef void run_weights(WinogradWeights* g, real[::1] u, Py_ssize_t part, Py_ssize_t parts,
                      int threads) noexcept:
    g.u = &u[0]
    with nogil:
        run_items(transform_weights, g, u.shape[0] // (g.edge * g.edge * g.channels * LANES)
                  * ceil_div(g.channels, TURNED), part, parts, 1, threads)


def winograd_panels(const real[::1] panels, real[::1] u, Py_ssize_t C, int edge, int side,
                    Py_ssize_t part, Py_ssize_t parts, int threads):
    """Transform packed panels [panel][c][side][side][LANES] to u [panel][e][c][LANES]."""
    cdef Py_ssize_t K = panels.shape[0] // (side * side * C)
    cdef WinogradWeights g = plan_weights(K, C, edge, side, False)
    g.panels = &panels[0]
    run_weights(&g, u, part, parts, threads)


def winograd_weight(const real[:, :, :, ::1] weight, real[::1] u, int edge, bint turned,
                    Py_ssize_t part, Py_ssize_t parts, int threads):
    """Transform weight (K, C, R, R) to u [panel][e][c][LANES].

    Where it is `turned`, filters and channels are exchanged and taps are mirrored.
    """
    cdef WinogradWeights g = plan_weights(weight.shape[0], weight.shape[1], edge,
                                          <int> weight.shape[2], turned)
    g.weight = &weight[0, 0, 0, 0]
    run_weights(&g, u, part, parts, threads)
