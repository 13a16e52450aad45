# Convolution with pixels in the lanes, for groups with few filters (depthwise first of all):
# if output channels were in the lanes, most lanes would be empty.  The weights are read as they
# lie.  Sums have the order of convolution.pxi, so both give the same bits.

cdef extern from *:
    """
    enum { PLANE_ROWS = 32 };
    """
    enum: PLANE_ROWS                       # rows of outputs of an item, in all files of this folder

cdef inline void sum_pixels(const Convolution* c, const Region* at, const real* x,
                            const real* w, const int vectors, Py_ssize_t last,
                            vreal* total) noexcept nogil:
    """total[vectors] = the sums of some vectors of pixels; the last vector has `last` pixels."""
    cdef vreal acc[4]
    cdef vreal sums[4]
    cdef vreal weight
    cdef Py_ssize_t step = c.columns.stride * c.xw
    cdef Py_ssize_t channel, end, i, r, s
    cdef const real* xp
    cdef const real* wp
    cdef int v
    for v in range(vectors):
        sums[v] = vzero()
    for channel from 0 <= channel < c.C by c.block:
        end = min(channel + c.block, c.C)
        for v in range(vectors):
            acc[v] = vzero()
        if c.taps_first:
            for r in range(at.r0, at.r1):
                for s in range(at.s0, at.s1):
                    for v in range(vectors):
                        acc[v] = vzero()
                    for i in range(channel, end):
                        xp = x + i * c.xc + r * c.rows.dilation * c.xh + s * c.columns.dilation * c.xw
                        weight = vset1(w[i * c.wc + (c.rows.first + r * c.rows.every) * c.wr
                                         + (c.columns.first + s * c.columns.every) * c.ws])
                        for v in range(vectors):
                            acc[v] = vmadd(acc[v], weight, load_pixels(
                                xp + v * VL * step, step, last if v == vectors - 1 else VL))
                    for v in range(vectors):
                        sums[v] = sums[v] + acc[v]
        else:
            for i in range(channel, end):
                for r in range(at.r0, at.r1):
                    xp = x + i * c.xc + r * c.rows.dilation * c.xh \
                        + at.s0 * c.columns.dilation * c.xw
                    wp = w + i * c.wc + r * c.wr
                    for s in range(at.s0, at.s1):
                        weight = vset1(wp[s * c.ws])
                        for v in range(vectors):
                            acc[v] = vmadd(acc[v], weight, load_pixels(
                                xp + v * VL * step, step, last if v == vectors - 1 else VL))
                        xp = xp + c.columns.dilation * c.xw
            for v in range(vectors):
                sums[v] = sums[v] + acc[v]
    for v in range(vectors):
        total[v] = sums[v]


ctypedef fused run_width:
    n1
    n4

ctypedef void (*run_t)(const void*, const Convolution* c, const Region* at, const real* x,
                       const real* w, Py_ssize_t last, vreal* total) noexcept nogil


cdef void sum_pixels_of(const run_width* _, const Convolution* c, const Region* at, const real* x,
                        const real* w, Py_ssize_t last, vreal* total) noexcept nogil:
    sum_pixels(c, at, x, w, <int> sizeof(run_width), last, total)


cdef run_t runs[5]                         # by how many vectors, see widths.pxi
runs[:] = [NULL, <run_t> sum_pixels_of[n1], NULL, NULL, <run_t> sum_pixels_of[n4]]


cdef void convolve_row(const Convolution* c, const Region* at, const real* x, real* y,
                       const real* w, vreal bias) noexcept nogil:
    """Write the outputs at.left .. at.left + at.width of one row, which all see the same taps."""
    cdef vreal total[4]
    cdef Py_ssize_t step = c.columns.stride * c.xw
    cdef Py_ssize_t j = at.left
    cdef Py_ssize_t end = at.left + at.width
    cdef Py_ssize_t count
    cdef int vectors, v
    while j < end:
        if end - j >= 4 * VL:
            vectors, count = 4, VL
        else:
            vectors, count = 1, min(<Py_ssize_t> VL, end - j)
        runs[vectors](NULL, c, at, x + j * step, w, count, total)
        for v in range(vectors):
            total[v] = total[v] + bias
            if c.relu:
                total[v] = vrelu(total[v])
            if c.yw == 1:
                vstore_n(y + j + v * VL, total[v], count)
            else:
                vstore_strided(y + (j + v * VL) * c.yw, c.yw, total[v], count)
        j += vectors * VL


cdef void convolve_planes(void* args, Py_ssize_t begin, Py_ssize_t end) noexcept nogil:
    """Items are (image, group, filter, block of rows)."""
    cdef const Convolution* c = <const Convolution*> args
    cdef Region at
    cdef Py_ssize_t item, rest, n, k, group, top, i, right
    cdef const real* x
    cdef real* y
    cdef const real* w
    cdef vreal bias
    for item in range(begin, end):
        rest = item
        top = rest % c.row_blocks * PLANE_ROWS
        rest //= c.row_blocks
        k = rest % c.K
        rest //= c.K
        group = rest % c.groups
        n = rest // c.groups
        bias = vset1(c.bias[group * c.K + k] if c.bias != NULL else 0)
        w = c.w + (group * c.K + k) * c.wk if not c.taps_first \
            else c.w + group * c.C * c.wc + k * c.wk
        for i in range(top, min(top + <Py_ssize_t> PLANE_ROWS, c.rows.outputs)):
            taps_inside(&c.rows, i, &at.r0, &at.r1)
            x = c.x + n * c.xn + group * c.C * c.xc \
                + (i * c.rows.stride + c.rows.offset) * c.xh + c.columns.offset * c.xw
            y = c.y + n * c.yn + (group * c.K + k) * c.yk + i * c.yh
            at.left = 0
            while at.left < c.columns.outputs:
                right = same_taps(&c.columns, at.left, c.columns.outputs, &at.s0, &at.s1)
                at.width = right - at.left
                convolve_row(c, &at, x, y, w, bias)
                at.left = right
