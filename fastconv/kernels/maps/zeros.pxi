# Zeros around maps, or a part of maps without what is around it.
#
#     0 0 0 0 0 0      a plane of y is written from its begin to its end: between two rows of x, the
#     0 a b c d 0      zeros to the right of one and to the left of the next are one run
#     0 e f g h 0
#     0 0 0 0 0 0      whole vectors are written, and what they write too far is written again

cdef struct Framed:
    const real* x
    const real* last                       # behind the last number of x in memory
    real* y
    Py_ssize_t C, H, W, OH, OW, top, left
    Py_ssize_t xn, xc, xh, xw              # strides of x in elements


cdef inline void frame_row(const Framed* g, const real* x, real* to,
                           Py_ssize_t space) noexcept nogil:
    cdef Py_ssize_t i
    if g.xw == 1:
        copy_run(x, to, g.W, g.last - x, space)
    else:
        for i in range(g.W):
            to[i] = x[i * g.xw]


cdef void frame_planes(void* args, Py_ssize_t begin, Py_ssize_t end) noexcept nogil:
    """Items are planes (image, channel)."""
    cdef Framed g = (<const Framed*> args)[0]  # a copy of our own, which no store can change
    cdef Py_ssize_t item, i, first = g.top * g.OW + g.left, between = g.OW - g.W
    cdef const real* x
    cdef real* to = g.y + begin * g.OH * g.OW
    cdef real* behind = g.y + end * g.OH * g.OW
    for item in range(begin, end):
        x = g.x + item // g.C * g.xn + item % g.C * g.xc
        clear_run(to, first, behind - to)
        to += first
        for i in range(g.H):
            if i:
                clear_run(to, between, behind - to)
                to += between
            frame_row(&g, x + i * g.xh, to, behind - to)
            to += g.W
        i = g.y + (item + 1) * g.OH * g.OW - to
        clear_run(to, i, behind - to)
        to += i


def frame_maps(const real[:, :, :, :] x, real[:, :, :, ::1] y, Py_ssize_t top, Py_ssize_t left,
               Py_ssize_t part, Py_ssize_t parts, int threads):
    """y = x, of any strides, from row `top` and column `left` on, and zeros around it."""
    cdef Framed g
    cdef Py_ssize_t planes = x.shape[0] * x.shape[1]
    cdef Py_ssize_t steps[4]
    cdef int axis
    g.x = g.last = &x[0, 0, 0, 0]
    for axis in range(4):
        steps[axis] = x.strides[axis] // <Py_ssize_t> sizeof(real)
        g.last += max(<Py_ssize_t> 0, steps[axis] * (x.shape[axis] - 1))
    g.last += 1
    g.y, g.top, g.left = &y[0, 0, 0, 0], top, left
    g.C, g.H, g.W, g.OH, g.OW = x.shape[1], x.shape[2], x.shape[3], y.shape[2], y.shape[3]
    g.xn, g.xc, g.xh, g.xw = steps[0], steps[1], steps[2], steps[3]
    with nogil:
        run_items(frame_planes, &g, planes, part, parts, 1 + 4096 // (g.OH * g.OW), threads)
