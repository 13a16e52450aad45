# The compiled half of the table of engines: which loop does a convolution, forward or for the
# gradient of its input.  fastconv/engines.py says of each engine when it may be taken, and why.
#
#   weights lie      forward: asked in this order            gradient of the input
#   plain            lines, quads, columns, bands, windows,  spread; else forward's, by phases
#                    planes
#   in panels        points, strips, flat, rows, rectangles  pixel strips, whole rows; else the same
#
# The first engine that may do it is taken, and all of them give the same bits.  Whether an engine
# may depends on the geometry, on the target, and on how x and y lie in memory; the last of a list
# always may.  Two engines of the gradient of the input take other operands, so they are functions
# of their own: `conv2d_backward_input_folded` and `conv2d_backward_input_plain`.

cdef struct Work:                          # what an engine that was taken does
    task_t task
    void* args                             # one of the plans below, or c
    Py_ssize_t items, grain                # grain: how many of the items a thread takes at once
    Convolution* c
    Axis rows, columns                     # of the forward pass, if c is for a gradient
    DepthQuads depth_quads
    DepthColumns depth_columns
    DepthBands bands
    Depthwise depthwise
    Points points
    Strips strips
    Flat flat
    Spread spread
    PixelStrips pixels
    InputGradient whole

ctypedef bint (*take_t)(Work* work) noexcept nogil

cdef struct Engine:
    const char* name
    bint packed                            # whether weights are in panels, else plain
    take_t take                            # whether it may; then it has filled `work`


cdef inline bint give(Work* work, task_t task, void* args, Py_ssize_t items,
                      Py_ssize_t grain) noexcept nogil:
    work.task, work.args, work.items, work.grain = task, args, items, grain
    return True


cdef inline Py_ssize_t few_items(Py_ssize_t rows, Py_ssize_t columns) noexcept nogil:
    """How many items, each of rows x columns outputs, a thread takes at once."""
    return FEW_OUTPUTS // (rows * columns) + 1


cdef bint take_lines(Work* work) noexcept nogil:
    cdef Convolution* c = work.c
    if c.C == 1 or c.columns.stride > 1:
        return False
    c.row_blocks = ceil_div(c.rows.outputs, LINE_ROWS)
    c.panels = ceil_div(c.K, TILE)
    return give(work, convolve_lines, c, c.N * c.groups * c.panels * c.row_blocks, 1)


cdef inline Py_ssize_t plane_items(Convolution* c) noexcept nogil:
    c.row_blocks = ceil_div(c.rows.outputs, PLANE_ROWS)
    return c.N * c.groups * c.K * c.row_blocks


cdef bint take_depth_quads(Work* work) noexcept nogil:
    return is_depthwise(work.c) and plan_quads(&work.depth_quads, work.c) \
        and give(work, depth_quads_task(work.c), &work.depth_quads, plane_items(work.c),
                 few_items(min(work.c.rows.outputs, <Py_ssize_t> PLANE_ROWS),
                           work.c.columns.outputs))


cdef bint take_depth_columns(Work* work) noexcept nogil:
    cdef Convolution* c = work.c
    if not NO_MASKS or not is_depthwise(c):
        return False
    work.depth_columns = plan_columns(c)
    return give(work, walk_task(c), &work.depth_columns, plane_items(c),
                few_items(min(c.rows.outputs, <Py_ssize_t> PLANE_ROWS), c.columns.outputs))


cdef bint take_depth_bands(Work* work) noexcept nogil:
    return plan_bands(&work.bands, work.c) \
        and give(work, depth_bands, &work.bands, plane_items(work.c), 1)


cdef bint take_depthwise(Work* work) noexcept nogil:
    cdef Py_ssize_t items = plane_items(work.c)
    if not is_depthwise(work.c):
        return False
    work.depthwise = plan_depthwise(work.c)
    return give(work, depth_task(work.c), &work.depthwise, items, 1)


cdef bint take_planes(Work* work) noexcept nogil:
    return give(work, convolve_planes, work.c, plane_items(work.c), 1)


cdef bint take_points(Work* work) noexcept nogil:
    return plan_points(&work.points, work.c) \
        and give(work, convolve_points, &work.points, point_items(&work.points), 1)


cdef bint take_strips(Work* work) noexcept nogil:
    cdef Convolution* c = work.c
    if not plan_strips(&work.strips, c):
        return False
    c.row_blocks = ceil_div(c.rows.outputs, work.strips.rows)
    return give(work, convolve_strips, &work.strips,
                c.N * c.groups * c.row_blocks * work.strips.column_blocks, 1)


