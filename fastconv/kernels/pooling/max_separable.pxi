# Maxima of any window with strides up to 2, with the winners' taps or without: rows first, then
# columns.
#
#   row h of the map      . . x0 x1 x2 ...      laid out with minus infinity for the padding
#   line h                max over the taps of a row, window by window, in the place of the row
#   y[i]                  max over the lines of the rows that window i sees
#
# A window of R x S taps takes R + S steps in place of R S, and rows that windows share are done
# once.  Of equal numbers, -0 and 0 among them, the first in row-major order wins: in a line that
# is the first column, whose number is kept beside the maximum, and among lines it is the first
# line.  The maximum of two numbers forgets a NaN, so a band of the map that holds one is done
# again, tap by tap.

cdef extern from *:
    """
    enum { BAND_NUMBERS = 16384 / sizeof(real),  /* of a band of lines on the stack, half an L1 */
           BAND_VECTORS = BAND_NUMBERS / VL + 1, /* the last store may reach beyond */
           BAND_ROWS = 8 };        /* a band has at least so many rows of outputs, if the map has */
    """
    enum: BAND_NUMBERS
    enum: BAND_VECTORS
    enum: BAND_ROWS

cdef struct Bands:
    Py_ssize_t width           # columns of outputs that are done together
    Py_ssize_t rows            # rows of outputs, at the most
    Py_ssize_t pitch           # from one line to the next


