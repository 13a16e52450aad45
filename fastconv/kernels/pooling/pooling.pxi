# Pooling as Python calls it, over windows of R x S taps.  The files that it includes have the
# kernels.  Items are planes (image, channel), cut into blocks of rows.
#
# A window sees only the taps inside the map: padding is minus infinity for the maximum, and is not
# added to the sum of an average.  Of equal maxima the first in row-major order wins, and NaN wins
# over all numbers.

cdef extern from "caches.h":
    bint fc_foresees_rows() noexcept nogil

cdef bint ROWS_FORESEEN = fc_foresees_rows()

cdef extern from *:
    """
    enum { POOL_ROWS = 64,
           FEW_WINDOWS = VL / 4,     /* fewer windows of a row are done one by one */
           PLANE_AHEAD = 16384,     /* the most elements of a plane that is prefetched */
           FROM_MEMORY = 1 << 22 }; /* bytes of a map that the L2 does not hold */
    """
    enum: POOL_ROWS
    enum: FEW_WINDOWS
    enum: PLANE_AHEAD
    enum: FROM_MEMORY

cdef struct Pooling:
    const real* x
    real* y
    void* argmax
    Py_ssize_t H, W
    Axis rows, columns
    Py_ssize_t top, left, bottom, right     # the padding that the average may count
    Py_ssize_t first_column, last_column    # windows whose columns all lie inside the map
    Py_ssize_t planes, blocks               # blocks of POOL_ROWS rows of outputs in a plane
    bint ahead                              # whether planes are prefetched
    bint relu                               # after the maximum; if not positive, it has no tap


cdef inline Py_ssize_t counted(const Axis* axis, Py_ssize_t i, Py_ssize_t before,
                               Py_ssize_t after) noexcept nogil:
    """How many taps of window i lie inside the map and the padding that counts."""
    cdef Py_ssize_t base = i * axis.stride + axis.offset
    return clamp(axis.inputs + after - base, 0, axis.taps) - clamp(-before - base, 0, axis.taps)


cdef inline Py_ssize_t rows_counted(const Pooling* g, Py_ssize_t i) noexcept nogil:
    return counted(&g.rows, i, g.top, g.bottom)


cdef inline Py_ssize_t columns_counted(const Pooling* g, Py_ssize_t j) noexcept nogil:
    return counted(&g.columns, j, g.left, g.right)


cdef inline bint is_whole_plane(const Pooling* g) noexcept nogil:
    """Whether there is one window, and it is the whole map without padding."""
    return g.rows.outputs == 1 and g.columns.outputs == 1 and g.rows.taps == g.H \
        and g.columns.taps == g.W and g.rows.offset == 0 and g.columns.offset == 0 \
        and g.rows.dilation == 1 and g.columns.dilation == 1


cdef inline void prefetch_planes(const Pooling* g, Py_ssize_t plane,
                                 const bint backward) noexcept nogil:
    """Where planes come from memory, prefetch what the plane after next reads and writes; if planes
    are large, the next one.  Not all hardware foresees rows that are not whole vectors.  Where it
    does, as much as a plane at once only keeps loads waiting."""
    cdef Py_ssize_t line = 64 // sizeof(real), i
    cdef Py_ssize_t size = g.H * g.W, outputs = g.rows.outputs * g.columns.outputs
    cdef Py_ssize_t read = outputs if backward else size
    cdef Py_ssize_t written = size if backward else outputs
    plane += 2 if size <= 2048 else 1
    if not g.ahead or plane >= g.planes:
        return
    for i from 0 <= i < read by line:
        vprefetch(g.x + plane * read + i)
    for i from 0 <= i < written by line:
        vprefetch_write(g.y + plane * written + i)
    if g.argmax != NULL:
        for i from 0 <= i < outputs by 64:
            vprefetch(<real*> (<unsigned char*> g.argmax + plane * outputs + i))


include "pooling/max_pooling.pxi"
include "pooling/gather.pxi"
include "pooling/max_gradient.pxi"
include "pooling/winners.pxi"
include "pooling/whole_maxima.pxi"
include "pooling/average_pooling.pxi"
include "pooling/window_sums.pxi"


