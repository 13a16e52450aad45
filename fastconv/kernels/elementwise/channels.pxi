# What multiplies each channel by a number of its own: rescaling, and the rectifier with slopes.
#
#     (N, C, P), P > 1: items are runs of a plane    (N, C, 1): items are rows of channels
#
#     x[n, c, :]  | p p p p | p p p p | p p          x[n, :]     | c c c c | c c c c | c
#     scale[c]    one number                         scale[:]    | c c c c | c c c c | c
#
# A number for all channels is the case N = C = 1.  The gradient of the slopes is a sum over the
# batch.  Its items are channels, or VL channels where P is 1; blocks of at most 32 vectors are
# added in float64.

cdef extern from "simd/activations.h":
    vmask vless(vreal a, vreal b) noexcept nogil

cdef enum:
    RESCALE
    RESCALE_BYTES
    RECTIFY

cdef struct ScaledChannels:
    const real* x
    const unsigned char* bytes             # what is read in place of x, if the input is of bytes
    const real* dy
    const real* scale
    const real* offset
    real* out
    double* sums
    Py_ssize_t N, C, P
    Py_ssize_t runs                        # of a plane


cdef inline vreal channel_value(const int task, const bint whole, const real* x,
                                const unsigned char* bytes, Py_ssize_t at, Py_ssize_t n,
                                vreal scale, vreal offset) noexcept nogil:
    cdef vreal v
    if task == RESCALE_BYTES:
        v = vfrom_counts(vload_bytes(bytes + at, lanes_between(0, VL if whole else n)))
    else:
        v = load_part(whole, x + at, n)
    if task == RECTIFY:
        return vleak(v, v, scale)
    return vmadd(offset, v, scale)


cdef inline void map_run(const int task, const bint each, const bint whole,
                         const ScaledChannels* g, Py_ssize_t at, Py_ssize_t count,
                         Py_ssize_t channel) noexcept nogil:
    """The elements from `at` on, which have a channel each, or all the same one.

    If there is a whole vector of them, the last vector is whole too.  It overlaps the one before,
    which may write over its input, so it is computed first.
    """
    cdef const real* x = g.x               # copies of our own, which no store can change
    cdef const unsigned char* bytes = g.bytes
    cdef real* out = g.out + at
    cdef const real* scale = g.scale + channel
    cdef const real* offset = g.offset + channel
    cdef Py_ssize_t i = 0, end = count - VL if whole else 0
    cdef vreal last = channel_value(task, whole, x, bytes, at + end, count,
                                    load_factor(each, whole, scale, end, count),
                                    load_factor(each, whole, offset, end, count))
    while i < end:
        vstore(out + i, channel_value(task, True, x, bytes, at + i, VL,
                                      load_factor(each, True, scale, i, VL),
                                      load_factor(each, True, offset, i, VL)))
        i += VL
    store_part(whole, out + end, last, count)


cdef inline void map_planes(const int task, void* args, Py_ssize_t begin,
                            Py_ssize_t end) noexcept nogil:
    """A quotient takes as long as a few vectors, so there is none for each item."""
    cdef const ScaledChannels* g = <const ScaledChannels*> args
    cdef Py_ssize_t item, at, count, plane = begin // g.runs, run = begin % g.runs
    cdef Py_ssize_t channel = plane % g.C
    for item in range(begin, end):
        at, count = plane * g.P + run * RUN, min(<Py_ssize_t> RUN, g.P - run * RUN)
        if count >= VL:
            map_run(task, False, True, g, at, count, channel)
        else:
            map_run(task, False, False, g, at, count, channel)
        run += 1
        if run == g.runs:
            run = 0
            plane += 1
            channel = channel + 1 if channel + 1 < g.C else 0


cdef inline void map_rows(const int task, void* args, Py_ssize_t begin,
                          Py_ssize_t end) noexcept nogil:
    cdef const ScaledChannels* g = <const ScaledChannels*> args
    cdef Py_ssize_t row
    for row in range(begin, end):
        if g.C >= VL:
            map_run(task, True, True, g, row * g.C, g.C, 0)
        else:
            map_run(task, True, False, g, row * g.C, g.C, 0)


cdef void rescale_planes(void* args, Py_ssize_t begin, Py_ssize_t end) noexcept nogil:
    map_planes(RESCALE, args, begin, end)


cdef void rescale_rows(void* args, Py_ssize_t begin, Py_ssize_t end) noexcept nogil:
    map_rows(RESCALE, args, begin, end)


cdef void rescale_planes_of_bytes(void* args, Py_ssize_t begin, Py_ssize_t end) noexcept nogil:
    map_planes(RESCALE_BYTES, args, begin, end)


cdef void rescale_rows_of_bytes(void* args, Py_ssize_t begin, Py_ssize_t end) noexcept nogil:
    map_rows(RESCALE_BYTES, args, begin, end)


cdef void prelu_planes(void* args, Py_ssize_t begin, Py_ssize_t end) noexcept nogil:
    map_planes(RECTIFY, args, begin, end)


cdef void prelu_rows(void* args, Py_ssize_t begin, Py_ssize_t end) noexcept nogil:
    map_rows(RECTIFY, args, begin, end)


