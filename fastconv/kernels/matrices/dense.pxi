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
# Few pixels, or a single term, fill no tile.  There a run of y waits in the L1 while rows of b are
# added to it, whole and where they lie.
#
# If a block of the sum is longer than a chunk, its `acc` waits between the chunks.  Blocks are
# added in order to y, which begins at +0.  The gradient of the weights has the order of
# rounds.pxi, with the samples as the pixels of one row.

cdef extern from *:
    """
    enum { DEPTH = TILE < 12 ? 256 : 128, PRODUCT_PIXELS = TILE < 12 ? 18 * TILE : 8 * TILE,
           PRODUCT_PANELS = 8, FEW_PIXELS = 4, ROW_LANES = 4096 / sizeof(real), ROWS = 8, ROW_VECTORS = ROW_LANES / VL };
    """
    enum: DEPTH                            # rows of b on the stack: 16 KiB
    enum: PRODUCT_PIXELS                   # pixels whose sums may wait: 14 KiB, or 7
    enum: PRODUCT_PANELS
    enum: FEW_PIXELS                       # so few pixels fill no tile
    enum: ROW_LANES                        # lanes of a run of y that waits in the L1
    enum: ROW_VECTORS
    enum: ROWS                             # rows of b that are added to it together

cdef struct Product:
    const real* a
    const real* b
    const real* bias                       # of each lane, or NULL
    real* y                                # lanes are neighbours
    Py_ssize_t pixels, lanes, terms
    Py_ssize_t ap, ak, bk, bl, yp          # strides in elements
    Py_ssize_t block                       # terms of a block, at the most
    bint relu
    Py_ssize_t panels, pixel_blocks        # panels of an item; blocks that pixels are cut into

cdef struct Ending:
    # what becomes of a sum
    real* y                                # where it goes; NULL if it waits
    Py_ssize_t step                        # from one pixel to the next
    Py_ssize_t ahead                       # from y to what is prefetched: short sums end too soon
    Py_ssize_t lanes
    const real* bias
    bint first, last, relu                 # whether it is the first block of the sum, the last


cdef inline void end_sum(vreal total, const Ending* to, Py_ssize_t pixel, Py_ssize_t lane) noexcept nogil:
    """Add a block of the sum to y, in the vector of lanes from `lane` on."""
    cdef Py_ssize_t count = to.lanes - lane
    cdef real* y = to.y + pixel * to.step + lane
    cdef vreal value = (vzero() if to.first else vload_n(y, count)) + total
    if to.last:
        value = value + (vload_n(to.bias + lane, count) if to.bias != NULL else vzero())
        if to.relu:
            value = vrelu(value)
    vstore_n(y, value, count)


cdef inline void product_tile(const int pixels, const int vectors, const real* a, Py_ssize_t ap,
                              Py_ssize_t ak, const real* rows, Py_ssize_t terms, bint resume,
                              vreal* waiting, const Ending* to) noexcept nogil:
    cdef vreal acc[TILE * NV]
    cdef vreal weights[NV]
    cdef vreal pixel
    cdef Py_ssize_t k
    cdef int p, v
    if to.y != NULL:
        for p in range(pixels):
            vprefetch_write(to.y + p * to.step + to.ahead)
            vprefetch_write(to.y + p * to.step + to.ahead + VL)
    if resume:
        for p in range(pixels * vectors):
            acc[p] = waiting[p]
    else:
        for p in range(pixels * vectors):
            acc[p] = vzero()
    for k in range(terms):
        for v in range(vectors):
            weights[v] = vload(rows + v * VL)
        for p in range(pixels):
            pixel = vset1(a[p * ap])
            for v in range(vectors):
                acc[p * vectors + v] = vadd_product(acc[p * vectors + v], pixel, weights[v])
        a = a + ak
        rows = rows + LANES
    if to.y == NULL:
        for p in range(pixels * vectors):
            waiting[p] = acc[p]
        return
    for p in range(pixels):
        for v in range(vectors):
            end_sum(acc[p * vectors + v], to, p, v * VL)


ctypedef void (*product_t)(const void*, const void*, const real* a, Py_ssize_t ap, Py_ssize_t ak,
                           const real* rows, Py_ssize_t terms, bint resume, vreal* waiting,
                           const Ending* to) noexcept nogil

ctypedef fused vectors:                    # how many vectors of a panel
    n1
    n2


