# One pass over arrays that lie in a row: activations, masks, and the steps of optimizers.
#
# Items are runs of RUN elements.  So what a run reads again is in the first cache, and the same
# elements go through the same instructions for every number of threads.  An output may be one of
# the inputs: each vector is read before it is written, and never again.
#
# In a sum or a difference of two products, `vmadd` says which of the two is fused.  A compiler
# might fuse one of them in whole vectors and the other in the last vector, and then the bits of an
# element would depend on its place.
#
#     |<---- RUN ---->|<---- RUN ---->|<- rest ->|
#     | v | v | ... v | v | v | ... v | v | .. |n|      n lanes of the last vector

cdef enum:
    RUN = 4096

cdef struct Elements:
    const real* x          # the input, or the gradient dy
    const real* y          # the output that dy is the gradient of
    real* out
    const unsigned char* kept
    real* first            # what an optimizer remembers
    real* second
    Py_ssize_t size
    real rate, epsilon
    real decay, fresh      # new mean = decay * old mean + e.fresh * g
    real decay_squares, fresh_squares


cdef inline void run_elements(task_t task, Elements* e, Py_ssize_t part, Py_ssize_t parts,
                              int threads) noexcept nogil:
    run_items(task, e, (e.size + RUN - 1) // RUN, part, parts, 1, threads)


cdef void rectify(void* args, Py_ssize_t begin, Py_ssize_t end) noexcept nogil:
    cdef Elements* e = <Elements*> args
    cdef const real* x = e.x               # a copy of our own, which no store can change
    cdef real* out = e.out
    cdef vreal v[4]
    cdef Py_ssize_t i = begin * RUN, last = min(end * RUN, e.size)
    cdef int k
    while i + 4 * VL <= last:
        for k in range(4):
            v[k] = vrelu(vload(x + i + k * VL))
        for k in range(4):
            vstore(out + i + k * VL, v[k])
        i += 4 * VL
    while i < last:
        vstore_n(out + i, vrelu(vload_n(x + i, last - i)), last - i)
        i += VL


cdef void rectify_backward(void* args, Py_ssize_t begin, Py_ssize_t end) noexcept nogil:
    cdef Elements* e = <Elements*> args
    cdef const real* dy = e.x
    cdef const real* y = e.y
    cdef real* dx = e.out
    cdef vreal v[4]
    cdef Py_ssize_t n, i = begin * RUN, last = min(end * RUN, e.size)
    cdef int k
    while i + 4 * VL <= last:
        for k in range(4):
            v[k] = vpositive(vload(y + i + k * VL), vload(dy + i + k * VL))
        for k in range(4):
            vstore(dx + i + k * VL, v[k])
        i += 4 * VL
    while i < last:
        n = last - i
        vstore_n(dx + i, vpositive(vload_n(y + i, n), vload_n(dy + i, n)), n)
        i += VL


cdef void drop(void* args, Py_ssize_t begin, Py_ssize_t end) noexcept nogil:
    """y = scale x where kept, elsewhere 0.  It selects: a product of an infinity with 0 is NaN."""
    cdef Elements* e = <Elements*> args
    cdef Py_ssize_t i
    for i in range(begin * RUN, min(end * RUN, e.size)):
        e.out[i] = e.x[i] * e.rate if e.kept[i] else 0


cdef void descend(void* args, Py_ssize_t begin, Py_ssize_t end) noexcept nogil:
    """w -= rate g."""
    cdef Elements* e = <Elements*> args
    cdef Py_ssize_t i, n, last = min(end * RUN, e.size)
    for i from begin * RUN <= i < last by VL:
        n = last - i
        vstore_n(e.out + i, vmadd(vload_n(e.out + i, n), vset1(-e.rate), vload_n(e.x + i, n)), n)


cdef void descend_momentum(void* args, Py_ssize_t begin, Py_ssize_t end) noexcept nogil:
    """v = decay v - rate g;  w += v."""
    cdef Elements* e = <Elements*> args
    cdef Py_ssize_t i, n, last = min(end * RUN, e.size)
    cdef vreal v
    for i from begin * RUN <= i < last by VL:
        n = last - i
        v = vmadd(-e.rate * vload_n(e.x + i, n), vset1(e.decay), vload_n(e.first + i, n))
        vstore_n(e.first + i, v, n)
        vstore_n(e.out + i, vload_n(e.out + i, n) + v, n)


cdef void descend_nesterov(void* args, Py_ssize_t begin, Py_ssize_t end) noexcept nogil:
    """v = decay v - rate g;  w += decay v - rate g."""
    cdef Elements* e = <Elements*> args
    cdef Py_ssize_t i, n, last = min(end * RUN, e.size)
    cdef vreal v, g
    for i from begin * RUN <= i < last by VL:
        n = last - i
        g = vload_n(e.x + i, n)
        v = vmadd(e.decay * vload_n(e.first + i, n), vset1(-e.rate), g)
        vstore_n(e.first + i, v, n)
        vstore_n(e.out + i, vload_n(e.out + i, n) + vmadd(e.decay * v, vset1(-e.rate), g), n)


cdef inline vreal descended(vreal w, Elements* e, vreal step, vreal h) noexcept nogil:
    """w - rate step / (sqrt(h) + epsilon)."""
    return vmadd(w, vset1(-e.rate), vratio(step, vsqrt(h) + e.epsilon))


cdef void descend_squares(void* args, Py_ssize_t begin, Py_ssize_t end) noexcept nogil:
    """h = decay h + fresh g g;  w -= rate g / (sqrt(h) + epsilon)."""
    cdef Elements* e = <Elements*> args
    cdef Py_ssize_t i, n, last = min(end * RUN, e.size)
    cdef vreal g, h
    for i from begin * RUN <= i < last by VL:
        n = last - i
        g = vload_n(e.x + i, n)
        h = vmadd(e.fresh * (g * g), vset1(e.decay), vload_n(e.first + i, n))
        vstore_n(e.first + i, h, n)
        # lanes beyond n may be 0 / 0, but are not stored
        vstore_n(e.out + i, descended(vload_n(e.out + i, n), e, g, h), n)


cdef void descend_adam(void* args, Py_ssize_t begin, Py_ssize_t end) noexcept nogil:
    """m and h are decaying means of g and g g;  w -= rate m / (sqrt(h) + epsilon)."""
    cdef Elements* e = <Elements*> args
    cdef Py_ssize_t i, n, last = min(end * RUN, e.size)
    cdef vreal g, m, h
    for i from begin * RUN <= i < last by VL:
        n = last - i
        g = vload_n(e.x + i, n)
        m = vmadd(e.fresh * g, vset1(e.decay), vload_n(e.first + i, n))
        h = vmadd(e.fresh_squares * (g * g), vset1(e.decay_squares), vload_n(e.second + i, n))
        vstore_n(e.first + i, m, n)
        vstore_n(e.second + i, h, n)
        vstore_n(e.out + i, descended(vload_n(e.out + i, n), e, m, h), n)


def relu(const real[::1] x, real[::1] y, Py_ssize_t part, Py_ssize_t parts, int threads):
    """y = max(x, 0), and NaN stays NaN; y may be x."""
    cdef Elements e
    e.x, e.out, e.size = &x[0], &y[0], x.shape[0]
    with nogil:
        run_elements(rectify, &e, part, parts, threads)


def relu_backward(const real[::1] dy, const real[::1] y, real[::1] dx, Py_ssize_t part,
                  Py_ssize_t parts, int threads):
    """dx = dy where y > 0, elsewhere 0; dx may be dy."""
    cdef Elements e
    e.x, e.y, e.out, e.size = &dy[0], &y[0], &dx[0], dy.shape[0]
    with nogil:
        run_elements(rectify_backward, &e, part, parts, threads)


def dropout(const real[::1] x, const unsigned char[::1] kept, real[::1] y, double scale,
            Py_ssize_t part, Py_ssize_t parts, int threads):
    """y = scale x where kept, elsewhere 0; y may be x."""
    cdef Elements e
    e.x, e.kept, e.out, e.size, e.rate = &x[0], &kept[0], &y[0], x.shape[0], scale
    with nogil:
        run_elements(drop, &e, part, parts, threads)


def sgd(real[::1] value, const real[::1] gradient, double rate, Py_ssize_t part,
        Py_ssize_t parts, int threads):
    """One step of gradient descent, in place."""
    cdef Elements e
    e.out, e.x, e.size, e.rate = &value[0], &gradient[0], value.shape[0], rate
    with nogil:
        run_elements(descend, &e, part, parts, threads)


def momentum(real[::1] value, const real[::1] gradient, real[::1] velocity, double rate,
             double decay, bint nesterov, Py_ssize_t part, Py_ssize_t parts, int threads):
    """One step with momentum, Nesterov's or not, in place."""
    cdef Elements e
    e.out, e.x, e.first, e.size = &value[0], &gradient[0], &velocity[0], value.shape[0]
    e.rate, e.decay = rate, decay
    with nogil:
        run_elements(descend_nesterov if nesterov else descend_momentum, &e, part, parts, threads)


def by_squares(real[::1] value, const real[::1] gradient, real[::1] squares, double rate,
                      double decay, double fresh, double epsilon, Py_ssize_t part,
                      Py_ssize_t parts, int threads):
    """One step of AdaGrad (decay and fresh are 1) or RMSprop, in place."""
    cdef Elements e
    e.out, e.x, e.first, e.size = &value[0], &gradient[0], &squares[0], value.shape[0]
    e.rate, e.decay, e.fresh, e.epsilon = rate, decay, fresh, epsilon
    with nogil:
        run_elements(descend_squares, &e, part, parts, threads)


def adam(real[::1] value, const real[::1] gradient, real[::1] mean, real[::1] squares,
         double rate, double decay, double decay_squares, double epsilon, Py_ssize_t part,
         Py_ssize_t parts, int threads):
    """One step of Adam, in place; rate and epsilon include the corrections of its means."""
    cdef Elements e
    e.out, e.x, e.first, e.second = &value[0], &gradient[0], &mean[0], &squares[0]
    e.size, e.rate, e.epsilon = value.shape[0], rate, epsilon
    e.decay, e.fresh = decay, 1 - decay
    e.decay_squares, e.fresh_squares = decay_squares, 1 - decay_squares
    with nogil:
        run_elements(descend_adam, &e, part, parts, threads)
