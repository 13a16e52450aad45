# The book's layout through tiles: the pixels of VL neighbouring windows at VL taps, transposed.
#
#          lanes: windows j, j + 1, ...               lanes: taps
#         +------------------------+                 +---------------------+
#   (0,0) | x[j]  x[j+1]  x[j+2] ..|    transpose    | window j            | -> col[j][q S ..]
#   (0,1) | x[j+1] x[j+2] x[j+3] ..|    <------->    | window j + 1        | -> col[j+1][q S ..]
#   (0,2) | ...                    |                 | ...                 |
#         +------------------------+                 +---------------------+
#
# A tile has whole runs of S taps: run q is channel q // R, kernel row q % R.

cdef extern from *:
    """
    enum { FOLD_AHEAD = 2048 / sizeof(real), FOLD_ASKED = 4096 / sizeof(real) };
    """
    enum: FOLD_AHEAD                       # numbers from a tile to what is prefetched, at least
    enum: FOLD_ASKED                       # numbers that a tile prefetches, at the most


cdef bint tiles_fit(const Unfolding* g) noexcept nogil:
    """Whether the tiles know this window."""
    return g.columns.taps <= VL and g.columns.dilation == 1 and g.columns.stride <= 2 \
        and g.xw == 1


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


cdef struct Landing:
    # where VL windows fall, the first of which begins at element p of an input row: the lanes of
    # the vectors at p, p + VL and p + 2 VL that lie in the map; then, for taps moved by t lanes,
    # the lanes that stay in the vector (low) and those that fall into the next one (high)
    lanes_t first, second, third
    lanes_t low[MOST_TAPS]
    lanes_t high[MOST_TAPS]


