# The gradient of the input where groups have one filter and the stride is 2, with pixels in the
# lanes.  Every element is written once, in whole vectors.
#
# A tap with an even number falls on even columns of the padded map, and a tap with an odd number on
# odd columns.  In the map itself an odd padding exchanges the two:
#
#   padding 1   column 2q      taps (., 2b + 1) of dy[., q - b]
#               column 2q + 1  taps (., 2b)     of dy[., q + 1 - b]

cdef struct Spread:
    const Convolution* c                   # its x is dy, and its y is dx
    Axis rows, columns                     # of the forward pass
    bint finite                            # whether all weights are finite


cdef inline vreal add_seen(vreal total, vreal product, lanes_t seen) noexcept nogil:
    """Add a product in the lanes that see it.  Without registers of masks it is added in all lanes.
    In the others it is 0, which changes no bit unless a weight is infinite or NaN; spread_slowly
    does such weights."""
    return total + product if NO_MASKS else vadd_where(total, product, seen)


cdef inline void spread_column(const Spread* g, const int S, const bint odd,
                               const bint rows_inside, const bint columns_inside, const real* dy,
                               Py_ssize_t top, Py_ssize_t bottom, Py_ssize_t q, const vreal* w,
                               real* dx) noexcept nogil:
    """Write rows 2i and 2i + 1 of the padded map for top <= i < bottom, in the columns
    2q .. 2q + 2 VL - 1 of the map; `odd` says whether the padding is odd."""
    cdef const Convolution* c = g.c
    cdef vreal d[9]
    cdef lanes_t seen[9]
    cdef lanes_t inside[3]
    cdef lanes_t low, high
    cdef vreal even_sum, odd_sum, first, second
    cdef Py_ssize_t i, h, at
    cdef Py_ssize_t m = q + (1 - g.columns.offset) // 2  # what tap 0 of the even columns meets
    cdef int half = (S + 1) // 2
    cdef int a, b, k, e
    for b in range(half):
        inside[b] = vkeep(lanes_between(b - m, g.columns.outputs - m + b))
    low = vkeep(lanes_between(0, g.columns.inputs - 2 * q))
    high = vkeep(lanes_between(0, g.columns.inputs - 2 * q - VL))
    for i in range(top, bottom):
        for a in range(half):
            for b in range(half):
                at = (i - a) * c.xh + m - b
                if rows_inside and columns_inside:
                    d[a * half + b] = vload(dy + at)
                    continue
                seen[a * half + b] = inside[b]
                if not rows_inside and (i - a < 0 or i - a >= g.rows.outputs):
                    seen[a * half + b] = 0
                d[a * half + b] = vload_where(dy + at, seen[a * half + b])
        for k in range(2):
            even_sum = odd_sum = vzero()
            for a in range(half):
                if 2 * a + k >= S:
                    continue
                for b in range(half):
                    if rows_inside and columns_inside:
                        even_sum = even_sum + (vzero()
                                               + w[(2 * a + k) * S + 2 * b] * d[a * half + b])
                    else:
                        even_sum = add_seen(
                            even_sum, vzero() + w[(2 * a + k) * S + 2 * b] * d[a * half + b],
                            seen[a * half + b])
                    if 2 * b + 1 >= S:
                        continue
                    e = a * half + b + (1 if odd else 0)
                    if rows_inside and columns_inside:
                        odd_sum = odd_sum + (vzero() + w[(2 * a + k) * S + 2 * b + 1] * d[e])
                    else:
                        odd_sum = add_seen(
                            odd_sum, vzero() + w[(2 * a + k) * S + 2 * b + 1] * d[e], seen[e])
            h = 2 * i + k + g.rows.offset
            if not rows_inside and (h < 0 or h >= g.rows.inputs):
                continue
            at = h * c.yh + 2 * q
            first = odd_sum if odd else even_sum
            second = even_sum if odd else odd_sum
            if columns_inside:
                vstore(dx + at, vlow(first, second))
                vstore(dx + at + VL, vhigh(first, second))
            else:
                vstore_where(dx + at, vlow(first, second), low)
                vstore_where(dx + at + VL, vhigh(first, second), high)


