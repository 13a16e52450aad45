# Winograd's minimal filtering for 3x3 kernels of stride 1: F(2x2, 3x3) and F(4x4, 3x3)
# (Lavin and Gray, "Fast Algorithms for Convolutional Neural Networks", 2015, section 4).
#
#   tiles of M x M outputs           EDGE = M + 2 inputs a side, EDGE^2 products in place
#   +----+----+----+                 of 9 M^2: 16 for 36, or 36 for 144.
#   | t0 | t1 | t2 | ...
#   +----+----+----+                 V[e][c][t] = transformed input,  tiles in the lanes
#   |    |    |    |                 U[panel][e][c][LANES] = transformed weights
#                                    Z[e][t][lanes] = sum over c of U V: the register tile
#
# A block of `length` tiles, counted through all images, goes from input to output while its V and
# Z stay in the cache.  Each thread has a slot of workspace for one V and one Z.

cdef extern from *:
    """
    enum { AHEAD = 6, WINOGRAD_SUM = 512, U_KEPT = 1 << 19 };
    """
    enum: AHEAD                            # how many channels of x ahead to ask
    enum: WINOGRAD_SUM                     # channels of a block of a sum
    enum: U_KEPT                           # bytes of weights that stay in the L2 beside V and Z

cdef struct Winograd:
    const real* x
    const real* u
    const real* bias
    real* y
    real* work                             # [slot][Z, V]: Z first, for its vectors must be aligned
    unsigned char* broken                  # [n]: image n has a result that is not finite
    Py_ssize_t N, C, K, H, W, OH, OW
    Py_ssize_t xn, xc, xh, yn, yk, yh
    Py_ssize_t top, left
    Py_ssize_t tile_rows, tile_columns, tiles, length, slot, panels
    int m
    bint relu
    int slots[FC_SLOTS]


cdef inline void input_line(const int m, vreal* d, vreal* v) noexcept nogil:
    """v = B^T d along one axis."""
    cdef vreal four = vset1(4)
    cdef vreal minus_five = vset1(-5)
    cdef vreal two = vset1(2)
    cdef vreal a, b
    if m == 2:
        v[0] = d[0] - d[2]
        v[1] = d[1] + d[2]
        v[2] = d[2] - d[1]
        v[3] = d[1] - d[3]
    else:
        # products with 5 are rounded: `vmadd` says whether they are fused, not the compiler
        v[0] = vmadd(four * d[0], minus_five, d[2]) + d[4]
        a = d[4] - four * d[2]
        b = d[3] - four * d[1]
        v[1] = a + b
        v[2] = a - b
        a = d[4] - d[2]
        b = two * (d[3] - d[1])
        v[3] = a + b
        v[4] = a - b
        v[5] = vmadd(four * d[1], minus_five, d[3]) + d[5]


cdef inline void output_line(const int m, vreal* z, vreal* y) noexcept nogil:
    """y = A^T z along one axis."""
    cdef vreal a, b, c, d
    if m == 2:
        y[0] = z[0] + z[1] + z[2]
        y[1] = z[1] - z[2] - z[3]
    else:
        a = z[1] + z[2]
        b = z[1] - z[2]
        c = z[3] + z[4]
        d = z[3] - z[4]
        y[0] = z[0] + a + c
        y[1] = b + vset1(2) * d
        y[2] = a + vset1(4) * c
        y[3] = b + vset1(8) * d + z[5]


cdef inline void weight_line(const int m, vreal* g, vreal* u) noexcept nogil:
    """u = G g along one axis."""
    cdef vreal a, b
    if m == 2:
        a = vset1(0.5) * (g[0] + g[2])
        b = vset1(0.5) * g[1]
        u[0] = g[0]
        u[1] = a + b
        u[2] = a - b
        u[3] = g[2]
    else:
        a = vset1(<real> (-1.0 / 6)) * (g[0] + g[2])
        b = vset1(<real> (1.0 / 6)) * g[1]
        u[0] = vset1(0.25) * g[0]
        u[1] = a - b
        u[2] = a + b
        a = vset1(<real> (1.0 / 24)) * g[0] + vset1(<real> (1.0 / 6)) * g[2]
        b = vset1(<real> (1.0 / 12)) * g[1]
        u[3] = a + b
        u[4] = a - b
        u[5] = g[2]


