# How maps are cut into Winograd tiles, and their transforms with channels in the lanes: for the
# gradient of the weights, where x becomes V and dy becomes D (winograd_gradient.pxi), and forward,
# if channels fill lines of the cache and maps are not wide (winograd.pxi; else winograd_runs.pxi).
#
#   x[channel][row][column]  -- transposed -->  window[row][column][VL]  -- B^T x B -->  V[e][t]
#
# A window is a few rows on the stack, with zeros outside of the map, so that no tile is a special
# case.  A pixel is put into lanes once, even if four tiles see it.

cdef extern from *:
    """
    enum { RUN_TILES = 16, MOST_EDGE = 8 };
    """
    enum: RUN_TILES                        # neighbouring tiles that are transformed together
    enum: MOST_EDGE

cdef struct TiledMaps:                     # the maps of all images, and the tiles they are cut into
    const real* at                         # the first number of the first image
    Py_ssize_t image, channel, row         # strides in elements
    Py_ssize_t H, W
    Py_ssize_t top, left                   # how far the first tile begins outside of the map
    Py_ssize_t tile_rows, tile_columns
    Py_ssize_t strip                       # tiles side by side; those below them are counted next


cdef inline Py_ssize_t strip_of(Py_ssize_t tile_columns, int m, int edge) noexcept nogil:
    """Tiles side by side in a strip: so many that their columns, and those that the last of them
    sees besides, fill whole vectors, unless there are hardly more in a row."""
    if tile_columns <= RUN_TILES:
        return tile_columns
    return ceil_div(tile_columns, ceil_div(tile_columns, RUN_TILES - ceil_div(edge - m, m)))


cdef struct TilePlace:
    Py_ssize_t n, row, column              # its image, and where it lies there, in tiles
    Py_ssize_t left, right                 # the columns of its strip, in tiles


cdef inline void enter_strip(const TiledMaps* maps, Py_ssize_t left, TilePlace* at) noexcept nogil:
    at.left = at.column = left
    at.right = min(left + maps.strip, maps.tile_columns)


