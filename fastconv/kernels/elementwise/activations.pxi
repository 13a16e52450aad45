# Activations and their gradients: one pass over arrays in a row, in the runs of elementwise.pxi.
#
# activations.h has the functions themselves.  `kept` is the output for those whose slope follows
# from it, for others the input.

cdef extern from "simd/activations.h":
    vreal vrelu6(vreal x) noexcept nogil
    vreal vleak(vreal sign, vreal v, vreal a) noexcept nogil
    vreal velu(vreal x, real a) noexcept nogil
    vreal vsoftplus(vreal x) noexcept nogil
    vreal vhard_sigmoid(vreal x, real a, real b) noexcept nogil
    vreal vhard_swish(vreal x) noexcept nogil
    vreal vsilu(vreal x) noexcept nogil
    vreal vgelu(vreal x) noexcept nogil
    vreal vgelu_tanh(vreal x) noexcept nogil
    vreal vslope_of_relu6(vreal dy, vreal y) noexcept nogil
    vreal vslope_of_elu(vreal dy, vreal y, real a) noexcept nogil
    vreal vslope_of_softplus(vreal dy, vreal y) noexcept nogil
    vreal vslope_of_hard_sigmoid(vreal dy, vreal y, real a) noexcept nogil
    vreal vslope_of_hard_swish(vreal dy, vreal x) noexcept nogil
    vreal vslope_of_silu(vreal dy, vreal x) noexcept nogil
    vreal vslope_of_gelu(vreal dy, vreal x) noexcept nogil
    vreal vslope_of_gelu_tanh(vreal dy, vreal x) noexcept nogil

cdef enum:
    RELU6
    LEAKY_RELU
    ELU
    SOFTPLUS
    HARD_SIGMOID
    HARD_SWISH
    SILU
    GELU
    GELU_TANH

#: The functions that `activate` and `activate_backward` know, in the order of their numbers.
activations = ("relu6", "leaky_relu", "elu", "softplus", "hard_sigmoid", "hard_swish", "silu",
               "gelu", "gelu_tanh")

cdef struct Activation:
    const real* x
    const real* kept
    real* out
    Py_ssize_t size
    int function
    real a, b


cdef inline vreal activated(const int function, vreal x, real a, real b) noexcept nogil:
    if function == RELU6:
        return vrelu6(x)
    if function == LEAKY_RELU:
        return vleak(x, x, vset1(a))
    if function == ELU:
        return velu(x, a)
    if function == SOFTPLUS:
        return vsoftplus(x)
    if function == HARD_SIGMOID:
        return vhard_sigmoid(x, a, b)
    if function == HARD_SWISH:
        return vhard_swish(x)
    if function == SILU:
        return vsilu(x)
    if function == GELU:
        return vgelu(x)
    return vgelu_tanh(x)


cdef inline vreal sloped(const int function, vreal dy, vreal kept, real a) noexcept nogil:
    if function == RELU6:
        return vslope_of_relu6(dy, kept)
    if function == LEAKY_RELU:
        return vleak(kept, dy, vset1(a))
    if function == ELU:
        return vslope_of_elu(dy, kept, a)
    if function == SOFTPLUS:
        return vslope_of_softplus(dy, kept)
    if function == HARD_SIGMOID:
        return vslope_of_hard_sigmoid(dy, kept, a)
    if function == HARD_SWISH:
        return vslope_of_hard_swish(dy, kept)
    if function == SILU:
        return vslope_of_silu(dy, kept)
    if function == GELU:
        return vslope_of_gelu(dy, kept)
    return vslope_of_gelu_tanh(dy, kept)


cdef inline void forward_run(const int function, Activation* e, Py_ssize_t i,
                             Py_ssize_t last) noexcept nogil:
    cdef const real* x = e.x               # copies of our own, which no store can change
    cdef real* out = e.out
    cdef real a = e.a, b = e.b
    while i + VL <= last:
        vstore(out + i, activated(function, vload(x + i), a, b))
        i += VL
    if i < last:
        vstore_n(out + i, activated(function, vload_n(x + i, last - i), a, b), last - i)


cdef inline void backward_run(const int function, Activation* e, Py_ssize_t i,
                              Py_ssize_t last) noexcept nogil:
    cdef const real* dy = e.x
    cdef const real* kept = e.kept
    cdef real* dx = e.out
    cdef real a = e.a
    cdef Py_ssize_t n
    while i + VL <= last:
        vstore(dx + i, sloped(function, vload(dy + i), vload(kept + i), a))
        i += VL
    if i < last:
        n = last - i
        vstore_n(dx + i, sloped(function, vload_n(dy + i, n), vload_n(kept + i, n), a), n)


cdef void forward_items(void* args, Py_ssize_t begin, Py_ssize_t end) noexcept nogil:
    cdef Activation* e = <Activation*> args
    cdef Py_ssize_t first = begin * RUN, last = min(end * RUN, e.size)
    if e.function == RELU6:
        forward_run(RELU6, e, first, last)
    elif e.function == LEAKY_RELU:
        forward_run(LEAKY_RELU, e, first, last)
    elif e.function == ELU:
        forward_run(ELU, e, first, last)
    elif e.function == SOFTPLUS:
        forward_run(SOFTPLUS, e, first, last)
    elif e.function == HARD_SIGMOID:
        forward_run(HARD_SIGMOID, e, first, last)
    elif e.function == HARD_SWISH:
        forward_run(HARD_SWISH, e, first, last)
    elif e.function == SILU:
        forward_run(SILU, e, first, last)
    elif e.function == GELU:
        forward_run(GELU, e, first, last)
    else:
        forward_run(GELU_TANH, e, first, last)


cdef void backward_items(void* args, Py_ssize_t begin, Py_ssize_t end) noexcept nogil:
    cdef Activation* e = <Activation*> args
    cdef Py_ssize_t first = begin * RUN, last = min(end * RUN, e.size)
    if e.function == RELU6:
        backward_run(RELU6, e, first, last)
    elif e.function == LEAKY_RELU:
        backward_run(LEAKY_RELU, e, first, last)
    elif e.function == ELU:
        backward_run(ELU, e, first, last)
    elif e.function == SOFTPLUS:
        backward_run(SOFTPLUS, e, first, last)
    elif e.function == HARD_SIGMOID:
        backward_run(HARD_SIGMOID, e, first, last)
    elif e.function == HARD_SWISH:
        backward_run(HARD_SWISH, e, first, last)
    elif e.function == SILU:
        backward_run(SILU, e, first, last)
    elif e.function == GELU:
        backward_run(GELU, e, first, last)
    else:
        backward_run(GELU_TANH, e, first, last)


def activate(const real[::1] x, real[::1] y, int function, double a, double b, Py_ssize_t part,
             Py_ssize_t parts, int threads):
    """y = f(x) for the function of this number and its settings; y may be x."""
    cdef Activation e
    e.x, e.out, e.size = &x[0], &y[0], x.shape[0]
    e.function, e.a, e.b = function, a, b
    with nogil:
        run_items(forward_items, &e, (e.size + RUN - 1) // RUN, part, parts, 1, threads)


def activate_backward(const real[::1] dy, const real[::1] kept, real[::1] dx, int function,
                      double a, Py_ssize_t part, Py_ssize_t parts, int threads):
    """dx = dy f'(x), from the input or output that is kept; dx may be dy."""
    cdef Activation e
    e.x, e.kept, e.out, e.size = &dy[0], &kept[0], &dx[0], dy.shape[0]
    e.function, e.a = function, a
    with nogil:
        run_items(backward_items, &e, (e.size + RUN - 1) // RUN, part, parts, 1, threads)
