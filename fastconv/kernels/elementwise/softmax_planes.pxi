# Softmax, its logarithm and its gradient with positions in the lanes, PLANE_VECTORS at a time.
#
# Few classes are laid out anew on the stack.  Where they lie, planes of 4 KiB would share a few
# places of the cache, and a load would wait for a store whose address has the same last 12 bits.
# No hardware foresees so many short runs: meanwhile, what the next block takes is prefetched.

cdef struct Block:
    # where classes are read: `room` numbers of each, `pitch` apart
    const real* x
    const real* dy
    Py_ssize_t pitch, room


cdef inline void prefetch_class(const int kind, const Shares* g, Py_ssize_t at) noexcept nogil:
    cdef Py_ssize_t i
    for i from at <= i < at + PLANE_POSITIONS by 64 // sizeof(real):
        vprefetch(g.x + i)
        if kind == SOFTMAX_BACKWARD:
            vprefetch(g.dy + i)
        vprefetch_write(g.out + i)


cdef inline void add_classes(const int kind, const bint near, const bint fresh,
                             const Py_ssize_t vectors, const Block* at, const Block* to,
                             Py_ssize_t first, Py_ssize_t last, const vreal* most, vreal* total,
                             vreal* lost, vmask* ties) noexcept nogil:
    """Add some classes to their partial sums, which begin with them if they are fresh.  What values
    are made from is written to `to`, unless that is NULL."""
    cdef vreal x, v, other
    cdef Py_ssize_t k, b, n, slot
    for k in range(first, last):
        slot = k % VL * PLANE_VECTORS
        for b in range(vectors):
            n = at.room - b * VL
            x = vload_n(at.x + k * at.pitch + b * VL, n)
            if kind == SOFTMAX_BACKWARD:
                other = vload_n(at.dy + k * at.pitch + b * VL, n)
            else:
                other = most[b]
            v = class_value(kind, near, &ties[b], x, other)
            if fresh:
                begin_class(kind, &total[slot + b], &lost[slot + b], v, other)
            else:
                add_class(kind, &total[slot + b], &lost[slot + b], v, other)
                if ends_additions(k):
                    add_lost(&total[slot + b], &lost[slot + b])
            if kind != LOG_SOFTMAX and to != NULL:
                n = to.room - b * VL
                vstore_n(<real*> to.x + k * to.pitch + b * VL, v, n)
                if kind == SOFTMAX_BACKWARD:
                    vstore_n(<real*> to.dy + k * to.pitch + b * VL, other, n)


cdef inline void add_all(const int kind, const bint near, const Py_ssize_t vectors,
                         const Block* at, const Block* to, Py_ssize_t K, const vreal* most,
                         vreal* total, vreal* lost, vmask* ties) noexcept nogil:
    cdef Py_ssize_t slots = min(K, <Py_ssize_t> VL)
    add_classes(kind, near, True, vectors, at, to, 0, slots, most, total, lost, ties)
    add_classes(kind, near, False, vectors, at, to, slots, K, most, total, lost, ties)


cdef inline void add_partial_sums(const Py_ssize_t vectors, Py_ssize_t slots, vreal* total,
                                  vreal* lost) noexcept nogil:
    """Leave the sums of the partial sums in the first; those from `slots` on are zero."""
    cdef Py_ssize_t i, b, half = VL // 2
    while half > 0:
        for i in range(min(half, slots - half)):
            for b from i * PLANE_VECTORS <= b < i * PLANE_VECTORS + vectors:
                add_keeping(&total[b], &lost[b], total[b + half * PLANE_VECTORS])
                lost[b] = lost[b] + lost[b + half * PLANE_VECTORS]
        half //= 2


