# Winograd's forward transform of x with tiles in the lanes, where channels do not fill lines of the
# cache, or maps are wide (else winograd_lanes.pxi).

cdef extern from *:
    """
    enum { AHEAD = 6 };
    """
    enum: AHEAD                            # so many channels of x ahead are prefetched


cdef inline int run_vectors(const int m, const int edge) noexcept nogil:
    """Vectors that hold the inputs of VL tiles of a row: m, and those of the numbers after them."""
    return m + (edge - m + VL - 1) // VL


cdef inline void transform_run(const TiledMaps* maps, const int m, const int edge,
                               const bint inner, const real* x, Py_ssize_t i, Py_ssize_t j,
                               Py_ssize_t count, Py_ssize_t channels, Py_ssize_t length,
                               bint whole, real* v) noexcept nogil:
    """Write V[e][c][t] for up to VL tiles of a row, in all channels.  x is an image, (i, j) is the
    first input, v is at the first tile, and V has `length` tiles.

    The transform goes down first, on vectors of neighbouring columns.  Then the columns are dealt
    out by their place in a tile, which puts tiles in the lanes, and it goes across.  An `inner` run
    needs no masks.  Where `whole` vectors are written, they reach into the places of later tiles.
    """
    cdef vreal down[MOST_EDGE * MOST_EDGE]
    cdef vreal line[MOST_EDGE]
    cdef vreal out[MOST_EDGE]
    cdef lanes_t inside[MOST_EDGE]
    cdef Py_ssize_t plane = channels * length
    cdef Py_ssize_t c, first
    cdef int vectors = run_vectors(m, edge)
    cdef int r, q, e
    for q in range(vectors):
        first = j + q * VL
        inside[q] = lanes_between(-first, min(maps.W - first, m * count + edge - m - q * VL))
    x += i * maps.row + j
    for c in range(channels):
        for q in range(vectors):
            for r in range(edge - m, edge):  # the tiles above have prefetched the rows before
                vprefetch(x + AHEAD * maps.channel + r * maps.row + q * VL)
            for r in range(edge):
                if inner:
                    line[r] = vload(x + r * maps.row + q * VL)
                    continue
                line[r] = vzero()
                if 0 <= i + r < maps.H:
                    line[r] = vload_where(x + r * maps.row + q * VL, inside[q])
            input_line(edge, line, out)
            for r in range(edge):
                down[r * MOST_EDGE + q] = out[r]
        for r in range(edge):
            vdeal(m, edge, &down[r * MOST_EDGE], line)
            input_line(edge, line, out)
            for e in range(edge):
                if whole:
                    vstore(v + (r * edge + e) * plane, out[e])
                else:
                    vstore_n(v + (r * edge + e) * plane, out[e], count)
        x += maps.channel
        v += length


cdef inline bint is_inner(const TiledMaps* maps, const int m, const int edge, Py_ssize_t i,
                          Py_ssize_t j, Py_ssize_t count) noexcept nogil:
    """Whether a run sees no padding, and loads of whole vectors stay inside the channel."""
    cdef Py_ssize_t read = run_vectors(m, edge) * VL
    return i >= 0 and i + edge <= maps.H and j >= 0 and j + m * (count - 1) + edge <= maps.W \
        and maps.row > 0 and j + read <= maps.W + (maps.H - i - edge) * maps.row
