# The gradient of the input from a strip of dy that is laid out anew by pixels.  It is done in tiles
# of pixels of dx, which may lie anywhere in the strip:
#
#     dy: a plane for each filter         the strip: a line for each pixel, zeros for the padding
#     k0  x x x x x x x                         k0 k1 k2 ...
#         x x x x x x x                   0,0    0  0  0         A tap is a sum over filters, which
#     k1  x x x x x x x            ->     0,1    x  x  x         now lie side by side; the pixels of
#         x x x x x x x                   0,2    x  x  x         a tile have a place each, as in
#     ...                                 ...                    flat.pxi.
#
# A strip serves several panels of channels.  With packed weights a strip has some rows, and is on
# the stack; pixel_panels.pxi has strips of whole small maps.
#
# Sums have the order of convolution.pxi.  A zero of the padding times a finite weight changes no
# bit of them.  Where a result is not finite, it is computed again without the padding.

cdef extern from *:
    """
    enum { DX_PIXELS = 96,                         /* most pixels of dx for a strip */
           DX_TOTALS = (16 << 10) / sizeof(real),  /* sums of its pixels and panels */
           DX_SUMS = DX_TOTALS / VL + TILE * NV,
           DY_NUMBERS = (76 << 10) / sizeof(real), /* numbers of dy on the stack */
           DY_VECTORS = DY_NUMBERS / VL,
           FEWEST_FILTERS = 48,                    /* with fewer, a tap is too short a sum */
           MANY_FILTERS = 256 };                   /* so many have lines that fill the L1 */
    """
    enum: DX_PIXELS
    enum: DX_TOTALS
    enum: DX_SUMS
    enum: DY_NUMBERS
    enum: DY_VECTORS
    enum: FEWEST_FILTERS
    enum: MANY_FILTERS

cdef struct PixelStrips:
    const Convolution* c                   # its x is dy, its y is dx, its channels are filters
    Py_ssize_t height, width               # pixels of dx for a strip, at the most
    Py_ssize_t row_blocks, column_blocks
    Py_ssize_t panels, panel_blocks        # panels of an item, and how many blocks these make
    Py_ssize_t down, across                # rows and columns of dy that taps reach beyond dx's
    Py_ssize_t pixel                       # numbers of a pixel of the strip


cdef inline Py_ssize_t pixel_numbers(Py_ssize_t filters) noexcept nogil:
    """Numbers from one pixel to the next: whole lines of cache and one more, so that pixels are not
    in the same set of the cache."""
    return (ceil_div(filters, LINE) + 1) * LINE


cdef inline void set_reach(PixelStrips* plan) noexcept nogil:
    cdef const Convolution* c = plan.c
    plan.down = (1 - c.rows.taps) * c.rows.dilation
    plan.across = (1 - c.columns.taps) * c.columns.dilation
    plan.pixel = pixel_numbers(min(c.C, c.block))


