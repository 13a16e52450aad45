/* One vector type and the operations on it, the same names for every instruction set.
 *
 * The build defines FC_BYTES, the bytes of a vector (64, 32, 16; 0 for a compiler without
 * vector types: a "vector" is then one number), FC_DOUBLE for float64, and FC_TILE, the
 * pixels of a register tile.  Cython declares `vreal` as a number, so that `acc + b * w`
 * in a kernel is vector code, which the compiler contracts to a fused multiply-add.
 */
#ifndef FASTCONV_VEC_H
#define FASTCONV_VEC_H

#include <math.h>
#include <stddef.h>
#include <string.h>

#ifdef FC_DOUBLE
typedef double real;
typedef long long ireal;
#else
typedef float real;
typedef int ireal;
#endif

#if FC_BYTES
typedef real vreal __attribute__((vector_size(FC_BYTES), may_alias));
typedef ireal vmask __attribute__((vector_size(FC_BYTES)));
enum { VL = FC_BYTES / sizeof(real) };
#else
typedef real vreal;
typedef ireal vmask;
enum { VL = 1 };
#endif

/* A register tile is TILE pixels by NV vectors of output channels; a panel of packed
 * weights is LANES = NV * VL channels wide.  A narrow tile is half as many pixels by two
 * panels: the same number of accumulators for maps that are only a few pixels wide. */
enum { NV = 2, LANES = NV * VL, TILE = FC_TILE, NARROW = FC_TILE / 2 };

/* FC_APART is for functions that go lane by lane and are used where no sums are in registers.  If
 * they were inlined and unrolled at every call, the compiler would take longer for them than for
 * all the rest. */
#if defined(FC_UNOPTIMIZED) && defined(__GNUC__)
#define FC_INLINE static inline
#define FC_APART static __attribute__((unused))
#define FC_UNUSED __attribute__((unused))
#elif defined(__GNUC__) || defined(__clang__)
#define FC_INLINE static inline __attribute__((always_inline))
#define FC_APART static __attribute__((noinline, unused))
#define FC_UNUSED __attribute__((unused))
#else
#define FC_INLINE static __inline
#define FC_APART static
#define FC_UNUSED
#endif

#if FC_BYTES >= 32 && defined(__AVX2__)
#include <immintrin.h>
#endif
#if FC_BYTES == 16 && defined(__aarch64__)
#include <arm_neon.h>
#endif
#if defined(__AVX512F__) && FC_BYTES == 64
#ifdef FC_DOUBLE
#define FC_MASK(n) ((__mmask8)((1u << (n)) - 1u))
#define fc_maskz_load_mask(m, p) ((vreal)_mm512_maskz_loadu_pd(m, p))
#define fc_maskz_loadu(n, p) fc_maskz_load_mask(FC_MASK(n), p)
#define fc_mask_storeu(p, n, v) _mm512_mask_storeu_pd(p, FC_MASK(n), (__m512d)(v))
#else
#define FC_MASK(n) ((__mmask16)((1ull << (n)) - 1u))
#define fc_maskz_load_mask(m, p) ((vreal)_mm512_maskz_loadu_ps(m, p))
#define fc_maskz_loadu(n, p) fc_maskz_load_mask(FC_MASK(n), p)
#define fc_mask_storeu(p, n, v) _mm512_mask_storeu_ps(p, FC_MASK(n), (__m512)(v))
#endif
#endif

