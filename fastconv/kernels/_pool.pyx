"""The one pool of threads that all kernels share; see pool.h."""

cdef extern from *:
    """
    /* threadpoolctl tells this library from others of the same name by this symbol */
    #ifdef _WIN32
    __declspec(dllexport)
    #endif
    int fastconv_pool = 1;
    """

cdef extern from "pool.h":
    void fc_parallel_for(task_t task, void* args, Py_ssize_t begin, Py_ssize_t end,
                         Py_ssize_t grain, int threads) noexcept nogil
    const char* fc_pool_kind() noexcept nogil


cdef void parallel_for(task_t task, void* args, Py_ssize_t begin, Py_ssize_t end,
                       Py_ssize_t grain, int threads) noexcept nogil:
    fc_parallel_for(task, args, begin, end, grain, threads)


def pool_kind():
    """Return ``"pthreads"``, or ``"none"`` where loops run on the caller's thread alone."""
    return fc_pool_kind().decode()