cdef inline void add_run(const Landing* at, const int step, const vreal* taps, Py_ssize_t S,
                         real* dx) noexcept nogil:
    """Add the S taps of one run, in the order of s: lane l of tap s to dx[l * step + s].  The sums
    stay in registers."""
    cdef vreal low[2]
    cdef vreal high[2]
    cdef vreal a, b
    cdef Py_ssize_t s
    cdef int t
    a = vload_where(dx, at.first)
    b = vload_where(dx + VL, at.second) if step == 2 or S > 1 else vzero()
    if step == 1:
        low[0], high[0] = a, b
    else:
        low[0], low[1] = vevens(a, b), vodds(a, b)
        a = vload_where(dx + 2 * VL, at.third) if S > 2 else vzero()
        high[0], high[1] = vevens(a, vzero()), vodds(a, vzero())
    low[0] = low[0] + taps[0]
    if step == 2 and S > 1:
        low[1] = low[1] + taps[1]
    for s from step <= s < S by step:
        t = <int> (s // step)
        a = vrotate(taps[s], t)
        low[0] = vadd_where(low[0], a, at.low[t])
        high[0] = vadd_where(high[0], a, at.high[t])
        if step == 2 and s + 1 < S:
            a = vrotate(taps[s + 1], t)
            low[1] = vadd_where(low[1], a, at.low[t])
            high[1] = vadd_where(high[1], a, at.high[t])
    if step == 1:
        vstore_where(dx, low[0], at.first)
        if S > 1:
            vstore_where(dx + VL, high[0], at.second)
    else:
        vstore_where(dx, vlow(low[0], low[1]), at.first)
        vstore_where(dx + VL, vhigh(low[0], low[1]), at.second)
        if S > 2:
            vstore_where(dx + 2 * VL, vlow(high[0], high[1]), at.third)


cdef inline void fold_tile(const Unfolding* g, const int step, Py_ssize_t n, Py_ssize_t first,
                           Py_ssize_t last, Py_ssize_t i, Py_ssize_t j,
                           Landing* at, const real* col) noexcept nogil:
    """Fold the windows j .. j + VL - 1 of output row i, for channels first <= c < last; col is at
    window j."""
    cdef vreal block[VL]
    cdef Py_ssize_t S = g.columns.taps
    cdef Py_ssize_t R = g.rows.taps
    cdef Py_ssize_t size = g.C * R * S
    cdef Py_ssize_t count = min(<Py_ssize_t> VL, g.columns.outputs - j)
    cdef Py_ssize_t p = j * step + g.columns.offset
    cdef Py_ssize_t q = first * R, c = first, r = 0, runs, taps, row
    cdef int k
    at.first = lanes_between(-p, g.W - p)
    at.second = lanes_between(-p - VL, min(g.W - p - VL, S - 1) if step == 1 else g.W - p - VL)
    at.third = lanes_between(-p - 2 * VL, min(g.W - p - 2 * VL, S - 1))
    while q < last * R:
        runs = min(VL // S, last * R - q)
        taps = VL if q * S + VL <= size else runs * S
        for k in range(VL):
            block[k] = vload_n(col + k * size + q * S, taps) if k < count else vzero()
            vprefetch(col + (k - VL) * size + q * S)  # for the next tile, which lies before this
        vtranspose(block)
        for k in range(runs):
            if row_inside(g, i, r, &row):
                add_run(at, step, block + k * S, S,
                        <real*> g.x + ((n * g.C + c) * g.H + row) * g.W + p)
            r += 1
            if r == R:
                r = 0
                c += 1
        q += runs


cdef void fold_tiles(void* args, Py_ssize_t begin, Py_ssize_t end) noexcept nogil:
    """Items are (image, block of channels).  Windows are walked backwards, so that what falls on
    an element is added in the order of the taps.  No hardware prefetcher foresees this order."""
    cdef const Unfolding* g = <const Unfolding*> args
    cdef Py_ssize_t size = g.C * g.rows.taps * g.columns.taps
    cdef Py_ssize_t back = max(VL * size, <Py_ssize_t> FOLD_AHEAD)
    cdef Py_ssize_t asked = min(VL * size, <Py_ssize_t> FOLD_ASKED)
    cdef Py_ssize_t item, n, first, last, i, j, k
    cdef const real* col
    cdef Landing at
    cdef int t
    for t in range(MOST_TAPS):
        at.low[t], at.high[t] = lanes_between(t, VL), lanes_between(0, t)
    for item in range(begin, end):
        n = item // g.channel_blocks
        first = item % g.channel_blocks * g.C // g.channel_blocks
        last = (item % g.channel_blocks + 1) * g.C // g.channel_blocks
        memset(<real*> g.x + (n * g.C + first) * g.H * g.W, 0,
               (last - first) * g.H * g.W * sizeof(real))
        for i in range(g.rows.outputs - 1, -1, -1):
            j = ceil_div(g.columns.outputs, VL) * VL
            while j > 0:
                j -= VL
                col = g.col + ((n * g.rows.outputs + i) * g.columns.outputs + j) * size
                for k from 0 <= k < asked by LINE:
                    vprefetch(col - back + k)
                if g.columns.stride == 1:
                    fold_tile(g, 1, n, first, last, i, j, &at, col)
                else:
                    fold_tile(g, 2, n, first, last, i, j, &at, col)


# Windows of 1x1, one for each pixel, need only a transposition, in blocks of VL x VL.

cdef bint is_transposition(const Unfolding* g) noexcept nogil:
    return g.rows.taps * g.columns.taps == 1 and g.rows.stride * g.columns.stride == 1 \
        and g.rows.outputs == g.H and g.columns.outputs == g.W and g.rows.offset == 0 \
        and g.columns.offset == 0 and g.xh == g.W and g.xw == 1


cdef inline void transpose_block(const bint sums, const real* from_, Py_ssize_t step,
                                 Py_ssize_t rows, Py_ssize_t columns, real* to,
                                 Py_ssize_t to_step) noexcept nogil:
    """to[c][r] = from[r][c] for up to VL rows and columns; sums begin at +0."""
    cdef vreal block[VL]
    cdef int k
    if rows >= VL and columns >= VL:
        for k in range(VL):
            block[k] = vload(from_ + k * step)
        vtranspose(block)
        for k in range(VL):
            vstore(to + k * to_step, vzero() + block[k] if sums else block[k])
        return
    for k in range(VL):
        block[k] = vload_n(from_ + k * step, columns) if k < rows else vzero()
    vtranspose(block)
    for k in range(VL):
        if k < columns:
            vstore_n(to + k * to_step, vzero() + block[k] if sums else block[k], rows)


cdef void unfold_pixels(void* args, Py_ssize_t begin, Py_ssize_t end) noexcept nogil:
    """Items are (image, VL pixels)."""
    cdef const Unfolding* g = <const Unfolding*> args
    cdef Py_ssize_t item, p, c, pixels = g.H * g.W, pieces = (pixels + VL - 1) // VL
    cdef const real* x
    cdef real* col
    cdef int k
    for item in range(begin, end):
        p = item % pieces * VL
        x = g.x + item // pieces * g.xn + p
        col = g.col + (item // pieces * pixels + p) * g.C
        for c from 0 <= c < g.C by VL:
            for k in range(VL):            # prefetch for the next item: a line for each channel
                vprefetch(x + (c + k) * g.xc + VL)
            transpose_block(False, x + c * g.xc, g.xc, g.C - c, pixels - p, col + c, g.C)


cdef void fold_pixels(void* args, Py_ssize_t begin, Py_ssize_t end) noexcept nogil:
    """Items are (image, VL pixels)."""
    cdef const Unfolding* g = <const Unfolding*> args
    cdef Py_ssize_t item, p, c, pixels = g.H * g.W, pieces = (pixels + VL - 1) // VL
    cdef const real* col
    cdef real* x
    cdef int k
    for item in range(begin, end):
        p = item % pieces * VL
        x = <real*> g.x + item // pieces * g.xn + p
        col = g.col + (item // pieces * pixels + p) * g.C
        for c from 0 <= c < g.C by VL:
            for k in range(VL):
                vprefetch_write(x + (c + k) * g.xc + VL)
            transpose_block(True, col + c, g.C, pixels - p, g.C - c, x + c * g.xc, g.xc)
