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
#
# Classes are `near` if none lies so far below the largest that its power could be subnormal, which
# takes some operations less and changes no bit.

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
    real EXP_NEAR
    vreal vexp_below(vreal x, vreal most) noexcept nogil
    vreal vexp_near(vreal x, vreal most) noexcept nogil
    vreal vunless(vmask, vreal) noexcept nogil
    vreal vchoose(vmask, vreal, vreal) noexcept nogil
    vreal vload_filled(const real*, Py_ssize_t n, Py_ssize_t room, real fill) noexcept nogil
    void vstore_within(real*, vreal, Py_ssize_t n, Py_ssize_t room) noexcept nogil
    vreal vfrom_counts(vmask) noexcept nogil
    vmask vequal(vreal a, vreal b) noexcept nogil
    vmask vless(vreal a, vreal b) noexcept nogil
    vreal vsmaller(vreal a, vreal b) noexcept nogil
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


cdef inline bint ends_additions(Py_ssize_t k) noexcept nogil:
    """Whether class k is the last of KEPT_ADDITIONS."""
    return k // VL % KEPT_ADDITIONS == KEPT_ADDITIONS - 1


cdef inline void add_lost(vreal* total, vreal* lost) noexcept nogil:
    """Add what was lost so far to the total."""
    cdef vreal before = lost[0]
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


cdef inline vreal class_value(const int kind, const bint near, vmask* ties, vreal x,
                              vreal most) noexcept nogil:
    """What is added up of a class, which is counted if it is as large as `most`."""
    cdef vreal v
    cdef vmask tie
    if kind == SOFTMAX_BACKWARD:
        return x
    v = vexp_near(x, most) if near else vexp_below(x, most)
    if kind == LOG_SOFTMAX:
        tie = vequal(x - most, vzero())    # never if both are infinite: then everything is NaN
        ties[0] = vcount(ties[0], tie)
        v = vunless(tie, v)
    return v


cdef inline void add_class(const int kind, vreal* total, vreal* lost, vreal v,
                           vreal dy) noexcept nogil:
    if kind == SOFTMAX_BACKWARD:
        add_product_keeping(total, lost, v, dy)
    else:
        add_keeping(total, lost, v)


cdef inline void begin_class(const int kind, vreal* total, vreal* lost, vreal v,
                             vreal dy) noexcept nogil:
    """The same for a sum that is zero, in fewer operations."""
    if kind == SOFTMAX_BACKWARD:
        total[0] = vmadd(vzero(), v, dy)
        # the difference is NaN where the product is not finite
        lost[0] = (total[0] - total[0]) + vmadd(-total[0], v, dy)
    else:
        total[0], lost[0] = v, vzero()


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


include "elementwise/softmax_planes.pxi"
include "elementwise/softmax_rows.pxi"


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
