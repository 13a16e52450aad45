# The forward pass and the gradient of the input, as Python calls them.  The caller says how the
# weights lie, and engines.pxi chooses the loop.
#
# Each function returns the place in `forward_engines`, or in `input_engines`, of the engine that
# ran.  With 0 parts nothing runs: the caller only asks which engine would.

def conv2d(const real[:, :, :, :] x, const real[::1] weight, bias, real[:, :, :, :] y,
           Py_ssize_t R, Py_ssize_t S, stride, pad, dilation, Py_ssize_t groups,
           Py_ssize_t block, bint relu, bint adds, bint packed, Py_ssize_t part,
           Py_ssize_t parts, int threads):
    """y = convolution of x.  weight is in panels where it is `packed`, else plain (K, C, R, S).

    If it `adds`, results are added to what y holds, before ReLU.  No engine for plain weights does
    that, and rows of y must follow each other.
    """
    cdef Convolution c
    cdef Work work
    cdef const real[::1] bias_view
    c.bias, c.threads = NULL, threads
    if bias is not None:
        bias_view = bias
        c.bias = &bias_view[0]
    c.N, c.groups = x.shape[0], groups
    c.C, c.K = x.shape[1] // groups, y.shape[1] // groups
    c.R, c.S, c.block, c.relu, c.adds, c.taps_first = R, S, block, relu, adds, False
    c.rows = window_axis(y.shape[2], x.shape[2], R, stride[0], pad[0], dilation[0])
    c.columns = window_axis(y.shape[3], x.shape[3], S, stride[1], pad[1], dilation[1])
    c.ws, c.wr, c.wc, c.wk = 1, S, R * S, c.C * R * S
    set_arrays(&c, x, &weight[0], y)
    work.c = &c
    return run_forward(&work, packed, part, parts, threads)


