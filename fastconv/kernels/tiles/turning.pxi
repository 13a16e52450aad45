# Rows of weights turned into lanes: the register tile reads panels of these, and Winograd's
# transformed weights are made from them.

cdef extern from *:
    """
    enum { LINE = 64 / sizeof(real), LEAD = 8 * LINE, BESIDE = 8, TURNED = 8,
           FILTERS_AHEAD = 5, PANELS_COPIED = 4 };
    """
    enum: LINE                             # numbers of a cache line
    enum: LEAD                             # how far ahead of a row to ask
    enum: BESIDE                           # vectors of a row that are read one after the other
    enum: TURNED                           # filters or channels that are put together
    enum: FILTERS_AHEAD                    # how many filters ahead to ask
    enum: PANELS_COPIED                    # panels of 1x1 that are copied together


cdef void turn(const real* w, Py_ssize_t step, Py_ssize_t columns, Py_ssize_t rows,
               Py_ssize_t ahead, real* to, Py_ssize_t plane) noexcept nogil:
    """to[t * plane + lane] = w[lane * step + t] for LANES rows, zeros beyond `rows`.

    Rows that are far apart often share a set of the cache, so BESIDE vectors of a row are read
    before its lines are lost.  They are also too many streams for the hardware to foresee, so
    what lies `ahead` numbers further on is prefetched, unless `ahead` is 0.
    """
    cdef vreal block[VL]
    cdef Py_ssize_t lane, first, t, count, i
    for first from 0 <= first < columns by BESIDE * VL:
        for lane from 0 <= lane < LANES by VL:
            for t from first <= t < min(columns, first + BESIDE * VL) by VL:
                count = min(<Py_ssize_t> VL, columns - t)
                if ahead != 0:
                    for i in range(min(<Py_ssize_t> VL, rows - lane)):
                        vprefetch(w + (lane + i) * step + t + ahead)
                if count == VL and lane + VL <= rows:
                    for i in range(VL):
                        block[i] = vload(w + (lane + i) * step + t)
                    vtranspose(block)
                    for i in range(VL):
                        vstore(to + (t + i) * plane + lane, block[i])
                    continue
                for i in range(VL):
                    block[i] = vload_n(w + (lane + i) * step + t, count) if lane + i < rows \
                        else vzero()
                vtranspose(block)
                for i in range(VL):
                    if i < count:
                        vstore(to + (t + i) * plane + lane, block[i])


cdef inline void prefetch_filter(const real* w, Py_ssize_t size) noexcept nogil:
    """Prefetch weights far from those before them, which no hardware prefetcher foresees."""
    cdef Py_ssize_t i
    for i from 0 <= i < size by LINE:
        vprefetch(w + i)


cdef inline void turn_blocks(const real* w, Py_ssize_t row, Py_ssize_t first, real* to,
                             Py_ssize_t plane) noexcept nogil:
    """to[t * plane + lane] = w[lane * row + t] for BLOCK taps from the first on, and LANES rows."""
    cdef vreal turned[BLOCK]
    cdef Py_ssize_t lane, t
    for lane from 0 <= lane < LANES by VL:
        vturn_block(w + lane * row + first, row, turned)
        for t in range(BLOCK):
            vstore(to + (first + t) * plane + lane, turned[t])


cdef inline void write_turned(const real* rows, Py_ssize_t step, Py_ssize_t count,
                              Py_ssize_t lanes, real* to, Py_ssize_t apart) noexcept nogil:
    """to[lane * apart + i] = rows[i * step + lane] for i < count, at least VL, and whole blocks of
    lanes.

    BLOCK runs are written at a time, and with each vector the lines of those that come next are
    asked for.  The last vector may begin before the end of the one before it.
    """
    cdef vreal turned[BLOCK]
    cdef Py_ssize_t lane, first, at
    cdef int t
    for lane from 0 <= lane < lanes by BLOCK:
        for first from 0 <= first < count by VL:
            at = min(first, count - VL)
            vturn_block(rows + at * step + lane, step, turned)
            for t in range(BLOCK):
                vstore(to + t * apart + at, turned[t])
                vprefetch_write(to + (BLOCK + t) * apart + at)
        to = to + BLOCK * apart


cdef void copy_panels(const real* w, Py_ssize_t step, Py_ssize_t filters, Py_ssize_t channels,
                      Py_ssize_t panels, real* to, Py_ssize_t panel) noexcept nogil:
    """to[p * panel + k * LANES + lane] = w[k * step + p * LANES + lane] for some filters, zeros
    beyond the channels."""
    cdef Py_ssize_t k, p, i
    cdef bint whole = channels >= panels * LANES
    for k in range(filters):
        if k + FILTERS_AHEAD < filters:
            prefetch_filter(w + FILTERS_AHEAD * step, min(channels, panels * LANES))
        for p in range(panels):
            for i from 0 <= i < LANES by VL:
                vstore(to + p * panel + i, vload(w + p * LANES + i) if whole else
                       vload_n(w + p * LANES + i, channels - p * LANES - i))
        w = w + step
        to = to + LANES


cdef void turn_filters(const real* w, Py_ssize_t step, Py_ssize_t filters, Py_ssize_t row,
                       Py_ssize_t taps, Py_ssize_t channels, real* to,
                       Py_ssize_t plane) noexcept nogil:
    """to[t * plane + k * LANES + lane] = w[k * step + lane * row + t] for some filters and taps,
    zeros in lanes beyond the channels.

    Where blocks are turned, the last block may begin before the end of the one before it, and
    writes the same numbers again.  Elsewhere whole vectors of taps are transposed.  One or two taps
    that are left, as the ninth of 3x3, are copied number by number, which takes less time than
    transposing a whole vector of them.
    """
    cdef vreal block[VL]
    cdef Py_ssize_t k, t, i, lane
    cdef Py_ssize_t whole = taps // VL * VL if channels >= LANES else 0
    for k in range(filters):
        if k + FILTERS_AHEAD < filters:
            prefetch_filter(w + FILTERS_AHEAD * step, min(channels, <Py_ssize_t> LANES) * row)
        if TURNS_BLOCKS and taps >= BLOCK and channels >= LANES:
            for t from 0 <= t < taps by BLOCK:
                turn_blocks(w, row, min(t, taps - BLOCK), to, plane)
        else:
            for t from 0 <= t < whole by VL:
                for lane from 0 <= lane < LANES by VL:
                    for i in range(VL):
                        block[i] = vload(w + (lane + i) * row + t)
                    vtranspose(block)
                    for i in range(VL):
                        vstore(to + (t + i) * plane + lane, block[i])
            if channels >= LANES and taps - whole <= 2:
                for t in range(whole, taps):
                    for i in range(LANES):
                        to[t * plane + i] = w[i * row + t]
            else:
                turn(w + whole, row, taps - whole, channels, 0, to + whole * plane, plane)
        w = w + step
        to = to + LANES
