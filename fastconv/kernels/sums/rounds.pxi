# The order in which the gradient of the weights adds its chunks.
#
#   chunks of the batch       | 0 .. 3 | 4 .. 7 | ... | 60 .. 63 | 64 .. 67 | ...
#   go to the partial sum         0        1      ...      15    |     0      ...
#   in round                                 0                   |     1
#
# Runs of neighbouring chunks, of nearly equal length, go to the partial sums in turn.  After each
# round but the last, the partial sums are added to the total of the rounds before.  What this
# addition loses by rounding begins the next round, so a sum of any length has the error of a run.
#
# Three chains of additions follow each other in a run: the steps of a stretch, the stretches of a
# chunk, and the chunks.  A run has so few chunks that the longest of these three together have at
# most LONGEST_CHAINS additions.

cdef extern from *:
    """
    enum { LONGEST_CHAINS = 64 };
    """
    enum: LONGEST_CHAINS

cdef struct Rounds:
    Py_ssize_t chunks                      # of the batch
    Py_ssize_t first, last                 # the chunks of this call: all, or those of a slab
    Py_ssize_t sums, count                 # how many partial sums, and how many rounds
    Py_ssize_t round, begin, end           # now: chunks begin .. end of each run of this round
    bint several                           # more pixels than a single chain may have


cdef inline Py_ssize_t run_start(const Rounds* g, Py_ssize_t run) noexcept nogil:
    return run * g.chunks // (g.count * g.sums)


cdef inline Rounds plan_rounds(Py_ssize_t pixels, Py_ssize_t height, Py_ssize_t width,
                               Py_ssize_t chunks, Py_ssize_t sums, Py_ssize_t first,
                               Py_ssize_t last) noexcept nogil:
    """Lay out the rounds for chunks of at most height x width pixels."""
    cdef Rounds g
    cdef Steps steps = cut_steps(height, width, 0, 0, False)
    cdef Py_ssize_t longest = 0
    cdef const Stretch* at
    cdef int k
    for k in range(steps.count):
        at = &steps.stretches[k]
        longest = max(longest, (at.bottom - at.top) * (at.right - at.left))
    g.chunks, g.sums, g.first, g.last = chunks, sums, first, last
    g.count = ceil_div(chunks, (LONGEST_CHAINS - longest - steps.count) * sums)
    g.round = g.begin = g.end = 0
    g.several = pixels > CHUNK // 2
    return g


cdef inline Py_ssize_t run_of(const Rounds* g, Py_ssize_t chunk) noexcept nogil:
    """The run that a chunk belongs to."""
    cdef Py_ssize_t run = chunk * (g.count * g.sums) // g.chunks  # a guess, never too large
    while run_start(g, run + 1) <= chunk:
        run += 1
    return run


cdef inline Py_ssize_t chunks_now(const Rounds* g, Py_ssize_t share, Py_ssize_t* begin,
                                  Py_ssize_t* end) noexcept nogil:
    """The chunks begin .. end that partial sum `share` gets in this pass; returns their run."""
    cdef Py_ssize_t run = g.round * g.sums + share
    if g.sums == 1:
        begin[0], end[0] = g.begin, g.end
        return run_of(g, g.begin)
    begin[0] = max(run_start(g, run) + g.begin, g.first)
    end[0] = min(min(run_start(g, run) + g.end, run_start(g, run + 1)), g.last)
    return run


cdef inline bint begins_anew(const Rounds* g, Py_ssize_t run, Py_ssize_t chunk) noexcept nogil:
    """Whether a chunk begins its partial sum from zero, not from what the last addition to the
    total lost.  The first of single partial sums becomes the total as it is, so nothing is lost."""
    return chunk == run_start(g, run) and (run == 0 or run % g.sums > 0 or g.sums == run == 1)


cdef inline bint shares_items(const Rounds* g, Py_ssize_t items, Py_ssize_t parts,
                              int threads) noexcept nogil:
    """Whether a part is a share of the items, each with all of its chunks, and not a share of the
    chunks.  That needs a single partial sum, and enough items for all threads."""
    return g.sums == 1 and g.first == 0 and g.last == g.chunks \
        and (parts == 1 or items >= parts * threads)


cdef void add_rounds(Rounds* g, task_t add, task_t join, void* args, Py_ssize_t items,
                     Py_ssize_t joins, Py_ssize_t part, Py_ssize_t parts,
                     int threads) noexcept nogil:
    """Do a part of this call's chunks: run `add` over the `items` of each partial sum, and `join`
    after each round.  With a single partial sum one pass does many rounds, and `add` joins them
    itself; if there are many items, a part is then a share of the items."""
    cdef Py_ssize_t longest = ceil_div(g.chunks, g.count * g.sums)
    cdef Py_ssize_t first, last, at, end
    if shares_items(g, items, parts, threads):
        g.begin, g.end = g.first, g.last
        run_items(add, args, items, part, parts, 1, threads)
        return
    if g.sums == 1:
        g.begin = g.first + (g.last - g.first) * part // parts
        g.end = g.first + (g.last - g.first) * (part + 1) // parts
        if g.begin < g.end:
            run_items(add, args, items, 0, 1, 1, threads)
        return
    first, last = run_of(g, g.first) // g.sums, run_of(g, g.last - 1) // g.sums + 1
    at = (first * parts + (last - first) * part) * longest // parts
    end = (first * parts + (last - first) * (part + 1)) * longest // parts
    while at < end:
        g.round, g.begin = at // longest, at % longest
        g.end = min(longest, g.begin + end - at)
        at += g.end - g.begin
        run_items(add, args, items * g.sums, 0, 1, 1, threads)
        if g.end == longest and run_start(g, (g.round + 1) * g.sums) <= g.last:
            run_items(join, args, joins, 0, 1, 1, threads)


cdef inline vreal add_sums(const real* at, Py_ssize_t size, Py_ssize_t sums,
                           Py_ssize_t lanes) noexcept nogil:
    """The total of the partial sums of the only round, which lie `size` apart, in four chains."""
    cdef vreal acc[4]
    cdef Py_ssize_t share
    cdef int v
    for v in range(4):
        acc[v] = vload_n(at + v * size, lanes) if v < sums else vzero()
    for share from 4 <= share < sums by 4:
        for v in range(4):
            if share + v < sums:
                acc[v] = acc[v] + vload_n(at + (share + v) * size, lanes)
    return (acc[0] + acc[1]) + (acc[2] + acc[3])


cdef inline vreal join_sums(const real* at, Py_ssize_t size, Py_ssize_t sums, vreal total,
                            Py_ssize_t lanes, vreal* lost) noexcept nogil:
    """The total after a round; the `lanes` numbers of the partial sums are `size` apart."""
    cdef Py_ssize_t share
    lost[0] = vzero()
    for share in range(sums):
        total = vjoin(total, vload_n(at + share * size, lanes) + lost[0], lost)
        lost[0] = vlost(lost[0])
    return total