def conv2d_backward_input(const real[:, :, :, :] dy, const real[::1] weight,
                          real[:, :, :, :] dx, Py_ssize_t R, Py_ssize_t S, stride, pad,
                          dilation, Py_ssize_t groups, Py_ssize_t block, bint packed,
                          Py_ssize_t part, Py_ssize_t parts, int threads):
    """dx = gradient of the input; weight as in `conv2d`.

    If no engine of `input_table` may do it, each phase of the stride is a forward pass of dy.
    """
    cdef Convolution c
    cdef Work work
    cdef Py_ssize_t i, j
    cdef int engine
    cdef real* y
    c.bias, c.threads = NULL, threads
    c.N, c.groups = dx.shape[0], groups
    c.C, c.K = dy.shape[1] // groups, dx.shape[1] // groups
    c.R, c.S, c.block, c.relu, c.adds, c.taps_first = R, S, block, False, False, True
    c.ws, c.wr, c.wk, c.wc = 1, S, R * S, c.K * R * S
    c.panels = ceil_div(c.K, LANES)
    set_arrays(&c, dy, &weight[0], dx)
    work.c = &c
    work.rows = window_axis(dy.shape[2], dx.shape[2], R, stride[0], pad[0], dilation[0])
    work.columns = window_axis(dy.shape[3], dx.shape[3], S, stride[1], pad[1], dilation[1])
    with nogil:
        engine = choose(input_table, INPUT_ENGINES, packed, &work)
        if engine >= 0 and parts > 0:
            run_items(work.task, work.args, work.items, part, parts, work.grain, threads)
    if engine >= 0:
        return OWN_ENGINES + engine
    y, c.yh, c.yw = c.y, c.yh * work.rows.stride, c.yw * work.columns.stride
    for i in range(min(work.rows.stride, dx.shape[2]) if parts > 0 else 1):
        for j in range(min(work.columns.stride, dx.shape[3]) if parts > 0 else 1):
            set_phase(&work, i, j)
            c.y = y + i * (c.yh // work.rows.stride) + j * (c.yw // work.columns.stride)
            engine = run_forward(&work, packed, part, parts, threads)
    return OWN_ENGINES + INPUT_ENGINES + engine


def conv2d_backward_input_plain(const real[:, :, :, ::1] dy, const real[:, :, :, ::1] weight,
                                real[::1] work, slot, long long[::1] holds,
                                unsigned char[::1] broken, real[:, :, :, :] dx, pad, dilation,
                                Py_ssize_t groups, Py_ssize_t block, Py_ssize_t part,
                                Py_ssize_t parts, int threads):
    """As `conv2d_backward_input` with stride 1, from weights (K, C, R, S) as they lie.

    work has one slot for each number of holds; `slot` is what `input_slot` returned.  All holds are
    -1 before the first part.  broken[n] becomes 1 if dx of image n is not finite.  If there is such
    an image, the last part returns -1: then dx has to be computed again.
    """
    cdef Convolution c
    cdef PixelPanels g
    cdef Py_ssize_t i
    c.bias, c.threads = NULL, threads
    c.N, c.groups = dx.shape[0], groups
    c.C, c.K = dy.shape[1] // groups, dx.shape[1] // groups
    c.R, c.S, c.block, c.taps_first = weight.shape[2], weight.shape[3], block, True
    c.relu, c.adds = False, False
    set_arrays(&c, dy, &weight[0, 0, 0, 0], dx)
    c.rows = phase_axis(0, dx.shape[2], dy.shape[2], c.R, 1, pad[0], dilation[0])
    c.columns = phase_axis(0, dx.shape[3], dy.shape[3], c.S, 1, pad[1], dilation[1])
    c.panels = (c.K + LANES - 1) // LANES
    g.strips.c = &c
    set_reach(&g.strips)
    g.images, g.strips.panels, g.turned_panels, g.slot = slot
    g.strips.panel_blocks = ceil_div(c.panels, g.strips.panels)
    g.plane = panel_plane(min(c.C, block))
    g.work, g.holds, g.broken = &work[0], &holds[0], &broken[0]
    for i in range(FC_SLOTS):
        g.slots[i] = 0
    if parts == 0:
        return PIXEL_PANELS_ENGINE
    with nogil:
        run_items(pixel_panels, &g, ceil_div(c.N, g.images) * groups * g.strips.panel_blocks, part,
                  parts, 1, threads)
    if part + 1 == parts:
        for i in range(c.N):
            if broken[i]:
                return -1
    return PIXEL_PANELS_ENGINE


cdef void set_arrays(Convolution* c, const real[:, :, :, :] x, const real* weight,
                     real[:, :, :, :] y) noexcept:
    c.x, c.w, c.y = &x[0, 0, 0, 0], weight, &y[0, 0, 0, 0]
    c.xn = x.strides[0] // <Py_ssize_t> sizeof(real)
    c.xc = x.strides[1] // <Py_ssize_t> sizeof(real)
    c.xh = x.strides[2] // <Py_ssize_t> sizeof(real)
    c.xw = x.strides[3] // <Py_ssize_t> sizeof(real)
    c.yn = y.strides[0] // <Py_ssize_t> sizeof(real)
    c.yk = y.strides[1] // <Py_ssize_t> sizeof(real)
    c.yh = y.strides[2] // <Py_ssize_t> sizeof(real)
    c.yw = y.strides[3] // <Py_ssize_t> sizeof(real)
    c.x_end = NULL
    if c.xn >= 0 and c.xc >= 0 and c.xh >= 0 and c.xw >= 0:
        c.x_end = c.x + (x.shape[0] - 1) * c.xn + (x.shape[1] - 1) * c.xc \
            + (x.shape[2] - 1) * c.xh + (x.shape[3] - 1) * c.xw + 1


cdef int run_forward(Work* work, bint packed, Py_ssize_t part, Py_ssize_t parts,
                     int threads) noexcept:
    cdef int engine
    work.c.panels = ceil_div(work.c.K, LANES)
    with nogil:
        engine = choose(forward_table, FORWARD_ENGINES, packed, work)
        if parts > 0:
            run_items(work.task, work.args, work.items, part, parts, work.grain, threads)
    return engine
