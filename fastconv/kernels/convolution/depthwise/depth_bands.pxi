# Depthwise convolution from a band of the map that is laid out anew, with zeros for the padding.
# It is for any window except the usual ones, which depth_columns.pxi and depthwise.pxi do, with
# strides 1 and 2, and for the gradient of the input; with a stride each of its phases is such a
# convolution, whose outputs do not lie side by side.
#
#     the map                the band, whole vectors wide
#     x x x x x x x          0 0 0 0 0 0 0 0 0 0 ...       pixels are in the lanes; a tap is a
#     x x x x x x x    ->    0 x x x x x x x 0 0 ...       load that begins anywhere, and no
#     x x x x x x x          0 x x x x x x x 0 0 ...       lane of it has to be left out
#
# The zeros change no bit of a sum unless a weight is infinite or NaN; planes.pxi does these.
# The order of every sum is that of planes.pxi.

cdef extern from *:
    """
    enum { DEPTH_NUMBERS = (16 << 10) / sizeof(real),  /* of a band: half an L1 */
           DEPTH_MEMORY = DEPTH_NUMBERS / VL + 1,      /* vectors: the last may reach beyond */
           DEPTH_TAPS = 1024,
           DEPTH_VECTORS = 4,                          /* of a row of outputs, side by side */
           NO_MASKS = VL > 1 && VL * sizeof(real) <= 32 };
    """
    enum: DEPTH_NUMBERS
    enum: DEPTH_MEMORY
    enum: DEPTH_TAPS
    enum: DEPTH_VECTORS
    enum: NO_MASKS                         # whether a mask costs three operations

cdef struct DepthBands:
    const Convolution* c
    Py_ssize_t rows                        # rows of outputs that a band is for, at the most
    Py_ssize_t pitch                       # from one row of the band to the next
    Py_ssize_t low, left                   # the least row and column of a tap, from tap (0, 0)


cdef inline Py_ssize_t reach(const Axis* axis) noexcept nogil:
    """How far the last tap is from the first."""
    return (axis.taps - 1) * (axis.dilation if axis.dilation > 0 else -axis.dilation)


cdef bint plan_bands(DepthBands* plan, const Convolution* c) noexcept nogil:
    """Whether a band fits its buffer; if so, fill `plan`."""
    cdef const Axis* rows = &c.rows
    cdef const Axis* columns = &c.columns
    cdef Py_ssize_t step = columns.stride, seen
    if VL == 1 or not NO_MASKS and is_depthwise(c) or c.C != 1 or c.xw != 1 \
            or rows.taps == 0 or columns.taps == 0 \
            or rows.taps * columns.taps > DEPTH_TAPS or step > 2 or c.taps_first and step > 1 \
            or reach(rows) > DEPTH_NUMBERS or reach(columns) > DEPTH_NUMBERS \
            or columns.outputs > DEPTH_NUMBERS or rows.stride > DEPTH_NUMBERS:
        return False
    plan.c = c
    plan.low = min(<Py_ssize_t> 0, (rows.taps - 1) * rows.dilation)
    plan.left = min(<Py_ssize_t> 0, (columns.taps - 1) * columns.dilation)
    # as far as the last vector of a row reads, in whole vectors
    plan.pitch = ceil_div((ceil_div(columns.outputs, VL) * VL - 1) * step + reach(columns) + step,
                          VL) * VL + VL
    seen = DEPTH_NUMBERS // plan.pitch - reach(rows)
    plan.rows = (seen - 1) // rows.stride + 1 if seen > 0 else 0
    return plan.rows >= min(rows.outputs, <Py_ssize_t> 4)


cdef void lay_out_band(const DepthBands* plan, const real* x, Py_ssize_t top, Py_ssize_t count,
                       real* to) noexcept nogil:
    """Lay out `count` rows of a plane x from row `top` on, with zeros outside of the plane."""
    cdef const Convolution* c = plan.c
    cdef Py_ssize_t column = c.columns.offset + plan.left
    cdef Py_ssize_t first = clamp(-column, 0, plan.pitch)
    cdef Py_ssize_t last = clamp(c.columns.inputs - column, first, plan.pitch)
    cdef lanes_t few = lanes_between(0, last - first)
    cdef Py_ssize_t h, j
    cdef const real* row
    for h in range(top, top + count):
        if h < 0 or h >= c.rows.inputs:
            for j from 0 <= j < plan.pitch by VL:
                vstore(to + j, vzero())
            to = to + plan.pitch
            continue
        row = x + h * c.xh + column
        for j from 0 <= j < first by VL:
            vstore(to + j, vzero())
        if last - first < VL:
            vstore(to + first, vload_where(row + first, few))
            j = first + VL
        else:
            for j from first <= j <= last - VL by VL:
                vstore(to + j, vload(row + j))
            vstore(to + last - VL, vload(row + last - VL))
            j = last
        while j < plan.pitch:              # may write over the next row's beginning, laid out later
            vstore(to + j, vzero())
            j += VL
        to = to + plan.pitch


