# Forward convolution from a strip of the map that is laid out anew, in tiles whose pixels may lie
# anywhere in it.  It is for narrow maps, strides and 1x1, where rows do not fill tiles.
#
#     the map                 the strip, with zeros for the padding      a tile of six pixels
#     x x x x x x x           0 0 0 0 0 0 0 0 0                          takes the last ones of a
#     x x x x x x x    ->     0 x x x x x x x 0                          row and the first of the
#     x x x x x x x           0 x x a b c d e 0                          next: a b c d e f, each
#                             0 f x x x x x x 0                          with a place of its own
#
# A strip is laid out once, for some channels at a time, and serves several panels of filters.
# So it is in the L1, its rows are in few pages, and weights are read once for all its pixels.
# A small map without padding that 1x1 kernels meet lies as its strip would, and is not laid out.
# Kernel rows that meet nothing but the padding in a whole strip are left out.
#
# Sums have the order of convolution.pxi.  A zero of the padding times a finite weight changes no
# bit of them.  Where a result is not finite, the outputs of the strip are computed again without
# the padding.

cdef extern from *:
    """
    enum { FLAT_PIXELS = 60,                         /* of a strip, about */
           FLAT_NUMBERS = (32 << 10) / sizeof(real), /* of a strip, in all its channels */
           FLAT_LEAST = 8,                           /* least channels of a strip, if there are */
           FLAT_TOTALS = (64 << 10) / sizeof(real),  /* sums of its pixels and panels */
           FLAT_MEMORY = FLAT_NUMBERS / VL + 1,      /* vectors: the last may reach beyond */
           FLAT_SUMS = FLAT_TOTALS / VL,
           FLAT_CHANNELS = 256,                      /* of 1x1: with so many, pixels fill the L1 */
           FLAT_TILE = TILE < 12 ? TILE : 1,         /* larger tiles lack registers for places */
           FLAT_AHEAD = 4,                           /* how many channels ahead is prefetched, */
           FLAT_PLANE = 1280,                        /* if they are so many bytes apart */
           MASKS = VL * sizeof(real) >= 32 };        /* a rest is loaded as one vector */
    """
    enum: FLAT_PIXELS
    enum: FLAT_NUMBERS
    enum: FLAT_LEAST
    enum: FLAT_TOTALS
    enum: FLAT_MEMORY
    enum: FLAT_SUMS
    enum: FLAT_CHANNELS
    enum: FLAT_TILE
    enum: FLAT_AHEAD
    enum: FLAT_PLANE
    enum: MASKS

cdef struct Flat:
    const Convolution* c
    Py_ssize_t height, width               # outputs of a strip, at the most
    Py_ssize_t row_blocks, column_blocks
    Py_ssize_t panels, panel_blocks        # panels of an item, and how many blocks these make
    Py_ssize_t channels                    # channels that are laid out at one time
    Py_ssize_t down, across                # from one output to the next, in rows and columns
    Py_ssize_t rows, pitch                 # rows of a channel's strip, numbers of a row
    bint padded
    bint in_place                          # whether maps lie as their strips would

cdef struct FlatNest:
    Py_ssize_t channels, rows, taps        # iterations, outermost first
    Py_ssize_t xc, xh                      # how far the pixels move
    Py_ssize_t skip                        # weights of a channel in rows that are left out
    bint resume                            # whether the block of the sum goes on from `waiting`
    bint ends, fresh                       # whether that block ends here, and is the first


cdef vreal no_sums[TILE * NV]             # zeros, from which a block begins


cdef inline void flat_step(const int pixels, const real** x, Py_ssize_t at, const real** w,
                           vreal* acc) noexcept nogil:
    cdef vreal weights[NV]
    cdef vreal pixel
    cdef int p, v
    for v in range(NV):
        weights[v] = vload(w[0] + v * VL)
    for p in range(pixels):
        pixel = vset1(x[p][at])
        for v in range(NV):
            acc[p * NV + v] = vadd_product(acc[p * NV + v], pixel, weights[v])
    w[0] = w[0] + LANES


