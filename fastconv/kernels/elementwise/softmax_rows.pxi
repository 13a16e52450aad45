# Softmax, its logarithm and its gradient with classes in the lanes, up to VL positions at a time.
#
# The powers of a softmax wait where the values will be, those of few classes on the stack: a load
# of what two stores have just written waits for both.

cdef struct Row:
    const real* x                          # the input, or for the values of a softmax the powers
    const real* dy
    real* out                              # the values, or the powers
    Py_ssize_t room, space                 # numbers of x and dy, and of out, that are there
    Py_ssize_t K, whole                    # classes, and those that fill vectors
    lanes_t tail                           # the lanes of the others
    bint over                              # whether what lies behind them in `out` comes later


cdef inline void add_slots(vreal* total, vreal* lost, Py_ssize_t slots) noexcept nogil:
    """Add the partial sums, and leave their sum in the first; those from `slots` on are zero."""
    cdef Py_ssize_t i, half = VL // 2
    while half > 0:
        for i in range(min(half, slots - half)):
            add_keeping(&total[i], &lost[i], total[i + half])
            lost[i] = lost[i] + lost[i + half]
        half //= 2


cdef inline vreal load_tail(const Row* row, const real* p, vreal fill) noexcept nogil:
    """The classes behind the whole vectors, and `fill`."""
    if row.room - row.whole >= VL:
        return vpick(fill, vload(p + row.whole), row.tail)
    return vpick(fill, vload_n(p + row.whole, row.K - row.whole), row.tail)


cdef inline void store_tail(const Row* row, vreal v) noexcept nogil:
    if row.over and row.space - row.whole >= VL:
        vstore(row.out + row.whole, v)
    else:
        vstore_within(row.out + row.whole, v, row.K - row.whole, row.space - row.whole)


cdef inline void look_at_row(const Row* row, vreal* most, vreal* least) noexcept nogil:
    """Find the largest and the smallest classes of a row, in each lane."""
    cdef vreal v, large = vset1(MINUS_INFINITY), small = vset1(-MINUS_INFINITY)
    cdef Py_ssize_t i
    for i from 0 <= i < row.whole by VL:
        v = vload(row.x + i)
        large, small = vlarger(v, large), vsmaller(v, small)
    if row.whole < row.K:
        large = vlarger(load_tail(row, row.x, large), large)
        small = vsmaller(load_tail(row, row.x, small), small)
    most[0], least[0] = large, small


cdef inline void add_row(const int kind, const bint near, const Row* row, vreal most,
                         vreal* total, vreal* lost, vreal* counts) noexcept nogil:
    """Add the classes of a row to its partial sums, and write the powers of a softmax."""
    cdef vreal v, other = most, sum = vzero(), rest = vzero()
    cdef vmask ties = vtap(0)
    cdef Py_ssize_t i
    for i from 0 <= i < row.whole by VL:
        if kind == SOFTMAX_BACKWARD:
            other = vload(row.dy + i)
        v = class_value(kind, near, &ties, vload(row.x + i), other)
        add_class(kind, &sum, &rest, v, other)
        if ends_additions(i):
            add_lost(&sum, &rest)
        if kind == SOFTMAX:
            vstore(row.out + i, v)
    if row.whole < row.K:
        if kind == SOFTMAX_BACKWARD:
            other = load_tail(row, row.dy, vzero())
            v = load_tail(row, row.x, vzero())
        elif kind == SOFTMAX and near:
            v = class_value(kind, True, &ties, load_tail(row, row.x, most), most)
            v = vpick(vzero(), v, row.tail)
        else:
            v = load_tail(row, row.x, vset1(MINUS_INFINITY))
            v = class_value(kind, False, &ties, v, most)
        add_class(kind, &sum, &rest, v, other)
        if ends_additions(row.whole):
            add_lost(&sum, &rest)
        if kind == SOFTMAX:
            store_tail(row, v)
    total[0], lost[0], counts[0] = sum, rest, vfrom_counts(ties)


