# Vectors of neighbouring outputs, and the pixels that they see at each of S <= MOST_TAPS kernel
# columns.  At the sides of the map some lanes see none.

cdef extern from *:
    """
    enum { MOST_TAPS = VL < 7 ? 7 : VL };
    enum { INSIDE, ASIDE, NARROW_MAP, TWO_MAPS };
    enum { NARROW_ROWS = 7 };
    """
    enum: MOST_TAPS
    enum: INSIDE                           # all pixels of the vector lie inside the map
    enum: ASIDE                            # some pixels of the vector do not
    enum: NARROW_MAP                       # the vector holds a whole row: see narrow.pxi
    enum: TWO_MAPS                         # it holds a row of one map and the same row of another
    enum: NARROW_ROWS                      # rows of a tile if they divide those of the map: 7, 14

cdef struct Sides:
    # for a vector of outputs at the side of the map: the lanes that see a pixel at each kernel
    # column, and the lanes of the loads that fetch these pixels; with stride 2 loads are of two
    # vectors, and `after` says which pixels after them lie inside the map
    lanes_t seen[MOST_TAPS]
    lanes_t loaded[MOST_TAPS + 1]
    lanes_t after
    lanes_t middle[2]                      # lanes of the two loads of load_middle
    lanes_t single[MOST_TAPS]              # whether the pixel that another tap moves in is inside
    int turn[5]                            # for whole rows: by how many lanes a tap is turned
    bint odd                               # for whole rows: whether the offset is odd


