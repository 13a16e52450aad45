# The gradient of the weights: dweight[k, c, r, s] = sum of dy[n, k, i, j] * x[n, c, i', j'].
#
# With filters in the lanes it is the register tile again.  Its "pixels" are input channels, which
# are a constant stride apart.  Its nest walks the pixels of a chunk.  Its "weights" are the chunk
# of dy, transposed so that filters are contiguous:
#
#   dy[n, panel of k, <= CHUNK pixels]  -- transposed -->  chunk[pixel][LANES]   (stack)
#   total[c][r][s][LANES] += sum over pixels of x[c, pixel + (r, s)] * chunk[pixel][LANES]
#
# If the last panel has at most VL filters, it is a single vector wide.  A chunk is one block of the
# sum, in the chains of stretches.pxi.  The order of the sum is that of rounds.pxi: totals live in
# partial sums in the workspace, and the geometry fixes how many there are.

cdef struct WeightGradient:
    const real* x
    const real* dy
    real* partial                          # [part][group][panel][c][r][s][lanes]
    real* dweight                          # [k][c][r][s]; until the end the total of the rounds
    Py_ssize_t N, groups, C, K
    Py_ssize_t xn, xc, xh, xw
    Py_ssize_t yn, yk, yh, yw
    Axis rows, columns
    Py_ssize_t panels, sums, channel_blocks
    Py_ssize_t blocks                      # blocks of filters or panels that items are cut into
    Py_ssize_t height, pieces              # rows of a chunk; chunks side by side
    Rounds rounds
    Py_ssize_t inside                      # `inside_end` of the columns (planes_gradient.pxi)
    bint whole                             # whether an item's totals are done in one call


cdef void transpose_chunk(const real* dy, Py_ssize_t yk, Py_ssize_t yh, Py_ssize_t yw,
                          Py_ssize_t height, Py_ssize_t width, Py_ssize_t filters,
                          Py_ssize_t lanes, real* chunk) noexcept nogil:
    """chunk[pixel][LANES] = dy[filter][pixel], with zeros in those of `lanes` without a filter."""
    cdef vreal block[VL]
    cdef Py_ssize_t i, j, count, lane, k
    cdef const real* from_
    if yh == width * yw:  # one long row
        width, height = width * height, 1
    if yw != 1 or height * width < VL:
        for i in range(height):
            for j in range(width):
                for lane in range(lanes):
                    chunk[lane] = dy[lane * yk + i * yh + j * yw] if lane < filters else 0
                chunk += LANES
        return
    for i in range(height):
        for lane from 0 <= lane < lanes by VL:
            from_ = dy + lane * yk + i * yh
            j = 0
            while lane + VL <= filters and j + VL <= width:
                for k in range(VL):
                    block[k] = vload(from_ + k * yk + j)
                vtranspose(block)
                for k in range(VL):
                    vstore(chunk + (j + k) * LANES + lane, block[k])
                j += VL
            while j < width:
                count = min(<Py_ssize_t> VL, width - j)
                for k in range(VL):
                    block[k] = vload_n(from_ + k * yk + j, count) if lane + k < filters \
                        else vzero()
                vtranspose(block)
                for k in range(VL):
                    if k < count:
                        vstore(chunk + (j + k) * LANES + lane, block[k])
                j += VL
        chunk += width * LANES


