/* Sums of any length: their blocks are vectors, whose lanes are added up in float64.
 *
 * A chain of float32 additions rounds its total each time, and where the numbers are equal always
 * to the same side: 32 additions are off by up to 5e-7 of the sum, 56 by 9e-7, 1000 by 1e-5.
 */
#ifndef FASTCONV_LONG_SUMS_H
#define FASTCONV_LONG_SUMS_H

#include "simd/vec.h"

/* Add a block to a sum, lane by lane. */
FC_INLINE void vadd_long(double *total, vreal v) {
#if defined(FC_DOUBLE)
    vstore(total, vload(total) + v);
#elif FC_BYTES == 64 && defined(__AVX512F__)
    __m256 high = _mm256_castpd_ps(_mm512_extractf64x4_pd(_mm512_castps_pd((__m512)v), 1));
    __m256 low = _mm512_castps512_ps256((__m512)v);
    _mm512_storeu_pd(total, _mm512_add_pd(_mm512_loadu_pd(total), _mm512_cvtps_pd(low)));
    _mm512_storeu_pd(total + 8, _mm512_add_pd(_mm512_loadu_pd(total + 8), _mm512_cvtps_pd(high)));
#elif FC_BYTES == 32 && defined(__AVX__)
    __m128 high = _mm256_extractf128_ps((__m256)v, 1), low = _mm256_castps256_ps128((__m256)v);
    _mm256_storeu_pd(total, _mm256_add_pd(_mm256_loadu_pd(total), _mm256_cvtps_pd(low)));
    _mm256_storeu_pd(total + 4, _mm256_add_pd(_mm256_loadu_pd(total + 4), _mm256_cvtps_pd(high)));
#elif FC_BYTES == 16 && defined(__SSE2__)
    __m128 low = (__m128)v, high = _mm_movehl_ps(low, low);
    _mm_storeu_pd(total, _mm_add_pd(_mm_loadu_pd(total), _mm_cvtps_pd(low)));
    _mm_storeu_pd(total + 2, _mm_add_pd(_mm_loadu_pd(total + 2), _mm_cvtps_pd(high)));
#else
    real lanes[VL];
    vstore(lanes, v);
    for (int i = 0; i < VL; i++) total[i] += lanes[i];
#endif
}
/* The same vector, but the compiler no longer knows where it comes from, so it cannot cancel two
 * additions. */
FC_INLINE vreal vopaque(vreal v) {
#if FC_BYTES == 64 && defined(__AVX512F__)
    __asm__("" : "+v"(v));
#elif FC_BYTES && defined(__SSE2__)
    __asm__("" : "+x"(v));
#elif FC_BYTES && defined(__aarch64__)
    __asm__("" : "+w"(v));
#endif
    return v;
}
/* total + a.  `lost` becomes what the rounding loses (Kahan): the caller adds it to the next a. */
FC_INLINE vreal vjoin(vreal total, vreal a, vreal *lost) {
    vreal sum = vopaque(total + a);
    *lost = a - vopaque(sum - total);
    return sum;
}
/* What was lost, or 0 where the total is infinite or NaN: then `lost` is NaN and says nothing. */
FC_INLINE vreal vlost(vreal lost) {
#if FC_BYTES
    return (vreal)((vmask)lost & (vmask)(lost - lost == vzero()));
#else
    return lost - lost == 0 ? lost : 0;
#endif
}
/* The sum of each lane. */
FC_INLINE vreal vlong(const double *total) {
#if defined(FC_DOUBLE)
    return vload(total);
#elif FC_BYTES == 32 && defined(__AVX__)
    __m128 low = _mm256_cvtpd_ps(_mm256_loadu_pd(total));
    return (vreal)_mm256_insertf128_ps(_mm256_castps128_ps256(low),
                                       _mm256_cvtpd_ps(_mm256_loadu_pd(total + 4)), 1);
#elif FC_BYTES == 16 && defined(__SSE2__)
    return (vreal)_mm_movelh_ps(_mm_cvtpd_ps(_mm_loadu_pd(total)),
                                _mm_cvtpd_ps(_mm_loadu_pd(total + 2)));
#else
    real lanes[VL];
    for (int i = 0; i < VL; i++) lanes[i] = (real)total[i];
    return vload(lanes);
#endif
}

#endif