cdef inline void transform_run(const Winograd* g, const int m, const bint inner, const real* x,
                               Py_ssize_t i, Py_ssize_t j, Py_ssize_t count, bint whole,
                               real* v) noexcept nogil:
    """Write V for up to VL tiles of a row, in all channels.  x is an image, (i, j) is the first
    input, and v is at the first tile.

    The transform goes down first, on vectors of neighbouring columns.  Then the columns are dealt
    out by their place in a tile, which puts tiles in the lanes, and it goes across.  An `inner` run
    needs no masks.  Where `whole` vectors are written, they reach into the places of later tiles.
    """
    cdef vreal down[6 * 6]
    cdef vreal line[6]
    cdef vreal out[6]
    cdef lanes_t inside[6]
    cdef lanes_t tiles = lanes_between(0, count)
    cdef Py_ssize_t plane = g.C * g.length
    cdef Py_ssize_t c, first
    cdef int edge = m + 2
    cdef int vectors = m + 1 if VL > 1 else m + 2
    cdef int r, q, e
    for q in range(vectors):
        first = j + q * VL
        inside[q] = lanes_between(-first, min(g.W - first, m * count + 2 - q * VL))
    x += i * g.xh + j
    for c in range(g.C):
        for q in range(vectors):
            for r in range(2, edge):       # the tiles above have prefetched the first two rows
                vprefetch(x + AHEAD * g.xc + r * g.xh + q * VL)
            for r in range(edge):
                if inner:
                    line[r] = vload(x + r * g.xh + q * VL)
                    continue
                line[r] = vzero()
                if 0 <= i + r < g.H:
                    line[r] = vload_where(x + r * g.xh + q * VL, inside[q])
            input_line(m, line, out)
            for r in range(edge):
                down[r * 6 + q] = out[r]
        for r in range(edge):
            vdeal(m, &down[r * 6], line)
            input_line(m, line, out)
            for e in range(edge):
                if whole:
                    vstore(v + (r * edge + e) * plane, out[e])
                else:
                    vstore_where(v + (r * edge + e) * plane, out[e], tiles)
        x += g.xc
        v += g.length


cdef inline bint is_inner(const Winograd* g, const int m, Py_ssize_t i, Py_ssize_t j,
                          Py_ssize_t count) noexcept nogil:
    """Whether a run sees no padding, and loads of whole vectors stay inside the channel."""
    cdef Py_ssize_t read = (m + 1 if VL > 1 else m + 2) * VL
    return i >= 0 and i + m + 2 <= g.H and j >= 0 and j + m * count + 2 <= g.W and g.xh > 0 \
        and j + read <= g.W + (g.H - i - m - 2) * g.xh


cdef inline void prefetch_outputs(const Winograd* g, const int m, Py_ssize_t begin,
                                  Py_ssize_t end, Py_ssize_t first, Py_ssize_t last) noexcept nogil:
    """Prefetch the lines of the filters first .. last that the tiles will write."""
    cdef Py_ssize_t t = begin
    cdef Py_ssize_t n, row, column, count, k, q, rows
    cdef real* y
    cdef int r
    while t < end:
        n = t // (g.tile_rows * g.tile_columns)
        row = t // g.tile_columns % g.tile_rows
        column = t % g.tile_columns
        count = min(end - t, g.tile_columns - column)
        rows = min(<Py_ssize_t> m, g.OH - row * m)
        for k in range(first, last):
            y = g.y + n * g.yn + k * g.yk + row * m * g.yh + column * m
            for r in range(rows):
                for q from 0 <= q < m * count by CACHE_LINE:
                    vprefetch_write(y + r * g.yh + q)
        t += count


