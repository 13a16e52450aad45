# Depthwise convolution with the usual windows: 3x3 and 5x5, strides 1 and 2, one channel a
# group.  Pixels are in the lanes, the weights of all taps in registers.
#
#   source rows      q = 0  1  2  3  4  5        A tile is ROWS rows by one vector of outputs.
#                        |\ |\ |\ |  |  |        Each source row is loaded once, shifted by
#   output rows          0  1  2  3              every column of the kernel, and added to all
#                                                output rows that see it; one outside the map
#                                                is skipped.
#
# In the first and last vectors of a row some lanes lie outside the map for some taps: these
# lanes are left out of the multiply-add, so that a padded zero never meets an infinite weight.
# The gradient of the input for stride 1 is the same walk, mirrored: the source rows downward.
# The order of every sum is that of planes.pxi.

cdef extern from *:
    """
    enum { DEPTH_ROWS = 4, FLAT = 4 };
    """
    enum: DEPTH_ROWS
    enum: FLAT                             # vectors of a plane that is done as one row

cdef struct Depthwise:
    const Convolution* c
    Py_ssize_t lead                        # of the window's left end before column 0
    lanes_t flat[FLAT * 25]                # [vector][tap] of a small plane, see flat_plane


cdef inline void depth_tile(const Convolution* c, const int S, const int step, const int sign,
                            const int rows, const bint inside, const real* x, Py_ssize_t h,
                            const vreal* w, const Sides* at, vreal* acc) noexcept nogil:
    """acc[rows] = the sums of a tile; x at column 0 of the first window, of map row h."""
    cdef vreal taps[5]
    cdef vreal product
    cdef int q, o, r, s, k
    for o in range(rows):
        acc[o] = vzero()
    for k in range((rows - 1) * step + S):
        # mirrored, output o and source row q = o - r: downward, so that taps ascend
        q = k if sign == 1 else rows - 1 - k
        if h + q < 0 or h + q >= c.rows.inputs:
            continue
        load_taps(x + q * c.xh, S, step, sign, inside, at, taps)
        for o in range(rows):
            r = q - o * step if sign == 1 else o - q
            if r < 0 or r >= S:
                continue
            for s in range(S):
                if sign == 1 and inside:
                    acc[o] = vmadd(acc[o], w[r * S + s], taps[s])
                elif sign == 1:
                    acc[o] = vmadd_where(acc[o], w[r * S + s], taps[s], at.seen[s])
                else:  # every tap is a sum of its own
                    product = vzero() + w[r * S + s] * taps[s]
                    if inside:
                        acc[o] = acc[o] + product
                    else:
                        acc[o] = vadd_where(acc[o], product, at.seen[s])


cdef inline void depth_band(const Convolution* c, const int S, const int step, const int sign,
                            const int rows, const real* x, real* y, const vreal* w, vreal bias,
                            const Sides* sides, Py_ssize_t i) noexcept nogil:
    """`rows` rows of one plane from row i, vector by vector."""
    cdef vreal acc[DEPTH_ROWS]
    cdef Sides other
    cdef const Sides* at = &other
    cdef Py_ssize_t h = i * step + c.rows.offset
    cdef Py_ssize_t outputs = c.columns.outputs
    cdef Py_ssize_t j, column, low
    cdef int o
    for j from 0 <= j < outputs by VL:
        column = j * step + c.columns.offset
        low = column - (S - 1 if sign == -1 else 0)
        if low >= 0 and low + VL * step + S - 1 <= c.columns.inputs and j + VL <= outputs:
            depth_tile(c, S, step, sign, rows, True, x + h * c.xh + column, h, w, at, acc)
        else:
            if j == 0:
                at = &sides[0]
            elif j + VL >= outputs:
                at = &sides[1]
            else:
                look_aside(&other, S, step, sign, column, c.columns.inputs)
                at = &other
            depth_tile(c, S, step, sign, rows, False, x + h * c.xh + column, h, w, at, acc)
        for o in range(rows):
            acc[o] = (vzero() + acc[o]) + bias
            if c.relu:
                acc[o] = vrelu(acc[o])
            vstore_n(y + (i + o) * c.yh + j, acc[o], outputs - j)


cdef inline void depth_rows(const Convolution* c, const int S, const int step, const int sign,
                            const real* x, real* y, const real* weight, vreal bias,
                            Py_ssize_t top, Py_ssize_t bottom) noexcept nogil:
    """Rows top <= i < bottom of one plane."""
    cdef vreal w[25]
    cdef Sides sides[2]                    # of the first and of the last vector of a row
    cdef Py_ssize_t i = top
    cdef Py_ssize_t last = (c.columns.outputs - 1) // VL * VL
    cdef int t
    look_aside(&sides[0], S, step, sign, c.columns.offset, c.columns.inputs)
    look_aside(&sides[1], S, step, sign, last * step + c.columns.offset, c.columns.inputs)
    for t in range(S * S):
        w[t] = vset1(weight[t])
    while i < bottom:
        if bottom - i < DEPTH_ROWS <= bottom - top:
            i = bottom - DEPTH_ROWS        # some rows once more
        if bottom - i >= DEPTH_ROWS:
            depth_band(c, S, step, sign, DEPTH_ROWS, x, y, w, bias, sides, i)
            i += DEPTH_ROWS
        else:
            depth_band(c, S, step, sign, 1, x, y, w, bias, sides, i)
            i += 1


