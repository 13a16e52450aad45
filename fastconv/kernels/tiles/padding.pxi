# Whether any window sees padding.

cdef bint pads(const Axis* axis) noexcept nogil:
    """Whether an output of the axis misses a tap."""
    cdef Py_ssize_t f0, f1, l0, l1
    taps_inside(axis, 0, &f0, &l0)
    taps_inside(axis, axis.outputs - 1, &f1, &l1)
    return f0 > 0 or f1 > 0 or l0 < axis.taps or l1 < axis.taps
