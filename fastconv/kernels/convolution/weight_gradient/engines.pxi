# The compiled half of the table of engines (fastconv/engines.py), for the gradient of the weights:
#
#     quads, bands, windows, planes      groups of few filters: pixels of one channel in the lanes
#     points, taps, columns, tile        the others, through partial sums
#
# The first engine that may do it is taken.  All engines of a line give the same bits, but quads and
# bands, which no layout of x and dy and no number of threads chooses, and except where a factor is
# not finite: `taps` and `columns` multiply zeros of the padding.

cdef extern from *:
    """
    enum { FEW_CHANNELS = 4, COLUMN_FILTERS = 128, WEIGHT_ENGINES = 8 };
    """
    enum: FEW_CHANNELS                     # so few channels are too few rows for the tile
    enum: COLUMN_FILTERS                   # most filters of an item of columns_gradient.pxi
    enum: WEIGHT_ENGINES

cdef struct WeightWork:                    # what an engine that was taken does
    task_t add, join                       # join: after each round, or NULL without rounds
    void* args
    Py_ssize_t items, joins
    WeightGradient* g
    DotBands bands
    bint exact                             # whether zeros of the padding must not be multiplied
    Py_ssize_t part, parts
    int threads

ctypedef bint (*take_t)(WeightWork* work) noexcept nogil

cdef struct WeightEngine:
    const char* name
    bint sums                              # whether there are partial sums
    bint zeros                             # whether it multiplies zeros of the padding
    take_t take                            # whether it may; then it has filled `work`


cdef inline bint give(WeightWork* work, task_t add, task_t join, void* args, Py_ssize_t items,
                      Py_ssize_t joins) noexcept nogil:
    work.add, work.join, work.args, work.items, work.joins = add, join, args, items, joins
    return True


cdef bint take_quads(WeightWork* work) noexcept nogil:
    cdef WeightGradient* g = work.g
    cdef task_t task = dot_quads_of_three if g.columns.stride == 1 else dot_quads_of_three_apart
    return QUADS and g.columns.taps == 3 and knows_dots(g) and not dots_narrow(g) \
        and give(work, task, NULL, g, g.groups * g.K * g.C, 0)


cdef bint take_bands(WeightWork* work) noexcept nogil:
    cdef WeightGradient* g = work.g
    return plan_dots(&work.bands, g) \
        and give(work, dot_bands, NULL, &work.bands, g.groups * g.K * g.C * work.bands.parts, 0)


cdef bint take_windows(WeightWork* work) noexcept nogil:
    cdef WeightGradient* g = work.g
    g.inside = inside_end(&g.columns)
    return dots_windows(g) and give(work, dot_task(g), NULL, g, g.groups * g.K * g.C, 0)


cdef bint take_planes(WeightWork* work) noexcept nogil:
    cdef WeightGradient* g = work.g
    return give(work, dot_planes, NULL, g,
                g.groups * g.K * g.C * g.rows.taps * g.columns.taps, 0)


cdef bint give_turned(WeightWork* work, task_t add, Py_ssize_t items,
                      Py_ssize_t least) noexcept nogil:
    """Give an engine whose sums lie as dweight does, with each of `items` cut into `least` blocks
    or more."""
    cdef WeightGradient* g = work.g
    if g.sums == 1 and g.rounds.count == 1:
        g.partial = g.dweight
    g.blocks = cut_items(items * g.sums, work.threads, least, ceil_div(g.K, TILE))
    return give(work, add, join_columns, g, items * g.blocks, g.groups * g.K)


cdef bint take_points(WeightWork* work) noexcept nogil:
    """Take a 1x1 kernel, with sums that lie as dweight does.  That does not pay if channels fill
    fewer lanes than filters would, or if lanes are so few that dy is read too often."""
    cdef WeightGradient* g = work.g
    if g.rows.taps * g.columns.taps > 1 or pads(&g.rows) or pads(&g.columns) \
            or ceil_div(g.C, LANES) * g.K > ceil_div(g.K, LANES) * g.C \
            or not PLACED and LANES < 16:
        return False
    return give_turned(work, add_points, g.groups * point_strips(g), ceil_div(g.K, POINT_FILTERS))


cdef inline bint few_channels(const WeightWork* work) noexcept nogil:
    cdef const WeightGradient* g = work.g
    return g.C <= FEW_CHANNELS and g.rows.taps * g.columns.taps > 1 and not work.exact


cdef bint take_taps(WeightWork* work) noexcept nogil:
    cdef WeightGradient* g = work.g
    if not few_channels(work) or not takes_taps(g) \
            or g.groups * g.panels * g.sums < work.threads:
        return False
    g.blocks = cut_items(g.groups * g.sums, work.threads, 1, g.panels)
    return give(work, add_taps, join_weights, g, g.groups * g.blocks, g.groups * g.panels)


cdef bint take_columns(WeightWork* work) noexcept nogil:
    cdef WeightGradient* g = work.g
    if not few_channels(work) or PLACED and not takes_taps(g) and 2 * g.C >= TILE:
        return False                       # channels fill at least half a tile
    return give_turned(
        work, add_columns,
        g.groups * ceil_div(g.C * g.rows.taps * g.columns.taps, LANES), ceil_div(g.K, COLUMN_FILTERS))


cdef bint take_tile(WeightWork* work) noexcept nogil:
    cdef WeightGradient* g = work.g
    cdef Py_ssize_t items = g.groups * g.panels * g.channel_blocks
    g.whole = shares_items(&g.rounds, items, work.parts, work.threads)
    return give(work, add_partial_sums, join_weights, g, items, items)


cdef WeightEngine weight_table[WEIGHT_ENGINES]
weight_table[0] = WeightEngine("quads", False, False, take_quads)
weight_table[1] = WeightEngine("bands", False, False, take_bands)
weight_table[2] = WeightEngine("windows", False, False, take_windows)
weight_table[3] = WeightEngine("planes", False, False, take_planes)
weight_table[4] = WeightEngine("points", True, False, take_points)
weight_table[5] = WeightEngine("taps", True, True, take_taps)
weight_table[6] = WeightEngine("columns", True, True, take_columns)
weight_table[7] = WeightEngine("tile", True, False, take_tile)

cdef int choose(WeightWork* work) noexcept nogil:
    """The place of the first engine that may do it."""
    cdef int i = 0
    while weight_table[i].sums != (work.g.sums > 0) or not weight_table[i].take(work):
        i += 1
    return i


cdef list names():
    cdef int i
    return [weight_table[i].name.decode("ascii") for i in range(WEIGHT_ENGINES)]


weight_engines = names()
