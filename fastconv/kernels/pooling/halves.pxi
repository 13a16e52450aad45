# Windows of 2x2 with stride 2 that all lie inside the map, and their gradients.  No element is in
# two windows, so a row of windows is walked vector by vector, straight from the map.
#
#   above   a0 b0 a1 b1 ..       evens a0 a1 ..   odds b0 b1 ..      max(b, a), b where it is greater
#   below   c0 d0 c1 d1 ..       evens c0 c1 ..   odds d0 d1 ..      max(d, c), and of the two rows
#
# The maximum of two numbers forgets a NaN, so a block of rows that holds one is done again, tap by
# tap.  Where a row has fewer windows than a vector has lanes, max_lines.pxi, gather.pxi and
# winners.pxi are better.

cdef inline bint has_halves(const Pooling* g) noexcept nogil:
    return 1 < VL and g.rows.taps == 2 and g.columns.taps == 2 \
        and g.rows.stride == 2 and g.columns.stride == 2 and g.rows.dilation == 1 \
        and g.columns.dilation == 1 and g.rows.offset == 0 and g.columns.offset == 0 \
        and g.columns.outputs >= VL and 2 * g.rows.outputs <= g.H \
        and 2 * g.columns.outputs <= g.W


cdef inline vmask halves_row(const Pooling* g, const bint wants_argmax, const real* above, real* y,
                             unsigned char* argmax) noexcept nogil:
    """Do a row of windows; return where a NaN was, in any lane."""
    cdef const real* below = above + g.W
    cdef vmask nans = vtap(0), taken, won
    cdef Py_ssize_t j = 0, OW = g.columns.outputs
    cdef vreal a0, a1, b0, b1, best, row
    while True:
        a0, a1 = vload(above + 2 * j), vload(above + 2 * j + VL)
        b0, b1 = vload(below + 2 * j), vload(below + 2 * j + VL)
        nans = nans | vnans_of_pair(a0, b0) | vnans_of_pair(a1, b1)
        best, row = vevens_dealt(a0, a1), vevens_dealt(b0, b1)
        if wants_argmax:
            taken, won = vtap(0), vtap(2)
            vcontest_numbers(&best, &taken, vodds_dealt(a0, a1), 1)
            vcontest_numbers(&row, &won, vodds_dealt(b0, b1), 3)
            vcontest_taps(&best, &taken, row, won)
            if g.relu:
                taken = vpositive_tap(best, taken, 4)
            vstore_bytes_dealt(argmax + j, taken)
        else:
            best = vlarger(vodds_dealt(a0, a1), best)
            row = vlarger(vodds_dealt(b0, b1), row)
            best = vlarger(row, best)
        best = vundealt(best)
        vstore(y + j, vrelu(best) if g.relu else best)
        if j + VL >= OW:
            break
        j = min(j + VL, OW - VL)           # the last vector does some windows once more
    return nans


cdef inline void max_halves(const Pooling* g, const bint wants_argmax, Py_ssize_t begin,
                            Py_ssize_t end) noexcept nogil:
    """Items are blocks of rows of planes, as in `max_planes`."""
    cdef Py_ssize_t item, plane, top, bottom, i, at
    cdef vmask nans
    for item in range(begin, end):
        plane = item // g.blocks
        if g.blocks == 1:
            prefetch_planes(g, plane, False)
        top = item % g.blocks * POOL_ROWS
        bottom = min(top + POOL_ROWS, g.rows.outputs)
        nans = vtap(0)
        for i in range(top, bottom):
            at = (plane * g.rows.outputs + i) * g.columns.outputs
            nans = nans | halves_row(g, wants_argmax, g.x + (plane * g.H + 2 * i) * g.W, g.y + at,
                                     <unsigned char*> g.argmax + at if wants_argmax else NULL)
        if vany(nans):
            max_again(g, plane, top, bottom)


cdef void halves_alone(void* args, Py_ssize_t begin, Py_ssize_t end) noexcept nogil:
    max_halves(<const Pooling*> args, False, begin, end)


cdef void halves_with_taps(void* args, Py_ssize_t begin, Py_ssize_t end) noexcept nogil:
    max_halves(<const Pooling*> args, True, begin, end)


cdef inline void spread_halves(const Pooling* g, const bint maxima, Py_ssize_t begin,
                               Py_ssize_t end) noexcept nogil:
    """Write every element of dx once.  The tap that won gets the gradient of its window; of an
    average every tap gets a share."""
    cdef Py_ssize_t item, i, j, k, OW = g.columns.outputs, outputs = g.rows.outputs * OW
    cdef const real* dy
    cdef const unsigned char* argmax = NULL
    cdef real* dx
    cdef vreal d, even, odd
    cdef vmask taken
    for item in range(begin, end):
        prefetch_planes(g, item, True)
        for i in range(g.rows.outputs):
            dy = g.x + item * outputs + i * OW
            if maxima:
                argmax = <const unsigned char*> g.argmax + item * outputs + i * OW
            dx = g.y + (item * g.H + 2 * i) * g.W
            j = 0
            while True:
                d = vload(dy + j) if maxima else vratio(vload(dy + j), vset1(4))
                even = odd = vzero() + d
                if maxima:
                    taken = vload_bytes(argmax + j, lanes_between(0, VL))
                for k in range(2):
                    if maxima:
                        even = vadd_winner(vzero(), d, taken, <int> (2 * k))
                        odd = vadd_winner(vzero(), d, taken, <int> (2 * k + 1))
                    vstore(dx + k * g.W + 2 * j, vlow(even, odd))
                    vstore(dx + k * g.W + 2 * j + VL, vhigh(even, odd))
                if j + VL >= OW:
                    break
                j = min(j + VL, OW - VL)
            for k in range(2):
                for j in range(2 * OW, g.W):
                    dx[k * g.W + j] = 0
        dx = g.y + (item * g.H + 2 * g.rows.outputs) * g.W
        memset(dx, 0, (g.H - 2 * g.rows.outputs) * g.W * sizeof(real))


cdef void spread_maxima(void* args, Py_ssize_t begin, Py_ssize_t end) noexcept nogil:
    spread_halves(<const Pooling*> args, True, begin, end)


cdef void spread_averages(void* args, Py_ssize_t begin, Py_ssize_t end) noexcept nogil:
    spread_halves(<const Pooling*> args, False, begin, end)