cdef inline void flat_tile(const int pixels, const int taps, const real* x,
                           const Py_ssize_t* places, const real* w, const FlatNest* nest,
                           vreal* waiting, vreal* total) noexcept nogil:
    """As `tile` for one panel, with pixels at x + places[p].  `taps` is how many taps a kernel row
    has, or 0 if only `nest` knows it."""
    cdef vreal acc[TILE * NV]
    cdef const real* from_[TILE]
    cdef Py_ssize_t c, r, s, at
    cdef Py_ssize_t channel_at = 0, row_at     # by additions, see `edge_tile`
    cdef const vreal* begin = waiting if nest.resume else no_sums
    cdef int p
    for p in range(pixels):
        from_[p] = vapart(x + places[p])   # else GCC adds them as vectors, and takes these apart
    for p in range(pixels * NV):
        acc[p] = begin[p]
    c = 0
    while True:
        r = 0
        row_at = channel_at
        while True:
            at = vapart_at(row_at)
            if taps:
                for s in range(taps):
                    flat_step(pixels, from_, at + s, &w, acc)
            else:
                s = 0
                while True:
                    flat_step(pixels, from_, at, &w, acc)
                    at = at + 1
                    s += 1
                    if s == nest.taps:
                        break
            row_at = row_at + nest.xh
            r += 1
            if taps == 1 or r == nest.rows:  # with one tap there is one row
                break
        channel_at = channel_at + nest.xc
        if taps != 1:
            w = w + nest.skip
        c += 1
        if c == nest.channels:
            break
    if not nest.ends:
        for p in range(pixels * NV):
            waiting[p] = acc[p]
    elif nest.fresh:
        for p in range(pixels * NV):
            total[p] = vzero() + acc[p]
    else:
        for p in range(pixels * NV):
            total[p] = total[p] + acc[p]


ctypedef void (*flat_t)(const void*, const void*, const real* x, const Py_ssize_t* places,
                        const real* w, const FlatNest* nest, vreal* waiting,
                        vreal* total) noexcept nogil

ctypedef fused taps_after:                 # 1 more than the taps of a kernel row (0: any)
    n1
    n2
    n4


cdef void flat_tile_of(const narrow_width* _, const taps_after* __, const real* x,
                       const Py_ssize_t* places, const real* w, const FlatNest* nest,
                       vreal* waiting, vreal* total) noexcept nogil:
    if sizeof(narrow_width) <= FLAT_TILE:
        flat_tile(<int> sizeof(narrow_width), <int> sizeof(taps_after) - 1, x, places, w, nest,
                  waiting, total)


cdef flat_t flat_tiles[3][8]
flat_tiles[0][:] = [
    NULL, <flat_t> flat_tile_of[n1, n1], <flat_t> flat_tile_of[n2, n1],
    <flat_t> flat_tile_of[n3, n1], <flat_t> flat_tile_of[n4, n1], <flat_t> flat_tile_of[n5, n1],
    <flat_t> flat_tile_of[n6, n1], <flat_t> flat_tile_of[n7, n1],
]
flat_tiles[1][:] = [
    NULL, <flat_t> flat_tile_of[n1, n2], <flat_t> flat_tile_of[n2, n2],
    <flat_t> flat_tile_of[n3, n2], <flat_t> flat_tile_of[n4, n2], <flat_t> flat_tile_of[n5, n2],
    <flat_t> flat_tile_of[n6, n2], <flat_t> flat_tile_of[n7, n2],
]
flat_tiles[2][:] = [
    NULL, <flat_t> flat_tile_of[n1, n4], <flat_t> flat_tile_of[n2, n4],
    <flat_t> flat_tile_of[n3, n4], <flat_t> flat_tile_of[n4, n4], <flat_t> flat_tile_of[n5, n4],
    <flat_t> flat_tile_of[n6, n4], <flat_t> flat_tile_of[n7, n4],
]


cdef inline bint in_a_row(const Convolution* c) noexcept nogil:
    """Whether the pixels of all rows follow each other in x."""
    return c.columns.stride * c.xw == 1 and (
        c.rows.outputs == 1 or c.rows.stride * c.xh == c.columns.outputs)


