# The end of the gradient of the weights: partial sums are added, round by round (rounds.pxi), and
# turned into the order of dweight, [k][c][r][s].

cdef extern from *:
    """
    enum { RUN_LENGTH = 256 };
    """
    enum: RUN_LENGTH                       # numbers of dweight that are written at once


cdef void finish_item(const WeightGradient* g, Py_ssize_t item, const real* total,
                      Py_ssize_t sums) noexcept nogil:
    """Write the dweight of (group, panel, 64 channels); total is the first of `sums` partial sums.

    VL numbers of VL filters are transposed at a time, or of few where blocks are turned.  RUN_LENGTH
    numbers are gathered before they are written: rows of dweight often share their place in the
    cache, and must not push each other out half written.
    """
    cdef real rows[VL * RUN_LENGTH]
    cdef vreal block[VL]
    cdef Py_ssize_t taps = g.rows.taps * g.columns.taps
    cdef Py_ssize_t size = g.groups * g.panels * taps * g.C * LANES
    cdef Py_ssize_t panel = item // g.channel_blocks % g.panels
    cdef Py_ssize_t group = item // g.channel_blocks // g.panels
    cdef Py_ssize_t lanes = panel_lanes(g, panel)
    cdef Py_ssize_t channel = item % g.channel_blocks * 64
    cdef Py_ssize_t numbers = min(<Py_ssize_t> 64, g.C - channel) * taps
    cdef Py_ssize_t first, count, k, lane, i, at, filters
    cdef const real* from_
    cdef real* row
    for first from 0 <= first < numbers by RUN_LENGTH:
        count = min(numbers - first, <Py_ssize_t> RUN_LENGTH)
        if TURNS_BLOCKS and sums == 1 and count >= VL and g.K - panel * LANES >= lanes:
            write_turned(total + first * lanes, lanes, count, lanes,
                         g.dweight + ((group * g.K + panel * LANES) * g.C + channel) * taps
                         + first, g.C * taps)
            continue
        for lane from 0 <= lane < lanes by VL:
            k = panel * LANES + lane
            row = g.dweight + ((group * g.K + k) * g.C + channel) * taps + first
            filters = min(<Py_ssize_t> VL, g.K - k)
            for i in range(filters):       # these lines arrive while sums are transposed
                for at from 0 <= at < count by LINE:
                    vprefetch_write(row + i * g.C * taps + at)
            from_ = total + first * lanes + lane
            for at from 0 <= at < count by VL:
                for i in range(VL):        # numbers beyond the last repeat it, and are not written
                    k = min(at + i, count - 1) * lanes
                    block[i] = vload(from_ + k) if sums == 1 \
                        else add_sums(from_ + k, size, sums, VL)
                vtranspose(block)
                for i in range(VL):
                    vstore(rows + i * RUN_LENGTH + at, block[i])
            for i in range(filters):
                memcpy(row + i * g.C * taps, rows + i * RUN_LENGTH, count * sizeof(real))


cdef struct Held:
    # the rows of dweight that an item will write; until then they hold its total
    real* row
    Py_ssize_t length, stride              # numbers of a row; from one row to the next
    Py_ssize_t at                          # the next number in the row


cdef inline vreal take_held(Held* held, Py_ssize_t lanes) noexcept nogil:
    """Take the next `lanes` numbers, which may go from row to row."""
    cdef real numbers[VL]
    cdef Py_ssize_t i
    lanes = min(lanes, <Py_ssize_t> VL)
    if held.at + lanes <= held.length:
        held.at += lanes
        return vload_n(held.row + held.at - lanes, lanes)
    for i in range(VL):
        if held.at == held.length:
            held.row, held.at = held.row + held.stride, 0
        numbers[i] = held.row[held.at] if i < lanes else 0
        held.at += i < lanes
    return vload(numbers)


cdef inline void put_held(Held* held, vreal value, Py_ssize_t lanes) noexcept nogil:
    cdef real numbers[VL]
    cdef Py_ssize_t i
    if held.at + lanes <= held.length:
        vstore_n(held.row + held.at, value, lanes)
        held.at += lanes
        return
    vstore(numbers, value)
    for i in range(lanes):
        if held.at == held.length:
            held.row, held.at = held.row + held.stride, 0
        held.row[held.at] = numbers[i]
        held.at += 1


cdef void join_item(const WeightGradient* g, Py_ssize_t item, real* total,
                    Py_ssize_t round) noexcept nogil:
    """Add the partial sums of a round to the total of (group, panel, 64 channels), and write
    dweight after the last round.  `total` is the first partial sum.

    The total waits in the numbers of dweight that this item will write.  It lies in the order of
    the partial sums, but without the lanes that have no filter.
    """
    cdef Py_ssize_t taps = g.rows.taps * g.columns.taps
    cdef Py_ssize_t size = g.groups * g.panels * taps * g.C * LANES
    cdef Py_ssize_t channel = item % g.channel_blocks * 64
    cdef Py_ssize_t channels = min(<Py_ssize_t> 64, g.C - channel)
    cdef Py_ssize_t panel = item // g.channel_blocks % g.panels
    cdef Py_ssize_t group = item // g.channel_blocks // g.panels
    cdef Py_ssize_t filters = min(<Py_ssize_t> LANES, g.K - panel * LANES)
    cdef Py_ssize_t lanes = panel_lanes(g, panel)
    cdef Py_ssize_t length = channels * taps, number, lane, i
    cdef bint last = round + 1 == g.rounds.count
    cdef Held held, after
    cdef real* at = total
    cdef real* row
    cdef vreal sum_, lost
    if g.rounds.count == 1:
        finish_item(g, item, total, g.sums)
        return
    held.row = g.dweight + ((group * g.K + panel * LANES) * g.C + channel) * taps
    held.length, held.stride, held.at = length, g.C * taps, 0
    if filters == lanes:                   # every lane has a filter: total and sums lie alike
        for lane in range(lanes):
            row = held.row + lane * held.stride
            at = total + lane * length
            if round == 0 and g.sums == 1:  # nothing is lost, the next chunk begins anew
                memcpy(row, at, length * sizeof(real))
                continue
            for i from 0 <= i < length by VL:
                sum_ = vzero() if round == 0 else vload_n(row + i, length - i)
                sum_ = join_sums(at + i, size, g.sums, sum_, length - i, &lost)
                if not last:
                    vstore_n(row + i, sum_, length - i)
                vstore_n(at + i, sum_ if last else lost, length - i)
    else:
        for number in range(length):
            for lane from 0 <= lane < lanes by VL:
                after = held
                sum_ = take_held(&held, filters - lane)
                sum_ = join_sums(at + lane, size, g.sums, vzero() if round == 0 else sum_, VL,
                                 &lost)
                if not last:
                    put_held(&after, sum_, min(<Py_ssize_t> VL, filters - lane))
                vstore(at + lane, sum_ if last else lost)
            at += lanes
    if last:
        finish_item(g, item, total, 1)


cdef void join_weights(void* args, Py_ssize_t begin, Py_ssize_t end) noexcept nogil:
    """Join a round of several partial sums; items are (group, panel, 64 channels)."""
    cdef const WeightGradient* g = <const WeightGradient*> args
    cdef Py_ssize_t taps = g.rows.taps * g.columns.taps, item, panel
    for item in range(begin, end):
        panel = item // g.channel_blocks
        join_item(g, item, g.partial + panel * taps * g.C * LANES
                  + item % g.channel_blocks * 64 * taps * panel_lanes(g, panel % g.panels),
                  g.rounds.round)
