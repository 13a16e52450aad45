# The register tile of long sums.
#
# A chain of additions loses a rounding of its total with each, always to the same side where the
# numbers are equal.  So the steps of a chunk are cut into stretches, each a chain from zero: some
# rows, or where rows are longer than a stretch some of their columns.  A chain that is done waits
# in a log; to the last one the others are added in order, and their sum to the total.
#
#   the first step of a stretch:   log[0][.] = acc[0][.]   acc[0][.]  = x[0] * w
#                                  log[1][.] = acc[1][.]   acc[1][.]  = x[1] * w    ...
#   the others:                                            acc[0][.] += x[0] * w    ...
#
# It is done pixel by pixel, since a dozen stores in a row would keep the multiply-adds waiting.

cdef extern from *:
    """
    enum { STRETCH = 56, MOST_STRETCHES = 8, LOG = MOST_STRETCHES * TILE * NV };
    """
    enum: STRETCH                          # steps, at the most
    enum: MOST_STRETCHES                   # of a chunk
    enum: LOG

cdef struct Stretch:
    Py_ssize_t top, left, bottom, right    # in the chunk
    Py_ssize_t rows, columns, x3, w3       # as they are walked, from step to step
    Py_ssize_t x, w                        # where it begins

cdef struct Steps:
    Py_ssize_t x2, x3, w2                  # from row to row, and from step to step
    int count
    bint single                            # whether a stretch is a single step
    Stretch stretches[MOST_STRETCHES]


cdef inline void add_stretch(Steps* steps, Py_ssize_t top, Py_ssize_t bottom, Py_ssize_t left,
                             Py_ssize_t right) noexcept nogil:
    cdef Stretch* at = &steps.stretches[steps.count]
    at.top, at.left, at.bottom, at.right = top, left, bottom, right
    at.rows, at.columns, at.x3, at.w3 = bottom - top, right - left, steps.x3, LANES
    if at.columns * LANES == steps.w2 and at.columns * steps.x3 == steps.x2:  # one long row
        at.rows, at.columns = 1, at.rows * at.columns
    elif at.columns == 1:                  # as a row
        at.rows, at.columns, at.x3, at.w3 = 1, at.rows, steps.x2, steps.w2
    at.x, at.w = top * steps.x2 + left * steps.x3, top * steps.w2 + left * LANES
    steps.single = steps.single or at.columns * at.rows == 1
    steps.count += 1