cdef inline void flat_plane(const Depthwise* d, const int S, const int sign, const real* x,
                            real* y, const real* weight, vreal bias) noexcept nogil:
    """A plane of at most FLAT vectors whose outputs lie as its inputs: a single row of pixels.

    Tap (r, s) of pixel p is pixel p + (r W + s) * sign - lead, in the lanes that it lies in the
    map for: `flat` knows.
    """
    cdef const Convolution* c = d.c
    cdef Py_ssize_t W = c.columns.inputs
    cdef Py_ssize_t size = c.rows.inputs * W
    cdef vreal acc[FLAT]
    cdef vreal w, a
    cdef lanes_t seen
    cdef int v, r, s
    for v in range(FLAT):
        acc[v] = vzero()
    for r in range(S):
        for s in range(S):
            w = vset1(weight[r * S + s])
            for v in range(FLAT):
                seen = d.flat[v * S * S + r * S + s]
                a = vload_where(x + v * VL + (r * W + s) * sign - d.lead, seen)
                if sign == 1:
                    acc[v] = vmadd_where(acc[v], w, a, seen)
                else:
                    acc[v] = vadd_where(acc[v], vzero() + w * a, seen)
    for v in range(FLAT):
        acc[v] = (vzero() + acc[v]) + bias
        if c.relu:
            acc[v] = vrelu(acc[v])
        vstore_where(y + v * VL, acc[v], lanes_between(0, size - v * VL))


cdef void depth_planes(void* args, Py_ssize_t begin, Py_ssize_t end) noexcept nogil:
    """Items as in convolve_planes: (image, group, filter, block of 32 rows)."""
    cdef const Depthwise* d = <const Depthwise*> args
    cdef const Convolution* c = d.c
    cdef Py_ssize_t item, rest, n, k, group, top, bottom
    cdef Py_ssize_t S = c.columns.taps
    cdef Py_ssize_t step = c.columns.stride
    cdef bint mirrored = c.taps_first
    cdef const real* x
    cdef real* y
    cdef const real* w
    cdef vreal bias
    for item in range(begin, end):
        top = item % c.row_blocks * 32
        rest = item // c.row_blocks
        k = rest % c.K
        rest //= c.K
        group = rest % c.groups
        n = rest // c.groups
        bottom = min(top + 32, c.rows.outputs)
        bias = vset1(c.bias[group * c.K + k] if c.bias != NULL else 0)
        w = c.w + (group * c.K + k) * S * S
        x = c.x + n * c.xn + group * c.xc
        y = c.y + n * c.yn + (group * c.K + k) * c.yk
        if d.lead:
            if mirrored and S == 3:
                flat_plane(d, 3, -1, x, y, w, bias)
            elif mirrored:
                flat_plane(d, 5, -1, x, y, w, bias)
            elif S == 3:
                flat_plane(d, 3, 1, x, y, w, bias)
            else:
                flat_plane(d, 5, 1, x, y, w, bias)
        elif S == 3 and mirrored:
            depth_rows(c, 3, 1, -1, x, y, w, bias, top, bottom)
        elif S == 5 and mirrored:
            depth_rows(c, 5, 1, -1, x, y, w, bias, top, bottom)
        elif S == 3 and step == 1:
            depth_rows(c, 3, 1, 1, x, y, w, bias, top, bottom)
        elif S == 3:
            depth_rows(c, 3, 2, 1, x, y, w, bias, top, bottom)
        elif step == 1:
            depth_rows(c, 5, 1, 1, x, y, w, bias, top, bottom)
        else:
            depth_rows(c, 5, 2, 1, x, y, w, bias, top, bottom)


cdef void plan_flat(Depthwise* d) noexcept nogil:
    """Whether planes are done as one row of pixels (lead is not 0), and which lanes see what."""
    cdef const Convolution* c = d.c
    cdef Py_ssize_t W = c.columns.inputs
    cdef Py_ssize_t H = c.rows.inputs
    cdef Py_ssize_t S = c.columns.taps
    cdef Py_ssize_t sign = c.columns.dilation
    cdef Py_ssize_t p, r, s, i, j
    cdef int v, lane
    d.lead = 0
    if c.columns.stride != 1 or c.columns.outputs != W or c.rows.outputs != H \
            or H * W > FLAT * VL or H > 32 or W >= VL or c.xh != W or c.yh != W:
        return
    d.lead = -(c.rows.offset * W + c.columns.offset)
    for v in range(FLAT):
        for r in range(S):
            for s in range(S):
                d.flat[(v * S + r) * S + s] = 0
                for lane in range(VL):
                    p = v * VL + lane
                    i = p // W + c.rows.offset + r * sign
                    j = p % W + c.columns.offset + s * sign
                    if p < H * W and 0 <= i < H and 0 <= j < W:
                        d.flat[(v * S + r) * S + s] |= <lanes_t> 1 << lane


cdef bint is_depthwise(const Convolution* c) noexcept nogil:
    """Whether `depth_planes` knows this convolution."""
    cdef Py_ssize_t S = c.columns.taps
    cdef Py_ssize_t step = c.columns.stride
    cdef int sign = -1 if c.taps_first else 1
    return c.C == 1 and (S == 3 or S == 5) and c.rows.taps == S and c.R == S and c.S == S \
        and c.rows.stride == step and (step == 1 or (step == 2 and sign == 1)) \
        and c.rows.dilation == sign and c.columns.dilation == sign \
        and c.rows.every == 1 and c.columns.every == 1 and c.xw == 1 and c.yw == 1
