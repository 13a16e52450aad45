# One function for each width of a tile, and a table to find it in.
#
# A tile keeps its sums in registers only where its width is a constant, and GCC finds registers
# for all of them only where no other tile is compiled into the same function.  So a tile is a
# function of its own for each width:
#
#     ctypedef void (*some_tile_t)(const void*, ...) noexcept nogil
#     cdef void some_tile_of(const width* _, ...) noexcept nogil:
#         if sizeof(width) <= TILE:              # else the target has no such width
#             tile(<int> sizeof(width), ...)
#     cdef some_tile_t some_tiles[15]
#     some_tiles[:] = [NULL, <some_tile_t> some_tile_of[n1], ...]
#
# The first argument is never read: its type is the width.  It is passed as NULL.

cdef extern from "simd/widths.h":
    ctypedef struct n1 "fc_1":
        pass
    ctypedef struct n2 "fc_2":
        pass
    ctypedef struct n3 "fc_3":
        pass
    ctypedef struct n4 "fc_4":
        pass
    ctypedef struct n5 "fc_5":
        pass
    ctypedef struct n6 "fc_6":
        pass
    ctypedef struct n7 "fc_7":
        pass
    ctypedef struct n8 "fc_8":
        pass
    ctypedef struct n9 "fc_9":
        pass
    ctypedef struct n10 "fc_10":
        pass
    ctypedef struct n11 "fc_11":
        pass
    ctypedef struct n12 "fc_12":
        pass
    ctypedef struct n13 "fc_13":
        pass
    ctypedef struct n14 "fc_14":
        pass
    ctypedef struct n15 "fc_15":
        pass
    ctypedef struct n16 "fc_16":
        pass

cdef extern from *:
    """
    enum { SLIM = TILE < 8 ? 8 : TILE < 14 ? TILE : 16 };
    """
    enum: SLIM                             # pixels of a tile of one vector: registers hold more


ctypedef fused width:
    n1
    n2
    n3
    n4
    n5
    n6
    n7
    n8
    n9
    n10
    n11
    n12
    n13
    n14

ctypedef fused narrow_width:               # widths up to NARROW
    n1
    n2
    n3
    n4
    n5
    n6
    n7

ctypedef fused strip_width:                # vectors of a tile with pixels in the lanes
    n1
    n2
    n3

ctypedef fused slim_width:                 # widths up to SLIM
    n1
    n2
    n3
    n4
    n5
    n6
    n7
    n8
    n9
    n10
    n11
    n12
    n13
    n14
    n15
    n16
