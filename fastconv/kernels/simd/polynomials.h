/* Polynomials and constants of functions.h, for float32 and for float64.
 *
 * Each polynomial is a minimax fit of our own, by Remez exchange in 80 and more decimal digits.
 * The weights of the fit make its error count in units in the last place of the function that
 * uses the polynomial.  Then each coefficient is rounded to the dtype, from the constant term on,
 * and those above it are fitted again.  The number beside each polynomial is its largest error on
 * its interval, in units of 2^-24 (float32) or 2^-53 (float64) relative to the function.
 */
#ifndef FASTCONV_POLYNOMIALS_H
#define FASTCONV_POLYNOMIALS_H

#include "vec.h"

#ifdef FC_DOUBLE
enum { FRACTION_BITS = 52 };
#define ROUNDING 6755399441055744.0         /* 1.5 * 2^52: adding it rounds to whole numbers */
#define EXPONENT_BIAS 1023
#define ROOT_HALF_BITS 0x3fe6a09e667f3bcdLL /* of sqrt(1 / 2) */
#define LEAST_NORMAL 2.2250738585072014e-308
#define SUBNORMAL_SCALE 18014398509481984.0 /* 2^54 */
#define SUBNORMAL_BITS 54
#define LOG2_E 1.4426950408889634
#define LN2_HIGH 0.69314718060195446 /* 32 bits: exact times a whole number of 11 */
#define LN2_LOW -4.2009150726810846e-11
#define EXP_LEAST -746.0             /* below, exp rounds to 0; beyond EXP_MOST to infinity */
#define EXP_MOST 710.0
#define EXP_NEAR -700.0              /* from here on, exp is no subnormal number */
#define EXPM1_LEAST -40.0            /* below, exp(x) - 1 rounds to -1 */
#define TANH_MOST 20.0               /* beyond, the functions round to 1 */
#define ERF_MOST 5.95

#define HALF_FRACTION 27             /* bits of the lower half of a fraction */
#define SILU_REACH 760.0             /* beyond, the tails of activations round to 0 */
#define GELU_TANH_REACH 21.7
#define GELU_REACH 38.7
#define GELU_CENTRE 3.0
#define GELU_LINEAR 1.5957691216057308  /* 2 sqrt(2 / pi) */
#define GELU_CUBIC 0.07135481627260025  /* 0.044715 times that */
#define DENSITY 0.3989422804014327      /* 1 / sqrt(2 pi) */

/* (a + 3) erfc(a / sqrt(2)) exp(a^2 / 2) / 2 in (a - 3) / (a + 3), 0 <= a <= 38.7: 0.48 */
static const real GELU_TERMS[] FC_UNUSED = {
    0.72908369013337304, -0.50933198191748952, 0.23001771997459011, -0.047263025142965244,
    -0.010462867022632985, 0.0069726212402451675, 0.0010275922458310644, -0.0010458286193819465,
    -0.00025657521233685376, 0.00015439443552459905, 7.8811881637052061e-05,
    -1.3245863780827317e-05, -2.0686246405681566e-05, -3.5184006762002517e-06,
    3.6333624070186821e-06, 2.2583273823131922e-06, 1.7523805466126912e-08,
    -5.9617192187769618e-07, -2.8100744544044771e-07, 4.5988475880694093e-08,
    9.7967268996717552e-08, 2.2536647408625454e-08, -1.3070685323761291e-08,
    -6.2152936234182796e-09, -3.3264026432488883e-10,
};
/* (exp(r) - 1 - r) / r^2 for |r| <= 0.3475: 0.23 */
static const real EXPM1_TERMS[] = {
    0.5, 0.16666666666666599, 0.041666666666619084, 0.0083333333333900795, 0.0013888888920970633,
    0.00019841269706272132, 2.4801515652092222e-05, 2.7557426978151315e-06, 2.7622546773594669e-07,
    2.5045635919422594e-08,
};
/* (2 artanh(s) - 2 s) / (s z), z = s^2 <= 0.0295: 0.02 */
static const real LOG_TERMS[] = {
    0.66666666666667351, 0.39999999999409352, 0.28571428743686583, 0.22222198428972958,
    0.18183572354742952, 0.15313832178979428, 0.14798258593920294,
};
/* -log(1 - erf(x)) / x - 1 for 0 <= x <= 5.95: 0.13 */
static const real ERF_TERMS[] = {
    0.12837916709551256, 0.6366197723675836, 0.10277260330178876, -0.019128447005070475,
    -0.00020919469484000615, 0.0016962063857198903, -0.00059012555273426086,
    2.5878603588585385e-05, 6.4491863006121796e-05, -2.972405117359894e-05,
    3.4072743572151371e-06, 2.8351282477298826e-06, -1.7415350269233972e-06,
    3.3635464407613331e-07, 1.3718838117108282e-07, -1.4176504526559171e-07,
    6.5734707205749248e-08, -2.0963037563597164e-08, 4.9978023905124975e-09,
    -9.0824263577118618e-10, 1.2484414849967507e-10, -1.2611376550374943e-11,
    8.845890913662704e-13, -3.8506914773867555e-14, 7.8345868072961879e-16,
};
#else
enum { FRACTION_BITS = 23 };
#define ROUNDING 12582912.0f         /* 1.5 * 2^23 */
#define EXPONENT_BIAS 127
#define ROOT_HALF_BITS 0x3f3504f3
#define LEAST_NORMAL 1.17549435e-38f
#define SUBNORMAL_SCALE 33554432.0f  /* 2^25 */
#define SUBNORMAL_BITS 25
#define LOG2_E 1.44269502f
#define LN2_HIGH 0.693115234375f     /* 13 bits: exact times a whole number of 8 */
#define LN2_LOW 3.19461833e-05f
#define EXP_LEAST -104.0f
#define EXP_MOST 89.0f
#define EXP_NEAR -80.0f
#define EXPM1_LEAST -20.0f
#define TANH_MOST 10.0f
#define ERF_MOST 3.95f

