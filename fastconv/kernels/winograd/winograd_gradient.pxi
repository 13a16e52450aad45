# Minimal filtering for the gradient of the weights, F(3x3, 2x2) and F(3x3, 4x4).
#
# The forward pass is y = A^T [(G w) (B^T x)] (winograd.pxi), so the gradient of w is
# dw = G^T [(A dy) (B^T x)], summed over all tiles.  The transform of x is the same, and the other
# two are transposed.  A tile takes EDGE^2 products in place of 9 M^2.
#
#   V[piece][e][t][row]     = B^T x B, channels in the lanes    t: tiles of a block,
#   D[panel][e][t][LANES]   = A dy A^T, filters in the lanes       counted through all images
#   Z[e][c][LANES]         += sum over t of V D: the register tile, whose pixels are channels
#
# A piece is a row of V: channels in whole vectors, as many vectors as hold the pixels of a register
# tile.  Where a piece needs two register tiles, they share it evenly, since half of a tile's
# accumulators still hide the latency.  Where there is a single block, Z stays on the stack; else it
# waits in the workspace.
#
# The tiles of a block are the steps of stretches.pxi.  The chains of a run of blocks are no longer
# than those of rounds.pxi.  After a run, G^T Z G is added to dweight.  Then Z begins anew, with
# values for which G^T Z G is what this addition lost by rounding.

cdef extern from *:
    """
    enum { PIECE_ROW = (TILE + VL - 1) / VL * VL, GRADIENT_EDGE = 6 };
    """
    enum: PIECE_ROW
    enum: GRADIENT_EDGE                    # the longest edge of these tiles

cdef struct WinogradGradient:
    TiledMaps x, dy
    real* dweight
    real* v
    real* d
    real* z                                # [panel][piece][e][c][lanes], NULL for one block
    Py_ssize_t C, K, tiles, length, pieces, panels
    Py_ssize_t v_plane, d_plane            # from one e to the next
    Py_ssize_t begin, end                  # the tiles of this block
    Py_ssize_t run                         # how many blocks are a run
    int m
    unsigned char* broken                  # [0]: whether a result is not finite


cdef inline Py_ssize_t rows_below(const TiledMaps* maps, int m) noexcept nogil:
    """How far ahead the rows lie that are read next, or 0 where rows are read whole: they follow
    one another."""
    return m * maps.row if maps.strip < maps.tile_columns else 0


cdef void transform_block(void* args, Py_ssize_t begin, Py_ssize_t end) noexcept nogil:
    """Make V and D of a block.  Items are the vectors in the rows of V, then those of D."""
    cdef const WinogradGradient* g = <const WinogradGradient*> args
    cdef Py_ssize_t vectors = PIECE_ROW // VL
    cdef Py_ssize_t squares = (g.m + 2) * (g.m + 2)
    cdef Py_ssize_t item, first, last, piece, at
    cdef real* to
    for item in range(begin, end):
        if item < g.pieces * vectors:
            piece, at = item // vectors, item % vectors * VL
            first = piece * g.C // g.pieces + at
            last = (piece + 1) * g.C // g.pieces
            to = g.v + piece * squares * g.v_plane + at
            if first < last and g.m == 2:
                transform_vector(&g.x, 2, 4, False, first, last - first, g.begin, g.end,
                                 rows_below(&g.x, g.m), to, PIECE_ROW, g.v_plane)
            elif first < last:
                transform_vector(&g.x, 4, 6, False, first, last - first, g.begin, g.end,
                                 rows_below(&g.x, g.m), to, PIECE_ROW, g.v_plane)
        else:
            first = (item - g.pieces * vectors) * VL
            to = g.d + first // LANES * squares * g.d_plane + first % LANES
            if first < g.K and g.m == 2:
                transform_vector(&g.dy, 2, 4, True, first, g.K - first, g.begin, g.end,
                                 rows_below(&g.dy, g.m), to, LANES, g.d_plane)
            elif first < g.K:
                transform_vector(&g.dy, 4, 6, True, first, g.K - first, g.begin, g.end,
                                 rows_below(&g.dy, g.m), to, LANES, g.d_plane)


