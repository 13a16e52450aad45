# The transforms of Winograd's minimal filtering along one axis (winograd.pxi), and those of the
# gradient of the weights, which are transposed (winograd_gradient.pxi).
#
# M outputs of R weights are a product of polynomials, known by its values at M + R - 1 points, the
# edge of a tile: 4 for two outputs of three weights, 6 for four of three and for two of five, 8 for
# four of five.  The points are 0, 1, -1 and infinity for edges of 4,
#
#     0, +p, -p, +q, -q and infinity     where p = sqrt(1/2) and q = sqrt(2) = 2 p
#
# for edges of 6.  With these, sums of up to 64 channels have one to three times the rounding
# errors of the direct sum; with the usual 1 and 2 they had seven to twenty times.  (What points
# do: Barabasz et al., "Error Analysis and Improving the Accuracy of Winograd Convolution for Deep
# Neural Networks", 2020; ncnn has these.)  Squares of the points are 1/2 and 2, so only what is
# odd in them is rounded once more.  Edges of 8 have the usual 0, 1, -1, 2, -2, 1/2, -1/2 and
# infinity, and up to twenty times the errors; of eighteen other choices none had smaller ones.
#
# `vmadd` says which products are fused, not the compiler; those with powers of two are exact.

cdef extern from *:
    """
    #define SQRT_HALF 0.70710678118654752440
    """
    const double SQRT_HALF


cdef inline void input_line(const int edge, vreal* d, vreal* v) noexcept nogil:
    """v = B^T d along one axis."""
    cdef vreal p = vset1(<real> SQRT_HALF)
    cdef vreal q = vset1(<real> (2 * SQRT_HALF))
    cdef vreal middle = vset1(-2.5)
    cdef vreal a, b
    if edge == 4:
        v[0] = d[0] - d[2]
        v[1] = d[1] + d[2]
        v[2] = d[2] - d[1]
        v[3] = d[1] - d[3]
    elif edge == 8:
        v[0] = vmadd(d[0] - d[6], vset1(5.25), d[4] - d[2])
        a = vmadd(d[2] + d[6], vset1(-4.25), d[4])
        b = vmadd(d[1] + d[5], vset1(-4.25), d[3])
        v[1] = a + b
        v[2] = a - b
        a = vmadd(vmadd(d[6], vset1(0.25), d[2]), vset1(-1.25), d[4])
        b = vmadd(vmadd(vset1(2) * d[5], vset1(0.5), d[1]), vset1(-2.5), d[3])
        v[3] = a + b
        v[4] = a - b
        a = vmadd(vmadd(d[6], vset1(4), d[2]), vset1(-5), d[4])
        b = vmadd(vmadd(vset1(0.5) * d[5], vset1(2), d[1]), vset1(-2.5), d[3])
        v[5] = a + b
        v[6] = a - b
        v[7] = vmadd(d[7] - d[1], vset1(5.25), d[3] - d[5])
    else:
        v[0] = vmadd(d[0] + d[4], middle, d[2])
        a = d[4] - vset1(2) * d[2]
        b = d[3] - vset1(2) * d[1]
        v[1] = vmadd(a, p, b)
        v[2] = vmadd(a, -p, b)
        a = d[4] - vset1(0.5) * d[2]
        b = d[3] - vset1(0.5) * d[1]
        v[3] = vmadd(a, q, b)
        v[4] = vmadd(a, -q, b)
        v[5] = vmadd(d[1] + d[5], middle, d[3])


cdef inline void output_line(const int m, const int edge, vreal* z, vreal* y) noexcept nogil:
    """y = A^T z along one axis."""
    cdef vreal a, b, c, d, e, f
    if edge == 4:
        y[0] = z[0] + z[1] + z[2]
        y[1] = z[1] - z[2] - z[3]
        return
    a = z[1] + z[2]
    b = z[1] - z[2]
    c = z[3] + z[4]
    d = z[3] - z[4]
    if edge == 8:
        e = z[5] + z[6]
        f = z[5] - z[6]
        y[0] = z[0] + a + c + e
        y[1] = vmadd(vmadd(b, vset1(2), d), vset1(0.5), f)
        y[2] = vmadd(vmadd(a, vset1(4), c), vset1(0.25), e)
        y[3] = vmadd(vmadd(b, vset1(8), d), vset1(0.125), f) + z[7]
    else:
        y[0] = z[0] + a + c
        y[1] = vmadd(vset1(<real> SQRT_HALF) * b, vset1(<real> (2 * SQRT_HALF)), d)
        if m == 2:
            y[1] = y[1] + z[5]
            return
        y[2] = vset1(0.5) * a + vset1(2) * c
        y[3] = vmadd(z[5], vset1(<real> (SQRT_HALF / 2)), b)
        y[3] = vmadd(y[3], vset1(<real> (4 * SQRT_HALF)), d)


