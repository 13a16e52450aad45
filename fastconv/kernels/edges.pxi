# Forward convolution in rows: tiles know the edges of the map, where the left one or two pixels
# miss the first taps and the right ones the last.
#
#   tap     0   1   2   3   4        In a step a tap adds to the pixels that see it, so the
#   pixel 0 .   .   x   x   x        padding is never multiplied, and the columns at the
#         1 .   x   x   x   x        edges need no tiles of their own, of a single pixel's
#         2 x   x   x   x   x        width and with scattered stores.  The order of a sum is
#       ... x   x   x   x   x        that of `tile`.
#         n x   x   x   x   .

cdef extern from *:
    """
    enum { ANY_TAPS = 4,
           /* with 16 registers and no fused multiply-add a sum would go through memory */
           THREE_TAPS = TILE >= 12 || VL * sizeof(real) >= 32 };
    """
    enum: ANY_TAPS                         # a kind of tile, see Edges
    enum: THREE_TAPS                       # whether there are others

cdef struct Edges:
    # numbers of neighbouring taps that two pixels at the left miss, that one misses, that all
    # see, that one pixel at the right misses, that two miss
    Py_ssize_t left2, left1, middle, right1, right2
    int kind                   # of 3 neighbouring taps on neighbouring pixels: left1 + 2 right1
    Py_ssize_t below           # from the first row of x to the one that the next tile below needs
    const real* next           # weights that are wanted soon, and lines of them for a channel
    Py_ssize_t lines


