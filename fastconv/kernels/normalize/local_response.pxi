# Local response normalisation: each element by the squares of its neighbours in other channels.
#
#     item: up to LOCAL_VECTORS vectors of positions of one image, walked from channel to channel
#
#     channel c - before   | p p p p | p p p p | ...     scale = level + ratio * sum of squares
#       ...                | p p p p | p p p p |         y     = x / scale^beta
#     channel c            | p p p p | p p p p |
#       ...
#     channel c + after    | p p p p | p p p p |         channels beyond the map count as zeros
#
# Every sum is made anew from its channels, in order, so that what is not finite reaches its own
# windows and no others.  Sums of more than LOCAL_BLOCK channels go in blocks, and what joining them
# rounds away is kept.
#
# The gradient needs such a sum of dy x / scale^(beta + 1), whose terms are kept on the stack for as
# many channels as a window has:
#
#     dx[c] = dy[c] / scale[c]^beta - slope x[c] (sum of the terms whose windows hold c)

cdef extern from *:
    """
    enum { LOCAL_VECTORS = 4, LOCAL_BLOCK = 32, LOCAL_FEW = 256 };
    enum { LOCAL_CHANNELS = 1024, LOCAL_NUMBERS = LOCAL_CHANNELS * VL };
    """
    enum: LOCAL_VECTORS                    # vectors of positions that are done together
    enum: LOCAL_BLOCK                      # channels of a chain of additions
    enum: LOCAL_FEW                        # windows of so many leave room for all LOCAL_VECTORS
    enum: LOCAL_CHANNELS                   # the most channels that a window may have
    enum: LOCAL_NUMBERS

cdef enum:
    POWER_ANY
    POWER_NONE
    POWER_HALF
    POWER_THREE_QUARTERS
    POWER_ONE

cdef struct LocalResponse:
    const real* x
    const real* dy
    real* out
    Py_ssize_t N, C, P
    Py_ssize_t size, before, after   # channels of a window, and those on either side of its own
    Py_ssize_t vectors               # of positions of an item
    real ratio, level, beta, slope   # alpha / size, k, beta, 2 beta alpha / size
    int power


cdef inline vreal power_of(const LocalResponse* g, vreal scale) noexcept nogil:
    """scale^beta; square roots are exact to the last place, and much faster than a logarithm."""
    cdef vreal root
    if g.power == POWER_ONE:
        return scale
    if g.power == POWER_NONE:
        return vset1(1)
    if g.power == POWER_ANY:
        return vexp(vset1(g.beta) * vlog(scale))
    root = vsqrt(scale)
    if g.power == POWER_HALF:
        return root
    return root * vsqrt(root)


cdef inline void local_scales(const LocalResponse* g, const real* x, Py_ssize_t c,
                              const Py_ssize_t vectors, Py_ssize_t room,
                              vreal* scale) noexcept nogil:
    """The scales of `room` positions of channel c, in vectors; x is their place in channel 0."""
    cdef vreal total[LOCAL_VECTORS]
    cdef vreal lost[LOCAL_VECTORS]
    cdef vreal block[LOCAL_VECTORS]
    cdef vreal v
    cdef Py_ssize_t b, i, first, last = min(c + g.after + 1, g.C)
    for b in range(vectors):
        total[b] = lost[b] = vzero()
    for first from max(<Py_ssize_t> 0, c - g.before) <= first < last by LOCAL_BLOCK:
        for b in range(vectors):
            block[b] = vzero()
        for i in range(first, min(first + LOCAL_BLOCK, last)):
            for b in range(vectors):
                v = vload_n(x + i * g.P + b * VL, room - b * VL)
                block[b] = vmadd(block[b], v, v)
        for b in range(vectors):
            total[b] = vjoin(total[b], block[b] + vlost(lost[b]), &lost[b])
    for b in range(vectors):
        scale[b] = vmadd(vset1(g.level), vset1(g.ratio), total[b])


cdef inline void respond(const LocalResponse* g, Py_ssize_t origin, const Py_ssize_t vectors,
                         Py_ssize_t room) noexcept nogil:
    """All channels of the positions from `origin` on."""
    cdef vreal scale[LOCAL_VECTORS]
    cdef const real* x = g.x + origin
    cdef real* y = g.out + origin
    cdef Py_ssize_t c, b, at
    for c in range(g.C):
        local_scales(g, x, c, vectors, room, scale)
        for b in range(vectors):
            at = c * g.P + b * VL
            vstore_n(y + at, vratio(vload_n(x + at, room - b * VL), power_of(g, scale[b])),
                     room - b * VL)


