# Windows of 1x1, one for each pixel, need only a transposition, in blocks of VL x VL.

cdef bint is_transposition(const Unfolding* g) noexcept nogil:
    return g.rows.taps * g.columns.taps == 1 and g.rows.stride * g.columns.stride == 1 \
        and g.rows.outputs == g.H and g.columns.outputs == g.W and g.rows.offset == 0 \
        and g.columns.offset == 0 and g.xh == g.W and g.xw == 1


cdef inline void transpose_block(const bint sums, const real* from_, Py_ssize_t step,
                                 Py_ssize_t rows, Py_ssize_t columns, real* to,
                                 Py_ssize_t to_step) noexcept nogil:
    """to[c][r] = from[r][c] for up to VL rows and columns; sums begin at +0."""
    cdef vreal block[VL]
    cdef int k
    if rows >= VL and columns >= VL:
        for k in range(VL):
            block[k] = vload(from_ + k * step)
        vtranspose(block)
        for k in range(VL):
            vstore(to + k * to_step, vzero() + block[k] if sums else block[k])
        return
    for k in range(VL):
        block[k] = vload_n(from_ + k * step, columns) if k < rows else vzero()
    vtranspose(block)
    for k in range(VL):
        if k < columns:
            vstore_n(to + k * to_step, vzero() + block[k] if sums else block[k], rows)


cdef void unfold_pixels(void* args, Py_ssize_t begin, Py_ssize_t end) noexcept nogil:
    """Items are (image, VL pixels)."""
    cdef const Unfolding* g = <const Unfolding*> args
    cdef Py_ssize_t item, p, c, pixels = g.H * g.W, pieces = (pixels + VL - 1) // VL
    cdef const real* x
    cdef real* col
    cdef int k
    for item in range(begin, end):
        p = item % pieces * VL
        x = g.x + item // pieces * g.xn + p
        col = g.col + (item // pieces * pixels + p) * g.C
        for c from 0 <= c < g.C by VL:
            for k in range(VL):            # prefetch for the next item: a line for each channel
                vprefetch(x + (c + k) * g.xc + VL)
            transpose_block(False, x + c * g.xc, g.xc, g.C - c, pixels - p, col + c, g.C)


cdef void fold_pixels(void* args, Py_ssize_t begin, Py_ssize_t end) noexcept nogil:
    """Items are (image, VL pixels)."""
    cdef const Unfolding* g = <const Unfolding*> args
    cdef Py_ssize_t item, p, c, pixels = g.H * g.W, pieces = (pixels + VL - 1) // VL
    cdef const real* col
    cdef real* x
    cdef int k
    for item in range(begin, end):
        p = item % pieces * VL
        x = <real*> g.x + item // pieces * g.xn + p
        col = g.col + (item // pieces * pixels + p) * g.C
        for c from 0 <= c < g.C by VL:
            for k in range(VL):
                vprefetch_write(x + (c + k) * g.xc + VL)
            transpose_block(True, col + c, g.C, pixels - p, g.C - c, x + c * g.xc, g.xc)
