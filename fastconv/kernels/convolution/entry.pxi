# Forward pass and gradient of the input, as Python calls them.  Which of the four ways to
# lay a convolution over the vector lanes is taken, the caller says.

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


def conv2d(const real[:, :, :, :] x, const real[::1] weight, bias, real[:, :, :, :] y,
           Py_ssize_t R, Py_ssize_t S, stride, pad, dilation, Py_ssize_t groups,
           Py_ssize_t block, bint relu, int engine, Py_ssize_t part, Py_ssize_t parts,
           int threads):
    """y = convolution of x; weight is packed for PANELS, else plain (K, C, R, S)."""
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
    set_arrays(&c, x, &weight[0], y)
    run_convolution(&c, engine, part, parts, threads)


def conv2d_backward_input(const real[:, :, :, :] dy, const real[::1] weight,
                          real[:, :, :, :] dx, Py_ssize_t R, Py_ssize_t S, stride, pad,
                          dilation, Py_ssize_t groups, Py_ssize_t block, int engine,
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
    cdef Spread spread
    cdef InputGradient whole
    cdef PixelStrips strips
    c.bias = NULL
    c.N, c.groups = dx.shape[0], groups
    c.C, c.K = dy.shape[1] // groups, dx.shape[1] // groups
    c.R, c.S, c.block, c.relu, c.taps_first = R, S, block, False, True
    c.ws, c.wr, c.wk, c.wc = 1, S, R * S, c.K * R * S
    set_arrays(&c, dy, &weight[0], dx)
    y = c.y
    spread.c = &c
    spread.rows = window_axis(dy.shape[2], dx.shape[2], R, sh, top, dh)
    spread.columns = window_axis(dy.shape[3], dx.shape[3], S, sw, left, dw)
    if engine == PLANES_ENGINE and spreads(&spread):
        spread.finite = all_finite(c.w, groups * c.K * R * S)
        with nogil:
            run_items(spread_planes, &spread, c.N * groups * c.K, part, parts,
                      few_items(dx.shape[2], dx.shape[3]), threads)
        return
    if engine == PANELS_ENGINE and sh == 1 and sw == 1:
        c.rows = phase_axis(0, dx.shape[2], dy.shape[2], R, 1, top, dh)
        c.columns = phase_axis(0, dx.shape[3], dy.shape[3], S, 1, left, dw)
        c.panels = (c.K + LANES - 1) // LANES
        if plan_pixels(&strips, &c):
            with nogil:
                run_items(pixel_strips, &strips, pixel_items(&strips), part, parts, 1, threads)
            return
    if engine == PANELS_ENGINE and plan_rows(&whole, &c, &spread.rows, &spread.columns):
        with nogil:
            run_items(input_rows, &whole, groups * c.panels * c.N * c.row_blocks, part, parts, 1,
                      threads)
        return
    for i in range(min(sh, dx.shape[2])):
        c.rows = phase_axis(i, dx.shape[2], dy.shape[2], R, sh, top, dh)
        for j in range(min(sw, dx.shape[3])):
            c.columns = phase_axis(j, dx.shape[3], dy.shape[3], S, sw, left, dw)
            c.y = y + i * (dx.strides[2] // <Py_ssize_t> sizeof(real)) \
                + j * (dx.strides[3] // <Py_ssize_t> sizeof(real))
            c.yh = dx.strides[2] // <Py_ssize_t> sizeof(real) * sh
            c.yw = dx.strides[3] // <Py_ssize_t> sizeof(real) * sw
            run_convolution(&c, engine, part, parts, threads)


def conv2d_backward_input_plain(const real[:, :, :, ::1] dy, const real[:, :, :, ::1] weight,
                                real[::1] work, slot, long long[::1] holds,
                                unsigned char[::1] broken, real[:, :, :, :] dx, pad, dilation,
                                Py_ssize_t groups, Py_ssize_t block, Py_ssize_t part,
                                Py_ssize_t parts, int threads):
    """As `conv2d_backward_input` of stride 1, by weights (K, C, R, S) as they lie.

    work has a `slot`, see `input_slot`, for each of holds, which are -1 before the first part;
    broken[n] becomes 1 where dx is not finite and has to be computed again.
    """
    cdef Convolution c
    cdef PixelPanels g
    cdef Py_ssize_t i
    c.bias = NULL
    c.N, c.groups = dx.shape[0], groups
    c.C, c.K = dy.shape[1] // groups, dx.shape[1] // groups
    c.R, c.S, c.block, c.relu, c.taps_first = weight.shape[2], weight.shape[3], block, False, True
    set_arrays(&c, dy, &weight[0, 0, 0, 0], dx)
    c.rows = phase_axis(0, dx.shape[2], dy.shape[2], c.R, 1, pad[0], dilation[0])
    c.columns = phase_axis(0, dx.shape[3], dy.shape[3], c.S, 1, pad[1], dilation[1])
    c.panels = (c.K + LANES - 1) // LANES
    g.strips.c = &c
    set_reach(&g.strips)
    g.images, g.strips.panels, g.slot = slot
    g.strips.panel_blocks = ceil_div(c.panels, g.strips.panels)
    g.plane = panel_plane(min(c.C, block))
    g.work, g.holds, g.broken = &work[0], &holds[0], &broken[0]
    for i in range(FC_SLOTS):
        g.slots[i] = 0
    with nogil:
        run_items(pixel_panels, &g, ceil_div(c.N, g.images) * groups * g.strips.panel_blocks, part,
                  parts, 1, threads)


cdef inline Py_ssize_t few_items(Py_ssize_t rows, Py_ssize_t columns) noexcept nogil:
    """Items of so many outputs that threads take at once."""
    return FEW_OUTPUTS // (rows * columns) + 1


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


cdef void run_convolution(Convolution* c, int engine, Py_ssize_t part, Py_ssize_t parts,
                          int threads) noexcept:
    cdef Py_ssize_t items
    cdef Depthwise depthwise
    cdef DepthBands bands
    cdef DepthColumns columns
    cdef Strips strips
    cdef Flat flat
    cdef Points points
    with nogil:
        if engine == PLANES_ENGINE:
            c.row_blocks = (c.rows.outputs + 31) // 32
            items = c.N * c.groups * c.K * c.row_blocks
            if BANDS and is_depthwise(c):
                columns = plan_columns(c)
                run_items(walk_task(c), &columns, items, part, parts,
                          few_items(min(c.rows.outputs, <Py_ssize_t> 32), c.columns.outputs),
                          threads)
            elif plan_bands(&bands, c):
                run_items(depth_bands, &bands, items, part, parts, 1, threads)
            elif is_depthwise(c):
                depthwise = plan_depthwise(c)
                run_items(depth_task(c), &depthwise, items, part, parts, 1, threads)
            else:
                run_items(convolve_planes, c, items, part, parts, 1, threads)
        elif engine == LINES_ENGINE:
            c.row_blocks = (c.rows.outputs + LINE_ROWS - 1) // LINE_ROWS
            c.panels = (c.K + TILE - 1) // TILE
            items = c.N * c.groups * c.panels * c.row_blocks
            run_items(convolve_lines, c, items, part, parts, 1, threads)
        elif plan_points(&points, c):
            c.panels = (c.K + LANES - 1) // LANES
            run_items(convolve_points, &points, point_items(&points), part, parts, 1, threads)
        elif engine == STRIPS_ENGINE and plan_strips(&strips, c):
            c.row_blocks = (c.rows.outputs + strips.rows - 1) // strips.rows
            c.panels = (c.K + LANES - 1) // LANES
            run_items(convolve_strips, &strips, c.N * c.groups * c.row_blocks * strips.column_blocks, part,
                      parts, 1, threads)
        else:
            items = count_items(c)
            if plan_flat(&flat, c):
                run_items(convolve_flat, &flat, flat_items(&flat), part, parts, 1, threads)
                return
            run_items(convolve_items, c, items, part, parts, 1, threads)