cdef inline void respond_backward(const LocalResponse* g, Py_ssize_t origin,
                                  const Py_ssize_t vectors, Py_ssize_t room,
                                  real* terms) noexcept nogil:
    """The same for dx.  Term c is in slot c modulo the size, and the last of a window of dx[c] is
    that of channel c + before."""
    cdef vreal scale[LOCAL_VECTORS]
    cdef vreal total[LOCAL_VECTORS]
    cdef vreal lost[LOCAL_VECTORS]
    cdef vreal block[LOCAL_VECTORS]
    cdef const real* x = g.x + origin
    cdef const real* dy = g.dy + origin
    cdef real* dx = g.out + origin
    cdef vreal passed
    cdef Py_ssize_t c, b, i, first, last, at, n, slot = 0, done = 0
    while done < g.C:
        c = done + g.before
        for i in range(c if done else 0, min(c + 1, g.C)):
            local_scales(g, x, i, vectors, room, scale)
            slot = i % g.size * vectors * VL
            for b in range(vectors):
                at, n = i * g.P + b * VL, room - b * VL
                passed = vratio(vload_n(dy + at, n), power_of(g, scale[b]))
                vstore_n(dx + at, passed, n)
                vstore(terms + slot + b * VL, vratio(passed * vload_n(x + at, n), scale[b]))
        last = min(c + 1, g.C)
        for b in range(vectors):
            total[b] = lost[b] = vzero()
        for first from max(<Py_ssize_t> 0, done - g.after) <= first < last by LOCAL_BLOCK:
            for b in range(vectors):
                block[b] = vzero()
            for i in range(first, min(first + LOCAL_BLOCK, last)):
                slot = i % g.size * vectors * VL
                for b in range(vectors):
                    block[b] = block[b] + vload(terms + slot + b * VL)
            for b in range(vectors):
                total[b] = vjoin(total[b], block[b] + vlost(lost[b]), &lost[b])
        for b in range(vectors):
            at, n = done * g.P + b * VL, room - b * VL
            vstore_n(dx + at, vmadd(vload_n(dx + at, n), vset1(-g.slope) * vload_n(x + at, n),
                                    total[b]), n)
        done += 1


cdef inline void local_items(const bint backward, void* args, Py_ssize_t begin,
                             Py_ssize_t end) noexcept nogil:
    """Items are `vectors` vectors of positions of an image."""
    cdef const LocalResponse* g = <const LocalResponse*> args
    cdef real terms[LOCAL_NUMBERS]
    cdef Py_ssize_t room = g.vectors * VL, blocks = (g.P + room - 1) // room
    cdef Py_ssize_t item, first, origin, left, vectors
    for item in range(begin, end):
        first = item % blocks * room
        origin, left = item // blocks * g.C * g.P + first, g.P - first
        if left >= LOCAL_VECTORS * VL and g.vectors == LOCAL_VECTORS:
            if backward:
                respond_backward(g, origin, LOCAL_VECTORS, LOCAL_VECTORS * VL, terms)
            else:
                respond(g, origin, LOCAL_VECTORS, LOCAL_VECTORS * VL)
            continue
        vectors = min(g.vectors, (left + VL - 1) // VL)
        if backward:
            respond_backward(g, origin, vectors, left, terms)
        else:
            respond(g, origin, vectors, left)


cdef void local_forward(void* args, Py_ssize_t begin, Py_ssize_t end) noexcept nogil:
    local_items(False, args, begin, end)


cdef void local_backward(void* args, Py_ssize_t begin, Py_ssize_t end) noexcept nogil:
    local_items(True, args, begin, end)


cdef void run_local(task_t task, LocalResponse* g, Py_ssize_t size, double alpha, double beta,
                    double k, Py_ssize_t part, Py_ssize_t parts, int threads) noexcept nogil:
    cdef Py_ssize_t room
    g.size, g.before, g.after = size, size // 2, (size - 1) // 2
    g.ratio, g.level, g.beta = alpha / size, k, beta
    g.slope = 2 * beta * alpha / size
    g.power = POWER_ANY
    if beta == 0:
        g.power = POWER_NONE               # also of NaN
    elif beta == 0.5:
        g.power = POWER_HALF
    elif beta == 0.75:
        g.power = POWER_THREE_QUARTERS
    elif beta == 1:
        g.power = POWER_ONE
    g.vectors = LOCAL_VECTORS if size <= LOCAL_FEW else 1
    room = g.vectors * VL
    run_items(task, g, g.N * ((g.P + room - 1) // room), part, parts, 1, threads)


def local_response_norm(const real[:, :, ::1] x, real[:, :, ::1] y, Py_ssize_t size, double alpha,
                        double beta, double k, Py_ssize_t part, Py_ssize_t parts, int threads):
    """y = x (k + alpha / size (sum of x^2 over a window of channels))^-beta."""
    cdef LocalResponse g
    g.x, g.out = &x[0, 0, 0], &y[0, 0, 0]
    g.N, g.C, g.P = x.shape[0], x.shape[1], x.shape[2]
    with nogil:
        run_local(local_forward, &g, size, alpha, beta, k, part, parts, threads)


def local_response_norm_backward(const real[:, :, ::1] dy, const real[:, :, ::1] x,
                                 real[:, :, ::1] dx, Py_ssize_t size, double alpha, double beta,
                                 double k, Py_ssize_t part, Py_ssize_t parts, int threads):
    """The gradient of its input."""
    cdef LocalResponse g
    g.x, g.dy, g.out = &x[0, 0, 0], &dy[0, 0, 0], &dx[0, 0, 0]
    g.N, g.C, g.P = x.shape[0], x.shape[1], x.shape[2]
    with nogil:
        run_local(local_backward, &g, size, alpha, beta, k, part, parts, threads)
