# Convolution with output channels in the lanes: the forward pass, the gradient of the input
# and the matrix product, all of them one walk over the output.
#
#      left  interior  right         In each rectangle the taps that fall inside the map
#     +----+----------+----+         are the same, so none is tested or multiplied by a
#  top|    |          |    |         padded zero.  The interior is cut into row tiles; the
#     +----+----------+----+         columns at the edge, one pixel wide, into tiles that
#     |    |          |    |         run down the rows.  Where at most two pixels at an edge
#     +----+----------+----+         miss taps, as in most forward passes, edges.pxi cuts whole
#     |    |          |    |         rows into tiles instead.
#     +----+----------+----+
#
# The order of every sum is fixed, whatever the tile.  A sum goes through blocks of `block` input
# channels.  Forward, a block goes through channels, rows and columns, in that order.  Backward, it
# goes through rows, columns and channels, and every tap is a block of its own, as col2im adds them.

cdef struct Convolution:
    const real* x
    const real* x_end          # the end of x's memory, NULL if any of its strides is negative
    const real* w
    const real* bias
    real* y
    Py_ssize_t N, groups, C, K             # C and K of one group
    Py_ssize_t xn, xc, xh, xw              # strides in elements
    Py_ssize_t yn, yk, yh, yw
    Py_ssize_t R, S                        # the kernel as it lies in memory
    Py_ssize_t wk, wc, wr, ws              # its strides, if it is not packed (planes.pxi)
    Axis rows, columns
    Py_ssize_t block
    bint taps_first, relu
    bint adds                              # whether results are added to what y holds
    int edges                              # the kind of edges.pxi's tiles that rows are cut into, or 0
    bint far                               # whether tiles prefetch weights (channels_tile.pxi)
    int threads                            # how many share the items; they decide about no sum
    Py_ssize_t panels, pairs, row_blocks, column_blocks, row_height, column_width


cdef extern from *:
    """
    enum { ITEM_WORK = 1 << 27,  /* most multiply-adds of an item, unless one tile has more */
           ITEM_PIXELS = TILE < 12 ? 38 * TILE : 16 * TILE };  /* pixels whose totals are kept */
    """
    enum: ITEM_WORK
    enum: ITEM_PIXELS


