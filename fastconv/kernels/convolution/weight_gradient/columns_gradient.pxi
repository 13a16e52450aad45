# The gradient of the weights for few channels, whose tile would have too few rows: here the sides
# of the tile are exchanged.  Taps are in the lanes, filters are the "pixels", and dy is read as it
# lies.  Sums are added where they lie, as in points_gradient.pxi.
#
#   x, <= CHUNK outputs  -- unfolded -->  chunk[pixel][LANES taps]   (stack): in turned blocks, from
#                                         a strip with zeros around it, or by rows of the kernel
#   partial[k][tap] += sum over pixels of dy[k, pixel] * chunk[pixel][tap]
#
# The order of the sum is that of gradient.pxi.  The padding is multiplied as zeros, which changes
# no bit if dy is finite; for any other dy the caller takes gradient.pxi.

cdef struct Segment:                       # neighbouring taps of a kernel row
    Py_ssize_t x, channel, row, column     # place of the first tap, from the window's corner
    Py_ssize_t lane, count
    lanes_t lanes


cdef int cut_taps(const WeightGradient* g, Py_ssize_t first, Py_ssize_t last,
                  Segment* segments) noexcept nogil:
    """Cut the taps first .. last of all channels into segments; return how many there are."""
    cdef Py_ssize_t S = g.columns.taps
    cdef Py_ssize_t tap = first
    cdef int n = 0
    while tap < last:
        segments[n].channel = tap // S // g.rows.taps
        segments[n].row = tap // S % g.rows.taps * g.rows.dilation
        segments[n].column = tap % S * g.columns.dilation
        segments[n].x = segments[n].channel * g.xc + segments[n].row * g.xh \
            + segments[n].column * g.xw
        segments[n].lane = tap - first
        segments[n].count = min(min(S - tap % S, last - tap), <Py_ssize_t> VL)
        segments[n].lanes = lanes_between(0, segments[n].count)
        tap += segments[n].count
        n += 1
    return n


cdef void unfold_edge(const WeightGradient* g, const Segment* at, const real* line,
                      Py_ssize_t left, Py_ssize_t right, real* to) noexcept nogil:
    """Write the segment for the pixels left .. right of a row, testing every tap."""
    cdef Py_ssize_t j, column, first, last
    for j in range(left, right):
        column = j * g.columns.stride + g.columns.offset + at.column
        first = clamp(ceil_div(-column, g.columns.dilation), 0, at.count)
        last = clamp(floor_div(g.columns.inputs - 1 - column, g.columns.dilation) + 1, first,
                     at.count)
        vstore_n(to + (j - left) * LANES,
                 vload_lanes(line + j * g.columns.stride * g.xw, g.columns.dilation * g.xw,
                             first, last), min(<Py_ssize_t> VL, LANES - at.lane))


cdef void unfold_segment(const WeightGradient* g, const Segment* at, const real* x,
                         Py_ssize_t top, Py_ssize_t bottom, Py_ssize_t left, Py_ssize_t right,
                         real* to) noexcept nogil:
    """Write the segment for every pixel of a chunk, with zeros in the lanes after it."""
    cdef Py_ssize_t room = min(<Py_ssize_t> VL, LANES - at.lane)
    cdef Py_ssize_t step = g.columns.dilation * g.xw
    cdef Py_ssize_t reach = (at.count - 1) * g.columns.dilation
    cdef Py_ssize_t i, j, row, column, first, last
    cdef const real* line
    to += at.lane
    for i in range(top, bottom):
        row = i * g.rows.stride + g.rows.offset
        line = x + at.x + row * g.xh + g.columns.offset * g.xw
        if not 0 <= row + at.row < g.rows.inputs:
            for j in range(left, right):
                vstore_n(to, vzero(), room)
                to += LANES
            continue
        first = right
        last = right
        if step == 1:  # first .. last are the windows inside the map
            column = g.columns.offset + at.column
            first = clamp(ceil_div(-column, g.columns.stride), left, right)
            last = clamp(floor_div(g.columns.inputs - 1 - reach - column, g.columns.stride) + 1,
                         first, right)
        unfold_edge(g, at, line, left, first, to)
        for j in range(first, last):
            vstore_n(to + (j - left) * LANES, vload_where(line + j * g.columns.stride, at.lanes),
                     room)
        unfold_edge(g, at, line, last, right, to + (last - left) * LANES)
        to += (right - left) * LANES


cdef inline bint turns_taps(const WeightGradient* g, Py_ssize_t width) noexcept nogil:
    """Whether `turn_taps` unfolds chunks of such rows, and the strips of all chunks fit."""
    return TURNS_BLOCKS and g.columns.stride == 1 and width >= BLOCK and strips_fit(g)


