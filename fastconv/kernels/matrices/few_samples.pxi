# Products of dense.pxi with few pixels, or a single term, which fill no tile.
#
# A run of y waits in the L1 while rows of b are added to it, whole and where they lie.  If the
# terms of b are neighbours, it is turned in registers, and not laid out.

cdef extern from *:
    """
    enum { FEW_PIXELS = 4, ROW_LANES = 4096 / sizeof(real), ROW_VECTORS = ROW_LANES / VL,
           ROWS = 8 };
    """
    enum: FEW_PIXELS                       # so few pixels fill no tile
    enum: ROW_LANES                        # lanes of a run of y that waits in the L1
    enum: ROW_VECTORS
    enum: ROWS                             # rows of b that are added to it together


cdef inline void add_rows(const int count, const real* a, Py_ssize_t ak, const real* b,
                          Py_ssize_t bk, Py_ssize_t lanes, bint fresh, vreal* sums) noexcept nogil:
    """sums[.] += a[k] * b[k][.] for `count` rows of b; fresh sums begin at zero."""
    cdef vreal numbers[ROWS]
    cdef vreal value
    cdef Py_ssize_t i, whole = lanes // VL
    cdef int k
    for k in range(count):
        numbers[k] = vset1(a[k * ak])
    for i in range(whole):
        value = vzero() if fresh else sums[i]
        for k in range(count):
            value = vadd_product(value, numbers[k], vload(b + k * bk + i * VL))
        sums[i] = value
    if whole * VL < lanes:
        value = vzero() if fresh else sums[whole]
        for k in range(count):
            value = vadd_product(value, numbers[k],
                                 vload_n(b + k * bk + whole * VL, lanes - whole * VL))
        sums[whole] = value


