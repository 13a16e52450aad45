# The matrix products of dense layers, y[p][l] = sum of a[p][k] * b[k][l], without packed weights.
#
#              lanes l: a panel of LANES              A chunk of at most DEPTH terms of b is laid
#            +-----------+-----------+                out on the stack, rows of LANES, and serves
#    pixel 0 | acc[0][0] | acc[0][1] |                all tiles of PRODUCT_PIXELS pixels.  Short
#    pixel 1 | acc[1][0] | acc[1][1] |   += a * b     sums leave room for neighbouring panels, so
#       ...  |           |           |                that rows of y are written in longer runs.
#            +-----------+-----------+
#
#              pixels p    lanes l    terms k
#   forward    samples     units      features        b is transposed on its way to the stack
#   of x       samples     features   units
#   of weight  units       features   samples
#
# Few pixels, or a single term, fill no tile: few_samples.pxi.
#
# If a block of the sum is longer than a chunk, its `acc` waits between the chunks.  Blocks are
# added in order to y, which begins at +0.  A block is done for several panels before the next, so
# that the pixels' numbers stay in the L2 for them.  The gradient of the weights has the order of
# rounds.pxi, with the samples as the pixels of one row: stretches of a single chunk are tiles one
# after the other, whose sums wait in a log.

cdef void lay_out_rows(const real* b, Py_ssize_t bk, Py_ssize_t bl, Py_ssize_t terms,
                       Py_ssize_t lanes, real* rows) noexcept nogil:
    """rows[k][LANES] = b[k][l], with zeros beyond the last lane in the vectors that are used."""
    cdef Py_ssize_t k, l
    if bk == 1:
        turn(b, bl, terms, lanes, 0, rows, LANES)
        return
    if bl == 1 and lanes >= LANES:
        for k in range(terms):
            for l in range(NV):
                vstore(rows + l * VL, vload(b + l * VL))
            b = b + bk
            rows = rows + LANES
        return
    for l from 0 <= l < min(lanes, <Py_ssize_t> LANES) by VL:
        if bl == 1:
            for k in range(terms):
                vstore(rows + k * LANES + l, vload_n(b + k * bk + l, lanes - l))
        else:
            for k in range(terms):
                vstore(rows + k * LANES + l, vload_strided(b + k * bk + l * bl, bl, lanes - l))


cdef Py_ssize_t find_lines(const Product* g, Py_ssize_t terms, Py_ssize_t* places) noexcept nogil:
    """Find the lines of a chunk of a panel of b, from its first number on, and return how many
    places they have."""
    cdef Py_ssize_t count = 0, i, j
    if g.bk == 1:
        for i in range(min(g.lanes, <Py_ssize_t> LANES)):
            for j from 0 <= j < terms by ROW_LINES * LINE:
                places[count] = i * g.bl + j
                count += 1
    elif g.bl == 1:
        for i in range(terms):
            places[i] = i * g.bk
        count = terms
    return count


cdef struct Chunk:
    # what is laid out, and multiplied by a block of pixels
    Py_ssize_t top, pixels
    Py_ssize_t lane, panels                # more than one only if a chunk is the whole sum
    Py_ssize_t start, stop                 # the block of the sum
    Py_ssize_t k, terms                    # the chunk of it
    real* rows
    vreal* waiting
    vreal* log                             # a tile for each stretch
    const vreal* zeros
    Py_ssize_t cuts[MOST_LOGGED + 1]       # where its stretches begin and end
    # what tiles prefetch for the next chunk: `lines` places, of which `line` are done
    Py_ssize_t lines, line, burst, segments


