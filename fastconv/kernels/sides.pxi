# Vectors of neighbouring outputs, and the pixels they see at each of S <= MOST_TAPS kernel
# columns; at the sides of the map some lanes see none.

cdef extern from *:
    """
    enum { MOST_TAPS = VL < 7 ? 7 : VL };
    """
    enum: MOST_TAPS

cdef struct Sides:
    # of a vector of outputs at the side of the map: the lanes that see a pixel at each kernel
    # column, and the lanes of the loads that fetch them
    lanes_t seen[MOST_TAPS]
    lanes_t loaded[MOST_TAPS + 1]


cdef inline void look_aside(Sides* at, const int S, const int step, const int sign,
                            Py_ssize_t column, Py_ssize_t inputs) noexcept nogil:
    """For the vector whose first window begins at `column` of a map that is `inputs` wide."""
    cdef Py_ssize_t first = -column, last = inputs - column
    cdef int s
    for s in range(S):
        at.seen[s] = lanes_between((first - sign * s + step - 1) // step if first > sign * s else 0,
                                   (last - sign * s + step - 1) // step if last > sign * s else 0)
        at.loaded[s] = at.seen[s]
        if step == 2 and s % 2 == 0:
            at.loaded[s] = lanes_between(first - s, last - s)
            at.loaded[s + 1] = lanes_between(first - s - VL, last - s - VL)
        elif step == 2:
            at.loaded[s] = lanes_between(first - s + 1 - VL, last - s + 1 - VL)


cdef inline void load_taps(const real* x, const int S, const int step, const int sign,
                           const bint inside, const Sides* at, vreal* taps) noexcept nogil:
    """The pixels of each kernel column, x those of column 0."""
    cdef int s
    cdef vreal a, b
    for s in range(S):
        if step == 1 and inside:
            taps[s] = vload(x + sign * s)
        elif step == 1:
            taps[s] = vload_where(x + sign * s, at.loaded[s])
        elif s % 2 == 0:
            if inside:
                a, b = vload(x + s), vload(x + s + VL)
            else:
                a, b = vload_where(x + s, at.loaded[s]), vload_where(x + s + VL, at.loaded[s + 1])
            taps[s] = vevens(a, b)
            if s + 1 < S:
                taps[s + 1] = vodds(a, b)
