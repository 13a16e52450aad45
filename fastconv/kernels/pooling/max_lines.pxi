# Maxima of the usual windows: 2x2 and 3x3 with strides 1 and 2.
#
#   row h      a0 b0 a1 b1 a2 ..     First take the maxima of each row of the map, with window j
#   row h + 1  c0 d0 c1 d1 c2 ..     in lane j; rows that two windows share are done once.  Then
#   y          max(row, row + 1)     take the rows of a window in order: the first of equals wins.
#
# Vectors are those of sides.pxi: inside the map, at its sides, or whole rows of narrow maps.
# Maxima are first taken without regard to NaN, which is a shorter chain.  Where a NaN was, they are
# taken again.

cdef struct Strip:
    # a vector of windows, the same in each row, and the lanes that see the map
    Sides sides
    Py_ssize_t j, count                    # the first window, and how many there are


cdef void max_with_nan(const Pooling* g, int S, int step, int kind, const real* x,
                       const real* other, const Sides* at, const vmask* turns, Py_ssize_t r0,
                       Py_ssize_t r1, vreal* best, vmask* taken) noexcept nogil:
    """The maxima of a vector of windows, tap by tap, so that a NaN wins; x at tap (0, 0) of the
    first."""
    cdef vreal taps[5]
    cdef vreal value
    cdef Py_ssize_t r
    cdef int s
    best[0] = vset1(<real> -INFINITY)
    for r in range(r0, r1):
        load_taps(x + r * g.W, other + r * g.W, S, step, 1, kind, at, at.seen, turns, taps)
        for s in range(S):
            value = vpick(vset1(<real> -INFINITY), taps[s], at.seen[s]) if kind != INSIDE \
                else taps[s]
            vcontest(best, taken, value, <int> r * S + s)


cdef inline lanes_t max_line(const Pooling* g, const int S, const int step, const int kind,
                             const real* x, const real* other, const Sides* at,
                             const lanes_t* seen, const vmask* turns, vreal* best,
                             vmask* taken) noexcept nogil:
    """Take the maxima of one row of the map, and their kernel columns; return where a NaN was."""
    cdef vreal taps[5]
    cdef lanes_t unordered
    cdef int s
    cdef bint masked = kind == ASIDE or kind != INSIDE and turns != NULL
    if kind == INSIDE or kind == ASIDE:
        load_middle(x, S, step, 1, kind, at, taps)
    else:
        load_taps(x, other, S, step, 1, kind, at, seen, turns, taps)
    unordered = vunordered(taps[0], taps[1])
    if S == 3:
        unordered |= vunordered(taps[2], taps[2])
    for s in range(S):
        if masked:
            taps[s] = vpick(vset1(<real> -INFINITY), taps[s], seen[s])
        if s == 0:
            best[0], taken[0] = taps[0], vtap(0)
        else:
            vcontest_numbers(best, taken, taps[s], s)
    return unordered


