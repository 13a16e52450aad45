# Layer normalisation over channels that lie apart: each position of a map by itself.
#
#     item: POSITIONS positions of an image      channel 0    | p p p p | p p p p | ...
#                                                channel 1    | p p p p | p p p p |
#                                                  ...
#
# The statistics are those of groups.pxi, with a position in each lane: chains of CHANNEL_CHAIN
# channels are added in float64, lane by lane.  A partial sum of the gradients of the weights is that
# of an item, whose positions are added in the tree of `vsum`.

cdef extern from *:
    """
    enum { POSITIONS = 32, POSITION_VECTORS = POSITIONS / VL, CHANNEL_CHAIN = 32 };
    """
    enum: POSITIONS
    enum: POSITION_VECTORS
    enum: CHANNEL_CHAIN

cdef struct Channels:
    const real* x
    const real* dy
    real* out              # y or dx; NULL if dx is not wanted
    const real* weight
    const real* bias
    real* partial          # (items, 2, K): sums of dy and of dy z; NULL if not wanted
    double* mean           # (N, P); NULL, as the next, if they are not wanted
    double* inverse
    double epsilon
    Py_ssize_t N, K, P


cdef inline void sums_of_positions(const int what, const Channels* g, Py_ssize_t origin,
                                   Py_ssize_t room, const real* shift, double* a,
                                   double* b) noexcept nogil:
    """The two sums of `add_of_row` over the channels of each position."""
    cdef vreal some[POSITION_VECTORS]
    cdef vreal other[POSITION_VECTORS]
    cdef vreal dy = vzero()
    cdef Py_ssize_t first, k, v, at, n
    memset(a, 0, POSITIONS * sizeof(double))
    memset(b, 0, POSITIONS * sizeof(double))
    for first from 0 <= first < g.K by CHANNEL_CHAIN:
        for v in range(POSITION_VECTORS):
            some[v] = other[v] = vzero()
        for k in range(first, min(first + CHANNEL_CHAIN, g.K)):
            for v in range(POSITION_VECTORS):
                at, n = origin + k * g.P + v * VL, room - v * VL
                if what == WEIGHTED_SLOPES_OF_ROW:
                    dy = vload_n(g.dy + at, n)
                add_of_row(what, &some[v], &other[v], vload_n(g.x + at, n), dy,
                           vset1(g.weight[k]), vload(shift + v * VL))
        for v in range(POSITION_VECTORS):
            vadd_long(a + v * VL, some[v])
            if what != SUM_OF_ROW:
                vadd_long(b + v * VL, other[v])


cdef void normalize_positions(void* args, Py_ssize_t begin, Py_ssize_t end) noexcept nogil:
    cdef const Channels* g = <const Channels*> args
    cdef Py_ssize_t item, blocks = (g.P + POSITIONS - 1) // POSITIONS
    cdef Py_ssize_t first, origin, room, place, k, v, at, n, i
    cdef double a[POSITIONS]
    cdef double b[POSITIONS]
    cdef real shift[POSITIONS]
    cdef real inverse[POSITIONS]
    cdef real rest[POSITIONS]
    cdef double mean, scale
    cdef vreal z
    for item in range(begin, end):
        first = item % blocks * POSITIONS
        room = min(<Py_ssize_t> POSITIONS, g.P - first)
        origin, place = item // blocks * g.K * g.P + first, item // blocks * g.P + first
        memset(shift, 0, sizeof(shift))
        sums_of_positions(SUM_OF_ROW, g, origin, room, shift, a, b)
        for i in range(POSITIONS):
            shift[i] = a[i] / g.K
        sums_of_positions(SPREAD_OF_ROW, g, origin, room, shift, a, b)
        for i in range(POSITIONS):
            settle(shift[i], a[i], b[i], g.K, g.epsilon, &mean, &scale)
            shift[i], inverse[i] = mean, scale
            rest[i] = (shift[i] - mean) * scale
            if g.mean != NULL and i < room:
                g.mean[place + i], g.inverse[place + i] = mean, scale
        for k in range(g.K):
            for v in range(POSITION_VECTORS):
                at, n = origin + k * g.P + v * VL, room - v * VL
                z = vmadd(vload(rest + v * VL), vload_n(g.x + at, n) - vload(shift + v * VL),
                          vload(inverse + v * VL))
                vstore_n(g.out + at, vmadd(vset1(g.bias[k]), z, vset1(g.weight[k])), n)


