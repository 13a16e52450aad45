# The gradient of the weights for few channels, on targets where the pixels of a tile may lie
# anywhere.  The "pixels" are the taps of all channels, and filters are in the lanes, as in
# gradient.pxi.
#
#   dy[panel of k, <= CHUNK pixels]  -- transposed -->  chunk[pixel][LANES]            (stack)
#   x[c], the rows that they see     -- laid out  -->   strip[c][row][column]          (stack)
#   total[c][r][s][LANES] += sum over pixels of strip[c][pixel + (r, s)] * chunk[pixel][LANES]
#
# The strip has zeros for the padding, which change no bit if dy is finite; for any other dy the
# caller takes gradient.pxi.  If no window of a chunk leaves the map, x is read as it lies.

cdef extern from *:
    """
    enum { STRIP_NUMBERS = (48 << 10) / sizeof(real), STRIP_TAPS = 512 };
    """
    enum: STRIP_NUMBERS                    # most numbers of a strip
    enum: STRIP_TAPS                       # most taps of all channels together


cdef inline Py_ssize_t reach(const Axis* axis, Py_ssize_t outputs) noexcept nogil:
    """How many inputs lie from the first to the last that some neighbouring outputs see."""
    return (outputs - 1) * axis.stride + (axis.taps - 1) * axis.dilation + 1


cdef inline bint inside(const Axis* axis, Py_ssize_t first, Py_ssize_t last) noexcept nogil:
    """Whether the windows of the outputs first .. last lie inside the map."""
    cdef Py_ssize_t begin = first * axis.stride + axis.offset
    return begin >= 0 and begin + reach(axis, last - first) <= axis.inputs


cdef inline bint strips_fit(const WeightGradient* g) noexcept nogil:
    """Whether the strip of a chunk fits its place."""
    cdef Py_ssize_t rows = reach(&g.rows, g.height)
    cdef Py_ssize_t columns = reach(&g.columns, ceil_div(g.columns.outputs, g.pieces))
    if g.C > 64 or rows > STRIP_NUMBERS or columns > STRIP_NUMBERS:
        return False                       # so the product of these stays small
    return g.C * rows * columns <= STRIP_NUMBERS


cdef inline bint takes_taps(const WeightGradient* g) noexcept nogil:
    """Whether taps may be the pixels of a tile, and their strip fits its place."""
    return PLACED and g.C * g.rows.taps * g.columns.taps <= STRIP_TAPS and strips_fit(g)


cdef void lay_strip(const WeightGradient* g, const real* x, Py_ssize_t top, Py_ssize_t rows,
                    Py_ssize_t left, Py_ssize_t columns, real* strip) noexcept nogil:
    """strip[c][rows][columns] = the map from row `top` and column `left` on, with zeros outside of
    the map."""
    cdef Py_ssize_t first = clamp(-left, 0, columns)
    cdef Py_ssize_t last = clamp(g.columns.inputs - left, first, columns)
    cdef Py_ssize_t c, h, j
    cdef const real* line
    for c in range(g.C):
        for h in range(top, top + rows):
            if not 0 <= h < g.rows.inputs:
                memset(strip, 0, columns * sizeof(real))
                strip += columns
                continue
            line = x + c * g.xc + h * g.xh + left * g.xw
            for j in range(first):
                strip[j] = 0
            j = first
            if g.xw == 1:
                while j + VL <= last:
                    vstore(strip + j, vload(line + j))
                    j += VL
            while j < last:
                strip[j] = line[j * g.xw]
                j += 1
            for j in range(last, columns):
                strip[j] = 0
            strip += columns


cdef inline void place_taps(const WeightGradient* g, Py_ssize_t plane, Py_ssize_t row,
                            Py_ssize_t column, Py_ssize_t* places) noexcept nogil:
    """Find where the taps (c, r, s) lie, if channels are `plane` apart, rows `row` and columns
    `column`."""
    cdef Py_ssize_t c, r, s
    for c in range(g.C):
        for r in range(g.rows.taps):
            for s in range(g.columns.taps):
                places[0] = c * plane + r * g.rows.dilation * row \
                    + s * g.columns.dilation * column
                places += 1


