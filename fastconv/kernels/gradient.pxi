# The gradient of the weights: dweight[k, c, r, s] = sum of dy[n, k, i, j] * x[n, c, i', j'].
#
# With filters in the lanes it is the register tile again: its "pixels" are input channels
# (a constant stride apart), its nest walks the pixels of a chunk, and its "weights" are the
# chunk of dy, transposed so that filters are contiguous:
#
#   dy[n, panel of k, <= CHUNK pixels]  -- transposed -->  chunk[pixel][LANES]   (stack)
#   total[r][s][c][LANES] += sum over pixels of x[c, pixel + (r, s)] * chunk[pixel][LANES]
#
# Where the last panel has at most VL filters it is a single vector wide.  A chunk is one block
# of the sum.  Totals live in a partial sum of the workspace; the
# partial sums, of which the geometry fixes the number, are added in order at the end.

cdef extern from *:
    """
    enum { RUN_LENGTH = 256 };
    """
    enum: RUN_LENGTH                       # numbers of dweight that are written at once

cdef struct WeightGradient:
    const real* x
    const real* dy
    real* partial                          # [part][group][panel][r][s][c][lanes]
    real* dweight                          # [k][c][r][s], NULL where more slabs may come
    Py_ssize_t N, groups, C, K
    Py_ssize_t xn, xc, xh, xw
    Py_ssize_t yn, yk, yh, yw
    Axis rows, columns
    Py_ssize_t panels, sums, channel_blocks
    Py_ssize_t blocks                      # of filters, where taps are in the lanes
    Py_ssize_t part, parts                 # which share of the chunks this call adds
    Py_ssize_t inside                      # columns of whole vectors, in planes
    bint begun                             # whether the totals hold something already
    bint whole                             # whether an item's totals are done in one call


cdef struct Totals:                        # of a panel of filters
    real* at                               # [r][s][width][lanes]
    Py_ssize_t width, first                # the channels that it holds


cdef void transpose_chunk(const real* dy, Py_ssize_t yk, Py_ssize_t yh, Py_ssize_t yw,
                          Py_ssize_t height, Py_ssize_t width, Py_ssize_t filters,
                          Py_ssize_t lanes, real* chunk) noexcept nogil:
    """chunk[pixel][LANES] = dy[filter][pixel], zero in those of `lanes` that have no filter."""
    cdef vreal block[VL]
    cdef Py_ssize_t i, j, count, lane, k
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
        for j from 0 <= j < width by VL:
            count = min(<Py_ssize_t> VL, width - j)
            for lane from 0 <= lane < lanes by VL:
                for k in range(VL):
                    block[k] = vload_n(dy + (lane + k) * yk + i * yh + j, count) \
                        if lane + k < filters else vzero()
                vtranspose(block)
                for k in range(VL):
                    if k < count:
                        vstore(chunk + (j + k) * LANES + lane, block[k])
        chunk += width * LANES


cdef inline real* find_total(const WeightGradient* g, const Totals* total, Py_ssize_t r,
                             Py_ssize_t s, Py_ssize_t channel, Py_ssize_t lanes) noexcept nogil:
    return total.at + ((r * g.columns.taps + s) * total.width + channel - total.first) * lanes


cdef void add_chunk(const WeightGradient* g, const real* x, const real* chunk,
                    Py_ssize_t top, Py_ssize_t bottom, Py_ssize_t left, Py_ssize_t right,
                    Py_ssize_t channel, Py_ssize_t channels, Py_ssize_t lanes, bint fresh,
                    const Totals* total) noexcept nogil:
    """Add a chunk's products to the totals of `channels` channels from `channel`; a fresh chunk
    is the first."""
    cdef const real* at
    cdef real* to
    cdef Nest nest
    cdef Py_ssize_t r, s, i0, i1, j0, j1, pieces, piece, first, count
    nest.n1, nest.x1, nest.w1, nest.fresh = 1, 0, 0, fresh
    nest.x2 = g.rows.stride * g.xh
    nest.x3 = g.columns.stride * g.xw
    nest.w2 = (right - left) * LANES
    pieces = ceil_div(channels, SLIM if lanes == VL else TILE)
    for r in range(g.rows.taps):
        outputs_inside(&g.rows, r, top, bottom, &i0, &i1)
        for s in range(g.columns.taps):
            outputs_inside(&g.columns, s, left, right, &j0, &j1)
            nest.n2, nest.n3 = i1 - i0, j1 - j0
            if nest.n2 == 0 or nest.n3 == 0:
                if fresh:
                    memset(find_total(g, total, r, s, channel, lanes), 0,
                           channels * lanes * sizeof(real))
                continue
            for piece in range(pieces):
                first = channel + piece * channels // pieces
                count = channel + (piece + 1) * channels // pieces - first
                at = x + first * g.xc \
                    + (i0 * g.rows.stride + g.rows.offset + r * g.rows.dilation) * g.xh \
                    + (j0 * g.columns.stride + g.columns.offset + s * g.columns.dilation) * g.xw
                to = find_total(g, total, r, s, first, lanes)
                if lanes == VL:
                    slim_tile(<int> count, at, g.xc,
                              chunk + ((i0 - top) * (right - left) + j0 - left) * LANES, &nest,
                              <vreal*> to)
                else:
                    wide_tile(<int> count, at, g.xc,
                              chunk + ((i0 - top) * (right - left) + j0 - left) * LANES, &nest,
                              <vreal*> to)