cdef Pooling pooling(Py_ssize_t planes, Py_ssize_t H, Py_ssize_t W, Py_ssize_t OH, Py_ssize_t OW, kernel, stride,
                     pad, dilation):
    cdef Pooling g
    g.planes, g.H, g.W = planes, H, W
    g.rows = window_axis(OH, H, kernel[0], stride[0], pad[0], dilation[0])
    g.columns = window_axis(OW, W, kernel[1], stride[1], pad[1], dilation[1])
    g.first_column = clamp(ceil_div(-g.columns.offset, g.columns.stride), 0, OW)
    g.last_column = clamp(
        floor_div(W - 1 - g.columns.offset - (g.columns.taps - 1) * g.columns.dilation,
                  g.columns.stride) + 1, g.first_column, OW)
    g.argmax, g.relu = NULL, False
    g.ahead = not ROWS_FORESEEN and H * W <= PLANE_AHEAD \
        and planes * H * W * <Py_ssize_t> sizeof(real) > FROM_MEMORY
    g.top = g.left = g.bottom = g.right = 0
    g.blocks = (OH + POOL_ROWS - 1) // POOL_ROWS
    return g


cdef Py_ssize_t maps_at_once(const Pooling* g, int threads) noexcept nogil:
    """How many items a thread takes at a time: maps may be small, and a kernel gets ready anew each
    time.  Each thread has sixteen turns or more where there are maps enough, so that all end
    together."""
    return max(<Py_ssize_t> 1, min(WHOLE_RUN // max(g.H * g.W, <Py_ssize_t> 1),
                                   g.planes // (16 * threads)))


def max_pool2d(const real[:, :, ::1] x, real[:, :, ::1] y, argmax, kernel, stride, pad, dilation,
               bint relu, Py_ssize_t part, Py_ssize_t parts, int threads):
    """Write maxima of planes (P, H, W) to y (P, OH, OW); argmax is None, or uint8 or int32 like y.

    With relu a maximum that is not positive gets R S as its tap, which means that it has none.
    """
    cdef Pooling g = pooling(x.shape[0], x.shape[1], x.shape[2], y.shape[1], y.shape[2], kernel, stride, pad,
                             dilation)
    cdef unsigned char[:, :, ::1] narrow
    cdef int[:, :, ::1] wide
    cdef task_t task = max_planes_alone
    cdef Bands bands
    cdef bint whole = is_whole_plane(&g)
    g.x, g.y, g.relu = &x[0, 0, 0], &y[0, 0, 0], relu
    if argmax is None:
        if whole:
            task = max_whole_alone
        elif has_halves(&g):
            task = halves_alone
        elif look_at_bands(&g, &bands):
            task = max_bands
        elif has_lines(&g):
            task = lines_task(&g, False)
    else:
        if argmax.itemsize == 1:
            narrow = argmax
            g.argmax = &narrow[0, 0, 0]
            if whole:
                task = max_whole_uint8
            elif has_halves(&g):
                task = halves_with_taps
            elif has_lines(&g):
                task = lines_task(&g, True)
            elif g.rows.taps * g.columns.taps >= 2 * (g.rows.taps + g.columns.taps) \
                    and look_at_bands(&g, &bands):
                task = argmax_bands
            else:
                task = max_planes_uint8
        else:
            wide = argmax
            g.argmax = &wide[0, 0, 0]
            task = max_whole_int32 if whole else max_planes_int32
    with nogil:
        run_items(task, &g, x.shape[0] * g.blocks, part, parts, maps_at_once(&g, threads),
                  threads)


def max_pool2d_backward(const real[:, :, ::1] dy, argmax, real[:, :, ::1] dx, kernel, stride, pad,
                        dilation, Py_ssize_t part, Py_ssize_t parts, int threads):
    """dx = the gradients dy (P, OH, OW), each at the tap that won, as `max_pool2d` wrote argmax."""
    cdef Pooling g = pooling(dx.shape[0], dx.shape[1], dx.shape[2], dy.shape[1], dy.shape[2], kernel, stride,
                             pad, dilation)
    cdef const unsigned char[:, :, ::1] narrow
    cdef const int[:, :, ::1] wide
    cdef task_t task
    cdef bint whole = is_whole_plane(&g)
    cdef Py_ssize_t grain = maps_at_once(&g, threads)
    g.x, g.y = &dy[0, 0, 0], &dx[0, 0, 0]
    if argmax.itemsize == 1:
        narrow = argmax
        g.argmax = <void*> &narrow[0, 0, 0]
        if whole:
            task = max_whole_backward_uint8
        elif has_halves(&g):
            task = spread_maxima
        elif gathers_every(&g):
            task = gather_every_maximum
        elif has_winners(&g):
            task, grain = add_to_winners, MAPS_TOGETHER
        elif gathers_by_two(&g):
            task = gather_maxima
        else:
            task = max_backward_uint8
    else:
        wide = argmax
        g.argmax = <void*> &wide[0, 0, 0]
        task = max_whole_backward_int32 if whole else max_backward_int32
    with nogil:
        run_items(task, &g, dx.shape[0], part, parts, grain, threads)


def scatter(const real[:, :, ::1] dy, const long long[:, :, ::1] indices, real[:, :, ::1] dx,
            Py_ssize_t part, Py_ssize_t parts, int threads):
    """dx (P, H, W) = the gradients dy (P, OH, OW), each added at its flat position in its plane.
    Positions outside the plane are skipped."""
    cdef Pooling g = pooling(dx.shape[0], dx.shape[1], dx.shape[2], dy.shape[1], dy.shape[2], (1, 1), (1, 1),
                             (0, 0), (1, 1))
    g.x, g.y = &dy[0, 0, 0], &dx[0, 0, 0]
    g.argmax = <void*> &indices[0, 0, 0]
    with nogil:
        run_items(scatter_planes, &g, dx.shape[0], part, parts, 1, threads)


def avg_pool2d(const real[:, :, ::1] x, real[:, :, ::1] y, kernel, stride, pad,
               bint count_padding, Py_ssize_t part, Py_ssize_t parts, int threads):
    """Write averages of planes to y; pad is ((top, bottom), (left, right))."""
    cdef Pooling g = pooling(x.shape[0], x.shape[1], x.shape[2], y.shape[1], y.shape[2], kernel, stride,
                             (pad[0][0], pad[1][0]), (1, 1))
    if count_padding:
        (g.top, g.bottom), (g.left, g.right) = pad
    cdef task_t task = average_by_columns if has_window_sums(&g) else average_task(&g)
    g.x, g.y = &x[0, 0, 0], &y[0, 0, 0]
    with nogil:
        run_items(task, &g, x.shape[0] * g.blocks, part, parts, maps_at_once(&g, threads),
                  threads)


def avg_pool2d_backward(const real[:, :, ::1] dy, real[:, :, ::1] dx, kernel, stride, pad,
                        bint count_padding, Py_ssize_t part, Py_ssize_t parts, int threads):
    """dx = the gradients dy, each in equal shares for the taps of its window."""
    cdef Pooling g = pooling(dx.shape[0], dx.shape[1], dx.shape[2], dy.shape[1], dy.shape[2], kernel, stride,
                             (pad[0][0], pad[1][0]), (1, 1))
    if count_padding:
        (g.top, g.bottom), (g.left, g.right) = pad
    cdef task_t task = spread_by_columns
    if is_whole_plane(&g):
        task = average_planes_backward
    elif has_halves(&g):
        task = spread_averages
    elif gathers_by_two(&g):
        task = gather_averages
    elif g.rows.taps <= g.rows.stride and g.columns.taps <= g.columns.stride:
        task = average_planes_backward
    g.x, g.y = &dy[0, 0, 0], &dx[0, 0, 0]
    with nogil:
        run_items(task, &g, dx.shape[0], part, parts, maps_at_once(&g, threads), threads)
