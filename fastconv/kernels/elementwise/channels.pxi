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


cdef inline vreal channel_value(const int task, ScaledChannels* g, Py_ssize_t at, Py_ssize_t n,
                                vreal scale, vreal offset) noexcept nogil:
    cdef vreal x
    if task == RESCALE_BYTES:
        x = vfrom_counts(vload_bytes(g.bytes + at, lanes_between(0, n)))
    else:
        x = vload_n(g.x + at, n)
    if task == RECTIFY:
        return vleak(x, x, scale)
    return vmadd(offset, x, scale)


cdef inline void map_planes(const int task, void* args, Py_ssize_t begin,
                            Py_ssize_t end) noexcept nogil:
    cdef ScaledChannels* g = <ScaledChannels*> args
    cdef Py_ssize_t item, plane, i, last
    cdef vreal scale, offset
    for item in range(begin, end):
        plane = item // g.runs
        scale, offset = vset1(g.scale[plane % g.C]), vset1(g.offset[plane % g.C])
        i = plane * g.P + item % g.runs * RUN
        last = min(i + RUN, (plane + 1) * g.P)
        while i + VL <= last:
            vstore(g.out + i, channel_value(task, g, i, VL, scale, offset))
            i += VL
        if i < last:
            vstore_n(g.out + i, channel_value(task, g, i, last - i, scale, offset), last - i)


cdef inline void map_rows(const int task, void* args, Py_ssize_t begin,
                          Py_ssize_t end) noexcept nogil:
    cdef ScaledChannels* g = <ScaledChannels*> args
    cdef Py_ssize_t row, c, n
    for row in range(begin, end):
        for c from 0 <= c < g.C by VL:
            n = min(g.C - c, <Py_ssize_t> VL)
            vstore_n(g.out + row * g.C + c,
                     channel_value(task, g, row * g.C + c, n, vload_n(g.scale + c, n),
                                   vload_n(g.offset + c, n)), n)


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