cdef inline bint join_filters(const WinogradGradient* g, const int m, bint first, bint last,
                              real* z, Py_ssize_t lanes, Py_ssize_t k, Py_ssize_t channel,
                              Py_ssize_t channels) noexcept nogil:
    """Add G^T z G to dweight, for VL filters from k on and some channels.  Unless this is the last
    time, begin z anew with what that addition lost.  Return whether all is finite."""
    cdef vreal line[MOST_EDGE]
    cdef vreal out[MOST_EDGE]
    cdef vreal down[3 * MOST_EDGE]
    cdef vreal found[PIECE_ROW * 9 + VL]
    cdef real rows[VL * (PIECE_ROW * 9 + VL)]
    cdef vreal check = vzero()
    cdef vreal all, total, lost
    cdef int edge = m + 2
    cdef int r, q, i
    cdef Py_ssize_t c
    cdef Py_ssize_t size = channels * 9
    cdef real* row
    cdef real* to
    for c in range(channels):
        for q in range(edge):
            for r in range(edge):
                line[r] = vload(z + ((r * edge + q) * PIECE_ROW * LANES) + c * lanes)
            weight_gradient_line(m, line, out)
            for r in range(3):
                down[r * MOST_EDGE + q] = out[r]
        all = vzero()
        for r in range(3):
            weight_gradient_line(m, &down[r * MOST_EDGE], &found[c * 9 + r * 3])
            for q in range(3):
                all = all + found[c * 9 + r * 3 + q]
        check = check + (all - all)        # becomes NaN where a value is not finite
    if TURNS_BLOCKS and first and last and size >= VL and g.K - k >= VL:
        write_turned(<const real*> found, VL, size, VL,
                     g.dweight + (k * g.C + channel) * 9, g.C * 9)
        return vsum(check) == 0
    for c from 0 <= c < size by VL:
        vtranspose(&found[c])
        for i in range(VL):
            vstore(rows + i * (PIECE_ROW * 9 + VL) + c, found[c + i])
    for i in range(min(<Py_ssize_t> VL, g.K - k)):
        row = rows + i * (PIECE_ROW * 9 + VL)
        to = g.dweight + ((k + i) * g.C + channel) * 9
        if first and last:
            memcpy(to, row, size * sizeof(real))
            continue
        for c from 0 <= c < size by VL:
            total = vzero() if first else vload_n(to + c, size - c)
            total = vjoin(total, vload_n(row + c, size - c), &lost)
            check = check + (total - total)
            vstore_n(to + c, total, size - c)
            vstore(row + c, lost)
    if last:
        return vsum(check) == 0
    for i in range(min(<Py_ssize_t> VL, g.K - k), VL):  # lanes without a filter
        memset(rows + i * (PIECE_ROW * 9 + VL), 0, (size + VL) * sizeof(real))
    for c from 0 <= c < size by VL:
        for i in range(VL):
            found[c + i] = vload(rows + i * (PIECE_ROW * 9 + VL) + c)
        vtranspose(&found[c])
    for c in range(channels):
        for r in range(3):
            lift_line(m, &found[c * 9 + r * 3], &down[r * MOST_EDGE])
        for q in range(edge):
            for r in range(3):
                line[r] = down[r * MOST_EDGE + q]
            lift_line(m, line, out)
            for r in range(edge):
                vstore(z + ((r * edge + q) * PIECE_ROW * LANES) + c * lanes, out[r])
    return vsum(check) == 0