cdef inline Py_ssize_t panel_lanes(const WeightGradient* g, Py_ssize_t panel) noexcept nogil:
    """One vector will do for the last filters."""
    return VL if g.K - panel * LANES <= VL else LANES


cdef void finish_weights(void* args, Py_ssize_t begin, Py_ssize_t end) noexcept nogil:
    """Add the partial sums in order and write dweight; items are (group, panel, 64 channels)."""
    cdef const WeightGradient* g = <const WeightGradient*> args
    cdef Totals total
    cdef Py_ssize_t item
    total.width, total.first = g.C, 0
    for item in range(begin, end):
        total.at = g.partial \
            + item // g.channel_blocks * g.rows.taps * g.columns.taps * g.C * LANES
        finish_item(g, item, &total)


cdef void finish_item(const WeightGradient* g, Py_ssize_t item,
                      const Totals* total) noexcept nogil:
    """Write the dweight of (group, panel, 64 channels); total is that of the first partial sum.

    Channels and taps are neighbours in dweight.  VL of them are transposed at a time, wherever
    their sums lie; RUN_LENGTH are gathered before they are written, for rows of dweight often share
    their place in the cache, and must not push each other out half written.
    """
    cdef real rows[VL * RUN_LENGTH]
    cdef vreal block[VL]
    cdef Py_ssize_t taps = g.rows.taps * g.columns.taps
    cdef Py_ssize_t size = g.groups * g.panels * taps * g.C * LANES
    cdef Py_ssize_t panel = item // g.channel_blocks % g.panels
    cdef Py_ssize_t group = item // g.channel_blocks // g.panels
    cdef Py_ssize_t lanes = panel_lanes(g, panel)
    cdef Py_ssize_t last = min((item % g.channel_blocks + 1) * 64, g.C) * taps
    cdef Py_ssize_t places[RUN_LENGTH]
    cdef Py_ssize_t first, count, k, lane, share, i, c, t, at
    for first from item % g.channel_blocks * 64 * taps <= first < last by RUN_LENGTH:
        count = min(last - first, <Py_ssize_t> RUN_LENGTH)
        c, t = first // taps, first % taps
        for at in range(ceil_div(count, VL) * VL):  # where the sums lie; what is none is not written
            places[at] = (t * total.width + c - total.first) * lanes if at < count else 0
            t += 1
            if t == taps:
                c, t = c + 1, 0
        for lane from 0 <= lane < lanes by VL:
            k = panel * LANES + lane
            for at from 0 <= at < count by VL:
                for i in range(VL):
                    block[i] = vload(total.at + places[at + i] + lane)
                for share in range(1, g.sums):
                    for i in range(VL):
                        block[i] = block[i] + vload(total.at + share * size + places[at + i] + lane)
                vtranspose(block)
                for i in range(VL):
                    vstore(rows + i * RUN_LENGTH + at, block[i])
            for i in range(min(<Py_ssize_t> VL, g.K - k)):
                memcpy(g.dweight + (group * g.K + k + i) * g.C * taps + first,
                       rows + i * RUN_LENGTH, count * sizeof(real))


