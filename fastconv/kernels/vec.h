/* One vector type and a dozen operations on it, the same names for every instruction set.
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

#if defined(__GNUC__) || defined(__clang__)
#define FC_INLINE static inline __attribute__((always_inline))
#define FC_UNUSED __attribute__((unused))
#else
#define FC_INLINE static __inline
#define FC_UNUSED
#endif

#if defined(__AVX512F__) && FC_BYTES == 64
#include <immintrin.h>
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
#include <immintrin.h>
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

/* The first n lanes, 0 <= n <= VL; lanes beyond are zero, memory beyond is not touched. */
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
#ifdef fc_mask_storeu
    fc_mask_storeu(p, n, v);
#else
    real lanes[VL];
    vstore(lanes, v);
    for (int i = 0; i < n; i++) p[i] = lanes[i];
#endif
}

/* The lanes first <= i < last, those before and beyond are zero and their memory not touched. */
FC_INLINE vreal vload_range(const real *p, ptrdiff_t first, ptrdiff_t last) {
    if (first <= 0) return vload_n(p, last);
#ifdef fc_maskz_loadu
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

/* Numbers that lie `step` apart, in the lanes first <= i < last. */
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
FC_INLINE vreal vratio(vreal a, vreal b) { return a / b; }  /* Cython casts quotients */
/* Rounded correctly on every target; the lanes' loop would ask for errno and not be vectors. */
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
/* Where `value` beats `best` in a maximum (it is greater, or the first NaN): a, elsewhere b. */
FC_INLINE vreal vwinner(vreal value, vreal best, vreal a, vreal b) {
    return vselect((value > best) | ((value != value) & (best == best)), a, b);
}
FC_INLINE real vsum(vreal v) {  /* a fixed tree: the upper half is added to the lower */
    real lanes[VL];
    vstore(lanes, v);
    for (int half = VL / 2; half; half /= 2)
        for (int i = 0; i < half; i++) lanes[i] += lanes[i + half];
    return lanes[0];
}

/* Transpose VL vectors of VL lanes in place.  Rounds of `vlow` and `vhigh` interleave pairs of
 * rows inside blocks of 128 bits, which is one cheap instruction each; then whole blocks move. */
#if FC_BYTES
#ifdef __clang__
#define FC_SHUFFLE(a, b, ...) __builtin_shufflevector(a, b, __VA_ARGS__)
#else
#define FC_SHUFFLE(a, b, ...) __builtin_shuffle(a, b, (vmask){__VA_ARGS__})
#endif
#ifdef FC_DOUBLE
#define FC_ROUNDS 1
#if FC_BYTES == 64
#define FC_LOW1(a, b) FC_SHUFFLE(a, b, 0, 8, 2, 10, 4, 12, 6, 14)
#define FC_HIGH1(a, b) FC_SHUFFLE(a, b, 1, 9, 3, 11, 5, 13, 7, 15)
#define FC_BLOCKS_LOW(a, b) FC_SHUFFLE(a, b, 0, 1, 4, 5, 8, 9, 12, 13)
#define FC_BLOCKS_HIGH(a, b) FC_SHUFFLE(a, b, 2, 3, 6, 7, 10, 11, 14, 15)
#elif FC_BYTES == 32
#define FC_LOW1(a, b) FC_SHUFFLE(a, b, 0, 4, 2, 6)
#define FC_HIGH1(a, b) FC_SHUFFLE(a, b, 1, 5, 3, 7)
#define FC_BLOCKS_LOW(a, b) FC_SHUFFLE(a, b, 0, 1, 4, 5)
#define FC_BLOCKS_HIGH(a, b) FC_SHUFFLE(a, b, 2, 3, 6, 7)
#else
#define FC_LOW1(a, b) FC_SHUFFLE(a, b, 0, 2)
#define FC_HIGH1(a, b) FC_SHUFFLE(a, b, 1, 3)
#define FC_BLOCKS_LOW(a, b) (a)
#define FC_BLOCKS_HIGH(a, b) (b)
#endif
#define FC_LOW2 FC_LOW1
#define FC_HIGH2 FC_HIGH1
#else
#define FC_ROUNDS 2
#if FC_BYTES == 64
#define FC_LOW1(a, b) \
    FC_SHUFFLE(a, b, 0, 16, 1, 17, 4, 20, 5, 21, 8, 24, 9, 25, 12, 28, 13, 29)
#define FC_HIGH1(a, b) \
    FC_SHUFFLE(a, b, 2, 18, 3, 19, 6, 22, 7, 23, 10, 26, 11, 27, 14, 30, 15, 31)
#define FC_LOW2(a, b) \
    FC_SHUFFLE(a, b, 0, 1, 16, 17, 4, 5, 20, 21, 8, 9, 24, 25, 12, 13, 28, 29)
#define FC_HIGH2(a, b) \
    FC_SHUFFLE(a, b, 2, 3, 18, 19, 6, 7, 22, 23, 10, 11, 26, 27, 14, 15, 30, 31)
#define FC_BLOCKS_LOW(a, b) \
    FC_SHUFFLE(a, b, 0, 1, 2, 3, 8, 9, 10, 11, 16, 17, 18, 19, 24, 25, 26, 27)
#define FC_BLOCKS_HIGH(a, b) \
    FC_SHUFFLE(a, b, 4, 5, 6, 7, 12, 13, 14, 15, 20, 21, 22, 23, 28, 29, 30, 31)
#elif FC_BYTES == 32
#define FC_LOW1(a, b) FC_SHUFFLE(a, b, 0, 8, 1, 9, 4, 12, 5, 13)
#define FC_HIGH1(a, b) FC_SHUFFLE(a, b, 2, 10, 3, 11, 6, 14, 7, 15)
#define FC_LOW2(a, b) FC_SHUFFLE(a, b, 0, 1, 8, 9, 4, 5, 12, 13)
#define FC_HIGH2(a, b) FC_SHUFFLE(a, b, 2, 3, 10, 11, 6, 7, 14, 15)
#define FC_BLOCKS_LOW(a, b) FC_SHUFFLE(a, b, 0, 1, 2, 3, 8, 9, 10, 11)
#define FC_BLOCKS_HIGH(a, b) FC_SHUFFLE(a, b, 4, 5, 6, 7, 12, 13, 14, 15)
#else
#define FC_LOW1(a, b) FC_SHUFFLE(a, b, 0, 4, 1, 5)
#define FC_HIGH1(a, b) FC_SHUFFLE(a, b, 2, 6, 3, 7)
#define FC_LOW2(a, b) FC_SHUFFLE(a, b, 0, 1, 4, 5)
#define FC_HIGH2(a, b) FC_SHUFFLE(a, b, 2, 3, 6, 7)
#define FC_BLOCKS_LOW(a, b) (a)
#define FC_BLOCKS_HIGH(a, b) (b)
#endif
#endif
enum { BLOCK = 16 / sizeof(real), BLOCKS = VL / BLOCK };  /* lanes of a block; blocks */

FC_INLINE void vtranspose(vreal *rows) {
    vreal t[VL];
    for (int i = 0; i < VL; i += 2) {  /* pairs of rows */
        t[i] = FC_LOW1(rows[i], rows[i + 1]);
        t[i + 1] = FC_HIGH1(rows[i], rows[i + 1]);
    }
    if (FC_ROUNDS == 2) {
        for (int i = 0; i < VL; i += 4) {
            rows[i] = FC_LOW2(t[i], t[i + 2]);
            rows[i + 1] = FC_HIGH2(t[i], t[i + 2]);
            rows[i + 2] = FC_LOW2(t[i + 1], t[i + 3]);
            rows[i + 3] = FC_HIGH2(t[i + 1], t[i + 3]);
        }
        for (int i = 0; i < VL; i++) t[i] = rows[i];
    }
    /* t[g * BLOCK + l] holds in block b the lane b * BLOCK + l of the rows of group g */
    for (int l = 0; l < BLOCK; l++) {
        if (BLOCKS == 1) {
            rows[l] = t[l];
        } else if (BLOCKS == 2) {
            rows[l] = FC_BLOCKS_LOW(t[l], t[BLOCK + l]);
            rows[BLOCK + l] = FC_BLOCKS_HIGH(t[l], t[BLOCK + l]);
        } else {
            vreal even0 = FC_BLOCKS_LOW(t[l], t[BLOCK + l]);
            vreal odd0 = FC_BLOCKS_HIGH(t[l], t[BLOCK + l]);
            vreal even1 = FC_BLOCKS_LOW(t[2 * BLOCK + l], t[3 * BLOCK + l]);
            vreal odd1 = FC_BLOCKS_HIGH(t[2 * BLOCK + l], t[3 * BLOCK + l]);
            rows[l] = FC_BLOCKS_LOW(even0, even1);
            rows[2 * BLOCK + l] = FC_BLOCKS_HIGH(even0, even1);
            rows[BLOCK + l] = FC_BLOCKS_LOW(odd0, odd1);
            rows[3 * BLOCK + l] = FC_BLOCKS_HIGH(odd0, odd1);
        }
    }
}

/* The even and the odd lanes of a, b taken as one run of 2 VL numbers. */
#if FC_BYTES == 64 && !defined(FC_DOUBLE)
#define veven(a, b) \
    FC_SHUFFLE(a, b, 0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30)
#define vodd(a, b) \
    FC_SHUFFLE(a, b, 1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 29, 31)
#elif FC_BYTES == 64 || (FC_BYTES == 32 && !defined(FC_DOUBLE))
#define veven(a, b) FC_SHUFFLE(a, b, 0, 2, 4, 6, 8, 10, 12, 14)
#define vodd(a, b) FC_SHUFFLE(a, b, 1, 3, 5, 7, 9, 11, 13, 15)
#elif FC_BYTES == 32 || !defined(FC_DOUBLE)
#define veven(a, b) FC_SHUFFLE(a, b, 0, 2, 4, 6)
#define vodd(a, b) FC_SHUFFLE(a, b, 1, 3, 5, 7)
#else
#define veven(a, b) FC_SHUFFLE(a, b, 0, 2)
#define vodd(a, b) FC_SHUFFLE(a, b, 1, 3)
#endif
/* The lanes of a from the second on, then lane i of b. */
#if FC_BYTES == 64 && !defined(FC_DOUBLE)
#define vnext(a, b, i) \
    FC_SHUFFLE(a, b, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16 + i)
#elif FC_BYTES == 64 || (FC_BYTES == 32 && !defined(FC_DOUBLE))
#define vnext(a, b, i) FC_SHUFFLE(a, b, 1, 2, 3, 4, 5, 6, 7, 8 + i)
#elif FC_BYTES == 32 || !defined(FC_DOUBLE)
#define vnext(a, b, i) FC_SHUFFLE(a, b, 1, 2, 3, 4 + i)
#else
#define vnext(a, b, i) FC_SHUFFLE(a, b, 1, 2 + i)
#endif
#else
FC_INLINE void vtranspose(vreal *rows) { (void)rows; }
#endif

/* Deal neighbouring numbers to tiles of m (2 or 4): lane t of line[q] is number t m + q, for
 * q < m + 2; from holds m + 1 vectors, or m + 2 where a vector is one number. */
FC_INLINE void vdeal(const int m, const vreal *from, vreal *line) {
#if FC_BYTES
    if (m == 2) {
        line[0] = veven(from[0], from[1]);
        line[1] = vodd(from[0], from[1]);
    } else {
        vreal even0 = veven(from[0], from[1]), odd0 = vodd(from[0], from[1]);
        vreal even1 = veven(from[2], from[3]), odd1 = vodd(from[2], from[3]);
        line[0] = veven(even0, even1);
        line[1] = veven(odd0, odd1);
        line[2] = vodd(even0, even1);
        line[3] = vodd(odd0, odd1);
    }
    line[m] = vnext(line[0], from[m], 0);
    line[m + 1] = vnext(line[1], from[m], 1);
#else
    for (int q = 0; q < m + 2; q++) line[q] = from[q];
#endif
}

#endif