cdef inline void spread_plane(const Spread* g, const int S, const bint odd, const real* dy,
                              const real* weight, real* dx) noexcept nogil:
    cdef vreal w[25]
    cdef Py_ssize_t end = (g.rows.inputs - g.rows.offset + 1) // 2
    cdef Py_ssize_t first = max((S - 1) // 2, (1 - g.rows.offset) // 2)  # to last: all inside
    cdef Py_ssize_t last = min(g.rows.outputs, (g.rows.inputs - g.rows.offset) // 2)
    cdef Py_ssize_t top = 0, bottom, q, m
    cdef int t
    for t in range(S * S):
        w[t] = vset1(weight[t])
    while top < end:
        bottom = min(top + BAND, last) if first <= top < last else top + 1
        for q from 0 <= q < (g.columns.inputs + 1) // 2 by VL:
            m = q + (1 - g.columns.offset) // 2
            if not first <= top < last:
                spread_column(g, S, odd, False, False, dy, top, bottom, q, w, dx)
            elif m >= (S - 1) // 2 and m + VL <= g.columns.outputs \
                    and 2 * q + 2 * VL <= g.columns.inputs:
                spread_column(g, S, odd, True, True, dy, top, bottom, q, w, dx)
            else:
                spread_column(g, S, odd, True, False, dy, top, bottom, q, w, dx)
        top = bottom


cdef void spread_slowly(const Spread* g, const real* dy, const real* weight,
                        real* dx) noexcept nogil:
    """Write one plane, number by number."""
    cdef const Convolution* c = g.c
    cdef Py_ssize_t S = g.columns.taps, h, v, r, s, i, j
    cdef real total
    for h in range(g.rows.inputs):
        for v in range(g.columns.inputs):
            total = 0
            for r in range(S):
                i = h - g.rows.offset - r
                if i % 2 != 0 or i < 0 or i >= 2 * g.rows.outputs:
                    continue
                for s in range(S):
                    j = v - g.columns.offset - s
                    if j % 2 == 0 and 0 <= j < 2 * g.columns.outputs:
                        total = total + (<real> 0
                                         + weight[r * S + s] * dy[i // 2 * c.xh + j // 2])
            dx[h * c.yh + v] = total


cdef void spread_planes(void* args, Py_ssize_t begin, Py_ssize_t end) noexcept nogil:
    """Write every element of the gradient of the input once; items are (image, channel)."""
    cdef const Spread* g = <const Spread*> args
    cdef const Convolution* c = g.c
    cdef Py_ssize_t item, n, k, taps = g.columns.taps * g.columns.taps
    cdef const real* dy
    cdef const real* w
    cdef real* dx
    for item in range(begin, end):
        n = item // (c.groups * c.K)
        k = item % (c.groups * c.K)
        dy = c.x + n * c.xn + k // c.K * c.xc
        dx = c.y + n * c.yn + k * c.yk
        w = c.w + k * taps
        if NO_MASKS and not g.finite and not all_finite(w, taps):
            spread_slowly(g, dy, w, dx)
        elif g.columns.taps == 3 and g.columns.offset % 2 == 0:
            spread_plane(g, 3, False, dy, w, dx)
        elif g.columns.taps == 3:
            spread_plane(g, 3, True, dy, w, dx)
        elif g.columns.offset % 2 == 0:
            spread_plane(g, 5, False, dy, w, dx)
        else:
            spread_plane(g, 5, True, dy, w, dx)


cdef bint spreads(const Spread* g) noexcept nogil:
    """Whether `spread_planes` knows this convolution."""
    cdef Py_ssize_t S = g.columns.taps
    return g.c.C == 1 and (S == 3 or S == 5) and g.rows.taps == S and g.rows.stride == 2 \
        and g.columns.stride == 2 and g.rows.dilation == 1 and g.columns.dilation == 1 \
        and g.c.xw == 1 and g.c.yw == 1
