# Unfolding: im2col and its adjoint col2im, in two layouts of the columns.
#
#   book    col[n, i, j][c, r, s]    a row per window: the functions im2col and col2im
#   planes  col[n][c, r, s][i, j]    a map per tap: what the algorithm "im2col" unfolds to,
#                                    so that its matrix product reads and writes NCHW
#
# Folding gathers: each input row adds up what fell on it, in the order of the taps.

cdef struct Unfolding:
    const real* x
    real* col
    Py_ssize_t N, C, H, W
    Axis rows, columns
    Py_ssize_t xn, xc, xh, xw                # strides of the map in elements
    Py_ssize_t channel_blocks                # blocks that channels of an image are cut into


cdef inline bint row_inside(const Unfolding* g, Py_ssize_t i, Py_ssize_t r,
                            Py_ssize_t* row) noexcept nogil:
    row[0] = i * g.rows.stride + g.rows.offset + r * g.rows.dilation
    return 0 <= row[0] < g.H


include "matrices/unfold_pixels.pxi"
include "matrices/fold_tiles.pxi"
include "matrices/unfold_tiles.pxi"
include "matrices/unfold_runs.pxi"
include "matrices/fold_shifts.pxi"


cdef inline void copy_strided(const real* x, Py_ssize_t step, real* to,
                              Py_ssize_t n) noexcept nogil:
    cdef Py_ssize_t i
    if step == 1:
        memcpy(to, x, n * sizeof(real))
    else:
        for i in range(n):
            to[i] = x[i * step]


cdef void unfold_book(void* args, Py_ssize_t begin, Py_ssize_t end) noexcept nogil:
    """Items are rows of windows (image, output row)."""
    cdef const Unfolding* g = <const Unfolding*> args
    cdef Py_ssize_t R = g.rows.taps
    cdef Py_ssize_t S = g.columns.taps
    cdef Py_ssize_t item, n, i, j, c, r, s, s0, s1, row
    cdef const real* x
    cdef real* to
    for item in range(begin, end):
        n = item // g.rows.outputs
        i = item % g.rows.outputs
        to = g.col + item * g.columns.outputs * g.C * R * S
        for j in range(g.columns.outputs):
            taps_inside(&g.columns, j, &s0, &s1)
            for c in range(g.C):
                for r in range(R):
                    if not row_inside(g, i, r, &row) or s0 == s1:
                        for s in range(S):
                            to[s] = 0
                    else:
                        x = g.x + n * g.xn + c * g.xc + row * g.xh \
                            + (j * g.columns.stride + g.columns.offset) * g.xw
                        for s in range(s0):
                            to[s] = 0
                        for s in range(s0, s1):
                            to[s] = x[s * g.columns.dilation * g.xw]
                        for s in range(s1, S):
                            to[s] = 0
                    to += S


cdef void unfold_planes(void* args, Py_ssize_t begin, Py_ssize_t end) noexcept nogil:
    """Items are taps of channels (image, channel, kernel row, kernel column)."""
    cdef const Unfolding* g = <const Unfolding*> args
    cdef Py_ssize_t taps = g.rows.taps * g.columns.taps
    cdef Py_ssize_t item, n, c, r, s, i, j0, j1, row
    cdef Py_ssize_t width = g.columns.outputs
    cdef real* to
    for item in range(begin, end):
        n = item // (g.C * taps)
        c = item // taps % g.C
        r = item % taps // g.columns.taps
        s = item % g.columns.taps
        outputs_inside(&g.columns, s, 0, width, &j0, &j1)
        for i in range(g.rows.outputs):
            to = g.col + (item * g.rows.outputs + i) * width
            if not row_inside(g, i, r, &row):
                memset(to, 0, width * sizeof(real))
                continue
            memset(to, 0, j0 * sizeof(real))
            memset(to + j1, 0, (width - j1) * sizeof(real))
            if j1 > j0:
                copy_strided(
                    g.x + n * g.xn + c * g.xc + row * g.xh
                    + (j0 * g.columns.stride + g.columns.offset + s * g.columns.dilation) * g.xw,
                    g.columns.stride * g.xw, to + j0, j1 - j0)


cdef inline void add_row(const Unfolding* g, const real* col, Py_ssize_t step, Py_ssize_t s,
                         real* dx) noexcept nogil:
    """Add to one input row what tap s of an output row puts there; col is at output column 0."""
    cdef Py_ssize_t j, j0, j1
    outputs_inside(&g.columns, s, 0, g.columns.outputs, &j0, &j1)
    dx += g.columns.offset + s * g.columns.dilation
    if step == 1 and g.columns.stride == 1:
        for j in range(j0, j1):
            dx[j] += col[j]
    else:
        for j in range(j0, j1):
            dx[j * g.columns.stride] += col[j * step]


cdef inline bint output_row(const Unfolding* g, Py_ssize_t row, Py_ssize_t r,
                            Py_ssize_t* i) noexcept nogil:
    """Whether tap r of some output row i falls on input `row`."""
    cdef Py_ssize_t base = row - g.rows.offset - r * g.rows.dilation
    i[0] = base // g.rows.stride
    return base >= 0 and base % g.rows.stride == 0 and i[0] < g.rows.outputs