cdef void add_partial_sums(void* args, Py_ssize_t begin, Py_ssize_t end) noexcept nogil:
    """Items are (share of the batch, group, panel of filters, block of 64 channels).

    A call adds one part of an item's chunks, so that a long sum is no single long call.
    """
    cdef const WeightGradient* g = <const WeightGradient*> args
    cdef real chunk[CHUNK * LANES]
    cdef Py_ssize_t taps = g.rows.taps * g.columns.taps
    cdef Py_ssize_t item, rest, channel, channels, panel, group, share, n, i, j, height
    cdef Py_ssize_t pieces, piece, right, bottom, filters, lanes, row_chunks, chunks, q, first
    cdef Totals total
    cdef real* place = NULL
    pieces = (g.columns.outputs + CHUNK - 1) // CHUNK
    height = max(<Py_ssize_t> 1, CHUNK // g.columns.outputs)
    row_chunks = (g.rows.outputs + height - 1) // height
    for item in range(begin, end):
        rest = item
        channel = rest % g.channel_blocks * 64
        channels = min(<Py_ssize_t> 64, g.C - channel)
        rest //= g.channel_blocks
        total.at, total.width, total.first = g.partial + rest * taps * g.C * LANES, g.C, 0
        if g.whole:
            # written before the next item begins, which takes the same place, in the cache
            total.at += item % g.channel_blocks * 64 * taps * LANES
            total.width, total.first = channels, channel
            if item == begin:
                place = total.at
            total.at = place
        panel = rest % g.panels
        filters = min(<Py_ssize_t> LANES, g.K - panel * LANES)
        lanes = panel_lanes(g, panel)
        rest //= g.panels
        group = rest % g.groups
        share = rest // g.groups
        first = share * g.N // g.sums
        chunks = ((share + 1) * g.N // g.sums - first) * row_chunks
        for q in range(g.part * chunks // g.parts, (g.part + 1) * chunks // g.parts):
            n = first + q // row_chunks
            i = q % row_chunks * height
            bottom = min(i + height, g.rows.outputs)
            for piece in range(pieces):
                j = piece * g.columns.outputs // pieces
                right = (piece + 1) * g.columns.outputs // pieces
                transpose_chunk(
                    g.dy + n * g.yn + (group * g.K + panel * LANES) * g.yk + i * g.yh
                    + j * g.yw, g.yk, g.yh, g.yw, bottom - i, right - j, filters, lanes, chunk)
                add_chunk(g, g.x + n * g.xn + group * g.C * g.xc, chunk, i, bottom, j, right,
                          channel, channels, lanes, q == 0 and piece == 0 and not g.begun, &total)
        if g.sums == 1 and g.part == g.parts - 1 and g.dweight != NULL:
            finish_item(g, item, &total)  # while the sums are in the cache


include "planes_gradient.pxi"
include "columns_gradient.pxi"


def conv2d_backward_weight(const real[:, :, :, :] x, const real[:, :, :, :] dy,
                           real[::1] partial, real[:, :, :, ::1] dweight, stride, pad,
                           dilation, Py_ssize_t groups, Py_ssize_t sums, int engine,
                           Py_ssize_t part, Py_ssize_t parts, int threads):
    """dweight = gradient of the weights through `sums` partial sums (none with PLANES).

    With PANELS filters are in the lanes, with LINES taps, with PLANES pixels of one channel.

    A part is a share of the pixels; after the last the partial sums are added and dweight is
    written.
    """
    cdef WeightGradient g
    cdef Py_ssize_t items
    g.x, g.dy = &x[0, 0, 0, 0], &dy[0, 0, 0, 0]
    g.dweight = &dweight[0, 0, 0, 0]
    g.N, g.groups = x.shape[0], groups
    g.C, g.K = x.shape[1] // groups, dy.shape[1] // groups
    g.rows = window_axis(dy.shape[2], x.shape[2], dweight.shape[2], stride[0], pad[0],
                         dilation[0])
    g.columns = window_axis(dy.shape[3], x.shape[3], dweight.shape[3], stride[1], pad[1],
                            dilation[1])
    g.xn = x.strides[0] // <Py_ssize_t> sizeof(real)
    g.xc = x.strides[1] // <Py_ssize_t> sizeof(real)
    g.xh = x.strides[2] // <Py_ssize_t> sizeof(real)
    g.xw = x.strides[3] // <Py_ssize_t> sizeof(real)
    g.yn = dy.strides[0] // <Py_ssize_t> sizeof(real)
    g.yk = dy.strides[1] // <Py_ssize_t> sizeof(real)
    g.yh = dy.strides[2] // <Py_ssize_t> sizeof(real)
    g.yw = dy.strides[3] // <Py_ssize_t> sizeof(real)
    g.panels = (g.K + LANES - 1) // LANES
    g.sums, g.part, g.parts, g.begun = sums, part, parts, False
    g.whole = sums == 1 and parts == 1
    g.channel_blocks = (g.C + 63) // 64
    if engine == PLANES_ENGINE:
        items = dy.shape[1] * g.C
        with nogil:
            if dots_windows(&g):
                g.inside = inside_end(&g.columns)
                run_items(dot_task(&g), &g, items, part, parts, 1, threads)
            else:
                items *= g.rows.taps * g.columns.taps
                run_items(dot_planes, &g, items, part, parts, 1, threads)
        return
    g.partial = &partial[0]
    if engine == LINES_ENGINE:
        items = sums * groups * ((g.C * g.rows.taps * g.columns.taps + LANES - 1) // LANES)
        # as few blocks as keep all threads busy
        g.blocks = clamp((2 * threads + items - 1) // items if threads > 1 else 1,
                         (g.K + 127) // 128, (g.K + TILE - 1) // TILE)
        if sums == 1:
            g.partial = g.dweight
        with nogil:
            run_items(add_columns, &g, items * g.blocks, 0, 1, 1, threads)
            if part == parts - 1 and sums > 1:
                run_items(finish_columns, &g, groups * g.K, 0, 1, 16, threads)
        return
    items = sums * groups * g.panels * g.channel_blocks
    with nogil:
        run_items(add_partial_sums, &g, items, 0, 1, 1, threads)
        if part == parts - 1 and sums > 1:
            run_items(finish_weights, &g, groups * g.panels * g.channel_blocks, 0, 1, 1, threads)
