# The tile for the last panel where it has at most a vector of channels: a second vector would
# multiply zeros.

cdef extern from *:
    """
    enum { SLIM = TILE < 14 ? TILE : 16 };
    """
    enum: SLIM                             # there are registers for more pixels


cdef void slim_tile(int pixels, const real* x, Py_ssize_t step, const real* w,
                    const Nest* nest, vreal* total) noexcept nogil:
    """A tile of up to SLIM pixels by the first vector of a panel."""
    if SLIM >= 16 and pixels == 16:
        tile(16, 1, x, step, w, LANES, 0, VL, nest, total)
    elif SLIM >= 15 and pixels == 15:
        tile(15, 1, x, step, w, LANES, 0, VL, nest, total)
    elif TILE >= 14 and pixels == 14:
        tile(14, 1, x, step, w, LANES, 0, VL, nest, total)
    elif TILE >= 13 and pixels == 13:
        tile(13, 1, x, step, w, LANES, 0, VL, nest, total)
    elif TILE >= 12 and pixels == 12:
        tile(12, 1, x, step, w, LANES, 0, VL, nest, total)
    elif TILE >= 11 and pixels == 11:
        tile(11, 1, x, step, w, LANES, 0, VL, nest, total)
    elif TILE >= 10 and pixels == 10:
        tile(10, 1, x, step, w, LANES, 0, VL, nest, total)
    elif TILE >= 9 and pixels == 9:
        tile(9, 1, x, step, w, LANES, 0, VL, nest, total)
    elif TILE >= 8 and pixels == 8:
        tile(8, 1, x, step, w, LANES, 0, VL, nest, total)
    elif TILE >= 7 and pixels == 7:
        tile(7, 1, x, step, w, LANES, 0, VL, nest, total)
    elif pixels == 6:
        tile(6, 1, x, step, w, LANES, 0, VL, nest, total)
    elif pixels == 5:
        tile(5, 1, x, step, w, LANES, 0, VL, nest, total)
    elif pixels == 4:
        tile(4, 1, x, step, w, LANES, 0, VL, nest, total)
    elif pixels == 3:
        tile(3, 1, x, step, w, LANES, 0, VL, nest, total)
    elif pixels == 2:
        tile(2, 1, x, step, w, LANES, 0, VL, nest, total)
    else:
        tile(1, 1, x, step, w, LANES, 0, VL, nest, total)
