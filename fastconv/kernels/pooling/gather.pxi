# Gradients of pooling with strides 1 and 2: every element of the map gathers from the windows that
# it is in, and is written once.
#
# With stride 2 a column of the map is in the middle of one window of 3x3, or on a side of two; so
# is a row.  Neighbouring columns of both kinds are made together, from the windows u and u + 1 of
# one row, or of two rows that meet:
#
#                             sides                  middle
#     upper row, i - 1    8 of u, 6 of u + 1       7 of u or u + 1
#     lower row, i        2 of u, 0 of u + 1       1 of u or u + 1
#     middle of row i     5 of u, 3 of u + 1       4 of u or u + 1
#
# The first column of the map is a side if the padding is even, and then the middle is that of
# u + 1; else it is the middle of u.  Windows of 2x2 meet no others: u + 1 has the side as its first
# column, and the middle is its second, or that of u.
#
# Rows of windows are laid out with zeros around them, so that no column is a special case.  Vectors
# of 64 bytes do without: gather_columns.pxi.  A maximum gives its gradient to the tap that won, and
# an average gives a share to every tap.  Both are added window by window, in row-major order.  With
# stride 1 only maxima of up to 4 taps are gathered: for larger windows gathering takes longer than
# adding each gradient to its winner.

cdef extern from *:
    """
    enum { MOST_STEPS = 4,
           STRIPE_WINDOWS = 512 };      /* of a row, laid out together: whole vectors */
    """
    enum: MOST_STEPS                       # taps of a window, with stride 1
    enum: STRIPE_WINDOWS

cdef struct WindowLine:                    # windows of a row: what they give, and to which taps
    real gradients[STRIPE_WINDOWS + 2 * VL]
    ireal taps[STRIPE_WINDOWS + 2 * VL]

cdef struct Stripe:                        # neighbouring columns of the maps
    Py_ssize_t column, columns             # the first, and how many
    Py_ssize_t u                           # the first window of a line, which may be outside
    Py_ssize_t first, last                 # the windows of a line that there are
    WindowLine lines[2]                    # of the rows i and i - 1
    real counts[STRIPE_WINDOWS + 2 * VL]   # how many columns the average counts, from `first` on


# Vectors shorter than 64 bytes have no masks for bytes.  Whole vectors of taps are loaded where
# they lie inside the array: lanes beyond do not matter, since their gradient is 0.

cdef inline vmask load_winners(const unsigned char* argmax, Py_ssize_t at, lanes_t lanes,
                               const Py_ssize_t* bounds) noexcept nogil:
    """Load the taps of some lanes.  `bounds` are where the array begins and ends, counted from the
    beginning of the plane."""
    if VL * sizeof(real) <= 32 and bounds[0] <= at and at + VL <= bounds[1]:
        lanes = lanes_between(0, VL)
    return vload_bytes(argmax + at, lanes)


cdef inline WindowLine* line_of(Stripe* at, Py_ssize_t row) noexcept nogil:
    return &at.lines[row & 1]


cdef inline void lay_vector(const Pooling* g, const bint maxima, Py_ssize_t item, Py_ssize_t j,
                            Py_ssize_t count, vreal counted, real* gradients,
                            ireal* taps) noexcept nogil:
    """Lay out `count` windows of a plane, from window j on, with zeros to the end of a vector."""
    cdef Py_ssize_t outputs = g.rows.outputs * g.columns.outputs
    cdef const real* dy = g.x + item * outputs + j
    cdef vreal d = vload(dy) if count == VL else vload_n(dy, count)
    cdef Py_ssize_t bounds[2]
    if maxima:
        bounds[0], bounds[1] = -item * outputs, (g.planes - item) * outputs
        vstore_mask(taps, load_winners(<const unsigned char*> g.argmax + item * outputs, j,
                                       lanes_between(0, count), bounds))
    else:
        d = vratio(d, counted)
    vstore(gradients, d)


cdef inline void lay_windows(const Pooling* g, const bint maxima, Py_ssize_t item, Py_ssize_t row,
                             Stripe* at) noexcept nogil:
    """Lay out a row of a plane's windows.  A row outside of the plane gives zeros."""
    cdef WindowLine* line = line_of(at, row)
    cdef real* gradients = line.gradients + (at.first - at.u)
    cdef ireal* taps = line.taps + (at.first - at.u)
    cdef Py_ssize_t j = row * g.columns.outputs + at.first, k = 0, count = at.last - at.first
    cdef vreal rows
    if row < 0 or row >= g.rows.outputs:
        for k from 0 <= k < count by VL:
            vstore(gradients + k, vzero())
        return
    rows = vset1(<real> rows_counted(g, row))
    while k + VL <= count:
        lay_vector(g, maxima, item, j + k, VL, rows * vload(at.counts + k), gradients + k, taps + k)
        k += VL
    if k < count:
        lay_vector(g, maxima, item, j + k, count - k, rows * vload(at.counts + k), gradients + k,
                   taps + k)


cdef inline vreal gather_tap(const bint maxima, vreal acc, vreal d, vmask t,
                             int tap) noexcept nogil:
    return vadd_winner(acc, d, t, tap) if maxima else acc + d


