# Softmax, its logarithm and its gradient: a sum over the K classes of each position.
#
#     (N, K, P), P > 1: positions in the lanes       (N, K, 1): classes in the lanes
#
#     class 0    | p p p p | p p p p | ...           position 0   | k k k k | k k k k | k k
#     class 1    | p p p p | p p p p | ...           position 1   | k k k k | k k k k | k k
#       ...        PLANE_VECTORS at a time             ...          VL positions at a time
#
# The order of a sum is the same in both, so the layout changes no bit: class k is added to the
# partial sum k mod VL, and the partial sums are added in a tree, the upper half to the lower.  An
# addition keeps what it rounds away (Knuth's TwoSum).  After every KEPT_ADDITIONS additions, what
# they kept is added too, so the sum of any number of classes is as good as rounded once.  With
# classes in the lanes there is a matrix of positions by partial sums.  It is transposed, and from
# there on both layouts have positions in the lanes.
#
# The logarithm is log1p of the sum of all classes except one of the largest, so that it is right
# where the others are tiny.  Classes that equal the largest are counted and not summed.

cdef extern from "simd/functions.h":
    """
    enum { PLANE_VECTORS = 4, PLANE_POSITIONS = PLANE_VECTORS * VL };
    enum { KEPT_CLASSES = 64, KEPT_NUMBERS = KEPT_CLASSES * PLANE_POSITIONS };
    enum { KEPT_ADDITIONS = 8 };
    #define MINUS_INFINITY (-(real)INFINITY)
    """
    enum: PLANE_VECTORS                    # vectors of positions that are summed together
    enum: PLANE_POSITIONS                  # positions in them; as many vectors of partial sums
    enum: KEPT_CLASSES                     # with so many, a block is still laid out on the stack
    enum: KEPT_NUMBERS
    enum: KEPT_ADDITIONS                   # of a partial sum, until what they lost is added
    real MINUS_INFINITY
    vreal vexp_below(vreal x, vreal most) noexcept nogil
    vreal vunless(vmask, vreal) noexcept nogil
    vreal vchoose(vmask, vreal, vreal) noexcept nogil
    vreal vload_filled(const real*, Py_ssize_t n, Py_ssize_t room, real fill) noexcept nogil
    void vstore_within(real*, vreal, Py_ssize_t n, Py_ssize_t room) noexcept nogil
    vreal vfrom_counts(vmask) noexcept nogil
    vmask vequal(vreal a, vreal b) noexcept nogil
    vmask vcount(vmask counts, vmask) noexcept nogil

cdef enum:
    SOFTMAX
    LOG_SOFTMAX
    SOFTMAX_BACKWARD
    LONG_ROW = 4096                        # with so many classes a position is an item of its own

cdef struct Shares:
    const real* x          # the input; for a gradient the output
    const real* dy
    real* out
    Py_ssize_t N, K, P
    Py_ssize_t rows        # positions of an item, at most VL, where P is 1


cdef inline void add_keeping(vreal* total, vreal* lost, vreal a) noexcept nogil:
    """Add a to total, and to lost what that addition rounds away; a may be larger than total."""
    cdef vreal before = total[0]
    cdef vreal after = before + a
    cdef vreal added = after - before
    lost[0] = lost[0] + ((before - (after - added)) + (a - added))
    total[0] = after


cdef inline void add_lost(vreal* total, vreal* lost, Py_ssize_t k) noexcept nogil:
    """Add what was lost so far to the total, if class k is the last of KEPT_ADDITIONS."""
    cdef vreal before = lost[0]
    if k // VL % KEPT_ADDITIONS == KEPT_ADDITIONS - 1:
        lost[0] = vzero()
        # what an infinite sum has lost is NaN
        add_keeping(total, lost, vchoose(vequal(before, before), before, vzero()))


cdef inline void add_product_keeping(vreal* total, vreal* lost, vreal a, vreal b) noexcept nogil:
    """The same for a b.  The compiler might fuse a plain product in one loop and not in another."""
    cdef vreal before = total[0]
    cdef vreal after = vmadd(before, a, b)
    cdef vreal added = after - before
    lost[0] = lost[0] + ((before - (after - added)) + vmadd(-added, a, b))
    total[0] = after


