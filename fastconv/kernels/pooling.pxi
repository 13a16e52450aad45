# Max and average pooling over windows of R x S taps; items are planes (image, channel), forward
# cut into blocks of rows.
#
# A window sees only the taps inside the map: padding is minus infinity for the maximum and
# is no summand of the average.  The maximum is the first in row-major order, and NaN wins.

ctypedef fused argmax_t:
    unsigned char
    int

cdef extern from *:
    """
    enum { POOL_ROWS = 64 };
    """
    enum: POOL_ROWS

cdef struct Pooling:
    const real* x
    real* y
    void* argmax
    Py_ssize_t H, W
    Axis rows, columns
    Py_ssize_t top, left, bottom, right     # the padding that the average may count
    bint count_padding
    Py_ssize_t blocks                       # of POOL_ROWS rows of outputs


cdef inline bint is_nan(real a) noexcept nogil:
    return a != a


cdef inline void max_window(const Pooling* g, const real* x, Py_ssize_t i, Py_ssize_t j,
                            Py_ssize_t r0, Py_ssize_t r1, real* best,
                            Py_ssize_t* where) noexcept nogil:
    """One window, whose taps to the left and right may lie outside the map."""
    cdef Py_ssize_t r, s, s0, s1
    cdef const real* row
    cdef real value
    taps_inside(&g.columns, j, &s0, &s1)
    where[0] = r0 * g.columns.taps + s0
    best[0] = x[(i * g.rows.stride + g.rows.offset + r0 * g.rows.dilation) * g.W
                + j * g.columns.stride + g.columns.offset + s0 * g.columns.dilation]
    for r in range(r0, r1):
        row = x + (i * g.rows.stride + g.rows.offset + r * g.rows.dilation) * g.W \
            + j * g.columns.stride + g.columns.offset
        for s in range(s0, s1):
            value = row[s * g.columns.dilation]
            if value > best[0] or (is_nan(value) and not is_nan(best[0])):
                best[0] = value
                where[0] = r * g.columns.taps + s


cdef inline void max_row(const Pooling* g, const real* x, Py_ssize_t i, Py_ssize_t r0,
                         Py_ssize_t r1, real* y, argmax_t* argmax,
                         const bint wants_argmax) noexcept nogil:
    """One row of outputs: vectors of windows in the interior, single windows at the sides.

    In vectors the argmax is held as a number of type `real`, exact below 2**24.
    """
    cdef Py_ssize_t step = g.columns.stride
    cdef Py_ssize_t reach = (g.columns.taps - 1) * g.columns.dilation
    cdef Py_ssize_t first = clamp(ceil_div(-g.columns.offset, step), 0, g.columns.outputs)
    cdef Py_ssize_t last = clamp(
        floor_div(g.columns.inputs - 1 - g.columns.offset - reach, step) + 1,
        first, g.columns.outputs) if g.rows.taps * g.columns.taps < 1 << 24 else first
    cdef Py_ssize_t j, r, s, count, where
    cdef real best
    cdef real lanes[VL]
    cdef vreal top, value, taken, tap
    cdef const real* row
    cdef int lane
    for j in range(g.columns.outputs):
        if first <= j < last:
            continue
        max_window(g, x, i, j, r0, r1, &best, &where)
        y[j] = best
        if wants_argmax:
            argmax[j] = <argmax_t> where
    for j from first <= j < last by VL:
        count = min(<Py_ssize_t> VL, last - j)
        row = x + (i * g.rows.stride + g.rows.offset + r0 * g.rows.dilation) * g.W \
            + j * step + g.columns.offset
        top = load_pixels(row, step, count)
        taken = vset1(<real> (r0 * g.columns.taps))
        for r in range(r0, r1):
            for s in range(g.columns.taps):
                value = load_pixels(row + s * g.columns.dilation, step, count)
                if wants_argmax:
                    tap = vset1(<real> (r * g.columns.taps + s))
                    taken = vwinner(value, top, tap, taken)
                top = vwinner(value, top, value, top)
            row = row + g.rows.dilation * g.W
        vstore_n(y + j, top, count)
        if wants_argmax:
            vstore(lanes, taken)
            for lane in range(VL):
                if lane < count:
                    argmax[j + lane] = <argmax_t> lanes[lane]


cdef void max_planes(Pooling* g, argmax_t* argmax, const bint wants_argmax,
                     Py_ssize_t begin, Py_ssize_t end) noexcept nogil:
    cdef Py_ssize_t item, plane, top, i, r0, r1, offset
    for item in range(begin, end):
        plane = item // g.blocks
        top = item % g.blocks * POOL_ROWS
        for i in range(top, min(top + POOL_ROWS, g.rows.outputs)):
            taps_inside(&g.rows, i, &r0, &r1)
            offset = (plane * g.rows.outputs + i) * g.columns.outputs
            max_row(g, g.x + plane * g.H * g.W, i, r0, r1, g.y + offset, argmax + offset,
                    wants_argmax)


cdef void max_planes_uint8(void* args, Py_ssize_t begin, Py_ssize_t end) noexcept nogil:
    max_planes(<Pooling*> args, <unsigned char*> (<Pooling*> args).argmax, True, begin, end)


cdef void max_planes_int32(void* args, Py_ssize_t begin, Py_ssize_t end) noexcept nogil:
    max_planes(<Pooling*> args, <int*> (<Pooling*> args).argmax, True, begin, end)


cdef void max_planes_alone(void* args, Py_ssize_t begin, Py_ssize_t end) noexcept nogil:
    max_planes(<Pooling*> args, <unsigned char*> NULL, False, begin, end)


