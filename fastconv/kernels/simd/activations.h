/* Activations of vectors, and the slopes by which they multiply a gradient.
 *
 * As in functions.h, an element's bits depend on its argument and the instruction set alone.  `a`
 * and `b` are settings.  A slope is computed from the output y where that is enough, else from the
 * input x.  What is selected is not multiplied: an infinite dy times 0 would be NaN.
 *
 * SiLU and GELU are x less a tail for x >= 0, and minus the tail of -x for others; a tail goes to 0
 * on both sides.  So negative results keep their digits, and slopes never overflow:
 *
 *     f(x) = x - tail(x)           f'(x) = 1 - fall(x)        x >= 0
 *     f(x) = -tail(-x)             f'(x) = fall(-x)           x < 0
 */
#ifndef FASTCONV_ACTIVATIONS_H
#define FASTCONV_ACTIVATIONS_H

#include "functions.h"

FC_INLINE vreal vrelu6(vreal x) { return vsmaller(vset1(6), vrelu(x)); }
FC_INLINE vreal vslope_of_relu6(vreal dy, vreal y) {
    return vwhere(vless(vzero(), y) & vless(y, vset1(6)), dy);
}

/* v where `sign` is positive, elsewhere v times a: a leaky rectifier and, for v = dy, its slope. */
FC_INLINE vreal vleak(vreal sign, vreal v, vreal a) {
    return vchoose(vless(vzero(), sign), v, a * v);
}

FC_INLINE vreal velu(vreal x, real a) {
    return vchoose(vless(vzero(), x), x, a * vexpm1(vsmaller(vzero(), x)));
}
FC_INLINE vreal vslope_of_elu(vreal dy, vreal y, real a) {
    return vchoose(vless(vzero(), y), dy, dy * (y + a));
}

FC_INLINE vreal vsoftplus(vreal x) {
    vreal e = vexp_sum(vnegative(x), vzero());
    vreal sum = vset1(1) + e;
    return vrelu(x) + vlog_within(sum, (e - (sum - vset1(1))) / sum);
}
/* 1 - exp(-y), the logistic function of x. */
FC_INLINE vreal vslope_of_softplus(vreal dy, vreal y) { return dy * -vexpm1(-y); }

FC_INLINE vreal vhard_sigmoid(vreal x, real a, real b) {
    return vsmaller(vset1(1), vrelu(vmadd(vset1(b), vset1(a), x)));
}
FC_INLINE vreal vslope_of_hard_sigmoid(vreal dy, vreal y, real a) {
    return vwhere(vless(vzero(), y) & vless(y, vset1(1)), dy * a);
}

/* x relu6(x + 3) / 6, minus 0 for minus infinity. */
FC_INLINE vreal vhard_swish(vreal x) {
    vreal part = vsmaller(vset1(6), vrelu(x + vset1(3)));
    return vlarger(vset1(-3), x) * (part * vset1((real)(1.0 / 6)));
}
FC_INLINE vreal vslope_of_hard_swish(vreal dy, vreal x) {
    vreal within = dy * vmadd(vset1((real)0.5), x, vset1((real)(1.0 / 3)));
    vreal slope = vchoose(vless(x, vset1(3)) | vnans(x), within, dy);
    return vunless(vless(x, vset1(-3)) | vequal(x, vset1(-3)), slope);
}

/* A tail is q times `second`, the factor that may underflow; q is 0 where x is not near, which is
 * beyond the reach of the tail or NaN, and |x| counts as 0 there, lest something overflow.  So a NaN
 * meets no other, of which the compiler would choose one. */
FC_INLINE vreal vless_tail(vreal x, vreal q, vreal second) {
    /* The result has the sign of x, which zeros are given: Clang 14 takes 0 < 0 for true where it
     * would choose -0. */
    vreal y = vmadd(vunless(vless(x, vzero()), x), -q, second);
    return vfrom_bits(vbits_of(y) | (vbits_of(x) & SIGN_BIT));
}
FC_INLINE vreal vslope_less_fall(vreal dy, vreal x, vreal q, vreal second) {
    vreal dx = dy * vchoose(vless(x, vzero()), q * second, vmadd(vset1(1), -q, second));
    return vchoose(vnans(x), x, dx);
}