cdef inline vreal add_tap_of(const bint mirrored, vreal acc, vreal w, vreal pixels) noexcept nogil:
    """Add a product; in the gradient every tap is a sum of its own."""
    return acc + (vzero() + w * pixels) if mirrored else vmadd(acc, w, pixels)


cdef inline void add_line(const DepthBands* plan, const int step, const bint mirrored,
                          const int vectors, const bint first, const bint second,
                          const real* line, const real* weights, vreal* acc,
                          vreal* next_acc) noexcept nogil:
    """Add a row of the band to the sums of an output row, which meets it at the kernel row that
    `weights` begins with, and to those of a `second` one, which meets it at the row before."""
    cdef Py_ssize_t taps = plan.c.columns.taps, dilation = plan.c.columns.dilation, s
    cdef vreal pixels[DEPTH_VECTORS]
    cdef vreal w
    cdef int v
    for s in range(taps):
        for v in range(vectors):
            if step == 1:
                pixels[v] = vload(line + v * VL)
                if first and second:
                    pixels[v] = vheld(pixels[v])
            else:                          # the lanes are put in order after the last tap
                pixels[v] = vevens_dealt(vload(line + 2 * v * VL), vload(line + 2 * v * VL + VL))
        if first:
            w = vset1(weights[s])
            for v in range(vectors):
                acc[v] = add_tap_of(mirrored, acc[v], w, pixels[v])
        if second:
            w = vset1((weights - taps)[s])
            for v in range(vectors):
                next_acc[v] = add_tap_of(mirrored, next_acc[v], w, pixels[v])
        line = line + dilation


cdef inline void store_line(const DepthBands* plan, const int step, const int vectors, vreal* acc,
                            vreal bias, Py_ssize_t room, Py_ssize_t beyond, real* y) noexcept nogil:
    """Write some vectors of a row of outputs.  From them on the row has `room` outputs, and
    `beyond` numbers after its end may be written too."""
    cdef int v
    for v in range(vectors):
        if step == 2:
            acc[v] = vundealt(acc[v])
        acc[v] = (vzero() + acc[v]) + bias
        if plan.c.relu:
            acc[v] = vrelu(acc[v])
    if plan.c.yw != 1:
        for v in range(vectors):
            vstore_strided(y + v * VL * plan.c.yw, plan.c.yw, acc[v], room - v * VL)
        return
    for v in range(vectors - 1):
        vstore(y + v * VL, acc[v])
    v = vectors - 1
    vstore_n(y + v * VL, acc[v], VL if room + beyond >= vectors * VL else room - v * VL)


cdef inline void band_tile(const DepthBands* plan, const int step, const bint mirrored,
                           const int vectors, const real* band, const real* weights, vreal bias,
                           Py_ssize_t room, Py_ssize_t beyond, real* y) noexcept nogil:
    """Write some vectors of a row of outputs, as `store_line` does."""
    cdef const Axis* rows = &plan.c.rows
    cdef vreal acc[DEPTH_VECTORS]
    cdef Py_ssize_t r
    cdef int v
    for v in range(vectors):
        acc[v] = vzero()
    for r in range(rows.taps):
        add_line(plan, step, mirrored, vectors, True, False,
                 band + (r * rows.dilation - plan.low) * plan.pitch - plan.left,
                 weights + r * plan.c.columns.taps, acc, NULL)
    store_line(plan, step, vectors, acc, bias, room, beyond, y)


cdef inline void pair_tile(const DepthBands* plan, const bint mirrored, const int vectors,
                           const real* band, const real* weights, vreal bias, Py_ssize_t room,
                           Py_ssize_t beyond, real* y) noexcept nogil:
    """The same for two rows of outputs, for which rows of the band are loaded once.  The first to
    meet them is the upper one or, mirrored, the lower one."""
    cdef const Convolution* c = plan.c
    cdef vreal upper[DEPTH_VECTORS]
    cdef vreal lower[DEPTH_VECTORS]
    cdef vreal* acc = &lower[0] if mirrored else &upper[0]
    cdef vreal* next_acc = &upper[0] if mirrored else &lower[0]
    cdef Py_ssize_t r, taps = c.columns.taps, down = -plan.pitch if mirrored else plan.pitch
    cdef const real* line = band - plan.left + (c.rows.taps * plan.pitch if mirrored else 0)
    cdef int v
    for v in range(vectors):
        upper[v] = lower[v] = vzero()
    add_line(plan, 1, mirrored, vectors, True, False, line, weights, acc, next_acc)
    for r in range(1, c.rows.taps):
        line, weights = line + down, weights + taps
        add_line(plan, 1, mirrored, vectors, True, True, line, weights, acc, next_acc)
    add_line(plan, 1, mirrored, vectors, False, True, line + down, weights + taps, acc, next_acc)
    # the upper row ends where the lower one begins, of which a part is written
    store_line(plan, 1, vectors, upper, bias, room, 0, y)
    store_line(plan, 1, vectors, lower, bias, room, beyond, y + c.yh)