cdef void multiply_block(void* args, Py_ssize_t begin, Py_ssize_t end) noexcept nogil:
    """Add all products of a block to Z, and after the last block of a run add to dweight.  Items
    are (panel, piece)."""
    cdef WinogradGradient* g = <WinogradGradient*> args
    cdef vreal sums[GRADIENT_EDGE * GRADIENT_EDGE * PIECE_ROW * NV]
    cdef Steps steps = cut_steps(1, g.end - g.begin, 0, PIECE_ROW, False)
    cdef int squares = (g.m + 2) * (g.m + 2)
    cdef Py_ssize_t places[PIECE_ROW]
    cdef Py_ssize_t item, panel, piece, channel, channels, lanes, lane
    cdef Py_ssize_t block = g.begin // g.length
    cdef bint last = g.end == g.tiles
    cdef bint finite
    cdef int e
    cdef real* z
    for e in range(PIECE_ROW):
        places[e] = e
    for item in range(begin, end):
        panel, piece = item // g.pieces, item % g.pieces
        lanes = VL if g.K - panel * LANES <= VL else LANES
        channel = piece * g.C // g.pieces
        channels = (piece + 1) * g.C // g.pieces - channel
        z = <real*> sums
        if g.z != NULL:
            z = g.z + item * squares * PIECE_ROW * LANES
        for e in range(squares):
            add_steps(channels, <int> (lanes // VL), g.v + (piece * squares + e) * g.v_plane,
                      places, g.d + (panel * squares + e) * g.d_plane, &steps, g.begin == 0,
                      z + e * PIECE_ROW * LANES, lanes)
        if not last and (block + 1) % g.run > 0:
            continue
        for lane from 0 <= lane < lanes by VL:
            if g.m == 2:
                finite = join_filters(g, 2, block < g.run, last, z + lane, lanes,
                                      panel * LANES + lane, channel, channels)
            else:
                finite = join_filters(g, 4, block < g.run, last, z + lane, lanes,
                                      panel * LANES + lane, channel, channels)
            if not finite:
                fc_mark(g.broken)


def winograd_backward_weight(const real[:, :, :, :] x, const real[:, :, :, ::1] dy,
                             real[::1] work, real[:, :, :, ::1] dweight, int m,
                             Py_ssize_t length, Py_ssize_t v_plane, Py_ssize_t d_plane, pad,
                             unsigned char[::1] broken, Py_ssize_t part, Py_ssize_t parts,
                             int threads):
    """Compute dweight (K, C, 3, 3) through blocks of `length` tiles of m x m outputs.

    work holds V and D, in which each e takes v_plane or d_plane numbers.  If there are several
    blocks it also holds Z.  A part is a share of the blocks.  broken[0] becomes 1 if a result is
    not finite.
    """
    cdef WinogradGradient g
    cdef Py_ssize_t squares = (m + 2) * (m + 2)
    cdef Py_ssize_t blocks, block, stretches = ceil_div(length, STRETCH)
    g.x = cut_maps(x, m, m + 2, dy.shape[2], dy.shape[3], pad)
    g.dy = cut_maps(dy, m, m + 2, dy.shape[2], dy.shape[3], (0, 0))
    g.dweight, g.C, g.K = &dweight[0, 0, 0, 0], x.shape[1], dy.shape[1]
    g.m, g.length, g.broken = m, length, &broken[0]
    g.tiles = x.shape[0] * g.x.tile_rows * g.x.tile_columns
    g.pieces = (g.C + PIECE_ROW - 1) // PIECE_ROW
    g.panels = (g.K + LANES - 1) // LANES
    g.v_plane, g.d_plane = v_plane, d_plane
    g.v = &work[0]
    g.d = g.v + g.pieces * squares * g.v_plane
    blocks = (g.tiles + length - 1) // length
    g.z = g.d + g.panels * squares * g.d_plane if blocks > 1 else NULL
    # the chains: the steps of a stretch, the stretches of a block, and so many blocks
    g.run = LONGEST_CHAINS - ceil_div(length, stretches) - stretches
    with nogil:
        for block in range(part * blocks // parts, (part + 1) * blocks // parts):
            g.begin = block * length
            g.end = min(g.begin + length, g.tiles)
            run_items(transform_block, &g, g.pieces * (PIECE_ROW // VL) + g.panels * NV, 0, 1, 1,
                      threads)
            run_items(multiply_block, &g, g.panels * g.pieces, 0, 1, 1, threads)
