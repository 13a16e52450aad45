# Depthwise convolution with the usual windows, 3x3 and 5x5 with strides 1 and 2, for targets
# without registers of masks; depthwise.pxi has the walk for targets with them, and with AVX2
# depth_quads.pxi does some wide maps.
#
#   source rows      q = 0  1  2  3  4           A column of output vectors is walked down the map.
#                        |\ |\ |\ |  |           The taps of a source row are loaded once and added
#   output rows          0  1  2                 to all output rows that see it: sums[0] is done
#                                                next, the others have begun.  A row outside the
#                                                map is skipped.
#
# At the sides of the map loads leave out the lanes outside, and give zeros.  These change no bit
# of a sum unless a weight is infinite or NaN; planes.pxi does these.  With stride 2 the lanes stay
# in the order that one shuffle gives, until a row is stored.
#
# The gradient of the input for stride 1 is the same walk, mirrored: some rows at a time, from the
# last of them upward.
# The order of every sum is that of planes.pxi.

cdef struct ColumnLanes:
    # for a vector of outputs, which lanes of its loads lie inside the map: with stride 1 for each
    # tap from the left, with stride 2 for every other tap, whose load has two vectors
    lanes_t low[5]
    lanes_t high[5]

cdef struct DepthColumns:
    const Convolution* c
    bint finite                            # whether all weights are finite
    Py_ssize_t left                        # the column of the leftmost tap of output 0
    Py_ssize_t first, last                 # outputs where the first and last vector of a row begin
    ColumnLanes sides[2]                   # of these two vectors


cdef extern from *:
    """
    enum { FEW_OUTPUTS = 2048 };
    """
    enum: FEW_OUTPUTS                      # so few outputs are not worth a share of their own


cdef inline void find_lanes(ColumnLanes* at, Py_ssize_t S, Py_ssize_t column,
                            Py_ssize_t inputs) noexcept nogil:
    """Fill `at` for the vector whose leftmost tap is at `column` of a map that is `inputs` wide."""
    cdef Py_ssize_t s
    for s in range(S):
        at.low[s] = lanes_between(-column - s, inputs - column - s)
        at.high[s] = lanes_between(-column - s - VL, inputs - column - s - VL)


cdef inline void load_row(const int S, const int step, const bint edge, const real* x,
                          const ColumnLanes* at, vreal* taps) noexcept nogil:
    """Load the pixels of each tap, from the left."""
    cdef vreal low, high
    cdef int s
    for s from 0 <= s < S by step:
        low = vload_where(x + s, at.low[s]) if edge else vload(x + s)
        if step == 1:
            taps[s] = low
            continue
        high = vload_where(x + s + VL, at.high[s]) if edge else vload(x + s + VL)
        taps[s] = vevens_dealt(low, high)
        if s + 1 < S:
            taps[s + 1] = vodds_dealt(low, high)