cdef bint cut_pixels(PixelStrips* plan) noexcept nogil:
    """Cut dx into blocks of rows and columns; return whether their strips fit the stack."""
    cdef Py_ssize_t height = plan.c.rows.outputs, width = plan.c.columns.outputs
    cdef Py_ssize_t fitting = DY_NUMBERS // plan.pixel  # pixels of dy
    cdef Py_ssize_t widest = min(fitting // (plan.down + 1) - plan.across, <Py_ssize_t> DX_PIXELS)
    if widest < PIXEL_TILE:
        return False
    plan.width = width
    if width > widest:                     # blocks of whole tiles, nearly equally wide
        plan.width = ceil_div(width, ceil_div(width, widest // PIXEL_TILE * PIXEL_TILE))
        plan.width = ceil_div(plan.width, PIXEL_TILE) * PIXEL_TILE
    plan.column_blocks = ceil_div(width, plan.width)
    plan.height = clamp(min(DX_PIXELS // plan.width,
                            fitting // (plan.width + plan.across) - plan.down), 1, height)
    plan.row_blocks = ceil_div(height, plan.height)
    plan.height = ceil_div(height, plan.row_blocks)
    plan.row_blocks = ceil_div(height, plan.height)
    return True


cdef bint plan_pixels(PixelStrips* plan, const Convolution* c) noexcept nogil:
    """Whether strips of dy on the stack are worth it; if so, cut dx and its channels."""
    cdef Py_ssize_t pixels, strip, least, most, shares
    if PIXEL_ASKS or PIXEL_TILE < 4 or c.K <= VL or c.xw != 1 or c.C < FEWEST_FILTERS \
            or c.rows.taps == 0 or c.columns.taps == 0:
        return False
    plan.c = c
    set_reach(plan)
    if not cut_pixels(plan):
        return False
    pixels = plan.height * plan.width
    strip = (plan.height + plan.down) * (plan.width + plan.across)
    # least panels for a strip: laying out a number takes as long as a pixel's step of the tile
    least = ceil_div(8 * strip, pixels * c.rows.taps * c.columns.taps)
    if pixels < 2 * PIXEL_TILE or 2 * c.panels < least:
        return False
    if fills_tiles(c.columns.inputs) and c.R * c.S > 1 and (
            pixels < 6 * PIXEL_TILE or strip > 3 * pixels
            or c.C < MANY_FILTERS and not share_sets(c.xc)):
        return False                       # whole rows are read in place as fast, or faster
    most = ITEM_WORK // (pixels * LANES * c.C * c.R * c.S)
    if c.C > c.block:
        most = min(most, DX_TOTALS // (pixels * LANES))
    if most < 1:
        return False
    # as many panels as leave some sixteen items for threads to share
    shares = ceil_div(c.panels * c.groups * c.N * plan.row_blocks * plan.column_blocks, 16)
    plan.panel_blocks = ceil_div(c.panels, clamp(max(least, shares), 1, most))
    plan.panels = ceil_div(c.panels, plan.panel_blocks)
    plan.panel_blocks = ceil_div(c.panels, plan.panels)
    return True


cdef inline Py_ssize_t pixel_items(const PixelStrips* plan) noexcept nogil:
    return plan.c.groups * plan.panel_blocks * plan.c.N * plan.row_blocks * plan.column_blocks


cdef void turn_run(const real* dy, Py_ssize_t plane, Py_ssize_t filters, Py_ssize_t count,
                   Py_ssize_t row, Py_ssize_t pixel, Py_ssize_t pitch, real* to) noexcept nogil:
    """Lay out `count` pixels that lie side by side.  They are rows of `row` pixels, which are
    `pitch` pixels apart in the strip."""
    cdef vreal block[VL]
    cdef Py_ssize_t k, i, j, column, numbers, n
    cdef Py_ssize_t jump = (pitch - row) * pixel
    cdef real* at
    for k from 0 <= k < filters by VL:
        numbers = min(<Py_ssize_t> VL, filters - k)
        for j in range(VL):
            if k + VL + j < filters:
                for i from 0 <= i < count by CACHE_LINE:
                    vprefetch(dy + (VL + j) * plane + i)
        at = to + k
        column = 0
        for i from 0 <= i < count by VL:
            n = min(<Py_ssize_t> VL, count - i)
            if n == VL and numbers == VL:
                for j in range(VL):
                    block[j] = vload(dy + j * plane + i)
            else:
                for j in range(VL):
                    block[j] = vload_n(dy + j * plane + i, n) if j < numbers else vzero()
            vtranspose(block)
            for j in range(VL):
                if j < n:
                    vstore(at, block[j])
                    at = at + pixel
                    column += 1
                    if column == row:
                        at = at + jump
                        column = 0
        dy = dy + VL * plane


cdef void clear_pixels(real* to, Py_ssize_t count) noexcept nogil:
    cdef Py_ssize_t i
    for i from 0 <= i < count by VL:
        vstore(to + i, vzero())


cdef void lay_out_pixels(const PixelStrips* plan, const real* dy, Py_ssize_t filters,
                         Py_ssize_t top, Py_ssize_t left, Py_ssize_t rows, Py_ssize_t pitch,
                         real* to) noexcept nogil:
    """Lay out the strip of some filters.  dy is the first filter, and (top, left) is the first
    pixel of the strip."""
    cdef const Convolution* c = plan.c
    cdef Py_ssize_t first = clamp(-left, 0, pitch)
    cdef Py_ssize_t last = clamp(c.columns.inputs - left, first, pitch)
    cdef Py_ssize_t begin = clamp(-top, 0, rows)
    cdef Py_ssize_t end = clamp(c.rows.inputs - top, begin, rows)
    cdef Py_ssize_t line = pitch * plan.pixel
    cdef Py_ssize_t r
    clear_pixels(to, begin * line)
    clear_pixels(to + end * line, (rows - end) * line)
    if first > 0 or last < pitch:
        for r in range(begin, end):
            clear_pixels(to + r * line, first * plan.pixel)
            clear_pixels(to + r * line + last * plan.pixel, (pitch - last) * plan.pixel)
    if begin == end or first == last:
        return
    dy = dy + (top + begin) * c.xh + (left + first)
    to = to + begin * line + first * plan.pixel
    if c.xh == last - first:
        turn_run(dy, c.xc, filters, (end - begin) * c.xh, c.xh, plan.pixel, pitch, to)
        return
    for r in range(end - begin):
        turn_run(dy + r * c.xh, c.xc, filters, last - first, last - first, plan.pixel, pitch,
                 to + r * line)


cdef inline void find_places(const PixelStrips* plan, Py_ssize_t height, Py_ssize_t width,
                             Py_ssize_t* places) noexcept nogil:
    """Find where each pixel of dx has its last tap in the strip: that tap is the first there."""
    cdef Py_ssize_t i, j
    for i in range(height):
        for j in range(width):
            places[i * width + j] = (i * (width + plan.across) + j) * plan.pixel


cdef void multiply_strip(const PixelStrips* plan, const real* strip, const Py_ssize_t* places,
                         Py_ssize_t pixels, Py_ssize_t pitch, const real* w, Py_ssize_t plane,
                         Py_ssize_t filters, bint fresh, Coming* coming,
                         vreal* totals) noexcept nogil:
    """totals[pixels] += the sums of all taps for one panel, whose taps are `plane` numbers
    apart.  Each tile prefetches its share of the next tap's weights, or of what is coming."""
    cdef const Convolution* c = plan.c
    cdef FlatNest nest
    cdef Py_ssize_t r, s, piece, first, last, i
    cdef Py_ssize_t pieces = (pixels + PIXEL_TILE - 1) // PIXEL_TILE
    cdef Py_ssize_t lines = ceil_div(filters * LANES, CACHE_LINE * pieces)
    cdef const real* x
    cdef const real* wt
    nest.channels, nest.rows, nest.taps, nest.xc, nest.xh = 1, 1, filters, 0, 0
    nest.skip = 0
    nest.resume, nest.ends, nest.fresh = False, True, fresh
    for r in range(c.rows.taps):
        for s in range(c.columns.taps):
            x = strip + ((plan.down + r * c.rows.dilation) * pitch
                         + plan.across + s * c.columns.dilation) * plan.pixel
            wt = w + ((c.rows.first + r * c.rows.every) * c.S
                      + c.columns.first + s * c.columns.every) * plane
            last = 0
            for piece in range(pieces):
                first = last
                last = (piece + 1) * pixels // pieces
                if PIXEL_ASKS:
                    pixel_tiles[last - first](NULL, x, places + first, wt, filters, nest.fresh,
                                              coming, totals + first * NV)
                    continue
                for i in range(piece * lines, (piece + 1) * lines):
                    vprefetch(wt + plane + i * CACHE_LINE)
                flat_tiles[0][last - first](NULL, NULL, x, places + first, wt, &nest, NULL,
                                            totals + first * NV)
            nest.fresh = False


cdef inline void prefetch_pixels(const Convolution* c, const real* y, Py_ssize_t height,
                                Py_ssize_t width, Py_ssize_t channels) noexcept nogil:
    """Prefetch the lines that will be written: they arrive while sums are computed."""
    cdef Py_ssize_t k, i, j
    for k in range(channels):
        for i in range(height):
            for j from 0 <= j < width * c.yw by CACHE_LINE:
                vprefetch_write(y + k * c.yk + i * c.yh + j)
            vprefetch_write(y + k * c.yk + i * c.yh + (width - 1) * c.yw)


cdef void store_pixels(const Convolution* c, const vreal* totals, real* y, Py_ssize_t height,
                      Py_ssize_t width, Py_ssize_t channels) noexcept nogil:
    cdef Destination to
    cdef Py_ssize_t i
    to.y, to.channel, to.pixel, to.bias = y, c.yk, c.yw, NULL
    to.relu, to.adds = False, False
    if height == 1 or c.yh == width * c.yw:
        store_tile(&to, totals, <int> (height * width), NV, channels)
        return
    for i in range(height):
        to.y = y + i * c.yh
        store_tile(&to, totals + i * width * NV, <int> width, NV, channels)


cdef void pixel_strips(void* args, Py_ssize_t begin, Py_ssize_t end) noexcept nogil:
    """The gradient from packed weights.  Items are (group, block of panels, image, row block,
    column block); the last varies fastest."""
    cdef const PixelStrips* plan = <const PixelStrips*> args
    cdef const Convolution* c = plan.c
    cdef vreal strip_memory[DY_VECTORS]
    cdef vreal totals[DX_SUMS]
    cdef Py_ssize_t places[DX_PIXELS]
    cdef real* strip = <real*> strip_memory
    cdef Py_ssize_t item, rest, left, top, n, panel, first_panel, group, panels, height, width
    cdef Py_ssize_t pixels, k, count, pitch, channels
    cdef Py_ssize_t panel_size = c.C * c.R * c.S * LANES
    cdef bint padded = c.rows.taps * c.columns.taps > 1
    cdef bint whole = c.C <= c.block
    cdef const real* dy
    cdef const real* w
    cdef real* y
    cdef vreal* total
    cdef Coming coming = nothing_comes()
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
        pitch = width + plan.across
        pixels = height * width
        find_places(plan, height, width, places)
        dy = c.x + n * c.xn + group * c.C * c.xc
        for k from 0 <= k < c.C by c.block:
            count = min(c.block, c.C - k)
            lay_out_pixels(plan, dy + k * c.xc, count, top + c.rows.offset - plan.down,
                           left + c.columns.offset - plan.across, height + plan.down, pitch,
                           strip)
            for panel in range(panels):
                w = c.w + (group * c.panels + first_panel + panel) * panel_size
                y = c.y + n * c.yn + (group * c.K + (first_panel + panel) * LANES) * c.yk \
                    + top * c.yh + left * c.yw
                channels = c.K - (first_panel + panel) * LANES
                total = totals + (0 if whole else panel * pixels * NV)
                if k + count == c.C:
                    prefetch_pixels(c, y, height, width, min(channels, <Py_ssize_t> LANES))
                multiply_strip(plan, strip, places, pixels, pitch, w + k * LANES, c.C * LANES,
                               count, k == 0, &coming, total)
                if k + count < c.C:
                    continue
                if padded and not all_finite(<real*> total, pixels * LANES):
                    convolve_block(c, top, top + height, left, left + width, dy,
                                   y - top * c.yh - left * c.yw, w, NULL, NULL, channels, 1)
                else:
                    store_pixels(c, total, y, height, width, channels)
