# The register tile of long sums.
#
# Each addition of a chain rounds the total, and where the numbers are equal always to the same
# side.  So the steps of a chunk are cut into stretches: some rows, or some columns of a row that is
# longer than a stretch.  Each stretch is a chain from zero.  A chain that is done waits in a log.
# At the end the others are added in order to the last one, and the total is added to their sum.
#
#   the first step of a stretch:   log[0][.] = acc[0][.]   acc[0][.]  = x[0] * w
#                                  log[1][.] = acc[1][.]   acc[1][.]  = x[1] * w    ...
#   the others:                                            acc[0][.] += x[0] * w    ...
#
# The first step goes pixel by pixel, since a dozen stores in a row would keep the multiply-adds
# waiting.
#
# Where a target has registers for the places of pixels, the pixels of a tile may lie anywhere;
# else all of them are as far apart as the first two.

cdef extern from *:
    """
    enum { STRETCH = 56, MOST_STRETCHES = 8,
           PLACED = TILE < 12,
           WALKS = !PLACED };
    #define LOG (MOST_STRETCHES * (TILE * NV > SLIM ? TILE * NV : SLIM))
    """
    enum: STRETCH                          # steps, at the most
    enum: MOST_STRETCHES                   # most stretches of a chunk
    enum: PLACED                           # whether pixels may lie anywhere
    enum: WALKS                            # whether tiles may prefetch what comes next
    enum: LOG

cdef struct Stretch:
    Py_ssize_t top, left, bottom, right    # in the chunk
    Py_ssize_t rows, columns, x3, w3       # how they are walked; x3, w3: from step to step
    Py_ssize_t x, w                        # where it begins

cdef struct Walk:                          # lines that are prefetched, one with every step
    const real* first                      # or NULL
    Py_ssize_t row, rows                   # a line of each row, then the next line of each row

cdef struct Steps:
    Walk reads, writes                     # what is read and what is written next
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
    elif at.columns == 1:                  # walked as a row
        at.rows, at.columns, at.x3, at.w3 = 1, at.rows, steps.x2, steps.w2
    at.x, at.w = top * steps.x2 + left * steps.x3, top * steps.w2 + left * LANES
    steps.single = steps.single or at.columns * at.rows == 1
    steps.count += 1