cdef void multiply_rows(void* args, Py_ssize_t begin, Py_ssize_t end) noexcept nogil:
    """Items are (run of lanes, pixel), the last varying fastest, so that a run of b stays in the
    cache.  Of a single term they are (pixel, run of lanes), so that y is written from end to end.
    """
    cdef const Product* g = <const Product*> args
    cdef Py_ssize_t runs = ceil_div(g.lanes, ROW_LANES)
    cdef vreal sums[ROW_VECTORS]
    cdef Ending to
    cdef Py_ssize_t item, pixel, lane, k, stop, i
    cdef vreal value
    cdef bint first, fresh
    cdef const real* a
    cdef const real* b
    to.relu = g.relu
    for item in range(begin, end):
        if g.terms == 1:
            pixel, lane = item // runs, item % runs * ROW_LANES
        else:
            pixel, lane = item % g.pixels, item // g.pixels * ROW_LANES
        to.lanes = min(<Py_ssize_t> ROW_LANES, g.lanes - lane)
        to.bias = g.bias + lane if g.bias != NULL else NULL
        to.y = g.y + pixel * g.yp + lane
        a, b = g.a + pixel * g.ap, g.b + lane
        k = 0
        if g.terms == 1:                   # no sum has to wait
            for i from 0 <= i < to.lanes by VL:
                value = vadd_product(vzero(), vset1(a[0]), vload_n(b + i, to.lanes - i))
                vstore_n(to.y + i, end_sum(vzero() + value, &to, i), to.lanes - i)
            continue
        while k < g.terms:
            first, stop, fresh = k == 0, min(k + g.block, g.terms), True
            while k < stop:
                if stop - k >= ROWS:
                    add_rows(ROWS, a + k * g.ak, g.ak, b + k * g.bk, g.bk, to.lanes, fresh, sums)
                    k += ROWS
                else:
                    add_rows(1, a + k * g.ak, g.ak, b + k * g.bk, g.bk, to.lanes, fresh, sums)
                    k += 1
                fresh = False
            for i from 0 <= i < to.lanes by VL:
                value = (vzero() if first else vload_n(to.y + i, to.lanes - i)) + sums[i // VL]
                if stop == g.terms:
                    value = end_sum(value, &to, i)
                vstore_n(to.y + i, value, to.lanes - i)


cdef inline void load_columns(const real* b, Py_ssize_t bl, Py_ssize_t lanes, Py_ssize_t terms,
                              vreal* columns) noexcept nogil:
    """columns[k][l] = b[l * bl + k] for a vector of lanes and of terms, zeros beyond them."""
    cdef Py_ssize_t l
    if lanes >= VL and terms >= VL:
        for l in range(VL):
            columns[l] = vload(b + l * bl)
    else:
        for l in range(VL):
            columns[l] = vload_n(b + l * bl, terms) if l < lanes else vzero()
    vtranspose(columns)


cdef inline void sum_columns(const int pixels, const Product* g, Py_ssize_t lane, Py_ssize_t lanes,
                             Py_ssize_t start, Py_ssize_t stop, vreal* sums) noexcept nogil:
    """sums[p] = the sum of a[p][k] b[k][.] over start <= k < stop, for a vector of lanes."""
    cdef vreal columns[VL]
    cdef Py_ssize_t k, terms, i
    cdef const real* a
    cdef int p
    for p in range(pixels):
        sums[p] = vzero()
    for k from start <= k < stop by VL:
        terms = min(stop - k, <Py_ssize_t> VL)
        load_columns(g.b + lane * g.bl + k, g.bl, lanes, terms, columns)
        a = g.a + k * g.ak
        if terms == VL:
            for i in range(VL):
                for p in range(pixels):
                    sums[p] = vadd_product(sums[p], vset1(a[p * g.ap + i * g.ak]), columns[i])
        else:
            for i in range(terms):
                for p in range(pixels):
                    sums[p] = vadd_product(sums[p], vset1(a[p * g.ap + i * g.ak]), columns[i])


ctypedef fused few_width:                  # widths up to FEW_PIXELS
    n1
    n2
    n3
    n4

ctypedef void (*columns_t)(const void*, const Product* g, Py_ssize_t lane,
                           Py_ssize_t lanes) noexcept nogil


cdef void multiply_columns_of(const few_width* _, const Product* g, Py_ssize_t lane,
                              Py_ssize_t lanes) noexcept nogil:
    """All terms of a vector of lanes."""
    cdef vreal sums[FEW_PIXELS]
    cdef vreal value
    cdef Ending to
    cdef Py_ssize_t start = 0, stop
    cdef real* y
    cdef int p
    to.relu, to.lanes = g.relu, lanes
    to.bias = g.bias + lane if g.bias != NULL else NULL
    while start < g.terms:
        stop = min(start + g.block, g.terms)
        sum_columns(<int> sizeof(few_width), g, lane, lanes, start, stop, sums)
        for p in range(<int> sizeof(few_width)):
            y = g.y + p * g.yp + lane
            value = (vzero() if start == 0 else vload_n(y, lanes)) + sums[p]
            vstore_n(y, end_sum(value, &to, 0) if stop == g.terms else value, lanes)
        start = stop


cdef columns_t column_products[5]
column_products[:] = [
    NULL, <columns_t> multiply_columns_of[n1], <columns_t> multiply_columns_of[n2],
    <columns_t> multiply_columns_of[n3], <columns_t> multiply_columns_of[n4],
]


cdef void multiply_columns(void* args, Py_ssize_t begin, Py_ssize_t end) noexcept nogil:
    """Few pixels, and b whose terms are neighbours: its columns are turned to vectors, each of
    which is multiplied by all pixels at once.  Items are (vector of lanes): so few rows of b are
    streams that the hardware foresees, and prefetches would only delay them."""
    cdef const Product* g = <const Product*> args
    cdef Py_ssize_t item
    for item in range(begin, end):
        column_products[g.pixels](NULL, g, item * VL, g.lanes - item * VL)