cdef void fold_book(void* args, Py_ssize_t begin, Py_ssize_t end) noexcept nogil:
    """Items are input rows of all channels (image, row)."""
    cdef const Unfolding* g = <const Unfolding*> args
    cdef Py_ssize_t S = g.columns.taps
    cdef Py_ssize_t size = g.C * g.rows.taps * S
    cdef Py_ssize_t item, n, c, r, s, i, row
    cdef real* dx
    cdef const real* col
    for item in range(begin, end):
        n = item // g.H
        row = item % g.H
        for c in range(g.C):
            dx = <real*> g.x + ((n * g.C + c) * g.H + row) * g.W
            memset(dx, 0, g.W * sizeof(real))
            for r in range(g.rows.taps):
                if output_row(g, row, r, &i):
                    col = g.col + (n * g.rows.outputs + i) * g.columns.outputs * size \
                        + (c * g.rows.taps + r) * S
                    for s in range(S):
                        add_row(g, col + s, size, s, dx)


cdef void fold_planes(void* args, Py_ssize_t begin, Py_ssize_t end) noexcept nogil:
    """Add to what dx holds; items are planes (image, channel)."""
    cdef const Unfolding* g = <const Unfolding*> args
    cdef Py_ssize_t R = g.rows.taps
    cdef Py_ssize_t S = g.columns.taps
    cdef Py_ssize_t outputs = g.rows.outputs * g.columns.outputs
    cdef Py_ssize_t item, row, r, s, i
    cdef real* dx
    for item in range(begin, end):
        for row in range(g.H):
            dx = <real*> g.x + (item * g.H + row) * g.W
            for r in range(R):
                if output_row(g, row, r, &i):
                    for s in range(S):
                        add_row(g, g.col + (item * R * S + r * S + s) * outputs
                                + i * g.columns.outputs, 1, s, dx)


cdef Unfolding unfolding(const real[:, :, :, :] x, const real[::1] col, kernel, stride, pad,
                         dilation, Py_ssize_t OH, Py_ssize_t OW):
    cdef Unfolding g
    g.x, g.col = &x[0, 0, 0, 0], <real*> &col[0]
    g.N, g.C, g.H, g.W = x.shape[0], x.shape[1], x.shape[2], x.shape[3]
    g.rows = window_axis(OH, g.H, kernel[0], stride[0], pad[0], dilation[0])
    g.columns = window_axis(OW, g.W, kernel[1], stride[1], pad[1], dilation[1])
    g.xn = x.strides[0] // <Py_ssize_t> sizeof(real)
    g.xc = x.strides[1] // <Py_ssize_t> sizeof(real)
    g.xh = x.strides[2] // <Py_ssize_t> sizeof(real)
    g.xw = x.strides[3] // <Py_ssize_t> sizeof(real)
    # Where images are too few to share among threads, channels are cut into blocks of some 72 taps:
    # rows of col are then read in pieces of a few cache lines.
    g.channel_blocks = 1
    if g.N < 16:
        g.channel_blocks = min(g.C, (g.C * g.rows.taps * g.columns.taps + 71) // 72)
    return g


def unfold(const real[:, :, :, :] x, real[::1] col, kernel, stride, pad, dilation,
           Py_ssize_t OH, Py_ssize_t OW, bint book, Py_ssize_t part, Py_ssize_t parts,
           int threads):
    """im2col: unfold x (N, C, H, W), of any strides, to col in the book's layout or in planes."""
    cdef Unfolding g = unfolding(x, col, kernel, stride, pad, dilation, OH, OW)
    with nogil:
        if book and is_transposition(&g):
            run_items(unfold_pixels, &g, g.N * ((g.H * g.W + VL - 1) // VL), part, parts, 1,
                      threads)
        elif book and runs_are_short(&g):
            run_items(unfold_tiles, &g, g.N * g.rows.outputs, part, parts, 1, threads)
        elif book and runs_fit(&g):
            run_items(unfold_runs, &g, g.N * g.rows.outputs, part, parts, 1, threads)
        elif book:
            run_items(unfold_book, &g, g.N * OH, part, parts, 1, threads)
        else:
            run_items(unfold_planes, &g, g.N * g.C * g.rows.taps * g.columns.taps, part, parts,
                      1, threads)


def fold(const real[::1] col, real[:, :, :, ::1] dx, kernel, stride, pad, dilation,
         Py_ssize_t OH, Py_ssize_t OW, bint book, Py_ssize_t part, Py_ssize_t parts,
         int threads):
    """col2im: fold col to dx.  From the book's layout dx is written; from planes the sums are added
    to what dx holds."""
    cdef Unfolding g = unfolding(dx, col, kernel, stride, pad, dilation, OH, OW)
    with nogil:
        if book and is_transposition(&g):
            run_items(fold_pixels, &g, g.N * ((g.H * g.W + VL - 1) // VL), part, parts, 1,
                      threads)
        elif book and shifts_fit(&g):
            run_items(fold_shifts, &g, g.N * g.channel_blocks, part, parts, 1, threads)
        elif book and tiles_fit(&g):
            run_items(fold_tiles, &g, g.N * g.channel_blocks, part, parts, 1, threads)
        elif book:
            run_items(fold_book, &g, g.N * g.H, part, parts, 1, threads)
        else:
            run_items(fold_planes, &g, g.N * g.C, part, parts, 1, threads)