cdef inline TilePlace find_tile(const TiledMaps* maps, Py_ssize_t t) noexcept nogil:
    """Where tile t of all images lies."""
    cdef TilePlace at
    cdef Py_ssize_t tiles = maps.tile_rows * maps.tile_columns
    cdef Py_ssize_t strip = maps.tile_rows * maps.strip
    at.n = t // tiles
    t %= tiles
    enter_strip(maps, t // strip * maps.strip, &at)
    t %= strip
    at.row = t // (at.right - at.left)
    at.column += t % (at.right - at.left)
    return at


cdef inline void move_on(const TiledMaps* maps, Py_ssize_t count, TilePlace* at) noexcept nogil:
    """Move by `count` tiles, at most to the end of the row: then to the row below, the next strip,
    or the next image."""
    at.column += count
    if at.column < at.right:
        return
    at.column = at.left
    at.row += 1
    if at.row < maps.tile_rows:
        return
    at.row = 0
    at.n += at.right == maps.tile_columns
    enter_strip(maps, 0 if at.right == maps.tile_columns else at.right, at)


cdef struct RowsAhead:                     # rows of some channels, to prefetch
    const real* at                         # the first number of the first channel
    Py_ssize_t rows, columns               # rows of a channel, and numbers of a row
    Py_ssize_t channel, row                # strides
    Py_ssize_t channels                    # 0: none are asked for


cdef inline void lay_strip(const real* x, Py_ssize_t xc, Py_ssize_t channels, Py_ssize_t count,
                           Py_ssize_t width, Py_ssize_t step, real* to) noexcept nogil:
    """Put `count` neighbouring pixels into lanes; after each `width` of them `to` moves by `step`.

    Lanes without a channel repeat the last channel, and their results are never read.
    """
    cdef vreal block[VL]
    cdef const real* at
    cdef Py_ssize_t first, i, k
    cdef Py_ssize_t column = 0
    for first from 0 <= first < count by VL:
        at = x + first
        if count - first >= VL:
            for k in range(VL):
                block[k] = vload(at)
                at += xc if k + 1 < channels else 0
        else:
            for k in range(VL):
                block[k] = vload_n(at, count - first)
                at += xc if k + 1 < channels else 0
        vtranspose(block)
        for i in range(min(<Py_ssize_t> VL, count - first)):
            vstore(to + column * VL, block[i])
            column += 1
            if column == width:
                column = 0
                to += step


cdef inline void prefetch_rows(const RowsAhead* ahead, Py_ssize_t first,
                               Py_ssize_t last) noexcept nogil:
    """Prefetch the channels first .. last.  They are in as many pages, so no hardware prefetcher
    foresees them."""
    cdef Py_ssize_t k, r, q
    for k in range(first, last):
        for r in range(ahead.rows):
            for q from 0 <= q < ahead.columns by CACHE_LINE:
                vprefetch(ahead.at + k * ahead.channel + r * ahead.row + q)


cdef void lay_window(const real* x, Py_ssize_t xc, Py_ssize_t xh, Py_ssize_t channels,
                     Py_ssize_t top, Py_ssize_t rows, Py_ssize_t left, Py_ssize_t columns,
                     Py_ssize_t H, Py_ssize_t W, RowsAhead* ahead, real* to) noexcept nogil:
    """to[row][column][VL] = x[channel][top + row][left + column], zero outside of the map.

    `ahead` gets the rows that were read, from which the caller moves on.
    """
    cdef Py_ssize_t r0 = clamp(-top, 0, rows)
    cdef Py_ssize_t r1 = clamp(H - top, r0, rows)
    cdef Py_ssize_t q0 = clamp(-left, 0, columns)
    cdef Py_ssize_t q1 = clamp(W - left, q0, columns)
    cdef Py_ssize_t r, q
    ahead.at, ahead.rows, ahead.columns = x, r1 - r0, q1 - q0
    for r in range(rows):
        for q in range(columns):
            if not (r0 <= r < r1 and q0 <= q < q1):
                vstore(to + (r * columns + q) * VL, vzero())
    if r0 == r1 or q0 == q1:
        return
    x += (top + r0) * xh + left + q0
    to += (r0 * columns + q0) * VL
    ahead.at = x
    if q1 - q0 == W == xh:                 # rows that follow one another
        lay_strip(x, xc, channels, (r1 - r0) * W, W, columns * VL, to)
        return
    for r in range(r1 - r0):
        lay_strip(x + r * xh, xc, channels, q1 - q0, q1 - q0, 0, to + r * columns * VL)


cdef inline void transform_lanes(const int m, const int edge, bint gradient, const real* window,
                                 Py_ssize_t columns, Py_ssize_t count, const RowsAhead* ahead,
                                 real* to, Py_ssize_t row, Py_ssize_t plane) noexcept nogil:
    """to[e][t][row] = the transform of `count` tiles of VL channels.  The planes of e are `plane`
    apart.  A `gradient` is that of the output, dy; else the tiles are of x.  Each tile asks for its
    share of `ahead`."""
    cdef vreal line[MOST_EDGE]
    cdef vreal out[MOST_EDGE]
    cdef vreal down[MOST_EDGE * MOST_EDGE]
    cdef int side = m if gradient else edge
    cdef int r, q
    cdef Py_ssize_t t, share = ceil_div(ahead.channels, count)
    for t in range(count):
        if share:
            prefetch_rows(ahead, min(t * share, ahead.channels),
                          min((t + 1) * share, ahead.channels))
        for q in range(side):
            for r in range(side):
                line[r] = vload(window + (r * columns + t * m + q) * VL)
            if gradient:
                output_gradient_line(m, line, out)
            else:
                input_line(edge, line, out)
            for r in range(edge):
                down[r * MOST_EDGE + q] = out[r]
        for r in range(edge):
            if gradient:
                output_gradient_line(m, &down[r * MOST_EDGE], out)
            else:
                input_line(edge, &down[r * MOST_EDGE], out)
            for q in range(edge):
                vstore(to + (r * edge + q) * plane + t * row, out[q])


cdef inline void transform_vector(const TiledMaps* maps, const int m, const int edge,
                                  bint gradient, Py_ssize_t first, Py_ssize_t channels,
                                  Py_ssize_t begin, Py_ssize_t end, Py_ssize_t distance, real* to,
                                  Py_ssize_t row, Py_ssize_t plane) noexcept nogil:
    """Transform the tiles begin .. end, for up to VL channels from `first` on, as
    `transform_lanes` does.  What lies `distance` numbers further than what is read is prefetched;
    0 is for no prefetching.

    The rows of x that a tile shares with the tile below it stay in the window.
    """
    cdef real window[MOST_EDGE * (RUN_TILES * 4 + 4) * VL]  # the widest: tiles of 4, edge 8
    cdef TilePlace at = find_tile(maps, begin)
    cdef Py_ssize_t t = begin
    cdef Py_ssize_t count, columns, kept
    cdef Py_ssize_t rows = m if gradient else edge
    cdef const real* x
    cdef RowsAhead ahead
    ahead.channel, ahead.row = maps.channel, maps.row
    ahead.channels = channels if distance else 0
    while t < end:
        count = min(at.right - at.column, end - t)
        columns = (at.right - at.left) * m + rows - m
        kept = rows - m if at.row > 0 and t > begin else 0
        memmove(window, window + m * columns * VL, kept * columns * VL * sizeof(real))
        x = maps.at + at.n * maps.image + first * maps.channel
        lay_window(x, maps.channel, maps.row, channels, at.row * m - maps.top + kept, rows - kept,
                   at.left * m - maps.left, columns, maps.H, maps.W, &ahead,
                   window + kept * columns * VL)
        ahead.at = ahead.at + distance
        transform_lanes(m, edge, gradient, window + (at.column - at.left) * m * VL, columns, count,
                        &ahead, to + (t - begin) * row, row, plane)
        move_on(maps, count, &at)
        t += count


cdef TiledMaps cut_maps(const real[:, :, :, :] x, int m, int edge, Py_ssize_t rows,
                        Py_ssize_t columns, pad):
    """Return the maps of x, cut into strips of tiles that make rows x columns outputs."""
    cdef TiledMaps maps
    maps.at = &x[0, 0, 0, 0]
    maps.image = x.strides[0] // <Py_ssize_t> sizeof(real)
    maps.channel = x.strides[1] // <Py_ssize_t> sizeof(real)
    maps.row = x.strides[2] // <Py_ssize_t> sizeof(real)
    maps.H, maps.W = x.shape[2], x.shape[3]
    maps.top, maps.left = pad[0], pad[1]
    maps.tile_rows, maps.tile_columns = (rows + m - 1) // m, (columns + m - 1) // m
    maps.strip = strip_of(maps.tile_columns, m, edge)
    return maps