cdef inline bint plan_flat(Flat* plan, const Convolution* c) noexcept nogil:
    """Whether a strip fits its buffer and is worth it; if so, cut the output into strips."""
    cdef Py_ssize_t height = c.rows.outputs, width = c.columns.outputs, size, each, most
    cdef bint small = c.R * c.S == 1
    if FLAT_TILE < 4 or c.taps_first or c.rows.dilation != 1 or c.columns.dilation != 1 \
            or c.K <= VL or c.R > FLAT_PIXELS or c.S > FLAT_PIXELS \
            or c.rows.stride > FLAT_PIXELS or c.columns.stride > FLAT_PIXELS:
        return False
    if small and (c.K < 2 * LANES or c.xw != 1 or height * width < FLAT_TILE
                  or c.C < FLAT_CHANNELS and c.columns.stride == 1):
        return False                       # little to gain, or single numbers to copy
    if not small and (c.columns.stride == 1 or c.S != 3) and edges_fit(c):
        return False                       # rows fill tiles
    plan.c = c
    plan.column_blocks = ceil_div(width, FLAT_PIXELS)
    width = min(width, ceil_div(ceil_div(width, plan.column_blocks), FLAT_TILE) * FLAT_TILE)
    plan.column_blocks = ceil_div(width if width > c.columns.outputs else c.columns.outputs, width)
    height = clamp(FLAT_PIXELS // width, 1, height)
    plan.row_blocks = ceil_div(c.rows.outputs, height)
    height = ceil_div(c.rows.outputs, plan.row_blocks)
    plan.row_blocks = ceil_div(c.rows.outputs, height)
    plan.height, plan.width = height, width
    plan.down = 1 if c.R == 1 else c.rows.stride
    plan.across = 1 if c.S == 1 else c.columns.stride
    plan.rows = (height - 1) * plan.down + c.R
    plan.pitch = (width - 1) * plan.across + c.S
    size = plan.rows * plan.pitch
    plan.channels = min(c.C, c.block)
    if size * min(plan.channels, <Py_ssize_t> FLAT_LEAST) > FLAT_NUMBERS:
        return False
    # a strip and the weights that it meets shall be in the L1 together, and with 1x1 also those of
    # the next panel, which are prefetched
    each = size + LANES * c.R * c.S * (2 if small else 1)    # numbers of a channel
    most = CACHES.l1 // <Py_ssize_t> sizeof(real) // each
    most = clamp(most, FLAT_LEAST, FLAT_NUMBERS // size)
    plan.channels = ceil_div(plan.channels, ceil_div(plan.channels, most))
    size = min(FLAT_TOTALS // (height * width * LANES),
               ITEM_WORK // (height * width * LANES * c.C * c.R * c.S))
    if size < 1:
        return False
    plan.panel_blocks = shared_blocks(ceil_div(c.panels, size), c.panels, c.groups * c.N
                                      * plan.row_blocks * plan.column_blocks, c.threads, 2)
    plan.panels = ceil_div(c.panels, plan.panel_blocks)
    plan.panel_blocks = ceil_div(c.panels, plan.panels)
    plan.padded = pads(&c.rows) or pads(&c.columns)
    plan.in_place = small and not plan.padded and in_a_row(c) \
        and plan.row_blocks == 1 and plan.column_blocks == 1 and c.xc == height * width
    return True


cdef inline void lay_out_row(const real* row, Py_ssize_t step, Py_ssize_t first, Py_ssize_t last,
                             Py_ssize_t count, Py_ssize_t seen, real* to) noexcept nogil:
    """to[j] = row[j * step] for first <= j < last, else 0, for j < count.

    Whole vectors are written.  `seen` numbers of the row may be read.
    """
    cdef Py_ssize_t j
    for j from 0 <= j < first by VL:
        vstore(to + j, vzero())
    if step == 1 and last - first >= VL:
        for j from first <= j <= last - VL by VL:
            vstore(to + j, vload(row + j))
        vstore(to + last - VL, vload(row + last - VL))
    elif MASKS and step == 1:
        vstore(to + first, vload_n(row + first, last - first))
    else:
        j = first
        while step == 2 and j + VL <= last and 2 * (j + VL) <= seen:
            vstore(to + j, vevens(vload(row + 2 * j), vload(row + 2 * j + VL)))
            j += VL
        if MASKS and step == 2 and j < last:  # at most as many as `seen` has left
            vstore(to + j, vevens(vload_n(row + 2 * j, seen - 2 * j),
                                  vload_n(row + 2 * j + VL, seen - 2 * j - VL)))
            j += VL
        while j < last:
            to[j] = row[j * step]
            j += 1
    for j from last <= j < count by VL:
        vstore(to + j, vzero())


cdef void lay_out_strip(const Flat* plan, const real* x, Py_ssize_t channels, Py_ssize_t top,
                        Py_ssize_t rows, Py_ssize_t left, real* to) noexcept nogil:
    """Lay out the strip of some channels.  x is the first channel; the strip's first output is in
    row `top` and column `left`.

    Where a kernel row has one tap, only every `step`-th number of a row is laid out.
    """
    cdef const Convolution* c = plan.c
    cdef Py_ssize_t channel, r, h, i, j, pitch = plan.pitch
    cdef Py_ssize_t down = c.rows.stride if c.R == 1 else 1
    cdef Py_ssize_t step = c.columns.stride if c.S == 1 else 1
    cdef Py_ssize_t column = left * c.columns.stride + c.columns.offset
    cdef Py_ssize_t seen = c.columns.inputs - column - 1   # from column to the last of a row
    cdef Py_ssize_t first = clamp(ceil_div(-column, step), 0, pitch)
    cdef Py_ssize_t last = clamp(floor_div(seen, step) + 1, first, pitch)
    cdef bint far = c.xw == 1 and c.xc * <Py_ssize_t> sizeof(real) >= FLAT_PLANE
    cdef const real* row
    seen = seen * c.xw + 1                 # in numbers
    if c.R * c.S == 1 and not plan.padded and pitch == c.columns.outputs and in_a_row(c):
        pitch, rows = rows * pitch, 1      # as one row
        last = seen = pitch
    for channel in range(channels):
        for r in range(rows):
            h = top * c.rows.stride + c.rows.offset + r * down
            if 0 <= h < c.rows.inputs:
                row = x + h * c.xh + column * c.xw
                if far:                    # the hardware does not foresee the rows of the next
                    for i from first * step <= i < last * step by CACHE_LINE:
                        vprefetch(row + FLAT_AHEAD * c.xc + i)
                lay_out_row(row, step * c.xw, first, last, pitch, seen, to)
            else:
                for j from 0 <= j < pitch by VL:
                    vstore(to + j, vzero())
            to = to + pitch
        x = x + c.xc


cdef void convolve_flat(void* args, Py_ssize_t begin, Py_ssize_t end) noexcept nogil:
    """Items are (group, block of panels, image, row block, column block); the last varies
    fastest."""
    cdef const Flat* plan = <const Flat*> args
    cdef const Convolution* c = plan.c
    cdef vreal strip_memory[FLAT_MEMORY]
    cdef vreal totals[FLAT_SUMS]
    cdef vreal waitings[FLAT_SUMS]
    cdef Py_ssize_t places[FLAT_PIXELS + TILE]
    cdef real* laid_out = <real*> strip_memory
    cdef const real* strip
    cdef Destination to
    cdef FlatNest nest
    cdef Py_ssize_t item, rest, left, top, n, panel, first_panel, group, panels, height, width
    cdef Py_ssize_t pixels, pieces, piece, channel, stop, count, i, k, first, last, lines, rows
    cdef Py_ssize_t r0, r1                 # the kernel rows that meet the map
    cdef Py_ssize_t panel_size = c.C * c.R * c.S * LANES
    cdef int kind = 1 if c.S == 1 and c.R == 1 else 2 if c.S == 3 else 0
    cdef const real* x
    cdef const real* w
    cdef const real* ahead
    cdef real* y
    cdef vreal* total
    cdef bint finite
    nest.taps, nest.xh = c.S, plan.pitch
    to.channel, to.pixel, to.relu, to.adds = c.yk, c.yw, c.relu, c.adds
    for item in range(begin, end):
        rest = item
        left = rest % plan.column_blocks * plan.width
        rest //= plan.column_blocks
        top = rest % plan.row_blocks * plan.height
        rest //= plan.row_blocks
        n = rest % c.N
        rest //= c.N
        first_panel = rest % plan.panel_blocks * plan.panels
        group = rest // plan.panel_blocks
        panels = min(plan.panels, c.panels - first_panel)
        height = min(plan.height, c.rows.outputs - top)
        width = min(plan.width, c.columns.outputs - left)
        pixels = height * width
        rows = (height - 1) * plan.down + c.R
        nest.xc = rows * plan.pitch
        taps_inside(&c.rows, top, &i, &r1)
        taps_inside(&c.rows, top + height - 1, &r0, &i)
        if r0 >= r1:
            r0, r1 = 0, c.R
        nest.rows, nest.skip = r1 - r0, (c.R - r1 + r0) * c.S * LANES
        pieces = (pixels + FLAT_TILE - 1) // FLAT_TILE
        for i in range(pixels):
            places[i] = i // width * plan.down * plan.pitch + i % width * plan.across
        x = c.x + n * c.xn + group * c.C * c.xc
        for channel from 0 <= channel < c.C by c.block:
            stop = min(channel + c.block, c.C)
            for k from channel <= k < stop by plan.channels:
                count = min(plan.channels, stop - k)
                strip = x + k * c.xc
                if not plan.in_place:
                    lay_out_strip(plan, strip, count, top, rows, left, laid_out)
                    strip = laid_out
                strip = strip + r0 * plan.pitch
                nest.channels, nest.resume, nest.ends = count, k > channel, k + count == stop
                nest.fresh = channel == 0
                lines = ceil_div(count * c.R * c.S * LANES, CACHE_LINE * pieces)
                for panel in range(panels):
                    w = c.w + (group * c.panels + first_panel + panel) * panel_size \
                        + k * c.R * c.S * LANES
                    # each tile prefetches its share of what comes next: of the next panel, or of
                    # the first panel's next channels
                    ahead = w + panel_size if panel + 1 < panels else \
                        w - panel * panel_size + count * c.R * c.S * LANES
                    last = 0
                    for piece in range(pieces):
                        first = last
                        last = (piece + 1) * pixels // pieces
                        for i in range(piece * lines, (piece + 1) * lines):
                            vprefetch(ahead + i * CACHE_LINE)
                        i = (panel * pixels + first) * NV
                        flat_tiles[kind][last - first](NULL, NULL, strip, places + first,
                                                       w + r0 * c.S * LANES, &nest, waitings + i,
                                                       totals + i)
        finite = not plan.padded or all_finite(<real*> totals, panels * pixels * LANES)
        for panel in range(panels):
            k = (first_panel + panel) * LANES
            y = c.y + n * c.yn + (group * c.K + k) * c.yk + top * c.yh + left * c.yw
            to.bias = c.bias + group * c.K + k if c.bias != NULL else NULL
            if not finite:
                w = c.w + (group * c.panels + first_panel + panel) * panel_size
                convolve_block(c, top, top + height, left, left + width, x,
                               y - top * c.yh - left * c.yw, w, NULL, to.bias, c.K - k,
                               1)
                continue
            total = totals + panel * pixels * NV
            if height == 1 or c.yh == width * c.yw:
                to.y = y
                store_tile(&to, total, <int> pixels, NV, c.K - k)
            else:
                for i in range(height):
                    to.y = y + i * c.yh
                    store_tile(&to, total + i * width * NV, <int> width, NV, c.K - k)


cdef inline Py_ssize_t flat_items(const Flat* plan) noexcept nogil:
    return plan.c.groups * plan.panel_blocks * plan.c.N * plan.row_blocks * plan.column_blocks
