# The transforms of Winograd's minimal filtering along one axis (winograd.pxi), and those of the
# gradient of the weights, which are transposed (winograd_gradient.pxi).

cdef inline void input_line(const int m, vreal* d, vreal* v) noexcept nogil:
    """v = B^T d along one axis."""
    cdef vreal four = vset1(4)
    cdef vreal minus_five = vset1(-5)
    cdef vreal two = vset1(2)
    cdef vreal a, b
    if m == 2:
        v[0] = d[0] - d[2]
        v[1] = d[1] + d[2]
        v[2] = d[2] - d[1]
        v[3] = d[1] - d[3]
    else:
        # products with 5 are rounded: `vmadd` says whether they are fused, not the compiler
        v[0] = vmadd(four * d[0], minus_five, d[2]) + d[4]
        a = d[4] - four * d[2]
        b = d[3] - four * d[1]
        v[1] = a + b
        v[2] = a - b
        a = d[4] - d[2]
        b = two * (d[3] - d[1])
        v[3] = a + b
        v[4] = a - b
        v[5] = vmadd(four * d[1], minus_five, d[3]) + d[5]


cdef inline void output_line(const int m, vreal* z, vreal* y) noexcept nogil:
    """y = A^T z along one axis."""
    cdef vreal a, b, c, d
    if m == 2:
        y[0] = z[0] + z[1] + z[2]
        y[1] = z[1] - z[2] - z[3]
    else:
        a = z[1] + z[2]
        b = z[1] - z[2]
        c = z[3] + z[4]
        d = z[3] - z[4]
        y[0] = z[0] + a + c
        y[1] = b + vset1(2) * d
        y[2] = a + vset1(4) * c
        y[3] = b + vset1(8) * d + z[5]


cdef inline void weight_line(const int m, vreal* g, vreal* u) noexcept nogil:
    """u = G g along one axis."""
    cdef vreal a, b
    if m == 2:
        a = vset1(0.5) * (g[0] + g[2])
        b = vset1(0.5) * g[1]
        u[0] = g[0]
        u[1] = a + b
        u[2] = a - b
        u[3] = g[2]
    else:
        a = vset1(<real> (-1.0 / 6)) * (g[0] + g[2])
        b = vset1(<real> (1.0 / 6)) * g[1]
        u[0] = vset1(0.25) * g[0]
        u[1] = a - b
        u[2] = a + b
        a = vset1(<real> (1.0 / 24)) * g[0] + vset1(<real> (1.0 / 6)) * g[2]
        b = vset1(<real> (1.0 / 12)) * g[1]
        u[3] = a + b
        u[4] = a - b
        u[5] = g[2]


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
        a = d[0] + d[2]
        b = d[1] + d[3]
        z[1] = a + b
        z[2] = a - b
        a = d[0] + vset1(4) * d[2]
        b = vset1(2) * d[1] + vset1(8) * d[3]
        z[3] = a + b
        z[4] = a - b
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
        a = vset1(<real> (1.0 / 6)) * (z[1] + z[2])
        b = z[3] + z[4]
        w[0] = vset1(0.25) * z[0] - a + vset1(<real> (1.0 / 24)) * b
        w[1] = vset1(<real> (1.0 / 6)) * (z[2] - z[1]) + vset1(<real> (1.0 / 12)) * (z[3] - z[4])
        w[2] = vset1(<real> (1.0 / 6)) * b - a + z[5]


cdef inline void lift_line(const int m, const vreal* w, vreal* z) noexcept nogil:
    """Find a z with G^T z = w, along one axis."""
    if m == 2:
        z[0], z[1], z[2], z[3] = w[0], w[1], vzero() - w[1], w[2]
    else:
        z[0], z[1], z[2] = vset1(4) * w[0], vzero(), vzero()
        z[3], z[4], z[5] = vset1(6) * w[1], vset1(-6) * w[1], w[2]