cdef void max_planes_backward(Pooling* g, const argmax_t* argmax, Py_ssize_t begin,
                              Py_ssize_t end) noexcept nogil:
    """Add each gradient (g.x) to the tap that won, in a plane of g.y that begins as zeros."""
    cdef Py_ssize_t item, i, j, r, s, tap
    cdef real* dx
    cdef const real* dy
    cdef const argmax_t* where
    for item in range(begin, end):
        dx = g.y + item * g.H * g.W
        memset(dx, 0, g.H * g.W * sizeof(real))
        for i in range(g.rows.outputs):
            dy = g.x + (item * g.rows.outputs + i) * g.columns.outputs
            where = argmax + (item * g.rows.outputs + i) * g.columns.outputs
            for j in range(g.columns.outputs):
                tap = where[j]
                r = i * g.rows.stride + g.rows.offset \
                    + tap // g.columns.taps * g.rows.dilation
                s = j * g.columns.stride + g.columns.offset \
                    + tap % g.columns.taps * g.columns.dilation
                if 0 <= r < g.H and 0 <= s < g.W:  # the argmax is only as good as its owner
                    dx[r * g.W + s] += dy[j]


cdef void max_backward_uint8(void* args, Py_ssize_t begin, Py_ssize_t end) noexcept nogil:
    max_planes_backward(<Pooling*> args, <unsigned char*> (<Pooling*> args).argmax, begin, end)


cdef void max_backward_int32(void* args, Py_ssize_t begin, Py_ssize_t end) noexcept nogil:
    max_planes_backward(<Pooling*> args, <int*> (<Pooling*> args).argmax, begin, end)


cdef void scatter_planes(void* args, Py_ssize_t begin, Py_ssize_t end) noexcept nogil:
    """Add each gradient to its flat position H * W, skipping positions outside the plane."""
    cdef Pooling* g = <Pooling*> args
    cdef Py_ssize_t outputs = g.rows.outputs * g.columns.outputs
    cdef Py_ssize_t item, i
    cdef long long position
    cdef real* dx
    for item in range(begin, end):
        dx = g.y + item * g.H * g.W
        memset(dx, 0, g.H * g.W * sizeof(real))
        for i in range(outputs):
            position = (<long long*> g.argmax)[item * outputs + i]
            if 0 <= position < g.H * g.W:
                dx[position] += g.x[item * outputs + i]


cdef inline Py_ssize_t counted(const Axis* axis, Py_ssize_t i, Py_ssize_t before,
                               Py_ssize_t after) noexcept nogil:
    """How many taps of window i lie inside the map and the padding that counts."""
    cdef Py_ssize_t base = i * axis.stride + axis.offset
    return clamp(axis.inputs + after - base, 0, axis.taps) - clamp(-before - base, 0, axis.taps)


cdef inline real window_size(const Pooling* g, Py_ssize_t i, Py_ssize_t j, Py_ssize_t r0,
                             Py_ssize_t r1) noexcept nogil:
    cdef Py_ssize_t s0, s1
    if g.count_padding:
        return <real> (counted(&g.rows, i, g.top, g.bottom)
                       * counted(&g.columns, j, g.left, g.right))
    taps_inside(&g.columns, j, &s0, &s1)
    return <real> ((r1 - r0) * (s1 - s0))


cdef void average_planes(void* args, Py_ssize_t begin, Py_ssize_t end) noexcept nogil:
    cdef Pooling* g = <Pooling*> args
    cdef Py_ssize_t item, plane, top, i, j, r, r0, r1, s, s0, s1, right, count
    cdef const real* row
    cdef real* y
    cdef vreal acc
    cdef Py_ssize_t step = g.columns.stride
    for item in range(begin, end):
        plane = item // g.blocks
        top = item % g.blocks * POOL_ROWS
        for i in range(top, min(top + POOL_ROWS, g.rows.outputs)):
            taps_inside(&g.rows, i, &r0, &r1)
            y = g.y + (plane * g.rows.outputs + i) * g.columns.outputs
            j = 0
            while j < g.columns.outputs:
                right = same_taps(&g.columns, j, g.columns.outputs, &s0, &s1)
                while j < right:
                    count = min(<Py_ssize_t> VL, right - j)
                    acc = vzero()
                    for r in range(r0, r1):
                        row = g.x + (plane * g.H + i * g.rows.stride + g.rows.offset + r) * g.W \
                            + j * step + g.columns.offset
                        for s in range(s0, s1):
                            acc = acc + load_pixels(row + s, step, count)
                    vstore_n(y + j, acc, count)
                    j += count
            for j in range(g.columns.outputs):
                y[j] = y[j] / window_size(g, i, j, r0, r1)


cdef void average_planes_backward(void* args, Py_ssize_t begin, Py_ssize_t end) noexcept nogil:
    cdef Pooling* g = <Pooling*> args
    cdef Py_ssize_t item, i, j, r, r0, r1, s, s0, s1
    cdef real* row
    cdef real share
    for item in range(begin, end):
        memset(g.y + item * g.H * g.W, 0, g.H * g.W * sizeof(real))
        for i in range(g.rows.outputs):
            taps_inside(&g.rows, i, &r0, &r1)
            for j in range(g.columns.outputs):
                taps_inside(&g.columns, j, &s0, &s1)
                share = g.x[(item * g.rows.outputs + i) * g.columns.outputs + j] \
                    / window_size(g, i, j, r0, r1)
                for r in range(r0, r1):
                    row = g.y + (item * g.H + i * g.rows.stride + g.rows.offset + r) * g.W \
                        + j * g.columns.stride + g.columns.offset
                    for s in range(s0, s1):
                        row[s] += share


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
