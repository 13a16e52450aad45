# Functions of one number: one pass over arrays that lie in a row, in the runs of elementwise.pxi.
#
# functions.h has the functions themselves.  The last vector of a run goes through the same
# operations as any other, with zeros in the lanes beyond the end.

cdef extern from "simd/functions.h":
    vreal vexp(vreal) noexcept nogil
    vreal vexpm1(vreal) noexcept nogil
    vreal vlog(vreal) noexcept nogil
    vreal vlog1p(vreal) noexcept nogil
    vreal vsigmoid(vreal) noexcept nogil
    vreal vtanh(vreal) noexcept nogil
    vreal verf(vreal) noexcept nogil

cdef enum:
    OF_EXP
    OF_EXPM1
    OF_LOG
    OF_LOG1P
    OF_SIGMOID
    OF_TANH
    OF_ERF


cdef inline vreal value_of(const int function, vreal x) noexcept nogil:
    if function == OF_EXP:
        return vexp(x)
    if function == OF_EXPM1:
        return vexpm1(x)
    if function == OF_LOG:
        return vlog(x)
    if function == OF_LOG1P:
        return vlog1p(x)
    if function == OF_SIGMOID:
        return vsigmoid(x)
    if function == OF_TANH:
        return vtanh(x)
    return verf(x)


cdef inline void map_elements(const int function, void* args, Py_ssize_t begin,
                              Py_ssize_t end) noexcept nogil:
    cdef Elements* e = <Elements*> args
    cdef Py_ssize_t i, last = min(end * RUN, e.size)
    for i from begin * RUN <= i < last by VL:
        vstore_n(e.out + i, value_of(function, vload_n(e.x + i, last - i)), last - i)


cdef void map_exp(void* args, Py_ssize_t begin, Py_ssize_t end) noexcept nogil:
    map_elements(OF_EXP, args, begin, end)


cdef void map_expm1(void* args, Py_ssize_t begin, Py_ssize_t end) noexcept nogil:
    map_elements(OF_EXPM1, args, begin, end)


cdef void map_log(void* args, Py_ssize_t begin, Py_ssize_t end) noexcept nogil:
    map_elements(OF_LOG, args, begin, end)


cdef void map_log1p(void* args, Py_ssize_t begin, Py_ssize_t end) noexcept nogil:
    map_elements(OF_LOG1P, args, begin, end)


cdef void map_sigmoid(void* args, Py_ssize_t begin, Py_ssize_t end) noexcept nogil:
    map_elements(OF_SIGMOID, args, begin, end)


cdef void map_tanh(void* args, Py_ssize_t begin, Py_ssize_t end) noexcept nogil:
    map_elements(OF_TANH, args, begin, end)


cdef void map_erf(void* args, Py_ssize_t begin, Py_ssize_t end) noexcept nogil:
    map_elements(OF_ERF, args, begin, end)


cdef void slope_of_sigmoid(void* args, Py_ssize_t begin, Py_ssize_t end) noexcept nogil:
    """dx = dy (y (1 - y)); 1 - y is exact from 1/2 on."""
    cdef Elements* e = <Elements*> args
    cdef Py_ssize_t i, n, last = min(end * RUN, e.size)
    cdef vreal y
    for i from begin * RUN <= i < last by VL:
        n = last - i
        y = vload_n(e.y + i, n)
        vstore_n(e.out + i, vload_n(e.x + i, n) * (y * (vset1(1) - y)), n)


cdef void slope_of_tanh(void* args, Py_ssize_t begin, Py_ssize_t end) noexcept nogil:
    """dx = dy ((1 - y) (1 + y)), which keeps the digits that 1 - y^2 loses near 1."""
    cdef Elements* e = <Elements*> args
    cdef Py_ssize_t i, n, last = min(end * RUN, e.size)
    cdef vreal y
    for i from begin * RUN <= i < last by VL:
        n = last - i
        y = vload_n(e.y + i, n)
        vstore_n(e.out + i, vload_n(e.x + i, n) * ((vset1(1) - y) * (vset1(1) + y)), n)


cdef void map_array(task_t task, const real[::1] x, real[::1] y, Py_ssize_t part,
                    Py_ssize_t parts, int threads) noexcept:
    cdef Elements e
    e.x, e.out, e.size = &x[0], &y[0], x.shape[0]
    with nogil:
        run_elements(task, &e, part, parts, threads)


def exp(const real[::1] x, real[::1] y, Py_ssize_t part, Py_ssize_t parts, int threads):
    """y = exp(x); y may be x."""
    map_array(map_exp, x, y, part, parts, threads)


def expm1(const real[::1] x, real[::1] y, Py_ssize_t part, Py_ssize_t parts, int threads):
    """y = exp(x) - 1; y may be x."""
    map_array(map_expm1, x, y, part, parts, threads)


def log(const real[::1] x, real[::1] y, Py_ssize_t part, Py_ssize_t parts, int threads):
    """y = log(x); y may be x."""
    map_array(map_log, x, y, part, parts, threads)


def log1p(const real[::1] x, real[::1] y, Py_ssize_t part, Py_ssize_t parts, int threads):
    """y = log(1 + x); y may be x."""
    map_array(map_log1p, x, y, part, parts, threads)


def sigmoid(const real[::1] x, real[::1] y, Py_ssize_t part, Py_ssize_t parts, int threads):
    """y = 1 / (1 + exp(-x)); y may be x."""
    map_array(map_sigmoid, x, y, part, parts, threads)


def tanh(const real[::1] x, real[::1] y, Py_ssize_t part, Py_ssize_t parts, int threads):
    """y = tanh(x); y may be x."""
    map_array(map_tanh, x, y, part, parts, threads)


def erf(const real[::1] x, real[::1] y, Py_ssize_t part, Py_ssize_t parts, int threads):
    """y = erf(x); y may be x."""
    map_array(map_erf, x, y, part, parts, threads)


def sigmoid_backward(const real[::1] dy, const real[::1] y, real[::1] dx, Py_ssize_t part,
                     Py_ssize_t parts, int threads):
    """dx = dy y (1 - y); dx may be dy."""
    cdef Elements e
    e.x, e.y, e.out, e.size = &dy[0], &y[0], &dx[0], dy.shape[0]
    with nogil:
        run_elements(slope_of_sigmoid, &e, part, parts, threads)


def tanh_backward(const real[::1] dy, const real[::1] y, real[::1] dx, Py_ssize_t part,
                  Py_ssize_t parts, int threads):
    """dx = dy (1 - y^2); dx may be dy."""
    cdef Elements e
    e.x, e.y, e.out, e.size = &dy[0], &y[0], &dx[0], dy.shape[0]
    with nogil:
        run_elements(slope_of_tanh, &e, part, parts, threads)