cdef inline void share_row(const int kind, const Row* row, vreal most,
                           vreal of_all) noexcept nogil:
    """Write the values of a row."""
    cdef vreal v, other = most
    cdef Py_ssize_t i
    for i from 0 <= i < row.whole by VL:
        if kind == SOFTMAX_BACKWARD:
            other = vload(row.dy + i)
        vstore(row.out + i, share(kind, vload(row.x + i), other, of_all))
    if row.whole < row.K:
        if kind == SOFTMAX_BACKWARD:
            other = load_tail(row, row.dy, vzero())
        v = load_tail(row, row.x, vzero())
        store_tail(row, share(kind, v, other, of_all))


cdef inline void look_at(const int kind, const Shares* g, Py_ssize_t at, Py_ssize_t last,
                         Row* row) noexcept nogil:
    """Let `row` be that which begins at `at`; what ends at `last` may be written with it."""
    row.x, row.out = g.x + at, g.out + at
    row.room, row.space = g.N * g.K - at, last - at
    if kind == SOFTMAX_BACKWARD:
        row.dy = g.dy + at


cdef inline void share_rows(const int kind, void* args, Py_ssize_t begin,
                            Py_ssize_t end) noexcept nogil:
    """Items are up to VL positions, each of which is a row of classes."""
    cdef Shares g = (<const Shares*> args)[0]  # a copy of our own, which no store can change
    cdef vreal total[VL]
    cdef vreal lost[VL]
    cdef vreal least[VL]
    cdef vreal counts[VL]
    cdef real most[VL]
    cdef real of_all[VL]
    cdef real kept[KEPT_CLASSES * VL]
    cdef bint keeps = kind == SOFTMAX and g.K <= KEPT_CLASSES
    cdef vreal largest
    cdef Row row
    cdef Py_ssize_t item, r, i, first, last, rows
    row.K, row.whole = g.K, g.K // VL * VL
    row.tail = lanes_between(0, row.K - row.whole)
    for item in range(begin, end):
        first, rows = item * g.rows * g.K, min(g.rows, g.N - item * g.rows)
        last = first + rows * g.K
        if kind != SOFTMAX_BACKWARD:
            for r in range(rows):
                look_at(kind, &g, first + r * g.K, last, &row)
                look_at_row(&row, &total[r], &least[r])
            for r in range(rows, VL):
                total[r] = vzero()
            vtranspose(total)
            largest = total[0]
            for i in range(1, VL):
                largest = vlarger(total[i], largest)
            vstore(most, largest)
        for r in range(rows, VL):
            total[r] = lost[r] = counts[r] = vzero()
        for r in range(rows):
            look_at(kind, &g, first + r * g.K, last, &row)
            row.over = keeps
            if keeps:
                row.out, row.space = kept + r * KEPT_CLASSES, KEPT_CLASSES
            largest = vset1(most[r])
            if kind == SOFTMAX_BACKWARD or vany(vless(least[r], largest + vset1(EXP_NEAR))):
                add_row(kind, False, &row, largest, &total[r], &lost[r], &counts[r])
            else:
                add_row(kind, True, &row, largest, &total[r], &lost[r], &counts[r])
        vtranspose(total)
        vtranspose(lost)
        add_slots(total, lost, g.K)
        if kind == LOG_SOFTMAX:
            vtranspose(counts)
            for i in range(1, VL):
                counts[0] = counts[0] + counts[i]
        vstore(of_all, of_sum(kind, total[0], lost[0], counts[0]))
        for r in range(rows):
            look_at(kind, &g, first + r * g.K, last, &row)
            row.over = r + 1 < rows and (keeps or kind != SOFTMAX)
            if keeps:
                row.x, row.room = kept + r * KEPT_CLASSES, KEPT_CLASSES
            elif kind == SOFTMAX:
                row.x, row.room = row.out, row.space
            share_row(kind, &row, vset1(most[r]), vset1(of_all[r]))