cdef bint take_flat(Work* work) noexcept nogil:
    return plan_flat(&work.flat, work.c) \
        and give(work, convolve_flat, &work.flat, flat_items(&work.flat), 1)


cdef bint take_rows(Work* work) noexcept nogil:
    work.c.edges = edges_fit(work.c)
    return work.c.edges != 0 and give(work, convolve_items, work.c, count_items(work.c), 1)


cdef bint take_rectangles(Work* work) noexcept nogil:
    work.c.edges = 0
    return give(work, convolve_items, work.c, count_items(work.c), 1)


cdef bint take_spread(Work* work) noexcept nogil:
    cdef Convolution* c = work.c
    work.spread.c, work.spread.rows, work.spread.columns = c, work.rows, work.columns
    if not spreads(&work.spread):
        return False
    work.spread.finite = all_finite(c.w, c.groups * c.K * c.R * c.S)
    return give(work, spread_planes, &work.spread, c.N * c.groups * c.K,
                few_items(work.rows.inputs, work.columns.inputs))


cdef bint take_pixel_strips(Work* work) noexcept nogil:
    if work.rows.stride > 1 or work.columns.stride > 1:
        return False
    set_phase(work, 0, 0)
    if plan_points(&work.points, work.c):
        return False                       # the forward pass has a faster walk for it
    return plan_pixels(&work.pixels, work.c) \
        and give(work, pixel_strips, &work.pixels, pixel_items(&work.pixels), 1)


cdef bint take_whole_rows(Work* work) noexcept nogil:
    cdef Convolution* c = work.c
    return plan_rows(&work.whole, c, &work.rows, &work.columns) and give(
        work, input_rows, &work.whole, c.groups * c.panels * c.N * c.row_blocks, 1)


cdef void set_phase(Work* work, Py_ssize_t i, Py_ssize_t j) noexcept nogil:
    """Make `c` the convolution of dy whose result is phase (i, j) of the stride."""
    cdef const Axis* rows = &work.rows
    cdef const Axis* columns = &work.columns
    work.c.rows = phase_axis(i, rows.inputs, rows.outputs, rows.taps, rows.stride, -rows.offset,
                             rows.dilation)
    work.c.columns = phase_axis(j, columns.inputs, columns.outputs, columns.taps, columns.stride,
                                -columns.offset, columns.dilation)


cdef extern from *:
    """
    enum { FORWARD_ENGINES = 11, INPUT_ENGINES = 3, FOLDED_ENGINE = 0, PIXEL_PANELS_ENGINE = 1,
           OWN_ENGINES = 2 };
    """
    enum: FORWARD_ENGINES
    enum: INPUT_ENGINES
    enum: FOLDED_ENGINE                    # this and the next are functions, and come first
    enum: PIXEL_PANELS_ENGINE
    enum: OWN_ENGINES

cdef Engine forward_table[FORWARD_ENGINES]
forward_table[0] = Engine("lines", False, take_lines)
forward_table[1] = Engine("quads", False, take_depth_quads)
forward_table[2] = Engine("columns", False, take_depth_columns)
forward_table[3] = Engine("bands", False, take_depth_bands)
forward_table[4] = Engine("windows", False, take_depthwise)
forward_table[5] = Engine("planes", False, take_planes)
forward_table[6] = Engine("points", True, take_points)
forward_table[7] = Engine("strips", True, take_strips)
forward_table[8] = Engine("flat", True, take_flat)
forward_table[9] = Engine("rows", True, take_rows)
forward_table[10] = Engine("rectangles", True, take_rectangles)

cdef Engine input_table[INPUT_ENGINES]
input_table[0] = Engine("spread", False, take_spread)
input_table[1] = Engine("pixel strips", True, take_pixel_strips)
input_table[2] = Engine("whole rows", True, take_whole_rows)


cdef int choose(const Engine* table, int count, bint packed, Work* work) noexcept nogil:
    """The place of the first engine that may do it, or -1."""
    cdef int i
    for i in range(count):
        if table[i].packed == packed and table[i].take(work):
            return i
    return -1


cdef list names(const Engine* table, int count):
    cdef int i
    return [table[i].name.decode("ascii") for i in range(count)]


forward_engines = names(forward_table, FORWARD_ENGINES)
input_engines = ["folded", "pixel panels"] + names(input_table, INPUT_ENGINES) + forward_engines