cdef inline Steps cut_steps(Py_ssize_t height, Py_ssize_t width, Py_ssize_t x2, Py_ssize_t x3,
                            bint whole) noexcept nogil:
    """height x width steps of a chunk in stretches of nearly equal size, or in one."""
    cdef Steps steps
    cdef Py_ssize_t down = ceil_div(height, max(<Py_ssize_t> 1, STRETCH // width))
    cdef Py_ssize_t across = ceil_div(width, STRETCH)
    cdef Py_ssize_t i, j
    if whole:
        down = across = 1
    steps.x2, steps.x3, steps.w2, steps.count, steps.single = x2, x3, width * LANES, 0, False
    for i in range(down):
        for j in range(across):
            add_stretch(&steps, i * height // down, (i + 1) * height // down, j * width // across,
                        (j + 1) * width // across)
    return steps


cdef inline void clip_steps(const Steps* all_, Py_ssize_t i0, Py_ssize_t i1, Py_ssize_t j0,
                            Py_ssize_t j1, Steps* steps) noexcept nogil:
    """Those in the rows i0 <= i < i1 and the columns j0 <= j < j1."""
    cdef const Stretch* at
    cdef Py_ssize_t top, bottom, left, right
    cdef int k
    steps.x2, steps.x3, steps.w2, steps.count, steps.single = all_.x2, all_.x3, all_.w2, 0, False
    for k in range(all_.count):
        at = &all_.stretches[k]
        top, bottom = max(at.top, i0), min(at.bottom, i1)
        left, right = max(at.left, j0), min(at.right, j1)
        if top < bottom and left < right:
            add_stretch(steps, top, bottom, left, right)


cdef inline void stretch_tile(const int pixels, const int vectors, const real* x,
                              Py_ssize_t step, const real* w, const Steps* steps, bint fresh,
                              vreal* log, vreal* total) noexcept nogil:
    """Add the steps to total[pixels][vectors], or where they are fresh to zero.

    Each loop has at least one iteration, for which GCC keeps the sums in registers: no stretch is
    a single step.
    """
    cdef vreal acc[TILE * NV]
    cdef vreal weights[NV]
    cdef vreal pixel
    cdef const Stretch* at = &steps.stretches[0]
    cdef const Stretch* end = at + steps.count
    cdef Py_ssize_t x2 = steps.x2, w2 = steps.w2, x3, w3, columns, rows, i
    cdef const real* xr
    cdef const real* wr
    cdef const real* xp
    cdef const real* wp
    cdef vreal* logged = log
    cdef int p, v
    xr, wr = x + at.x, w + at.w
    for v in range(vectors):
        weights[v] = vload(wr + v * VL)
    for p in range(pixels):
        pixel = vset1(xr[p * step])
        for v in range(vectors):
            acc[p * vectors + v] = pixel * weights[v]
    while True:
        x3, w3, columns, rows = at.x3, at.w3, at.columns, at.rows
        xp, wp, i = xr + x3, wr + w3, columns - 1
        while True:
            xp = vapart(xp)
            while True:
                for v in range(vectors):
                    weights[v] = vload(wp + v * VL)
                for p in range(pixels):
                    pixel = vset1(xp[p * step])
                    for v in range(vectors):
                        acc[p * vectors + v] = vadd_product(acc[p * vectors + v], pixel, weights[v])
                xp, wp, i = xp + x3, wp + w3, i - 1
                if i == 0:
                    break
            rows -= 1
            if rows == 0:
                break
            xr, wr = xr + x2, wr + w2
            xp, wp, i = xr, wr, columns
        at = at + 1
        if at == end:
            break
        xr, wr = x + at.x, w + at.w
        for v in range(vectors):
            weights[v] = vload(wr + v * VL)
        for p in range(pixels):
            for v in range(vectors):
                logged[p * vectors + v] = acc[p * vectors + v]
            xr = vapart(xr)
            pixel = vset1(xr[p * step])
            for v in range(vectors):
                acc[p * vectors + v] = pixel * weights[v]
        logged = logged + pixels * vectors
    while log != logged:
        for p in range(pixels * vectors):
            acc[p] = acc[p] + log[p]
        log = log + pixels * vectors
    if fresh:
        for p in range(pixels * vectors):
            total[p] = vzero() + acc[p]
    else:
        for p in range(pixels * vectors):
            total[p] = total[p] + acc[p]


ctypedef void (*stretch_tile_t)(const void*, const real* x, Py_ssize_t step, const real* w,
                                const Steps* steps, bint fresh, vreal* log,
                                vreal* total) noexcept nogil


cdef void wide_stretches_of(const width* _, const real* x, Py_ssize_t step, const real* w,
                            const Steps* steps, bint fresh, vreal* log,
                            vreal* total) noexcept nogil:
    if sizeof(width) <= TILE:
        stretch_tile(<int> sizeof(width), NV, x, step, w, steps, fresh, log, total)


cdef void slim_stretches_of(const width* _, const real* x, Py_ssize_t step, const real* w,
                            const Steps* steps, bint fresh, vreal* log,
                            vreal* total) noexcept nogil:
    if sizeof(width) <= TILE:
        stretch_tile(<int> sizeof(width), 1, x, step, w, steps, fresh, log, total)


cdef stretch_tile_t wide_stretches[15]
wide_stretches[:] = [
    NULL,
    <stretch_tile_t> wide_stretches_of[n1], <stretch_tile_t> wide_stretches_of[n2],
    <stretch_tile_t> wide_stretches_of[n3], <stretch_tile_t> wide_stretches_of[n4],
    <stretch_tile_t> wide_stretches_of[n5], <stretch_tile_t> wide_stretches_of[n6],
    <stretch_tile_t> wide_stretches_of[n7], <stretch_tile_t> wide_stretches_of[n8],
    <stretch_tile_t> wide_stretches_of[n9], <stretch_tile_t> wide_stretches_of[n10],
    <stretch_tile_t> wide_stretches_of[n11], <stretch_tile_t> wide_stretches_of[n12],
    <stretch_tile_t> wide_stretches_of[n13], <stretch_tile_t> wide_stretches_of[n14],
]
cdef stretch_tile_t slim_stretches[15]
slim_stretches[:] = [
    NULL,
    <stretch_tile_t> slim_stretches_of[n1], <stretch_tile_t> slim_stretches_of[n2],
    <stretch_tile_t> slim_stretches_of[n3], <stretch_tile_t> slim_stretches_of[n4],
    <stretch_tile_t> slim_stretches_of[n5], <stretch_tile_t> slim_stretches_of[n6],
    <stretch_tile_t> slim_stretches_of[n7], <stretch_tile_t> slim_stretches_of[n8],
    <stretch_tile_t> slim_stretches_of[n9], <stretch_tile_t> slim_stretches_of[n10],
    <stretch_tile_t> slim_stretches_of[n11], <stretch_tile_t> slim_stretches_of[n12],
    <stretch_tile_t> slim_stretches_of[n13], <stretch_tile_t> slim_stretches_of[n14],
]


cdef void add_single_steps(int pixels, int vectors, const real* x, Py_ssize_t step,
                           const real* w, const Steps* steps, bint fresh, vreal* log,
                           vreal* total) noexcept nogil:
    """The same where a stretch may be a single step: each by a tile of its own."""
    cdef const Stretch* at
    cdef Nest nest
    cdef int k, p, count = pixels * vectors
    nest.n1, nest.x1, nest.w1, nest.fresh = 1, 0, 0, True
    nest.x2, nest.x3, nest.w2 = steps.x2, steps.x3, steps.w2
    for k in range(steps.count):
        at = &steps.stretches[k]
        nest.n2, nest.n3 = at.bottom - at.top, at.right - at.left
        if vectors == 1:
            slim_tile(pixels, x + at.x, step, w + at.w, &nest, log + k * count)
        else:
            wide_tile(pixels, x + at.x, step, w + at.w, &nest, log + k * count)
    for k in range(steps.count - 1):
        for p in range(count):
            log[(steps.count - 1) * count + p] = log[(steps.count - 1) * count + p] \
                + log[k * count + p]
    for p in range(count):
        total[p] = (vzero() if fresh else total[p]) + log[(steps.count - 1) * count + p]


cdef void add_steps(Py_ssize_t count, int vectors, const real* x, Py_ssize_t step, const real* w,
                    const Steps* steps, bint fresh, vreal* total) noexcept nogil:
    """Add the steps to total[count][vectors], or where they are fresh to zero."""
    cdef vreal log[LOG]
    cdef Py_ssize_t pieces = 1 if count <= TILE else ceil_div(count, TILE), piece, first, last = 0
    cdef Nest nest
    if steps.count == 0:
        if fresh:
            memset(total, 0, count * vectors * sizeof(vreal))
        return
    if steps.count == 1:                   # as the tile has it, which knows more pixels if slim
        if count > TILE:
            pieces = ceil_div(count, SLIM if vectors == 1 else TILE)
        nest.n1, nest.n2 = 1, steps.stretches[0].bottom - steps.stretches[0].top
        nest.n3 = steps.stretches[0].right - steps.stretches[0].left
        nest.x1, nest.x2, nest.x3 = 0, steps.x2, steps.x3
        nest.w1, nest.w2, nest.fresh = 0, steps.w2, fresh
        x, w = x + steps.stretches[0].x, w + steps.stretches[0].w
    for piece in range(pieces):
        first = last
        last = count if piece + 1 == pieces else (piece + 1) * count // pieces
        if steps.count == 1 and vectors == 1:
            slim_tile(<int> (last - first), x + first * step, step, w, &nest, total + first)
        elif steps.count == 1:
            wide_tile(<int> (last - first), x + first * step, step, w, &nest, total + first * NV)
        elif steps.single:
            add_single_steps(<int> (last - first), vectors, x + first * step, step, w, steps,
                             fresh, log, total + first * vectors)
        elif vectors == 1:
            slim_stretches[last - first](NULL, x + first * step, step, w, steps, fresh, log,
                           total + first)
        else:
            wide_stretches[last - first](NULL, x + first * step, step, w, steps, fresh, log,
                           total + first * NV)
