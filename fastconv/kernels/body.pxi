# The functions of one compiled module, for one instruction set and one dtype.
#
# They check nothing: sizes, dtypes and contiguity are the caller's (fastconv/functional).
# Each does the share [part / parts, (part + 1) / parts) of its items, on up to `threads`
# threads, and gives the same bits for every way to share.

include "vec.pxi"
include "axes.pxi"
include "tile.pxi"
include "convolution.pxi"
include "planes.pxi"
include "gradient.pxi"
include "pooling.pxi"
include "unfold.pxi"

lanes = LANES
vector_bytes = VL * sizeof(real)


cdef inline void run_items(task_t task, void* args, Py_ssize_t items, Py_ssize_t part,
                           Py_ssize_t parts, Py_ssize_t grain, int threads) noexcept nogil:
    parallel_for(task, args, items * part // parts, items * (part + 1) // parts, grain, threads)


cdef inline Axis window_axis(Py_ssize_t outputs, Py_ssize_t inputs, Py_ssize_t taps,
                             Py_ssize_t stride, Py_ssize_t pad,
                             Py_ssize_t dilation) noexcept nogil:
    cdef Axis axis
    axis.outputs, axis.inputs, axis.taps = outputs, inputs, taps
    axis.stride, axis.offset, axis.dilation = stride, -pad, dilation
    axis.first, axis.every = 0, 1
    return axis


cdef inline Axis phase_axis(Py_ssize_t phase, Py_ssize_t inputs, Py_ssize_t outputs,
                            Py_ssize_t taps, Py_ssize_t stride, Py_ssize_t pad,
                            Py_ssize_t dilation) noexcept nogil:
    """Every stride-th input position, from `phase`, as the output of a convolution of dy.

    Tap r joins input p and output (p + pad - r * dilation) / stride where that is whole:
    for one phase that is every (stride / gcd)-th tap, and dy is read backwards.
    """
    cdef Axis axis
    cdef Py_ssize_t a = stride
    cdef Py_ssize_t b = dilation
    cdef Py_ssize_t r = 0
    while b:
        a, b = b, a % b
    axis.every = stride // a
    while r < min(axis.every, taps) and (phase + pad - r * dilation) % stride != 0:
        r += 1
    axis.first = r
    axis.taps = (taps - 1 - r) // axis.every + 1 if r < min(axis.every, taps) else 0
    axis.outputs = (inputs - phase + stride - 1) // stride
    axis.inputs = outputs
    axis.stride = 1
    axis.offset = (phase + pad - r * dilation) // stride if axis.taps else 0
    axis.dilation = -(dilation // a)
    return axis


cdef struct Packing:
    const real* weight
    real* packed
    Py_ssize_t K, C, taps, panels, blocks


cdef void pack_panels(void* args, Py_ssize_t begin, Py_ssize_t end) noexcept nogil:
    """Items are (group, panel of filters)."""
    cdef const Packing* g = <const Packing*> args
    cdef Py_ssize_t size = g.C * g.taps
    cdef Py_ssize_t item, first
    for item in range(begin, end):
        first = item % g.panels * LANES
        transpose_chunk(g.weight + (item // g.panels * g.K + first) * size, size, 0, 1, 1, size,
                        min(<Py_ssize_t> LANES, g.K - first), g.packed + item * size * LANES)


cdef void pack_panels_backward(void* args, Py_ssize_t begin, Py_ssize_t end) noexcept nogil:
    """Items are (group, panel of channels, block of 64 filters)."""
    cdef const Packing* g = <const Packing*> args
    cdef Py_ssize_t item, group, panel, first, k, c, t, count
    cdef const real* w
    cdef real* to
    for item in range(begin, end):
        first = item % g.blocks * 64
        panel = item // g.blocks % g.panels
        group = item // g.blocks // g.panels
        count = min(<Py_ssize_t> LANES, g.C - panel * LANES)
        for k in range(first, min(first + 64, g.K)):
            w = g.weight + ((group * g.K + k) * g.C + panel * LANES) * g.taps
            to = g.packed + ((group * g.panels + panel) * g.taps * g.K + k) * LANES
            for t in range(g.taps):
                for c in range(count):
                    to[c] = w[c * g.taps + t]
                for c in range(count, LANES):
                    to[c] = 0
                to += g.K * LANES


cdef Packing packing(const real[:, :, :, ::1] weight, real[::1] packed, Py_ssize_t groups):
    cdef Packing g
    g.weight, g.packed = &weight[0, 0, 0, 0], &packed[0]
    g.K, g.C = weight.shape[0] // groups, weight.shape[1]
    g.taps = weight.shape[2] * weight.shape[3]
    g.blocks = (g.K + 63) // 64
    return g


def pack_weight(const real[:, :, :, ::1] weight, real[::1] packed, Py_ssize_t groups,
                Py_ssize_t part, Py_ssize_t parts, int threads):
    """weight (K, C, R, S) to packed [group][panel][c][r][s][LANES], zeros beyond K."""
    cdef Packing g = packing(weight, packed, groups)
    g.panels = (g.K + LANES - 1) // LANES
    with nogil:
        run_items(pack_panels, &g, groups * g.panels, part, parts, 1, threads)


def pack_weight_backward(const real[:, :, :, ::1] weight, real[::1] packed, Py_ssize_t groups,
                         Py_ssize_t part, Py_ssize_t parts, int threads):
    """weight (K, C, R, S) to packed [group][panel of c][r][s][k][LANES], zeros beyond C."""
    cdef Packing g = packing(weight, packed, groups)
    g.panels = (g.C + LANES - 1) // LANES
    with nogil:
        run_items(pack_panels_backward, &g, groups * g.panels * g.blocks, part, parts, 1, threads)


def conv2d(const real[:, :, :, :] x, const real[::1] weight, bias, real[:, :, :, :] y,
           Py_ssize_t R, Py_ssize_t S, stride, pad, dilation, Py_ssize_t groups,
           Py_ssize_t block, bint relu, bint planes, Py_ssize_t part, Py_ssize_t parts,
           int threads):
    """y = convolution of x; weight is packed, or plain (K, C, R, S) where `planes`."""
    cdef Convolution c
    cdef const real[::1] bias_view
    c.bias = NULL
    if bias is not None:
        bias_view = bias
        c.bias = &bias_view[0]
    c.N, c.groups = x.shape[0], groups
    c.C, c.K = x.shape[1] // groups, y.shape[1] // groups
    c.R, c.S, c.block, c.relu, c.taps_first = R, S, block, relu, False
    c.rows = window_axis(y.shape[2], x.shape[2], R, stride[0], pad[0], dilation[0])
    c.columns = window_axis(y.shape[3], x.shape[3], S, stride[1], pad[1], dilation[1])
    c.ws, c.wr, c.wc, c.wk = 1, S, R * S, c.C * R * S
    set_arrays(&c, x, weight, y)
    run_convolution(&c, planes, part, parts, threads)


def conv2d_backward_input(const real[:, :, :, :] dy, const real[::1] weight,
                          real[:, :, :, :] dx, Py_ssize_t R, Py_ssize_t S, stride, pad,
                          dilation, Py_ssize_t groups, Py_ssize_t block, bint planes,
                          Py_ssize_t part, Py_ssize_t parts, int threads):
    """dx = gradient of the input, phase by phase of the stride; weight as in `conv2d`."""
    cdef Convolution c
    cdef Py_ssize_t sh = stride[0]
    cdef Py_ssize_t sw = stride[1]
    cdef Py_ssize_t top = pad[0]
    cdef Py_ssize_t left = pad[1]
    cdef Py_ssize_t dh = dilation[0]
    cdef Py_ssize_t dw = dilation[1]
    cdef Py_ssize_t i, j
    cdef real* y
    c.bias = NULL
    c.N, c.groups = dx.shape[0], groups
    c.C, c.K = dy.shape[1] // groups, dx.shape[1] // groups
    c.R, c.S, c.block, c.relu, c.taps_first = R, S, block, False, True
    c.ws, c.wr, c.wk, c.wc = 1, S, R * S, c.K * R * S
    set_arrays(&c, dy, weight, dx)
    y = c.y
    for i in range(min(sh, dx.shape[2])):
        c.rows = phase_axis(i, dx.shape[2], dy.shape[2], R, sh, top, dh)
        for j in range(min(sw, dx.shape[3])):
            c.columns = phase_axis(j, dx.shape[3], dy.shape[3], S, sw, left, dw)
            c.y = y + i * (dx.strides[2] // <Py_ssize_t> sizeof(real)) \
                + j * (dx.strides[3] // <Py_ssize_t> sizeof(real))
            c.yh = dx.strides[2] // <Py_ssize_t> sizeof(real) * sh
            c.yw = dx.strides[3] // <Py_ssize_t> sizeof(real) * sw
            run_convolution(&c, planes, part, parts, threads)


cdef void set_arrays(Convolution* c, const real[:, :, :, :] x, const real[::1] weight,
                     real[:, :, :, :] y) noexcept:
    c.x, c.w, c.y = &x[0, 0, 0, 0], &weight[0], &y[0, 0, 0, 0]
    c.xn = x.strides[0] // <Py_ssize_t> sizeof(real)
    c.xc = x.strides[1] // <Py_ssize_t> sizeof(real)
    c.xh = x.strides[2] // <Py_ssize_t> sizeof(real)
    c.xw = x.strides[3] // <Py_ssize_t> sizeof(real)
    c.yn = y.strides[0] // <Py_ssize_t> sizeof(real)
    c.yk = y.strides[1] // <Py_ssize_t> sizeof(real)
    c.yh = y.strides[2] // <Py_ssize_t> sizeof(real)
    c.yw = y.strides[3] // <Py_ssize_t> sizeof(real)


cdef void run_convolution(Convolution* c, bint planes, Py_ssize_t part, Py_ssize_t parts,
                          int threads) noexcept:
    cdef Py_ssize_t items
    with nogil:
        if planes:
            c.row_blocks = (c.rows.outputs + 31) // 32
            items = c.N * c.groups * c.K * c.row_blocks
            run_items(convolve_planes, c, items, part, parts, 1, threads)
        else:
            items = count_items(c)
            run_items(convolve_items, c, items, part, parts, 1, threads)


def conv2d_backward_weight(const real[:, :, :, :] x, const real[:, :, :, :] dy,
                           real[::1] partial, real[:, :, :, ::1] dweight, stride, pad,
                           dilation, Py_ssize_t groups, Py_ssize_t sums, bint planes,
                           Py_ssize_t part, Py_ssize_t parts, int threads):
    """dweight = gradient of the weights through `sums` partial sums (none where `planes`).

    A part is a share of the pixels; after the last the partial sums are added and dweight is
    written.
    """
    cdef WeightGradient g
    cdef Py_ssize_t items
    g.x, g.dy = &x[0, 0, 0, 0], &dy[0, 0, 0, 0]
    g.dweight = &dweight[0, 0, 0, 0]
    g.N, g.groups = x.shape[0], groups
    g.C, g.K = x.shape[1] // groups, dy.shape[1] // groups
    g.rows = window_axis(dy.shape[2], x.shape[2], dweight.shape[2], stride[0], pad[0],
                         dilation[0])
    g.columns = window_axis(dy.shape[3], x.shape[3], dweight.shape[3], stride[1], pad[1],
                            dilation[1])
    g.xn = x.strides[0] // <Py_ssize_t> sizeof(real)
    g.xc = x.strides[1] // <Py_ssize_t> sizeof(real)
    g.xh = x.strides[2] // <Py_ssize_t> sizeof(real)
    g.xw = x.strides[3] // <Py_ssize_t> sizeof(real)
    g.yn = dy.strides[0] // <Py_ssize_t> sizeof(real)
    g.yk = dy.strides[1] // <Py_ssize_t> sizeof(real)
    g.yh = dy.strides[2] // <Py_ssize_t> sizeof(real)
    g.yw = dy.strides[3] // <Py_ssize_t> sizeof(real)
    g.panels = (g.K + LANES - 1) // LANES
    g.sums, g.part, g.parts = sums, part, parts
    g.channel_blocks = (g.C + 63) // 64
    if planes:
        items = dy.shape[1] * g.C * g.rows.taps * g.columns.taps
        with nogil:
            run_items(dot_planes, &g, items, part, parts, 1, threads)
        return
    g.partial = &partial[0]
    items = sums * groups * g.panels * g.channel_blocks
    with nogil:
        run_items(add_partial_sums, &g, items, 0, 1, 1, threads)
        if part == parts - 1:
            run_items(finish_weights, &g, dy.shape[1], 0, 1, 4, threads)


cdef struct Sums:
    const real* dy
    real* out
    Py_ssize_t N, K, P


cdef void sum_channels(void* args, Py_ssize_t begin, Py_ssize_t end) noexcept nogil:
    """Items are channels; a block of the sum is a run of 32 vectors."""
    cdef Sums* g = <Sums*> args
    cdef Py_ssize_t k, n, first, i
    cdef vreal total, acc
    cdef const real* plane
    for k in range(begin, end):
        total = vzero()
        for n in range(g.N):
            plane = g.dy + (n * g.K + k) * g.P
            for first from 0 <= first < g.P by 32 * VL:
                acc = vzero()
                for i from first <= i < min(first + 32 * VL, g.P) by VL:
                    acc = acc + vload_n(plane + i, g.P - i)
                total = total + acc
        g.out[k] = vsum(total)


def channel_sums(const real[:, :, ::1] dy, real[::1] out, int threads):
    """out[k] = sum of dy[n, k, p] over n and p: the gradient of a bias."""
    cdef Sums g
    g.N, g.K, g.P = dy.shape[0], dy.shape[1], dy.shape[2]
    g.dy, g.out = &dy[0, 0, 0], &out[0]
    with nogil:
        run_items(sum_channels, &g, g.K, 0, 1, 1, threads)


cdef Pooling pooling(Py_ssize_t H, Py_ssize_t W, Py_ssize_t OH, Py_ssize_t OW, kernel, stride,
                     pad, dilation):
    cdef Pooling g
    g.H, g.W = H, W
    g.rows = window_axis(OH, H, kernel[0], stride[0], pad[0], dilation[0])
    g.columns = window_axis(OW, W, kernel[1], stride[1], pad[1], dilation[1])
    g.argmax = NULL
    g.blocks = (OH + POOL_ROWS - 1) // POOL_ROWS
    return g


def max_pool2d(const real[:, :, ::1] x, real[:, :, ::1] y, argmax, kernel, stride, pad, dilation,
               Py_ssize_t part, Py_ssize_t parts, int threads):
    """Maxima of planes (P, H, W) into (P, OH, OW); argmax is None, uint8 or int32 like y."""
    cdef Pooling g = pooling(x.shape[1], x.shape[2], y.shape[1], y.shape[2], kernel, stride, pad,
                             dilation)
    cdef unsigned char[:, :, ::1] narrow
    cdef int[:, :, ::1] wide
    cdef task_t task = max_planes_alone
    g.x, g.y = &x[0, 0, 0], &y[0, 0, 0]
    if argmax is not None:
        if argmax.itemsize == 1:
            narrow = argmax
            g.argmax, task = &narrow[0, 0, 0], max_planes_uint8
        else:
            wide = argmax
            g.argmax, task = &wide[0, 0, 0], max_planes_int32
    with nogil:
        run_items(task, &g, x.shape[0] * g.blocks, part, parts, 1, threads)


def max_pool2d_backward(const real[:, :, ::1] dy, argmax, real[:, :, ::1] dx, kernel, stride, pad,
                        dilation, Py_ssize_t part, Py_ssize_t parts, int threads):
    """Gradients (P, OH, OW) to the taps that won; argmax as `max_pool2d` wrote it."""
    cdef Pooling g = pooling(dx.shape[1], dx.shape[2], dy.shape[1], dy.shape[2], kernel, stride,
                             pad, dilation)
    cdef const unsigned char[:, :, ::1] narrow
    cdef const int[:, :, ::1] wide
    cdef task_t task
    g.x, g.y = &dy[0, 0, 0], &dx[0, 0, 0]
    if argmax.itemsize == 1:
        narrow = argmax
        g.argmax, task = <void*> &narrow[0, 0, 0], max_backward_uint8
    else:
        wide = argmax
        g.argmax, task = <void*> &wide[0, 0, 0], max_backward_int32
    with nogil:
        run_items(task, &g, dx.shape[0], part, parts, 1, threads)


def scatter(const real[:, :, ::1] dy, const long long[:, :, ::1] indices, real[:, :, ::1] dx,
            Py_ssize_t part, Py_ssize_t parts, int threads):
    """dx (P, H, W) = gradients (P, OH, OW) added at flat positions; others are skipped."""
    cdef Pooling g = pooling(dx.shape[1], dx.shape[2], dy.shape[1], dy.shape[2], (1, 1), (1, 1),
                             (0, 0), (1, 1))
    g.x, g.y = &dy[0, 0, 0], &dx[0, 0, 0]
    g.argmax = <void*> &indices[0, 0, 0]
    with nogil:
        run_items(scatter_planes, &g, dx.shape[0], part, parts, 1, threads)


def avg_pool2d(const real[:, :, ::1] x, real[:, :, ::1] y, kernel, stride, pad,
               bint count_padding, Py_ssize_t part, Py_ssize_t parts, int threads):
    """Averages of planes; pad is ((top, bottom), (left, right))."""
    cdef Pooling g = pooling(x.shape[1], x.shape[2], y.shape[1], y.shape[2], kernel, stride,
                             (pad[0][0], pad[1][0]), (1, 1))
    (g.top, g.bottom), (g.left, g.right) = pad
    g.count_padding = count_padding
    g.x, g.y = &x[0, 0, 0], &y[0, 0, 0]
    with nogil:
        run_items(average_planes, &g, x.shape[0] * g.blocks, part, parts, 1, threads)


def avg_pool2d_backward(const real[:, :, ::1] dy, real[:, :, ::1] dx, kernel, stride, pad,
                        bint count_padding, Py_ssize_t part, Py_ssize_t parts, int threads):
    """Each gradient in equal shares to the taps of its window."""
    cdef Pooling g = pooling(dx.shape[1], dx.shape[2], dy.shape[1], dy.shape[2], kernel, stride,
                             (pad[0][0], pad[1][0]), (1, 1))
    (g.top, g.bottom), (g.left, g.right) = pad
    g.count_padding = count_padding
    g.x, g.y = &dy[0, 0, 0], &dx[0, 0, 0]
    with nogil:
        run_items(average_planes_backward, &g, dx.shape[0], part, parts, 1, threads)


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
    return g


def unfold(const real[:, :, :, :] x, real[::1] col, kernel, stride, pad, dilation,
           Py_ssize_t OH, Py_ssize_t OW, bint book, Py_ssize_t part, Py_ssize_t parts,
           int threads):
    """im2col: x (N, C, H, W) of any strides to col in the book's layout, or in planes."""
    cdef Unfolding g = unfolding(x, col, kernel, stride, pad, dilation, OH, OW)
    with nogil:
        if book:
            run_items(unfold_book, &g, g.N * OH, part, parts, 1, threads)
        else:
            run_items(unfold_planes, &g, g.N * g.C * g.rows.taps * g.columns.taps, part, parts,
                      1, threads)


def fold(const real[::1] col, real[:, :, :, ::1] dx, kernel, stride, pad, dilation,
         Py_ssize_t OH, Py_ssize_t OW, bint book, Py_ssize_t part, Py_ssize_t parts,
         int threads):
    """col2im: from the book's layout into dx; from planes, added to what dx holds."""
    cdef Unfolding g = unfolding(dx, col, kernel, stride, pad, dilation, OH, OW)
    with nogil:
        if book:
            run_items(fold_book, &g, g.N * g.H, part, parts, 1, threads)
        else:
            run_items(fold_planes, &g, g.N * g.C, part, parts, 1, threads)