cdef inline void max_strip(const Pooling* g, const int S, const int step, const int kind,
                           const bint wants_argmax, const Strip* strip, const vmask* turns,
                           const real* x, const real* other, Py_ssize_t top, Py_ssize_t bottom,
                           real* y, real* other_y, unsigned char* argmax,
                           unsigned char* other_argmax) noexcept nogil:
    """Do the rows top <= i < bottom of a strip.  x is at row 0 of the map and the first window's
    column, y and argmax are at the first window of row 0."""
    cdef vreal lines[3]
    cdef vmask won[3]
    cdef lanes_t unordered[3]
    cdef vreal best, exact
    cdef vmask taken, first, exact_taken
    cdef lanes_t low = vkeep(lanes_between(0, strip.count)), high = low << (VL // 2)
    cdef Sides sides = strip.sides         # a copy of our own, which no store can change
    cdef lanes_t seen[5]
    cdef Py_ssize_t i, h, row, r0, r1, at
    cdef Py_ssize_t H = g.H, W = g.W, OW = g.columns.outputs, offset = g.rows.offset
    cdef int r, s, begin = 0
    cdef bint relu = g.relu
    cdef bint masked = kind == ASIDE or kind != INSIDE and turns != NULL
    first = vtap(0)                        # the first tap that lies inside the map
    if masked:
        for s in range(S - 1, -1, -1):
            first = vpick_tap(first, s, strip.sides.seen[s])
    for s in range(S):
        seen[s] = vkeep(sides.seen[s]) if masked else 0
    if kind == ASIDE:
        keep_middle(&sides, &strip.sides, S)
    for i in range(top, bottom):
        h = i * step + offset
        for r in range(S):
            if r < begin:
                lines[r], won[r] = lines[r + step], won[r + step]
                unordered[r] = unordered[r + step]
            elif 0 <= h + r < H:
                row = (h + r) * W
                unordered[r] = max_line(g, S, step, kind, x + row, other + row, &sides, seen,
                                        turns, &lines[r], &won[r])
            else:
                lines[r], won[r], unordered[r] = vset1(<real> -INFINITY), vtap(0), 0
        if S > step:
            begin = S - step
        if masked or h < 0:
            best, taken = vset1(<real> -INFINITY), first
            if h < 0:
                taken = first + vtap(<int> -h * S)
            vcontest_taps(&best, &taken, lines[0], won[0])
        else:
            best, taken = lines[0], won[0]
        for r in range(1, S):
            vcontest_taps(&best, &taken, lines[r], won[r] + vtap(r * S))
        if unordered[0] | unordered[1] | unordered[S - 1]:
            r0 = max(-h, <Py_ssize_t> 0)
            r1 = min(H - h, <Py_ssize_t> S)
            exact_taken = first + vtap(<int> r0 * S)
            max_with_nan(g, S, step, kind, x + h * W, other + h * W, &strip.sides, turns,
                         r0, r1, &exact, &exact_taken)
            best, taken = exact, exact_taken
        if relu:
            taken = vpositive_tap(best, taken, S * S)
            best = vrelu(best)
        at = i * OW
        vstore_where(y + at, best, low)
        if kind == TWO_MAPS:
            vstore_where(other_y + at - VL // 2, best, high)
        if wants_argmax:
            vstore_bytes_where(argmax + at, taken, low)
            if kind == TWO_MAPS:
                vstore_bytes_where(other_argmax + at - VL // 2, taken, high)


cdef inline void max_block(const Pooling* g, const int S, const int step,
                           const bint wants_argmax, Strip* strips, Py_ssize_t plane,
                           Py_ssize_t top, Py_ssize_t bottom) noexcept nogil:
    """Do the rows top <= i < bottom of one plane, BAND rows at a time, vector by vector."""
    cdef const real* x = g.x + plane * g.H * g.W + g.columns.offset
    cdef Py_ssize_t OW = g.columns.outputs, outputs = g.rows.outputs * OW
    cdef real* y = g.y + plane * outputs
    cdef unsigned char* argmax = <unsigned char*> g.argmax + (plane * outputs if wants_argmax else 0)
    cdef Py_ssize_t i, j, end, column, last = max(OW - VL, <Py_ssize_t> 0)
    cdef Strip* strip
    for i from top <= i < bottom by BAND:
        end = min(i + BAND, bottom)
        j = 0
        while j < OW:
            j = min(j, last)               # the last vector does some windows once more
            column = j * step + g.columns.offset
            strip = &strips[0 if j == 0 else 1 if j == last else 2]
            if column >= 0 and j + VL <= OW and column + VL * step + S - step <= g.W:
                strip = &strips[3]
                max_strip(g, S, step, INSIDE, wants_argmax, strip, NULL, x + j * step, x, i, end,
                          y + j, y, argmax + j, argmax)
            else:
                if j > 0 and j < last:
                    look_aside(&strip.sides, S, step, 1, column, g.W)
                max_strip(g, S, step, ASIDE, wants_argmax, strip, NULL, x + j * step, x, i, end,
                          y + j, y, argmax + j, argmax)
            j += VL


cdef inline void max_narrow(const Pooling* g, const int S, const int step, const int kind,
                            const bint wants_argmax, const Strip* strip, Py_ssize_t plane,
                            Py_ssize_t other) noexcept nogil:
    """All maxima of a plane whose rows fit a vector, or of two such planes."""
    cdef vmask turns[5]
    cdef Py_ssize_t size = g.H * g.W, outputs = g.rows.outputs * g.columns.outputs
    cdef unsigned char* argmax = <unsigned char*> g.argmax
    cdef int s
    cdef const real* x = g.x + plane * size
    cdef const real* x2 = g.x + other * size
    cdef real* y = g.y + plane * outputs
    cdef real* y2 = g.y + other * outputs
    cdef unsigned char* argmax2 = argmax
    if wants_argmax:
        argmax, argmax2 = argmax + plane * outputs, argmax + other * outputs
    if S == 2 and g.columns.offset == 0 and g.last_column == g.columns.outputs:
        # no tap is turned, and none is outside the map
        max_strip(g, S, step, kind, wants_argmax, strip, NULL, x, x2, 0, g.rows.outputs, y, y2,
                  argmax, argmax2)
        return
    for s in range(S):
        turns[s] = vturn(strip.sides.turn[s])
    max_strip(g, S, step, kind, wants_argmax, strip, turns, x, x2, 0, g.rows.outputs, y, y2,
              argmax, argmax2)


cdef inline void max_windows(const Pooling* g, const int S, const int step,
                             const bint wants_argmax, Py_ssize_t begin,
                             Py_ssize_t end) noexcept nogil:
    cdef Strip strips[4]                   # first vector of a row, last, others at a side, inside
    cdef Py_ssize_t item, i, OW = g.columns.outputs
    cdef int kind = look_narrow(&strips[0].sides, &g.columns, 1) if g.blocks == 1 else ASIDE
    for i in range(4):
        strips[i].count = min(OW, <Py_ssize_t> VL)
    if kind == ASIDE:
        look_aside(&strips[0].sides, S, step, 1, g.columns.offset, g.W)
        look_aside(&strips[1].sides, S, step, 1,
                   max(OW - VL, <Py_ssize_t> 0) * step + g.columns.offset, g.W)
    for item in range(begin, end):
        if g.blocks == 1:
            prefetch_planes(g, item, False)
        if knows_narrow(S) and kind == NARROW_MAP:
            max_narrow(g, S, step, NARROW_MAP, wants_argmax, &strips[0], item, item)
        elif knows_narrow(S) and kind == TWO_MAPS:
            if item % 2 == 0:
                max_narrow(g, S, step, TWO_MAPS, wants_argmax, &strips[0], item,
                           min(item + 1, g.planes - 1))
        else:
            i = item % g.blocks * POOL_ROWS
            max_block(g, S, step, wants_argmax, strips, item // g.blocks, i,
                      min(i + POOL_ROWS, g.rows.outputs))


cdef bint has_lines(const Pooling* g) noexcept nogil:
    """Whether the kernels above know this window."""
    cdef Py_ssize_t S = g.columns.taps, step = g.columns.stride
    return g.rows.taps == S and g.rows.stride == step and g.rows.dilation == 1 \
        and g.columns.dilation == 1 and (S == 2 and step == 2 or S == 3 and step <= 2)


# A function for each case: a compiler takes far longer for one that holds them all.

cdef void max_two(void* args, Py_ssize_t begin, Py_ssize_t end) noexcept nogil:
    max_windows(<const Pooling*> args, 2, 2, False, begin, end)


cdef void max_three(void* args, Py_ssize_t begin, Py_ssize_t end) noexcept nogil:
    max_windows(<const Pooling*> args, 3, 1, False, begin, end)


cdef void max_three_apart(void* args, Py_ssize_t begin, Py_ssize_t end) noexcept nogil:
    max_windows(<const Pooling*> args, 3, 2, False, begin, end)


cdef void argmax_two(void* args, Py_ssize_t begin, Py_ssize_t end) noexcept nogil:
    max_windows(<const Pooling*> args, 2, 2, True, begin, end)


cdef void argmax_three(void* args, Py_ssize_t begin, Py_ssize_t end) noexcept nogil:
    max_windows(<const Pooling*> args, 3, 1, True, begin, end)


cdef void argmax_three_apart(void* args, Py_ssize_t begin, Py_ssize_t end) noexcept nogil:
    max_windows(<const Pooling*> args, 3, 2, True, begin, end)


cdef task_t lines_task(const Pooling* g, bint wants_argmax) noexcept nogil:
    """The function for a window that `has_lines`; argmax, if wanted, is in bytes."""
    if g.columns.taps == 2:
        return argmax_two if wants_argmax else max_two
    if g.columns.stride == 1:
        return argmax_three if wants_argmax else max_three
    return argmax_three_apart if wants_argmax else max_three_apart