cdef inline void add_slots(vreal* total, vreal* lost, Py_ssize_t apart,
                           Py_ssize_t slots) noexcept nogil:
    """Add the partial sums, and leave their sum in the first; those from `slots` on are zero."""
    cdef Py_ssize_t i, half = VL // 2
    while half > 0:
        for i in range(min(half, slots - half)):
            add_keeping(&total[i * apart], &lost[i * apart], total[(i + half) * apart])
            lost[i * apart] = lost[i * apart] + lost[(i + half) * apart]
        half //= 2


cdef inline vreal add_class(const int kind, vreal* total, vreal* lost, vmask* ties, vreal x,
                            vreal other) noexcept nogil:
    """Add a class to the sum, and return what its value is made from; `other` is the largest class,
    or dy."""
    cdef vreal v
    cdef vmask tie
    if kind == SOFTMAX_BACKWARD:
        add_product_keeping(total, lost, x, other)
        return x
    v = vexp_below(x, other)
    if kind == LOG_SOFTMAX:
        tie = vequal(x - other, vzero())   # never if both are infinite: then everything is NaN
        ties[0] = vcount(ties[0], tie)
        v = vunless(tie, v)
    add_keeping(total, lost, v)
    return v


cdef inline vreal of_sum(const int kind, vreal total, vreal lost, vreal ties) noexcept nogil:
    """The number that all values of a position are made with: the sum, or its logarithm."""
    if kind == LOG_SOFTMAX:
        ties = ties - vset1(1)
        add_keeping(&ties, &lost, total)
        return vlog1p(ties + lost)
    return vchoose(vequal(lost, lost), total + lost, total)


cdef inline vreal share(const int kind, vreal x, vreal other, vreal of_all) noexcept nogil:
    """One value.  x is the input, but of a softmax exp(x - most), and of a gradient the output."""
    if kind == SOFTMAX:
        return vratio(x, of_all)
    if kind == LOG_SOFTMAX:
        return (x - other) - of_all
    return x * (other - of_all)


cdef inline void share_block(const int kind, const bint whole, const Shares* g,
                             Py_ssize_t origin, Py_ssize_t left) noexcept nogil:
    """Do up to PLANE_VECTORS vectors of positions, the first of which is at `origin`.

    Few classes are laid out anew on the stack.  Where they lie, planes of 4 KiB would share a few
    places of the cache, and a load would wait for a store whose address has the same last 12 bits.
    """
    cdef vreal total[PLANE_POSITIONS]
    cdef vreal lost[PLANE_POSITIONS]
    cdef vreal other[PLANE_VECTORS]
    cdef vmask ties[PLANE_VECTORS]
    cdef real kept[KEPT_NUMBERS]
    cdef real kept_dy[KEPT_NUMBERS]
    cdef const real* x = g.x + origin
    cdef const real* dy = g.dy + origin if kind == SOFTMAX_BACKWARD else NULL
    cdef real* raised = g.out + origin     # for a softmax: exp(x - most)
    cdef vreal v
    cdef Py_ssize_t k, b, slot, n, apart = g.P, room = PLANE_POSITIONS if whole else left
    cdef Py_ssize_t vectors = PLANE_VECTORS if whole else (left + VL - 1) // VL
    for slot in range(PLANE_VECTORS * min(<Py_ssize_t> VL, g.K)):
        total[slot] = lost[slot] = vzero()
    for b in range(PLANE_VECTORS):
        other[b], ties[b] = vset1(MINUS_INFINITY), vtap(0)
    if kind != SOFTMAX_BACKWARD or g.K <= KEPT_CLASSES:
        for k in range(g.K):
            for b in range(vectors):
                v = vload_n(x + k * g.P + b * VL, room - b * VL)
                if g.K <= KEPT_CLASSES:
                    vstore(kept + k * PLANE_POSITIONS + b * VL, v)
                if kind == SOFTMAX_BACKWARD:
                    vstore(kept_dy + k * PLANE_POSITIONS + b * VL,
                           vload_n(dy + k * g.P + b * VL, room - b * VL))
                else:
                    other[b] = vlarger(v, other[b])
    if g.K <= KEPT_CLASSES:
        x, dy, raised, apart, room = kept, kept_dy, kept, PLANE_POSITIONS, PLANE_POSITIONS
    for k in range(g.K):
        for b in range(vectors):
            n = room - b * VL
            if kind == SOFTMAX_BACKWARD:
                other[b] = vload_n(dy + k * apart + b * VL, n)
            slot = k % VL * PLANE_VECTORS + b
            v = add_class(kind, &total[slot], &lost[slot], &ties[b],
                          vload_n(x + k * apart + b * VL, n), other[b])
            add_lost(&total[slot], &lost[slot], k)
            if kind == SOFTMAX:
                vstore_n(raised + k * apart + b * VL, v, n)
    for b in range(vectors):
        add_slots(&total[b], &lost[b], PLANE_VECTORS, g.K)
        total[b] = of_sum(kind, total[b], lost[b], vfrom_counts(ties[b]))
    for k in range(g.K):
        for b in range(vectors):
            n = room - b * VL
            if kind == SOFTMAX:
                v = vload_n(raised + k * apart + b * VL, n)
            else:
                v = vload_n(x + k * apart + b * VL, n)
            if kind == SOFTMAX_BACKWARD:
                other[b] = vload_n(dy + k * apart + b * VL, n)
            vstore_n(g.out + origin + k * g.P + b * VL, share(kind, v, other[b], total[b]),
                     PLANE_POSITIONS if whole else left - b * VL)


