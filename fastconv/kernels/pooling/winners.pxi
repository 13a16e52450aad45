# The gradient of the maxima for windows of up to 256 taps that share at least half of their columns
# with the next one, and for 2x2 and 3x3 with stride 2 on narrow maps: each gradient is added to the
# tap that won, as in max_gradient.pxi, for MAPS_TOGETHER maps at a time.
#
#   maps      a chunk of windows        places in the maps          maps of dx
#     0     3 1 0 0 8 7 6 5 8 ...  ->  17 17 17 18 38 38 38 ...        +=
#     1     0 0 2 4 ...            ->   0  0  3  6 ...                 +=
#
# Neighbouring windows mostly have the same winner, and an addition to a number that was just stored
# waits for the store.  So additions to the maps take turns.  The places come from vectors of taps,
# ahead of them.

cdef extern from *:
    """
    enum { MAPS_TOGETHER = 8,
           WINNERS = 256,            /* windows of a chunk */
           SHORT_ROW = VL * sizeof(real) == 64 ? 0 : 4 * VL,
           SHORT_SIDE = 32767,       /* what `vtimes` multiplies */
           SMALL_MAP = INT_MAX / MAPS_TOGETHER };
    """
    enum: MAPS_TOGETHER
    enum: WINNERS
    enum: SHORT_ROW                        # columns of a map too narrow for gather.pxi
    enum: SHORT_SIDE
    enum: SMALL_MAP

cdef struct Winners:
    # of a chunk of windows: their first taps, the end of their rows inside the map, and of each map
    # where the winners are and what they get
    ireal rows[WINNERS]
    ireal ends[WINNERS]
    ireal columns[WINNERS]
    ireal places[MAPS_TOGETHER * WINNERS]
    real gradients[MAPS_TOGETHER * WINNERS]


cdef bint has_winners(const Pooling* g) noexcept nogil:
    """Whether `add_to_winners` knows this window and gains by it: vectors must be long, and maps
    narrow if gather.pxi knows the window too."""
    return VL >= 8 and g.rows.dilation == 1 and g.columns.dilation == 1 \
        and (g.columns.taps >= 2 * g.columns.stride or gathers_by_two(g) and g.W <= SHORT_ROW) \
        and g.H <= SHORT_SIDE and g.W <= SHORT_SIDE and g.H * g.W <= SMALL_MAP


cdef void place_windows(const Pooling* g, Py_ssize_t window, Py_ssize_t count,
                        Winners* to) noexcept nogil:
    """Note where the taps of some windows of a map begin and end."""
    cdef Py_ssize_t i = window // g.columns.outputs, j = window % g.columns.outputs, k = 0, stop
    cdef ireal row, end, column, step = <ireal> g.columns.stride
    while k < count:
        stop = min(count, k + g.columns.outputs - j)
        row = <ireal> (i * g.rows.stride + g.rows.offset)
        end = <ireal> clamp(row + g.rows.taps, 0, g.H)     # a tap beyond is none
        column = <ireal> (j * g.columns.stride + g.columns.offset)
        for k in range(k, stop):           # of a row of windows: whole vectors at one time
            to.rows[k], to.ends[k], to.columns[k] = row, end, column
            column += step
        i, j, k = i + 1, 0, stop


cdef inline void find_winners(const Pooling* g, const real* dy, const unsigned char* argmax,
                              const Py_ssize_t* bounds, Py_ssize_t count, Py_ssize_t map,
                              Winners* to) noexcept nogil:
    """Find the winners of a chunk in a map.  What has none inside the map gives +0 to its first
    element, which changes no bit: sums begin at +0, and so are never -0."""
    cdef int reciprocal = <int> (65536 // g.columns.taps + 1)
    cdef vmask taps, row, column, place
    cdef vreal gradient
    cdef Py_ssize_t k
    for k from 0 <= k < count by VL:
        taps = load_winners(argmax, k, lanes_between(0, count - k), bounds)
        row = vtap_rows(taps, reciprocal)
        column = taps - vtimes(row, <int> g.columns.taps) + vload_mask(to.columns + k)
        row = row + vload_mask(to.rows + k)
        place, gradient = vtimes(row, <int> g.W) + column, vload_n(dy + k, count - k)
        vdrop_outside(&place, &gradient, row, vload_mask(to.ends + k), column, <int> g.W)
        vstore_mask(to.places + map * WINNERS + k, place + vtap(<int> (map * g.H * g.W)))
        vstore(to.gradients + map * WINNERS + k, gradient)


cdef inline void add_in_turns(const int maps, const Winners* found, Py_ssize_t count,
                              real* dx) noexcept nogil:
    cdef Py_ssize_t k
    cdef int map
    dx = <real*> vanew(dx)                 # else GCC adds where the maps begin to every place
    for k in range(count):
        for map in range(maps):
            dx[found.places[map * WINNERS + k]] += found.gradients[map * WINNERS + k]


cdef void add_to_winners(void* args, Py_ssize_t begin, Py_ssize_t end) noexcept nogil:
    cdef const Pooling* g = <const Pooling*> args
    cdef Winners winners
    cdef Py_ssize_t outputs = g.rows.outputs * g.columns.outputs, size = g.H * g.W
    cdef Py_ssize_t item = begin, maps, map, window, count, at, placed = -1
    cdef const unsigned char* argmax
    cdef Py_ssize_t bounds[2]
    while item < end:
        maps = MAPS_TOGETHER if end - item >= MAPS_TOGETHER else 1
        memset(g.y + item * size, 0, maps * size * sizeof(real))
        for window from 0 <= window < outputs by WINNERS:
            count = min(outputs - window, <Py_ssize_t> WINNERS)
            if placed != window:
                place_windows(g, window, count, &winners)
                placed = window
            for map in range(maps):
                at = (item + map) * outputs + window
                argmax = <unsigned char*> g.argmax + at
                bounds[0], bounds[1] = -at, g.planes * outputs - at
                find_winners(g, g.x + at, argmax, bounds, count, map, &winners)
            if maps > 1:
                add_in_turns(MAPS_TOGETHER, &winners, count, g.y + item * size)
            else:
                add_in_turns(1, &winners, count, g.y + item * size)
        item += maps