cdef inline bint transform_output(const Winograd* g, const int m, const real* z,
                                  Py_ssize_t plane, Py_ssize_t lanes, Py_ssize_t count,
                                  Py_ssize_t rows, Py_ssize_t columns, Py_ssize_t channels,
                                  const real* bias, real* y) noexcept nogil:
    """Write the outputs of `count` <= max(1, VL / m) tiles for VL channels from y on.

    Return whether all of them are finite.
    """
    cdef vreal line[6]
    cdef vreal out[4]
    cdef vreal across[4 * 6]
    cdef vreal block[4][VL + 4]            # [output row][output column][lanes: channels]
    cdef vreal shift = vload_n(bias, channels) if bias != NULL else vzero()
    cdef vreal check = vzero()
    cdef vreal value, all
    cdef int edge = m + 2
    cdef int t, i, j, k
    for t in range(count):
        for i in range(edge):
            for j in range(edge):
                line[j] = vload(z + (i * edge + j) * plane + t * lanes)
            output_line(m, line, out)
            for j in range(m):
                across[j * 6 + i] = out[j]
        all = vzero()
        for j in range(m):
            output_line(m, &across[j * 6], out)
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


cdef inline void finish_tiles(Winograd* g, const int m, Py_ssize_t begin, Py_ssize_t first,
                              Py_ssize_t end, Py_ssize_t panel, Py_ssize_t lanes,
                              const real* z) noexcept nogil:
    """Write a panel's outputs for the tiles first .. end of the block that begins with `begin`."""
    cdef int group = max(1, VL // m)
    cdef Py_ssize_t t = first
    cdef Py_ssize_t n, row, column, count, lane, k
    while t < end:
        n = t // (g.tile_rows * g.tile_columns)
        row = t // g.tile_columns % g.tile_rows
        column = t % g.tile_columns
        count = min(min(end - t, g.tile_columns - column), <Py_ssize_t> group)
        for lane from 0 <= lane < lanes by VL:
            k = panel * LANES + lane
            if k < g.K and not transform_output(
                    g, m, z + (t - begin) * lanes + lane, g.length * LANES, lanes, count,
                    g.OH - row * m, min(g.OW - column * m, count * m), g.K - k,
                    g.bias + k if g.bias != NULL else NULL,
                    g.y + n * g.yn + k * g.yk + row * m * g.yh + column * m):
                fc_mark(g.broken + n)
        t += count


cdef inline void winograd_block(Winograd* g, const int m, Py_ssize_t begin, Py_ssize_t end,
                                real* v, real* z) noexcept nogil:
    """Do the tiles begin .. end of the batch, from input to output."""
    cdef Nest nest
    cdef Ahead ahead
    cdef int edge = m + 2
    cdef bint far = ASKS_AHEAD and g.panels * edge * edge * g.C * LANES \
        * <Py_ssize_t> sizeof(real) > U_KEPT
    cdef Py_ssize_t v_plane = g.C * g.length
    cdef Py_ssize_t z_plane = g.length * LANES
    cdef Py_ssize_t t, n, row, column, count, e, panel, piece, pieces, together, from_, first
    cdef Py_ssize_t channel, lanes, i, j
    cdef vreal* total
    cdef Py_ssize_t length = end - begin
    cdef const real* u
    cdef bint whole
    t = begin
    while t < end:  # runs of tiles that lie side by side
        n = t // (g.tile_rows * g.tile_columns)
        row = t // g.tile_columns % g.tile_rows
        column = t % g.tile_columns
        count = min(min(end - t, g.tile_columns - column), <Py_ssize_t> VL)
        i, j, whole = row * m - g.top, column * m - g.left, t - begin + VL <= g.length
        if is_inner(g, m, i, j, count):
            transform_run(g, m, True, g.x + n * g.xn, i, j, count, whole, v + t - begin)
        else:
            transform_run(g, m, False, g.x + n * g.xn, i, j, count, whole, v + t - begin)
        t += count
    pieces = (length + TILE - 1) // TILE
    nest.n1, nest.n2, nest.x1, nest.x2, nest.w1, nest.w2 = 1, 1, 0, 0, 0, 0
    nest.x3 = g.length
    # Done piece by piece, Z stays in a nearer cache, but every piece reads the panel again.  This
    # pays if there are no more channels than tiles in a block.
    together = 1 if g.C <= g.length else pieces
    ahead.channel, ahead.step, ahead.move = g.length, 1, ceil_div(LANES, together)
    for panel in range(g.panels):
        lanes = VL if g.K - panel * LANES <= VL else LANES
        prefetch_outputs(g, m, begin, end, panel * LANES, min(g.K, (panel + 1) * LANES))
        for from_ from 0 <= from_ < pieces by together:
            for e in range(edge * edge):
                u = g.u + (panel * edge * edge + e) * g.C * LANES
                ahead.next = u + g.C * LANES
                for piece in range(from_, from_ + together):
                    first = piece * length // pieces
                    count = (piece + 1) * length // pieces - first
                    for channel from 0 <= channel < g.C by WINOGRAD_SUM:
                        nest.n3 = min(<Py_ssize_t> WINOGRAD_SUM, g.C - channel)
                        nest.fresh = channel == 0
                        total = <vreal*> (z + e * z_plane + first * lanes)
                        if lanes == VL:
                            slim_tile(<int> count, v + e * v_plane + channel * g.length + first, 1,
                                      u + channel * LANES, &nest, total)
                        elif far:
                            channels_tiles[count](
                                NULL, v + e * v_plane + channel * g.length + first,
                                u + channel * LANES, nest.n3, nest.fresh, &ahead, total)
                            ahead.next = ahead.next + nest.n3 * ahead.move
                        else:
                            wide_tile(<int> count, v + e * v_plane + channel * g.length + first, 1,
                                      u + channel * LANES, &nest, total)
            finish_tiles(g, m, begin, begin + from_ * length // pieces,
                         begin + (from_ + together) * length // pieces, panel, lanes, z)


cdef void winograd_items(void* args, Py_ssize_t begin, Py_ssize_t end) noexcept nogil:
    """Items are blocks of tiles."""
    cdef Winograd* g = <Winograd*> args
    cdef int slot = fc_take_slot(g.slots)
    cdef int edge = g.m + 2
    cdef real* z = g.work + slot * g.slot
    cdef real* v = z + edge * edge * g.length * LANES
    cdef Py_ssize_t item, first, last
    for item in range(begin, end):
        first = item * g.length
        last = min(first + g.length, g.tiles)
        if g.m == 2:
            winograd_block(g, 2, first, last, v, z)
        else:
            winograd_block(g, 4, first, last, v, z)
    fc_free_slot(g.slots, slot)


def winograd(const real[:, :, :, :] x, const real[::1] u, bias, real[:, :, :, ::1] y,
             real[::1] work, Py_ssize_t slot, unsigned char[::1] broken, int m, Py_ssize_t length,
             pad, bint relu, Py_ssize_t part, Py_ssize_t parts, int threads):
    """y = 3x3 convolution of x through blocks of `length` tiles of m x m outputs.

    work holds a Z and a V for each thread: `slot` numbers, which are whole cache lines.  broken[n]
    becomes 1 if image n has an output that is not finite.
    """
    cdef Winograd g
    cdef const real[::1] bias_view
    cdef Py_ssize_t blocks
    cdef int i
    g.bias = NULL
    if bias is not None:
        bias_view = bias
        g.bias = &bias_view[0]
    g.x, g.u, g.y = &x[0, 0, 0, 0], &u[0], &y[0, 0, 0, 0]
    g.work, g.broken = &work[0], &broken[0]
    g.N, g.C, g.H, g.W = x.shape[0], x.shape[1], x.shape[2], x.shape[3]
    g.K, g.OH, g.OW = y.shape[1], y.shape[2], y.shape[3]
    g.xn = x.strides[0] // <Py_ssize_t> sizeof(real)
    g.xc = x.strides[1] // <Py_ssize_t> sizeof(real)
    g.xh = x.strides[2] // <Py_ssize_t> sizeof(real)
    g.yn, g.yk, g.yh = g.K * g.OH * g.OW, g.OH * g.OW, g.OW
    g.top, g.left = pad[0], pad[1]
    g.m, g.length, g.slot, g.relu = m, length, slot, relu
    g.tile_rows, g.tile_columns = (g.OH + m - 1) // m, (g.OW + m - 1) // m
    g.tiles = g.N * g.tile_rows * g.tile_columns
    g.panels = (g.K + LANES - 1) // LANES
    for i in range(FC_SLOTS):
        g.slots[i] = 0
    blocks = (g.tiles + length - 1) // length
    with nogil:
        run_items(winograd_items, &g, blocks, part, parts, 1, threads)
