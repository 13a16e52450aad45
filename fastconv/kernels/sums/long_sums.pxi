# Sums of any length (long_sums.h): blocks of few additions each, added up in float64.

cdef extern from "sums/long_sums.h":
    void vadd_long(double* total, vreal) noexcept nogil
    vreal vlong(const double* total) noexcept nogil
    vreal vopaque(vreal) noexcept nogil
    vreal vjoin(vreal total, vreal a, vreal* lost) noexcept nogil
    vreal vlost(vreal lost) noexcept nogil
