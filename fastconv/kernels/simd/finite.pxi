# Whether numbers are infinite or NaN: a product of theirs with 0 is NaN, and stays so in a sum.

cdef bint all_finite(const real* numbers, Py_ssize_t count) noexcept nogil:
    cdef vreal zeros = vzero()
    cdef Py_ssize_t i, whole = count // VL * VL
    for i from 0 <= i < whole by VL:
        zeros = zeros + vload(numbers + i) * vzero()
    if whole < count:
        zeros = zeros + vload_n(numbers + whole, count - whole) * vzero()
    return vsum(zeros) == 0
