# The gradient of the weights from the unfolded matrix, which comes in slabs.  Each call adds its
# chunks in the order of rounds.pxi, and the last call writes dweight.

def add_slab(const real[:, :, :, :] col, const real[:, :, :, :] dy, real[::1] partial,
             real[:, ::1] dweight, Py_ssize_t groups, Py_ssize_t sums, Py_ssize_t height,
             Py_ssize_t first, Py_ssize_t chunks, Py_ssize_t pixels, Py_ssize_t part,
             Py_ssize_t parts, int threads):
    """Add the products of a slab: col (n, C R S, rows, OW) times dy (n, K, rows, OW).

    The batch has `pixels` output pixels, in `chunks` chunks that are `height` rows high.  The slab
    begins with chunk `first` of these.
    """
    cdef WeightGradient g
    cdef Py_ssize_t items
    g.x, g.dy, g.partial = &col[0, 0, 0, 0], &dy[0, 0, 0, 0], &partial[0]
    g.dweight = &dweight[0, 0]
    g.N, g.groups, g.sums, g.whole = col.shape[0], groups, sums, False
    g.C, g.K = col.shape[1] // groups, dy.shape[1] // groups
    g.rows = window_axis(dy.shape[2], dy.shape[2], 1, 1, 0, 1)
    g.columns = window_axis(dy.shape[3], dy.shape[3], 1, 1, 0, 1)
    set_strides(&g, col, dy)
    g.height = height
    items = g.N * ceil_div(g.rows.outputs, height) * g.pieces
    g.rounds = plan_rounds(pixels, height, ceil_div(g.columns.outputs, g.pieces), chunks, sums,
                           first, first + items)
    items = groups * g.panels * g.channel_blocks
    with nogil:
        add_rounds(&g.rounds, add_partial_sums, join_weights, &g, items, items, part, parts,
                   threads)