cdef inline void share_planes(const int kind, void* args, Py_ssize_t begin,
                              Py_ssize_t end) noexcept nogil:
    """Items are PLANE_POSITIONS of an image."""
    cdef const Shares* g = <const Shares*> args
    cdef Py_ssize_t blocks = (g.P + PLANE_POSITIONS - 1) // PLANE_POSITIONS
    cdef Py_ssize_t item, first, origin
    for item in range(begin, end):
        first = item % blocks * PLANE_POSITIONS
        origin = item // blocks * g.K * g.P + first
        if g.P - first >= PLANE_POSITIONS:
            share_block(kind, True, g, origin, PLANE_POSITIONS)
        else:
            share_block(kind, False, g, origin, g.P - first)


cdef inline void share_rows(const int kind, void* args, Py_ssize_t begin,
                            Py_ssize_t end) noexcept nogil:
    """Items are up to VL positions, each of which is a row of classes."""
    cdef const Shares* g = <const Shares*> args
    cdef vreal total[VL]
    cdef vreal lost[VL]
    cdef vreal counts[VL]
    cdef real most[VL]
    cdef real of_all[VL]
    cdef vreal v, other
    cdef vmask ties
    cdef Py_ssize_t item, r, i, at, first, last, left, whole = g.N * g.K
    for item in range(begin, end):
        # the numbers of this item: stores at the end of a row may reach into its next row
        first, last = item * g.rows * g.K, min((item + 1) * g.rows * g.K, whole)
        for r in range(VL):
            total[r] = lost[r] = counts[r] = vzero()
        if kind != SOFTMAX_BACKWARD:
            r = 0
            for at from first <= at < last by g.K:
                other = vset1(MINUS_INFINITY)
                for i from 0 <= i < g.K by VL:
                    v = vload_filled(g.x + at + i, g.K - i, whole - at - i, MINUS_INFINITY)
                    other = vlarger(v, other)
                total[r] = other
                r += 1
            vtranspose(total)
            other = total[0]
            for i in range(1, VL):
                other = vlarger(total[i], other)
            vstore(most, other)
            for r in range(VL):
                total[r] = vzero()
        r = 0
        for at from first <= at < last by g.K:
            ties = vtap(0)
            other = vset1(most[r])
            for i from 0 <= i < g.K by VL:
                left = g.K - i
                if kind == SOFTMAX_BACKWARD:
                    other = vload_filled(g.dy + at + i, left, whole - at - i, 0)
                    v = vload_filled(g.x + at + i, left, whole - at - i, 0)
                else:
                    v = vload_filled(g.x + at + i, left, whole - at - i, MINUS_INFINITY)
                v = add_class(kind, &total[r], &lost[r], &ties, v, other)
                add_lost(&total[r], &lost[r], i)
                if kind == SOFTMAX:
                    vstore_within(g.out + at + i, v, left, last - at - i)
            counts[r] = vfrom_counts(ties)
            r += 1
        vtranspose(total)
        vtranspose(lost)
        add_slots(total, lost, 1, g.K)
        if kind == LOG_SOFTMAX:
            vtranspose(counts)
            for i in range(1, VL):
                counts[0] = counts[0] + counts[i]
        vstore(of_all, of_sum(kind, total[0], lost[0], counts[0]))
        r = 0
        for at from first <= at < last by g.K:
            other = vset1(most[r])
            for i from 0 <= i < g.K by VL:
                left = g.K - i
                if kind == SOFTMAX:
                    v = vload_filled(g.out + at + i, left, last - at - i, 0)
                else:
                    v = vload_filled(g.x + at + i, left, whole - at - i, 0)
                if kind == SOFTMAX_BACKWARD:
                    other = vload_filled(g.dy + at + i, left, whole - at - i, 0)
                v = share(kind, v, other, vset1(of_all[r]))
                vstore_within(g.out + at + i, v, left, last - at - i)
            r += 1