cdef inline void prefetch_panel(const WeightGradient* g, Py_ssize_t n, Py_ssize_t filter,
                                Py_ssize_t top, Py_ssize_t left, Py_ssize_t pixels,
                                Py_ssize_t piece, Py_ssize_t pieces) noexcept nogil:
    """Prefetch one piece of `pieces` of the dy of a panel of filters."""
    cdef Py_ssize_t lines = pixels // LINE + 1, i, filters
    cdef const real* dy = g.dy + n * g.yn + filter * g.yk + top * g.yh + left
    if g.yw != 1 or g.yh != g.columns.outputs:
        return
    filters = min(<Py_ssize_t> LANES, g.groups * g.K - filter)
    for i in range(piece * filters * lines // pieces, (piece + 1) * filters * lines // pieces):
        vprefetch(dy + i // lines * g.yk + i % lines * LINE)


cdef void add_taps(void* args, Py_ssize_t begin, Py_ssize_t end) noexcept nogil:
    """Items are (partial sum, group, block of panels).  The chunks are those of
    `add_partial_sums`."""
    cdef const WeightGradient* g = <const WeightGradient*> args
    cdef vreal chunk_memory[CHUNK * NV]
    cdef real* chunk = <real*> chunk_memory
    cdef real strip[STRIP_NUMBERS]
    cdef Py_ssize_t as_it_lies[STRIP_TAPS + TILE]
    cdef Py_ssize_t in_strip[STRIP_TAPS + TILE]
    cdef const Py_ssize_t* places
    cdef Py_ssize_t taps = g.C * g.rows.taps * g.columns.taps, pieces = ceil_div(taps, TILE)
    cdef Py_ssize_t item, rest, panel, first, last, group, n, top, bottom, left, right, at, end_
    cdef Py_ssize_t run, rows, columns, width = 0, height = 0, h, j, piece, tap, next, lanes, k
    cdef Py_ssize_t image, up, down, back, forth, filter
    cdef real* total
    cdef Steps steps
    cdef bint fresh, joins
    cdef const real* x
    place_taps(g, g.xc, g.xh, g.xw, as_it_lies)
    for item in range(begin, end):
        first = item % g.blocks * g.panels // g.blocks
        last = (item % g.blocks + 1) * g.panels // g.blocks
        rest = item // g.blocks
        group = rest % g.groups
        run = chunks_now(&g.rounds, rest // g.groups, &at, &end_)
        for at in range(at, end_):
            n = chunk_place(g, at, &top, &bottom, &left, &right)
            fresh = begins_anew(&g.rounds, run, at)
            joins = g.sums == 1 and at + 1 == run_start(&g.rounds, run + 1)
            h, j = top * g.rows.stride + g.rows.offset, left * g.columns.stride + g.columns.offset
            x = g.x + n * g.xn + group * g.C * g.xc
            if inside(&g.rows, top, bottom) and inside(&g.columns, left, right):
                x, places = x + h * g.xh + j * g.xw, as_it_lies
                steps = cut_steps(bottom - top, right - left, g.rows.stride * g.xh,
                                  g.columns.stride * g.xw, not g.rounds.several)
            else:
                rows = reach(&g.rows, bottom - top)
                columns = reach(&g.columns, right - left)
                if rows != height or columns != width:
                    place_taps(g, rows * columns, columns, 1, in_strip)
                    height, width = rows, columns
                lay_strip(g, x, h, rows, j, columns, strip)
                x, places = strip, in_strip
                steps = cut_steps(bottom - top, right - left, g.rows.stride * columns,
                                  g.columns.stride, not g.rounds.several)
            image, up, back, down, forth = n, top, left, bottom, right
            if at + 1 < end_:
                image = chunk_place(g, at + 1, &up, &down, &back, &forth)
            for panel in range(first, last):
                lanes = panel_lanes(g, panel)
                filter = group * g.K + panel * LANES
                transpose_chunk(g.dy + n * g.yn + filter * g.yk + top * g.yh + left * g.yw, g.yk,
                                g.yh, g.yw, bottom - top, right - left,
                                min(<Py_ssize_t> LANES, g.K - panel * LANES), lanes, chunk)
                total = g.partial + (rest * g.panels + panel) * taps * LANES
                next = 0
                for piece in range(pieces):
                    tap, next = next, (piece + 1) * taps // pieces
                    if panel + 1 < last:
                        prefetch_panel(g, n, filter + LANES, top, left,
                                       (bottom - top) * (right - left), piece, pieces)
                    else:
                        prefetch_panel(g, image, group * g.K + first * LANES, up, back,
                                       (down - up) * (forth - back), piece, pieces)
                    add_steps(next - tap, <int> (lanes // VL), x, places + tap, chunk, &steps,
                              fresh, total + tap * lanes, lanes)
                if joins:
                    join_item(g, group * g.panels + panel, total, run)
            run += joins
