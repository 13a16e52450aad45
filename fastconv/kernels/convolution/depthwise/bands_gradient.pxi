# The gradient of the weights where groups have few filters, from bands that are laid out anew with
# zeros.  It is for any window; where there are registers of masks not for 3x3, nor with AVX2 for 3x3
# of strides 1 and 2 (quads_gradient.pxi).
#
#     dy, a gap of zeros after each row        x of one phase of the strides, as wide
#     d d d d d d d 0 0 d d d d d d d 0 0 ...  0 x x x x x x x 0 0 x x x x x x x 0 ...
#
# So all rows of a band are one long run.  A tap is a place in x: from there on x is multiplied by
# dy, vector by vector, for up to DOT_TAPS taps at one time.  At the end dweight[tap] is the sum of
# all lanes.  A block of the sum has at most DOT_BLOCK vectors; totals and sums are those of
# planes_gradient.pxi.
#
# A zero times a finite number changes no bit.  Where a result is not finite, dot_planes computes it
# again without the padding.

cdef extern from *:
    """
    enum { DOT_NUMBERS = (12 << 10) / sizeof(real),  /* of a band of x; a band of dy has fewer */
           DOT_MEMORY = (14 << 10) / (VL * sizeof(real)), /* vectors: no multiple of 4 KiB apart */
           DOT_TAPS = 121, DOT_MOST = 1024, DOT_TILE = 9, DOT_STRIDE = 4,
           DOT_BLOCK = 40 };
    """
    enum: DOT_NUMBERS
    enum: DOT_MEMORY
    enum: DOT_TAPS                         # whose sums are made at one time
    enum: DOT_MOST                         # taps of a window
    enum: DOT_TILE                         # taps that have registers for their places and sums
    enum: DOT_STRIDE                       # the most phases of rows, or of columns
    enum: DOT_BLOCK

cdef struct Line:                          # how a row of x or dy is laid out
    Py_ssize_t step                        # from one number to the next
    Py_ssize_t first, last, pitch          # where they go, else zeros; from row to row
    Py_ssize_t vectors, zeros


cdef inline Line plan_line(Py_ssize_t step, Py_ssize_t first, Py_ssize_t last,
                           Py_ssize_t pitch) noexcept nogil:
    cdef Line line
    line.step, line.first, line.last, line.pitch = step, first, last, pitch
    line.vectors = ceil_div(last - first, VL)
    line.zeros = ceil_div(pitch - last + first, VL)
    return line


cdef struct DotBands:
    const WeightGradient* g
    Py_ssize_t rows                        # rows of outputs of a band, at the most
    Py_ssize_t below, pitch                # rows that a phase has besides; numbers of a row
    Py_ssize_t blocks                      # blocks of a total
    Line lines[DOT_STRIDE]                 # of each phase of the columns of x, and of dy
    Line own
    Py_ssize_t whole, own_whole            # rows before these may be read in whole vectors
    Py_ssize_t taps, parts                 # of the window, and the parts that it is cut into


cdef inline Py_ssize_t whole_rows(Py_ssize_t rows, Py_ssize_t columns, Py_ssize_t xh,
                                  Py_ssize_t xw, Py_ssize_t most) noexcept nogil:
    """From each row before this one, `most` numbers may be read: its own, and those of rows that
    follow it."""
    if xw != 1:
        return 0
    if xh == columns:
        return rows + 1 - ceil_div(most, columns)
    return rows if most <= columns else 0


