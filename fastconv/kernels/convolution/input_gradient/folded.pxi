# The gradient of the input for few channels: the matrix product of im2col's backward pass,
# folded while it is in the cache.
#
#                lanes: neighbouring pixels of dy, a row after the other
#               +-----------+-----------+
#   tap (0, 0)  | acc[0][0] | acc[0][1] |   += w[k][c][r, s] * dy[k][pixel]: the register tile
#      ...      |           |           |   over k, weights and dy read as they lie
#   tap (r, s)  |           |           |
#               +-----------+-----------+
#      stored as columns[r, s][pixel]       dx[c][row][column] += columns[r, s][i, j]
#
# The columns of one channel, for a chunk of rows of dy, are on the stack.  Chunks go from the
# last row to the first, so that every element of dx gets its taps in their order.  If the stride
# is not 1, a row of dx lies phase after phase until it is whole.

cdef extern from *:
    """
    enum { FOLD = 32768 / sizeof(real), FOLD_WIDTH = 4096, FOLD_ROWS = 32, FOLD_TAPS = 128 };
    """
    enum: FOLD                             # numbers of a chunk's columns
    enum: FOLD_WIDTH                       # most numbers of a row of dx: no more than FOLD
    enum: FOLD_ROWS                        # rows of dx of an item
    enum: FOLD_TAPS                        # most taps of the kernel

cdef struct Folded:
    const real* w
    const real* dy
    real* dx
    Py_ssize_t N, groups, C, K             # C and K of one group
    Axis rows, columns
    Py_ssize_t block, row_blocks

cdef struct FoldedChunk:
    Py_ssize_t top, bottom, left, right    # its rows and columns of dy
    Py_ssize_t origin, plane               # the first pixel of the columns; from tap to tap
    Py_ssize_t h0, h1                      # the rows of dx that are wanted


