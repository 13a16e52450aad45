# Up-sampling by whole numbers, and its gradients.  Items are rows of the small map.
#
#   nearest            bilinear, in a row: the middles of output pixels lie between those of inputs
#
#   a  b     a a b b        a       b       c            q = scale // 2
#            a a b b      . . . . . . . . . . . .        scale 4: outputs at 1/8, 3/8, 5/8, 7/8
#   c  d     c c d d              L M M R
#            c c d d
#
# A bilinear output is centre * M + side * L or R, along each axis, where M is the input under it.
# Beyond an edge the neighbour is M itself.  The weights of an axis are one array, of scale + 2 q:
# what an input M gives to the outputs over its left neighbour, itself, and its right neighbour.
#
#     u = [side of the last q outputs | centre of all outputs | side of the first q outputs]
#
# The gradient of an input is the sum of these outputs by these weights.  At an edge, where an output
# would have lain over a neighbour, stands its mirror image.  Both ways a block of columns is done
# down first, into `room`, and then along.  In a sum of products `vmadd` says which one is fused.

cdef extern from *:
    """
    enum { MOST_SCALE = 512,              /* so that ROOM holds what one input reads */
           ROOM = 2048,                   /* numbers of a block, which stay in the L1 */
           COLUMNS = 256 };               /* input columns of a block of bilinear outputs */
    """
    enum: MOST_SCALE
    enum: ROOM
    enum: COLUMNS

cdef struct Resampling:
    const real* x
    real* y
    Py_ssize_t H, W                       # of the small map
    Py_ssize_t rows, columns              # the scales
    const real* row_weights
    const real* column_weights


cdef inline void deal_two(real* y, vreal a, vreal b, Py_ssize_t n) noexcept nogil:
    """Store the lanes of a and b in turn, n of each."""
    if n >= VL:
        vstore(y, vlow(a, b))
        vstore(y + VL, vhigh(a, b))
    else:
        vstore_n(y, vlow(a, b), 2 * n)
        if 2 * n > VL:
            vstore_n(y + VL, vhigh(a, b), 2 * n - VL)


cdef inline void deal(real* y, Py_ssize_t scale, const vreal* v, Py_ssize_t n) noexcept nogil:
    """Store the lanes of v[0] to v[scale - 1] in turn, n of each; scale is 2 or 4."""
    if scale == 2:
        deal_two(y, v[0], v[1], n)
    else:
        deal_two(y, vlow(v[0], v[2]), vlow(v[1], v[3]), min(2 * n, <Py_ssize_t> VL))
        if 2 * n > VL:
            deal_two(y + 2 * VL, vhigh(v[0], v[2]), vhigh(v[1], v[3]), 2 * n - VL)


cdef inline void repeat_columns(const real* x, real* y, Py_ssize_t W,
                                Py_ssize_t scale) noexcept nogil:
    cdef Py_ssize_t i, k
    cdef vreal v[4]
    if scale == 1:
        memcpy(y, x, W * sizeof(real))
    elif scale == 2 or scale == 4:
        for i from 0 <= i < W by VL:
            v[0] = v[1] = v[2] = v[3] = vload_n(x + i, W - i)
            deal(y + i * scale, scale, v, W - i)
    else:
        for i in range(W):
            for k in range(scale):
                y[i * scale + k] = x[i]


cdef void nearest_rows(void* args, Py_ssize_t begin, Py_ssize_t end) noexcept nogil:
    cdef const Resampling* g = <const Resampling*> args
    cdef Py_ssize_t item, k, width = g.W * g.columns
    cdef real* y
    for item in range(begin, end):
        y = g.y + item * g.rows * width
        repeat_columns(g.x + item * g.W, y, g.W, g.columns)
        for k in range(1, g.rows):
            memcpy(y + k * width, y, width * sizeof(real))