cdef inline void gather_windows(const int S, const bint maxima, const bint middle_first,
                                const int r, const WindowLine* line, Py_ssize_t k, vreal* side,
                                vreal* middle) noexcept nogil:
    """Add what the windows of a line give to their row r of taps."""
    cdef vreal d = vload(line.gradients + k), next_d = vload(line.gradients + k + 1)
    cdef vmask t = vload_mask(line.taps + k), next_t = vload_mask(line.taps + k + 1)
    if S == 3:
        side[0] = gather_tap(maxima, side[0], d, t, 3 * r + 2)
    side[0] = gather_tap(maxima, side[0], next_d, next_t, S * r)
    if middle_first:
        middle[0] = gather_tap(maxima, middle[0], d, t, S * r + 1)
    else:
        middle[0] = gather_tap(maxima, middle[0], next_d, next_t, S * r + 1)


cdef inline void gather_row(const int S, const bint maxima, const bint middle_first, const int r,
                            const WindowLine* upper, const WindowLine* lower, Py_ssize_t columns,
                            real* dx, const real* end) noexcept nogil:
    """Write so many columns of a row, which has row r of the lower windows' taps.  Whole vectors
    reach over its end, but not over `end`: what they overwrite must be written later."""
    cdef vreal side, middle, low, high
    cdef Py_ssize_t k, count = (columns + 1) // 2
    for k from 0 <= k < count by VL:
        side = middle = vzero()
        if S == 3 and r == 0:
            gather_windows(S, maxima, middle_first, 2, upper, k, &side, &middle)
        gather_windows(S, maxima, middle_first, r, lower, k, &side, &middle)
        if middle_first:
            low, high = vlow(middle, side), vhigh(middle, side)
        else:
            low, high = vlow(side, middle), vhigh(side, middle)
        if end - dx >= 2 * VL:
            vstore(dx, low)
            vstore(dx + VL, high)
        else:
            vstore_n(dx, low, columns - 2 * k)
            vstore_n(dx + VL, high, columns - 2 * k - VL)
        dx = dx + 2 * VL


cdef inline void gather_plane(const Pooling* g, const int S, const bint maxima,
                              const bint middle_first, Py_ssize_t item, Stripe* at,
                              const real* end) noexcept nogil:
    """Write the columns of a stripe of a plane, row by row."""
    cdef real* dx = g.y + item * g.H * g.W + at.column
    cdef Py_ssize_t h, i
    i = floor_div(-g.rows.offset - 1, 2)
    lay_windows(g, maxima, item, i, at)
    lay_windows(g, maxima, item, i + 1, at)
    for h in range(-g.rows.offset, g.H - g.rows.offset):  # rows of the padded map
        i = h // 2
        if h % 2 == 0:
            gather_row(S, maxima, middle_first, 0, line_of(at, i - 1), line_of(at, i), at.columns,
                       dx, end)
            # for the row after next: what was just stored cannot be loaded at once
            lay_windows(g, maxima, item, i + 1, at)
        else:
            gather_row(S, maxima, middle_first, 1, NULL, line_of(at, i), at.columns, dx, end)
        dx = dx + g.W


cdef inline void look_at_stripe(const Pooling* g, Py_ssize_t column, Stripe* at) noexcept nogil:
    cdef Py_ssize_t k
    memset(at, 0, sizeof(Stripe))
    at.column, at.columns = column, min(g.W - column, <Py_ssize_t> (2 * STRIPE_WINDOWS))
    at.u = floor_div(column - g.columns.offset - 1, 2)
    at.first = clamp(at.u, 0, g.columns.outputs)
    at.last = clamp(at.u + (at.columns + 1) // 2 + 1, at.first, g.columns.outputs)
    for k in range(at.last - at.first + VL):
        at.counts[k] = <real> max(columns_counted(g, at.first + k), <Py_ssize_t> 1)


cdef inline void gather_by_rows(const Pooling* g, const int S, const bint maxima,
                                Py_ssize_t begin, Py_ssize_t end) noexcept nogil:
    """Write planes, the last stripe first: the rows of a stripe may reach over their ends, into the
    first columns of the rows and planes that follow."""
    cdef Py_ssize_t item, column = (g.W - 1) // (2 * STRIPE_WINDOWS) * (2 * STRIPE_WINDOWS)
    cdef const real* after = g.y + end * g.H * g.W
    cdef Stripe stripe
    while column >= 0:
        look_at_stripe(g, column, &stripe)
        for item in range(begin, end):
            prefetch_planes(g, item, True)
            if g.columns.offset % 2 == 0:
                gather_plane(g, S, maxima, False, item, &stripe, after)
            else:
                gather_plane(g, S, maxima, True, item, &stripe, after)
        column -= 2 * STRIPE_WINDOWS


include "pooling/gather_columns.pxi"


cdef inline void gather_planes(const Pooling* g, const int S, const bint maxima,
                               Py_ssize_t begin, Py_ssize_t end) noexcept nogil:
    if GATHERS_COLUMNS:
        gather_by_columns(g, S, maxima, begin, end)
    else:
        gather_by_rows(g, S, maxima, begin, end)


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