cdef void add_chunk(const WeightGradient* g, const real* x, const Py_ssize_t* places,
                    const real* chunk, Py_ssize_t top, Py_ssize_t bottom, Py_ssize_t left,
                    Py_ssize_t right, Py_ssize_t channels, Py_ssize_t lanes, bint fresh,
                    real* total) noexcept nogil:
    """Add a chunk's products to the totals of `channels` channels at x + places[.]; a `fresh` chunk
    begins these totals."""
    cdef Steps all_ = cut_steps(bottom - top, right - left, g.rows.stride * g.xh,
                                g.columns.stride * g.xw, not g.rounds.several)
    cdef Steps clipped
    cdef const Steps* steps
    cdef const real* at
    cdef Py_ssize_t row = g.rows.taps * g.columns.taps * lanes
    cdef Py_ssize_t c, r, s, i0, i1, j0, j1
    for r in range(g.rows.taps):
        outputs_inside(&g.rows, r, top, bottom, &i0, &i1)
        for s in range(g.columns.taps):
            outputs_inside(&g.columns, s, left, right, &j0, &j1)
            if not g.whole:                # totals come from memory: prefetch the next tap's
                for c in range(channels):
                    vprefetch_write(total + c * row + lanes)
            steps = &all_
            if i0 > top or i1 < bottom or j0 > left or j1 < right:
                clip_steps(&all_, i0 - top, i1 - top, j0 - left, j1 - left, &clipped)
                steps = &clipped
            at = x + (top * g.rows.stride + g.rows.offset + r * g.rows.dilation) * g.xh \
                + (left * g.columns.stride + g.columns.offset + s * g.columns.dilation) * g.xw
            add_steps(channels, <int> (lanes // VL), at, places, chunk, steps, fresh, total, row)
            total += lanes


cdef inline Py_ssize_t panel_lanes(const WeightGradient* g, Py_ssize_t panel) noexcept nogil:
    """The lanes of a panel: one vector will do for the last filters."""
    return VL if g.K - panel * LANES <= VL else LANES


include "convolution/weight_gradient/joining.pxi"


cdef inline Py_ssize_t chunk_place(const WeightGradient* g, Py_ssize_t chunk, Py_ssize_t* top,
                                   Py_ssize_t* bottom, Py_ssize_t* left,
                                   Py_ssize_t* right) noexcept nogil:
    """Find the output pixels of a chunk; return its image."""
    cdef Py_ssize_t piece = (chunk - g.rounds.first) % g.pieces
    cdef Py_ssize_t row = (chunk - g.rounds.first) // g.pieces
    cdef Py_ssize_t in_image = ceil_div(g.rows.outputs, g.height)
    top[0] = row % in_image * g.height
    bottom[0] = min(top[0] + g.height, g.rows.outputs)
    left[0] = piece * g.columns.outputs // g.pieces
    right[0] = (piece + 1) * g.columns.outputs // g.pieces
    return row // in_image


cdef void add_partial_sums(void* args, Py_ssize_t begin, Py_ssize_t end) noexcept nogil:
    """Items are (partial sum, group, panel of filters, block of 64 channels)."""
    cdef const WeightGradient* g = <const WeightGradient*> args
    cdef vreal chunk_memory[CHUNK * NV]
    cdef real* chunk = <real*> chunk_memory
    cdef Py_ssize_t taps = g.rows.taps * g.columns.taps
    cdef Py_ssize_t item, rest, channel, channels, panel, group, n, top, bottom, left, right
    cdef Py_ssize_t filters, lanes, at, last, run
    cdef Py_ssize_t places[64]
    cdef real* total
    cdef real* place = NULL
    for channel in range(64):
        places[channel] = channel * g.xc
    for item in range(begin, end):
        rest = item
        channel = rest % g.channel_blocks * 64
        channels = min(<Py_ssize_t> 64, g.C - channel)
        rest //= g.channel_blocks
        panel = rest % g.panels
        filters = min(<Py_ssize_t> LANES, g.K - panel * LANES)
        lanes = panel_lanes(g, panel)
        total = g.partial + rest * taps * g.C * LANES + channel * taps * lanes
        if g.whole:
            # dweight is written before the next item begins, so items share a place in the cache
            if item == begin:
                place = g.partial + (rest * g.C + channel) * taps * LANES
            total = place
        rest //= g.panels
        group = rest % g.groups
        run = chunks_now(&g.rounds, rest // g.groups, &at, &last)
        for at in range(at, last):
            n = chunk_place(g, at, &top, &bottom, &left, &right)
            transpose_chunk(
                g.dy + n * g.yn + (group * g.K + panel * LANES) * g.yk + top * g.yh + left * g.yw,
                g.yk, g.yh, g.yw, bottom - top, right - left, filters, lanes, chunk)
            add_chunk(g, g.x + n * g.xn + (group * g.C + channel) * g.xc, places, chunk, top,
                      bottom, left, right, channels, lanes, begins_anew(&g.rounds, run, at),
                      total)
            if g.sums == 1 and at + 1 == run_start(&g.rounds, run + 1):
                join_item(g, item, total, run)
                run += 1


include "convolution/depthwise/planes_gradient.pxi"
include "convolution/depthwise/quads.pxi"
include "convolution/depthwise/quads_gradient.pxi"
include "convolution/depthwise/bands_gradient.pxi"
include "convolution/weight_gradient/points_gradient.pxi"
include "convolution/weight_gradient/columns_gradient.pxi"
include "convolution/weight_gradient/taps_gradient.pxi"


cdef Py_ssize_t cut_items(Py_ssize_t items, int threads, Py_ssize_t least,
                          Py_ssize_t most) noexcept nogil:
    """How many blocks to cut each of `items` into: as few as keep all threads busy."""
    return clamp((2 * threads + items - 1) // items if threads > 1 else 1, least, most)


include "convolution/weight_gradient/engines.pxi"


def conv2d_backward_weight(const real[:, :, :, :] x, const real[:, :, :, :] dy,
                           real[::1] partial, real[:, :, :, ::1] dweight, stride, pad,
                           dilation, Py_ssize_t groups, Py_ssize_t sums, bint exact,
                           Py_ssize_t part, Py_ssize_t parts, int threads):
    """dweight = gradient of the weights through `sums` partial sums, 0 for groups of few filters.

    A part is a share of the pixels; after the last part the partial sums are added and dweight is
    written.  Return the place in `weight_engines` of the engine that ran.  Return -1 if dweight is
    not finite and that may come from a product with a zero of the padding: then it has to be
    computed again by an `exact` engine.  With 0 parts nothing runs.
    """
    cdef WeightGradient g
    cdef WeightWork work
    cdef Py_ssize_t items
    cdef int engine
    cdef bint again = False
    g.x, g.dy = &x[0, 0, 0, 0], &dy[0, 0, 0, 0]
    g.dweight = &dweight[0, 0, 0, 0]
    g.N, g.groups, g.sums = x.shape[0], groups, sums
    g.C, g.K = x.shape[1] // groups, dy.shape[1] // groups
    g.rows = window_axis(dy.shape[2], x.shape[2], dweight.shape[2], stride[0], pad[0],
                         dilation[0])
    g.columns = window_axis(dy.shape[3], x.shape[3], dweight.shape[3], stride[1], pad[1],
                            dilation[1])
    set_strides(&g, x, dy)
    if sums > 0:
        g.partial = &partial[0]
        items = g.N * ceil_div(g.rows.outputs, g.height) * g.pieces
        g.rounds = plan_rounds(g.N * g.rows.outputs * g.columns.outputs, g.height,
                               ceil_div(g.columns.outputs, g.pieces), items, sums, 0, items)
    work.g, work.exact, work.part, work.parts, work.threads = &g, exact, part, parts, threads
    with nogil:
        engine = choose(&work)
        if parts > 0 and sums == 0:
            run_items(work.add, work.args, work.items, part, parts, 1, threads)
        elif parts > 0:
            add_rounds(&g.rounds, work.add, work.join, &g, work.items, work.joins, part, parts,
                       threads)
            again = weight_table[engine].zeros and part + 1 == parts \
                and (pads(&g.rows) or pads(&g.columns)) \
                and not all_finite(g.dweight, groups * g.K * g.C * g.rows.taps * g.columns.taps)
    return -1 if again else engine


cdef void set_strides(WeightGradient* g, const real[:, :, :, :] x,
                      const real[:, :, :, :] dy) noexcept:
    g.xn = x.strides[0] // <Py_ssize_t> sizeof(real)
    g.xc = x.strides[1] // <Py_ssize_t> sizeof(real)
    g.xh = x.strides[2] // <Py_ssize_t> sizeof(real)
    g.xw = x.strides[3] // <Py_ssize_t> sizeof(real)
    g.yn = dy.strides[0] // <Py_ssize_t> sizeof(real)
    g.yk = dy.strides[1] // <Py_ssize_t> sizeof(real)
    g.yh = dy.strides[2] // <Py_ssize_t> sizeof(real)
    g.yw = dy.strides[3] // <Py_ssize_t> sizeof(real)
    g.panels, g.channel_blocks = (g.K + LANES - 1) // LANES, (g.C + 63) // 64
    g.height = min(max(<Py_ssize_t> 1, CHUNK // g.columns.outputs), g.rows.outputs)
    g.pieces = (g.columns.outputs + CHUNK - 1) // CHUNK