cdef void nearest_sums(void* args, Py_ssize_t begin, Py_ssize_t end) noexcept nogil:
    """The gradient: x is dy, and y is dx."""
    cdef const Resampling* g = <const Resampling*> args
    cdef Py_ssize_t width = g.W * g.columns
    cdef Py_ssize_t block = max(<Py_ssize_t> 1, ROOM // g.columns)
    cdef Py_ssize_t item, w, n, i, k, size
    cdef const real* dy
    cdef real* dx
    cdef real room[ROOM + 2 * VL]
    cdef vreal acc, first, second
    memset(room, 0, sizeof(room))
    for item in range(begin, end):
        for w from 0 <= w < g.W by block:
            n = min(block, g.W - w)
            size = n * g.columns
            dy = g.x + item * g.rows * width + w * g.columns
            for i from 0 <= i < size by VL:
                acc = vzero()
                for k in range(g.rows):
                    acc = acc + vload_n(dy + k * width + i, size - i)
                vstore_n(room + i, acc, size - i)
            dx = g.y + item * g.W + w
            for i from 0 <= i < n by VL:
                acc = vzero()
                if g.columns == 2:
                    first, second = vload(room + 2 * i), vload(room + 2 * i + VL)
                    acc = acc + vevens(first, second)
                    acc = acc + vodds(first, second)
                else:
                    for k in range(g.columns):
                        acc = acc + vload_strided(room + i * g.columns + k, g.columns, n - i)
                vstore_n(dx + i, acc, n - i)


cdef inline vreal mixed(vreal middle, vreal other, real centre, real side) noexcept nogil:
    return vmadd(middle * vset1(centre), other, vset1(side))


cdef inline void mix_rows(const real* middle, const real* other, real centre, real side,
                          Py_ssize_t n, real* to) noexcept nogil:
    """to = centre * middle + side * other, or middle if there is no other."""
    cdef Py_ssize_t i
    for i from 0 <= i < n by VL:
        if other == NULL:
            vstore_n(to + i, vload_n(middle + i, n - i), n - i)
        else:
            vstore_n(to + i, mixed(vload_n(middle + i, n - i), vload_n(other + i, n - i), centre,
                                   side), n - i)


cdef inline vreal phase(const real* room, Py_ssize_t k, Py_ssize_t scale,
                        const real* u) noexcept nogil:
    """Output k of each of VL inputs, of which the first is room[1]."""
    cdef Py_ssize_t q = scale // 2
    cdef vreal middle = vload(room + 1)
    if k < q:
        return mixed(middle, vload(room), u[q + k], u[q + scale + k])
    if k < scale - q:
        return middle
    return mixed(middle, vload(room + 2), u[q + k], u[q + k - scale])


cdef inline void mix_columns(const real* room, Py_ssize_t n, Py_ssize_t scale, const real* u,
                             real* y) noexcept nogil:
    """Write n * scale outputs; of `room` VL numbers may be read beyond what n outputs need."""
    cdef Py_ssize_t i, k
    cdef vreal v[4]
    for i from 0 <= i < n by VL:
        if scale == 2:
            v[0], v[1] = phase(room + i, 0, 2, u), phase(room + i, 1, 2, u)
            deal(y + 2 * i, 2, v, n - i)
        elif scale == 4:
            for k in range(4):
                v[k] = phase(room + i, k, 4, u)
            deal(y + 4 * i, 4, v, n - i)
        else:
            for k in range(scale):
                vstore_strided(y + i * scale + k, scale, phase(room + i, k, scale, u), n - i)


cdef void bilinear_rows(void* args, Py_ssize_t begin, Py_ssize_t end) noexcept nogil:
    cdef const Resampling* g = <const Resampling*> args
    cdef Py_ssize_t item, h, w, n, k, q = g.rows // 2
    cdef Py_ssize_t left, right, other
    cdef const real* x
    cdef const real* beside
    cdef const real* u = g.row_weights
    cdef real centre, side
    cdef real room[COLUMNS + 2 + VL]
    memset(room, 0, sizeof(room))
    for item in range(begin, end):
        h = item % g.H
        for w from 0 <= w < g.W by COLUMNS:
            n = min(<Py_ssize_t> COLUMNS, g.W - w)
            left, right = min(w, 1), min(g.W - w - n, 1)     # neighbours that there are
            x = g.x + item * g.W + w
            for k in range(g.rows):
                centre, side, other = u[q + k], 0, 0
                if k < q:
                    side, other = u[q + g.rows + k], -min(h, 1)
                elif k >= g.rows - q:
                    side, other = u[q + k - g.rows], min(g.H - 1 - h, 1)
                beside = NULL
                if side != 0:
                    beside = x - left + other * g.W
                mix_rows(x - left, beside, centre, side, left + n + right, room + 1 - left)
                if not left:
                    room[0] = room[1]
                if not right:
                    room[n + 1] = room[n]
                mix_columns(room, n, g.columns, g.column_weights,
                            g.y + ((item * g.rows + k) * g.W + w) * g.columns)


cdef inline Py_ssize_t mirrored(Py_ssize_t i, Py_ssize_t size) noexcept nogil:
    return -1 - i if i < 0 else 2 * size - 1 - i if i >= size else i


cdef inline void sum_columns(const real* room, Py_ssize_t n, Py_ssize_t scale, const real* u,
                             real* to) noexcept nogil:
    """to[i] = the sum of u[k] room[i scale + k]; of `room` 2 VL numbers more may be read."""
    cdef Py_ssize_t i, k, taps = scale + scale // 2 * 2
    cdef const real* at
    cdef vreal acc, a, b, c
    for i from 0 <= i < n by VL:
        at = room + i * scale
        if scale == 2:
            a, b, c = vload(at), vload(at + VL), vload(at + 2)
            acc = vevens(a, b) * vset1(u[0])
            acc = vmadd(acc, vodds(a, b), vset1(u[1]))
            b = vload(at + 2 + VL)
            acc = vmadd(acc, vevens(c, b), vset1(u[2]))
            acc = vmadd(acc, vodds(c, b), vset1(u[3]))
        else:
            acc = vload_strided(at, scale, n - i) * vset1(u[0])
            for k in range(1, taps):
                acc = vmadd(acc, vload_strided(at + k, scale, n - i), vset1(u[k]))
        vstore_n(to + i, acc, n - i)


cdef void bilinear_sums(void* args, Py_ssize_t begin, Py_ssize_t end) noexcept nogil:
    """The gradient: x is dy, and y is dx."""
    cdef const Resampling* g = <const Resampling*> args
    cdef Py_ssize_t OH = g.H * g.rows, OW = g.W * g.columns
    cdef Py_ssize_t q = g.columns // 2, above = g.rows // 2
    cdef Py_ssize_t taps = g.rows + 2 * above
    cdef Py_ssize_t block = max(<Py_ssize_t> 1, (ROOM - 2 * q) // g.columns)
    cdef Py_ssize_t item, h, w, n, i, k, first, last
    cdef const real* plane
    cdef const real* u = g.row_weights
    cdef const real* rows[2 * MOST_SCALE]
    cdef real room[ROOM + 4 * VL]
    cdef vreal acc
    memset(room, 0, sizeof(room))
    for item in range(begin, end):
        h = item % g.H
        plane = g.x + item // g.H * OH * OW
        for k in range(taps):
            rows[k] = plane + mirrored(h * g.rows - above + k, OH) * OW
        for w from 0 <= w < g.W by block:
            n = min(block, g.W - w)
            first = max(w * g.columns - q, <Py_ssize_t> 0)
            last = min((w + n) * g.columns + q, OW)
            for i from first <= i < last by VL:
                acc = vload_n(rows[0] + i, last - i) * vset1(u[0])
                for k in range(1, taps):
                    acc = vmadd(acc, vload_n(rows[k] + i, last - i), vset1(u[k]))
                vstore_n(room + q + i - w * g.columns, acc, last - i)
            if w == 0:
                for k in range(q):
                    room[q - 1 - k] = room[q + k]
            if w + n == g.W:
                for k in range(q):
                    room[q + n * g.columns + k] = room[q + n * g.columns - 1 - k]
            sum_columns(room, n, g.columns, g.column_weights, g.y + item * g.W + w)


def upsample2d(const real[:, :, ::1] x, real[:, :, ::1] y, scale, weights, Py_ssize_t part, Py_ssize_t parts,
               int threads):
    """y (P, H rows, W columns) = planes x (P, H, W) scaled by (rows, columns), to the nearest
    pixel, or bilinear if `weights` is a pair of arrays and not None."""
    cdef Resampling g
    cdef const real[::1] down, along
    cdef task_t task = nearest_rows
    g.x, g.y = &x[0, 0, 0], &y[0, 0, 0]
    g.H, g.W = x.shape[1], x.shape[2]
    g.rows, g.columns = scale
    if weights is not None:
        down, along = weights
        g.row_weights, g.column_weights = &down[0], &along[0]
        task = bilinear_rows
    with nogil:
        run_items(task, &g, x.shape[0] * g.H, part, parts, 1, threads)


def upsample2d_backward(const real[:, :, ::1] dy, real[:, :, ::1] dx, scale, weights, Py_ssize_t part,
                        Py_ssize_t parts, int threads):
    """dx (P, H, W) = the gradient of `upsample2d` for dy (P, H rows, W columns)."""
    cdef Resampling g
    cdef const real[::1] down, along
    cdef task_t task = nearest_sums
    g.x, g.y = &dy[0, 0, 0], &dx[0, 0, 0]
    g.H, g.W = dx.shape[1], dx.shape[2]
    g.rows, g.columns = scale
    if weights is not None:
        down, along = weights
        g.row_weights, g.column_weights = &down[0], &along[0]
        task = bilinear_sums
    with nogil:
        run_items(task, &g, dx.shape[0] * g.H, part, parts, 1, threads)
