# Whether all numbers are finite.  The product of 0 with an infinity or a NaN is NaN, and so is
# every sum with such a product in it.

cdef bint all_finite(const real* numbers, Py_ssize_t count) noexcept nogil:
    cdef vreal zeros = vzero()
    cdef Py_ssize_t i, whole = count // VL * VL
    for i from 0 <= i < whole by VL:
        zeros = zeros + vload(numbers + i) * vzero()
    if whole < count:
        zeros = zeros + vload_n(numbers + whole, count - whole) * vzero()
    return vsum(zeros) == 0