cdef void turn_taps(const WeightGradient* g, const Segment* segments, int cuts, const real* x,
                    Py_ssize_t top, Py_ssize_t bottom, Py_ssize_t left, Py_ssize_t right,
                    Py_ssize_t lanes, real* strip, real* to) noexcept nogil:
    """Write all segments for every pixel of a chunk.

    In a strip with zeros for the padding each tap of a row of pixels is a row of numbers.  BLOCK
    pixels of VL taps are turned at a time; lanes without a tap repeat the first tap.
    """
    cdef const real* rows_of[LANES]
    cdef vreal turned[BLOCK]
    cdef const Segment* at
    cdef Py_ssize_t width = right - left, columns = reach(&g.columns, width)
    cdef Py_ssize_t rows = reach(&g.rows, bottom - top), i, j, lane, place
    cdef int c, t
    lay_strip(g, x, top * g.rows.stride + g.rows.offset, rows,
              left * g.columns.stride + g.columns.offset, columns, strip)
    for lane in range(lanes):
        rows_of[lane] = strip
    for c in range(cuts):
        at = &segments[c]
        for t in range(<int> at.count):
            rows_of[at.lane + t] = strip + (at.channel * rows + at.row) * columns + at.column \
                + t * g.columns.dilation
    for i in range(bottom - top):
        for j from 0 <= j < width by BLOCK:
            place = min(j, width - BLOCK)
            for lane from 0 <= lane < lanes by VL:
                vturn_rows(rows_of + lane, i * g.rows.stride * columns + place, turned)
                for t in range(BLOCK):
                    vstore(to + (place + t) * LANES + lane, turned[t])
        to += width * LANES


cdef void add_columns(void* args, Py_ssize_t begin, Py_ssize_t end) noexcept nogil:
    """Items are (partial sum, group, block of filters, panel of taps), as in points_gradient.pxi.

    The chunks are those of `add_partial_sums`.  Each block of filters unfolds its panel again, and
    the number of blocks changes no sum.
    """
    cdef const WeightGradient* g = <const WeightGradient*> args
    cdef vreal chunk_memory[CHUNK * NV]
    cdef real* chunk = <real*> chunk_memory
    cdef real strip[STRIP_NUMBERS]
    cdef Segment segments[LANES]
    cdef vreal total[TILE * NV]
    cdef Py_ssize_t places[TILE]
    cdef Steps steps
    cdef Py_ssize_t taps = g.C * g.rows.taps * g.columns.taps
    cdef Py_ssize_t panels = (taps + LANES - 1) // LANES
    cdef Py_ssize_t item, rest, group, share, k, last, n, filter, tap, count, tiles, t
    cdef Py_ssize_t at, end_, run, top, bottom, left, right
    cdef bint fresh
    cdef const real* x
    cdef const real* dy
    cdef real* partial
    cdef int cuts, c, vectors
    for c in range(TILE):
        places[c] = c * g.yk
    for item in range(begin, end):
        tap = item % panels * LANES
        rest = item // panels
        k = rest % g.blocks * g.K // g.blocks
        last = (rest % g.blocks + 1) * g.K // g.blocks
        count = min(<Py_ssize_t> LANES, taps - tap)
        vectors = 1 if count <= VL else NV
        cuts = cut_taps(g, tap, tap + count, segments)
        rest //= g.blocks
        group = rest % g.groups
        share = rest // g.groups
        tiles = (last - k + TILE - 1) // TILE
        run = chunks_now(&g.rounds, share, &at, &end_)
        for at in range(at, end_):
            n = chunk_place(g, at, &top, &bottom, &left, &right)
            fresh = begins_anew(&g.rounds, run, at)
            x = g.x + n * g.xn + group * g.C * g.xc
            steps = cut_steps(bottom - top, right - left, g.yh, g.yw, not g.rounds.several)
            if turns_taps(g, right - left):
                turn_taps(g, segments, cuts, x, top, bottom, left, right, vectors * VL, strip,
                          chunk)
            else:
                for c in range(cuts):
                    unfold_segment(g, &segments[c], x, top, bottom, left, right, chunk)
            for t in range(tiles):
                filter = k + t * (last - k) // tiles
                c = <int> (k + (t + 1) * (last - k) // tiles - filter)
                dy = g.dy + n * g.yn + (group * g.K + filter) * g.yk + top * g.yh + left * g.yw
                prefetch_chunk(g, dy + c * g.yk, bottom - top, right - left, c)
                partial = g.partial + ((share * g.groups + group) * g.K + filter) * taps + tap
                add_steps(c, vectors, dy, places, chunk, &steps, True, <real*> total, vectors * VL)
                add_filters(partial, taps, total, c, vectors, count, fresh)
            if g.rounds.sums == 1 and at + 1 == run_start(&g.rounds, run + 1):
                join_run(g, run, group * g.K + k, group * g.K + last, tap, count)
                run += 1
