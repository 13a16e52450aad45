# col2im of the book's layout with stride 1, by shifted sums.  Each kernel row has a sum.  It walks
# over the windows from right to left, and its lanes walk over the columns of the padded map.
#
#   window j + 1   | a b c d . . |     columns j + 1, j + 2, ..
#   window j       | l a b c d . |     moved by a lane; l is what the line holds at column j,
#                + | t t t . . . |     and the S taps of this kernel row are added
#
# The sum is then stored to the line.  Windows are walked from the last row to the first and from
# right to left, so that an element gets its taps in their order.  A row of the map is whole when
# the first kernel row has left it.  Then its line serves another row, in a ring of R lines.
#
# Some channels are done together: they share lines of cache, which are still there for the next
# channel.  This is for vectors of 32 bytes only.  Shorter ones hold few taps, and longer ones are
# as fast when they transpose (fold_tiles.pxi).

cdef extern from *:
    """
    enum { SHIFT_ROWS = 7,           /* most rows of a kernel: each has its sum in a register */
           SHIFT_NUMBERS = 16384 / sizeof(real), /* in the lines of some channels: half an L1 */
           SHIFT_VECTORS = SHIFT_NUMBERS / VL,
           SHIFT_TAPS = 32768 / sizeof(real) };  /* in a row of windows of these channels */
    """
    enum: SHIFT_ROWS
    enum: SHIFT_NUMBERS
    enum: SHIFT_VECTORS
    enum: SHIFT_TAPS

ctypedef void (*shift_t)(const void*, const real* col, Py_ssize_t size, Py_ssize_t S,
                         Py_ssize_t windows, Py_ssize_t ahead, real** lines) noexcept nogil


cdef inline Py_ssize_t shift_pitch(const Unfolding* g) noexcept nogil:
    """Numbers from one line to the next: all columns of the padded map, and a vector beyond."""
    cdef Py_ssize_t columns = max(g.columns.outputs + g.columns.taps - 1, g.W - g.columns.offset)
    return ceil_div(columns, VL) * VL + VL


cdef bint shifts_fit(const Unfolding* g) noexcept nogil:
    """Whether `fold_shifts` knows this window."""
    return VL * sizeof(real) == 32 and 1 < g.columns.taps <= VL and g.rows.taps <= SHIFT_ROWS \
        and g.rows.stride == 1 and g.columns.stride == 1 and g.rows.dilation == 1 \
        and g.columns.dilation == 1 and g.rows.taps * shift_pitch(g) <= SHIFT_NUMBERS


cdef void shift_row_of(const narrow_width* _, const real* col, Py_ssize_t size, Py_ssize_t S,
                       Py_ssize_t windows, Py_ssize_t ahead, real** lines) noexcept nogil:
    """Fold a row of windows of one channel.  col is at the first window, and lines are those of the
    rows that the windows see."""
    cdef vreal acc[SHIFT_ROWS]
    cdef real* line[SHIFT_ROWS]
    cdef lanes_t lanes = lanes_between(0, S)
    cdef Py_ssize_t j
    cdef int r
    for r in range(<int> sizeof(narrow_width)):
        line[r] = lines[r]
        acc[r] = vload(line[r] + windows)
    col = col + (windows - 1) * size
    for j in range(windows - 1, -1, -1):
        vprefetch(col + ahead)
        for r in range(<int> sizeof(narrow_width)):
            acc[r] = vpush(acc[r], line[r][j]) + vload_where(col + r * S, lanes)
            vstore(line[r] + j, acc[r])
        col = col - size


cdef shift_t shift_rows[SHIFT_ROWS + 1]
shift_rows[:] = [
    NULL, <shift_t> shift_row_of[n1], <shift_t> shift_row_of[n2], <shift_t> shift_row_of[n3],
    <shift_t> shift_row_of[n4], <shift_t> shift_row_of[n5], <shift_t> shift_row_of[n6],
    <shift_t> shift_row_of[n7],
]


cdef inline void fold_channels(const Unfolding* g, Py_ssize_t n, Py_ssize_t first,
                               Py_ssize_t count) noexcept nogil:
    """Fold some channels of an image, from the last row to the first."""
    cdef vreal vectors[SHIFT_VECTORS]      # the lines, as vectors so that they are aligned
    cdef real* all_lines = <real*> vectors
    cdef real* lines[SHIFT_ROWS]
    cdef real* dx = <real*> g.x + (n * g.C + first) * g.H * g.W
    cdef Py_ssize_t R = g.rows.taps, S = g.columns.taps, OW = g.columns.outputs
    cdef Py_ssize_t size = g.C * R * S, pitch = shift_pitch(g), i, c, r, h, row, ahead
    cdef Py_ssize_t rows = g.rows.outputs + R - 1      # rows of the padded map that windows see
    cdef const real* col
    cdef real* line
    memset(all_lines, 0, count * R * pitch * sizeof(real))
    for i in range(g.rows.outputs - 1, -R, -1):
        for c in range(count):
            if i >= 0:
                for r in range(R):
                    lines[r] = all_lines + (c * R + (i + r) % R) * pitch
                col = g.col + (n * g.rows.outputs + i) * OW * size + (first + c) * R * S
                # prefetch the windows above, or those of the last row in the next image
                ahead = -OW * size if i > 0 else (2 * g.rows.outputs - 1) * OW * size
                shift_rows[R](NULL, col, size, S, OW, ahead, lines)
            row = i + R - 1                # this row of the padded map is now whole
            h = row + g.rows.offset
            line = all_lines + (c * R + row % R) * pitch
            if 0 <= h < g.H:
                memcpy(dx + (c * g.H + h) * g.W, line - g.columns.offset, g.W * sizeof(real))
            memset(line, 0, pitch * sizeof(real))
    h = max(rows + g.rows.offset, <Py_ssize_t> 0)      # below all windows
    for c in range(count):
        if h < g.H:
            memset(dx + (c * g.H + h) * g.W, 0, (g.H - h) * g.W * sizeof(real))


cdef void fold_shifts(void* args, Py_ssize_t begin, Py_ssize_t end) noexcept nogil:
    """Items are (image, block of channels)."""
    cdef const Unfolding* g = <const Unfolding*> args
    cdef Py_ssize_t item, first, last, c
    cdef Py_ssize_t together = min(
        SHIFT_NUMBERS // (g.rows.taps * shift_pitch(g)),
        max(SHIFT_TAPS // (g.columns.outputs * g.rows.taps * g.columns.taps), <Py_ssize_t> 1))
    for item in range(begin, end):
        first = item % g.channel_blocks * g.C // g.channel_blocks
        last = (item % g.channel_blocks + 1) * g.C // g.channel_blocks
        for c from first <= c < last by together:
            fold_channels(g, item // g.channel_blocks, c, min(together, last - c))
