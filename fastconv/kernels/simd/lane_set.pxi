# Some lanes, made ready once for many rows.  Vectors of 64 bytes have masks in registers of their
# own; on AVX2 a mask is a vector.

cdef struct LaneSet:
    lanes_t bits
    vmask spread                           # the same lanes as a vector


cdef inline LaneSet lane_set(lanes_t lanes) noexcept nogil:
    cdef LaneSet made
    made.bits, made.spread = vkeep(lanes), vspread(lanes)
    return made


cdef inline vreal load_lanes(const real* p, const LaneSet* lanes) noexcept nogil:
    """The numbers of these lanes, zeros in the others; their memory is not touched."""
    return vload_masked(p, &lanes.spread) if VL * sizeof(real) == 32 \
        else vload_where(p, lanes.bits)