cdef inline void share_block(const int kind, const Py_ssize_t vectors, const bint whole,
                             const Shares* g, Py_ssize_t origin, Py_ssize_t left,
                             Py_ssize_t ahead) noexcept nogil:
    """Do some vectors of positions, the first of which is at `origin`; the next are at `ahead`."""
    cdef vreal total[PLANE_POSITIONS]
    cdef vreal lost[PLANE_POSITIONS]
    cdef vreal most[PLANE_VECTORS]
    cdef vreal least[PLANE_VECTORS]
    cdef vmask ties[PLANE_VECTORS]
    cdef real kept[KEPT_NUMBERS]
    cdef real kept_dy[KEPT_NUMBERS]
    cdef vreal v, other
    cdef vmask far = vtap(0)
    cdef Block at, to
    cdef const Block* values = &at
    cdef Py_ssize_t k, b, n, room = vectors * VL if whole else left
    cdef bint keeps = g.K <= KEPT_CLASSES
    at.x, at.pitch, at.room = g.x + origin, g.P, room
    at.dy = g.dy + origin if kind == SOFTMAX_BACKWARD else NULL
    to.x, to.dy, to.pitch, to.room = kept, kept_dy, PLANE_POSITIONS, vectors * VL
    if keeps:
        for k in range(g.K):
            prefetch_class(kind, g, ahead + k * g.P)
    for b in range(vectors):
        most[b], least[b], ties[b] = vset1(MINUS_INFINITY), vset1(-MINUS_INFINITY), vtap(0)
    if kind != SOFTMAX_BACKWARD:
        for k in range(g.K):
            for b in range(vectors):
                v = vload_n(at.x + k * g.P + b * VL, room - b * VL)
                if keeps:
                    vstore(kept + k * PLANE_POSITIONS + b * VL, v)
                most[b], least[b] = vlarger(v, most[b]), vsmaller(v, least[b])
        for b in range(vectors):
            far = far | vless(least[b], most[b] + vset1(EXP_NEAR))
        if keeps:
            at = to
        elif kind == SOFTMAX:              # powers wait where the values will be
            to.x, to.pitch, to.room = g.out + origin, g.P, room
    if keeps or kind == SOFTMAX:
        values = &to
    if kind == SOFTMAX_BACKWARD or vany(far):
        add_all(kind, False, vectors, &at, values, g.K, most, total, lost, ties)
    else:
        add_all(kind, True, vectors, &at, values, g.K, most, total, lost, ties)
    add_partial_sums(vectors, min(g.K, <Py_ssize_t> VL), total, lost)
    for b in range(vectors):
        total[b] = of_sum(kind, total[b], lost[b], vfrom_counts(ties[b]))
    for k in range(g.K):
        for b in range(vectors):
            n = values.room - b * VL
            v = vload_n(values.x + k * values.pitch + b * VL, n)
            if kind == SOFTMAX_BACKWARD:
                other = vload_n(values.dy + k * values.pitch + b * VL, n)
            else:
                other = most[b]
            vstore_n(g.out + origin + k * g.P + b * VL, share(kind, v, other, total[b]),
                     room - b * VL)


cdef inline void share_planes(const int kind, void* args, Py_ssize_t begin,
                              Py_ssize_t end) noexcept nogil:
    """Items are PLANE_POSITIONS of an image."""
    cdef Shares g = (<const Shares*> args)[0]  # a copy of our own, which no store can change
    cdef Py_ssize_t blocks = (g.P + PLANE_POSITIONS - 1) // PLANE_POSITIONS
    cdef Py_ssize_t item, first, left, origin, next = begin % blocks
    cdef Py_ssize_t ahead = begin // blocks * g.K * g.P + next * PLANE_POSITIONS
    for item in range(begin, end):
        first, origin, next = next * PLANE_POSITIONS, ahead, next + 1
        if next == blocks:
            next = 0
        ahead = (item + 1) // blocks * g.K * g.P + next * PLANE_POSITIONS
        left = g.P - first
        if left >= PLANE_POSITIONS:
            share_block(kind, PLANE_VECTORS, True, &g, origin, left, ahead)
        else:
            while left >= 2 * VL:
                share_block(kind, 2, True, &g, origin, left, ahead)
                origin, left = origin + 2 * VL, left - 2 * VL
            while left > 0:
                share_block(kind, 1, left >= VL, &g, origin, left, ahead)
                origin, left = origin + VL, left - VL