cdef void multiply_chunk(const Folded* g, const FoldedChunk* at, const real* w,
                         const real* dy, Py_ssize_t filters, real* columns) noexcept nogil:
    """Write columns[tap][pixel - origin] for the taps that fall on wanted rows; dy is an image."""
    cdef Nest nest
    cdef vreal total[TILE * NV]
    cdef Py_ssize_t pixels = g.rows.outputs * g.columns.outputs
    cdef Py_ssize_t S = g.columns.taps
    cdef Py_ssize_t first, last, pieces, piece, tap, pixel, end, start
    cdef Py_ssize_t low = at.h0 - g.rows.offset - (at.bottom - 1) * g.rows.stride
    cdef Py_ssize_t high = at.h1 - 1 - g.rows.offset - at.top * g.rows.stride
    cdef int count, t, v
    first = clamp(ceil_div(low, g.rows.dilation), 0, g.rows.taps) * S
    last = clamp(floor_div(high, g.rows.dilation) + 1, 0, g.rows.taps) * S
    nest.n1, nest.n2, nest.n3, nest.fresh = 1, 1, filters, True
    set_moves(&nest, 0, 0, g.C * g.rows.taps * S, 0, 0)
    pieces = (last - first + TILE - 1) // TILE
    end = at.origin + at.plane
    start = at.origin
    while start < end:
        pixel = min(start, end - LANES)    # the last block is moved back to be whole
        for piece in range(pieces):
            tap = first + piece * (last - first) // pieces
            count = <int> (first + (piece + 1) * (last - first) // pieces - tap)
            line_tile(count, w + tap, 1, dy + pixel, pixels, &nest, total)
            for t in range(count):
                for v in range(NV):
                    vstore(columns + (tap + t) * at.plane + pixel - at.origin + v * VL,
                           total[t * NV + v])
        start = pixel + LANES


cdef inline void fold_row(const Axis* axis, const FoldedChunk* at, const real** lines,
                          Py_ssize_t n, real* row) noexcept nogil:
    """Add the taps of one phase of the columns to a row of dx, from n rows of taps."""
    cdef lanes_t masks[FOLD_TAPS]
    cdef vreal value
    # position q of the phase and its tap a meet at column q - shift - a * move of dy
    cdef Py_ssize_t move = -axis.dilation
    cdef Py_ssize_t shift = at.left - axis.offset
    cdef Py_ssize_t width = at.right - at.left
    cdef Py_ssize_t end = min(axis.outputs, shift + width + (axis.taps - 1) * move)
    cdef Py_ssize_t q = max(<Py_ssize_t> 0, shift)
    cdef Py_ssize_t a, b
    while q < end:
        if q >= shift + (axis.taps - 1) * move and q + VL <= min(shift + width, end):
            value = vload(row + q)
            for b in range(n):
                for a in range(axis.taps):
                    value = value + vload(
                        lines[b] + a * axis.every * at.plane + q - shift - a * move)
            vstore(row + q, value)
        else:
            for a in range(axis.taps):
                masks[a] = lanes_between(clamp(shift + a * move - q, 0, VL),
                                         clamp(shift + width + a * move - q, 0, VL))
            value = vload_n(row + q, end - q)
            for b in range(n):
                for a in range(axis.taps):
                    value = value + vload_where(
                        lines[b] + a * axis.every * at.plane + q - shift - a * move, masks[a])
            vstore_n(row + q, value, end - q)
        q += VL


cdef void fold_chunk(const Folded* g, const FoldedChunk* at, const real* columns,
                     real* dx) noexcept nogil:
    """Add the columns to the plane dx, whose rows lie phase after phase."""
    cdef const real* lines[FOLD_TAPS]      # the rows of taps that fall on a row of dx, in order
    cdef Py_ssize_t R = g.rows.taps
    cdef Py_ssize_t S = g.columns.taps
    cdef Py_ssize_t i, j, q, last, t, n, y, start
    cdef Axis rows, axis
    for i in range(min(g.rows.stride, g.rows.inputs)):
        rows = phase_axis(i, g.rows.inputs, g.rows.outputs, R, g.rows.stride, -g.rows.offset,
                          g.rows.dilation)
        start = 0
        for j in range(min(g.columns.stride, g.columns.inputs)):
            axis = phase_axis(j, g.columns.inputs, g.columns.outputs, S, g.columns.stride,
                              -g.columns.offset, g.columns.dilation)
            q = max(ceil_div(at.h0 - i, g.rows.stride), at.top - rows.offset)
            last = min(ceil_div(at.h1 - i, g.rows.stride),
                       at.bottom - rows.offset - (rows.taps - 1) * rows.dilation)
            while q < last and rows.taps and axis.taps:
                n = 0
                for t in range(rows.taps):
                    y = q + rows.offset + t * rows.dilation
                    if at.top <= y < at.bottom:
                        lines[n] = columns + y * g.columns.outputs + at.left - at.origin \
                            + ((rows.first + t * rows.every) * S + axis.first) * at.plane
                        n += 1
                fold_row(&axis, at, lines, n,
                         dx + (q * g.rows.stride + i) * g.columns.inputs + start)
                q += 1
            start += axis.outputs


cdef void join_phases(const Folded* g, real* row, real* scratch) noexcept nogil:
    """Put the columns of a row, which lie phase after phase, in their places."""
    cdef Py_ssize_t phase, w
    cdef Py_ssize_t width = g.columns.inputs
    memcpy(scratch, row, width * sizeof(real))
    for phase in range(g.columns.stride):
        for w from phase <= w < width by g.columns.stride:
            row[w] = scratch[0]
            scratch += 1


cdef void fold_items(void* args, Py_ssize_t begin, Py_ssize_t end) noexcept nogil:
    """Items are (image, group, block of FOLD_ROWS rows of dx)."""
    cdef const Folded* g = <const Folded*> args
    cdef FoldedChunk at
    cdef real columns[FOLD]
    cdef Py_ssize_t taps = g.rows.taps * g.columns.taps
    cdef Py_ssize_t pixels = g.rows.outputs * g.columns.outputs
    cdef Py_ssize_t plane = g.rows.inputs * g.columns.inputs
    cdef Py_ssize_t width = min(g.columns.outputs, FOLD // taps)
    cdef Py_ssize_t height = max(<Py_ssize_t> 1, FOLD // taps // width)
    cdef Py_ssize_t item, n, group, c, h, k, top, bottom
    cdef const real* w
    cdef const real* dy
    cdef real* dx
    for item in range(begin, end):
        at.h0 = item % g.row_blocks * FOLD_ROWS
        at.h1 = min(at.h0 + FOLD_ROWS, g.rows.inputs)
        group = item // g.row_blocks % g.groups
        n = item // g.row_blocks // g.groups
        dx = g.dx + (n * g.groups + group) * g.C * plane
        for c in range(g.C):
            memset(dx + c * plane + at.h0 * g.columns.inputs, 0,
                   (at.h1 - at.h0) * g.columns.inputs * sizeof(real))
        # the rows of dy that fall on rows h0 .. h1
        top = at.h0 - g.rows.offset - (g.rows.taps - 1) * g.rows.dilation
        top = clamp(ceil_div(top, g.rows.stride), 0, g.rows.outputs)
        bottom = clamp(floor_div(at.h1 - 1 - g.rows.offset, g.rows.stride) + 1, top,
                       g.rows.outputs)
        for k from 0 <= k < g.K by g.block:
            w = g.w + (group * g.K + k) * g.C * taps
            dy = g.dy + ((n * g.groups + group) * g.K + k) * pixels
            at.bottom = bottom
            while at.bottom > top:
                at.top = max(top, at.bottom - height)
                at.right = g.columns.outputs
                while at.right > 0:
                    at.left = max(<Py_ssize_t> 0, at.right - width)
                    at.origin = at.top * g.columns.outputs + at.left
                    at.origin = max(<Py_ssize_t> 0, min(
                        at.origin, (at.bottom - 1) * g.columns.outputs + at.right - LANES))
                    at.plane = max(<Py_ssize_t> LANES, (at.bottom - 1) * g.columns.outputs
                                   + at.right - at.origin)
                    for c in range(g.C):
                        multiply_chunk(g, &at, w + c * taps, dy, min(g.block, g.K - k), columns)
                        fold_chunk(g, &at, columns, dx + c * plane)
                    at.right = at.left
                at.bottom = at.top
        if g.columns.stride > 1:
            for c in range(g.C):
                for h in range(at.h0, at.h1):
                    join_phases(g, dx + c * plane + h * g.columns.inputs, columns)


def conv2d_backward_input_folded(const real[:, :, :, ::1] dy, const real[::1] weight,
                                 real[:, :, :, ::1] dx, Py_ssize_t R, Py_ssize_t S, stride, pad,
                                 dilation, Py_ssize_t groups, Py_ssize_t block,
                                 Py_ssize_t part, Py_ssize_t parts, int threads):
    """As `conv2d_backward_input` with plain weights (K, C, R, S), for few channels.

    dy has at least LANES pixels, the kernel at most FOLD_TAPS taps, and dx rows of at most
    FOLD_WIDTH numbers.
    """
    cdef Folded g
    g.w, g.dy, g.dx = &weight[0], &dy[0, 0, 0, 0], &dx[0, 0, 0, 0]
    g.N, g.groups = dx.shape[0], groups
    g.C, g.K, g.block = dx.shape[1] // groups, dy.shape[1] // groups, block
    g.rows = window_axis(dy.shape[2], dx.shape[2], R, stride[0], pad[0], dilation[0])
    g.columns = window_axis(dy.shape[3], dx.shape[3], S, stride[1], pad[1], dilation[1])
    g.row_blocks = (g.rows.inputs + FOLD_ROWS - 1) // FOLD_ROWS
    if parts == 0:
        return FOLDED_ENGINE
    with nogil:
        run_items(fold_items, &g, g.N * groups * g.row_blocks, part, parts, 1, threads)
    return FOLDED_ENGINE