#define HALF_FRACTION 12             /* bits of the lower half of a fraction */
#define SILU_REACH 112.0f            /* beyond, the tails of activations round to 0 */
#define GELU_TANH_REACH 10.9f
#define GELU_REACH 14.5f
#define GELU_CENTRE 2.5f
#define GELU_LINEAR 1.59576917f      /* 2 sqrt(2 / pi) */
#define GELU_CUBIC 0.0713548139f     /* 0.044715 times that */
#define DENSITY 0.398942292f         /* 1 / sqrt(2 pi) */

/* (a + 2.5) erfc(a / sqrt(2)) exp(a^2 / 2) / 2 in (a - 2.5) / (a + 2.5), 0 <= a <= 14.5: 0.53 */
static const real GELU_TERMS[] FC_UNUSED = {
    0.706656635f, -0.433692098f, 0.131988347f, 0.00923793111f, -0.0163978301f, -0.0016157449f,
    0.0025546418f, 0.000726271246f, -0.000331640156f, -0.000197127825f, -1.08815002e-05f,
};
/* (exp(r) - 1 - r) / r^2 for |r| <= 0.3475: 0.24 */
static const real EXPM1_TERMS[] = {
    0.5f, 0.16666548f, 0.0416668579f, 0.00836616568f, 0.00138981012f,
};
/* (2 artanh(s) - 2 s) / (s z), z = s^2 <= 0.0295: 0.02 */
static const real LOG_TERMS[] = { 0.666667759f, 0.399775684f, 0.298714608f };
/* -log(1 - erf(x)) / x - 1 for 0 <= x <= 3.95: 0.14 */
static const real ERF_TERMS[] = {
    0.128379166f, 0.636619389f, 0.102777831f, -0.0191530641f, -0.000160396026f,
    0.00166702736f, -0.000632836833f, 0.000117641262f, -9.25626409e-06f,
};
#endif

/* The value of the polynomial with these terms, the constant one first.  A long polynomial is split
 * into its even terms and x times its odd ones: a single chain would take longer than all the rest
 * of a function. */
#define VPOLYNOMIAL(terms, x) vpolynomial(terms, (int)(sizeof(terms) / sizeof *(terms)), x)
FC_INLINE vreal vhorner(const real *terms, int count, int step, vreal x) {
    int k = (count - 1) / step * step;
    vreal y = vset1(terms[k]);
    for (k -= step; k >= 0; k -= step) y = vmadd(vset1(terms[k]), y, x);
    return y;
}
FC_INLINE vreal vpolynomial(const real *terms, int count, vreal x) {
    if (count < 8) return vhorner(terms, count, 1, x);
    return vmadd(vhorner(terms, count, 2, x * x), x, vhorner(terms + 1, count - 1, 2, x * x));
}

#endif