cdef inline void cut_chunk(const Product* g, Chunk* c) noexcept nogil:
    """Cut a chunk into stretches, and what is prefetched into bursts."""
    cdef Py_ssize_t i, tiles = ceil_div(c.pixels, TILE) * c.panels * g.stretches
    for i in range(g.stretches + 1):
        c.cuts[i] = i * c.terms // g.stretches
    c.line = 0
    c.segments = max(<Py_ssize_t> 1, c.terms // g.stretches // SEGMENT)
    c.burst = ceil_div(c.lines, tiles * c.segments)


cdef inline void multiply_tile(const Product* g, Chunk* c, const real* a, const real* rows,
                               Py_ssize_t first, int count, real* y, const Py_ssize_t* places,
                               Ending* to) noexcept nogil:
    """A tile of a chunk, one stretch after the other."""
    cdef product_t tile_ = product_tiles[1 if to.lanes <= VL else NV][count]
    cdef Py_ssize_t i, at
    cdef vreal* waiting = c.waiting + first * NV
    cdef const vreal* begin = c.zeros
    cdef bint ends = c.k + c.terms == c.stop
    to.last = ends and c.stop == g.terms
    to.base, to.base_step = <const real*> c.zeros, 0
    if g.stretches > 1:
        to.base, to.base_step = <const real*> c.log, VL if to.lanes <= VL else LANES
    elif c.start > 0:
        to.base, to.base_step = y, g.yp
    if c.k > c.start:
        begin = waiting
    to.line, to.line_step, to.line_count = a + count * g.ap, g.ap, 0
    if ends:
        to.line, to.line_step = y, g.yp
        to.line_count = count if g.stretches == 1 else 0
    for i in range(g.stretches):
        to.places, to.burst = places + c.line, c.burst if c.line < c.lines else 0
        c.line += c.burst * c.segments
        to.y = y if ends and i + 1 == g.stretches else NULL
        if g.stretches > 1:
            waiting = c.log + i * TILE * NV
        # a second vector without lanes would only multiply zeros
        at = c.cuts[i]
        tile_(NULL, NULL, a + at * g.ak, g.ap, g.ak, rows + at * LANES, c.cuts[i + 1] - at, begin,
              waiting, to)
        to.line = to.line + c.segments * ROWS_AHEAD * to.line_step  # the rest of the tile
    for i in range(1, g.stretches - 1):
        add_tile(count, 1 if to.lanes <= VL else NV, c.log + i * TILE * NV, y, g.yp, to)


cdef void multiply_chunk(const Product* g, Chunk* c, const Py_ssize_t* places,
                         Ending* to) noexcept nogil:
    """All tiles of a chunk, of nearly equal width."""
    cdef Py_ssize_t pieces = ceil_div(c.pixels, TILE)
    cdef Py_ssize_t piece, panel, first, last = 0, row, at, lane
    cdef const real* a
    cut_chunk(g, c)
    for piece in range(pieces):
        first, last = last, (piece + 1) * c.pixels // pieces
        a = g.a + (c.top + first) * g.ap + c.k * g.ak
        if g.ak == 1 and g.lanes <= VL:
            # each number of a has few products: prefetch the rows of the next tile
            for row in range(last - first):
                for at from 0 <= at < c.terms by LINE:
                    vprefetch(a + (last - first + row) * g.ap + at)
        for panel in range(c.panels):
            lane = c.lane + panel * LANES
            to.lanes = g.lanes - lane
            to.bias = g.bias + lane if g.bias != NULL else NULL
            multiply_tile(g, c, a, c.rows + panel * c.terms * LANES, first, <int> (last - first),
                          g.y + (c.top + first) * g.yp + lane, places, to)


cdef inline const real* next_chunk(const Product* g, const Chunk* c, Py_ssize_t first,
                                   Py_ssize_t last) noexcept nogil:
    """What will be laid out next for the lanes `first` to `last` of an item."""
    cdef Py_ssize_t lane = c.lane, k = c.k + c.terms
    if k == c.stop:
        lane, k = lane + c.panels * LANES, c.start
        if lane >= last and c.stop < g.terms:
            lane, k = first, c.stop
    return g.b + k * g.bk + lane * g.bl


cdef void multiply_items(void* args, Py_ssize_t begin, Py_ssize_t end) noexcept nogil:
    """Items are (some panels, block of pixels); the last varies fastest."""
    cdef const Product* g = <const Product*> args
    cdef real rows[DEPTH * LANES]
    cdef vreal waiting[PRODUCT_PIXELS * NV]
    cdef vreal log[MOST_LOGGED * TILE * NV]
    cdef vreal zeros[TILE * NV]
    cdef Py_ssize_t places[PLACES]
    cdef Chunk c
    cdef Ending to
    cdef Py_ssize_t item, first, last, panel
    c.rows, c.waiting, c.log, c.zeros = rows, waiting, log, zeros
    memset(places, 0, PLACES * sizeof(Py_ssize_t))
    memset(zeros, 0, TILE * NV * sizeof(vreal))
    c.lines = find_lines(g, min(min(g.block, g.terms), <Py_ssize_t> DEPTH), places)
    to.step, to.relu = g.yp, g.relu
    for item in range(begin, end):
        c.top = item % g.pixel_blocks * g.pixels // g.pixel_blocks
        c.pixels = (item % g.pixel_blocks + 1) * g.pixels // g.pixel_blocks - c.top
        first = item // g.pixel_blocks * g.span * LANES
        last = min(first + g.span * LANES, g.lanes)
        c.start = 0
        # a block of a sum for all panels, so that the pixels' numbers stay in the L2 for them
        while c.start < g.terms:
            c.stop = min(c.start + g.block, g.terms)
            c.lane = first
            while c.lane < last:
                c.panels = min(g.panels, ceil_div(last - c.lane, LANES))
                c.k = c.start
                while c.k < c.stop:
                    c.terms = min(c.stop - c.k, <Py_ssize_t> DEPTH)
                    for panel in range(c.panels):
                        lay_out_rows(g.b + c.k * g.bk + (c.lane + panel * LANES) * g.bl, g.bk, g.bl,
                                     c.terms, last - c.lane - panel * LANES,
                                     rows + panel * c.terms * LANES)
                    to.ahead = next_chunk(g, &c, first, last)
                    multiply_chunk(g, &c, places, &to)
                    c.k += c.terms
                c.lane += c.panels * LANES
            c.start = c.stop


cdef struct Samples:
    # a chunk of samples that is laid out, and what is prefetched while units are multiplied by it
    const real* a                          # of the first unit
    const real* rows
    Py_ssize_t terms
    const real* next                       # the rows that are laid out next, or NULL
    const real* y                          # of the first unit, if the chunk is the last; or NULL


cdef inline void add_units(const Product* g, const Samples* c, Py_ssize_t units, int vectors,
                           bint fresh, real* total) noexcept nogil:
    """Add a chunk to the totals of so many units, tile by tile.  Each tile prefetches its share of
    the rows that are laid out next, and in the last chunk its rows of y."""
    cdef Py_ssize_t most = SLIM if vectors == 1 else TILE
    cdef Py_ssize_t places[SLIM]
    cdef Py_ssize_t pieces = ceil_div(units, most), piece, first, last = 0, i
    cdef Steps steps = cut_steps(1, c.terms, 0, g.ak, False)
    for i in range(SLIM):
        places[i] = i * g.ap
    for piece in range(pieces):
        first, last = last, (piece + 1) * units // pieces
        if c.next != NULL:
            for i in range(piece * c.terms // pieces, (piece + 1) * c.terms // pieces):
                fetch_lines(c.next + i * g.bk)
        if c.y != NULL:
            for i in range(first, last):
                fetch_lines(c.y + i * g.yp)
        add_steps(last - first, vectors, c.a + first * g.ap, places, c.rows, &steps, fresh,
                  total + first * vectors * VL, vectors * VL)


cdef void multiply_samples(void* args, Py_ssize_t begin, Py_ssize_t end) noexcept nogil:
    """The gradient of the weights, for more samples than a single chain may have.  Items are
    (panel, block of units)."""
    cdef const Product* g = <const Product*> args
    cdef real rows[CHUNK * LANES]
    cdef vreal total[PRODUCT_PIXELS * NV]
    cdef vreal high[PRODUCT_PIXELS * NV]
    cdef Py_ssize_t chunks = (g.terms + CHUNK - 1) // CHUNK
    cdef Rounds rounds = plan_rounds(g.terms, 1, ceil_div(g.terms, chunks), chunks, 1, 0, chunks)
    cdef Samples c
    cdef Py_ssize_t item, top, units, lane, lanes, chunk, first, run, i, p, v
    cdef int vectors
    cdef real* y
    cdef vreal lost
    c.rows = rows
    for item in range(begin, end):
        top = item % g.pixel_blocks * g.pixels // g.pixel_blocks
        units = (item % g.pixel_blocks + 1) * g.pixels // g.pixel_blocks - top
        lane = item // g.pixel_blocks * LANES
        lanes = g.lanes - lane
        vectors = 1 if lanes <= VL else NV
        y = g.y + top * g.yp + lane
        run = 0
        for chunk in range(chunks):
            first = chunk * g.terms // chunks
            c.terms = (chunk + 1) * g.terms // chunks - first
            c.a = g.a + top * g.ap + first * g.ak
            lay_out_rows(g.b + first * g.bk + lane * g.bl, g.bk, g.bl, c.terms, lanes, rows)
            c.y = c.next = NULL
            if chunk + 1 == chunks:
                c.y = y
                if g.bl == 1 and item + 1 < end:
                    c.next = g.b + (item + 1) // g.pixel_blocks * LANES
            elif g.bl == 1:
                c.next = g.b + (first + c.terms) * g.bk + lane
            add_units(g, &c, units, vectors, begins_anew(&rounds, run, chunk), <real*> total)
            if chunk + 1 < run_start(&rounds, run + 1):
                continue
            for i in range(units * vectors):
                if run == 0:               # nothing is lost, and the next run begins anew
                    high[i] = vzero() + total[i]
                else:
                    high[i] = vjoin(high[i], total[i], &lost)
                    total[i] = vlost(lost)
            run += 1
        for p in range(units):
            for v in range(vectors):
                if lanes >= LANES:
                    vstore(y + p * g.yp + v * VL, high[p * vectors + v])
                else:
                    vstore_n(y + p * g.yp + v * VL, high[p * vectors + v], lanes - v * VL)


def matrix_product(const real[:, :] a, const real[:, :] b, const real[::1] bias,
                   real[:, ::1] y, Py_ssize_t block, bint relu, Py_ssize_t part, Py_ssize_t parts,
                   int threads):
    """y (P, L) = a (P, K) b (K, L) + bias, in blocks of `block` terms.  If `block` is 0, sums have
    the order of the gradient of the weights."""
    cdef Product g
    cdef Py_ssize_t columns
    cdef bint long_sums, several           # more samples than one chain may have; joined chunks
    g.a, g.b, g.y = &a[0, 0], &b[0, 0], &y[0, 0]
    g.bias = NULL
    if bias is not None:
        g.bias = &bias[0]
    g.pixels, g.terms, g.lanes = a.shape[0], a.shape[1], b.shape[1]
    g.ap, g.ak = a.strides[0] // <Py_ssize_t> sizeof(real), a.strides[1] // <Py_ssize_t> sizeof(real)
    g.bk, g.bl = b.strides[0] // <Py_ssize_t> sizeof(real), b.strides[1] // <Py_ssize_t> sizeof(real)
    g.yp, g.relu = y.shape[1], relu
    long_sums = block == 0 and g.terms > CHUNK // 2
    several = long_sums and (g.terms > CHUNK or TILE < 12)  # stretches are too short for few pixels
    g.block = block if block else g.terms
    if g.bl == 1 and not long_sums and (g.pixels <= FEW_PIXELS or g.terms == 1):
        with nogil:
            run_items(multiply_rows, &g, ceil_div(g.lanes, ROW_LANES) * g.pixels, part, parts, 1,
                      threads)
        return
    if g.bk == 1 and not long_sums and g.pixels <= FEW_PIXELS:
        with nogil:
            run_items(multiply_columns, &g, ceil_div(g.lanes, VL), part, parts, 1, threads)
        return
    g.panels = g.stretches = 1
    if g.terms <= min(g.block, <Py_ssize_t> DEPTH) and not several:
        g.panels = clamp(DEPTH // g.terms, 1, PRODUCT_PANELS)
    if long_sums:
        g.stretches = ceil_div(g.terms, STRETCH)
    columns = ceil_div(ceil_div(g.lanes, LANES), g.panels)
    g.span = g.panels * clamp(columns // (parts if threads == 1 else 2 * threads * parts), 1, SPAN)
    columns = ceil_div(ceil_div(g.lanes, LANES), g.panels if several else g.span)
    g.pixel_blocks = max(ceil_div(g.pixels, PRODUCT_PIXELS),
                         min(ceil_div(2 * threads, columns) if threads > 1 else 1,
                             ceil_div(g.pixels, TILE)))
    with nogil:
        run_items(multiply_samples if several else multiply_items, &g, columns * g.pixel_blocks,
                  part, parts, 1, threads)