cdef inline void look_aside(Sides* at, const int S, const int step, const int sign,
                            Py_ssize_t column, Py_ssize_t inputs) noexcept nogil:
    """Fill `at` for the vector whose first window begins at `column` of a map `inputs` wide."""
    cdef Py_ssize_t first = -column, last = inputs - column
    cdef int s
    at.after = 0
    for s in range(S - 2):                 # may be more than the shortest vectors have lanes
        if first <= 2 * VL + s < last:
            at.after |= <lanes_t> 1 << s
    for s in range(S):
        at.seen[s] = lanes_between((first - sign * s + step - 1) // step if first > sign * s else 0,
                                   (last - sign * s + step - 1) // step if last > sign * s else 0)
        at.loaded[s] = at.seen[s]
        if step == 2 and s % 2 == 0:
            at.loaded[s] = lanes_between(first - s, last - s)
            at.loaded[s + 1] = lanes_between(first - s - VL, last - s - VL)
        elif step == 2:
            at.loaded[s] = lanes_between(first - s + 1 - VL, last - s + 1 - VL)
    if sign == -1:                         # from the left end of the windows in the map
        first, last = first + S - 1, last + S - 1
    for s in range(2):
        at.middle[s] = lanes_between(first - (S - 1) // 2 - s * VL,
                                     last - (S - 1) // 2 - s * VL)
    for s in range(S):
        at.single[s] = first <= (s if s < (S - 1) // 2 else (VL - 1) * step + s) < last


cdef inline void load_taps(const real* x, const real* other, const int S, const int step,
                           const int sign, const int kind, const Sides* at,
                           const lanes_t* seen, const vmask* turns,
                           vreal* taps) noexcept nogil:
    """Load the pixels of each kernel column; x is at those of column 0.  `other` is the row of a
    second map, and `seen` are the lanes of `at`.  `turns` are for whole rows: NULL if no tap needs
    turning."""
    cdef int s
    cdef vreal a, b, c
    if kind == NARROW_MAP or kind == TWO_MAPS:
        a = vload_where(x, at.loaded[0])
        if kind == TWO_MAPS and step == 1:
            a = vpick(a, vload_where(other - VL // 2, at.loaded[1]), at.loaded[1])
        elif step == 2:
            b = vload_where(other if kind == TWO_MAPS else x + VL, at.loaded[1])
            a, b = vevens(a, b), vodds(a, b)
            if turns != NULL and at.odd:
                a, b = b, a
        for s in range(S):
            taps[s] = a if step == 1 or s % 2 == 0 else b
            if turns != NULL:
                taps[s] = vturned(taps[s], turns[s])
        return
    if step == 1:
        for s in range(S):
            taps[s] = vload(x + sign * s) if kind == INSIDE \
                else vload_where(x + sign * s, seen[s])
        return
    if kind == INSIDE:
        a, b = vload(x), vload(x + VL)
    else:
        a, b = vload_where(x, at.loaded[0]), vload_where(x + VL, at.loaded[1])
    taps[0], taps[1] = vevens(a, b), vodds(a, b)
    for s in range(2, S):                  # the pixels of column s - 2, moved on by one lane
        if kind == INSIDE:
            c = vset1(x[2 * VL + s - 2])
        else:
            c = vload_where(x + 2 * VL + s - 2, at.after >> (s - 2) & 1)
        taps[s] = vshift_in(taps[s - 2], c)


cdef inline void keep_middle(Sides* own, const Sides* at, const int S) noexcept nogil:
    """Keep what `load_middle` needs in registers: no store can change a copy of our own."""
    cdef int s
    for s in range(2):
        own.middle[s] = vkeep(at.middle[s])
    for s in range(S):
        own.single[s] = vkeep(at.single[s])


cdef inline void load_middle(const real* x, const int S, const int step, const int sign,
                             const int kind, const Sides* at, vreal* taps) noexcept nogil:
    """Load the pixels of each kernel column of wide maps.  Those of the middle column are loaded,
    with stride 2 also those between them.  They are moved by a lane for the other columns.

    Most vectors lie in two lines of cache, so it pays to have few loads.  With the usual padding
    the loads of the middle column begin where rows begin.
    """
    cdef vreal seen[6]                     # for each column from the left end of the window on
    cdef vreal a, b
    cdef int s, p = (S - 1) // 2
    if sign == -1:
        x = x - (S - 1)
    a = vload(x + p) if kind == INSIDE else vload_where(x + p, at.middle[0])
    a = vheld(a)
    seen[p] = a
    if step == 2:
        b = vload(x + p + VL) if kind == INSIDE else vload_where(x + p + VL, at.middle[1])
        b = vheld(b)
        seen[p], seen[p + 1] = vevens(a, b), vodds(a, b)
    for s in range(p - 1, -1, -1):
        a = vset1(x[s]) if kind == INSIDE else vload_where(x + s, at.single[s])
        seen[s] = vshift_up(seen[s + step], a)
    for s in range(p + step, S):
        b = vset1(x[(VL - 1) * step + s]) if kind == INSIDE \
            else vload_where(x + (VL - 1) * step + s, at.single[s])
        seen[s] = vshift_in(seen[s - step], b)
    for s in range(S):
        taps[s] = seen[s if sign == 1 else S - 1 - s]


cdef inline bint knows_narrow(Py_ssize_t S) noexcept nogil:
    """Whether windows of S columns have code for narrow maps.  Each case costs a compilation, and
    short vectors can hold only very narrow rows."""
    return VL >= 16 or (VL >= 8 and S <= 3)


cdef inline int look_narrow(Sides* at, const Axis* columns, Py_ssize_t sign) noexcept nogil:
    """Fill `at` for whole rows; return NARROW_MAP, TWO_MAPS, or ASIDE if a vector is too short for
    a row.  sign is -1 where the taps are walked backwards."""
    cdef Py_ssize_t half = VL // 2, inputs = columns.inputs, outputs = columns.outputs
    cdef Py_ssize_t step = columns.stride
    cdef Py_ssize_t widest = max((inputs + step - 1) // step, outputs)
    cdef Py_ssize_t s, turn, column
    cdef bint two = widest <= half
    cdef int lane
    if widest > VL or not knows_narrow(columns.taps):
        return ASIDE
    at.loaded[0] = lanes_between(0, inputs)
    if step == 1:
        at.loaded[1] = lanes_between(half, half + inputs) if two else 0
    else:
        at.loaded[1] = lanes_between(0, inputs if two else inputs - VL)
    at.odd = columns.offset & 1
    for s in range(columns.taps):
        turn = columns.offset + sign * s if step == 1 else floor_div(columns.offset + s, 2)
        at.turn[s] = <int> turn
        at.seen[s] = 0
        for lane in range(VL):
            column = lane % half if two else lane
            if column < outputs and 0 <= column * step + columns.offset + sign * s < inputs:
                at.seen[s] |= <lanes_t> 1 << lane
    return TWO_MAPS if two else NARROW_MAP


cdef inline vreal load_pixels(const real* x, Py_ssize_t step, Py_ssize_t n) noexcept nogil:
    if step == 2:  # no element beyond the last is read
        return vevens(vload_n(x, 2 * n - 1), vload_n(x + VL, 2 * n - 1 - VL))
    return vload_n(x, n) if step == 1 else vload_strided(x, step, n)
