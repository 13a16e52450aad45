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

from libc.math cimport INFINITY

cdef extern from "simd/vec.h":
    vreal vsmaller(vreal a, vreal b) noexcept nogil

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
    task_t step            # of an optimizer; before it the gradient and the weights may change by
    real scale, limit, weight_decay, shrink
    double* sums           # one for each run
    double factor


cdef inline vreal load_part(const bint whole, const real* p, Py_ssize_t n) noexcept nogil:
    """A vector, or its first n lanes."""
    return vload(p) if whole else vload_n(p, n)


cdef inline void store_part(const bint whole, real* p, vreal v, Py_ssize_t n) noexcept nogil:
    if whole:
        vstore(p, v)
    else:
        vstore_n(p, v, n)


cdef inline vreal load_factor(const bint each, const bint whole, const real* p, Py_ssize_t i,
                              Py_ssize_t n) noexcept nogil:
    """The number by which each element is multiplied, or one number for all."""
    return load_part(whole, p + i, n) if each else vset1(p[0])


ctypedef (double, double, double, double) change_t  # scale, limit, weight_decay, shrink


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


cdef void add_rectify(void* args, Py_ssize_t begin, Py_ssize_t end) noexcept nogil:
    """The larger of x + y and 0; out may be either of them."""
    cdef Elements* e = <Elements*> args
    cdef const real* x = e.x
    cdef const real* y = e.y
    cdef real* out = e.out
    cdef vreal v[4]
    cdef Py_ssize_t n, i = begin * RUN, last = min(end * RUN, e.size)
    cdef int k
    while i + 4 * VL <= last:
        for k in range(4):
            v[k] = vrelu(vload(x + i + k * VL) + vload(y + i + k * VL))
        for k in range(4):
            vstore(out + i + k * VL, v[k])
        i += 4 * VL
    while i < last:
        n = last - i
        vstore_n(out + i, vrelu(vload_n(x + i, n) + vload_n(y + i, n)), n)
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


cdef void descend_changed(void* args, Py_ssize_t begin, Py_ssize_t end) noexcept nogil:
    """g = clamp(scale g) + weight_decay w;  w -= shrink w;  then the step.

    The changed gradient of a run lies on the stack, in the first cache, and nobody else sees it.
    """
    cdef Elements* e = <Elements*> args
    cdef Elements run
    cdef real changed[RUN]
    cdef Py_ssize_t item, first, i, n
    cdef vreal g, w
    for item in range(begin, end):
        first = item * RUN
        run = e[0]
        run.size = min(<Py_ssize_t> RUN, e.size - first)
        run.out, run.x = e.out + first, changed
        run.first = NULL if e.first == NULL else e.first + first
        run.second = NULL if e.second == NULL else e.second + first
        for i from 0 <= i < run.size by VL:
            n = run.size - i
            # each comparison gives its second operand where one of both is NaN
            g = vlarger(vset1(-e.limit), e.scale * vload_n(e.x + first + i, n))
            g = vsmaller(vset1(e.limit), g)
            if e.weight_decay != 0:        # else an infinite weight would become NaN
                g = vmadd(g, vset1(e.weight_decay), vload_n(run.out + i, n))
            vstore_n(changed + i, g, n)
            if e.shrink != 0:
                w = vload_n(run.out + i, n)
                vstore_n(run.out + i, vmadd(w, vset1(-e.shrink), w), n)
        e.step(&run, 0, 1)


cdef void add_squares(void* args, Py_ssize_t begin, Py_ssize_t end) noexcept nogil:
    """The sum over each run of (factor x)**2, in float64.  Element i goes to chain i % 16."""
    cdef Elements* e = <Elements*> args
    cdef double chains[16]
    cdef double number, factor = e.factor
    cdef Py_ssize_t item, i, last
    cdef int k
    for item in range(begin, end):
        i, last = item * RUN, min((item + 1) * RUN, e.size)
        memset(chains, 0, sizeof(chains))
        while i + 16 <= last:
            for k in range(16):
                number = factor * e.x[i + k]
                chains[k] += number * number
            i += 16
        for k in range(<int> (last - i)):
            number = factor * e.x[i + k]
            chains[k] += number * number
        for k in range(1, 16):
            chains[0] += chains[k]
        e.sums[item] = chains[0]


