# Forward convolution in rows: tiles know the edges of the map, where the left one or two pixels
# miss the first taps and the right ones the last; of large kernels up to five, where tiles are wide.
#
#   tap     0   1   2   3   4        In a step a tap adds to the pixels that see it.  So the
#   pixel 0 .   .   x   x   x        padding is never multiplied, and the columns at the
#         1 .   x   x   x   x        edges need no tiles of their own, which would be one
#         2 x   x   x   x   x        pixel wide and have scattered stores.  The order of a
#       ... x   x   x   x   x        sum is that of `tile`.
#         n x   x   x   x   .

cdef extern from *:
    """
    enum { ANY_TAPS = 4, FAR_TAPS = 5,
           FAR_EDGES = TILE == 14,         /* narrower tiles would be all edge */
           /* with 16 registers and no fused multiply-add a sum would go through memory */
           THREE_TAPS = TILE >= 12 || VL * sizeof(real) >= 32,
           SUMS_WAIT = THREE_TAPS && TILE < 12,
           ROW_TOTALS = (ITEM_PIXELS + VL) * NV };
    """
    enum: ANY_TAPS                         # kinds of tiles, see Edges
    enum: FAR_TAPS
    enum: FAR_EDGES                        # whether up to five pixels may miss a tap
    enum: THREE_TAPS                       # whether there are other kinds
    enum: SUMS_WAIT                        # whether a block of their sums may go in parts
    enum: ROW_TOTALS                       # vectors of totals; sums that wait lie so far behind

cdef struct Edges:
    # how many neighbouring taps are missed by two pixels at the left, by one at the left, by none,
    # by one at the right, by two at the right
    Py_ssize_t left2, left1, middle, right1, right2
    Py_ssize_t left5, left4, left3, right3, right4, right5  # of FAR_TAPS
    int kind                   # 3 neighbouring taps of neighbouring pixels: left1 + 2 right1
    Py_ssize_t below           # from the first row of x to the one that the tile below needs next
    const real* next           # weights to prefetch, and lines of them for each channel
    Py_ssize_t lines


# Zeros, from which a block begins: after a branch GCC would carry all sums through memory.
cdef vreal nothing_waits[TILE * NV]


