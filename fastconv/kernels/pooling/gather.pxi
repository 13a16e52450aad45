# Gradients of pooling with strides 1 and 2: every element of the map gathers from the windows that
# it is in.  With stride 2 there are two columns of elements for each column of windows:
#
#        even row    taps 8 6 2 0 | 7 1    of the windows (i-1, m-1) (i-1, m) (i, m-1) (i, m)
#        odd row          5 3     | 4      in even columns | in odd columns, which see the
#                                          windows of column m alone; of a 2x2 window 0 | 1, 2 | 3
#
# Rows and columns are those of the padded map.  A maximum gives its gradient to the tap that won,
# and an average gives a share to every tap.  Both are added window by window, in row-major order.
# With stride 1 only maxima of up to 4 taps are gathered: for larger windows gathering takes longer
# than adding each gradient to its winner.

cdef extern from *:
    """
    enum { MOST_STEPS = 4 };
    """
    enum: MOST_STEPS                       # taps of a window, with stride 1

cdef inline vreal window_columns(const Pooling* g, Py_ssize_t j) noexcept nogil:
    """How many columns of each of the windows j, j + 1, ... the average counts, but at least 1."""
    cdef real counts[VL]
    cdef int lane
    for lane in range(VL):
        counts[lane] = <real> max(columns_counted(g, j + lane), <Py_ssize_t> 1)
    return vload(counts)


# Vectors shorter than 64 bytes have no masks for bytes and for stores, and those for loads are
# vectors, which are made once for all rows.  Whole vectors of taps are loaded where they lie inside
# the array: lanes beyond do not matter, since their gradient is 0.  Vectors of 8 lanes are stored
# whole where they lie inside the plane: lanes beyond are written again as they are.  With 4 lanes,
# storing them one by one takes no longer.

cdef inline vmask load_winners(const unsigned char* argmax, Py_ssize_t at, lanes_t lanes,
                               const Py_ssize_t* bounds) noexcept nogil:
    """Load the taps of some lanes.  `bounds` are where the array begins and ends, counted from the
    beginning of the plane."""
    if VL * sizeof(real) <= 32 and bounds[0] <= at and at + VL <= bounds[1]:
        lanes = lanes_between(0, VL)
    return vload_bytes(argmax + at, lanes)