cdef inline void map_channels(task_t planes, task_t rows, ScaledChannels* g, Py_ssize_t part,
                              Py_ssize_t parts, int threads) noexcept nogil:
    g.runs = (g.P + RUN - 1) // RUN
    if g.P == 1:
        run_items(rows, g, g.N, part, parts, max(<Py_ssize_t> 1, RUN // g.C), threads)
    else:
        run_items(planes, g, g.N * g.C * g.runs, part, parts, max(<Py_ssize_t> 1, RUN // g.P),
                  threads)


cdef inline vreal slope_product(ScaledChannels* g, Py_ssize_t at, Py_ssize_t n, vreal scale,
                                vreal acc) noexcept nogil:
    """Store dx; add dy x to acc where x is not positive.  Both are made 0 elsewhere, since either
    may be infinite."""
    cdef vreal x = vload_n(g.x + at, n), dy = vload_n(g.dy + at, n)
    cdef vmask positive = vless(vzero(), x)
    if g.out != NULL:
        vstore_n(g.out + at, vleak(x, dy, scale), n)
    return vmadd(acc, vunless(positive, dy), vunless(positive, x))


cdef void prelu_gradient_planes(void* args, Py_ssize_t begin, Py_ssize_t end) noexcept nogil:
    cdef ScaledChannels* g = <ScaledChannels*> args
    cdef Py_ssize_t c, n, first, i, at
    cdef double total
    cdef vreal acc, scale
    for c in range(begin, end):
        total, scale = 0, vset1(g.scale[c])
        for n in range(g.N):
            at = (n * g.C + c) * g.P
            for first from 0 <= first < g.P by 32 * VL:
                acc = vzero()
                for i from first <= i < min(first + 32 * VL, g.P) by VL:
                    acc = slope_product(g, at + i, g.P - i, scale, acc)
                total += vsum(acc)
        g.sums[c] = total


cdef void prelu_gradient_rows(void* args, Py_ssize_t begin, Py_ssize_t end) noexcept nogil:
    cdef ScaledChannels* g = <ScaledChannels*> args
    cdef Py_ssize_t item, c, n, first, lanes
    cdef double totals[VL]
    cdef vreal acc, scale
    for item in range(begin, end):
        c = item * VL
        lanes = min(g.C - c, <Py_ssize_t> VL)
        scale = vload_n(g.scale + c, lanes)
        memset(totals, 0, sizeof(totals))
        for first from 0 <= first < g.N by 32:
            acc = vzero()
            for n in range(first, min(first + 32, g.N)):
                acc = slope_product(g, n * g.C + c, lanes, scale, acc)
            vadd_long(totals, acc)
        memcpy(g.sums + c, totals, lanes * sizeof(double))


def rescale(const real[:, :, ::1] x, real[:, :, ::1] y, const real[::1] scale,
            const real[::1] offset, Py_ssize_t part, Py_ssize_t parts, int threads):
    """y = scale x + offset, a number of each for every channel; y may be x."""
    cdef ScaledChannels g
    g.x, g.out, g.scale, g.offset = &x[0, 0, 0], &y[0, 0, 0], &scale[0], &offset[0]
    g.N, g.C, g.P = x.shape[0], x.shape[1], x.shape[2]
    with nogil:
        map_channels(rescale_planes, rescale_rows, &g, part, parts, threads)


def rescale_bytes(const unsigned char[:, :, ::1] x, real[:, :, ::1] y, const real[::1] scale,
                  const real[::1] offset, Py_ssize_t part, Py_ssize_t parts, int threads):
    """The same for an input of bytes."""
    cdef ScaledChannels g
    g.bytes, g.out, g.scale, g.offset = &x[0, 0, 0], &y[0, 0, 0], &scale[0], &offset[0]
    g.N, g.C, g.P = x.shape[0], x.shape[1], x.shape[2]
    with nogil:
        map_channels(rescale_planes_of_bytes, rescale_rows_of_bytes, &g, part, parts, threads)


def prelu(const real[:, :, ::1] x, real[:, :, ::1] y, const real[::1] slopes, Py_ssize_t part,
          Py_ssize_t parts, int threads):
    """y = x where x > 0, elsewhere x times the slope of its channel; y may be x."""
    cdef ScaledChannels g
    g.x, g.out, g.scale, g.offset = &x[0, 0, 0], &y[0, 0, 0], &slopes[0], &slopes[0]
    g.N, g.C, g.P = x.shape[0], x.shape[1], x.shape[2]
    with nogil:
        map_channels(prelu_planes, prelu_rows, &g, part, parts, threads)


def prelu_backward(const real[:, :, ::1] dy, const real[:, :, ::1] x, dx,
                   const real[::1] slopes, double[::1] sums, Py_ssize_t part, Py_ssize_t parts,
                   int threads):
    """Write the gradient of the slopes to sums (C,), and dx, which may be dy, unless it is None."""
    cdef ScaledChannels g
    cdef real[:, :, ::1] target
    g.dy, g.x, g.scale, g.sums = &dy[0, 0, 0], &x[0, 0, 0], &slopes[0], &sums[0]
    g.N, g.C, g.P = x.shape[0], x.shape[1], x.shape[2]
    g.out = NULL
    if dx is not None:
        target = dx
        g.out = &target[0, 0, 0]
    with nogil:
        if g.P == 1:
            run_items(prelu_gradient_rows, &g, (g.C + VL - 1) // VL, part, parts, 1, threads)
        else:
            run_items(prelu_gradient_planes, &g, g.C, part, parts, 1, threads)
