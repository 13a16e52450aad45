# Maxima alone, without the winners' taps: rows first, then columns.
#
#   row h of the map      . . x0 x1 x2 ...      laid out with minus infinity for the padding
#   line h                max over the taps of a row, window by window, in the place of the row
#   y[i]                  max over the lines of the rows that window i sees
#
# A window of R x S taps takes R + S steps in place of R S, and rows that windows share are done
# once.  Of equals the first in row-major order stays, so that -0 and 0 come out as they do with
# winners.  The maximum of two numbers forgets a NaN: where a band of the map holds one, it is
# done again tap by tap.

cdef extern from *:
    """
    enum { BAND_NUMBERS = 16384 / sizeof(real),  /* of a band of lines on the stack, half an L1 */
           BAND_ROWS = 8 };        /* of outputs, that a band has at least, if the map has them */
    """
    enum: BAND_NUMBERS
    enum: BAND_ROWS

cdef struct Bands:
    Py_ssize_t width           # columns of outputs that are done together
    Py_ssize_t rows            # rows of outputs, at the most
    Py_ssize_t pitch           # from one line to the next


cdef inline Py_ssize_t line_pitch(const Axis* axis, Py_ssize_t width) noexcept nogil:
    """A line of `width` windows: what they see, and what their last vectors read beyond."""
    return ((width + VL - 1) // VL * VL - 1) * axis.stride + (axis.taps - 1) * axis.dilation \
        + 2 * VL


cdef inline Py_ssize_t rows_seen(const Axis* axis, Py_ssize_t outputs) noexcept nogil:
    return (outputs - 1) * axis.stride + (axis.taps - 1) * axis.dilation + 1


cdef inline bint look_at_bands(const Pooling* g, Bands* bands) noexcept nogil:
    """Whether the maxima can be taken in bands, and in which."""
    cdef Py_ssize_t width = g.columns.outputs, rows = min(g.rows.outputs, <Py_ssize_t> BAND_ROWS)
    if has_lines(g) and (VL * sizeof(real) > 32 or width <= VL):
        return False                       # max_lines.pxi: whole rows in a vector, masks for free
    if VL == 1 or g.columns.stride > 2 or g.rows.taps * g.columns.taps == 1 or width == 1:
        return False
    if g.columns.taps > BAND_NUMBERS or g.columns.dilation > BAND_NUMBERS \
            or g.rows.taps > BAND_NUMBERS or g.rows.dilation > BAND_NUMBERS \
            or g.rows.stride > BAND_NUMBERS:
        return False                       # products of these stay small
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
    """Copy the columns column <= w < column + count of a row of the map, minus infinity for those
    outside, and what lies in whole vectors beyond; returns where a NaN was, in any lane."""
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
    else:
        for i in range(first, last):
            v = vset1(row[i])
            nans = nans | vnans(v)
            line[i] = row[i]
    for i from last <= i < count by VL:
        vstore(line + i, nothing)
    return nans


cdef inline void line_maxima(const int taps, Py_ssize_t any_taps, Py_ssize_t dilation,
                             Py_ssize_t width, real* line) noexcept nogil:
    """Replace a line by the maxima of its windows; `taps` is their number, or 0 for any."""
    cdef Py_ssize_t j, s
    cdef vreal best
    for j from 0 <= j < width by VL:
        best = vload(line + j)
        for s in range(1, taps if taps else any_taps):
            best = vmaximum(vload(line + j + s * dilation), best)
        vstore(line + j, best)


cdef inline void line_maxima_by_two(const int taps, Py_ssize_t any_taps, Py_ssize_t dilation,
                                    Py_ssize_t width, real* line) noexcept nogil:
    """The same for windows that begin at every other number."""
    cdef Py_ssize_t j, s
    cdef vreal best, low, high
    cdef real* p
    for j from 0 <= j < width by VL:
        p = line + 2 * j
        low, high = vload(p), vload(p + VL)
        best = vevens_dealt(low, high)
        if taps:
            best = vmaximum(vodds_dealt(low, high), best)
        if taps == 3:
            best = vmaximum(vevens_dealt(vload(p + 2), vload(p + VL + 2)), best)
        if taps == 0:
            for s in range(1, any_taps):
                best = vmaximum(vevens_dealt(vload(p + s * dilation),
                                             vload(p + VL + s * dilation)), best)
        vstore(line + j, vundealt(best))


cdef inline void usual_line(const Axis* axis, Py_ssize_t width, real* line) noexcept nogil:
    if axis.stride == 1 and axis.taps == 3:
        line_maxima(3, 0, axis.dilation, width, line)
    elif axis.stride == 1:
        line_maxima(0, axis.taps, axis.dilation, width, line)
    elif axis.taps == 2 and axis.dilation == 1:
        line_maxima_by_two(2, 0, 1, width, line)
    elif axis.taps == 3 and axis.dilation == 1:
        line_maxima_by_two(3, 0, 1, width, line)
    else:
        line_maxima_by_two(0, axis.taps, axis.dilation, width, line)


cdef inline vreal column_maximum(const real* line, Py_ssize_t gap, Py_ssize_t count,
                                 bint relu) noexcept nogil:
    cdef vreal best = vload(line)
    cdef Py_ssize_t r
    for r in range(1, count):
        best = vmaximum(vload(line + r * gap), best)
    return vrelu(best) if relu else best


cdef vmask max_band(const Pooling* g, const Bands* bands, const real* x, Py_ssize_t top,
                    Py_ssize_t bottom, Py_ssize_t left, Py_ssize_t right, real* y) noexcept nogil:
    """Outputs of some rows and columns of a plane; returns where a NaN was, in any lane."""
    cdef real lines[BAND_NUMBERS + VL]  # the last store may reach beyond
    cdef real tail[VL]
    cdef vmask nans = vtap(0)
    cdef Py_ssize_t i, j, r0, r1, h, width = right - left
    cdef Py_ssize_t first = top * g.rows.stride + g.rows.offset
    cdef Py_ssize_t gap = g.rows.dilation * bands.pitch
    cdef Py_ssize_t column = left * g.columns.stride + g.columns.offset
    cdef const real* line
    cdef real* out
    for i in range(rows_seen(&g.rows, bottom - top)):
        h = first + i
        if 0 <= h < g.H:
            nans = nans | lay_out_line(g, x + h * g.W, column, bands.pitch, lines + i * bands.pitch)
    for i in range(rows_seen(&g.rows, bottom - top)):
        if 0 <= first + i < g.H:
            usual_line(&g.columns, width, lines + i * bands.pitch)
    for i in range(top, bottom):
        taps_inside(&g.rows, i, &r0, &r1)
        line = lines + (i - top) * g.rows.stride * bands.pitch + r0 * gap
        out = y + i * g.columns.outputs + left
        if width < VL:
            vstore(tail, column_maximum(line, gap, r1 - r0, g.relu))
            for j in range(width):
                out[j] = tail[j]
            continue
        for j from 0 <= j <= width - VL by VL:
            vstore(out + j, column_maximum(line + j, gap, r1 - r0, g.relu))
        if width % VL:                     # the last vector once more
            j = width - VL
            vstore(out + j, column_maximum(line + j, gap, r1 - r0, g.relu))
    return nans


cdef void max_separable(const Pooling* g, const Bands* bands, Py_ssize_t begin,
                        Py_ssize_t end) noexcept nogil:
    """Items are blocks of rows of planes, as in `max_planes`."""
    cdef Py_ssize_t item, plane, top, bottom, i, next_, left
    cdef const real* x
    cdef real* y
    cdef vmask nans
    for item in range(begin, end):
        plane = item // g.blocks
        if g.blocks == 1:
            prefetch_planes(g, plane, False)
        top = item % g.blocks * POOL_ROWS
        bottom = min(top + POOL_ROWS, g.rows.outputs)
        x = g.x + plane * g.H * g.W
        y = g.y + plane * g.rows.outputs * g.columns.outputs
        i = top
        while i < bottom:
            next_ = min(bottom, i + bands.rows)
            nans = vtap(0)
            for left from 0 <= left < g.columns.outputs by bands.width:
                nans = nans | max_band(g, bands, x, i, next_, left,
                                       min(left + bands.width, g.columns.outputs), y)
            if vany(nans):
                max_again(g, plane, i, next_)
            i = next_


cdef void max_bands(void* args, Py_ssize_t begin, Py_ssize_t end) noexcept nogil:
    """Maxima of windows that `look_at_bands` knows."""
    cdef const Pooling* g = <const Pooling*> args
    cdef Bands bands
    look_at_bands(g, &bands)
    max_separable(g, &bands, begin, end)
