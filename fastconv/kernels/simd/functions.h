/* exp, log, the logistic function, tanh and erf of vectors; one source for every dtype and set.
 *
 * Nothing here calls the C library, so the bits depend on the instruction set alone.  All of
 * it is straight-line code: each lane is computed for itself, whatever its neighbours are, and
 * by the same operations in the last vector of an array.  That holds only if the compiler cannot
 * fuse an operation in one place and not in another, so products that are added are written with
 * vmadd.  Rounding to whole numbers and compensation rest on sums that the compiler may not
 * rearrange, so -ffast-math is never used.
 *
 *     x = n ln 2 + r                     n whole, |r| <= ln 2 / 2
 *     exp(x)     = 2^n (1 + q)           q = exp(r) - 1 = r + r^2 P(r)
 *     exp(x) - 1 = 2^n q + (2^n - 1)
 *     tanh(x)    = t / (t + 2)           t = exp(2 |x|) - 1
 *     erf(x)     = 1 - exp(-g)           g = -log(1 - erf(x)) = x + x E(x)
 *     sigmoid(x) = e / (1 + e), or 1 less that         e = exp(-|x|)
 *     log(x)     = k ln 2 + log(1 + f)   sqrt(1/2) <= 1 + f < sqrt(2), s = f / (2 + f)
 *     log(1 + f) = 2 artanh(s) = f - s (f - s^2 L(s^2))
 */
#ifndef FASTCONV_FUNCTIONS_H
#define FASTCONV_FUNCTIONS_H

#include "vec.h"
#include "vec_bits.h"
#include "polynomials.h"

/* exp(x + rest) = 2^n (1 + q), with |n| < 2^21.  `whole` is n + ROUNDING: the last bits of its
 * fraction are n. */
typedef struct { vreal whole, n, q; } exp_parts;

FC_INLINE exp_parts vexp_parts(vreal x, vreal rest) {
    exp_parts e;
    vreal r;
    e.whole = vmadd(vset1(ROUNDING), x, vset1(LOG2_E));
    e.n = e.whole - vset1(ROUNDING);
    r = vmadd(vmadd(x, e.n, vset1(-LN2_HIGH)), e.n, vset1(-LN2_LOW)) + rest;
    e.q = vmadd(r, r * r, VPOLYNOMIAL(EXPM1_TERMS, r));
    return e;
}
/* 2^n, from a number whose last bits are n; the bits above them are shifted out. */
FC_INLINE vreal vpower_of_two(vbits n) {
    return vfrom_bits((n << FRACTION_BITS) + ((ubits)EXPONENT_BIAS << FRACTION_BITS));
}
FC_INLINE vreal vpower_of_whole(vreal whole) { return vpower_of_two(vbits_of(whole)); }

/* exp(x + rest) = first * second.  2^n is two factors, since a power made from its exponent alone
 * cannot be subnormal.  `first` is never subnormal, so the product is rounded only once more. */
typedef struct { vreal first, second; } exp_factors;

FC_INLINE exp_factors vexp_factors(vreal x, vreal rest) {
    exp_factors f;
    exp_parts e = vexp_parts(x, rest);
    vreal half = vmadd(vset1(ROUNDING), e.n, vset1((real)0.5));
    f.first = (vset1(1) + e.q) * vpower_of_whole(half);
    f.second = vpower_of_two(vbits_of(e.whole) - vbits_of(half));
    return f;
}
/* exp(x + rest) for x <= EXP_MOST.  What rounds to 0 is not computed: a product that underflows
 * takes many times as long as any other. */
FC_INLINE vreal vexp_sum(vreal x, vreal rest) {
    vmask gone = vless(x, vset1(EXP_LEAST));
    exp_factors f = vexp_factors(vunless(gone, x), vunless(gone, rest));
    return vunless(gone, f.first * f.second);
}
FC_INLINE vreal vexp(vreal x) { return vexp_sum(vsmaller(vset1(EXP_MOST), x), vzero()); }
/* exp(x - most) for x <= most, as if the difference were not rounded; NaN where it is NaN. */
FC_INLINE vreal vexp_below(vreal x, vreal most) {
    vreal d = x - most, back = d - x;
    return vexp_sum(d, (x - (d - back)) - (most + back));
}
/* The same bits in fewer operations where no difference is below EXP_NEAR, or where it is NaN. */
FC_INLINE vreal vexp_near(vreal x, vreal most) {
    vreal d = x - most, back = d - x;
    exp_parts e = vexp_parts(d, (x - (d - back)) - (most + back));
    return (vset1(1) + e.q) * vpower_of_whole(e.whole);
}
/* exp(x) - 1.  For x > 1 it is made with 2^(n - 1), then doubled: 2^n alone could overflow. */
FC_INLINE vreal vexpm1(vreal x) {
    vreal within = vsmaller(vset1(EXP_MOST), vlarger(vset1(EXPM1_LEAST), x));
    exp_parts e = vexp_parts(within, vzero());
    vmask large = vless(vset1(1), x);
    vreal scale = vpower_of_whole(e.whole - vwhere(large, vset1(1)));
    vreal t = vmadd(scale - vchoose(large, vset1((real)0.5), vset1(1)), scale, e.q);
    return vchoose(vequal(x, vzero()), x, vchoose(large, t + t, t));  /* -0 stays */
}

