# Rows of a table by their numbers, and the gradient of the table.
#
#     numbers   3 1 3 0         order   3 | 1 | - | 0 2        positions by number, in their order
#                               starts  0   1   2   2   4
#
# The gradient of row r is the sum of dy over the positions in its part of the order.  Numbers are
# counted and laid out by one thread; then every row is a sum of its own, in blocks of 32 positions
# that are added in float64.  So no thread waits for another, and no bit depends on their number.

cdef enum:
    ROW_VECTORS = 16                       # vectors of a row that are summed together
    ROW_BLOCK = 32                         # positions of a chain of additions

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


cdef void sum_rows(void* args, Py_ssize_t begin, Py_ssize_t end) noexcept nogil:
    """Items are ROW_VECTORS vectors of a row of the gradient."""
    cdef const Table* t = <const Table*> args
    cdef double totals[ROW_VECTORS * VL]
    cdef vreal block[ROW_VECTORS]
    cdef const real* dy
    cdef Py_ssize_t item, row, first, room, at, i, last, blocks
    cdef int v, vectors
    blocks = (t.units + ROW_VECTORS * VL - 1) // (ROW_VECTORS * VL)
    for item in range(begin, end):
        row, first = item // blocks, item % blocks * ROW_VECTORS * VL
        room = min(<Py_ssize_t> (ROW_VECTORS * VL), t.units - first)
        vectors = (room + VL - 1) // VL
        memset(totals, 0, vectors * VL * sizeof(double))
        for at from t.starts[row] <= at < t.starts[row + 1] by ROW_BLOCK:
            for v in range(vectors):
                block[v] = vzero()
            last = min(at + ROW_BLOCK, <Py_ssize_t> t.starts[row + 1])
            for i in range(at, last):
                dy = t.source + t.order[i] * t.units + first
                for v in range(vectors):
                    block[v] = block[v] + vload_n(dy + v * VL, room - v * VL)
            for v in range(vectors):
                vadd_long(totals + v * VL, block[v])
        for v in range(vectors):
            vstore_n(t.out + row * t.units + first + v * VL, vlong(totals + v * VL), room - v * VL)


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
