# The tile of dense.pxi, and what becomes of its sums.
#
# While a tile is computed, lines of y and of what is laid out next are prefetched, a few every
# SEGMENT steps.

cdef extern from *:
    """
    enum { DEPTH = TILE < 12 ? 256 : 128, PRODUCT_PIXELS = TILE < 12 ? 18 * TILE : 8 * TILE,
           PRODUCT_PANELS = 8, SPAN = 8, MOST_LOGGED = 3, SEGMENT = TILE < 12 ? 64 : 14,
           ROWS_AHEAD = TILE < 12 ? TILE : 2, PLACES = 2 * DEPTH,
           ROW_LINES = (LANES + LINE - 1) / LINE };
    """
    enum: DEPTH                            # rows of b on the stack: 16 KiB
    enum: PRODUCT_PIXELS                   # pixels whose sums may wait: 14 KiB, or 7
    enum: PRODUCT_PANELS
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
    cdef Pixels at
    cdef Py_ssize_t segment = SEGMENT * ak, move = ak * <Py_ssize_t> sizeof(real), steps, i
    cdef const real* w
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
    space_pixels(&at, ap)
    while True:
        begin_pixels(pixels, a, &at)
        w = rows
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
                weights[v] = vload(w + v * VL)
            for p in range(pixels):
                pixel = pixel_at(p, &at)
                for v in range(vectors):
                    acc[p * vectors + v] = vadd_product(acc[p * vectors + v], pixel, weights[v])
            move_pixels(pixels, move, &at)
            w = w + LANES
            steps -= 1
            if steps == 0:
                break
        if terms == 0:
            break
        a, rows = a + segment, rows + SEGMENT * LANES
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
