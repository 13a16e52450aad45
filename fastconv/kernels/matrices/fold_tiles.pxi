# col2im from the book's layout through tiles: VL neighbouring windows at VL taps, transposed, so
# that taps can be added to neighbouring pixels.
#
#               lanes: taps                              lanes: windows j, j + 1, ...
#              +---------------------+                  +---------------------------+
#   window j   | col[j][q S ..]      |    transposed    | (0,0) to x[j]   x[j+1] ...|
#   window j+1 | col[j + 1][q S ..]  |    -------->     | (0,1) to x[j+1] x[j+2] ...|
#              | ...                 |                  | ...                       |
#              +---------------------+                  +---------------------------+
#
# A tile has whole runs of S taps: run q is channel q // R, kernel row q % R.

cdef extern from *:
    """
    enum { FOLD_AHEAD = 2048 / sizeof(real), FOLD_ASKED = 4096 / sizeof(real) };
    """
    enum: FOLD_AHEAD                       # numbers from a tile to what is prefetched, at least
    enum: FOLD_ASKED                       # numbers that a tile prefetches, at the most


cdef bint tiles_fit(const Unfolding* g) noexcept nogil:
    """Whether tiles know this window, here and in unfold_tiles.pxi."""
    return g.columns.taps <= VL and g.columns.dilation == 1 and g.columns.stride <= 2 \
        and g.xw == 1


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