cdef inline vmask load_two_winners(const unsigned char* argmax, Py_ssize_t at, Py_ssize_t next,
                                   lanes_t lanes, const Py_ssize_t* bounds) noexcept nogil:
    """Load the taps of some lanes into the lower half, and into the upper half those of the plane
    that lies `next` elements further on."""
    if VL * sizeof(real) <= 32 and bounds[0] <= at and at + next + VL // 2 <= bounds[1]:
        return vload_bytes_of_two(argmax + at, argmax + at + next)
    return vload_bytes(argmax + at, lanes) \
        | vload_bytes(argmax + at + next - VL // 2, lanes << (VL // 2))


cdef inline void store_columns(real* plane, Py_ssize_t size, Py_ssize_t at, vreal v,
                               const LaneSet* lanes) noexcept nogil:
    """Store some lanes to a plane."""
    if VL == 8 and sizeof(real) == 4 and 0 <= at and at + VL <= size:
        vstore(plane + at, pick_lanes(vload(plane + at), v, lanes))
    else:
        vstore_where(plane + at, v, lanes.bits)


cdef inline void gather_windows(const Pooling* g, const int S, const bint maxima, const int kind,
                                const real* dy, const unsigned char* argmax, Py_ssize_t next,
                                Py_ssize_t row, Py_ssize_t m, const LaneSet* lanes,
                                const vreal* columns, const Py_ssize_t* bounds, vreal* d,
                                vmask* t) noexcept nogil:
    """Load the gradients of a row's windows from columns m - 1 and m on, and the taps that won.

    With TWO_MAPS the upper half of a vector belongs to the map `next` elements further on; its
    lanes are `lanes + 2`.
    """
    cdef Py_ssize_t at
    cdef int k
    cdef bint inside = 0 <= row < g.rows.outputs
    for k in range(2):
        if S == 2 and k == 0:
            continue
        at = row * g.columns.outputs + m - 1 + k
        if kind == INSIDE and inside:
            d[k] = vload(dy + at)
            if maxima:
                t[k] = vload_bytes(argmax + at, lanes_between(0, VL))
        elif inside:
            d[k] = load_lanes(dy + at, &lanes[k])
            if maxima and kind != TWO_MAPS:
                t[k] = load_winners(argmax, at, lanes[k].bits, bounds)
            if kind == TWO_MAPS:
                d[k] = pick_lanes(d[k], load_lanes(dy + at + next - VL // 2, &lanes[2 + k]),
                                 &lanes[2 + k])
                if maxima:
                    t[k] = load_two_winners(argmax, at, next, lanes[k].bits, bounds)
        else:
            d[k], t[k] = vzero(), vtap(0)
        if not maxima:
            d[k] = vratio(d[k], vset1(<real> rows_counted(g, row) if inside else 1) * columns[k])


cdef inline vreal gather_tap(const bint maxima, vreal acc, vreal d, vmask t,
                             int tap) noexcept nogil:
    return vadd_winner(acc, d, t, tap) if maxima else acc + d


cdef inline void gather_column(const Pooling* g, const int S, const bint maxima, const int kind,
                               const real* dy, const unsigned char* argmax, Py_ssize_t next,
                               Py_ssize_t m, const Py_ssize_t* bounds, real* dx,
                               real* other) noexcept nogil:
    """Write the columns 2m .. 2m + 2 VL - 1 of a plane, or with TWO_MAPS half as many of two."""
    cdef vreal d[4]
    cdef vmask t[4]
    cdef vreal columns[2]
    cdef LaneSet lanes[4]
    cdef LaneSet low, high
    cdef vreal even, odd
    cdef Py_ssize_t width = VL // 2 if kind == TWO_MAPS else VL
    cdef Py_ssize_t c = 2 * m + g.columns.offset
    cdef Py_ssize_t i, h
    cdef int k
    low = lane_set(lanes_between(-c, g.W - c))
    high = low if kind == TWO_MAPS else lane_set(lanes_between(-c - VL, g.W - c - VL))
    for k in range(2):
        lanes[k] = lane_set(lanes_between(1 - k - m, min(g.columns.outputs - m + 1 - k, width)))
        lanes[2 + k] = lane_set(lanes[k].bits << (VL // 2))
        columns[k] = vset1(<real> g.columns.taps)
        if not maxima and kind != INSIDE:
            columns[k] = window_columns(g, m - 1 + k)
            if kind == TWO_MAPS:
                columns[k] = vlower(columns[k], columns[k])
    if S == 3:
        gather_windows(g, S, maxima, kind, dy, argmax, next, -1, m, lanes, columns, bounds,
                       d + 2, t + 2)
    for i in range((g.H - g.rows.offset + 1) // 2):
        d[0], d[1], t[0], t[1] = d[2], d[3], t[2], t[3]
        gather_windows(g, S, maxima, kind, dy, argmax, next, i, m, lanes, columns, bounds,
                       d + 2, t + 2)
        for k in range(2):
            h = 2 * i + k + g.rows.offset
            if h < 0 or h >= g.H:
                continue
            even = odd = vzero()
            if S == 2:
                even = gather_tap(maxima, even, d[3], t[3], 2 * k)
                odd = gather_tap(maxima, odd, d[3], t[3], 2 * k + 1)
            else:
                if k == 0:
                    even = gather_tap(maxima, even, d[0], t[0], 8)
                    even = gather_tap(maxima, even, d[1], t[1], 6)
                    odd = gather_tap(maxima, odd, d[1], t[1], 7)
                even = gather_tap(maxima, even, d[2], t[2], 3 * k + 2)
                even = gather_tap(maxima, even, d[3], t[3], 3 * k)
                odd = gather_tap(maxima, odd, d[3], t[3], 3 * k + 1)
            if kind == INSIDE:
                vstore(dx + h * g.W + c, vlow(even, odd))
                vstore(dx + h * g.W + c + VL, vhigh(even, odd))
            elif kind == TWO_MAPS:
                store_columns(dx, g.H * g.W, h * g.W + c, vlow(even, odd), &low)
                store_columns(other, g.H * g.W, h * g.W + c, vhigh(even, odd), &high)
            else:
                store_columns(dx, g.H * g.W, h * g.W + c, vlow(even, odd), &low)
                store_columns(dx, g.H * g.W, h * g.W + c + VL, vhigh(even, odd), &high)


cdef inline void gather_plane(const Pooling* g, const int S, const bint maxima, const real* dy,
                              const unsigned char* argmax, const Py_ssize_t* bounds,
                              real* dx) noexcept nogil:
    cdef Py_ssize_t m
    for m from 0 <= m < (g.W - g.columns.offset + 1) // 2 by VL:
        if m >= S - 2 and m + VL <= g.columns.outputs and 2 * m + g.columns.offset >= 0 \
                and 2 * m + 2 * VL + g.columns.offset <= g.W \
                and (maxima or g.first_column <= m - (S - 2) and m + VL <= g.last_column):
            gather_column(g, S, maxima, INSIDE, dy, argmax, 0, m, bounds, dx, dx)
        else:
            gather_column(g, S, maxima, ASIDE, dy, argmax, 0, m, bounds, dx, dx)


cdef inline void gather_planes(const Pooling* g, const int S, const bint maxima,
                               Py_ssize_t begin, Py_ssize_t end) noexcept nogil:
    """Write every element of dx once.  Where planes are narrow, the item of an even plane also does
    the next plane."""
    cdef Py_ssize_t item, outputs = g.rows.outputs * g.columns.outputs, size = g.H * g.W
    cdef bint two = VL >= 8 and (g.W - g.columns.offset + 1) // 2 <= VL // 2
    cdef const unsigned char* argmax = NULL
    cdef Py_ssize_t other
    cdef Py_ssize_t bounds[2]
    for item in range(begin, end):
        bounds[0], bounds[1] = -item * outputs, (g.planes - item) * outputs
        if maxima:
            argmax = <unsigned char*> g.argmax + item * outputs
        other = 1 if item + 1 < g.planes else 0
        prefetch_planes(g, item, True)
        if not two:
            gather_plane(g, S, maxima, g.x + item * outputs, argmax, bounds,
                         g.y + item * size)
        elif item % 2 == 0:
            gather_column(g, S, maxima, TWO_MAPS, g.x + item * outputs, argmax, other * outputs,
                          0, bounds, g.y + item * size, g.y + (item + other) * size)


cdef void gather_maxima(void* args, Py_ssize_t begin, Py_ssize_t end) noexcept nogil:
    cdef const Pooling* g = <const Pooling*> args
    if g.rows.taps == 2:
        gather_planes(g, 2, True, begin, end)
    else:
        gather_planes(g, 3, True, begin, end)


cdef void gather_averages(void* args, Py_ssize_t begin, Py_ssize_t end) noexcept nogil:
    cdef const Pooling* g = <const Pooling*> args
    if g.rows.taps == 2:
        gather_planes(g, 2, False, begin, end)
    else:
        gather_planes(g, 3, False, begin, end)


# With stride 1 tap s of window j falls on column j + s.  So for each tap VL elements of a row take
# VL neighbouring windows of a row.  They begin with the last tap, which is the first window's.

cdef inline void gather_steps(const Pooling* g, const bint inside, Py_ssize_t w, const real* dy,
                              const unsigned char* argmax, real* dx) noexcept nogil:
    """Write the columns w .. w + VL - 1 of a plane.  They are `inside` if none of their windows
    reaches over a side of the map."""
    cdef Py_ssize_t R = g.rows.taps, S = g.columns.taps, OW = g.columns.outputs
    cdef lanes_t lanes[MOST_STEPS]
    cdef lanes_t stored = vkeep(lanes_between(0, g.W - w))
    cdef Py_ssize_t h, i, r, s, at, first = w - g.columns.offset
    cdef vreal acc
    for s in range(S):
        lanes[s] = lanes_between(s - first, OW - first + s)
    for h in range(g.H):
        acc = vzero()
        for r in range(R - 1, -1, -1):
            i = h - g.rows.offset - r
            if i < 0 or i >= g.rows.outputs:
                continue
            for s in range(S - 1, -1, -1):
                at = i * OW + first - s
                if inside:
                    acc = vadd_winner(acc, vload(dy + at),
                                      vload_bytes(argmax + at, lanes_between(0, VL)),
                                      <int> (r * S + s))
                else:
                    acc = vadd_winner(acc, vload_where(dy + at, lanes[s]),
                                      vload_bytes(argmax + at, lanes[s]), <int> (r * S + s))
        if inside:
            vstore(dx + h * g.W + w, acc)
        else:
            vstore_where(dx + h * g.W + w, acc, stored)


cdef void gather_every_maximum(void* args, Py_ssize_t begin, Py_ssize_t end) noexcept nogil:
    cdef const Pooling* g = <const Pooling*> args
    cdef Py_ssize_t item, w, first, outputs = g.rows.outputs * g.columns.outputs
    cdef const unsigned char* argmax
    for item in range(begin, end):
        argmax = <unsigned char*> g.argmax + item * outputs
        prefetch_planes(g, item, True)
        for w from 0 <= w < g.W by VL:
            first = w - g.columns.offset
            if w + VL <= g.W and g.first_column <= first - g.columns.taps + 1 \
                    and first + VL <= g.last_column:
                gather_steps(g, True, w, g.x + item * outputs, argmax, g.y + item * g.H * g.W)
            else:
                gather_steps(g, False, w, g.x + item * outputs, argmax, g.y + item * g.H * g.W)


cdef bint gathers_by_two(const Pooling* g) noexcept nogil:
    """Whether `gather_maxima` and `gather_averages` know this window."""
    return g.rows.dilation == 1 and g.columns.dilation == 1 and g.rows.stride == 2 \
        and g.columns.stride == 2 and g.rows.taps == g.columns.taps and 2 <= g.rows.taps <= 3


cdef bint gathers_every(const Pooling* g) noexcept nogil:
    """Whether `gather_every_maximum` knows this window."""
    return g.rows.dilation == 1 and g.columns.dilation == 1 and g.rows.stride == 1 \
        and g.columns.stride == 1 and g.rows.taps * g.columns.taps <= MOST_STEPS
