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
# added to it, whole and where they lie.  If the terms of b are neighbours, it is turned in
# registers, and not laid out.
#
# If a block of the sum is longer than a chunk, its `acc` waits between the chunks.  Blocks are
# added in order to y, which begins at +0.  A block is done for several panels before the next, so
# that the pixels' numbers stay in the L2 for them.  The gradient of the weights has the order of
# rounds.pxi, with the samples as the pixels of one row: stretches of a single chunk are tiles one
# after the other, whose sums wait in a log.
#
# While a tile is computed, lines of y and of what is laid out next are prefetched, a few every
# SEGMENT steps.

cdef extern from *:
    """
    enum { DEPTH = TILE < 12 ? 256 : 128, PRODUCT_PIXELS = TILE < 12 ? 18 * TILE : 8 * TILE,
           PRODUCT_PANELS = 8, FEW_PIXELS = 4, ROW_LANES = 4096 / sizeof(real), ROWS = 8,
           ROW_VECTORS = ROW_LANES / VL, SPAN = 8, MOST_LOGGED = 3, SEGMENT = TILE < 12 ? 64 : 14,
           ROWS_AHEAD = TILE < 12 ? TILE : 2, PLACES = 2 * DEPTH,
           ROW_LINES = (LANES + LINE - 1) / LINE };
    """
    enum: DEPTH                            # rows of b on the stack: 16 KiB
    enum: PRODUCT_PIXELS                   # pixels whose sums may wait: 14 KiB, or 7
    enum: PRODUCT_PANELS
    enum: FEW_PIXELS                       # so few pixels fill no tile
    enum: ROW_LANES                        # lanes of a run of y that waits in the L1
    enum: ROW_VECTORS
    enum: ROWS                             # rows of b that are added to it together
    enum: SPAN                             # panels, or groups of them, for which a block is done
    enum: MOST_LOGGED                      # stretches of a chunk
    enum: SEGMENT                          # steps between prefetches
    enum: ROWS_AHEAD                       # rows of y that are prefetched together
    enum: PLACES                           # those of a chunk, and as many that nobody needs
    enum: ROW_LINES                        # lines of a row of a panel

cdef struct Product:
    const real* a
    const real* b
    const real* bias                       # of each lane, or NULL
    real* y                                # lanes are neighbours
    Py_ssize_t pixels, lanes, terms
    Py_ssize_t ap, ak, bk, bl, yp          # strides in elements
    Py_ssize_t block                       # terms of a block, at the most
    bint relu
    Py_ssize_t panels, span                # panels that are laid out together; those of an item
    Py_ssize_t pixel_blocks                # blocks that pixels are cut into
    Py_ssize_t stretches                   # chains of a chunk, each of which begins at zero

cdef struct Ending:
    # what becomes of a sum
    real* y                                # where it goes; NULL if it waits
    Py_ssize_t step                        # from one pixel to the next
    Py_ssize_t lanes
    const real* base                       # what it is added to: y, zeros, or a sum that waits
    Py_ssize_t base_step
    const real* bias
    bint last, relu                        # whether it is the last block of the sum
    # what is prefetched between the steps
    const real* line                       # rows, `line_step` apart
    Py_ssize_t line_step, line_count
    const real* ahead                      # places of the next panel, `burst` at a time
    const Py_ssize_t* places
    Py_ssize_t burst


cdef inline vreal end_sum(vreal value, const Ending* to, Py_ssize_t lane) noexcept nogil:
    """Add the bias, and apply the rectifier, in the vector of lanes from `lane` on."""
    if to.bias != NULL:
        value = value + vload_n(to.bias + lane, to.lanes - lane)
    return vrelu(value) if to.relu else value


cdef void end_tile(Py_ssize_t pixels, Py_ssize_t vectors, const Ending* to) noexcept nogil:
    """End the sums of a tile, which are in y."""
    cdef real* y
    cdef Py_ssize_t p, v
    for p in range(pixels):
        for v in range(vectors):
            y = to.y + p * to.step + v * VL
            vstore_n(y, end_sum(vload_n(y, to.lanes - v * VL), to, v * VL), to.lanes - v * VL)


cdef void add_tile(Py_ssize_t pixels, Py_ssize_t vectors, const vreal* sums, const real* base,
                   Py_ssize_t base_step, const Ending* to) noexcept nogil:
    """y = base + sums, where not all lanes have a place in y."""
    cdef Py_ssize_t p, v, count
    for p in range(pixels):
        for v in range(vectors):
            count = to.lanes - v * VL
            vstore_n(to.y + p * to.step + v * VL,
                     vload_n(base + p * base_step + v * VL, count) + sums[p * vectors + v], count)


cdef inline void fetch_lines(const real* at) noexcept nogil:
    """Prefetch a row of a panel, which need not begin with a line."""
    cdef int v
    for v in range(ROW_LINES):
        vprefetch(at + (v + 1) * LINE - 1)


