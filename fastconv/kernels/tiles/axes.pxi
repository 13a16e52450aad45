# One axis of a sliding window, and the arithmetic that says which taps fall inside the map.

cdef extern from *:
    """
    enum { BAND = 8 };
    """
    enum: BAND                             # rows that are walked together, vector by vector

cdef struct Axis:
    # output position i and tap t meet at input position i * stride + offset + t * dilation
    Py_ssize_t outputs, inputs, taps
    Py_ssize_t stride, offset, dilation
    Py_ssize_t first, every    # tap t has the weights of kernel row first + t * every


cdef inline Py_ssize_t ceil_div(Py_ssize_t a, Py_ssize_t b) noexcept nogil:
    """a / b rounded up, b > 0 (C rounds towards zero)."""
    return a // b + (a % b > 0)


cdef inline Py_ssize_t floor_div(Py_ssize_t a, Py_ssize_t b) noexcept nogil:
    return a // b - (a % b < 0)


cdef inline Py_ssize_t clamp(Py_ssize_t a, Py_ssize_t low, Py_ssize_t high) noexcept nogil:
    return low if a < low else high if a > high else a


cdef inline Py_ssize_t shared_blocks(Py_ssize_t blocks, Py_ssize_t most, Py_ssize_t times,
                                     int threads, Py_ssize_t enough) noexcept nogil:
    """How many blocks to cut something into, each of which makes `times` items: at least `blocks`,
    at most `most`, and where threads have fewer than `enough` items each, as many blocks as give
    them all the same number."""
    cdef Py_ssize_t even
    if times * blocks >= enough * threads:
        return blocks
    for even in range(blocks, min(most, blocks + threads - 1) + 1):
        if times * even % threads == 0:
            return even
    return blocks


cdef inline void taps_inside(const Axis* axis, Py_ssize_t i, Py_ssize_t* first,
                             Py_ssize_t* last) noexcept nogil:
    """The taps [first, last) of output position i that lie inside the map."""
    cdef Py_ssize_t base = i * axis.stride + axis.offset
    cdef Py_ssize_t d = axis.dilation
    if d == 1:  # without the divisions
        first[0] = clamp(-base, 0, axis.taps)
        last[0] = clamp(axis.inputs - base, first[0], axis.taps)
    elif d > 0:
        first[0] = clamp(ceil_div(-base, d), 0, axis.taps)
        last[0] = clamp(floor_div(axis.inputs - 1 - base, d) + 1, first[0], axis.taps)
    else:
        first[0] = clamp(ceil_div(base - axis.inputs + 1, -d), 0, axis.taps)
        last[0] = clamp(floor_div(base, -d) + 1, first[0], axis.taps)


cdef inline Py_ssize_t same_taps(const Axis* axis, Py_ssize_t i, Py_ssize_t end,
                                 Py_ssize_t* first, Py_ssize_t* last) noexcept nogil:
    """The end, at most `end`, of the run of output positions from i on that see the same taps."""
    cdef Py_ssize_t reach = (axis.taps - 1) * axis.dilation
    cdef Py_ssize_t f, l, interior
    taps_inside(axis, i, first, last)
    if first[0] == 0 and last[0] == axis.taps:
        interior = floor_div(axis.inputs - 1 - axis.offset - (reach if reach > 0 else 0),
                             axis.stride) + 1
        return clamp(interior, i + 1, end)
    i += 1
    while i < end:
        taps_inside(axis, i, &f, &l)
        if f != first[0] or l != last[0]:
            break
        i += 1
    return i


cdef inline void outputs_inside(const Axis* axis, Py_ssize_t tap, Py_ssize_t begin,
                                Py_ssize_t end, Py_ssize_t* first,
                                Py_ssize_t* last) noexcept nogil:
    """The output positions of [begin, end) at which `tap` lies inside the map."""
    cdef Py_ssize_t base = axis.offset + tap * axis.dilation
    if axis.stride == 1:  # without the divisions
        first[0] = clamp(-base, begin, end)
        last[0] = clamp(axis.inputs - base, first[0], end)
        return
    first[0] = clamp(ceil_div(-base, axis.stride), begin, end)
    last[0] = clamp(floor_div(axis.inputs - 1 - base, axis.stride) + 1, first[0], end)


cdef inline Axis window_axis(Py_ssize_t outputs, Py_ssize_t inputs, Py_ssize_t taps,
                             Py_ssize_t stride, Py_ssize_t pad,
                             Py_ssize_t dilation) noexcept nogil:
    cdef Axis axis
    axis.outputs, axis.inputs, axis.taps = outputs, inputs, taps
    axis.stride, axis.offset, axis.dilation = stride, -pad, dilation
    axis.first, axis.every = 0, 1
    return axis
