ctypedef void (*task_t)(void* args, Py_ssize_t begin, Py_ssize_t end) noexcept nogil

cdef void parallel_for(task_t task, void* args, Py_ssize_t begin, Py_ssize_t end,
                       Py_ssize_t grain, int threads) noexcept nogil
