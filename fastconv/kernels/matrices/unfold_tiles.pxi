# im2col to the book's layout where runs are short beside a vector: the pixels of VL neighbouring
# windows at VL taps, transposed.
#
#          lanes: windows j, j + 1, ...               lanes: taps
#         +------------------------+                 +---------------------+
#   (0,0) | x[j]  x[j+1]  x[j+2] ..|   transposed    | window j            | -> col[j][q S ..]
#   (0,1) | x[j+1] x[j+2] x[j+3] ..|   -------->     | window j + 1        | -> col[j+1][q S ..]
#   (0,2) | ...                    |                 | ...                 |
#         +------------------------+                 +---------------------+
#
# A tile has whole runs of S taps: run q is channel q // R, kernel row q % R.

cdef bint runs_are_short(const Unfolding* g) noexcept nogil:
    """Whether `unfold_tiles` takes less time than a load and a store for each run."""
    cdef Py_ssize_t lanes = VL if g.columns.outputs <= VL else min(VL, 8)
    return 4 * g.columns.taps <= lanes and tiles_fit(g)


cdef inline void unfold_tile(const Unfolding* g, const int step, const Sides* at,
                             Py_ssize_t n, Py_ssize_t i, Py_ssize_t column, Py_ssize_t count,
                             real* to) noexcept nogil:
    """Unfold `count` windows of output row i; the first one begins at `column`.  at is NULL if all
    their columns lie inside the map."""
    cdef vreal block[VL]
    cdef bint inside = at == NULL
    cdef Py_ssize_t S = g.columns.taps
    cdef Py_ssize_t R = g.rows.taps
    cdef Py_ssize_t size = g.C * R * S
    cdef Py_ssize_t runs, q = 0, c = 0, r = 0, row, taps
    cdef const real* x
    cdef int k, s, t
    while q < g.C * R:
        runs = min(VL // S, g.C * R - q)
        t = 0
        for k in range(runs):
            if row_inside(g, i, r, &row):
                x = g.x + n * g.xn + c * g.xc + row * g.xh + column
                for s in range(S):
                    if step == 1:
                        block[t + s] = vload(x + s) if inside else vload_where(x + s, at.loaded[s])
                    elif inside:
                        block[t + s] = vevens(vload(x + s), vload(x + s + VL))
                    elif s % 2 == 0:
                        block[t + s] = vevens(vload_where(x + s, at.loaded[s]),
                                              vload_where(x + s + VL, at.loaded[s + 1]))
                    else:
                        block[t + s] = vodds(vload_where(x + s - 1, at.loaded[s - 1]),
                                             vload_where(x + s - 1 + VL, at.loaded[s]))
            else:
                for s in range(S):
                    block[t + s] = vzero()
            t += S
            r += 1
            if r == R:
                r = 0
                c += 1
        for k in range(t, VL):
            block[k] = vzero()
        vtranspose(block)
        taps = runs * S
        if q * S + VL <= size:             # the next tile writes over the lanes that are too many
            taps = VL
        for k in range(VL):
            if k < count:
                vstore_n(to + k * size + q * S, block[k], taps)
        q += runs


cdef void unfold_tiles(void* args, Py_ssize_t begin, Py_ssize_t end) noexcept nogil:
    """Items are rows of windows (image, output row)."""
    cdef const Unfolding* g = <const Unfolding*> args
    cdef Sides sides[3]                    # of the first tile, the last, and any other at a side
    cdef const Sides* at
    cdef int S = <int> g.columns.taps
    cdef int step = <int> g.columns.stride
    cdef Py_ssize_t width = g.columns.outputs
    cdef Py_ssize_t last = max(width - VL, <Py_ssize_t> 0)
    cdef Py_ssize_t size = g.C * g.rows.taps * S
    cdef Py_ssize_t item, j, column, count
    cdef real* to
    look_aside(&sides[0], S, step, 1, g.columns.offset, g.W)
    look_aside(&sides[1], S, step, 1, last * step + g.columns.offset, g.W)
    for item in range(begin, end):
        j = 0
        while j < width:
            j = min(j, last)               # the last tile does some windows once more
            count = min(<Py_ssize_t> VL, width - j)
            column = j * step + g.columns.offset
            to = g.col + (item * width + j) * size
            if column >= 0 and column + VL * step + S - 1 <= g.W:
                at = NULL
            elif j == 0 or j == last:
                at = &sides[0 if j == 0 else 1]
            else:
                look_aside(&sides[2], S, step, 1, column, g.W)
                at = &sides[2]
            if step == 1:
                unfold_tile(g, 1, at, item // g.rows.outputs, item % g.rows.outputs, column,
                            count, to)
            else:
                unfold_tile(g, 2, at, item // g.rows.outputs, item % g.rows.outputs, column,
                            count, to)
            j += VL
