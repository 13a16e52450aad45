# Winograd's minimal filtering for kernels of stride 1: F(2x2, 3x3), F(4x4, 3x3), F(2x2, 5x5) and
# F(4x4, 5x5) (Lavin and Gray, "Fast Algorithms for Convolutional Neural Networks", 2015,
# section 4).
#
#   tiles of M x M outputs           EDGE = M + R - 1 inputs a side, EDGE^2 products in place
#   +----+----+----+                 of R^2 M^2: 16 for 36, 36 for 144 or 100, 64 for 400.
#   | t0 | t1 | t2 | ...
#   +----+----+----+                 V[c / LINE][e][t][LINE] = transformed input, if channels
#   |    |    |    |                 fill lines of the cache and maps are not wide; else V[e][c][t]
#                                    U[panel][e][c][LANES] = transformed weights
#                                    Z[e][t][lanes] = sum over c of U V: the register tile
#
# A block of `length` tiles, counted through all images, goes from input to output while its V and
# Z stay in the cache.  Each thread has a slot of workspace for one V and one Z.  Where there are
# few tiles for many weights, winograd_plain.pxi goes panel by panel instead.

cdef extern from *:
    """
    enum { LONG_SUM = 512, SHORT_SUM = 64, WIDEST = 32 };
    """
    enum: LONG_SUM                         # channels of a block of a sum, for edges of 4
    enum: SHORT_SUM                        # and of 6 and 8, whose errors are larger
    enum: WIDEST                           # tiles in a row, at most, if channels are in the lanes

cdef struct Winograd:
    TiledMaps x
    const real* u
    const real* bias
    real* y
    real* work                             # [slot][Z, V]: Z first, for its vectors must be aligned
    unsigned char* broken                  # [n]: image n has a result that is not finite
    Py_ssize_t C, K, OH, OW, yn, yk, yh
    Py_ssize_t tiles, length, slot, panels
    Py_ssize_t held                        # tiles that V has places for
    int m, edge
    bint relu
    bint channel_lanes                     # whether V is transformed with channels in the lanes
    int slots[FC_SLOTS]


cdef inline void prefetch_outputs(const Winograd* g, const int m, TilePlace at, Py_ssize_t tiles,
                                  Py_ssize_t first, Py_ssize_t last) noexcept nogil:
    """Prefetch the lines of the filters first .. last that so many tiles will write."""
    cdef Py_ssize_t count, k, q, rows
    cdef real* y
    cdef int r
    while tiles > 0:
        count = min(tiles, at.right - at.column)
        rows = min(<Py_ssize_t> m, g.OH - at.row * m)
        for k in range(first, last):
            y = g.y + at.n * g.yn + k * g.yk + at.row * m * g.yh + at.column * m
            for r in range(rows):
                for q from 0 <= q < m * count by CACHE_LINE:
                    vprefetch_write(y + r * g.yh + q)
        move_on(&g.x, count, &at)
        tiles -= count


cdef inline bint transform_output(const Winograd* g, const int m, const int edge, const real* z,
                                  Py_ssize_t plane, Py_ssize_t lanes, Py_ssize_t count,
                                  Py_ssize_t rows, Py_ssize_t columns, Py_ssize_t channels,
                                  const real* bias, real* y) noexcept nogil:
    """Write the outputs of `count` <= max(1, VL / m) tiles for VL channels from y on.

    Return whether all of them are finite.
    """
    cdef vreal line[MOST_EDGE]
    cdef vreal out[4]
    cdef vreal across[4 * MOST_EDGE]
    cdef vreal block[4][VL + 4]            # [output row][output column][lanes: channels]
    cdef vreal shift = vload_n(bias, channels) if bias != NULL else vzero()
    cdef vreal check = vzero()
    cdef vreal value, all
    cdef int t, i, j, k
    for t in range(count):
        for i in range(edge):
            for j in range(edge):
                line[j] = vload(z + (i * edge + j) * plane + t * lanes)
            output_line(m, edge, line, out)
            for j in range(m):
                across[j * MOST_EDGE + i] = out[j]
        all = vzero()
        for j in range(m):
            output_line(m, edge, &across[j * MOST_EDGE], out)
            for i in range(m):
                value = out[i] + shift
                all = all + value
                block[i][t * m + j] = vrelu(value) if g.relu else value
        check = check + (all - all)        # becomes NaN where a value is not finite
    for i in range(m):
        if i < rows:
            if VL < m:
                for j in range(m):
                    if j < columns:
                        vstore_strided(y + i * g.yh + j, g.yk, block[i][j], channels)
            else:
                vtranspose(block[i])
                for k in range(VL):
                    if k < channels:
                        vstore_n(y + k * g.yk + i * g.yh, block[i][k], columns)
    return vsum(check) == 0