cdef void product_tile_of(const width* _, const vectors* __, const real* a, Py_ssize_t ap,
                          Py_ssize_t ak, const real* rows, Py_ssize_t terms, bint resume,
                          vreal* waiting, const Ending* to) noexcept nogil:
    if sizeof(width) <= TILE:
        product_tile(<int> sizeof(width), <int> sizeof(vectors), a, ap, ak, rows, terms, resume,
                     waiting, to)


cdef product_t product_tiles[3][15]        # by how many vectors, and by how many pixels
product_tiles[1][:] = [
    NULL,
    <product_t> product_tile_of[n1, n1], <product_t> product_tile_of[n2, n1],
    <product_t> product_tile_of[n3, n1], <product_t> product_tile_of[n4, n1],
    <product_t> product_tile_of[n5, n1], <product_t> product_tile_of[n6, n1],
    <product_t> product_tile_of[n7, n1], <product_t> product_tile_of[n8, n1],
    <product_t> product_tile_of[n9, n1], <product_t> product_tile_of[n10, n1],
    <product_t> product_tile_of[n11, n1], <product_t> product_tile_of[n12, n1],
    <product_t> product_tile_of[n13, n1], <product_t> product_tile_of[n14, n1],
]
product_tiles[2][:] = [
    NULL,
    <product_t> product_tile_of[n1, n2], <product_t> product_tile_of[n2, n2],
    <product_t> product_tile_of[n3, n2], <product_t> product_tile_of[n4, n2],
    <product_t> product_tile_of[n5, n2], <product_t> product_tile_of[n6, n2],
    <product_t> product_tile_of[n7, n2], <product_t> product_tile_of[n8, n2],
    <product_t> product_tile_of[n9, n2], <product_t> product_tile_of[n10, n2],
    <product_t> product_tile_of[n11, n2], <product_t> product_tile_of[n12, n2],
    <product_t> product_tile_of[n13, n2], <product_t> product_tile_of[n14, n2],
]


cdef void lay_out_rows(const real* b, Py_ssize_t bk, Py_ssize_t bl, Py_ssize_t terms,
                       Py_ssize_t lanes, real* rows) noexcept nogil:
    """rows[k][LANES] = b[k][l], with zeros beyond the last lane in the vectors that are used."""
    cdef Py_ssize_t k, l
    if bk == 1:
        turn(b, bl, terms, lanes, LEAD, rows, LANES)
        return
    for l from 0 <= l < min(lanes, <Py_ssize_t> LANES) by VL:
        if bl == 1:
            for k in range(terms):
                vprefetch(b + k * bk + l + LANES)  # for the next item
                vstore(rows + k * LANES + l, vload_n(b + k * bk + l, lanes - l))
        else:
            for k in range(terms):
                vstore(rows + k * LANES + l, vload_strided(b + k * bk + l * bl, bl, lanes - l))