/* The line at p will be written soon. */
#if defined(__GNUC__) || defined(__clang__)
FC_INLINE void vprefetch_write(const real *p) { __builtin_prefetch(p, 1); }
#else
FC_INLINE void vprefetch_write(const real *p) { (void)p; }
#endif
#if FC_BYTES == 64 && defined(__AVX512F__)
#ifdef FC_DOUBLE
#define fc_maskz_move(n, v) ((vreal)_mm512_maskz_mov_pd(FC_MASK(n), (__m512d)(v)))
#define fc_sqrt(v) _mm512_sqrt_pd((__m512d)(v))
#else
#define fc_maskz_move(n, v) ((vreal)_mm512_maskz_mov_ps(FC_MASK(n), (__m512)(v)))
#define fc_sqrt(v) _mm512_sqrt_ps((__m512)(v))
#endif
#elif FC_BYTES == 32 && defined(__AVX__)
#ifdef FC_DOUBLE
#define fc_sqrt(v) _mm256_sqrt_pd((__m256d)(v))
#else
#define fc_sqrt(v) _mm256_sqrt_ps((__m256)(v))
#endif
#elif FC_BYTES == 16 && defined(__SSE2__)
#include <emmintrin.h>
#ifdef FC_DOUBLE
#define fc_sqrt(v) _mm_sqrt_pd((__m128d)(v))
#else
#define fc_sqrt(v) _mm_sqrt_ps((__m128)(v))
#endif
#elif FC_BYTES == 16 && defined(__aarch64__)
#include <arm_neon.h>
#ifdef FC_DOUBLE
#define fc_sqrt(v) vsqrtq_f64((float64x2_t)(v))
#else
#define fc_sqrt(v) vsqrtq_f32((float32x4_t)(v))
#endif
#endif

FC_INLINE vreal vload(const real *p) { vreal v; memcpy(&v, p, sizeof v); return v; }
FC_INLINE void vstore(real *p, vreal v) { memcpy(p, &v, sizeof v); }
FC_INLINE vreal vset1(real a) {
#if FC_BYTES
    return a - (vreal){0};
#else
    return a;
#endif
}
FC_INLINE vreal vzero(void) {
#if FC_BYTES
    return (vreal){0};
#else
    return 0;
#endif
}

/* The number of each lane. */
#if FC_BYTES
#if FC_BYTES == 64 && !defined(FC_DOUBLE)
static const vmask fc_lane FC_UNUSED = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
#elif FC_BYTES == 64 || (FC_BYTES == 32 && !defined(FC_DOUBLE))
static const vmask fc_lane FC_UNUSED = {0, 1, 2, 3, 4, 5, 6, 7};
#elif FC_BYTES == 32 || !defined(FC_DOUBLE)
static const vmask fc_lane FC_UNUSED = {0, 1, 2, 3};
#else
static const vmask fc_lane FC_UNUSED = {0, 1};
#endif
#endif

/* Masked loads hide from the sanitizer of addresses what they read. */
#if FC_BYTES == 32 && defined(__AVX2__) && !defined(__SANITIZE_ADDRESS__)
FC_INLINE vmask fc_first(ptrdiff_t n) { return fc_lane < (ireal)n - (vmask){0}; }
#define FC_MASK(n) fc_first(n)
#ifdef FC_DOUBLE
#define fc_maskz_load_mask(m, p) ((vreal)_mm256_maskload_pd(p, (__m256i)(m)))
#else
#define fc_maskz_load_mask(m, p) ((vreal)_mm256_maskload_ps(p, (__m256i)(m)))
#endif
#define fc_maskz_loadu(n, p) fc_maskz_load_mask(FC_MASK(n), p)
#define fc_maskz_move(n, v) ((vreal)((vmask)(v) & FC_MASK(n)))
#endif

/* The first n lanes: all where n is VL or more, none where it is 0 or less, as behind the end of a
 * row that several vectors share.  Lanes beyond are zero, and memory beyond is not touched. */
FC_INLINE vreal vload_n(const real *p, ptrdiff_t n) {
    if (n >= VL) return vload(p);
    if (n <= 0) return vzero();
#ifdef fc_maskz_loadu
    return fc_maskz_loadu(n, p);
#else
    real lanes[VL];
    for (int i = 0; i < VL; i++) lanes[i] = i < n ? p[i] : 0;
    return vload(lanes);
#endif
}
FC_INLINE void vstore_n(real *p, vreal v, ptrdiff_t n) {
    if (n >= VL) { vstore(p, v); return; }
    if (n <= 0) return;  /* no shift makes the mask of a negative count */
#ifdef fc_mask_storeu
    fc_mask_storeu(p, n, v);
#else
    /* by halves: a masked store of AVX2 takes some processors as long as a dozen other stores */
    real lanes[VL];
    const real *from = lanes;
    vstore(lanes, v);
    if (VL > 4 && n & 4) {
        memcpy(p, from, 4 * sizeof(real));
        p += 4, from += 4;
    }
    if (VL > 2 && n & 2) {
        memcpy(p, from, 2 * sizeof(real));
        p += 2, from += 2;
    }
    if (n & 1) *p = *from;
#endif
}