cdef bint plan_dots(DotBands* plan, const WeightGradient* g) noexcept nogil:
    """Whether bands are worth it and fit their place, which does not depend on how x and dy lie."""
    cdef const Axis* rows = &g.rows
    cdef const Axis* columns = &g.columns
    cdef Py_ssize_t taps = rows.taps * columns.taps, room, fitting, first, last, most, b
    if leaves_bands(g) or taps < 4 or taps > DOT_MOST or rows.stride > DOT_STRIDE \
            or columns.stride > DOT_STRIDE or columns.outputs > DOT_NUMBERS \
            or rows.dilation > DOT_NUMBERS or columns.dilation > DOT_NUMBERS:
        return False
    plan.g = g
    plan.below = (rows.taps - 1) * rows.dilation // rows.stride
    plan.pitch = columns.outputs + (columns.taps - 1) * columns.dilation // columns.stride
    room = (DOT_NUMBERS // (rows.stride * columns.stride) - 2 * VL) // plan.pitch - 1
    fitting = room - plan.below
    if fitting < min(rows.outputs, <Py_ssize_t> 2):
        return False
    plan.rows = ceil_div(rows.outputs, ceil_div(rows.outputs, fitting))
    plan.blocks = LONGEST_CHAIN - min(<Py_ssize_t> DOT_BLOCK, ceil_div(plan.rows * plan.pitch, VL))
    plan.own = plan_line(g.yw, 0, columns.outputs, plan.pitch)
    plan.own_whole = whole_rows(rows.outputs, columns.outputs, g.yh, g.yw, plan.own.vectors * VL)
    most = 0
    for b in range(columns.stride):
        first = clamp(ceil_div(-columns.offset - b, columns.stride), 0, plan.pitch)
        last = clamp(floor_div(columns.inputs - 1 - columns.offset - b, columns.stride) + 1,
                     first, plan.pitch)
        plan.lines[b] = plan_line(columns.stride * g.xw, first, last, plan.pitch)
        most = max(most, last)
    # the first odd column of the map is at most one place before its first even one
    plan.lines[0].vectors = ceil_div(most - plan.lines[0].first, VL)
    most = columns.offset + (plan.lines[0].first + plan.lines[0].vectors * VL) * columns.stride
    plan.whole = whole_rows(rows.inputs, columns.inputs, g.xh, g.xw, most)
    plan.taps, plan.parts = taps, ceil_div(taps, DOT_TAPS)
    return True


cdef inline Py_ssize_t phase_size(const DotBands* plan, Py_ssize_t rows) noexcept nogil:
    """Numbers from one phase of `rows` outputs to the next.  A row and a vector of zeros follow
    each phase, and stores may reach one vector beyond these."""
    return (rows + plan.below + 1) * plan.pitch + 2 * VL


cdef inline void lay_zeros(real* to, Py_ssize_t vectors) noexcept nogil:
    cdef Py_ssize_t v
    for v in range(vectors):
        vstore(to + v * VL, vzero())


cdef inline void lay_singles(Line at, const real* line, real* to) noexcept nogil:
    cdef Py_ssize_t j
    for j in range(at.first, at.last):
        to[j] = line[j * at.step]
    lay_zeros(to + at.last, at.zeros)


cdef void lay_rows(Line at, const real* x, Py_ssize_t h, Py_ssize_t down, Py_ssize_t count,
                   Py_ssize_t xh, Py_ssize_t inputs, Py_ssize_t whole, real* to) noexcept nogil:
    """Lay out `count` rows of x from row h on, each `down` rows below the one before it.

    to[j] = row[j * step] for first <= j < last, and zero elsewhere.  After the last row there are
    zeros as far as a tap may read.  Rows before `whole` may be read in whole vectors.
    """
    cdef const real* line = x + h * xh
    cdef Py_ssize_t u, j
    lay_zeros(to, ceil_div(at.first, VL))
    for u in range(count):
        if h < 0 or h >= inputs:
            lay_zeros(to + at.first, ceil_div(at.pitch, VL))
        elif h < whole:
            for j in range(at.vectors):
                vstore(to + at.first + j * VL, vload(line + at.first + j * VL))
            lay_zeros(to + at.last, at.zeros)
        else:
            lay_singles(at, line, to)
        h, line, to = h + down, line + down * xh, to + at.pitch
    lay_zeros(to, ceil_div(at.pitch + VL, VL))


cdef void lay_pairs(Line even, Line odd, const real* x, Py_ssize_t h, Py_ssize_t count,
                    Py_ssize_t xh, Py_ssize_t inputs, Py_ssize_t whole, real* to,
                    real* to_odd) noexcept nogil:
    """The same for every other row, for both phases of the columns at once."""
    cdef const real* line = x + h * xh
    cdef Py_ssize_t u, v, j
    cdef vreal a, b
    lay_zeros(to, ceil_div(even.first, VL))
    lay_zeros(to_odd, ceil_div(odd.first, VL))
    for u in range(count):
        if h < 0 or h >= inputs:
            lay_zeros(to + even.first, ceil_div(even.pitch, VL))
            lay_zeros(to_odd + odd.first, ceil_div(odd.pitch, VL))
        elif h < whole:
            for v in range(even.vectors):
                j = even.first + v * VL
                a, b = vload(line + 2 * j), vload(line + 2 * j + VL)
                vstore(to + j, vevens(a, b))
                vstore(to_odd + j, vodds(a, b))
            if odd.first < even.first:
                to_odd[odd.first] = line[2 * odd.first + 1]
            lay_zeros(to + even.last, even.zeros)
            lay_zeros(to_odd + odd.last, odd.zeros)
        else:
            lay_singles(even, line, to)
            lay_singles(odd, line + odd.step // 2, to_odd)
        h, line = h + 2, line + 2 * xh
        to, to_odd = to + even.pitch, to_odd + even.pitch
    lay_zeros(to, ceil_div(even.pitch + VL, VL))
    lay_zeros(to_odd, ceil_div(odd.pitch + VL, VL))


cdef void lay_phases(const DotBands* plan, const real* x, Py_ssize_t top, Py_ssize_t rows,
                     real* to) noexcept nogil:
    """Lay out each phase of the rows of x that `rows` rows of outputs see, from row `top` on."""
    cdef const WeightGradient* g = plan.g
    cdef Py_ssize_t step = g.columns.stride, size = phase_size(plan, rows), a, b, h
    cdef Py_ssize_t count = rows + plan.below
    x = x + g.columns.offset * g.xw
    for a in range(g.rows.stride):
        h = top * g.rows.stride + g.rows.offset + a
        if step == g.rows.stride == 2:
            lay_pairs(plan.lines[0], plan.lines[1], x, h, count, g.xh, g.rows.inputs, plan.whole,
                      to, to + size)
            to = to + 2 * size
            continue
        for b in range(step):
            lay_rows(plan.lines[b], x + b * g.xw, h, g.rows.stride, count, g.xh, g.rows.inputs,
                     plan.whole if step == 1 else 0, to)
            to = to + size


cdef inline Py_ssize_t lay_gradient(const DotBands* plan, const real* dy, Py_ssize_t top,
                                    Py_ssize_t rows, real* to) noexcept nogil:
    """Lay out the rows of dy from `top` on; return how many vectors they are."""
    lay_rows(plan.own, dy, top, 1, rows, plan.g.yh, plan.g.rows.outputs, plan.own_whole, to)
    return ceil_div(rows * plan.pitch, VL)


cdef struct DotBlock:                      # at least one vector of a band
    const real* x                          # of tap 0
    const real* dy
    Py_ssize_t vectors
    const real* x_ahead                    # what is laid out two bands later
    const real* dy_ahead


cdef inline void dot_tile(const int taps, const bint asks, const DotBlock* block,
                          const Py_ssize_t* places, vreal* total) noexcept nogil:
    """total[taps] += the products of a block.  If it `asks`, the numbers ahead are prefetched."""
    cdef vreal acc[DOT_TILE]
    cdef const real* from_[DOT_TILE]
    cdef const real* dy = block.dy
    cdef const real* x_ahead = block.x_ahead
    cdef const real* dy_ahead = block.dy_ahead
    cdef vreal d
    cdef Py_ssize_t j = 0, end = block.vectors * VL
    cdef int t
    for t in range(taps):
        from_[t] = vapart(block.x + places[t])
        acc[t] = vzero()
    while True:
        if asks:
            vprefetch(x_ahead + j)
            vprefetch(dy_ahead + j)
        d = vload(dy + j)
        for t in range(taps):
            acc[t] = vadd_product(acc[t], d, vload(from_[t] + j))
        j += VL
        if j == end:
            break
    for t in range(taps):
        total[t] = total[t] + acc[t]


ctypedef void (*dot_tile_t)(const void*, const void*, const DotBlock* block,
                            const Py_ssize_t* places, vreal* total) noexcept nogil

ctypedef fused asks_after:                 # 1 more than whether it asks
    n1
    n2


cdef void dot_tile_of(const asks_after* _, const width* __, const DotBlock* block,
                      const Py_ssize_t* places, vreal* total) noexcept nogil:
    if sizeof(width) <= DOT_TILE and DOT_BANDS:
        dot_tile(<int> sizeof(width), sizeof(asks_after) == 2, block, places, total)


cdef dot_tile_t dot_tiles[2][10]
dot_tiles[0][:] = [
    NULL, <dot_tile_t> dot_tile_of[n1, n1], <dot_tile_t> dot_tile_of[n1, n2],
    <dot_tile_t> dot_tile_of[n1, n3], <dot_tile_t> dot_tile_of[n1, n4],
    <dot_tile_t> dot_tile_of[n1, n5], <dot_tile_t> dot_tile_of[n1, n6],
    <dot_tile_t> dot_tile_of[n1, n7], <dot_tile_t> dot_tile_of[n1, n8],
    <dot_tile_t> dot_tile_of[n1, n9],
]
dot_tiles[1][:] = [
    NULL, <dot_tile_t> dot_tile_of[n2, n1], <dot_tile_t> dot_tile_of[n2, n2],
    <dot_tile_t> dot_tile_of[n2, n3], <dot_tile_t> dot_tile_of[n2, n4],
    <dot_tile_t> dot_tile_of[n2, n5], <dot_tile_t> dot_tile_of[n2, n6],
    <dot_tile_t> dot_tile_of[n2, n7], <dot_tile_t> dot_tile_of[n2, n8],
    <dot_tile_t> dot_tile_of[n2, n9],
]


cdef struct Dots:                          # the sums of an item: some taps of a filter and channel
    Py_ssize_t first, taps                 # `first` is one of the taps of all filters
    Py_ssize_t tiles
    Py_ssize_t bounds[DOT_TAPS]            # tile t has the taps bounds[t] .. bounds[t + 1]
    vreal total[DOT_TAPS]
    double sums[DOT_TAPS * VL]
    Py_ssize_t places[DOT_TAPS]
    Py_ssize_t placed                      # rows of the band that these places are for
    Py_ssize_t left                        # blocks that are left before totals are added to sums
    bint lasting                           # whether totals have been added to sums


cdef struct Band:                          # a band that is laid out
    Py_ssize_t item, rows
    DotBlock whole                         # all of it
    bint last                              # whether it is the last band of its item


cdef void begin_dots(const DotBands* plan, Dots* dots, Py_ssize_t item) noexcept nogil:
    cdef Py_ssize_t part = item % plan.parts, t
    cdef Py_ssize_t first = part * plan.taps // plan.parts
    dots.first = item // plan.parts * plan.taps + first
    dots.taps = (part + 1) * plan.taps // plan.parts - first
    dots.lasting, dots.left = False, plan.blocks
    dots.tiles = ceil_div(dots.taps, DOT_TILE)
    for t in range(dots.tiles + 1):
        dots.bounds[t] = t * dots.taps // dots.tiles
    if plan.parts > 1:
        dots.placed = 0
    for t in range(dots.taps):
        dots.total[t] = vzero()


cdef void place_in_phases(const DotBands* plan, Py_ssize_t rows, Dots* dots) noexcept nogil:
    """Find where the taps are in the phases of `rows` rows of outputs."""
    cdef const WeightGradient* g = plan.g
    cdef Py_ssize_t t, row, column, tap = dots.first % plan.taps
    dots.placed = rows
    for t in range(dots.taps):
        row = (tap + t) // g.columns.taps * g.rows.dilation
        column = (tap + t) % g.columns.taps * g.columns.dilation
        dots.places[t] = \
            (row % g.rows.stride * g.columns.stride + column % g.columns.stride) \
            * phase_size(plan, rows) + row // g.rows.stride * plan.pitch \
            + column // g.columns.stride


cdef void finish_dots(const DotBands* plan, Dots* dots) noexcept nogil:
    """Write dweight.  If it is not finite, compute it again without the padding."""
    cdef const WeightGradient* g = plan.g
    cdef real* to = g.dweight + dots.first
    cdef int taps = <int> dots.taps, t
    if dots.lasting:
        add_totals(taps, dots.total, dots.sums)
        for t in range(taps):
            dots.total[t] = vlong(dots.sums + t * VL)
    for t in range(taps):
        to[t] = vsum(dots.total[t])
    if not all_finite(to, taps):
        dot_planes(<void*> g, dots.first, dots.first + taps)


cdef void dot_band(const DotBands* plan, const Band* band, Dots* dots) noexcept nogil:
    """Add the products of a band, and write dweight after the last band of an item."""
    cdef Py_ssize_t first, t, k
    cdef DotBlock block
    if band.rows != dots.placed:
        place_in_phases(plan, band.rows, dots)
    for first from 0 <= first < band.whole.vectors by DOT_BLOCK:
        block.x, block.x_ahead = band.whole.x + first * VL, band.whole.x_ahead + first * VL
        block.dy, block.dy_ahead = band.whole.dy + first * VL, band.whole.dy_ahead + first * VL
        block.vectors = min(<Py_ssize_t> DOT_BLOCK, band.whole.vectors - first)
        if dots.left == 0:
            if not dots.lasting:
                memset(dots.sums, 0, dots.taps * VL * sizeof(double))
            dots.lasting = True
            add_totals(<int> dots.taps, dots.total, dots.sums)
            dots.left = plan.blocks
        dots.left -= 1
        for t in range(dots.tiles):
            k = dots.bounds[t]
            # more tiles take longer than what they ask for, which would come too early
            dot_tiles[dots.tiles == 1][dots.bounds[t + 1] - k](
                NULL, NULL, &block, dots.places + k, dots.total + k)
    if band.last:
        finish_dots(plan, dots)
        begin_dots(plan, dots, band.item + 1)


cdef void dot_bands(void* args, Py_ssize_t begin, Py_ssize_t end) noexcept nogil:
    """Items are (filter of all groups, channel of the group, part of the taps).

    Each band is laid out before the previous band is multiplied: loads that are not aligned with
    recent stores have to wait until these have left the processor's store buffer.
    """
    cdef const DotBands* plan = <const DotBands*> args
    cdef const WeightGradient* g = plan.g
    cdef vreal phases[2][DOT_MEMORY]
    cdef vreal gradients[2][DOT_MEMORY]
    cdef Band bands[2]
    cdef Dots dots
    cdef Band* band
    cdef Py_ssize_t item, plane, k, n, i, rows
    cdef int at = 0
    cdef bint pending = False
    cdef const real* x
    cdef const real* dy
    dots.placed = 0
    begin_dots(plan, &dots, begin)
    for item in range(begin, end):
        plane = item if plan.parts == 1 else item // plan.parts
        k = plane // g.C if g.C > 1 else plane
        x = g.x + (plane if g.C == g.K == 1 else k // g.K * g.C + plane % g.C) * g.xc
        dy = g.dy + k * g.yk
        for n in range(g.N):
            i = 0
            while i < g.rows.outputs:
                rows = min(plan.rows, g.rows.outputs - i)
                band = &bands[at]
                lay_phases(plan, x, i, rows, <real*> phases[at])
                band.whole.vectors = lay_gradient(plan, dy, i, rows, <real*> gradients[at])
                band.whole.x, band.whole.dy = <real*> phases[at], <real*> gradients[at]
                band.whole.x_ahead = x + (i + 2 * plan.rows) * g.rows.stride * g.xh
                band.whole.dy_ahead = dy + (i + 2 * plan.rows) * g.yh
                band.item, band.rows = item, rows
                band.last = n + 1 == g.N and i + rows == g.rows.outputs
                at = 1 - at
                if pending:
                    dot_band(plan, &bands[at], &dots)
                pending = True
                i += rows
            x, dy = x + g.xn, dy + g.yn
    if pending:
        dot_band(plan, &bands[1 - at], &dots)
