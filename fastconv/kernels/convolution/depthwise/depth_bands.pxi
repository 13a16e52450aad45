# Depthwise convolution from a band of the map that is laid out anew, with zeros for the padding.
# It is for any window except those of depth_columns.pxi, with strides 1 and 2, and for the gradient
# of the input with stride 1.
#
#     the map                the band, whole vectors wide
#     x x x x x x x          0 0 0 0 0 0 0 0 0 0 ...       pixels are in the lanes; a tap is a
#     x x x x x x x    ->    0 x x x x x x x 0 0 ...       load that begins anywhere, and no
#     x x x x x x x          0 x x x x x x x 0 0 ...       lane of it has to be left out
#
# It is for targets without registers of masks, where leaving out lanes costs three operations.
# The zeros change no bit of a sum unless a weight is infinite or NaN; planes.pxi does these.
# The order of every sum is that of planes.pxi.

cdef extern from *:
    """
    enum { DEPTH_NUMBERS = (16 << 10) / sizeof(real),  /* of a band: half an L1 */
           DEPTH_MEMORY = DEPTH_NUMBERS / VL + 1,      /* vectors: the last may reach beyond */
           DEPTH_TAPS = 121,
           DEPTH_VECTORS = 4,                          /* of a row of outputs, side by side */
           BANDS = VL > 1 && VL * sizeof(real) <= 32 };
    """
    enum: DEPTH_NUMBERS
    enum: DEPTH_MEMORY
    enum: DEPTH_TAPS
    enum: DEPTH_VECTORS
    enum: BANDS

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
    if not BANDS or c.C != 1 or c.xw != 1 or c.yw != 1 or rows.taps == 0 or columns.taps == 0 \
            or rows.taps * columns.taps > DEPTH_TAPS or step > 2 or c.taps_first and step > 1 \
            or reach(rows) > DEPTH_NUMBERS or reach(columns) > DEPTH_NUMBERS \
            or columns.outputs > DEPTH_NUMBERS or rows.stride > DEPTH_NUMBERS \
            or rows.every != 1 or columns.every != 1:
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


cdef inline void band_tile(const DepthBands* plan, const int step, const bint mirrored,
                           const int vectors, const real* band, const real* weights, vreal bias,
                           Py_ssize_t room, Py_ssize_t beyond, real* y) noexcept nogil:
    """Write some vectors of a row of outputs.  From them on the row has `room` outputs, and
    `beyond` numbers after its end may be written too."""
    cdef const Axis* rows = &plan.c.rows
    cdef const Axis* columns = &plan.c.columns
    cdef vreal acc[DEPTH_VECTORS]
    cdef real tail[VL]
    cdef Py_ssize_t r, s, i, t = 0
    cdef const real* p
    cdef vreal w, low, high
    cdef int v
    for v in range(vectors):
        acc[v] = vzero()
    for r in range(rows.taps):
        p = band + (r * rows.dilation - plan.low) * plan.pitch - plan.left
        for s in range(columns.taps):
            w = vset1(weights[t])
            t += 1
            for v in range(vectors):
                if step == 1:
                    acc[v] = add_tap_of(mirrored, acc[v], w,
                                        vload(p + s * columns.dilation + v * VL))
                else:                      # the lanes are put in order after the last tap
                    low = vload(p + s * columns.dilation + 2 * v * VL)
                    high = vload(p + s * columns.dilation + 2 * v * VL + VL)
                    acc[v] = vmadd(acc[v], w, vevens_dealt(low, high))
    for v in range(vectors):
        if step == 2:
            acc[v] = vundealt(acc[v])
        acc[v] = (vzero() + acc[v]) + bias
        if plan.c.relu:
            acc[v] = vrelu(acc[v])
    for v in range(vectors - 1):
        vstore(y + v * VL, acc[v])
    y = y + (vectors - 1) * VL
    room -= (vectors - 1) * VL
    if room + beyond >= VL:
        vstore(y, acc[vectors - 1])
    else:
        vstore(tail, acc[vectors - 1])
        for i in range(room):
            y[i] = tail[i]


cdef inline void band_rows(const DepthBands* plan, const int step, const bint mirrored,
                           const real* band, const real* weights, vreal bias, Py_ssize_t count,
                           real* y) noexcept nogil:
    """Write all outputs of `count` rows."""
    cdef const Convolution* c = plan.c
    cdef Py_ssize_t OW = c.columns.outputs, i, j, beyond
    for i in range(count):
        # rows that follow each other in y are written later, so a store may reach into them
        beyond = (count - 1 - i) * OW if c.yh == OW else 0
        j = 0
        while OW - j > (DEPTH_VECTORS - 1) * VL:
            band_tile(plan, step, mirrored, DEPTH_VECTORS, band + j * step, weights,
                      bias, OW - j, beyond, y + j)
            j += DEPTH_VECTORS * VL
        while OW - j > VL:
            band_tile(plan, step, mirrored, 2, band + j * step, weights, bias, OW - j,
                      beyond, y + j)
            j += 2 * VL
        if OW > j:
            band_tile(plan, step, mirrored, 1, band + j * step, weights, bias, OW - j,
                      beyond, y + j)
        band = band + c.rows.stride * plan.pitch
        y = y + c.yh


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
                weights[r * columns + s] = w[(c.rows.first + r) * c.S + c.columns.first + s]
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
