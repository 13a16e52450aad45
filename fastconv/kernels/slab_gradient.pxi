# The gradient of the weights from the unfolded matrix, which comes in slabs: each call adds its
# pixels to the partial sums, chunk by chunk as in gradient.pxi, and the last one writes dweight.

def add_slab(const real[:, :, :, :] col, const real[:, :, :, :] dy, real[::1] partial,
                Py_ssize_t groups, Py_ssize_t sums, bint begun, Py_ssize_t part,
                Py_ssize_t parts, int threads):
    """Add the products of a slab, col (n, C R S, rows, OW) and dy (n, K, rows, OW), to `sums`
    partial sums, which hold earlier slabs where `begun`; slabs begin with a chunk."""
    cdef WeightGradient g
    g.x, g.dy, g.partial = &col[0, 0, 0, 0], &dy[0, 0, 0, 0], &partial[0]
    g.dweight = NULL
    g.N, g.groups, g.sums, g.begun = col.shape[0], groups, sums, begun
    g.whole = False
    g.C, g.K = col.shape[1] // groups, dy.shape[1] // groups
    g.rows = window_axis(dy.shape[2], dy.shape[2], 1, 1, 0, 1)
    g.columns = window_axis(dy.shape[3], dy.shape[3], 1, 1, 0, 1)
    g.xn = col.strides[0] // <Py_ssize_t> sizeof(real)
    g.xc = col.strides[1] // <Py_ssize_t> sizeof(real)
    g.xh = col.strides[2] // <Py_ssize_t> sizeof(real)
    g.xw = col.strides[3] // <Py_ssize_t> sizeof(real)
    g.yn = dy.strides[0] // <Py_ssize_t> sizeof(real)
    g.yk = dy.strides[1] // <Py_ssize_t> sizeof(real)
    g.yh = dy.strides[2] // <Py_ssize_t> sizeof(real)
    g.yw = dy.strides[3] // <Py_ssize_t> sizeof(real)
    g.panels, g.channel_blocks = (g.K + LANES - 1) // LANES, (g.C + 63) // 64
    g.part, g.parts = part, parts
    with nogil:
        run_items(add_partial_sums, &g, sums * groups * g.panels * g.channel_blocks, 0, 1, 1,
                  threads)


def finish_slabs(const real[::1] partial, real[:, ::1] dweight, Py_ssize_t groups,
                   Py_ssize_t sums, int threads):
    """dweight (K, C R S of a group) = the partial sums, added in order."""
    cdef WeightGradient g
    g.partial, g.dweight = <real*> &partial[0], &dweight[0, 0]
    g.groups, g.sums = groups, sums
    g.C, g.K = dweight.shape[1], dweight.shape[0] // groups
    g.panels, g.channel_blocks = (g.K + LANES - 1) // LANES, (g.C + 63) // 64
    g.rows = window_axis(1, 1, 1, 1, 0, 1)
    g.columns = g.rows
    with nogil:
        run_items(finish_weights, &g, groups * g.panels * g.channel_blocks, 0, 1, 1, threads)