cdef inline void run_step(task_t step, Elements* e, change_t change, Py_ssize_t part,
                          Py_ssize_t parts, int threads) noexcept nogil:
    """One step of an optimizer, as it is unless `change` changes something."""
    e.step = step
    e.scale, e.limit, e.weight_decay, e.shrink = change[0], change[1], change[2], change[3]
    if change[0] != 1 or change[1] < INFINITY or change[2] != 0 or change[3] != 0:
        step = descend_changed
    run_elements(step, e, part, parts, threads)


def relu(const real[::1] x, real[::1] y, Py_ssize_t part, Py_ssize_t parts, int threads):
    """y = max(x, 0), and NaN stays NaN; y may be x."""
    cdef Elements e
    e.x, e.out, e.size = &x[0], &y[0], x.shape[0]
    with nogil:
        run_elements(rectify, &e, part, parts, threads)


def add_relu(const real[::1] x, const real[::1] y, real[::1] out, Py_ssize_t part,
             Py_ssize_t parts, int threads):
    """out = max(x + y, 0), and NaN stays NaN; out may be x or y."""
    cdef Elements e
    e.x, e.y, e.out, e.size = &x[0], &y[0], &out[0], x.shape[0]
    with nogil:
        run_elements(add_rectify, &e, part, parts, threads)


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


def sgd(real[::1] value, const real[::1] gradient, double rate, change_t change, Py_ssize_t part,
        Py_ssize_t parts, int threads):
    """One step of gradient descent, in place."""
    cdef Elements e
    e.out, e.x, e.size, e.rate = &value[0], &gradient[0], value.shape[0], rate
    e.first, e.second = NULL, NULL
    with nogil:
        run_step(descend, &e, change, part, parts, threads)


def momentum(real[::1] value, const real[::1] gradient, real[::1] velocity, double rate,
             double decay, bint nesterov, change_t change, Py_ssize_t part, Py_ssize_t parts,
             int threads):
    """One step with momentum, Nesterov's or not, in place."""
    cdef Elements e
    e.out, e.x, e.first, e.size = &value[0], &gradient[0], &velocity[0], value.shape[0]
    e.rate, e.decay, e.second = rate, decay, NULL
    with nogil:
        run_step(descend_nesterov if nesterov else descend_momentum, &e, change, part, parts,
                 threads)


def by_squares(real[::1] value, const real[::1] gradient, real[::1] squares, double rate,
                      double decay, double fresh, double epsilon, change_t change,
                      Py_ssize_t part, Py_ssize_t parts, int threads):
    """One step of AdaGrad (decay and fresh are 1) or RMSprop, in place."""
    cdef Elements e
    e.out, e.x, e.first, e.size = &value[0], &gradient[0], &squares[0], value.shape[0]
    e.rate, e.decay, e.fresh, e.epsilon, e.second = rate, decay, fresh, epsilon, NULL
    with nogil:
        run_step(descend_squares, &e, change, part, parts, threads)


def adam(real[::1] value, const real[::1] gradient, real[::1] mean, real[::1] squares,
         double rate, double decay, double decay_squares, double epsilon, change_t change,
         Py_ssize_t part, Py_ssize_t parts, int threads):
    """One step of Adam, in place; rate and epsilon include the corrections of its means."""
    cdef Elements e
    e.out, e.x, e.first, e.second = &value[0], &gradient[0], &mean[0], &squares[0]
    e.size, e.rate, e.epsilon = value.shape[0], rate, epsilon
    e.decay, e.fresh = decay, 1 - decay
    e.decay_squares, e.fresh_squares = decay_squares, 1 - decay_squares
    with nogil:
        run_step(descend_adam, &e, change, part, parts, threads)


def sum_squares(const real[::1] x, double[::1] sums, double factor, Py_ssize_t part,
                Py_ssize_t parts, int threads):
    """sums[i] = the sum over run i of (factor x)**2."""
    cdef Elements e
    e.x, e.size, e.sums, e.factor = &x[0], x.shape[0], &sums[0], factor
    with nogil:
        run_elements(add_squares, &e, part, parts, threads)
