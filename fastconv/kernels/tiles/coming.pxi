# What is needed soon, and is prefetched a few lines at a time between the steps of a tile.  A core
# has some sixteen lines on their way; if it is asked for more at one time, all that it loads waits.

cdef struct Coming:                        # rows of numbers that are needed soon
    const real* at                         # the next line to prefetch
    Py_ssize_t left                        # lines of its row that are left
    Py_ssize_t row, jump                   # lines of a row; from the last one to the next row
    Py_ssize_t rows                        # rows that are left, the one at `at` included
    Py_ssize_t lines                       # how many to prefetch at one time


cdef inline Coming nothing_comes() noexcept nogil:
    cdef Coming coming
    coming.at, coming.left, coming.row, coming.jump, coming.rows, coming.lines = NULL, 0, 0, 0, 0, 0
    return coming


cdef inline Coming comes(const real* rows, Py_ssize_t count, Py_ssize_t numbers, Py_ssize_t step,
                         Py_ssize_t times) noexcept nogil:
    """`count` rows of `numbers`, `step` apart, are to be prefetched in so many times."""
    cdef Coming coming
    coming.at, coming.rows = rows, count
    coming.row = coming.left = numbers // LINE + 1
    coming.jump = step - (coming.row - 1) * LINE
    coming.lines = ceil_div(count * coming.row, times)
    return coming


cdef inline void ask_for(Coming* coming) noexcept nogil:
    cdef Py_ssize_t i
    for i in range(coming.lines):
        vprefetch(coming.at)
        coming.left -= 1
        if coming.left:
            coming.at = coming.at + LINE
            continue
        coming.rows -= 1
        if coming.rows == 0:
            coming.lines = 0
            return
        coming.at, coming.left = coming.at + coming.jump, coming.row