cdef void softmax_planes(void* args, Py_ssize_t begin, Py_ssize_t end) noexcept nogil:
    share_planes(SOFTMAX, args, begin, end)


cdef void softmax_rows(void* args, Py_ssize_t begin, Py_ssize_t end) noexcept nogil:
    share_rows(SOFTMAX, args, begin, end)


cdef void log_softmax_planes(void* args, Py_ssize_t begin, Py_ssize_t end) noexcept nogil:
    share_planes(LOG_SOFTMAX, args, begin, end)


cdef void log_softmax_rows(void* args, Py_ssize_t begin, Py_ssize_t end) noexcept nogil:
    share_rows(LOG_SOFTMAX, args, begin, end)


cdef void softmax_backward_planes(void* args, Py_ssize_t begin, Py_ssize_t end) noexcept nogil:
    share_planes(SOFTMAX_BACKWARD, args, begin, end)


cdef void softmax_backward_rows(void* args, Py_ssize_t begin, Py_ssize_t end) noexcept nogil:
    share_rows(SOFTMAX_BACKWARD, args, begin, end)


cdef inline void run_shares(task_t planes, task_t rows, Shares* g, Py_ssize_t part,
                            Py_ssize_t parts, int threads) noexcept nogil:
    cdef Py_ssize_t blocks = (g.P + PLANE_POSITIONS - 1) // PLANE_POSITIONS
    if g.P > 1:
        run_items(planes, g, g.N * blocks, part, parts, 1, threads)
    else:
        g.rows = 1 if g.K >= LONG_ROW else VL
        run_items(rows, g, (g.N + g.rows - 1) // g.rows, part, parts, 1, threads)


def softmax(const real[:, :, ::1] x, real[:, :, ::1] y, Py_ssize_t part, Py_ssize_t parts,
            int threads):
    """y = exp(x) / sum of exp(x) over axis 1."""
    cdef Shares g
    g.x, g.out = &x[0, 0, 0], &y[0, 0, 0]
    g.N, g.K, g.P = x.shape[0], x.shape[1], x.shape[2]
    with nogil:
        run_shares(softmax_planes, softmax_rows, &g, part, parts, threads)


def log_softmax(const real[:, :, ::1] x, real[:, :, ::1] y, Py_ssize_t part, Py_ssize_t parts,
                int threads):
    """y = x - log(sum of exp(x) over axis 1)."""
    cdef Shares g
    g.x, g.out = &x[0, 0, 0], &y[0, 0, 0]
    g.N, g.K, g.P = x.shape[0], x.shape[1], x.shape[2]
    with nogil:
        run_shares(log_softmax_planes, log_softmax_rows, &g, part, parts, threads)


def softmax_backward(const real[:, :, ::1] dy, const real[:, :, ::1] y, real[:, :, ::1] dx,
                     Py_ssize_t part, Py_ssize_t parts, int threads):
    """dx = y (dy - sum of dy y over axis 1)."""
    cdef Shares g
    g.x, g.dy, g.out = &y[0, 0, 0], &dy[0, 0, 0], &dx[0, 0, 0]
    g.N, g.K, g.P = y.shape[0], y.shape[1], y.shape[2]
    with nogil:
        run_shares(softmax_backward_planes, softmax_backward_rows, &g, part, parts, threads)
