# Where the pixels of a tile are, which lie a constant step apart.
#
#   pixel    0  1  2  3  4 | 5  6  7  8  9 | 10 11 12 13       An instruction adds 1, 2 or 4 steps
#   place    0             | 1             | 2                 to an address, or 3 that are known.
#
# So fourteen pixels take three places, the step and its triple: five registers.  One register for
# each pixel would be more than there are.  GCC keeps what it lacks room for in registers of vectors
# or masks, from which it comes back through a unit that multiply-adds keep busy; and what waits for
# it is late.  Six pixels take one place.

cdef extern from *:
    """
    enum { SPACED = TILE >= 12, PLACE_PIXELS = SPACED ? 5 : 16, TILE_PLACES = 4 };
    """
    enum: SPACED                           # whether a tile may take several places
    enum: PLACE_PIXELS                     # pixels of a place
    enum: TILE_PLACES                      # of a tile, at the most

cdef struct Pixels:
    Py_ssize_t step, triple                # from one pixel to the next, and to the third: bytes
    const real* places[TILE_PLACES]


cdef inline void space_pixels(Pixels* at, Py_ssize_t step) noexcept nogil:
    """Pixels are `step` numbers apart."""
    at.step = step * <Py_ssize_t> sizeof(real)
    at.triple = vapart_at(3 * at.step) if SPACED else 3 * at.step


cdef inline const real* place_at(const real* x) noexcept nogil:
    """A place that GCC does not take for another one and so many steps."""
    return vapart(x) if SPACED else x


cdef inline void begin_pixels(const int pixels, const real* x, Pixels* at) noexcept nogil:
    """Pixel 0 is at x."""
    cdef int i
    for i in range((pixels + PLACE_PIXELS - 1) // PLACE_PIXELS):
        at.places[i] = place_at(vbeyond(x, i * PLACE_PIXELS * at.step))


cdef inline void move_pixels(const int pixels, Py_ssize_t move, Pixels* at) noexcept nogil:
    """Move all pixels so many bytes."""
    cdef int i
    for i in range((pixels + PLACE_PIXELS - 1) // PLACE_PIXELS):
        at.places[i] = place_at(vbeyond(at.places[i], move))


cdef inline vreal pixel_at(const int p, const Pixels* at) noexcept nogil:
    """Pixel p, in all lanes."""
    return vset1(vbeyond(at.places[p // PLACE_PIXELS], at.triple if p % PLACE_PIXELS == 3
                         else p % PLACE_PIXELS * at.step)[0])
