# Averages of windows, and their gradient.  A sum goes through the taps in row-major order, in
# blocks of AVERAGE_RUN taps.  A block of a whole plane is 4 AVERAGE_RUN vectors, which are added
# in a fixed tree.  Blocks are added in float64.
#
# Windows of 2x2 and 3x3 with strides 1 and 2 are done vector by vector, as in depthwise.pxi and
# narrow.pxi.  Others are done in runs of windows that see the same taps.  window_sums.pxi has the
# sums of larger windows with stride 1, and the gradients of all windows that overlap.

cdef extern from *:
    """
    enum { AVERAGE_RUN = 32, SHORT_WINDOW = 56 };
    """
    enum: AVERAGE_RUN                      # numbers that are added one after the other
    enum: SHORT_WINDOW                     # the most taps that are a single block

cdef struct Averages:
    const Pooling* g
    int kind                               # ASIDE, NARROW_MAP or TWO_MAPS
    Sides sides[3]                         # of the first vector of a row, the last, any other
    real columns[3][VL]                    # how many columns the windows of these vectors count


cdef inline void look_average(Averages* a, const int S, const int step, int side,
                              Py_ssize_t j) noexcept nogil:
    cdef Py_ssize_t lane
    if a.kind == ASIDE:
        look_aside(&a.sides[side], S, step, 1, j * step + a.g.columns.offset, a.g.W)
    for lane in range(VL):
        if a.kind == TWO_MAPS:
            a.columns[side][lane] = <real> columns_counted(a.g, lane % (VL // 2))
        else:
            a.columns[side][lane] = <real> columns_counted(a.g, j + lane)
        if a.columns[side][lane] < 1:
            a.columns[side][lane] = 1      # this lane has no window


cdef inline vreal average_vector(const Pooling* g, const int S, const int step, const int kind,
                                 const real* x, const real* other, Py_ssize_t r0,
                                 Py_ssize_t r1, const Sides* at, const vmask* turns,
                                 vreal size) noexcept nogil:
    """The averages of a vector of windows; x at tap (0, 0) of the first."""
    cdef vreal taps[5]
    cdef lanes_t seen[5]
    cdef vreal acc = vzero()
    cdef Py_ssize_t r
    cdef int s
    for s in range(S):
        seen[s] = vkeep(at.seen[s]) if kind != INSIDE else 0
    for r in range(r0, r1):
        load_taps(x + r * g.W, other + r * g.W, S, step, 1, kind, at, seen, turns, taps)
        for s in range(S):
            acc = acc + taps[s] if kind == INSIDE else vadd_where(acc, taps[s], seen[s])
    return vratio(acc, size)


cdef inline void average_row(const Averages* a, const int S, const int step, const real* x,
                             Py_ssize_t r0, Py_ssize_t r1, real rows, real* y) noexcept nogil:
    """A row of windows, vector by vector; x at tap (0, 0) of the first."""
    cdef const Pooling* g = a.g
    cdef Averages other
    cdef const Averages* at
    cdef Py_ssize_t j = 0, last = max(g.columns.outputs - VL, <Py_ssize_t> 0)
    cdef vreal mean
    cdef int side
    while j < g.columns.outputs:
        j = min(j, last)                   # the last vector does some windows once more
        if g.first_column <= j and j + VL <= g.last_column \
                and j * step + g.columns.offset + VL * step + S - 1 <= g.W:
            if r0 == 0 and r1 == S:
                mean = average_vector(g, S, step, INSIDE, x + j * step, x, 0, S, &a.sides[0],
                                      NULL, vset1(rows * S))
            else:
                mean = average_vector(g, S, step, INSIDE, x + j * step, x, r0, r1, &a.sides[0],
                                      NULL, vset1(rows * S))
            vstore(y + j, mean)
        else:
            at, side = a, 0 if j == 0 else 1
            if j > 0 and j < last:
                other.g, other.kind = g, ASIDE
                look_average(&other, S, step, 2, j)
                at, side = &other, 2
            mean = average_vector(g, S, step, ASIDE, x + j * step, x, r0, r1, &at.sides[side],
                                  NULL, vset1(rows) * vload(at.columns[side]))
            vstore_n(y + j, mean, g.columns.outputs - j)
        j += VL


cdef inline void average_narrow(const Averages* a, const int S, const int step, const int kind,
                                const real* x, const real* other, real* y,
                                real* other_y) noexcept nogil:
    """All averages of a plane whose rows fit a vector, or of two such planes."""
    cdef const Pooling* g = a.g
    cdef vmask turns[5]
    cdef vreal columns = vload(a.columns[0])
    cdef lanes_t stored = vkeep(lanes_between(0, g.columns.outputs))
    cdef Py_ssize_t i, top, r0, r1
    cdef vreal mean
    cdef int s
    for s in range(S):
        turns[s] = vturn(a.sides[0].turn[s])
    for i in range(g.rows.outputs):
        taps_inside(&g.rows, i, &r0, &r1)
        top = (i * g.rows.stride + g.rows.offset) * g.W
        if r0 == 0 and r1 == S:
            mean = average_vector(g, S, step, kind, x + top, other + top, 0, S, &a.sides[0],
                                  turns, vset1(<real> S) * columns)
        else:
            mean = average_vector(g, S, step, kind, x + top, other + top, r0, r1, &a.sides[0],
                                  turns, vset1(<real> rows_counted(g, i)) * columns)
        vstore_where(y + i * g.columns.outputs, mean, stored)
        if kind == TWO_MAPS:
            vstore_where(other_y + i * g.columns.outputs - VL // 2, mean, stored << (VL // 2))


cdef inline void average_windows(const Pooling* g, const int S, const int step,
                                 Py_ssize_t begin, Py_ssize_t end) noexcept nogil:
    cdef Averages a
    cdef Py_ssize_t item, plane, other, i, r0, r1, size = g.H * g.W
    cdef Py_ssize_t OW = g.columns.outputs, outputs = g.rows.outputs * OW
    a.g, a.kind = g, look_narrow(&a.sides[0], &g.columns, 1) if g.blocks == 1 else ASIDE
    look_average(&a, S, step, 0, 0)
    look_average(&a, S, step, 1, max(OW - VL, <Py_ssize_t> 0))
    for item in range(begin, end):
        if g.blocks == 1:
            prefetch_planes(g, item, False)
        if knows_narrow(S) and a.kind == NARROW_MAP:
            average_narrow(&a, S, step, NARROW_MAP, g.x + item * size, g.x,
                           g.y + item * outputs, g.y)
            continue
        if knows_narrow(S) and a.kind == TWO_MAPS:
            other = min(item + 1, g.planes - 1)
            if item % 2 == 0:
                average_narrow(&a, S, step, TWO_MAPS, g.x + item * size, g.x + other * size,
                               g.y + item * outputs, g.y + other * outputs)
            continue
        plane, i = item // g.blocks, item % g.blocks * POOL_ROWS
        for i in range(i, min(i + POOL_ROWS, g.rows.outputs)):
            taps_inside(&g.rows, i, &r0, &r1)
            average_row(&a, S, step, g.x + plane * size
                        + (i * g.rows.stride + g.rows.offset) * g.W + g.columns.offset,
                        r0, r1, <real> rows_counted(g, i), g.y + plane * outputs + i * OW)


cdef inline real sum_plane(const real* x, Py_ssize_t n) noexcept nogil:
    """The sum of a plane: four chains of vectors, added with their lanes in a fixed tree."""
    cdef double totals[VL]
    cdef vreal acc[4]
    cdef Py_ssize_t first = 0, last
    cdef bint lasting = n > 4 * AVERAGE_RUN * VL
    cdef int v
    if lasting:
        memset(totals, 0, sizeof(totals))
    while True:
        last = min(n, first + 4 * AVERAGE_RUN * VL)
        for v in range(4):
            acc[v] = vzero()
        while first + 4 * VL <= last:
            for v in range(4):
                acc[v] = acc[v] + vload(x + first + v * VL)
            first += 4 * VL
        if first < last:
            for v in range(4):
                acc[v] = acc[v] + vload_n(x + first + v * VL, last - first - v * VL)
            first = last
        acc[0] = (acc[0] + acc[1]) + (acc[2] + acc[3])
        if not lasting:
            return vsum(acc[0])
        vadd_long(totals, acc[0])
        if first == n:
            return vsum(vlong(totals))


cdef inline vreal add_taps(vreal acc, const real* x, Py_ssize_t taps, Py_ssize_t step,
                           Py_ssize_t count) noexcept nogil:
    cdef Py_ssize_t s
    if step == 1 and count == VL:
        for s in range(taps):
            acc = acc + vload(x + s)
        return acc
    for s in range(taps):
        acc = acc + load_pixels(x + s, step, count)
    return acc


cdef inline vreal sum_windows(const real* x, Py_ssize_t width, Py_ssize_t rows,
                              Py_ssize_t columns, Py_ssize_t step, Py_ssize_t count) noexcept nogil:
    """The sums of a vector of `count` windows, `step` apart; x at the first tap of the first."""
    cdef double totals[VL]
    cdef vreal acc = vzero()
    cdef Py_ssize_t r, s, taps, left = AVERAGE_RUN
    if rows * columns <= SHORT_WINDOW:
        for r in range(rows):
            acc = add_taps(acc, x + r * width, columns, step, count)
        return acc
    memset(totals, 0, sizeof(totals))
    for r in range(rows):
        s = 0
        while s < columns:
            taps = min(columns - s, left)
            acc = add_taps(acc, x + r * width + s, taps, step, count)
            s, left = s + taps, left - taps
            if left == 0:
                vadd_long(totals, acc)
                acc, left = vzero(), AVERAGE_RUN
    vadd_long(totals, acc)
    return vlong(totals)


cdef inline real sum_window(const real* x, Py_ssize_t width, Py_ssize_t rows,
                            Py_ssize_t columns) noexcept nogil:
    """The sum of one window.  Where it has many taps, neighbours of a row are in the lanes, as long
    as they fill a vector."""
    cdef double totals[VL]
    cdef vreal acc = vzero()
    cdef real one = 0
    cdef Py_ssize_t r, s, left = AVERAGE_RUN
    cdef Py_ssize_t filled = columns // VL * VL
    cdef double rest = 0
    if rows * columns <= SHORT_WINDOW:
        for r in range(rows):
            for s in range(columns):
                one += x[r * width + s]
        return one
    memset(totals, 0, sizeof(totals))
    for r in range(rows):
        for s from 0 <= s < filled by VL:
            acc = acc + vload(x + r * width + s)
            left -= 1
            if left == 0:
                vadd_long(totals, acc)
                acc, left = vzero(), AVERAGE_RUN
        for s in range(filled, columns):
            rest += x[r * width + s]
    vadd_long(totals, acc)
    return <real> (vsum(vlong(totals)) + rest)


cdef void average_whole_planes(void* args, Py_ssize_t begin, Py_ssize_t end) noexcept nogil:
    cdef Pooling* g = <Pooling*> args
    cdef Py_ssize_t plane
    for plane in range(begin, end):
        g.y[plane] = sum_plane(g.x + plane * g.H * g.W, g.H * g.W) / <real> (g.H * g.W)


cdef void average_two_apart(void* args, Py_ssize_t begin, Py_ssize_t end) noexcept nogil:
    average_windows(<Pooling*> args, 2, 2, begin, end)


cdef void average_three_apart(void* args, Py_ssize_t begin, Py_ssize_t end) noexcept nogil:
    average_windows(<Pooling*> args, 3, 2, begin, end)


cdef void average_three(void* args, Py_ssize_t begin, Py_ssize_t end) noexcept nogil:
    average_windows(<Pooling*> args, 3, 1, begin, end)


cdef void average_planes(void* args, Py_ssize_t begin, Py_ssize_t end) noexcept nogil:
    """Averages of any windows."""
    cdef Pooling* g = <Pooling*> args
    cdef Py_ssize_t item, plane, top, i, j, r0, r1, s0, s1, left, right, rows, count
    cdef bint inside
    cdef const real* row
    cdef real* y
    cdef real one
    cdef vreal acc
    cdef Py_ssize_t step = g.columns.stride
    for item in range(begin, end):
        plane = item // g.blocks
        top = item % g.blocks * POOL_ROWS
        for i in range(top, min(top + POOL_ROWS, g.rows.outputs)):
            taps_inside(&g.rows, i, &r0, &r1)
            y = g.y + (plane * g.rows.outputs + i) * g.columns.outputs
            rows = rows_counted(g, i)
            j = 0
            while j < g.columns.outputs:
                left = j
                right = same_taps(&g.columns, j, g.columns.outputs, &s0, &s1)
                inside = s0 == 0 and s1 == g.columns.taps
                row = g.x + (plane * g.H + i * g.rows.stride + g.rows.offset + r0) * g.W \
                    + g.columns.offset + s0
                while j < right:
                    count = min(<Py_ssize_t> VL, right - j)
                    if step > 2 or count == 1:  # a vector would be loaded lane by lane
                        one = sum_window(row + j * step, g.W, r1 - r0, s1 - s0)
                        y[j] = one / <real> (rows * g.columns.taps) if inside else one
                        j += 1
                        continue
                    acc = sum_windows(row + j * step, g.W, r1 - r0, s1 - s0, step, count)
                    if inside:
                        acc = acc / vset1(<real> (rows * g.columns.taps))
                    vstore_n(y + j, acc, count)
                    j += count
                if not inside:
                    for j in range(left, right):
                        y[j] = y[j] / <real> (rows * columns_counted(g, j))
                    j = right


cdef task_t average_task(const Pooling* g) noexcept nogil:
    """The function for a window.  Each case has its own: in one function they would take the
    compiler longer."""
    cdef Py_ssize_t step = g.columns.stride
    if is_whole_plane(g):
        return average_whole_planes
    if g.rows.taps == g.columns.taps:
        if g.columns.taps == 2 and step == 2:
            return average_two_apart
        if g.columns.taps == 3 and step == 2:
            return average_three_apart
        if g.columns.taps == 3 and step == 1:
            return average_three
    return average_planes


cdef void average_planes_backward(void* args, Py_ssize_t begin, Py_ssize_t end) noexcept nogil:
    """The gradient of averages over windows that do not overlap, and over whole planes."""
    cdef const Pooling* g = <const Pooling*> args
    cdef Py_ssize_t item, i, j, r, r0, r1, s, s0, s1
    cdef real* row
    cdef real share
    if is_whole_plane(g):
        for item in range(begin, end):
            share = 0 + g.x[item] / <real> (g.H * g.W)     # a gradient of -0.0 is 0.0 in a sum
            for i in range(g.H * g.W):
                g.y[item * g.H * g.W + i] = share
        return
    for item in range(begin, end):
        memset(g.y + item * g.H * g.W, 0, g.H * g.W * sizeof(real))
        for i in range(g.rows.outputs):
            taps_inside(&g.rows, i, &r0, &r1)
            for j in range(g.columns.outputs):
                taps_inside(&g.columns, j, &s0, &s1)
                share = g.x[(item * g.rows.outputs + i) * g.columns.outputs + j] \
                    / <real> (rows_counted(g, i) * columns_counted(g, j))
                for r in range(r0, r1):
                    row = g.y + (item * g.H + i * g.rows.stride + g.rows.offset + r) * g.W \
                        + j * g.columns.stride + g.columns.offset
                    for s in range(s0, s1):
                        row[s] += share