/* a / (1 + exp(p)), the tail of SiLU for p = a, and its fall for a slope of p of dp. */
FC_INLINE vreal vlogistic_tail(vreal x, vreal a, vreal p) {
    exp_factors e = vexp_factors(-p, vzero());
    return vless_tail(x, a * e.first / vmadd(vset1(1), e.first, e.second), e.second);
}
FC_INLINE vreal vlogistic_fall(vreal dy, vreal x, vmask near, vreal a, vreal p, vreal dp) {
    exp_factors e = vexp_factors(-p, vzero());
    vreal d = vmadd(vset1(1), e.first, e.second);
    vreal q = e.first * vmadd(d, -a, dp) / (d * d);
    return vslope_less_fall(dy, x, vwhere(near, q), e.second);
}

FC_INLINE vreal vsilu(vreal x) {
    vreal a = vwhere(vless(vabs(x), vset1(SILU_REACH)), vabs(x));
    return vlogistic_tail(x, a, a);
}
FC_INLINE vreal vslope_of_silu(vreal dy, vreal x) {
    vmask near = vless(vabs(x), vset1(SILU_REACH));
    vreal a = vwhere(near, vabs(x));
    return vlogistic_fall(dy, x, near, a, a, vset1(1));
}

/* The logistic form of the approximation by tanh: p = 2 sqrt(2 / pi) (a + 0.044715 a^3). */
FC_INLINE vreal vgelu_tanh(vreal x) {
    vreal a = vwhere(vless(vabs(x), vset1(GELU_TANH_REACH)), vabs(x));
    return vlogistic_tail(x, a, a * vmadd(vset1(GELU_LINEAR), vset1(GELU_CUBIC), a * a));
}
FC_INLINE vreal vslope_of_gelu_tanh(vreal dy, vreal x) {
    vmask near = vless(vabs(x), vset1(GELU_TANH_REACH));
    vreal a = vwhere(near, vabs(x)), a2 = a * a;
    vreal p = a * vmadd(vset1(GELU_LINEAR), vset1(GELU_CUBIC), a2);
    return vlogistic_fall(dy, x, near, a, p, vmadd(vset1(GELU_LINEAR), vset1(3 * GELU_CUBIC), a2));
}

/* exp(-a^2 / 2).  What rounding the square loses goes with it through exp, which would multiply it.
 * Where nothing is fused, the square of the upper half of a's digits is exact. */
FC_INLINE exp_factors vgaussian(vreal a) {
#if (FC_BYTES >= 32 && defined(__FMA__)) || (FC_BYTES == 16 && defined(__aarch64__))
    vreal half = a * (real)-0.5, p = half * a;
    return vexp_factors(p, vmadd(-p, half, a));
#else
    vreal upper = vfrom_bits(vbits_of(a) & ~(((ubits)1 << HALF_FRACTION) - 1));
    vreal lower = (upper - a) * (real)0.5, both = a + upper;
    vreal high = upper * upper * (real)-0.5;
    vreal p = vmadd(high, lower, both);
    return vexp_factors(p, vmadd(high - p, lower, both));
#endif
}
/* The normal distribution's share beyond a, over exp(-a^2 / 2). */
FC_INLINE vreal vmills(vreal a) {
    vreal v = vset1(1) / (a + vset1(GELU_CENTRE));
    return v * VPOLYNOMIAL(GELU_TERMS, vmadd(vset1(1), vset1(-2 * GELU_CENTRE), v));
}
FC_INLINE vreal vgelu(vreal x) {
    vreal a = vwhere(vless(vabs(x), vset1(GELU_REACH)), vabs(x));
    exp_factors e = vgaussian(a);
    return vless_tail(x, a * vmills(a) * e.first, e.second);
}
FC_INLINE vreal vslope_of_gelu(vreal dy, vreal x) {
    vmask near = vless(vabs(x), vset1(GELU_REACH));
    vreal a = vwhere(near, vabs(x));
    exp_factors e = vgaussian(a);
    vreal q = vmadd(vmills(a), -a, vset1(DENSITY)) * e.first;
    return vslope_less_fall(dy, x, vwhere(near, q), e.second);
}

#endif
