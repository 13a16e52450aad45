# Short runs of numbers in whole vectors.  What a vector reads or writes behind the end of a run
# must be there, and what it writes there must be written later on.

cdef inline void copy_run(const real* x, real* to, Py_ssize_t n, Py_ssize_t room,
                          Py_ssize_t space) noexcept nogil:
    """Copy n numbers; `room` may be read, and `space` may be written."""
    cdef Py_ssize_t i = 0
    cdef vreal v
    while i <= n - VL:
        vstore(to + i, vload(x + i))
        i += VL
    if i < n:
        v = vload(x + i) if room - i >= VL else vload_n(x + i, n - i)
        if space - i >= VL:
            vstore(to + i, v)
        else:
            vstore_n(to + i, v, n - i)


cdef inline void clear_run(real* to, Py_ssize_t n, Py_ssize_t space) noexcept nogil:
    """Write n zeros; `space` numbers may be written."""
    cdef Py_ssize_t i
    for i from 0 <= i < n by VL:
        if space - i >= VL:
            vstore(to + i, vzero())
        else:
            vstore_n(to + i, vzero(), n - i)
