# Winograd's transformed weights: u[panel][e][c][LANES], with output channels in the lanes.
#
# They are made from packed panels, which are all that a prepared weight keeps, or from the weights
# (K, C, 3, 3) as they lie.  For the gradient of the input these are turned: its output channels are
# C, and its taps are mirrored.
#
# A block of channels is put into lanes on the stack, and its transform is made on the stack too.
# The planes of u often lie so far apart that they share a set of the cache, so each plane is then
# written in one run.

cdef struct WinogradWeights:
    const real* panels                     # [panel][c][3][3][LANES], or NULL
    const real* weight                     # (K, C, 3, 3)
    real* u
    Py_ssize_t K, C                        # of the weight; the lanes are K, or C where it is turned
    Py_ssize_t channels                    # the other of them
    int m
    bint turned


cdef inline void transform_weight(const int m, const real* w, Py_ssize_t tap, real* u,
                                  Py_ssize_t plane) noexcept nogil:
    """u = G w G^T for VL lanes; the taps of w are `tap` apart."""
    cdef vreal line[3]
    cdef vreal out[6]
    cdef vreal down[6 * 3]
    cdef int edge = m + 2
    cdef int r, s, e
    for s in range(3):
        for r in range(3):
            line[r] = vload(w + (r * 3 + s) * tap)
        weight_line(m, line, out)
        for r in range(edge):
            down[r * 3 + s] = out[r]
    for r in range(edge):
        weight_line(m, &down[r * 3], out)
        for e in range(edge):
            vstore(u + (r * edge + e) * plane, out[e])


cdef void transform_channels(const WinogradWeights* g, Py_ssize_t panel, Py_ssize_t first,
                             real* to) noexcept nogil:
    """Write up to TURNED channels, from the first on, of a panel that begins at `to`."""
    cdef real block[TURNED * 9 * LANES]
    cdef real planes[6 * 6 * TURNED * LANES]
    cdef Py_ssize_t lanes = min(<Py_ssize_t> LANES, (g.C if g.turned else g.K) - panel * LANES)
    cdef Py_ssize_t count = min(<Py_ssize_t> TURNED, g.channels - first)
    cdef Py_ssize_t c, lane, tap = LANES, e
    cdef int edge = g.m + 2
    cdef const real* w
    cdef const real* from_ = block
    cdef real* u
    if g.panels != NULL:
        from_ = g.panels + (panel * g.channels + first) * 9 * LANES
    elif g.turned:
        for c in range(count):
            w = g.weight + ((first + c) * g.C + panel * LANES) * 9
            prefetch_filter(w + 4 * g.C * 9, lanes * 9)
            turn(w, 9, 9, lanes, 0, block + c * 9 * LANES, LANES)
        from_ = block + 8 * LANES          # mirrored: the last tap comes first
        tap = -LANES
    else:
        turn(g.weight + (panel * LANES * g.C + first) * 9, g.C * 9, count * 9, lanes, LEAD,
             block, LANES)
    for c in range(count):
        for lane from 0 <= lane < LANES by VL:
            w = from_ + c * 9 * LANES + lane
            u = planes + c * LANES + lane
            if g.m == 2:
                transform_weight(2, w, tap, u, TURNED * LANES)
            else:
                transform_weight(4, w, tap, u, TURNED * LANES)
    for e in range(edge * edge):
        memcpy(to + (e * g.channels + first) * LANES, planes + e * TURNED * LANES,
               count * LANES * sizeof(real))


cdef void transform_weights(void* args, Py_ssize_t begin, Py_ssize_t end) noexcept nogil:
    """Items are (panel, block of TURNED channels)."""
    cdef const WinogradWeights* g = <const WinogradWeights*> args
    cdef Py_ssize_t size = (g.m + 2) * (g.m + 2) * g.channels * LANES
    cdef Py_ssize_t blocks = ceil_div(g.channels, TURNED)
    cdef Py_ssize_t item, panel, first
    for item in range(begin, end):
        panel = item // blocks
        first = item % blocks * TURNED
        transform_channels(g, panel, first, g.u + panel * size)


cdef WinogradWeights plan_weights(Py_ssize_t K, Py_ssize_t C, int m, bint turned) noexcept:
    """Return all but where they lie."""
    cdef WinogradWeights g
    g.panels = g.weight = NULL
    g.K, g.C, g.m, g.turned = K, C, m, turned
    g.channels = K if turned else C
    return g


cdef void run_weights(WinogradWeights* g, real[::1] u, Py_ssize_t part, Py_ssize_t parts,
                      int threads) noexcept:
    g.u = &u[0]
    with nogil:
        run_items(transform_weights, g, u.shape[0] // ((g.m + 2) * (g.m + 2) * g.channels * LANES)
                  * ceil_div(g.channels, TURNED), part, parts, 1, threads)


def winograd_panels(const real[::1] panels, real[::1] u, Py_ssize_t C, int m, Py_ssize_t part,
                    Py_ssize_t parts, int threads):
    """Transform packed panels [panel][c][3][3][LANES] to u [panel][e][c][LANES]."""
    cdef WinogradWeights g = plan_weights(panels.shape[0] // (9 * C), C, m, False)
    g.panels = &panels[0]
    run_weights(&g, u, part, parts, threads)


def winograd_weight(const real[:, :, :, ::1] weight, real[::1] u, int m, bint turned,
                    Py_ssize_t part, Py_ssize_t parts, int threads):
    """Transform weight (K, C, 3, 3) to u [panel][e][c][LANES].

    Where it is `turned`, filters and channels are exchanged and taps are mirrored.
    """
    cdef WinogradWeights g = plan_weights(weight.shape[0], weight.shape[1], m, turned)
    g.weight = &weight[0, 0, 0, 0]
    run_weights(&g, u, part, parts, threads)