cdef inline void finish_tiles(Winograd* g, const int m, const int edge, TilePlace* at,
                              Py_ssize_t tiles, Py_ssize_t panel, Py_ssize_t lanes,
                              const real* z) noexcept nogil:
    """Write a panel's outputs for so many tiles, and move on past them."""
    cdef int group = max(1, VL // m)
    cdef Py_ssize_t count, lane, k
    while tiles > 0:
        count = min(min(tiles, at.right - at.column), <Py_ssize_t> group)
        for lane from 0 <= lane < lanes by VL:
            k = panel * LANES + lane
            if k < g.K and not transform_output(
                    g, m, edge, z + lane, g.length * LANES, lanes, count,
                    g.OH - at.row * m, min(g.OW - at.column * m, count * m), g.K - k,
                    g.bias + k if g.bias != NULL else NULL,
                    g.y + at.n * g.yn + k * g.yk + at.row * m * g.yh + at.column * m):
                fc_mark(g.broken + at.n)
        move_on(&g.x, count, at)
        z = z + count * lanes
        tiles -= count


cdef inline void input_of(const Winograd* g, const int m, const int edge, Py_ssize_t begin,
                          Py_ssize_t end, Py_ssize_t places, real* v) noexcept nogil:
    cdef Py_ssize_t size = edge * edge * g.held
    cdef TilePlace at = find_tile(&g.x, begin)
    cdef TilePlace after
    cdef Py_ssize_t count, i, j, c, distance
    cdef Py_ssize_t t = begin
    cdef const real* x
    cdef bint whole
    if g.channel_lanes:
        after = find_tile(&g.x, end)
        for c from 0 <= c < g.C by VL:
            # what is read next: other channels, or after the last the first ones of the next block
            distance = VL * g.x.channel if c + VL < g.C else \
                (after.n - at.n) * g.x.image - c * g.x.channel \
                + (after.row - at.row) * m * g.x.row + (after.column - at.column) * m
            transform_vector(&g.x, m, edge, False, c, VL, begin, end, distance,
                             v + c // CACHE_LINE * CACHE_LINE * size + c % CACHE_LINE, CACHE_LINE,
                             g.held * CACHE_LINE)
        return
    while t < end:  # runs of tiles that lie side by side
        count = min(min(at.right - at.column, end - t), <Py_ssize_t> VL)
        i, j = at.row * m - g.x.top, at.column * m - g.x.left
        whole = t - begin + VL <= places
        x = g.x.at + at.n * g.x.image
        if is_inner(&g.x, m, edge, i, j, count):
            transform_run(&g.x, m, edge, True, x, i, j, count, g.C, g.held, whole, v + t - begin)
        else:
            transform_run(&g.x, m, edge, False, x, i, j, count, g.C, g.held, whole, v + t - begin)
        move_on(&g.x, count, &at)
        t += count


cdef void transform_input(const Winograd* g, Py_ssize_t begin, Py_ssize_t end,
                          Py_ssize_t places, real* v) noexcept nogil:
    """Make V of the tiles begin .. end, with channels or with tiles in the lanes.  v is at the
    first of them, and `places` from there on may be written."""
    if g.edge == 4:
        input_of(g, 2, 4, begin, end, places, v)
    elif g.edge == 8:
        input_of(g, 4, 8, begin, end, places, v)
    elif g.m == 4:
        input_of(g, 4, 6, begin, end, places, v)
    else:
        input_of(g, 2, 6, begin, end, places, v)


cdef Channels channels_of(const Winograd* g, const int edge) noexcept nogil:
    """How V holds channels, and how many of them are a sum."""
    cdef Py_ssize_t most = LONG_SUM if edge == 4 else SHORT_SUM
    cdef Py_ssize_t line = min(most, g.C)
    cdef Channels channels
    if g.channel_lanes:
        channels = cut_channels(g.C, CACHE_LINE, most, 1, edge * edge * g.held * CACHE_LINE)
        channels.ahead_move = CACHE_LINE
    else:
        channels = cut_channels(g.C, line, line, g.held, line * g.held)
        channels.ahead_move = g.held
    channels.ahead = channels.far
    return channels


cdef inline void multiply_tiles(const Channels* channels, int count, Py_ssize_t step,
                                Py_ssize_t lanes, const real* v, const real* u,
                                vreal* z) noexcept nogil:
    """Z = sum over channels of U V for `count` tiles, which lie `step` apart, and one e."""
    cdef Nest nest
    cdef Py_ssize_t line, lines
    nest.n2 = 1
    for line from 0 <= line < channels.lines by channels.together:
        lines = min(channels.together, channels.lines - line)
        nest.n1, nest.n3 = lines, channels.line
        if line + lines == channels.lines:  # a shorter last line is a sum by itself
            nest.n3 = channels.last
        nest.fresh = line == 0
        set_moves(&nest, channels.far, 0, channels.move, nest.n3 * LANES, 0)
        if lanes == VL:
            slim_tile(count, v, step, u, &nest, z)
        else:
            wide_tile(count, v, step, u, &nest, z)
        v = v + lines * channels.far
        u = u + lines * nest.n3 * LANES


cdef inline void panel_of(Winograd* g, const int m, const int edge, Py_ssize_t panel,
                          Py_ssize_t begin, Py_ssize_t end, Py_ssize_t together, const real* v,
                          const real* u, real* z) noexcept nogil:
    cdef Py_ssize_t squares = edge * edge
    # from one e to the next, and from one tile to the next
    cdef Py_ssize_t v_plane = g.held * (CACHE_LINE if g.channel_lanes else g.C)
    cdef Py_ssize_t v_tile = CACHE_LINE if g.channel_lanes else 1
    cdef Py_ssize_t z_plane = g.length * LANES
    cdef Py_ssize_t u_plane = g.C * LANES
    cdef Py_ssize_t pieces = ceil_div(end - begin, TILE)
    # pieces of nearly equal length: so many are one tile longer
    cdef Py_ssize_t piece = (end - begin) // pieces
    cdef Py_ssize_t longer = (end - begin) % pieces
    cdef Py_ssize_t filters = min(g.K - panel * LANES, <Py_ssize_t> LANES)
    cdef Py_ssize_t lanes = VL if filters <= VL else LANES
    cdef Py_ssize_t e, from_, first, last = 0, i
    cdef int count
    cdef TilePlace start = find_tile(&g.x, begin)
    cdef TilePlace at = start
    cdef Channels channels = channels_of(g, edge)
    cdef const real* next_
    channels.next_move = ceil_div(LANES, together)
    for from_ from 0 <= from_ < pieces by together:
        first = last
        for e in range(squares):
            if from_ == 0:                 # a share of the lines: more at one time would stall
                prefetch_outputs(g, m, start, end - begin, panel * LANES + e * filters // squares,
                                 panel * LANES + (e + 1) * filters // squares)
            next_ = u + (e + 1) * u_plane
            last = first
            for i in range(from_, from_ + together):
                count = <int> (piece + (i < longer))
                if PRODUCTS_ASK and lanes > VL:
                    channels_tiles[count](NULL, v + e * v_plane + last * v_tile, v_tile,
                                          u + e * u_plane, next_, &channels,
                                          <vreal*> (z + e * z_plane + last * lanes))
                else:
                    multiply_tiles(&channels, count, v_tile, lanes,
                                   v + e * v_plane + last * v_tile, u + e * u_plane,
                                   <vreal*> (z + e * z_plane + last * lanes))
                next_ = next_ + g.C * channels.next_move
                last += count
        finish_tiles(g, m, edge, &at, last - first, panel, lanes, z + first * lanes)


cdef void multiply_panel(Winograd* g, Py_ssize_t panel, Py_ssize_t begin, Py_ssize_t end,
                         Py_ssize_t together, const real* v, const real* u,
                         real* z) noexcept nogil:
    """Do the tiles begin .. end for one panel, from V to output: so many pieces together.  v is at
    the first tile, and u at the panel."""
    if g.edge == 4:
        panel_of(g, 2, 4, panel, begin, end, together, v, u, z)
    elif g.edge == 8:
        panel_of(g, 4, 8, panel, begin, end, together, v, u, z)
    elif g.m == 4:
        panel_of(g, 4, 6, panel, begin, end, together, v, u, z)
    else:
        panel_of(g, 2, 6, panel, begin, end, together, v, u, z)


cdef void winograd_items(void* args, Py_ssize_t begin, Py_ssize_t end) noexcept nogil:
    """Items are blocks of tiles, which go from input to output."""
    cdef Winograd* g = <Winograd*> args
    cdef int slot = fc_take_slot(g.slots)
    cdef Py_ssize_t squares = g.edge * g.edge
    cdef real* z = g.work + slot * g.slot
    cdef real* v = z + squares * g.length * LANES
    cdef Py_ssize_t item, first, last, panel, together
    for item in range(begin, end):
        first = item * g.length
        last = min(first + g.length, g.tiles)
        # Done piece by piece, Z stays in a nearer cache, but every piece reads the panel again.
        # This pays if there are no more channels than tiles in a block.
        together = 1 if g.C <= g.length else ceil_div(last - first, TILE)
        transform_input(g, first, last, g.length, v)
        for panel in range(g.panels):
            multiply_panel(g, panel, first, last, together, v,
                           g.u + panel * squares * g.C * LANES, z)
    fc_free_slot(g.slots, slot)


cdef Winograd plan_winograd(const real[:, :, :, :] x, bias, real[:, :, :, ::1] y, real[::1] work,
                            Py_ssize_t slot, unsigned char[::1] broken, int m, int edge,
                            Py_ssize_t length, pad, bint relu):
    """Return all but the weights."""
    cdef Winograd g
    cdef const real[::1] bias_view
    cdef int i
    g.bias, g.u = NULL, NULL
    if bias is not None:
        bias_view = bias
        g.bias = &bias_view[0]
    g.x = cut_maps(x, m, edge, y.shape[2], y.shape[3], pad)
    g.y, g.work, g.broken = &y[0, 0, 0, 0], &work[0], &broken[0]
    g.C, g.K, g.OH, g.OW = x.shape[1], y.shape[1], y.shape[2], y.shape[3]
    g.yn, g.yk, g.yh = g.K * g.OH * g.OW, g.OH * g.OW, g.OW
    g.m, g.edge, g.length, g.held, g.slot, g.relu = m, edge, length, length, slot, relu
    g.channel_lanes = VL > 1 and g.C % CACHE_LINE == 0 and g.x.tile_columns <= WIDEST
    if not g.channel_lanes:
        g.x.strip = g.x.tile_columns
    g.tiles = x.shape[0] * g.x.tile_rows * g.x.tile_columns
    g.panels = ceil_div(g.K, LANES)
    for i in range(FC_SLOTS):
        g.slots[i] = 0
    return g


def winograd(const real[:, :, :, :] x, const real[::1] u, bias, real[:, :, :, ::1] y,
             real[::1] work, Py_ssize_t slot, unsigned char[::1] broken, int m, int edge,
             Py_ssize_t length, pad, bint relu, Py_ssize_t part, Py_ssize_t parts, int threads):
    """y = convolution of x through blocks of `length` tiles of m x m outputs.

    A tile has edge x edge inputs: m + R - 1 a side for a kernel of R x R.

    work holds a Z and a V for each thread: `slot` numbers, which are whole cache lines.  broken[n]
    becomes 1 if image n has an output that is not finite.
    """
    cdef Winograd g = plan_winograd(x, bias, y, work, slot, broken, m, edge, length, pad, relu)
    g.u = &u[0]
    with nogil:
        run_items(winograd_items, &g, ceil_div(g.tiles, length), part, parts, 1, threads)
