# A bias for each channel, and the rectifier behind it, in one pass over maps that lie in memory.
#
#     item p:  y[p, :] += bias[p % K], and what is not positive becomes 0

cdef struct ChannelBias:
    real* y
    const real* bias        # NULL if there is none
    Py_ssize_t K, P         # channels, and elements of a map
    bint relu


cdef void add_bias(void* args, Py_ssize_t begin, Py_ssize_t end) noexcept nogil:
    cdef const ChannelBias* g = <const ChannelBias*> args
    cdef bint relu = g.relu
    cdef Py_ssize_t plane, i, P = g.P
    cdef real* y
    cdef vreal bias, v
    for plane in range(begin, end):
        y = g.y + plane * P
        # adding -0 changes nothing, not even the sign of a zero
        bias = vset1(-<real> 0.0) if g.bias == NULL else vset1(g.bias[plane % g.K])
        for i from 0 <= i < P by VL:
            v = vload_n(y + i, P - i) + bias
            vstore_n(y + i, vrelu(v) if relu else v, P - i)


def add_channel_bias(real[:, :, ::1] y, bias, bint relu, Py_ssize_t part, Py_ssize_t parts, int threads):
    """y (N, K, P) += bias (K,), which may be None; with `relu` the rectifier comes after it."""
    cdef ChannelBias g
    cdef const real[::1] given
    g.y, g.bias, g.relu = &y[0, 0, 0], NULL, relu
    g.K, g.P = y.shape[1], y.shape[2]
    if bias is not None:
        given = bias
        g.bias = &given[0]
    with nogil:
        run_items(add_bias, &g, y.shape[0] * y.shape[1], part, parts, 1, threads)