cdef inline void product_tile(const int pixels, const int vectors, const real* a, Py_ssize_t ap,
                              Py_ssize_t ak, const real* rows, Py_ssize_t terms,
                              const vreal* begin, vreal* waiting, const Ending* to) noexcept nogil:
    """The sums of a tile, which begin as `begin`.

    What comes next is prefetched in turns between the steps.  All at once, prefetches would wait
    for each other, and the multiply-adds for them.
    """
    cdef vreal acc[TILE * NV]
    cdef vreal weights[NV]
    cdef vreal pixel
    cdef Py_ssize_t steps, i
    cdef const Py_ssize_t* places = to.places
    cdef const real* line = to.line
    cdef const real* base = to.base
    cdef real* y = to.y
    cdef int p, v
    for p in range(pixels * vectors):
        acc[p] = begin[p]
    for i in range(terms // SEGMENT * ROWS_AHEAD, to.line_count):
        fetch_lines(line)
        line = line + to.line_step
    while True:
        steps = terms if terms < 2 * SEGMENT else SEGMENT
        terms -= steps
        for i in range(to.burst):
            fetch_lines(to.ahead + places[i])
        places = places + to.burst
        for p in range(ROWS_AHEAD):
            fetch_lines(line)
            line = line + to.line_step
        while True:
            for v in range(vectors):
                weights[v] = vload(rows + v * VL)
            for p in range(pixels):
                pixel = vset1(a[p * ap])
                for v in range(vectors):
                    acc[p * vectors + v] = vadd_product(acc[p * vectors + v], pixel, weights[v])
            a = a + ak
            rows = rows + LANES
            steps -= 1
            if steps == 0:
                break
        if terms == 0:
            break
    if y == NULL or to.lanes < vectors * VL:
        for p in range(pixels * vectors):
            waiting[p] = acc[p]
        if y != NULL:
            add_tile(pixels, vectors, waiting, base, to.base_step, to)
    else:
        for p in range(pixels):
            for v in range(vectors):
                vstore(y + v * VL, vload(base + v * VL) + acc[p * vectors + v])
            y = <real*> vapart(y + to.step)
            base = vapart(base + to.base_step)
    if to.last and y != NULL and (to.bias != NULL or to.relu):
        end_tile(pixels, vectors, to)


ctypedef void (*product_t)(const void*, const void*, const real* a, Py_ssize_t ap, Py_ssize_t ak,
                           const real* rows, Py_ssize_t terms, const vreal* begin,
                           vreal* waiting, const Ending* to) noexcept nogil

ctypedef fused vectors:                    # how many vectors of a panel
    n1
    n2


cdef void product_tile_of(const width* _, const vectors* __, const real* a, Py_ssize_t ap,
                          Py_ssize_t ak, const real* rows, Py_ssize_t terms, const vreal* begin,
                          vreal* waiting, const Ending* to) noexcept nogil:
    if sizeof(width) <= TILE:
        product_tile(<int> sizeof(width), <int> sizeof(vectors), a, ap, ak, rows, terms, begin,
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
    cdef vreal value
    cdef bint first, fresh
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
            for i from 0 <= i < to.lanes by VL:
                value = vadd_product(vzero(), vset1(a[0]), vload_n(b + i, to.lanes - i))
                vstore_n(to.y + i, end_sum(vzero() + value, &to, i), to.lanes - i)
            continue
        while k < g.terms:
            first, stop, fresh = k == 0, min(k + g.block, g.terms), True
            while k < stop:
                if stop - k >= ROWS:
                    add_rows(ROWS, a + k * g.ak, g.ak, b + k * g.bk, g.bk, to.lanes, fresh, sums)
                    k += ROWS
                else:
                    add_rows(1, a + k * g.ak, g.ak, b + k * g.bk, g.bk, to.lanes, fresh, sums)
                    k += 1
                fresh = False
            for i from 0 <= i < to.lanes by VL:
                value = (vzero() if first else vload_n(to.y + i, to.lanes - i)) + sums[i // VL]
                if stop == g.terms:
                    value = end_sum(value, &to, i)
                vstore_n(to.y + i, value, to.lanes - i)


cdef inline void load_columns(const real* b, Py_ssize_t bl, Py_ssize_t lanes, Py_ssize_t terms,
                              vreal* columns) noexcept nogil:
    """columns[k][l] = b[l * bl + k] for a vector of lanes and of terms, zeros beyond them."""
    cdef Py_ssize_t l
    if lanes >= VL and terms >= VL:
        for l in range(VL):
            columns[l] = vload(b + l * bl)
    else:
        for l in range(VL):
            columns[l] = vload_n(b + l * bl, terms) if l < lanes else vzero()
    vtranspose(columns)


cdef void multiply_columns(void* args, Py_ssize_t begin, Py_ssize_t end) noexcept nogil:
    """Few pixels, and b whose terms are neighbours: its columns are turned to vectors, each of
    which is multiplied by all pixels at once.  Items are (vector of lanes): so few rows of b are
    streams that the hardware foresees, and prefetches would only delay them."""
    cdef const Product* g = <const Product*> args
    cdef vreal columns[VL]
    cdef vreal sums[FEW_PIXELS]
    cdef vreal value
    cdef Ending to
    cdef Py_ssize_t item, k, start, stop, terms, p, i, lane
    cdef const real* a
    cdef real* y
    to.relu = g.relu
    for item in range(begin, end):
        lane = item * VL
        to.lanes = g.lanes - lane
        to.bias = g.bias + lane if g.bias != NULL else NULL
        start = 0
        while start < g.terms:
            stop = min(start + g.block, g.terms)
            for p in range(g.pixels):
                sums[p] = vzero()
            for k from start <= k < stop by VL:
                terms = min(stop - k, <Py_ssize_t> VL)
                load_columns(g.b + lane * g.bl + k, g.bl, to.lanes, terms, columns)
                for p in range(g.pixels):
                    a = g.a + p * g.ap + k * g.ak
                    value = sums[p]
                    if terms == VL:
                        for i in range(VL):
                            value = vadd_product(value, vset1(a[i * g.ak]), columns[i])
                    else:
                        for i in range(terms):
                            value = vadd_product(value, vset1(a[i * g.ak]), columns[i])
                    sums[p] = value
            for p in range(g.pixels):
                y = g.y + p * g.yp + lane
                value = (vzero() if start == 0 else vload_n(y, to.lanes)) + sums[p]
                vstore_n(y, end_sum(value, &to, 0) if stop == g.terms else value, to.lanes)
            start = stop


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