cdef inline void edge_step(const int vectors, const int first, const int last,
                           const real** x, Py_ssize_t step, Py_ssize_t move, const real** w,
                           Py_ssize_t panel, vreal* acc) noexcept nogil:
    """A tap, in which the pixels first <= p < last take part."""
    cdef vreal weights[2 * NV]
    cdef vreal pixel
    cdef int p, v
    x[0] = vapart(x[0])  # pixels are loaded again for every tap, not kept from the one before
    for v in range(vectors):
        weights[v] = vload(w[0] + (v // NV) * panel + (v % NV) * VL)
    for p in range(first, last):
        pixel = vset1(x[0][p * step])
        for v in range(vectors):
            acc[p * vectors + v] = acc[p * vectors + v] + pixel * weights[v]
    x[0] = x[0] + move
    w[0] = w[0] + LANES


cdef inline void edge_tile(const int pixels, const int vectors, const int kind, const real* x,
                           Py_ssize_t step, const real* w, Py_ssize_t panel, const Nest* nest,
                           const Edges* edges, vreal* total) noexcept nogil:
    """As `tile`, but that the innermost loop goes over the taps of `edges`; where `kind` tells
    them it has no loop and no branch: narrow tiles have few cycles to hide those behind.

    Between two channels it asks for numbers that come next: rows of x are in as many pages as
    there are channels, more than a hardware prefetcher follows.
    """
    cdef vreal acc[TILE * NV]
    cdef const real* xp
    cdef const real* wp
    cdef Py_ssize_t i1, i2, i
    cdef int p
    for p in range(pixels * vectors):
        acc[p] = vzero()
    i1 = 0
    while True:
        vprefetch(x + i1 * nest.x1 + edges.below)
        for i2 in range(edges.lines):
            vprefetch(edges.next + (i1 * edges.lines + i2) * CACHE_LINE)
            if vectors > NV:
                vprefetch(edges.next + panel + (i1 * edges.lines + i2) * CACHE_LINE)
        i2 = 0
        while True:
            xp = x + i1 * nest.x1 + i2 * nest.x2
            wp = w + i1 * nest.w1 + i2 * nest.w2
            if kind != ANY_TAPS:
                edge_step(vectors, kind & 1, pixels, &xp, 1, 1, &wp, panel, acc)
                edge_step(vectors, 0, pixels, &xp, 1, 1, &wp, panel, acc)
                edge_step(vectors, 0, pixels - (kind >> 1), &xp, 1, 1, &wp, panel, acc)
            else:
                for i in range(edges.left2):
                    edge_step(vectors, 2, pixels, &xp, step, nest.x3, &wp, panel, acc)
                for i in range(edges.left1):
                    edge_step(vectors, 1, pixels, &xp, step, nest.x3, &wp, panel, acc)
                i = 0
                while True:
                    edge_step(vectors, 0, pixels, &xp, step, nest.x3, &wp, panel, acc)
                    i += 1
                    if i == edges.middle:
                        break
                for i in range(edges.right1):
                    edge_step(vectors, 0, pixels - 1, &xp, step, nest.x3, &wp, panel, acc)
                for i in range(edges.right2):
                    edge_step(vectors, 0, pixels - 2, &xp, step, nest.x3, &wp, panel, acc)
            i2 += 1
            if i2 == nest.n2:
                break
        i1 += 1
        if i1 == nest.n1:
            break
    if nest.fresh:
        for p in range(pixels * vectors):
            total[p] = vzero() + acc[p]
    else:
        for p in range(pixels * vectors):
            total[p] = total[p] + acc[p]


cdef inline void edge_kinds(const int pixels, const int vectors, const real* x,
                            Py_ssize_t step, const real* w, Py_ssize_t panel, const Nest* nest,
                            const Edges* edges, vreal* total) noexcept nogil:
    """The tile of the kind that `edges` names."""
    if TILE >= 12 and edges.kind == 0:
        edge_tile(pixels, vectors, 0, x, step, w, panel, nest, edges, total)
    elif THREE_TAPS and edges.kind == 1:
        edge_tile(pixels, vectors, 1, x, step, w, panel, nest, edges, total)
    elif THREE_TAPS and edges.kind == 2:
        edge_tile(pixels, vectors, 2, x, step, w, panel, nest, edges, total)
    elif THREE_TAPS and edges.kind == 3:
        edge_tile(pixels, vectors, 3, x, step, w, panel, nest, edges, total)
    else:
        edge_tile(pixels, vectors, ANY_TAPS, x, step, w, panel, nest, edges, total)


cdef void wide_edges(int pixels, const real* x, Py_ssize_t step, const real* w,
                     const Nest* nest, const Edges* edges, vreal* total) noexcept nogil:
    """A tile of up to TILE pixels by one panel; the widths a target lacks are compiled out."""
    if TILE >= 14 and pixels == 14:
        edge_kinds(14, NV, x, step, w, 0, nest, edges, total)
    elif TILE >= 13 and pixels == 13:
        edge_kinds(13, NV, x, step, w, 0, nest, edges, total)
    elif TILE >= 12 and pixels == 12:
        edge_kinds(12, NV, x, step, w, 0, nest, edges, total)
    elif TILE >= 11 and pixels == 11:
        edge_kinds(11, NV, x, step, w, 0, nest, edges, total)
    elif TILE >= 10 and pixels == 10:
        edge_kinds(10, NV, x, step, w, 0, nest, edges, total)
    elif TILE >= 9 and pixels == 9:
        edge_kinds(9, NV, x, step, w, 0, nest, edges, total)
    elif TILE >= 8 and pixels == 8:
        edge_kinds(8, NV, x, step, w, 0, nest, edges, total)
    elif TILE >= 7 and pixels == 7:
        edge_kinds(7, NV, x, step, w, 0, nest, edges, total)
    elif pixels == 6:
        edge_kinds(6, NV, x, step, w, 0, nest, edges, total)
    elif pixels == 5:
        edge_kinds(5, NV, x, step, w, 0, nest, edges, total)
    elif pixels == 4:
        edge_kinds(4, NV, x, step, w, 0, nest, edges, total)
    elif pixels == 3:
        edge_kinds(3, NV, x, step, w, 0, nest, edges, total)
    elif pixels == 2:
        edge_kinds(2, NV, x, step, w, 0, nest, edges, total)
    else:
        edge_kinds(1, NV, x, step, w, 0, nest, edges, total)


cdef void slim_edges(int pixels, const real* x, Py_ssize_t step, const real* w,
                     const Nest* nest, const Edges* edges, vreal* total) noexcept nogil:
    """A tile of up to TILE pixels by the first vector of a panel that has no more channels."""
    if TILE >= 14 and pixels == 14:
        edge_kinds(14, 1, x, step, w, 0, nest, edges, total)
    elif TILE >= 13 and pixels == 13:
        edge_kinds(13, 1, x, step, w, 0, nest, edges, total)
    elif TILE >= 12 and pixels == 12:
        edge_kinds(12, 1, x, step, w, 0, nest, edges, total)
    elif TILE >= 11 and pixels == 11:
        edge_kinds(11, 1, x, step, w, 0, nest, edges, total)
    elif TILE >= 10 and pixels == 10:
        edge_kinds(10, 1, x, step, w, 0, nest, edges, total)
    elif TILE >= 9 and pixels == 9:
        edge_kinds(9, 1, x, step, w, 0, nest, edges, total)
    elif TILE >= 8 and pixels == 8:
        edge_kinds(8, 1, x, step, w, 0, nest, edges, total)
    elif TILE >= 7 and pixels == 7:
        edge_kinds(7, 1, x, step, w, 0, nest, edges, total)
    elif pixels == 6:
        edge_kinds(6, 1, x, step, w, 0, nest, edges, total)
    elif pixels == 5:
        edge_kinds(5, 1, x, step, w, 0, nest, edges, total)
    elif pixels == 4:
        edge_kinds(4, 1, x, step, w, 0, nest, edges, total)
    elif pixels == 3:
        edge_kinds(3, 1, x, step, w, 0, nest, edges, total)
    elif pixels == 2:
        edge_kinds(2, 1, x, step, w, 0, nest, edges, total)
    else:
        edge_kinds(1, 1, x, step, w, 0, nest, edges, total)


cdef void narrow_edges(int pixels, const real* x, Py_ssize_t step, const real* w,
                       Py_ssize_t panel, const Nest* nest, const Edges* edges,
                       vreal* total) noexcept nogil:
    """A tile of up to NARROW pixels by two panels."""
    if NARROW >= 7 and pixels == 7:
        edge_tile(7, 2 * NV, ANY_TAPS, x, step, w, panel, nest, edges, total)
    elif NARROW >= 6 and pixels == 6:
        edge_tile(6, 2 * NV, ANY_TAPS, x, step, w, panel, nest, edges, total)
    elif NARROW >= 5 and pixels == 5:
        edge_tile(5, 2 * NV, ANY_TAPS, x, step, w, panel, nest, edges, total)
    elif NARROW >= 4 and pixels == 4:
        edge_tile(4, 2 * NV, ANY_TAPS, x, step, w, panel, nest, edges, total)
    elif pixels == 3:
        edge_tile(3, 2 * NV, ANY_TAPS, x, step, w, panel, nest, edges, total)
    elif pixels == 2:
        edge_tile(2, 2 * NV, ANY_TAPS, x, step, w, panel, nest, edges, total)
    else:
        edge_tile(1, 2 * NV, ANY_TAPS, x, step, w, panel, nest, edges, total)