cdef inline void add_row(const int S, const int step, const bint mirrored, const int r,
                         const vreal* taps, const vreal* w, vreal* sums) noexcept nogil:
    """Add a row of the map to the sums; sum k meets it at kernel row r - k * step."""
    cdef int k, s, row
    for k in range((S - 1) // step + 1):
        row = r - k * step
        if row < 0:
            continue
        for s in range(S):
            sums[k] = add_tap_of(mirrored, sums[k], w[row * S + s],
                                 taps[S - 1 - s if mirrored else s])


cdef inline void store_short(const Convolution* c, const bint mirrored, vreal total,
                      real* y) noexcept nogil:
    """Write a row that is shorter than a vector.  It is the beginning of `total`, or its end where
    `mirrored`."""
    cdef real all_[VL]
    cdef Py_ssize_t i, first = VL - c.columns.outputs if mirrored else 0
    vstore(all_, total)
    for i in range(first, first + c.columns.outputs):
        y[i] = all_[i]


cdef inline void store_row(const Convolution* c, const bint mirrored, vreal total,
                           Py_ssize_t behind, real* y) noexcept nogil:
    """Write a row of outputs from y on.

    If a row is shorter than a vector, the lanes that are too many come after it, or before it where
    `mirrored`.  They reach into rows that are written next.  `behind` is how many outputs are not
    yet written, this row included.
    """
    if c.columns.outputs >= VL or behind >= VL and c.yh == c.columns.outputs:
        vstore(y, total)
    else:
        store_short(c, mirrored, total, y)


cdef inline void walk_column(const Convolution* c, const int S, const int step,
                             const bint mirrored, const bint edge, const real* x, real* y,
                             const ColumnLanes* at, const vreal* w, vreal bias, Py_ssize_t top,
                             Py_ssize_t bottom, Py_ssize_t last) noexcept nogil:
    """Write rows top <= i < bottom of a vector of outputs.  Their block ends with row `last`, or
    what is not yet written begins with it where `mirrored`.  x is at row 0 of the map, at the
    leftmost tap."""
    cdef vreal sums[5]                     # of the next output row and of those that have begun
    cdef vreal taps[5]
    cdef vreal total
    cdef Py_ssize_t sign = -1 if mirrored else 1
    cdef Py_ssize_t n = bottom - 1 if mirrored else top
    cdef Py_ssize_t h = n * step + c.rows.offset, inputs = c.rows.inputs, i
    # in the next band, which is below also where this one is walked upward
    cdef const real* ahead = x + (h + (0 if mirrored else S) + DEPTH_BAND) * c.xh + VL // 2
    cdef ColumnLanes lanes
    cdef int k, r, s
    for s in range(S if edge else 0):      # a copy of our own, which no store can change
        lanes.low[s] = vkeep(at.low[s])
        lanes.high[s] = vkeep(at.high[s]) if step == 2 else 0
    for k in range((S - 1) // step + 1):
        sums[k] = vzero()
    for r in range(S - step):
        if 0 <= h < inputs:
            load_row(S, step, edge, x + h * c.xh, &lanes, taps)
            add_row(S, step, mirrored, r, taps, w, sums)
        h += sign
    for i in range(bottom - top):
        for r in range(S - step, S):
            if 0 <= h < inputs:
                load_row(S, step, edge, x + h * c.xh, &lanes, taps)
                add_row(S, step, mirrored, r, taps, w, sums)
            if not edge:                   # vectors at the sides share lines of cache with these
                vprefetch(ahead)
                ahead = ahead + sign * c.xh
            h += sign
        total = (vzero() + (vundealt(sums[0]) if step == 2 else sums[0])) + bias
        if c.relu:
            total = vrelu(total)
        store_row(c, mirrored, total,
                  (n - last + 1 if mirrored else last - n) * c.columns.outputs, y + n * c.yh)
        for k in range((S - 1) // step):
            sums[k] = sums[k + 1]
        sums[(S - 1) // step] = vzero()
        n += sign


cdef inline void walk_rows(const DepthColumns* d, const int S, const int step,
                           const bint mirrored, const real* x, real* y, const real* weight,
                           vreal bias, Py_ssize_t top, Py_ssize_t bottom) noexcept nogil:
    """Write rows top <= i < bottom of one plane, some rows at a time, vector by vector."""
    cdef const Convolution* c = d.c
    cdef vreal w[25]
    cdef ColumnLanes other
    cdef const ColumnLanes* at
    cdef Py_ssize_t i, j, end, low, n, inputs = c.columns.inputs
    cdef int t
    for t in range(S * S):
        w[t] = vset1(weight[t])
    for n from top <= n < bottom by DEPTH_BAND // step:
        i, end = n, min(n + DEPTH_BAND // step, bottom)
        j = d.first
        while True:
            j = min(j, d.last)             # the last vector does some outputs once more
            low = j * step + d.left
            if low >= 0 and low + VL * step + S - 1 <= inputs:
                walk_column(c, S, step, mirrored, False, x + low, y + j, NULL, w, bias, i, end,
                            i if mirrored else bottom)
            else:
                at = &d.sides[0 if j == d.first else 1]
                if d.first < j < d.last:
                    find_lanes(&other, S, low, inputs)
                    at = &other
                walk_column(c, S, step, mirrored, True, x + low, y + j, at, w, bias, i, end,
                            i if mirrored else bottom)
            if j == d.last:
                break
            j += VL


cdef inline void walk_items(const DepthColumns* d, const int S, const int step,
                            const bint mirrored, Py_ssize_t begin, Py_ssize_t end) noexcept nogil:
    """Items as in convolve_planes: (image, group, filter, block of PLANE_ROWS rows)."""
    cdef const Convolution* c = d.c
    cdef Py_ssize_t filters = c.groups * c.K
    cdef Py_ssize_t item, top = begin % c.row_blocks * PLANE_ROWS
    cdef Py_ssize_t n = begin // c.row_blocks // filters, k = begin // c.row_blocks % filters
    cdef const real* w
    if not NO_MASKS:
        return
    for item in range(begin, end):
        w = c.w + k * S * S
        if not d.finite and not all_finite(w, S * S):
            convolve_planes(<void*> c, item, item + 1)
        else:
            walk_rows(d, S, step, mirrored, c.x + n * c.xn + (k if c.K == 1 else k // c.K) * c.xc,
                      c.y + n * c.yn + k * c.yk, w, vset1(c.bias[k] if c.bias != NULL else 0),
                      top, min(top + <Py_ssize_t> PLANE_ROWS, c.rows.outputs))
        top += PLANE_ROWS
        if top >= c.rows.outputs:
            top = 0
            k += 1
            if k == filters:
                k = 0
                n += 1


# Each case has a function: the compiler takes far longer for one function that holds them all.

cdef void walk_three(void* args, Py_ssize_t begin, Py_ssize_t end) noexcept nogil:
    walk_items(<const DepthColumns*> args, 3, 1, False, begin, end)


cdef void walk_three_apart(void* args, Py_ssize_t begin, Py_ssize_t end) noexcept nogil:
    walk_items(<const DepthColumns*> args, 3, 2, False, begin, end)


cdef void walk_three_back(void* args, Py_ssize_t begin, Py_ssize_t end) noexcept nogil:
    walk_items(<const DepthColumns*> args, 3, 1, True, begin, end)


cdef void walk_five(void* args, Py_ssize_t begin, Py_ssize_t end) noexcept nogil:
    walk_items(<const DepthColumns*> args, 5, 1, False, begin, end)


cdef void walk_five_apart(void* args, Py_ssize_t begin, Py_ssize_t end) noexcept nogil:
    walk_items(<const DepthColumns*> args, 5, 2, False, begin, end)


cdef void walk_five_back(void* args, Py_ssize_t begin, Py_ssize_t end) noexcept nogil:
    walk_items(<const DepthColumns*> args, 5, 1, True, begin, end)


cdef task_t walk_task(const Convolution* c) noexcept nogil:
    """The function for the taps, the stride and the direction of `c`, which is depthwise."""
    if c.columns.taps == 3:
        if c.taps_first:
            return walk_three_back
        return walk_three if c.columns.stride == 1 else walk_three_apart
    if c.taps_first:
        return walk_five_back
    return walk_five if c.columns.stride == 1 else walk_five_apart


cdef DepthColumns plan_columns(const Convolution* c) noexcept nogil:
    cdef DepthColumns d
    cdef Py_ssize_t S = c.columns.taps
    d.c = c
    d.finite = all_finite(c.w, c.groups * c.K * S * S)
    d.left = c.columns.offset - (S - 1 if c.taps_first else 0)
    d.first = 0
    d.last = c.columns.outputs - VL
    if d.last < 0 and c.taps_first:        # see store_row
        d.first = d.last
    d.last = max(d.last, d.first)
    find_lanes(&d.sides[0], S, d.first * c.columns.stride + d.left, c.columns.inputs)
    find_lanes(&d.sides[1], S, d.last * c.columns.stride + d.left, c.columns.inputs)
    return d