cdef inline void sums_of_channels(const Channels* g, Py_ssize_t origin, Py_ssize_t room,
                                  const real* shift, const real* inverse, const real* rest,
                                  real* partial) noexcept nogil:
    """The partial sums of an item."""
    cdef Py_ssize_t k, v, at, n
    cdef vreal total, along, dy
    for k in range(g.K):
        total = along = vzero()
        for v in range(POSITION_VECTORS):
            at, n = origin + k * g.P + v * VL, room - v * VL
            dy = vload_n(g.dy + at, n)
            total = total + dy
            along = vmadd(along, dy, vmadd(vload(rest + v * VL),
                                           vload_n(g.x + at, n) - vload(shift + v * VL),
                                           vload(inverse + v * VL)))
        partial[k], partial[g.K + k] = vsum(total), vsum(along)


cdef void positions_backward(void* args, Py_ssize_t begin, Py_ssize_t end) noexcept nogil:
    cdef const Channels* g = <const Channels*> args
    cdef Py_ssize_t item, blocks = (g.P + POSITIONS - 1) // POSITIONS
    cdef Py_ssize_t first, origin, room, place, k, v, at, n, i
    cdef double total[POSITIONS]
    cdef double along[POSITIONS]
    cdef real shift[POSITIONS]
    cdef real inverse[POSITIONS]
    cdef real rest[POSITIONS]
    cdef real slope[POSITIONS]
    cdef real level[POSITIONS]
    cdef double scale, away, share
    cdef vreal dy
    for item in range(begin, end):
        first = item % blocks * POSITIONS
        room = min(<Py_ssize_t> POSITIONS, g.P - first)
        origin, place = item // blocks * g.K * g.P + first, item // blocks * g.P + first
        for i in range(POSITIONS):
            shift[i] = inverse[i] = rest[i] = 0
            if i < room:
                shift[i], inverse[i] = g.mean[place + i], g.inverse[place + i]
                rest[i] = (shift[i] - g.mean[place + i]) * g.inverse[place + i]
        if g.partial != NULL:
            sums_of_channels(g, origin, room, shift, inverse, rest, g.partial + item * 2 * g.K)
        if g.out == NULL:
            continue
        sums_of_positions(WEIGHTED_SLOPES_OF_ROW, g, origin, room, shift, total, along)
        for i in range(room):
            scale = g.inverse[place + i]
            away = g.mean[place + i] - shift[i]
            share = scale * scale * scale * (along[i] - away * total[i]) / g.K
            slope[i], level[i] = -share, share * away - scale * total[i] / g.K
        for i in range(room, POSITIONS):
            slope[i] = level[i] = 0
        for k in range(g.K):
            for v in range(POSITION_VECTORS):
                at, n = origin + k * g.P + v * VL, room - v * VL
                dy = vload_n(g.dy + at, n) * vset1(g.weight[k])
                dy = vmadd(vload(level + v * VL), vopaque(dy), vload(inverse + v * VL))
                vstore_n(g.out + at, vmadd(dy, vload_n(g.x + at, n) - vload(shift + v * VL),
                                           vload(slope + v * VL)), n)


def channel_norm(const real[:, :, ::1] x, real[:, :, ::1] y, const real[::1] weight,
                 const real[::1] bias, double[::1] mean, double[::1] inverse, double epsilon,
                 Py_ssize_t part, Py_ssize_t parts, int threads):
    """y = (x - mean) inverse weight + bias, over the axis K of x (N, K, P).

    Statistics that are None are not written."""
    cdef Channels g
    g.x, g.out, g.weight, g.bias = &x[0, 0, 0], &y[0, 0, 0], &weight[0], &bias[0]
    g.epsilon, g.mean, g.inverse = epsilon, NULL, NULL
    if mean is not None:
        g.mean, g.inverse = &mean[0], &inverse[0]
    g.N, g.K, g.P = x.shape[0], x.shape[1], x.shape[2]
    with nogil:
        run_items(normalize_positions, &g, g.N * ((g.P + POSITIONS - 1) // POSITIONS), part, parts,
                  1, threads)


def channel_norm_backward(const real[:, :, ::1] dy, const real[:, :, ::1] x, dx, partial,
                          const real[::1] weight, double[::1] mean, double[::1] inverse,
                          Py_ssize_t part, Py_ssize_t parts, int threads):
    """Write dx and the partial sums of the gradients of bias and weight, (items, 2, K); None is
    not wanted.  An item is POSITIONS positions of an image."""
    cdef Channels g
    cdef real[:, :, ::1] target
    cdef real[:, :, ::1] sums
    g.x, g.dy, g.weight = &x[0, 0, 0], &dy[0, 0, 0], &weight[0]
    g.mean, g.inverse = &mean[0], &inverse[0]
    g.N, g.K, g.P = x.shape[0], x.shape[1], x.shape[2]
    g.out = g.partial = NULL
    if dx is not None:
        target = dx
        g.out = &target[0, 0, 0]
    if partial is not None:
        sums = partial
        g.partial = &sums[0, 0, 0]
    with nogil:
        run_items(positions_backward, &g, g.N * ((g.P + POSITIONS - 1) // POSITIONS), part, parts,
                  1, threads)
