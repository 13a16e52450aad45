# Depthwise convolution of maps whose rows fit a vector: a row is loaded once, and its lanes are
# turned to the columns that each tap sees.  Where half a vector holds a row, the other half has
# the same row of the next map, with weights of its own.
#
#    stride 1    | a0 a1 a2 .. a6  - | b0 b1 b2 .. b6  - |    tap s: turned by s - padding
#    stride 2    | a0 a2 a4 ..       | b0 b2 b4 ..       |    even taps of one, odd of the other,
#                | a1 a3 a5 ..       | b1 b3 b5 ..       |    by half as many lanes
#
# Turning also brings in lanes of the other map and empty lanes.  They land in lanes that do not see
# the tap.  The sums are those of depthwise.pxi and planes_gradient.pxi.

cdef inline void narrow_band(const Convolution* c, const int S, const int step, const int sign,
                             const int rows, const int kind, const real* x, const real* other,
                             real* y, real* other_y, const vreal* w, vreal bias,
                             const Sides* at, const vmask* turns,
                             Py_ssize_t i) noexcept nogil:
    """Write `rows` rows of one map, or of two, from row i on."""
    cdef vreal acc[NARROW_ROWS]
    cdef Py_ssize_t h = i * step + c.rows.offset
    cdef lanes_t stored = lanes_between(0, c.columns.outputs)
    cdef int o
    depth_tile(c, S, step, sign, rows, False, kind, x + h * c.xh, other + h * c.xh, h, w, at, turns,
               acc)
    for o in range(rows):
        acc[o] = (vzero() + acc[o]) + bias
        if c.relu:
            acc[o] = vrelu(acc[o])
        vstore_where(y + (i + o) * c.yh, acc[o], stored)
        if kind == TWO_MAPS:
            vstore_where(other_y + (i + o) * c.yh - VL // 2, acc[o], stored << (VL // 2))


cdef inline void narrow_plane(const Depthwise* d, const int S, const int step, const int sign,
                              const int kind, Py_ssize_t plane) noexcept nogil:
    """Do a map, by its number among (image, group, filter).  With TWO_MAPS, an even map does the
    next one too, and an odd map does nothing."""
    cdef const Convolution* c = d.c
    cdef vreal w[25]
    cdef vmask turns[5]
    cdef Py_ssize_t filters = c.groups * c.K, outputs = c.rows.outputs, i = 0
    cdef Py_ssize_t n = plane // filters
    cdef Py_ssize_t n2 = n, k = plane - n * filters, k2 = k
    cdef lanes_t upper = lanes_between(VL // 2, VL)
    cdef const real* x
    cdef const real* x2
    cdef real* y
    cdef real* y2
    cdef vreal bias = vset1(c.bias[k] if c.bias != NULL else 0)
    cdef int t
    if kind == TWO_MAPS:
        if plane % 2 == 1:
            return
        k2 += 1
        if k2 == filters and n + 1 == c.N:
            k2 = k                         # there is no next map: do this one twice
        elif k2 == filters:
            n2, k2 = n + 1, 0
        if c.bias != NULL:
            bias = vpick(bias, vset1(c.bias[k2]), upper)
    for t in range(S * S):
        w[t] = vset1(c.w[k * S * S + t])
        if kind == TWO_MAPS:
            w[t] = vpick(w[t], vset1(c.w[k2 * S * S + t]), upper)
    for t in range(S):
        turns[t] = vturn(d.sides.turn[t])
    x = c.x + n * c.xn + (k if c.K == 1 else k // c.K) * c.xc
    x2 = c.x + n2 * c.xn + (k2 if c.K == 1 else k2 // c.K) * c.xc
    y, y2 = c.y + n * c.yn + k * c.yk, c.y + n2 * c.yn + k2 * c.yk
    if outputs % NARROW_ROWS == 0:
        for i from 0 <= i < outputs by NARROW_ROWS:
            narrow_band(c, S, step, sign, NARROW_ROWS, kind, x, x2, y, y2, w, bias, &d.sides,
                        turns, i)
        return
    while i < outputs:
        if outputs - i < DEPTH_ROWS <= outputs:
            i = outputs - DEPTH_ROWS       # the last band does some rows once more
        if outputs - i >= DEPTH_ROWS:
            narrow_band(c, S, step, sign, DEPTH_ROWS, kind, x, x2, y, y2, w, bias, &d.sides,
                        turns, i)
            i += DEPTH_ROWS
        else:
            narrow_band(c, S, step, sign, 1, kind, x, x2, y, y2, w, bias, &d.sides, turns, i)
            i += 1