cdef inline Steps cut_steps(Py_ssize_t height, Py_ssize_t width, Py_ssize_t x2, Py_ssize_t x3,
                            bint whole) noexcept nogil:
    """Cut height x width steps of a chunk into stretches of nearly equal size, or into one where
    `whole`."""
    cdef Steps steps
    cdef Py_ssize_t down = ceil_div(height, max(<Py_ssize_t> 1, STRETCH // width))
    cdef Py_ssize_t across = ceil_div(width, STRETCH)
    cdef Py_ssize_t i, j
    if whole:
        down = across = 1
    steps.reads.first, steps.writes.first = NULL, NULL
    steps.x2, steps.x3, steps.w2, steps.count, steps.single = x2, x3, width * LANES, 0, False
    for i in range(down):
        for j in range(across):
            add_stretch(&steps, i * height // down, (i + 1) * height // down, j * width // across,
                        (j + 1) * width // across)
    return steps


cdef inline void clip_steps(const Steps* all_, Py_ssize_t i0, Py_ssize_t i1, Py_ssize_t j0,
                            Py_ssize_t j1, Steps* steps) noexcept nogil:
    """The steps that lie in the rows i0 <= i < i1 and the columns j0 <= j < j1.

    A sum begins with its last stretch, to which the others are added in order.  If that one is left
    out its zeros would begin the sum, so the first that is left takes its place.
    """
    cdef const Stretch* at
    cdef Stretch first
    cdef Py_ssize_t top, bottom, left, right
    cdef bint last = False                 # whether there are steps of the last stretch
    cdef int k
    steps.reads.first, steps.writes.first = NULL, NULL
    steps.x2, steps.x3, steps.w2, steps.count, steps.single = all_.x2, all_.x3, all_.w2, 0, False
    for k in range(all_.count):
        at = &all_.stretches[k]
        top, bottom = max(at.top, i0), min(at.bottom, i1)
        left, right = max(at.left, j0), min(at.right, j1)
        last = top < bottom and left < right
        if last:
            add_stretch(steps, top, bottom, left, right)
    if not last and steps.count > 2:       # the sum of two has no order
        first = steps.stretches[0]
        for k in range(1, steps.count):
            steps.stretches[k - 1] = steps.stretches[k]
        steps.stretches[steps.count - 1] = first


cdef inline vreal stretch_pixel(const int p, const real* const* from_, Py_ssize_t at,
                                const Pixels* spaced) noexcept nogil:
    """Pixel p.  Where pixels may lie anywhere, it is `at` numbers beyond its place."""
    return vset1(from_[p][at]) if PLACED else pixel_at(p, spaced)


cdef inline void stretch_step(const int pixels, const int vectors, const real* const* from_,
                              Py_ssize_t at, const Pixels* spaced, const real* w,
                              vreal* acc) noexcept nogil:
    cdef vreal weights[NV]
    cdef vreal pixel
    cdef int p, v
    for v in range(vectors):
        weights[v] = vload(w + v * VL)
    for p in range(pixels):
        pixel = stretch_pixel(p, from_, at, spaced)
        for v in range(vectors):
            acc[p * vectors + v] = vadd_product(acc[p * vectors + v], pixel, weights[v])


cdef inline void begin_walk(Walk* walk, const real* x) noexcept nogil:
    """A walk to nowhere stays at x, which is in the cache."""
    if walk.first == NULL:
        walk.first, walk.row, walk.rows = x, 0, CHUNK + 1


cdef inline void walk_on(const Walk* walk, const real** at, Py_ssize_t* left) noexcept nogil:
    walk = <const Walk*> vanew(walk)
    at[0] = at[0] + walk.row
    left[0] -= 1
    if left[0] == 0:
        at[0] = at[0] + 64 // <Py_ssize_t> sizeof(real) - walk.rows * walk.row
        left[0] = walk.rows


cdef inline void stretch_tile(const int pixels, const int vectors, const bint walks, const real* x,
                              const Py_ssize_t* places, const real* w, const Steps* steps,
                              bint fresh, vreal* log, real* total, Py_ssize_t row) noexcept nogil:
    """Add the steps of the pixels at x + places[.] to total[pixels][vectors], whose rows are `row`
    apart; a `fresh` total begins at zero.  If it `walks`, every step prefetches two lines.

    Each loop has at least one iteration, since no stretch is a single step.  Only so does GCC keep
    the sums in registers.
    """
    cdef vreal acc[SLIM * NV]
    cdef vreal weights[NV]
    cdef vreal pixel
    cdef const real* from_[SLIM]
    cdef const real* start = vapart(x + places[0])
    cdef Pixels spaced
    cdef Walk reads = steps.reads, writes = steps.writes
    cdef const real* read = NULL
    cdef const real* written = NULL
    cdef Py_ssize_t left = 0, unwritten = 0
    cdef const Stretch* stretch = &steps.stretches[0]
    cdef const Stretch* end = stretch + steps.count
    cdef Py_ssize_t x2 = steps.x2, w2 = steps.w2, x3, w3, rows, at = 0, line, i
    cdef const real* wp
    cdef const real* wr
    cdef vreal* logged = log
    cdef vreal zeros[NV]
    cdef const real* done
    cdef Py_ssize_t across
    cdef int p, v
    if PLACED:
        for p in range(pixels):
            from_[p] = vapart(x + places[p])
    else:
        space_pixels(&spaced, places[1] - places[0] if pixels > 1 else 0)
    if walks:
        begin_walk(&reads, x)
        begin_walk(&writes, x)
        read, left, written, unwritten = reads.first, reads.rows, writes.first, writes.rows
    line, wr = stretch.x, w + stretch.w
    for v in range(vectors):
        weights[v] = vload(wr + v * VL)
    if not PLACED:
        begin_pixels(pixels, start + line, &spaced)
    for p in range(pixels):
        pixel = stretch_pixel(p, from_, line, &spaced)
        for v in range(vectors):
            acc[p * vectors + v] = pixel * weights[v]
    while True:
        x3, w3, rows = stretch.x3, stretch.w3, stretch.rows
        wp, i = wr + w3, stretch.columns - 1
        if PLACED:
            at = line + x3
        else:
            move_pixels(pixels, x3 * <Py_ssize_t> sizeof(real), &spaced)
        while True:
            at = vapart_at(at)
            while True:
                if walks:
                    vprefetch(read)
                    vprefetch_write(written)
                    walk_on(&reads, &read, &left)
                    walk_on(&writes, &written, &unwritten)
                stretch_step(pixels, vectors, from_, at, &spaced, wp, acc)
                i -= 1
                if i == 0:
                    break
                wp = place_at(wp + w3)
                if PLACED:
                    at += x3
                else:
                    move_pixels(pixels, x3 * <Py_ssize_t> sizeof(real), &spaced)
            rows -= 1
            if rows == 0:
                break
            line, wr = line + x2, wr + w2
            at, wp, i = line, wr, stretch.columns
            if not PLACED:
                begin_pixels(pixels, start + line, &spaced)
        stretch = stretch + 1
        if stretch == end:
            break
        line, wr = stretch.x, w + stretch.w
        for v in range(vectors):
            weights[v] = vload(wr + v * VL)
        if not PLACED:
            begin_pixels(pixels, start + line, &spaced)
        for p in range(pixels):
            for v in range(vectors):
                logged[p * vectors + v] = acc[p * vectors + v]
            if PLACED:
                line = vapart_at(line)
            else:
                spaced.places[p // PLACE_PIXELS] = vapart(spaced.places[p // PLACE_PIXELS])
            pixel = stretch_pixel(p, from_, line, &spaced)
            for v in range(vectors):
                acc[p * vectors + v] = pixel * weights[v]
        logged = logged + pixels * vectors
    # add what waits in the log, and at last the total, or zeros
    zeros[0] = zeros[NV - 1] = vzero()
    done, across = <const real*> log, vectors * VL
    i = steps.count
    while True:
        i -= 1
        if i == 0:
            done = <const real*> zeros if fresh else <const real*> total
            across = 0 if fresh else row
        for p in range(pixels):
            for v in range(vectors):
                acc[p * vectors + v] = acc[p * vectors + v] + vload(done + v * VL)
            done = vapart(done + across)   # else GCC keeps all the places of a tile
        if i == 0:
            break
    for p in range(pixels):
        for v in range(vectors):
            vstore(total + v * VL, acc[p * vectors + v])
        total = <real*> vapart(total + row)


ctypedef void (*stretch_tile_t)(const void*, const real* x, const Py_ssize_t* places,
                                const real* w, const Steps* steps, bint fresh, vreal* log,
                                real* total, Py_ssize_t row) noexcept nogil


cdef void wide_stretches_of(const width* _, const real* x, const Py_ssize_t* places,
                            const real* w, const Steps* steps, bint fresh, vreal* log,
                            real* total, Py_ssize_t row) noexcept nogil:
    if sizeof(width) <= TILE:
        stretch_tile(<int> sizeof(width), NV, False, x, places, w, steps, fresh, log, total, row)


cdef void walking_stretches_of(const width* _, const real* x, const Py_ssize_t* places,
                               const real* w, const Steps* steps, bint fresh, vreal* log,
                               real* total, Py_ssize_t row) noexcept nogil:
    if WALKS and sizeof(width) <= TILE:
        stretch_tile(<int> sizeof(width), NV, True, x, places, w, steps, fresh, log, total, row)


cdef void slim_stretches_of(const slim_width* _, const real* x, const Py_ssize_t* places,
                            const real* w, const Steps* steps, bint fresh, vreal* log,
                            real* total, Py_ssize_t row) noexcept nogil:
    if sizeof(slim_width) <= SLIM:
        stretch_tile(<int> sizeof(slim_width), 1, False, x, places, w, steps, fresh, log, total,
                     row)


cdef stretch_tile_t wide_stretches[15]
wide_stretches[:] = [
    NULL, <stretch_tile_t> wide_stretches_of[n1], <stretch_tile_t> wide_stretches_of[n2],
    <stretch_tile_t> wide_stretches_of[n3], <stretch_tile_t> wide_stretches_of[n4],
    <stretch_tile_t> wide_stretches_of[n5], <stretch_tile_t> wide_stretches_of[n6],
    <stretch_tile_t> wide_stretches_of[n7], <stretch_tile_t> wide_stretches_of[n8],
    <stretch_tile_t> wide_stretches_of[n9], <stretch_tile_t> wide_stretches_of[n10],
    <stretch_tile_t> wide_stretches_of[n11], <stretch_tile_t> wide_stretches_of[n12],
    <stretch_tile_t> wide_stretches_of[n13], <stretch_tile_t> wide_stretches_of[n14],
]
cdef stretch_tile_t walking_stretches[15]
walking_stretches[:] = [
    NULL, <stretch_tile_t> walking_stretches_of[n1], <stretch_tile_t> walking_stretches_of[n2],
    <stretch_tile_t> walking_stretches_of[n3], <stretch_tile_t> walking_stretches_of[n4],
    <stretch_tile_t> walking_stretches_of[n5], <stretch_tile_t> walking_stretches_of[n6],
    <stretch_tile_t> walking_stretches_of[n7], <stretch_tile_t> walking_stretches_of[n8],
    <stretch_tile_t> walking_stretches_of[n9], <stretch_tile_t> walking_stretches_of[n10],
    <stretch_tile_t> walking_stretches_of[n11], <stretch_tile_t> walking_stretches_of[n12],
    <stretch_tile_t> walking_stretches_of[n13], <stretch_tile_t> walking_stretches_of[n14],
]
cdef stretch_tile_t slim_stretches[17]
slim_stretches[:] = [
    NULL, <stretch_tile_t> slim_stretches_of[n1], <stretch_tile_t> slim_stretches_of[n2],
    <stretch_tile_t> slim_stretches_of[n3], <stretch_tile_t> slim_stretches_of[n4],
    <stretch_tile_t> slim_stretches_of[n5], <stretch_tile_t> slim_stretches_of[n6],
    <stretch_tile_t> slim_stretches_of[n7], <stretch_tile_t> slim_stretches_of[n8],
    <stretch_tile_t> slim_stretches_of[n9], <stretch_tile_t> slim_stretches_of[n10],
    <stretch_tile_t> slim_stretches_of[n11], <stretch_tile_t> slim_stretches_of[n12],
    <stretch_tile_t> slim_stretches_of[n13], <stretch_tile_t> slim_stretches_of[n14],
    <stretch_tile_t> slim_stretches_of[n15], <stretch_tile_t> slim_stretches_of[n16],
]


cdef void add_single_steps(Py_ssize_t count, int vectors, const real* x,
                           const Py_ssize_t* places, const real* w, const Steps* steps, bint fresh,
                           real* total, Py_ssize_t row) noexcept nogil:
    """The same where a stretch may be a single step: pixel by pixel."""
    cdef vreal log[MOST_STRETCHES]
    cdef vreal acc
    cdef const Stretch* at
    cdef Py_ssize_t p, i, j
    cdef int k, v
    cdef const real* from_
    for p in range(count):
        for v in range(vectors):
            for k in range(steps.count):
                at = &steps.stretches[k]
                acc = vzero()
                for i in range(at.rows):
                    from_ = x + places[p] + at.x + i * steps.x2
                    for j in range(at.columns):
                        acc = vadd_product(acc, vset1(from_[j * at.x3]),
                                           vload(w + at.w + i * steps.w2 + j * at.w3 + v * VL))
                log[k] = acc
            for k in range(steps.count - 1):
                acc = acc + log[k]
            vstore(total + v * VL, (vzero() if fresh else vload(total + v * VL)) + acc)
        total = total + row


cdef void add_steps(Py_ssize_t count, int vectors, const real* x, const Py_ssize_t* places,
                    const real* w, const Steps* steps, bint fresh, real* total,
                    Py_ssize_t row) noexcept nogil:
    """Add the steps of `count` pixels to total[count][vectors], whose rows are `row` apart; a
    `fresh` total begins at zero."""
    cdef vreal log[LOG]
    cdef Py_ssize_t most = SLIM if vectors == 1 else TILE
    cdef Py_ssize_t pieces, piece, first, width, wider = 0
    if steps.count == 0:
        if fresh:
            for first in range(count):
                memset(total + first * row, 0, vectors * sizeof(vreal))
        return
    if steps.single:
        add_single_steps(count, vectors, x, places, w, steps, fresh, total, row)
        return
    pieces, width = 1, count
    if count > most:
        pieces = ceil_div(count, most)
        width, wider = count // pieces, count % pieces  # the first `wider` are a pixel wider
    width += 1
    for piece in range(pieces):
        if piece == wider:
            width -= 1
        if vectors == 1:
            slim_stretches[width](NULL, x, places, w, steps, fresh, log, total, row)
        elif WALKS and (steps.reads.first != NULL or steps.writes.first != NULL):
            walking_stretches[width](NULL, x, places, w, steps, fresh, log, total, row)
        else:
            wide_stretches[width](NULL, x, places, w, steps, fresh, log, total, row)
        places, total = places + width, total + width * row