FC_INLINE vreal vsigmoid(vreal x) {
    vreal e = vexp_sum(vnegative(x), vzero());
    vreal far = e / (vset1(1) + e);
    return vchoose(vless(x, vzero()), far, vset1(1) - far);
}
FC_INLINE vreal vtanh(vreal x) {
    vreal a = vsmaller(vset1(TANH_MOST), vabs(x));
    exp_parts e = vexp_parts(a + a, vzero());
    vreal scale = vpower_of_whole(e.whole);
    vreal t = vmadd(scale - vset1(1), scale, e.q);
    vreal t2 = vmadd(scale + vset1(1), scale, e.q);
    vmask large = vless(vset1(2), t);  /* then 1 - 2 / (t + 2) is nearer */
    vreal ratio = vchoose(large, vset1(2), t) / t2;
    return vsigned(vchoose(large, vset1(1) - ratio, ratio), x);
}
FC_INLINE vreal verf(vreal x) {
    vreal a = vsmaller(vset1(ERF_MOST), vabs(x));
    exp_parts e = vexp_parts(-vmadd(a, a, VPOLYNOMIAL(ERF_TERMS, a)), vzero());
    vreal scale = vpower_of_whole(e.whole);
    return vsigned(vmadd(vset1(1) - scale, -scale, e.q), x);
}

/* log(x) + rest for 0 < x < infinity. */
FC_INLINE vreal vlog_within(vreal x, vreal rest) {
    vmask tiny = vless(x, vset1(LEAST_NORMAL));
    vreal bias = vset1(ROUNDING + EXPONENT_BIAS)
                 + vwhere(tiny, vset1((real)SUBNORMAL_BITS));
    vbits bits, root_half = (vbits_of(vzero())) + (ubits)ROOT_HALF_BITS;
    vreal k, f, s, z, h;
    x = vchoose(tiny, x * vset1(SUBNORMAL_SCALE), x);
    bits = vbits_of(x) + (((ubits)EXPONENT_BIAS << FRACTION_BITS) - (ubits)ROOT_HALF_BITS);
    k = vfrom_bits((bits >> FRACTION_BITS) + vbits_of(vset1(ROUNDING))) - bias;
    f = vfrom_bits((bits & (((ubits)1 << FRACTION_BITS) - 1)) + root_half) - vset1(1);
    s = f / (vset1(2) + f);
    z = s * s;
    h = vset1((real)0.5) * f * f;
    rest = vmadd(rest, k, vset1(LN2_LOW));
    rest = vmadd(rest, s, vmadd(h, z, VPOLYNOMIAL(LOG_TERMS, z)));
    return vmadd(f - (h - rest), k, vset1(LN2_HIGH));
}
/* log(x): `result` where x is positive and finite. */
FC_INLINE vreal vlog_of(vreal x, vreal result) {
    vreal other = vchoose(vless(x, vzero()), vset1((real)NAN), x);  /* infinity and NaN stay */
    other = vchoose(vequal(x, vzero()), vset1(-(real)INFINITY), other);
    return vchoose(vless(vzero(), x) & vless(x, vset1((real)INFINITY)), result, other);
}
FC_INLINE vreal vlog(vreal x) { return vlog_of(x, vlog_within(x, vzero())); }
/* log(1 + x): the logarithm of the rounded sum, corrected by what the rounding lost. */
FC_INLINE vreal vlog1p(vreal x) {
    vreal sum = vset1(1) + x;
    vreal lost = (x - (sum - vset1(1))) / sum;
    vreal result = vlog_of(sum, vlog_within(sum, lost));
    return vchoose(vequal(x, vzero()), x, result);  /* -0 stays */
}

#endif
