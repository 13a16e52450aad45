# Four rows of outputs at a time, which share the rows of the map that they see: what the forward
# pass and the gradient of the weights by 3x3 windows have in common, for targets that can load a
# part of a vector but have no registers of masks, as AVX2.
#
# Lanes outside the map are zeros, since loads leave them out, and so are rows outside: they are
# lines of zeros.  A zero times a finite number changes no bit.

cdef extern from *:
    """
    enum { QUADS = VL * sizeof(real) == 32, QUAD = 4,
           QUAD_ROWS = 2 * QUAD + 1, QUAD_VECTORS = 10,
           QUAD_PITCH = 2 * QUAD_VECTORS * VL + VL };
    static const real quad_zeros[QUAD_PITCH + 2 * VL];
    """
    enum: QUADS                            # whether they are for this target
    enum: QUAD                             # rows of outputs
    enum: QUAD_ROWS                        # most rows of the map that they see
    enum: QUAD_VECTORS                     # most vectors of outputs of a block of columns
    enum: QUAD_PITCH                       # most numbers of a row that a block sees
    const real* quad_zeros

cdef struct QuadLanes:
    # for a vector of outputs, which lanes of its loads lie inside the map: with stride 1 for each
    # tap from the left, with stride 2 for the even taps, whose loads have two vectors; and which
    # lanes of the vector are outputs
    vmask low[3]
    vmask high[3]
    vmask own


cdef inline void find_quad_lanes(QuadLanes* at, Py_ssize_t column, Py_ssize_t inputs,
                                 Py_ssize_t outputs) noexcept nogil:
    """Fill `at` for a vector whose leftmost tap is at `column` of a map that is `inputs` wide, with
    so many `outputs` left in its row."""
    cdef Py_ssize_t s
    for s in range(3):
        at.low[s] = vspread(lanes_between(-column - s, inputs - column - s))
        at.high[s] = vspread(lanes_between(-column - s - VL, inputs - column - s - VL))
    at.own = vspread(lanes_between(0, outputs))


cdef inline const real* quad_line(const real* x, Py_ssize_t row, Py_ssize_t rows, Py_ssize_t down,
                                  Py_ssize_t first) noexcept nogil:
    """The row of a map, at column 0; or zeros if it is outside, for a block that is read from
    column `first` on, or up to two vectors before it."""
    return x + row * down if 0 <= row < rows else quad_zeros + 2 * VL - first


cdef inline vreal load_tap(const int step, const bint edge, const real* line, const int s,
                           const QuadLanes* at, vreal* pair) noexcept nogil:
    """Return the pixels of tap `s` from the left; taps are asked for in their order.  With stride 2
    the lanes are in the order that one shuffle gives, and `pair` keeps what an odd tap shares with
    the even one before it."""
    # held: else all are loaded before the first is needed
    if step == 1:
        return vheld(vload_masked(line + s, &at.low[s]) if edge else vload(line + s))
    if s % 2 == 1:
        return vodds_dealt(pair[0], pair[1])
    pair[0] = vheld(vload_masked(line + s, &at.low[s]) if edge else vload(line + s))
    pair[1] = vheld(vload_masked(line + s + VL, &at.high[s]) if edge else vload(line + s + VL))
    return vevens_dealt(pair[0], pair[1])