cdef void multiply_items(void* args, Py_ssize_t begin, Py_ssize_t end) noexcept nogil:
    """Items are (some panels, block of pixels); the last varies fastest."""
    cdef const Product* g = <const Product*> args
    cdef real rows[DEPTH * LANES]
    cdef vreal waiting[PRODUCT_PIXELS * NV]
    cdef Ending to
    cdef Py_ssize_t item, top, pixels, pieces, piece, first, lane, panel, panels
    cdef Py_ssize_t k, terms, stop, row, at
    cdef const real* a
    cdef const real* panel_rows
    cdef bint resume
    cdef int count
    to.step, to.relu = g.yp, g.relu
    for item in range(begin, end):
        top = item % g.pixel_blocks * g.pixels // g.pixel_blocks
        pixels = (item % g.pixel_blocks + 1) * g.pixels // g.pixel_blocks - top
        pieces = (pixels + TILE - 1) // TILE
        lane = item // g.pixel_blocks * g.panels * LANES
        to.ahead = 2 * LANES if g.panels > 1 else 0
        panels = min(g.panels, (g.lanes - lane + LANES - 1) // LANES)
        k, stop, resume = 0, min(g.block, g.terms), False
        while k < g.terms:
            terms = min(stop - k, <Py_ssize_t> DEPTH)
            for panel in range(panels):    # more than one only if a chunk is the whole sum
                lay_out_rows(g.b + k * g.bk + (lane + panel * LANES) * g.bl, g.bk, g.bl, terms,
                             g.lanes - lane - panel * LANES, rows + panel * terms * LANES)
            to.first, to.last = k < g.block, k + terms == g.terms
            for piece in range(pieces):    # pieces of nearly equal width
                first = piece * pixels // pieces
                count = <int> ((piece + 1) * pixels // pieces - first)
                a = g.a + (top + first) * g.ap + k * g.ak
                if g.ak == 1 and g.lanes <= VL:
                    # each number of a has few products: prefetch the rows of the next tile
                    for row in range(count):
                        for at from 0 <= at < terms by 64 // sizeof(real):
                            vprefetch(a + (count + row) * g.ap + at)
                for panel in range(panels):
                    panel_rows = rows + panel * terms * LANES
                    to.lanes = g.lanes - lane - panel * LANES
                    to.bias = g.bias + g.lanes - to.lanes if g.bias != NULL else NULL
                    to.y = NULL
                    if k + terms == stop:
                        to.y = g.y + (top + first) * g.yp + g.lanes - to.lanes
                    # a second vector without lanes would only multiply zeros
                    product_tiles[1 if to.lanes <= VL else NV][count](
                        NULL, NULL, a, g.ap, g.ak, panel_rows, terms, resume,
                        waiting + first * NV, &to)
            k += terms
            resume = k < stop
            if not resume:
                stop = min(stop + g.block, g.terms)


cdef void multiply_samples(void* args, Py_ssize_t begin, Py_ssize_t end) noexcept nogil:
    """The gradient of the weights, for more samples than a single chain may have.  Items are
    (panel, block of units)."""
    cdef const Product* g = <const Product*> args
    cdef real rows[CHUNK * LANES]
    cdef vreal total[PRODUCT_PIXELS * NV]
    cdef vreal high[PRODUCT_PIXELS * NV]
    cdef Py_ssize_t places[PRODUCT_PIXELS]
    cdef Py_ssize_t chunks = (g.terms + CHUNK - 1) // CHUNK
    cdef Rounds rounds = plan_rounds(g.terms, 1, ceil_div(g.terms, chunks), chunks, 1, 0, chunks)
    cdef Steps steps
    cdef Py_ssize_t item, top, units, lane, lanes, chunk, first, terms, run, i, p, v
    cdef int vectors
    cdef vreal lost
    for i in range(PRODUCT_PIXELS):
        places[i] = i * g.ap
    for item in range(begin, end):
        top = item % g.pixel_blocks * g.pixels // g.pixel_blocks
        units = (item % g.pixel_blocks + 1) * g.pixels // g.pixel_blocks - top
        lane = item // g.pixel_blocks * LANES
        lanes = g.lanes - lane
        vectors = 1 if lanes <= VL else NV
        run = 0
        for chunk in range(chunks):
            first = chunk * g.terms // chunks
            terms = (chunk + 1) * g.terms // chunks - first
            lay_out_rows(g.b + first * g.bk + lane * g.bl, g.bk, g.bl, terms, lanes, rows)
            steps = cut_steps(1, terms, 0, g.ak, False)
            add_steps(units, vectors, g.a + top * g.ap + first * g.ak, places, rows, &steps,
                      begins_anew(&rounds, run, chunk), <real*> total, vectors * VL)
            if chunk + 1 < run_start(&rounds, run + 1):
                continue
            for i in range(units * vectors):
                high[i] = vjoin(vzero() if run == 0 else high[i], total[i], &lost)
                total[i] = vlost(lost)
            run += 1
        for p in range(units):
            for v in range(vectors):
                vstore_n(g.y + (top + p) * g.yp + lane + v * VL, high[p * vectors + v],
                         lanes - v * VL)


cdef inline void add_rows(const int count, const real* a, Py_ssize_t ak, const real* b,
                          Py_ssize_t bk, Py_ssize_t lanes, bint fresh, vreal* sums) noexcept nogil:
    """sums[.] += a[k] * b[k][.] for `count` rows of b; fresh sums begin at zero."""
    cdef vreal numbers[ROWS]
    cdef vreal value
    cdef Py_ssize_t i, whole = lanes // VL
    cdef int k
    for k in range(count):
        numbers[k] = vset1(a[k * ak])
    for i in range(whole):
        value = vzero() if fresh else sums[i]
        for k in range(count):
            value = vadd_product(value, numbers[k], vload(b + k * bk + i * VL))
        sums[i] = value
    if whole * VL < lanes:
        value = vzero() if fresh else sums[whole]
        for k in range(count):
            value = vadd_product(value, numbers[k],
                                 vload_n(b + k * bk + whole * VL, lanes - whole * VL))
        sums[whole] = value


cdef void multiply_rows(void* args, Py_ssize_t begin, Py_ssize_t end) noexcept nogil:
    """Items are (run of lanes, pixel); the last varies fastest."""
    cdef const Product* g = <const Product*> args
    cdef vreal sums[ROW_VECTORS]
    cdef Ending to
    cdef Py_ssize_t item, pixel, lane, k, stop, i
    cdef bint fresh
    cdef const real* a
    cdef const real* b
    to.relu = g.relu
    for item in range(begin, end):
        pixel, lane = item % g.pixels, item // g.pixels * ROW_LANES
        to.lanes = min(<Py_ssize_t> ROW_LANES, g.lanes - lane)
        to.bias = g.bias + lane if g.bias != NULL else NULL
        to.y = g.y + pixel * g.yp + lane
        a, b = g.a + pixel * g.ap, g.b + lane
        k = 0
        if g.terms == 1:                   # no sum has to wait
            to.first = to.last = True
            for i from 0 <= i < to.lanes by VL:
                end_sum(vadd_product(vzero(), vset1(a[0]), vload_n(b + i, to.lanes - i)), &to, 0, i)
            continue
        while k < g.terms:
            to.first, stop, fresh = k == 0, min(k + g.block, g.terms), True
            to.last = stop == g.terms
            while k < stop:
                if stop - k >= ROWS:
                    add_rows(ROWS, a + k * g.ak, g.ak, b + k * g.bk, g.bk, to.lanes, fresh, sums)
                    k += ROWS
                else:
                    add_rows(1, a + k * g.ak, g.ak, b + k * g.bk, g.bk, to.lanes, fresh, sums)
                    k += 1
                fresh = False
            for i from 0 <= i < to.lanes by VL:
                end_sum(sums[i // VL], &to, 0, i)


def matrix_product(const real[:, :] a, const real[:, :] b, const real[::1] bias,
                   real[:, ::1] y, Py_ssize_t block, bint relu, Py_ssize_t part, Py_ssize_t parts,
                   int threads):
    """y (P, L) = a (P, K) b (K, L) + bias, in blocks of `block` terms.  If `block` is 0, sums have
    the order of the gradient of the weights."""
    cdef Product g
    cdef Py_ssize_t columns
    cdef bint long_sums
    g.a, g.b, g.y = &a[0, 0], &b[0, 0], &y[0, 0]
    g.bias = NULL
    if bias is not None:
        g.bias = &bias[0]
    g.pixels, g.terms, g.lanes = a.shape[0], a.shape[1], b.shape[1]
    g.ap, g.ak = a.strides[0] // <Py_ssize_t> sizeof(real), a.strides[1] // <Py_ssize_t> sizeof(real)
    g.bk, g.bl = b.strides[0] // <Py_ssize_t> sizeof(real), b.strides[1] // <Py_ssize_t> sizeof(real)
    g.yp, g.relu = y.shape[1], relu
    long_sums = block == 0 and g.terms > CHUNK // 2
    g.block = block if block else g.terms
    if g.bl == 1 and not long_sums and (g.pixels <= FEW_PIXELS or g.terms == 1):
        with nogil:
            run_items(multiply_rows, &g, ceil_div(g.lanes, ROW_LANES) * g.pixels, part, parts, 1,
                      threads)
        return
    columns = (g.lanes + LANES - 1) // LANES
    g.panels = 1
    if g.terms <= min(g.block, <Py_ssize_t> DEPTH) and not long_sums:
        g.panels = clamp(DEPTH // g.terms, 1, PRODUCT_PANELS)
    columns = (columns + g.panels - 1) // g.panels
    g.pixel_blocks = max((g.pixels + PRODUCT_PIXELS - 1) // PRODUCT_PIXELS,
                         min((2 * threads + columns - 1) // columns if threads > 1 else 1,
                             (g.pixels + TILE - 1) // TILE))
    with nogil:
        run_items(multiply_samples if long_sums else multiply_items, &g, columns * g.pixel_blocks, part, parts, 1, threads)