cdef inline void weight_line(const int edge, const int side, vreal* g, vreal* u) noexcept nogil:
    """u = G g along one axis."""
    # at a point p the value is g[0] + p^2 even + p odd
    cdef vreal even = g[2]
    cdef vreal odd = g[1]
    cdef vreal a, b
    if edge == 4:
        a = vset1(0.5) * (g[0] + g[2])
        b = vset1(0.5) * g[1]
        u[0] = g[0]
        u[1] = a + b
        u[2] = a - b
        u[3] = g[2]
    elif edge == 8:
        u[0] = g[0]
        a = vset1(<real> (-2.0 / 9)) * (g[0] + g[2] + g[4])
        b = g[1] + g[3]
        u[1] = vmadd(a, vset1(<real> (-2.0 / 9)), b)
        u[2] = vmadd(a, vset1(<real> (2.0 / 9)), b)
        a = vset1(<real> (1.0 / 90)) * (g[0] + vset1(4) * (g[2] + vset1(4) * g[4]))
        b = g[1] + vset1(4) * g[3]
        u[3] = vmadd(a, vset1(<real> (1.0 / 45)), b)
        u[4] = vmadd(a, vset1(<real> (-1.0 / 45)), b)
        a = vset1(<real> (32.0 / 45)) * (g[0] + vset1(0.25) * (g[2] + vset1(0.25) * g[4]))
        b = g[1] + vset1(0.25) * g[3]
        u[5] = vmadd(a, vset1(<real> (16.0 / 45)), b)
        u[6] = vmadd(a, vset1(<real> (-16.0 / 45)), b)
        u[7] = g[4]
    else:
        u[0] = g[0]
        if side == 5:
            even = g[2] + vset1(0.5) * g[4]
            odd = g[1] + vset1(0.5) * g[3]
        a = vset1(<real> (-2.0 / 3)) * (g[0] + vset1(0.5) * even)
        b = vset1(<real> (SQRT_HALF * 2 / 3))
        u[1] = vmadd(a, -b, odd)
        u[2] = vmadd(a, b, odd)
        if side == 5:
            even = g[2] + vset1(2) * g[4]
            odd = g[1] + vset1(2) * g[3]
        a = vset1(<real> (1.0 / 6)) * (g[0] + vset1(2) * even)
        b = vset1(<real> (SQRT_HALF / 3))
        u[3] = vmadd(a, b, odd)
        u[4] = vmadd(a, -b, odd)
        u[5] = g[side - 1]


cdef inline void output_gradient_line(const int m, vreal* d, vreal* z) noexcept nogil:
    """z = A d along one axis."""
    cdef vreal a, b
    if m == 2:
        z[0] = d[0]
        z[1] = d[0] + d[1]
        z[2] = d[0] - d[1]
        z[3] = vzero() - d[1]
    else:
        z[0] = d[0]
        a = d[0] + vset1(0.5) * d[2]
        b = d[1] + vset1(0.5) * d[3]
        z[1] = vmadd(a, vset1(<real> SQRT_HALF), b)
        z[2] = vmadd(a, vset1(<real> -SQRT_HALF), b)
        a = d[0] + vset1(2) * d[2]
        b = d[1] + vset1(2) * d[3]
        z[3] = vmadd(a, vset1(<real> (2 * SQRT_HALF)), b)
        z[4] = vmadd(a, vset1(<real> (-2 * SQRT_HALF)), b)
        z[5] = d[3]


cdef inline void weight_gradient_line(const int m, vreal* z, vreal* w) noexcept nogil:
    """w = G^T z along one axis."""
    cdef vreal a, b
    if m == 2:
        a = vset1(0.5) * (z[1] + z[2])
        w[0] = z[0] + a
        w[1] = vset1(0.5) * (z[1] - z[2])
        w[2] = a + z[3]
    else:
        a = vset1(<real> (1.0 / 3)) * (z[1] + z[2])
        b = z[3] + z[4]
        w[0] = vmadd(z[0] - vset1(2) * a, vset1(<real> (1.0 / 6)), b)
        w[1] = vset1(<real> (SQRT_HALF / 3)) * (z[3] - z[4] + vset1(2) * (z[2] - z[1]))
        w[2] = vmadd(z[5] - a, vset1(<real> (1.0 / 3)), b)


cdef inline void lift_line(const int m, const vreal* w, vreal* z) noexcept nogil:
    """Find a z with G^T z = w, along one axis."""
    if m == 2:
        z[0], z[1], z[2], z[3] = w[0], w[1], vzero() - w[1], w[2]
    else:
        z[0], z[1], z[2] = w[0], vzero(), vzero()
        z[3] = vset1(<real> (1.5 / SQRT_HALF)) * w[1]
        z[4], z[5] = -z[3], w[2]