cdef inline void edge_step(const int vectors, const int first, const int last,
                           const real** x, Py_ssize_t step, Py_ssize_t move, const real** w,
                           Py_ssize_t panel, vreal* acc) noexcept nogil:
    """Add a tap to the pixels first <= p < last, which see it."""
    cdef vreal weights[2 * NV]
    cdef vreal pixel
    cdef int p, v
    x[0] = vapart(x[0])  # every tap loads its pixels anew, none is kept from the tap before
    for v in range(vectors):
        weights[v] = vload(w[0] + (v // NV) * panel + (v % NV) * VL)
    for p in range(first, last):
        pixel = vset1(x[0][p * step])
        for v in range(vectors):
            acc[p * vectors + v] = vadd_product(acc[p * vectors + v], pixel, weights[v])
    x[0] = vbeyond(x[0], move)
    w[0] = w[0] + LANES


cdef inline void near_step(const int vectors, const int first, const int last, const int s,
                           const real** x, const real** w, Py_ssize_t panel,
                           vreal* acc) noexcept nogil:
    """Add tap s of neighbouring taps to neighbouring pixels.  x stays where it is, so the places of
    the pixels are constants in the instructions."""
    cdef vreal weights[2 * NV]
    cdef vreal pixel
    cdef int p, v
    x[0] = vapart(x[0])
    for v in range(vectors):
        weights[v] = vload(w[0] + (v // NV) * panel + (v % NV) * VL)
    for p in range(first, last):
        pixel = vset1(x[0][p + s])
        for v in range(vectors):
            acc[p * vectors + v] = vadd_product(acc[p * vectors + v], pixel, weights[v])
    w[0] = w[0] + LANES


cdef inline void edge_tile(const int pixels, const int vectors, const int kind, const bint waits,
                           const real* x, Py_ssize_t step, const real* w, Py_ssize_t panel,
                           const Nest* nest, const Edges* edges, vreal* total) noexcept nogil:
    """As `tile`, but the innermost loop goes over the taps of `edges`.  Where `kind` tells them,
    the taps take no loop and no branch, which narrow tiles have too few cycles to hide.

    Where a block of channels goes in parts, its sum `waits` for the next part ROW_TOTALS vectors
    behind the total.

    Between two channels it prefetches what comes next.  The rows of x are in as many pages as
    there are channels, which is more than a hardware prefetcher follows.

    Pointers move on by additions.  With AVX2 a multiplication for an address would wait for the
    unit that the multiply-adds of the channel before keep busy, and the loads would wait for it.
    """
    cdef vreal acc[TILE * NV]
    cdef const real* xp
    cdef const real* wp
    cdef const real* x_row
    cdef const real* w_row
    cdef const real* coming = edges.next
    cdef Py_ssize_t i1, i2, i
    cdef const vreal* begin = total + ROW_TOTALS if waits and nest.resume else nothing_waits
    cdef int p
    for p in range(pixels * vectors):
        acc[p] = begin[p] if waits else vzero()
    i1 = 0
    while True:
        nest, edges = <const Nest*> vanew(nest), <const Edges*> vanew(edges)
        vprefetch(x + edges.below)
        for i2 in range(edges.lines):
            vprefetch(coming)
            if vectors > NV:
                vprefetch(coming + panel)
            coming = coming + CACHE_LINE
        x_row, w_row = x, w
        i2 = 0
        while True:
            xp, wp = x_row, w_row
            if kind < ANY_TAPS:
                near_step(vectors, kind & 1, pixels, 0, &xp, &wp, panel, acc)
                near_step(vectors, 0, pixels, 1, &xp, &wp, panel, acc)
                near_step(vectors, 0, pixels - (kind >> 1), 2, &xp, &wp, panel, acc)
            else:
                nest, edges = <const Nest*> vanew(nest), <const Edges*> vanew(edges)
                if kind == FAR_TAPS:
                    for i in range(edges.left5):
                        edge_step(vectors, 5, pixels, &xp, step, nest.x3, &wp, panel, acc)
                    for i in range(edges.left4):
                        edge_step(vectors, 4, pixels, &xp, step, nest.x3, &wp, panel, acc)
                    for i in range(edges.left3):
                        edge_step(vectors, 3, pixels, &xp, step, nest.x3, &wp, panel, acc)
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
                if kind == FAR_TAPS:
                    for i in range(edges.right3):
                        edge_step(vectors, 0, pixels - 3, &xp, step, nest.x3, &wp, panel, acc)
                    for i in range(edges.right4):
                        edge_step(vectors, 0, pixels - 4, &xp, step, nest.x3, &wp, panel, acc)
                    for i in range(edges.right5):
                        edge_step(vectors, 0, pixels - 5, &xp, step, nest.x3, &wp, panel, acc)
            x_row, w_row = vbeyond(x_row, nest.x2), vbeyond(w_row, nest.w2)
            i2 += 1
            if i2 == nest.n2:
                break
        x, w = vbeyond(x, nest.x1), vbeyond(w, nest.w1)
        i1 += 1
        if i1 == nest.n1:
            break
    if waits and not nest.ends:
        for p in range(pixels * vectors):
            total[ROW_TOTALS + p] = acc[p]
    elif nest.fresh:
        for p in range(pixels * vectors):
            total[p] = vzero() + acc[p]
    else:
        for p in range(pixels * vectors):
            total[p] = total[p] + acc[p]


ctypedef void (*edges_t)(const void*, const void*, const real* x, Py_ssize_t step, const real* w,
                         Py_ssize_t panel, const Nest* nest, const Edges* edges,
                         vreal* total) noexcept nogil

ctypedef fused kind_after:                 # 1 more than a kind of tile, see Edges
    n1
    n2
    n3
    n4
    n5
    n6


cdef void wide_edges_of(const width* _, const kind_after* __, const real* x, Py_ssize_t step,
                        const real* w, Py_ssize_t panel, const Nest* nest, const Edges* edges,
                        vreal* total) noexcept nogil:
    if sizeof(width) <= TILE and (THREE_TAPS or sizeof(kind_after) > ANY_TAPS) \
            and (FAR_EDGES or sizeof(kind_after) <= FAR_TAPS):
        edge_tile(<int> sizeof(width), NV, <int> sizeof(kind_after) - 1, False, x, step, w, 0,
                  nest, edges, total)


cdef void part_edges_of(const width* _, const kind_after* __, const real* x, Py_ssize_t step,
                        const real* w, Py_ssize_t panel, const Nest* nest, const Edges* edges,
                        vreal* total) noexcept nogil:
    if SUMS_WAIT and sizeof(width) <= TILE and sizeof(kind_after) <= ANY_TAPS:
        edge_tile(<int> sizeof(width), NV, <int> sizeof(kind_after) - 1, True, x, step, w, 0,
                  nest, edges, total)


cdef void slim_edges_of(const width* _, const kind_after* __, const real* x, Py_ssize_t step,
                        const real* w, Py_ssize_t panel, const Nest* nest, const Edges* edges,
                        vreal* total) noexcept nogil:
    if sizeof(width) <= TILE and (THREE_TAPS or sizeof(kind_after) > ANY_TAPS) \
            and (FAR_EDGES or sizeof(kind_after) <= FAR_TAPS):
        edge_tile(<int> sizeof(width), 1, <int> sizeof(kind_after) - 1, False, x, step, w, 0,
                  nest, edges, total)


cdef void narrow_edges_of(const narrow_width* _, const void* __, const real* x, Py_ssize_t step,
                          const real* w, Py_ssize_t panel, const Nest* nest, const Edges* edges,
                          vreal* total) noexcept nogil:
    if sizeof(narrow_width) <= NARROW:
        edge_tile(<int> sizeof(narrow_width), 2 * NV, ANY_TAPS, False, x, step, w, panel, nest,
                  edges, total)


cdef edges_t wide_edges_tiles[6][15]
wide_edges_tiles[0][:] = [
    NULL, <edges_t> wide_edges_of[n1, n1], <edges_t> wide_edges_of[n2, n1],
    <edges_t> wide_edges_of[n3, n1], <edges_t> wide_edges_of[n4, n1],
    <edges_t> wide_edges_of[n5, n1], <edges_t> wide_edges_of[n6, n1],
    <edges_t> wide_edges_of[n7, n1], <edges_t> wide_edges_of[n8, n1],
    <edges_t> wide_edges_of[n9, n1], <edges_t> wide_edges_of[n10, n1],
    <edges_t> wide_edges_of[n11, n1], <edges_t> wide_edges_of[n12, n1],
    <edges_t> wide_edges_of[n13, n1], <edges_t> wide_edges_of[n14, n1],
]
wide_edges_tiles[1][:] = [
    NULL, <edges_t> wide_edges_of[n1, n2], <edges_t> wide_edges_of[n2, n2],
    <edges_t> wide_edges_of[n3, n2], <edges_t> wide_edges_of[n4, n2],
    <edges_t> wide_edges_of[n5, n2], <edges_t> wide_edges_of[n6, n2],
    <edges_t> wide_edges_of[n7, n2], <edges_t> wide_edges_of[n8, n2],
    <edges_t> wide_edges_of[n9, n2], <edges_t> wide_edges_of[n10, n2],
    <edges_t> wide_edges_of[n11, n2], <edges_t> wide_edges_of[n12, n2],
    <edges_t> wide_edges_of[n13, n2], <edges_t> wide_edges_of[n14, n2],
]
wide_edges_tiles[2][:] = [
    NULL, <edges_t> wide_edges_of[n1, n3], <edges_t> wide_edges_of[n2, n3],
    <edges_t> wide_edges_of[n3, n3], <edges_t> wide_edges_of[n4, n3],
    <edges_t> wide_edges_of[n5, n3], <edges_t> wide_edges_of[n6, n3],
    <edges_t> wide_edges_of[n7, n3], <edges_t> wide_edges_of[n8, n3],
    <edges_t> wide_edges_of[n9, n3], <edges_t> wide_edges_of[n10, n3],
    <edges_t> wide_edges_of[n11, n3], <edges_t> wide_edges_of[n12, n3],
    <edges_t> wide_edges_of[n13, n3], <edges_t> wide_edges_of[n14, n3],
]
wide_edges_tiles[3][:] = [
    NULL, <edges_t> wide_edges_of[n1, n4], <edges_t> wide_edges_of[n2, n4],
    <edges_t> wide_edges_of[n3, n4], <edges_t> wide_edges_of[n4, n4],
    <edges_t> wide_edges_of[n5, n4], <edges_t> wide_edges_of[n6, n4],
    <edges_t> wide_edges_of[n7, n4], <edges_t> wide_edges_of[n8, n4],
    <edges_t> wide_edges_of[n9, n4], <edges_t> wide_edges_of[n10, n4],
    <edges_t> wide_edges_of[n11, n4], <edges_t> wide_edges_of[n12, n4],
    <edges_t> wide_edges_of[n13, n4], <edges_t> wide_edges_of[n14, n4],
]
wide_edges_tiles[4][:] = [
    NULL, <edges_t> wide_edges_of[n1, n5], <edges_t> wide_edges_of[n2, n5],
    <edges_t> wide_edges_of[n3, n5], <edges_t> wide_edges_of[n4, n5],
    <edges_t> wide_edges_of[n5, n5], <edges_t> wide_edges_of[n6, n5],
    <edges_t> wide_edges_of[n7, n5], <edges_t> wide_edges_of[n8, n5],
    <edges_t> wide_edges_of[n9, n5], <edges_t> wide_edges_of[n10, n5],
    <edges_t> wide_edges_of[n11, n5], <edges_t> wide_edges_of[n12, n5],
    <edges_t> wide_edges_of[n13, n5], <edges_t> wide_edges_of[n14, n5],
]
wide_edges_tiles[5][:] = [
    NULL, <edges_t> wide_edges_of[n1, n6], <edges_t> wide_edges_of[n2, n6],
    <edges_t> wide_edges_of[n3, n6], <edges_t> wide_edges_of[n4, n6],
    <edges_t> wide_edges_of[n5, n6], <edges_t> wide_edges_of[n6, n6],
    <edges_t> wide_edges_of[n7, n6], <edges_t> wide_edges_of[n8, n6],
    <edges_t> wide_edges_of[n9, n6], <edges_t> wide_edges_of[n10, n6],
    <edges_t> wide_edges_of[n11, n6], <edges_t> wide_edges_of[n12, n6],
    <edges_t> wide_edges_of[n13, n6], <edges_t> wide_edges_of[n14, n6],
]
cdef edges_t part_edges_tiles[4][7]
part_edges_tiles[0][:] = [
    NULL, <edges_t> part_edges_of[n1, n1], <edges_t> part_edges_of[n2, n1],
    <edges_t> part_edges_of[n3, n1], <edges_t> part_edges_of[n4, n1],
    <edges_t> part_edges_of[n5, n1], <edges_t> part_edges_of[n6, n1],
]
part_edges_tiles[1][:] = [
    NULL, <edges_t> part_edges_of[n1, n2], <edges_t> part_edges_of[n2, n2],
    <edges_t> part_edges_of[n3, n2], <edges_t> part_edges_of[n4, n2],
    <edges_t> part_edges_of[n5, n2], <edges_t> part_edges_of[n6, n2],
]
part_edges_tiles[2][:] = [
    NULL, <edges_t> part_edges_of[n1, n3], <edges_t> part_edges_of[n2, n3],
    <edges_t> part_edges_of[n3, n3], <edges_t> part_edges_of[n4, n3],
    <edges_t> part_edges_of[n5, n3], <edges_t> part_edges_of[n6, n3],
]
part_edges_tiles[3][:] = [
    NULL, <edges_t> part_edges_of[n1, n4], <edges_t> part_edges_of[n2, n4],
    <edges_t> part_edges_of[n3, n4], <edges_t> part_edges_of[n4, n4],
    <edges_t> part_edges_of[n5, n4], <edges_t> part_edges_of[n6, n4],
]
cdef edges_t slim_edges_tiles[6][15]
slim_edges_tiles[0][:] = [
    NULL, <edges_t> slim_edges_of[n1, n1], <edges_t> slim_edges_of[n2, n1],
    <edges_t> slim_edges_of[n3, n1], <edges_t> slim_edges_of[n4, n1],
    <edges_t> slim_edges_of[n5, n1], <edges_t> slim_edges_of[n6, n1],
    <edges_t> slim_edges_of[n7, n1], <edges_t> slim_edges_of[n8, n1],
    <edges_t> slim_edges_of[n9, n1], <edges_t> slim_edges_of[n10, n1],
    <edges_t> slim_edges_of[n11, n1], <edges_t> slim_edges_of[n12, n1],
    <edges_t> slim_edges_of[n13, n1], <edges_t> slim_edges_of[n14, n1],
]
slim_edges_tiles[1][:] = [
    NULL, <edges_t> slim_edges_of[n1, n2], <edges_t> slim_edges_of[n2, n2],
    <edges_t> slim_edges_of[n3, n2], <edges_t> slim_edges_of[n4, n2],
    <edges_t> slim_edges_of[n5, n2], <edges_t> slim_edges_of[n6, n2],
    <edges_t> slim_edges_of[n7, n2], <edges_t> slim_edges_of[n8, n2],
    <edges_t> slim_edges_of[n9, n2], <edges_t> slim_edges_of[n10, n2],
    <edges_t> slim_edges_of[n11, n2], <edges_t> slim_edges_of[n12, n2],
    <edges_t> slim_edges_of[n13, n2], <edges_t> slim_edges_of[n14, n2],
]
slim_edges_tiles[2][:] = [
    NULL, <edges_t> slim_edges_of[n1, n3], <edges_t> slim_edges_of[n2, n3],
    <edges_t> slim_edges_of[n3, n3], <edges_t> slim_edges_of[n4, n3],
    <edges_t> slim_edges_of[n5, n3], <edges_t> slim_edges_of[n6, n3],
    <edges_t> slim_edges_of[n7, n3], <edges_t> slim_edges_of[n8, n3],
    <edges_t> slim_edges_of[n9, n3], <edges_t> slim_edges_of[n10, n3],
    <edges_t> slim_edges_of[n11, n3], <edges_t> slim_edges_of[n12, n3],
    <edges_t> slim_edges_of[n13, n3], <edges_t> slim_edges_of[n14, n3],
]
slim_edges_tiles[3][:] = [
    NULL, <edges_t> slim_edges_of[n1, n4], <edges_t> slim_edges_of[n2, n4],
    <edges_t> slim_edges_of[n3, n4], <edges_t> slim_edges_of[n4, n4],
    <edges_t> slim_edges_of[n5, n4], <edges_t> slim_edges_of[n6, n4],
    <edges_t> slim_edges_of[n7, n4], <edges_t> slim_edges_of[n8, n4],
    <edges_t> slim_edges_of[n9, n4], <edges_t> slim_edges_of[n10, n4],
    <edges_t> slim_edges_of[n11, n4], <edges_t> slim_edges_of[n12, n4],
    <edges_t> slim_edges_of[n13, n4], <edges_t> slim_edges_of[n14, n4],
]
slim_edges_tiles[4][:] = [
    NULL, <edges_t> slim_edges_of[n1, n5], <edges_t> slim_edges_of[n2, n5],
    <edges_t> slim_edges_of[n3, n5], <edges_t> slim_edges_of[n4, n5],
    <edges_t> slim_edges_of[n5, n5], <edges_t> slim_edges_of[n6, n5],
    <edges_t> slim_edges_of[n7, n5], <edges_t> slim_edges_of[n8, n5],
    <edges_t> slim_edges_of[n9, n5], <edges_t> slim_edges_of[n10, n5],
    <edges_t> slim_edges_of[n11, n5], <edges_t> slim_edges_of[n12, n5],
    <edges_t> slim_edges_of[n13, n5], <edges_t> slim_edges_of[n14, n5],
]
slim_edges_tiles[5][:] = [
    NULL, <edges_t> slim_edges_of[n1, n6], <edges_t> slim_edges_of[n2, n6],
    <edges_t> slim_edges_of[n3, n6], <edges_t> slim_edges_of[n4, n6],
    <edges_t> slim_edges_of[n5, n6], <edges_t> slim_edges_of[n6, n6],
    <edges_t> slim_edges_of[n7, n6], <edges_t> slim_edges_of[n8, n6],
    <edges_t> slim_edges_of[n9, n6], <edges_t> slim_edges_of[n10, n6],
    <edges_t> slim_edges_of[n11, n6], <edges_t> slim_edges_of[n12, n6],
    <edges_t> slim_edges_of[n13, n6], <edges_t> slim_edges_of[n14, n6],
]
cdef edges_t narrow_edges_tiles[8]
narrow_edges_tiles[:] = [
    NULL, <edges_t> narrow_edges_of[n1], <edges_t> narrow_edges_of[n2],
    <edges_t> narrow_edges_of[n3], <edges_t> narrow_edges_of[n4], <edges_t> narrow_edges_of[n5],
    <edges_t> narrow_edges_of[n6], <edges_t> narrow_edges_of[n7],
]


cdef inline void wide_edges(int pixels, const real* x, Py_ssize_t step, const real* w,
                            const Nest* nest, const Edges* edges, vreal* total) noexcept nogil:
    """A tile of up to TILE pixels by one panel."""
    wide_edges_tiles[edges.kind][pixels](NULL, NULL, x, step, w, 0, nest, edges, total)


cdef inline void part_edges(int pixels, const real* x, Py_ssize_t step, const real* w,
                            const Nest* nest, const Edges* edges, vreal* total) noexcept nogil:
    """The same, of three taps, for a part of a block of channels."""
    part_edges_tiles[edges.kind][pixels](NULL, NULL, x, step, w, 0, nest, edges, total)


cdef inline void slim_edges(int pixels, const real* x, Py_ssize_t step, const real* w,
                            const Nest* nest, const Edges* edges, vreal* total) noexcept nogil:
    """A tile of up to TILE pixels by the first vector of a panel that has no more channels."""
    slim_edges_tiles[edges.kind][pixels](NULL, NULL, x, step, w, 0, nest, edges, total)


cdef inline void narrow_edges(int pixels, const real* x, Py_ssize_t step, const real* w,
                              Py_ssize_t panel, const Nest* nest, const Edges* edges,
                              vreal* total) noexcept nogil:
    """A tile of up to NARROW pixels by two panels."""
    narrow_edges_tiles[pixels](NULL, NULL, x, step, w, panel, nest, edges, total)
