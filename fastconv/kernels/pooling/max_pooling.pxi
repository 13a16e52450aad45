# Maxima of windows, with the winner's tap where it is wanted.  The files included below have faster
# loops for many windows.

from libc.math cimport INFINITY

ctypedef fused argmax_t:
    unsigned char
    int

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


cdef inline void max_column(const Pooling* g, const real* x, Py_ssize_t r0, Py_ssize_t r1,
                            Py_ssize_t rows, Py_ssize_t count, real* y, argmax_t* argmax,
                            const bint wants_argmax) noexcept nogil:
    """Do up to VL windows in each of some rows.  All see the same taps; x is at tap (r0, 0)."""
    cdef Py_ssize_t i, r, s
    cdef const real* row
    cdef vreal best
    cdef vmask taken
    for i in range(rows):
        best, taken = vset1(<real> -INFINITY), vtap(<int> (r0 * g.columns.taps))
        for r in range(r0, r1):
            row = x + (r - r0) * g.rows.dilation * g.W
            for s in range(g.columns.taps):
                vcontest(&best, &taken, load_pixels(row + s * g.columns.dilation,
                                                    g.columns.stride, count),
                         <int> (r * g.columns.taps + s))
        if g.relu:
            taken = vpositive_tap(best, taken, <int> (g.rows.taps * g.columns.taps))
            best = vrelu(best)
        vstore_n(y, best, count)
        if wants_argmax:
            if argmax_t is int:
                vstore_ints(argmax, taken, count)
            else:
                vstore_bytes(argmax, taken, count)
            argmax = argmax + g.columns.outputs
        y = y + g.columns.outputs
        x = x + g.rows.stride * g.W


cdef inline void max_rows(const Pooling* g, const real* x, Py_ssize_t i, Py_ssize_t rows,
                          Py_ssize_t r0, Py_ssize_t r1, real* y, argmax_t* argmax,
                          const bint wants_argmax) noexcept nogil:
    """Do some rows of any windows.  Windows whose columns lie inside the map go in vectors; those
    at the sides go one by one, and so do all where a vector would be almost empty."""
    cdef Py_ssize_t j, k, count, where
    cdef Py_ssize_t step = g.columns.stride
    cdef Py_ssize_t last = g.last_column
    if last - g.first_column < (FEW_WINDOWS if step > 2 else 2):
        last = g.first_column              # a vector would be loaded lane by lane
    cdef real best
    cdef const real* row = x + (i * g.rows.stride + g.rows.offset + r0 * g.rows.dilation) * g.W \
        + g.columns.offset
    for j in range(g.columns.outputs):
        if g.first_column <= j < last:
            continue
        for k in range(rows):
            max_window(g, x, i + k, j, r0, r1, &best, &where)
            if g.relu and not best > 0:
                where = g.rows.taps * g.columns.taps
                best = best if is_nan(best) else 0
            y[k * g.columns.outputs + j] = best
            if wants_argmax:
                argmax[k * g.columns.outputs + j] = <argmax_t> where
    for j from g.first_column <= j < last by VL:
        count = min(<Py_ssize_t> VL, last - j)
        max_column(g, row + j * step, r0, r1, rows, count, y + j, argmax + j, wants_argmax)


cdef void max_planes(Pooling* g, argmax_t* argmax, const bint wants_argmax,
                     Py_ssize_t begin, Py_ssize_t end) noexcept nogil:
    cdef Py_ssize_t item, plane, i, bottom, rows, r0, r1, offset
    for item in range(begin, end):
        plane = item // g.blocks
        i = item % g.blocks * POOL_ROWS
        bottom = min(i + POOL_ROWS, g.rows.outputs)
        while i < bottom:
            rows = min(same_taps(&g.rows, i, bottom, &r0, &r1) - i, <Py_ssize_t> BAND)
            offset = (plane * g.rows.outputs + i) * g.columns.outputs
            max_rows(g, g.x + plane * g.H * g.W, i, rows, r0, r1, g.y + offset, argmax + offset,
                     wants_argmax)
            i += rows


cdef void max_again(const Pooling* g, Py_ssize_t plane, Py_ssize_t top,
                    Py_ssize_t bottom) noexcept nogil:
    """Do rows of a plane once more, tap by tap, so that a NaN wins.  Taps, if wanted, are bytes."""
    cdef Py_ssize_t i = top, rows, r0, r1, at
    cdef bint wants_argmax = g.argmax != NULL
    while i < bottom:
        rows = same_taps(&g.rows, i, bottom, &r0, &r1) - i
        at = (plane * g.rows.outputs + i) * g.columns.outputs
        max_rows(g, g.x + plane * g.H * g.W, i, rows, r0, r1, g.y + at,
                 <unsigned char*> g.argmax + (at if wants_argmax else 0), wants_argmax)
        i += rows


include "pooling/max_lines.pxi"
include "pooling/halves.pxi"
include "pooling/max_separable.pxi"


cdef void max_planes_uint8(void* args, Py_ssize_t begin, Py_ssize_t end) noexcept nogil:
    max_planes(<Pooling*> args, <unsigned char*> (<Pooling*> args).argmax, True, begin, end)


cdef void max_planes_int32(void* args, Py_ssize_t begin, Py_ssize_t end) noexcept nogil:
    max_planes(<Pooling*> args, <int*> (<Pooling*> args).argmax, True, begin, end)


cdef void max_planes_alone(void* args, Py_ssize_t begin, Py_ssize_t end) noexcept nogil:
    max_planes(<Pooling*> args, <unsigned char*> NULL, False, begin, end)