/* The lanes first <= i < last.  All others are zero, and their memory is not touched. */
FC_INLINE vreal vload_range(const real *p, ptrdiff_t first, ptrdiff_t last) {
    if (first <= 0) return vload_n(p, last);
#ifdef fc_maskz_loadu
    if (first >= last || first >= VL) return vzero();
    return fc_maskz_load_mask(FC_MASK(last < VL ? last : VL) & ~FC_MASK(first), p);
#else
    real lanes[VL];
    for (int i = 0; i < VL; i++) lanes[i] = i >= first && i < last ? p[i] : 0;
    return vload(lanes);
#endif
}

/* a in the first n lanes, zeros beyond. */
FC_INLINE vreal vset1_n(real a, ptrdiff_t n) {
    if (n >= VL) return vset1(a);
#ifdef fc_maskz_loadu
    return fc_maskz_move(n < 0 ? 0 : n, vset1(a));
#else
    real lanes[VL];
    for (int i = 0; i < VL; i++) lanes[i] = i < n ? a : 0;
    return vload(lanes);
#endif
}

/* Numbers that lie `step` apart, in the lanes first <= i < last.  This and the store below are
 * inlined: around a call the sums of a loop would go to the stack. */
FC_INLINE vreal vload_lanes(const real *p, ptrdiff_t step, ptrdiff_t first, ptrdiff_t last) {
    real lanes[VL];
    for (int i = 0; i < VL; i++) lanes[i] = i >= first && i < last ? p[i * step] : 0;
    return vload(lanes);
}
FC_INLINE vreal vload_strided(const real *p, ptrdiff_t step, ptrdiff_t n) {
    return vload_lanes(p, step, 0, n);
}
FC_INLINE void vstore_strided(real *p, ptrdiff_t step, vreal v, ptrdiff_t n) {
    real lanes[VL];
    vstore(lanes, v);
    for (int i = 0; i < n && i < VL; i++) p[i * step] = lanes[i];
}

/* mask ? a : b, lane by lane. */
FC_INLINE vreal vselect(vmask mask, vreal a, vreal b) {
#if FC_BYTES
    return (vreal)(((vmask)a & mask) | ((vmask)b & ~mask));
#else
    return mask ? a : b;
#endif
}
FC_INLINE vreal vrelu(vreal a) {  /* NaN stays NaN, -0 becomes 0 */
#if FC_BYTES
    return vselect(a <= vzero(), vzero(), a);
#else
    return a <= 0 ? 0 : a;
#endif
}
/* dy where y is greater than 0, elsewhere 0 (where y is NaN too). */
FC_INLINE vreal vpositive(vreal y, vreal dy) {
#if FC_BYTES
    return (vreal)((vmask)dy & (vmask)(y > vzero()));
#else
    return y > 0 ? dy : 0;
#endif
}
FC_INLINE vreal vratio(vreal a, vreal b) { return a / b; }  /* Cython would cast a quotient */
/* Rounded correctly on every target.  A loop over the lanes would set errno, so the compiler would
 * not turn it into vector code. */
FC_INLINE vreal vsqrt(vreal a) {
#ifdef fc_sqrt
    return (vreal)fc_sqrt(a);
#else
    real lanes[VL];
    vstore(lanes, a);
    for (int i = 0; i < VL; i++) lanes[i] = (real)sqrt(lanes[i]);
    return vload(lanes);
#endif
}

#include "vec_shuffle.h"
#include "vec_lanes.h"
#include "vec_taps.h"

#endif
