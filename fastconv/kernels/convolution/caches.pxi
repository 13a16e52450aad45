# What the caches of a core hold.  It decides how work is cut, but never a number of bytes that is
# stated to users, and never the order of a sum.

cdef extern from "caches.h":
    long fc_cache_bytes(int level) noexcept nogil

cdef struct Caches:
    Py_ssize_t l1, l2                      # bytes of data

cdef Caches CACHES


def caches():
    """Return for how many bytes of L1 and of L2 work is cut."""
    return CACHES.l1, CACHES.l2


def set_caches(Py_ssize_t l1, Py_ssize_t l2):
    """Cut work for caches of so many bytes from now on; 0 asks the processor."""
    # a size that is unknown or impossible becomes that of the cores the kernels were made on
    CACHES.l1 = l1 or fc_cache_bytes(1)
    CACHES.l2 = l2 or fc_cache_bytes(2)
    if CACHES.l1 < 4 << 10:
        CACHES.l1 = 32 << 10
    if CACHES.l2 < 64 << 10:
        CACHES.l2 = 512 << 10


set_caches(0, 0)
