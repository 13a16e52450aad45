# im2col to the book's layout, run by run: the S taps of a kernel row follow each other in x and in
# col.
#
#   x, a row of channel c        . . a b c d e . .
#                                    -----             one load, of S numbers or a few more
#   col, window j       ... | a b c|d e  | ...         one store: the next run, of the next row or
#        tap            (c, r, 0..2) (c, r + 1, ..)    channel, writes over the numbers too many
#
# Windows are walked one after the other, so col is written in one go.  A load may reach beyond its
# row, but not beyond x; at the sides of a padded map lanes are left out.  The last run of a row of
# windows is written number by number.

cdef enum:
    MOST_RUN = 16                          # taps

cdef struct Run:
    Py_ssize_t r0, r1                      # kernel rows inside the map
    Py_ssize_t s0, s1                      # taps of a row inside the map
    LaneSet seen                           # the same as lanes


cdef bint runs_fit(const Unfolding* g) noexcept nogil:
    """Whether the taps of a kernel row follow each other in x, and `unfold_runs` knows so many."""
    return g.columns.taps <= MOST_RUN and g.columns.dilation == 1 and g.xw == 1


cdef inline void copy_run(const int room, const real* x, real* to) noexcept nogil:
    if room == VL:
        vstore(to, vload(x))               # GCC copies 32 bytes in two halves
    else:
        memcpy(to, x, room * sizeof(real))


cdef inline void copy_some(const int room, const Run* at, const real* x, real* to) noexcept nogil:
    """to[s] = x[s] for s0 <= s < s1, else 0, for s < room."""
    cdef vreal taps
    cdef int s
    if room <= VL:
        taps = load_lanes(x, &at.seen)
        copy_run(room, <real*> &taps, to)
    else:
        for s in range(room):
            to[s] = x[s] if at.s0 <= s < at.s1 else 0


cdef inline void copy_window(const int room, const int rows, const Unfolding* g, const real* x,
                             real* to) noexcept nogil:
    """Unfold a window no load of which leaves x, and no tap of which lies outside the map.  `rows`
    are those of the kernel."""
    cdef Py_ssize_t step = g.rows.dilation * g.xh, xc = g.xc, S = g.columns.taps, c
    cdef int r
    for c in range(g.C):
        for r in range(rows):
            copy_run(room, x + r * step, to)
            to = to + S
        x = x + xc


cdef inline void unfold_aside(const int room, const bint inside, const Unfolding* g, const Run* at,
                              const real* x, bint last, real* to) noexcept nogil:
    """Unfold any other window, whose first tap is x[0]: at a side of the map, at the end of x, or
    the last of its row, after which nothing is written.  With `inside`, whole runs may be loaded,
    and only rows may be missing."""
    cdef Py_ssize_t R = g.rows.taps, S = g.columns.taps, c, r, s
    cdef const real* row
    for c in range(g.C):
        row = x
        for r in range(R):
            if last and c == g.C - 1 and r == R - 1:
                for s in range(S):
                    to[s] = row[s] if at.r0 <= r < at.r1 and at.s0 <= s < at.s1 else 0
            elif r < at.r0 or r >= at.r1:
                memset(to, 0, room * sizeof(real))
            elif inside:
                copy_run(room, row, to)
            else:
                copy_some(room, at, row, to)
            row = row + g.rows.dilation * g.xh
            to = to + S
        x = x + g.xc


cdef inline const real* end_of(const Unfolding* g) noexcept nogil:
    """Where x ends in memory, or NULL if it is not walked upwards."""
    if g.xn < 0 or g.xc < 0 or g.xh < 0:
        return NULL
    return g.x + (g.N - 1) * g.xn + (g.C - 1) * g.xc + (g.H - 1) * g.xh + g.W


cdef inline void unfold_rows(const int room, const Unfolding* g, Py_ssize_t begin,
                             Py_ssize_t end) noexcept nogil:
    """Items are rows of windows (image, output row)."""
    cdef int R = <int> g.rows.taps
    cdef Py_ssize_t S = g.columns.taps, size = g.C * R * S
    cdef Py_ssize_t item, j, i, column, last = g.columns.outputs - 1
    cdef const real* x
    cdef const real* x_end = end_of(g)
    cdef Py_ssize_t deepest                # from a window's first tap to its last run
    cdef real* to = g.col + begin * g.columns.outputs * size
    cdef bint inside
    cdef Run at
    for item in range(begin, end):
        i = item % g.rows.outputs
        taps_inside(&g.rows, i, &at.r0, &at.r1)
        x = g.x + item // g.rows.outputs * g.xn \
            + (i * g.rows.stride + g.rows.offset) * g.xh + g.columns.offset
        deepest = (g.C - 1) * g.xc + (at.r1 - 1) * g.rows.dilation * g.xh
        column = g.columns.offset
        for j in range(g.columns.outputs):
            inside = column >= 0 and column + S <= g.W and (
                column + room <= g.W or x_end != NULL and x + deepest + room <= x_end)
            if inside and j < last and at.r0 == 0 and at.r1 == R:
                if R == 3:
                    copy_window(room, 3, g, x, to)
                elif R == 5:
                    copy_window(room, 5, g, x, to)
                else:
                    copy_window(room, R, g, x, to)
            elif inside:
                at.s0, at.s1 = 0, S
                unfold_aside(room, True, g, &at, x, j == last, to)
            else:
                taps_inside(&g.columns, j, &at.s0, &at.s1)
                at.seen = lane_set(lanes_between(at.s0, at.s1))
                unfold_aside(room, False, g, &at, x, j == last, to)
            to = to + size
            x = x + g.columns.stride
            column += g.columns.stride


cdef void unfold_runs(void* args, Py_ssize_t begin, Py_ssize_t end) noexcept nogil:
    cdef const Unfolding* g = <const Unfolding*> args
    if g.columns.taps == 1:
        unfold_rows(1, g, begin, end)
    elif g.columns.taps == 2:
        unfold_rows(2, g, begin, end)
    elif g.columns.taps <= 4:
        unfold_rows(4, g, begin, end)
    elif g.columns.taps <= 8:
        unfold_rows(8, g, begin, end)
    else:
        unfold_rows(MOST_RUN, g, begin, end)
