# Rows of a table by their numbers, and the gradient of the table.
#
#     numbers   3 1 3 0         order   3 | 1 | - | 0 2        positions by number, in their order
#                               starts  0   1   2   2   4
#
# The gradient of row r is the sum of dy over the positions in its part of the order.  Numbers are
# counted and laid out by one thread; then every row is a sum of its own, in blocks of 32 positions
# that are added in float64.  So no thread waits for another, and no bit depends on their number.

cdef enum:
    ROW_VECTORS = 64                       # vectors of a row that are summed together
    ROW_BLOCK = 32                         # positions of a chain of additions
    ROWS_AHEAD = 2                         # positions from the one that is read to that prefetched

cdef struct Table:
    const unsigned char* numbers           # of 1, 4 or 8 bytes each
    int width
    const real* source                     # the table, or dy
    real* out
    const long long* order
    const long long* starts
    Py_ssize_t count, entries, units


cdef inline long long number_at(const Table* t, Py_ssize_t i) noexcept nogil:
    if t.width == 8:
        return (<const long long*> t.numbers)[i]
    if t.width == 4:
        return (<const int*> t.numbers)[i]
    return t.numbers[i]


cdef void copy_rows(void* args, Py_ssize_t begin, Py_ssize_t end) noexcept nogil:
    """Items are positions."""
    cdef const Table* t = <const Table*> args
    cdef Py_ssize_t i
    for i in range(begin, end):
        memcpy(t.out + i * t.units, t.source + number_at(t, i) * t.units, t.units * sizeof(real))


cdef inline void add_positions(const Table* t, Py_ssize_t first, Py_ssize_t at, Py_ssize_t last,
                               Py_ssize_t room, vreal* block) noexcept nogil:
    """Sum up to ROW_VECTORS vectors of some positions.  No hardware foresees where the next lie, so
    they are prefetched."""
    cdef Py_ssize_t i, v, whole = room // VL
    cdef const real* dy
    cdef const real* ahead
    for v from 0 <= v < room by VL:
        block[v // VL] = vzero()
    for i in range(at, last):
        dy = t.source + t.order[i] * t.units + first
        ahead = t.source + t.order[min(i + ROWS_AHEAD, t.count - 1)] * t.units + first
        for v from 0 <= v < room by 64 // sizeof(real):
            vprefetch(ahead + v)
        for v in range(whole):
            block[v] = block[v] + vload(dy + v * VL)
        if whole * VL < room:
            block[whole] = block[whole] + vload_n(dy + whole * VL, room - whole * VL)


cdef void sum_rows(void* args, Py_ssize_t begin, Py_ssize_t end) noexcept nogil:
    """Items are ROW_VECTORS vectors of a row of the gradient."""
    cdef Table t = (<const Table*> args)[0]  # a copy of our own, which no store can change
    cdef double totals[ROW_VECTORS * VL]
    cdef vreal block[ROW_VECTORS]
    cdef real* out
    cdef Py_ssize_t item, row, first, room, at, last, v
    cdef Py_ssize_t blocks = (t.units + ROW_VECTORS * VL - 1) // (ROW_VECTORS * VL)
    for item in range(begin, end):
        row, first = item // blocks, item % blocks * ROW_VECTORS * VL
        room = min(<Py_ssize_t> (ROW_VECTORS * VL), t.units - first)
        at, last = t.starts[row], t.starts[row + 1]
        out = t.out + row * t.units + first
        if last - at <= ROW_BLOCK:         # a single chain, which float64 would not change
            add_positions(&t, first, at, last, room, block)
            for v from 0 <= v < room by VL:
                vstore_n(out + v, block[v // VL], room - v)
            continue
        memset(totals, 0, (room + VL - 1) // VL * VL * sizeof(double))
        while at < last:
            add_positions(&t, first, at, min(at + ROW_BLOCK, last), room, block)
            for v from 0 <= v < room by VL:
                vadd_long(totals + v, block[v // VL])
            at += ROW_BLOCK
        for v from 0 <= v < room by VL:
            vstore_n(out + v, vlong(totals + v), room - v)


def embedding(const unsigned char[::1] numbers, int width, const real[:, ::1] table,
              real[:, ::1] y, Py_ssize_t part, Py_ssize_t parts, int threads):
    """y[i] = table[numbers[i]]; every number is that of a row."""
    cdef Table t
    t.numbers, t.width, t.source, t.out = &numbers[0], width, &table[0, 0], &y[0, 0]
    t.count, t.units = y.shape[0], y.shape[1]
    with nogil:
        run_items(copy_rows, &t, t.count, part, parts, 1 + RUN // t.units, threads)


def embedding_order(const unsigned char[::1] numbers, int width, long long[::1] order,
                    long long[::1] starts):
    """Write the positions by number, and where each number's part begins; (entries + 1,)."""
    cdef Table t
    cdef Py_ssize_t i, entries = starts.shape[0] - 1, count = order.shape[0]
    cdef long long number, next
    t.numbers, t.width = &numbers[0], width
    with nogil:
        memset(&starts[0], 0, (entries + 1) * sizeof(long long))
        for i in range(count):
            starts[number_at(&t, i)] += 1
        next = 0
        for i in range(entries + 1):  # where each part ends
            next += starts[i]
            starts[i] = next
        for i in range(count - 1, -1, -1):
            number = number_at(&t, i)
            starts[number] -= 1
            order[starts[number]] = i


def embedding_backward(const real[:, ::1] dy, const long long[::1] order,
                       const long long[::1] starts, real[:, ::1] dtable, Py_ssize_t part,
                       Py_ssize_t parts, int threads):
    """dtable[r] = sum of dy[i] over the positions of r."""
    cdef Table t
    t.source, t.out, t.order, t.starts = &dy[0, 0], &dtable[0, 0], &order[0], &starts[0]
    t.count, t.entries, t.units = dy.shape[0], dtable.shape[0], dtable.shape[1]
    with nogil:
        run_items(sum_rows, &t,
                  t.entries * ((t.units + ROW_VECTORS * VL - 1) // (ROW_VECTORS * VL)), part, parts,
                  8, threads)