cdef inline Py_ssize_t line_pitch(const Axis* axis, Py_ssize_t width) noexcept nogil:
    """The numbers of a line of `width` windows: those that the windows see, and those that the last
    vectors read beyond.  They are whole vectors, so that each line is aligned."""
    cdef Py_ssize_t seen = ((width + VL - 1) // VL * VL - 1) * axis.stride \
        + (axis.taps - 1) * axis.dilation
    return (seen + 3 * VL - 1) // VL * VL


cdef inline Py_ssize_t rows_seen(const Axis* axis, Py_ssize_t outputs) noexcept nogil:
    return (outputs - 1) * axis.stride + (axis.taps - 1) * axis.dilation + 1


cdef inline bint look_at_bands(const Pooling* g, Bands* bands) noexcept nogil:
    """Whether the maxima can be taken in bands; if so, fill `bands`."""
    cdef Py_ssize_t width = g.columns.outputs, rows = min(g.rows.outputs, <Py_ssize_t> BAND_ROWS)
    if has_lines(g) and (VL * sizeof(real) > 32 or width <= VL):
        return False                       # for max_lines.pxi: masks are free, or rows fit a vector
    if VL == 1 or g.columns.stride > 2 or g.rows.taps * g.columns.taps == 1 or width == 1:
        return False
    if g.columns.taps > BAND_NUMBERS or g.columns.dilation > BAND_NUMBERS \
            or g.rows.taps > BAND_NUMBERS or g.rows.dilation > BAND_NUMBERS \
            or g.rows.stride > BAND_NUMBERS:
        return False                       # so the products of these stay small
    width = min(width, <Py_ssize_t> BAND_NUMBERS)
    while rows_seen(&g.rows, rows) * line_pitch(&g.columns, width) > BAND_NUMBERS:
        if width <= 4 * VL:
            return False
        width = (width + 1) // 2
    bands.width = width
    bands.pitch = line_pitch(&g.columns, width)
    rows = BAND_NUMBERS // bands.pitch - (g.rows.taps - 1) * g.rows.dilation
    bands.rows = (rows - 1) // g.rows.stride + 1
    return True


cdef inline vmask lay_out_line(const Pooling* g, const real* row, Py_ssize_t column, Py_ssize_t count,
                          real* line) noexcept nogil:
    """Copy the columns column <= w < column + count of a row of the map, with minus infinity for
    those outside it.  Whole vectors are written.  Return where a NaN was, in any lane."""
    cdef Py_ssize_t first = clamp(-column, 0, count), last = clamp(g.W - column, first, count)
    cdef Py_ssize_t i
    cdef vreal v
    cdef vreal nothing = vset1(<real> -INFINITY)
    cdef vmask nans = vtap(0)
    for i from 0 <= i < first by VL:
        vstore(line + i, nothing)
    row = row + column
    if last - first >= VL:
        for i from first <= i <= last - VL by VL:
            v = vload(row + i)
            nans = nans | vnans(v)
            vstore(line + i, v)
        v = vload(row + last - VL)
        nans = nans | vnans(v)
        vstore(line + last - VL, v)
    elif last > first:                     # what it writes beyond is overwritten: below, or with
                                           # the next line
        v = vload_n(row + first, last - first)
        nans = nans | vnans(v)
        vstore(line + first, v)
    for i from last <= i < count by VL:
        vstore(line + i, nothing)
    return nans


cdef inline void line_maxima(const int vectors, const int taps, Py_ssize_t any_taps,
                             Py_ssize_t dilation, real* line) noexcept nogil:
    """Replace one vector of a line, or two that share the loop, by the maxima of its windows.
    `taps` is the number of taps of a row, or 0 if only `any_taps` knows it."""
    cdef vreal best[2]
    cdef Py_ssize_t s
    cdef int v
    cdef const real* p = line
    for v in range(vectors):
        best[v] = vload(line + v * VL)
    for s in range(1, taps if taps else any_taps):
        p = p + dilation
        for v in range(vectors):
            best[v] = vlarger(vload(p + v * VL), best[v])
    for v in range(vectors):
        vstore(line + v * VL, best[v])


cdef inline void line_maxima_by_two(const int taps, Py_ssize_t any_taps, Py_ssize_t dilation,
                                    Py_ssize_t width, real* line) noexcept nogil:
    """Replace a whole line by the maxima of its windows, which begin at every other number."""
    cdef Py_ssize_t j, s
    cdef vreal best, low, high
    cdef real* p
    for j from 0 <= j < width by VL:
        p = line + 2 * j
        low, high = vload(p), vload(p + VL)
        best = vevens_dealt(low, high)
        if taps:
            best = vlarger(vodds_dealt(low, high), best)
        if taps == 3:
            best = vlarger(vevens_dealt(vload(p + 2), vload(p + VL + 2)), best)
        if taps == 0:
            for s in range(1, any_taps):
                best = vlarger(vevens_dealt(vload(p + s * dilation),
                                             vload(p + VL + s * dilation)), best)
        vstore(line + j, vundealt(best))


cdef inline void line_maxima_by_one(const int taps, Py_ssize_t any_taps, Py_ssize_t dilation,
                                    Py_ssize_t width, real* line) noexcept nogil:
    """Replace a whole line by the maxima of its windows, which begin at every number."""
    cdef Py_ssize_t j = 0
    while j + VL < width:
        line_maxima(2, taps, any_taps, dilation, line + j)
        j += 2 * VL
    if j < width:
        line_maxima(1, taps, any_taps, dilation, line + j)


cdef inline void usual_line(const Axis* axis, Py_ssize_t width, real* line) noexcept nogil:
    if axis.stride == 1 and axis.taps == 3:
        line_maxima_by_one(3, 0, axis.dilation, width, line)
    elif axis.stride == 1:
        line_maxima_by_one(0, axis.taps, axis.dilation, width, line)
    elif axis.taps == 2 and axis.dilation == 1:
        line_maxima_by_two(2, 0, 1, width, line)
    elif axis.taps == 3 and axis.dilation == 1:
        line_maxima_by_two(3, 0, 1, width, line)
    else:
        line_maxima_by_two(0, axis.taps, axis.dilation, width, line)


cdef vmask first_taps(const Axis* axis, Py_ssize_t j) noexcept nogil:
    """For each of the windows j, j + 1, ... its first kernel column that lies inside the map."""
    cdef unsigned char firsts[VL]
    cdef Py_ssize_t first, last
    cdef int lane
    for lane in range(VL):
        taps_inside(axis, j + lane, &first, &last)
        firsts[lane] = <unsigned char> first
    return vload_bytes(firsts, lanes_between(0, VL))


cdef inline void line_winners(const Axis* axis, Py_ssize_t left, Py_ssize_t width, real* line,
                              unsigned char* taps) noexcept nogil:
    """Replace a line by the maxima of its windows, and keep the columns of their winners."""
    cdef Py_ssize_t j, s
    cdef vreal best, value
    cdef vmask taken, number
    cdef const real* p
    for j from 0 <= j < width by VL:
        best, number = vset1(<real> -INFINITY), vtap(0)
        taken = number
        if (left + j) * axis.stride + axis.offset < 0:
            taken = first_taps(axis, left + j)  # this tap wins where all are minus infinity
        p = line + j * axis.stride
        for s in range(axis.taps):
            value = vload(p) if axis.stride == 1 else vevens(vload(p), vload(p + VL))
            vcontest_taps(&best, &taken, value, number)
            number = number + vtap(1)
            p = p + axis.dilation
        vstore(line + j, best)
        vstore_bytes(taps + j, taken, VL)


cdef inline void column_maximum(const int vectors, const real* line, Py_ssize_t apart,
                                Py_ssize_t gap, Py_ssize_t count, bint relu,
                                vreal* best) noexcept nogil:
    """The maxima over the lines of some rows: one vector of them, or two that lie `apart`."""
    cdef Py_ssize_t r
    cdef int v
    for v in range(vectors):
        best[v] = vload(line + v * apart)
    for r in range(1, count):
        line = line + gap
        for v in range(vectors):
            best[v] = vlarger(vload(line + v * apart), best[v])
    for v in range(vectors):
        if relu:
            best[v] = vrelu(best[v])


cdef inline vreal column_winner(const Pooling* g, const real* line, const unsigned char* taps,
                                Py_ssize_t gap, Py_ssize_t r0, Py_ssize_t r1,
                                vmask* winners) noexcept nogil:
    """The same for one vector, with the taps that won; `line` is that of row r0."""
    cdef vreal best = vload(line)
    cdef vmask row = vtap(<int> (r0 * g.columns.taps)), won
    cdef vmask taken = vload_bytes(taps, lanes_between(0, VL)) + row
    cdef Py_ssize_t r
    for r in range(r0 + 1, r1):
        line, taps = line + gap, taps + gap
        row = row + vtap(<int> g.columns.taps)
        won = vload_bytes(taps, lanes_between(0, VL)) + row
        vcontest_taps(&best, &taken, vload(line), won)
    if g.relu:
        taken = vpositive_tap(best, taken, <int> (g.rows.taps * g.columns.taps))
        best = vrelu(best)
    winners[0] = taken
    return best


cdef inline void column_maxima(const Pooling* g, const bint wants_argmax, const real* line,
                               const unsigned char* taps, Py_ssize_t gap, Py_ssize_t r0,
                               Py_ssize_t r1, Py_ssize_t count, real* y,
                               unsigned char* argmax) noexcept nogil:
    """Write `count` maxima over the lines of some rows, the first of which is that of row r0."""
    cdef vreal best[2]
    cdef vmask winners
    if wants_argmax:
        vstore_n(y, column_winner(g, line, taps, gap, r0, r1, &winners), count)
        vstore_bytes(argmax, winners, count)
    else:
        column_maximum(1, line, 0, gap, r1 - r0, g.relu, best)
        vstore_n(y, best[0], count)


cdef inline vmask max_band(const Pooling* g, const bint wants_argmax, const Bands* bands,
                           const real* x, Py_ssize_t top, Py_ssize_t bottom, Py_ssize_t left,
                           Py_ssize_t right, real* y, unsigned char* argmax) noexcept nogil:
    """Write some rows and columns of a plane's outputs; return where a NaN was, in any lane."""
    cdef vreal vectors[BAND_VECTORS]       # the lines, as vectors so that they are aligned
    cdef real* lines = <real*> vectors
    cdef unsigned char taps[BAND_NUMBERS + VL]
    cdef vreal best[2]
    cdef vmask nans = vtap(0)
    cdef Py_ssize_t i, j, r0, r1, h, width = right - left
    cdef Py_ssize_t first = top * g.rows.stride + g.rows.offset
    cdef Py_ssize_t gap = g.rows.dilation * bands.pitch
    cdef Py_ssize_t column = left * g.columns.stride + g.columns.offset
    cdef const real* line
    cdef const unsigned char* columns
    cdef real* out
    cdef unsigned char* winners = NULL
    for i in range(rows_seen(&g.rows, bottom - top)):
        h = first + i
        if 0 <= h < g.H:
            nans = nans | lay_out_line(g, x + h * g.W, column, bands.pitch, lines + i * bands.pitch)
    for i in range(rows_seen(&g.rows, bottom - top)):
        if not 0 <= first + i < g.H:
            continue
        if wants_argmax:
            line_winners(&g.columns, left, width, lines + i * bands.pitch, taps + i * bands.pitch)
        else:
            usual_line(&g.columns, width, lines + i * bands.pitch)
    for i in range(top, bottom):
        taps_inside(&g.rows, i, &r0, &r1)
        h = (i - top) * g.rows.stride * bands.pitch + r0 * gap
        line, columns = lines + h, taps + h
        out = y + i * g.columns.outputs + left
        if wants_argmax:
            winners = argmax + i * g.columns.outputs + left
        if width < VL:
            column_maxima(g, wants_argmax, line, columns, gap, r0, r1, width, out, winners)
            continue
        j = 0
        while not wants_argmax and j + VL < width:
            h = min(<Py_ssize_t> VL, width - VL - j)  # the last vector does some once more
            column_maximum(2, line + j, h, gap, r1 - r0, g.relu, best)
            vstore(out + j, best[0])
            vstore(out + j + h, best[1])
            j += 2 * VL
        while j < width:
            j = min(j, width - VL)
            column_maxima(g, wants_argmax, line + j, columns + j, gap, r0, r1, VL, out + j,
                          winners + j)
            j += VL
    return nans


cdef vmask band_of_maxima(const Pooling* g, const Bands* bands, const real* x, Py_ssize_t top,
                          Py_ssize_t bottom, Py_ssize_t left, Py_ssize_t right,
                          real* y) noexcept nogil:
    return max_band(g, False, bands, x, top, bottom, left, right, y, NULL)


cdef vmask band_of_winners(const Pooling* g, const Bands* bands, const real* x, Py_ssize_t top,
                           Py_ssize_t bottom, Py_ssize_t left, Py_ssize_t right, real* y,
                           unsigned char* argmax) noexcept nogil:
    return max_band(g, True, bands, x, top, bottom, left, right, y, argmax)


cdef inline void max_separable(const Pooling* g, const bint wants_argmax, Py_ssize_t begin,
                               Py_ssize_t end) noexcept nogil:
    """Items are blocks of rows of planes, as in `max_planes`."""
    cdef Bands bands
    cdef Py_ssize_t item, plane, bottom, i, next_, left, right, at
    cdef const real* x
    cdef vmask nans
    look_at_bands(g, &bands)
    for item in range(begin, end):
        plane = item // g.blocks
        if g.blocks == 1:
            prefetch_planes(g, plane, False)
        i = item % g.blocks * POOL_ROWS
        bottom = min(i + POOL_ROWS, g.rows.outputs)
        x = g.x + plane * g.H * g.W
        at = plane * g.rows.outputs * g.columns.outputs
        while i < bottom:
            next_ = min(bottom, i + bands.rows)
            nans = vtap(0)
            for left from 0 <= left < g.columns.outputs by bands.width:
                right = min(left + bands.width, g.columns.outputs)
                if wants_argmax:
                    nans = nans | band_of_winners(g, &bands, x, i, next_, left, right, g.y + at,
                                                  <unsigned char*> g.argmax + at)
                else:
                    nans = nans | band_of_maxima(g, &bands, x, i, next_, left, right, g.y + at)
            if vany(nans):
                max_again(g, plane, i, next_)
            i = next_


cdef void max_bands(void* args, Py_ssize_t begin, Py_ssize_t end) noexcept nogil:
    """Maxima of windows that `look_at_bands` knows."""
    max_separable(<const Pooling*> args, False, begin, end)


cdef void argmax_bands(void* args, Py_ssize_t begin, Py_ssize_t end) noexcept nogil:
    """The same with the taps that won, for windows with so many taps that it takes fewer steps."""
    max_separable(<const Pooling*> args, True, begin, end)