cdef inline Py_ssize_t weights_kept() noexcept nogil:
    """Bytes of panels that stay in the L2 beside the map."""
    return min(CACHES.l2 // 2, <Py_ssize_t> 256 << 10)


cdef struct Region:
    Py_ssize_t top, left, height, width
    Py_ssize_t r0, r1, s0, s1              # the taps that fall inside the map


cdef inline bint runs_down(const Region* at) noexcept nogil:
    """Whether tiles of this region run down its columns: it is narrow, and taller than wide."""
    return at.width < at.height and at.width < NARROW


cdef inline void any_tile(int pixels, int vectors, const real* x, Py_ssize_t step, const real* w,
                          Py_ssize_t panel, const Nest* nest, vreal* total) noexcept nogil:
    if vectors == 2 * NV:
        narrow_tile(pixels, x, step, w, panel, nest, total)
    elif vectors == 1:
        slim_tile(pixels, x, step, w, nest, total)
    else:
        wide_tile(pixels, x, step, w, nest, total)


cdef void sum_tile(const Convolution* c, const Region* at, const real* x, Py_ssize_t step,
                   const real* w, int pixels, int vectors, vreal* total) noexcept nogil:
    """total = the whole sums of `pixels` outputs, block by block.  They are for two panels, for
    one, or for its first vector.  x is at tap (0, 0) of the first output."""
    cdef Nest nest
    cdef Py_ssize_t tap = c.C * LANES if c.taps_first else LANES
    cdef Py_ssize_t panel = c.C * c.R * c.S * LANES
    cdef Py_ssize_t rows = at.r1 - at.r0
    cdef Py_ssize_t columns = at.s1 - at.s0
    cdef Py_ssize_t down = c.rows.dilation * c.xh, across = c.columns.dilation * c.xw
    cdef Py_ssize_t kernel = c.R * c.S * LANES
    cdef Py_ssize_t channel, count, r, s
    cdef const real* xb
    cdef const real* wb
    cdef int i
    nest.fresh = True
    if rows * columns == 0:
        for i in range(pixels * vectors):
            total[i] = vzero()
        return
    for channel from 0 <= channel < c.C by c.block:
        count = min(c.block, c.C - channel)
        if c.taps_first or (rows == 1 and columns == 1):
            # one tap at a time: the channels are the inner loop
            nest.n1, nest.n2, nest.n3 = 1, 1, count
            set_moves(&nest, 0, 0, c.xc, 0, 0)
            if not c.taps_first and c.R * c.S > 1:
                # a single tap of a larger kernel: its weights are R * S rows of a panel apart
                nest.n2, nest.n3 = count, 1
                set_moves(&nest, 0, c.xc, 0, 0, kernel)
            for r in range(at.r0, at.r1):
                for s in range(at.s0, at.s1):
                    xb = x + r * down + s * across + channel * c.xc
                    wb = w + ((c.rows.first + r * c.rows.every) * c.S
                              + c.columns.first + s * c.columns.every) * tap
                    wb = wb + channel * (LANES if c.taps_first else kernel)
                    any_tile(pixels, vectors, xb, step, wb, panel, &nest, total)
                    nest.fresh = False
        else:
            nest.n1, nest.n2, nest.n3 = count, rows, columns
            set_moves(&nest, c.xc, down, across, kernel, c.S * LANES)
            xb = x + at.r0 * down + at.s0 * across + channel * c.xc
            wb = w + (at.r0 * c.S + at.s0) * LANES + channel * kernel
            any_tile(pixels, vectors, xb, step, wb, panel, &nest, total)
            nest.fresh = False


cdef void convolve_region(const Convolution* c, const Region* at, const real* x, real* y,
                          const real* w, const real* after, const real* bias,
                          Py_ssize_t channels, bint pair) noexcept nogil:
    """Write all outputs of a region for one panel, or for two where `pair`; x, y, w and bias are
    those of its group.  `after` is the panel to prefetch, or NULL."""
    cdef vreal total[TILE * NV]
    cdef Destination to
    cdef bint down = runs_down(at)
    cdef Py_ssize_t length = at.height if down else at.width
    cdef Py_ssize_t lines = at.width if down else at.height
    cdef int most = NARROW if pair else TILE
    cdef int vectors = 2 * NV if pair else 1 if channels <= VL else NV
    cdef Py_ssize_t pieces = (length + most - 1) // most
    cdef Py_ssize_t x_step = c.rows.stride * c.xh if down else c.columns.stride * c.xw
    cdef Py_ssize_t line, piece, first, i, j
    cdef int pixels
    cdef const real* at_tap
    cdef Channels sums
    to.channel, to.relu, to.adds, to.bias = c.yk, c.relu, c.adds, bias
    to.pixel = c.yh if down else c.yw
    if after != NULL:
        sums = cut_channels(c.C, c.block, c.block, c.xc, c.block * c.xc)
        sums.ahead_move = x_step
        sums.next_move = ceil_div(LANES, lines * pieces)
    for line in range(lines):
        for piece in range(pieces):  # pieces of nearly equal length
            first = piece * length // pieces
            pixels = <int> ((piece + 1) * length // pieces - first)
            i = at.top + (first if down else line)
            j = at.left + (line if down else first)
            to.y = y + i * c.yh + j * c.yw
            prefetch_tile(&to, min(channels, <Py_ssize_t> vectors * VL), 0, pixels)
            at_tap = x + (i * c.rows.stride + c.rows.offset) * c.xh \
                + (j * c.columns.stride + c.columns.offset) * c.xw
            if after == NULL:
                sum_tile(c, at, at_tap, x_step, w, pixels, vectors, total)
            else:
                channels_tiles[pixels](NULL, at_tap, x_step, w, after, &sums, total)
                after = after + c.C * sums.next_move
            store_tile(&to, total, pixels, vectors, channels)


cdef void convolve_block(const Convolution* c, Py_ssize_t top, Py_ssize_t bottom,
                         Py_ssize_t left, Py_ssize_t end_column, const real* x, real* y,
                         const real* w, const real* after, const real* bias,
                         Py_ssize_t channels, Py_ssize_t panels) noexcept nogil:
    """Write some rows and columns of outputs for one panel or two, rectangle by rectangle.

    Where `after` is not NULL, the kernel is 1x1, both panels are whole, and they are not yet in the
    cache, nor is `after`, which is needed next.
    """
    cdef Region at
    cdef Py_ssize_t right, panel
    cdef Py_ssize_t panel_size = c.C * c.R * c.S * LANES
    cdef const real* ahead
    at.top = top
    while at.top < bottom:
        at.height = same_taps(&c.rows, at.top, bottom, &at.r0, &at.r1) - at.top
        at.left = left
        while at.left < end_column:
            right = same_taps(&c.columns, at.left, end_column, &at.s0, &at.s1)
            at.width = right - at.left
            if panels == 2 and (at.height if runs_down(&at) else at.width) <= NARROW:
                convolve_region(c, &at, x, y, w, NULL, bias, channels, True)
            else:
                for panel in range(panels):
                    ahead = after
                    if after != NULL and panel + 1 < panels:
                        ahead = w + (panel + 1) * panel_size
                    convolve_region(
                        c, &at, x, y + panel * LANES * c.yk, w + panel * panel_size, ahead,
                        bias + panel * LANES if bias != NULL else NULL,
                        channels - panel * LANES, False)
            at.left = right
        at.top += at.height


cdef void convolve_items(void* args, Py_ssize_t begin, Py_ssize_t end) noexcept nogil:
    """Items are (group, pair of panels, image, row block, column block); the last varies fastest.
    So neighbouring items share their weights, which stay in the cache."""
    cdef const Convolution* c = <const Convolution*> args
    cdef Py_ssize_t item, rest, group, pair, n, k, top, left, bottom, end_column
    cdef Py_ssize_t panel_size = c.C * c.R * c.S * LANES
    cdef Py_ssize_t panel, panels
    cdef Py_ssize_t per_pair = c.N * c.row_blocks * c.column_blocks
    cdef const real* after
    cdef const real* x
    cdef real* y
    cdef const real* w
    cdef const real* bias
    for item in range(begin, end):
        rest = item
        left = rest % c.column_blocks * c.column_width
        rest //= c.column_blocks
        top = rest % c.row_blocks * c.row_height
        rest //= c.row_blocks
        n = rest % c.N
        rest //= c.N
        pair = rest % c.pairs
        group = rest // c.pairs
        panels = min(<Py_ssize_t> 2, c.panels - 2 * pair)
        k = 2 * pair * LANES
        w = c.w + (group * c.panels + 2 * pair) * panel_size
        x = c.x + n * c.xn + group * c.C * c.xc
        y = c.y + n * c.yn + (group * c.K + k) * c.yk
        bias = c.bias + group * c.K + k if c.bias != NULL else NULL
        bottom = min(top + c.row_height, c.rows.outputs)
        end_column = min(left + c.column_width, c.columns.outputs)
        if c.edges:
            after = NULL
            if panels * panel_size * <Py_ssize_t> sizeof(real) > weights_kept():
                # the next item has these panels again, unless this is the last item of theirs
                after = w if (item + 1) % per_pair else w + panels * panel_size
            if panels == 2 and c.edges != FAR_TAPS and end_column - left <= NARROW:
                convolve_rows(c, top, bottom, left, end_column, x, y, w, after, bias, c.K - k,
                              True)
                continue
            for panel in range(panels):
                convolve_rows(c, top, bottom, left, end_column, x, y + panel * LANES * c.yk,
                              w + panel * panel_size,
                              after if after == NULL or panel + 1 == panels else
                              w + (panel + 1) * panel_size,
                              bias + panel * LANES if bias != NULL else NULL,
                              c.K - k - panel * LANES, False)
            continue
        after = NULL
        if c.far and per_pair == 1 and panels == 2 and c.K - k >= 2 * LANES:
            after = w + 2 * panel_size
        convolve_block(c, top, bottom, left, end_column, x, y, w, after, bias, c.K - k, panels)


cdef inline Py_ssize_t shared_rows(Py_ssize_t height, Py_ssize_t rows, Py_ssize_t times,
                                   int threads) noexcept nogil:
    """The height of blocks of rows, at most `height`, of which each makes `times` items.  Where a
    thread would have less than two items, rows are cut for all of them.  Else the last block may be
    lower: that makes good for a thread that begins late."""
    cdef Py_ssize_t blocks = ceil_div(rows, height)
    cdef Py_ssize_t shared = shared_blocks(blocks, rows, times, threads, 2)
    return height if shared == blocks else ceil_div(rows, shared)


cdef Py_ssize_t count_items(Convolution* c) noexcept nogil:
    """Cut the output into items.  An item is a block of rows, and smaller where sums are very long:
    threads cannot share an item, and a signal has to wait for its end."""
    cdef Py_ssize_t sums = ITEM_WORK // (2 * LANES * c.C * c.R * c.S) + 1
    c.column_width = clamp(sums, TILE, ITEM_PIXELS)
    c.row_height = clamp(min(sums, <Py_ssize_t> ITEM_PIXELS)
                         // min(c.column_width, c.columns.outputs), 1, TILE)
    c.panels = (c.K + LANES - 1) // LANES
    c.pairs = (c.panels + 1) // 2
    c.row_height = shared_rows(c.row_height, c.rows.outputs, c.groups * c.pairs * c.N, c.threads)
    c.row_blocks = ceil_div(c.rows.outputs, c.row_height)
    c.column_blocks = (c.columns.outputs + c.column_width - 1) // c.column_width
    c.far = ASKS_AHEAD and c.R * c.S == 1 and c.rows.taps * c.columns.taps == 1 and not c.edges \
        and not pads(&c.rows) and not pads(&c.columns) \
        and c.rows.outputs * c.columns.outputs > TILE \
        and c.groups * c.panels * c.C * LANES * <Py_ssize_t> sizeof(real) > weights_kept()
    return c.groups * c.pairs * c.N * c.row_blocks * c.column_blocks