cdef inline void some_tile(const DepthBands* plan, const int step, const bint mirrored,
                           const int vectors, Py_ssize_t lines, const real* band,
                           const real* weights, vreal bias, Py_ssize_t room, Py_ssize_t beyond,
                           real* y) noexcept nogil:
    """The tile for one row of outputs or for two."""
    if step == 1 and lines == 2:
        pair_tile(plan, mirrored, vectors, band, weights, bias, room, beyond, y)
    else:
        band_tile(plan, step, mirrored, vectors, band, weights, bias, room, beyond, y)


cdef inline void band_rows(const DepthBands* plan, const int step, const bint mirrored,
                           const real* band, const real* weights, vreal bias, Py_ssize_t count,
                           real* y) noexcept nogil:
    """Write all outputs of `count` rows, two at a time where they share rows of the band."""
    cdef const Convolution* c = plan.c
    cdef Py_ssize_t OW = c.columns.outputs, i = 0, j, beyond, lines
    cdef bint pairs = step == 1 and c.rows.stride == 1 and (
        c.rows.dilation == (-1 if mirrored else 1))
    while i < count:
        lines = 2 if pairs and i + 1 < count else 1
        # rows that follow each other in y are written later, so a store may reach into them
        beyond = (count - lines - i) * OW if c.yh == OW else 0
        j = 0
        while OW - j > (DEPTH_VECTORS - 1) * VL:
            some_tile(plan, step, mirrored, DEPTH_VECTORS, lines, band + j * step, weights, bias,
                      OW - j, beyond, y + j * c.yw)
            j += DEPTH_VECTORS * VL
        while OW - j > VL:
            some_tile(plan, step, mirrored, 2, lines, band + j * step, weights, bias, OW - j,
                      beyond, y + j * c.yw)
            j += 2 * VL
        if OW > j:
            some_tile(plan, step, mirrored, 1, lines, band + j * step, weights, bias, OW - j,
                      beyond, y + j * c.yw)
        i += lines
        band = band + lines * c.rows.stride * plan.pitch
        y = y + lines * c.yh


cdef void depth_bands(void* args, Py_ssize_t begin, Py_ssize_t end) noexcept nogil:
    """Items as in convolve_planes: (image, group, filter, block of PLANE_ROWS rows)."""
    cdef const DepthBands* plan = <const DepthBands*> args
    cdef const Convolution* c = plan.c
    cdef vreal memory[DEPTH_MEMORY]
    cdef real* band = <real*> memory
    cdef real weights[DEPTH_TAPS]
    cdef Py_ssize_t filters = c.groups * c.K, rows = c.rows.taps, columns = c.columns.taps
    cdef Py_ssize_t item, plane, n, k, i, bottom, count, r, s
    cdef const real* x
    cdef const real* w
    cdef real* y
    cdef vreal bias
    for item in range(begin, end):
        plane = item // c.row_blocks
        n, k = plane // filters, plane % filters
        w = c.w + k * c.R * c.S
        for r in range(rows):
            for s in range(columns):
                weights[r * columns + s] = w[(c.rows.first + r * c.rows.every) * c.S
                                             + c.columns.first + s * c.columns.every]
        if not all_finite(weights, rows * columns):
            convolve_planes(<void*> c, item, item + 1)
            continue
        x = c.x + n * c.xn + k // c.K * c.xc
        y = c.y + n * c.yn + k * c.yk
        bias = vset1(c.bias[k] if c.bias != NULL else 0)
        i = item % c.row_blocks * PLANE_ROWS
        bottom = min(i + <Py_ssize_t> PLANE_ROWS, c.rows.outputs)
        while i < bottom:
            count = min(plan.rows, bottom - i)
            lay_out_band(plan, x, i * c.rows.stride + c.rows.offset + plan.low,
                         (count - 1) * c.rows.stride + reach(&c.rows) + 1, band)
            if c.taps_first:
                band_rows(plan, 1, True, band, weights, bias, count, y + i * c.yh)
            elif c.columns.stride == 1:
                band_rows(plan, 1, False, band, weights, bias, count, y + i * c.yh)
            else:
                band_rows(plan, 2, False, band, weights, bias, count, y + i * c.yh)
            i += count
