/* Operations of vec.h that treat lanes apart: some of them, every other one, or all into one.
 *
 * A set of lanes is a number, with bit i for lane i.  Where the target has mask registers it is
 * one of these; elsewhere it is spread into a vector, and the compiler moves that out of loops.
 */
#ifndef FASTCONV_VEC_LANES_H
#define FASTCONV_VEC_LANES_H

typedef unsigned int lanes_t;

/* The lanes first <= i < last; both may lie anywhere. */
FC_INLINE lanes_t lanes_between(ptrdiff_t first, ptrdiff_t last) {
    first = first < 0 ? 0 : first > VL ? VL : first;
    last = last < first ? first : last > VL ? VL : last;
    return ((1u << last) - 1u) & ~((1u << first) - 1u);
}

/* The same lanes, kept in a register from here on: else GCC loads the mask again for each use. */
FC_INLINE lanes_t vkeep(lanes_t lanes) {
#if FC_BYTES == 64 && defined(__AVX512F__)
    __mmask16 mask = (__mmask16)lanes;
    __asm__("" : "+Yk"(mask));
    return mask;
#else
    return lanes;
#endif
}

/* The same vector, kept in a register from here on: else GCC loads it again for each use. */
FC_INLINE vreal vheld(vreal v) {
#if FC_BYTES == 64 && defined(__AVX512F__)
    __asm__("" : "+v"(v));
#elif FC_BYTES == 32 && defined(__AVX2__)
    __asm__("" : "+x"(v));
#endif
    return v;
}

/* The same address, but the compiler no longer knows what was loaded from it.  Else it would keep
 * what two steps of a tile share, and there are no registers left for that. */
FC_INLINE const real *vapart(const real *p) {
#if defined(__GNUC__) || defined(__clang__)
    __asm__("" : "+r"(p));
#endif
    return p;
}

/* The same address, and what is there is read anew: a register that is kept for it may be one of
 * vectors or masks, which come back through a unit that multiply-adds keep busy. */
FC_INLINE const void *vanew(const void *p) {
#if defined(__GNUC__) || defined(__clang__)
    __asm__("" : "+r"(p));
#endif
    return p;
}

/* The address that is so many bytes further on. */
FC_INLINE const real *vbeyond(const real *p, ptrdiff_t bytes) {
    return (const real *)((const char *)p + bytes);
}

/* The same number, but the compiler no longer knows how it was computed. */
FC_INLINE ptrdiff_t vapart_at(ptrdiff_t i) {
#if defined(__GNUC__) || defined(__clang__)
    __asm__("" : "+r"(i));
#endif
    return i;
}

#if FC_BYTES == 64 && defined(__AVX512F__)
#ifdef FC_DOUBLE
#define FC_512(name) _mm512_##name##_pd
#define FC_CMP(name) _mm512_##name##_pd_mask
#define FC_TAPS _mm512_mask_mov_epi64
#define FC_M(lanes) ((__mmask8)(lanes))
typedef __m512d fc_v;
#else
#define FC_512(name) _mm512_##name##_ps
#define FC_CMP(name) _mm512_##name##_ps_mask
#define FC_TAPS _mm512_mask_mov_epi32
#define FC_M(lanes) ((__mmask16)(lanes))
typedef __m512 fc_v;
#endif
#endif

#if FC_BYTES
FC_INLINE vmask fc_spread(lanes_t lanes) {
    const vmask bit = (1 - (vmask){0}) << fc_lane;
    return (((ireal)lanes - (vmask){0}) & bit) == bit;
}
#else
FC_INLINE vmask fc_spread(lanes_t lanes) { return lanes ? -1 : 0; }
#endif

/* acc + a * b, fused where the target can.  It names the instruction, so that fusing does not
 * depend on what the compiler sees. */
FC_INLINE vreal vmadd(vreal acc, vreal a, vreal b) {
#ifdef FC_512
    return (vreal)FC_512(fmadd)((fc_v)a, (fc_v)b, (fc_v)acc);
#elif FC_BYTES == 32 && defined(__FMA__) && defined(FC_DOUBLE)
    return (vreal)_mm256_fmadd_pd((__m256d)a, (__m256d)b, (__m256d)acc);
#elif FC_BYTES == 32 && defined(__FMA__)
    return (vreal)_mm256_fmadd_ps((__m256)a, (__m256)b, (__m256)acc);
#elif FC_BYTES == 16 && defined(__aarch64__) && defined(FC_DOUBLE)
    return (vreal)vfmaq_f64((float64x2_t)acc, (float64x2_t)a, (float64x2_t)b);
#elif FC_BYTES == 16 && defined(__aarch64__)
    return (vreal)vfmaq_f32((float32x4_t)acc, (float32x4_t)a, (float32x4_t)b);
#elif !FC_BYTES && defined(FC_DOUBLE) && defined(__FP_FAST_FMA)
    return __builtin_fma(a, b, acc);
#elif !FC_BYTES && !defined(FC_DOUBLE) && defined(__FP_FAST_FMAF)
    return __builtin_fmaf(a, b, acc);
#else
    return acc + a * b;
#endif
}
/* The same, written to the register of the sum.  If GCC 12 may choose, it sometimes writes over a
 * factor; where twelve sums leave no register to spare, one of them then goes through memory. */
FC_INLINE vreal vadd_product(vreal acc, vreal a, vreal b) {
#if FC_BYTES == 32 && defined(__FMA__) && defined(__GNUC__) && defined(FC_DOUBLE)
    __asm__("vfmadd231pd %2, %1, %0" : "+x"(acc) : "x"(a), "xm"(b));
    return acc;
#elif FC_BYTES == 32 && defined(__FMA__) && defined(__GNUC__)
    __asm__("vfmadd231ps %2, %1, %0" : "+x"(acc) : "x"(a), "xm"(b));
    return acc;
#else
    return acc + a * b;
#endif
}
/* The same lanes as a vector, and a load by such a vector, which may come from memory. */
FC_INLINE vmask vspread(lanes_t lanes) { return fc_spread(lanes); }
FC_INLINE vreal vload_masked(const real *p, const vmask *lanes) {
#if FC_BYTES == 32 && defined(fc_maskz_load_mask)
    return fc_maskz_load_mask(*lanes, p);
#else
    real at[VL];
    ireal seen[VL];
    memcpy(seen, lanes, sizeof seen);
    for (int i = 0; i < VL; i++) at[i] = seen[i] ? p[i] : 0;
    return vload(at);
#endif
}

#ifdef FC_512
FC_INLINE vreal vload_where(const real *p, lanes_t lanes) {
    return (vreal)FC_512(maskz_loadu)(FC_M(lanes), p);
}
FC_INLINE void vstore_where(real *p, vreal v, lanes_t lanes) {
    FC_512(mask_storeu)(p, FC_M(lanes), (fc_v)v);
}
/* acc + a * b in some lanes, fused as `vmadd` does it; acc in the others. */
FC_INLINE vreal vmadd_where(vreal acc, vreal a, vreal b, lanes_t lanes) {
    return (vreal)FC_512(mask3_fmadd)((fc_v)a, (fc_v)b, (fc_v)acc, FC_M(lanes));
}
FC_INLINE vreal vadd_where(vreal acc, vreal a, lanes_t lanes) {
    return (vreal)FC_512(mask_add)((fc_v)acc, FC_M(lanes), (fc_v)acc, (fc_v)a);
}
#else
FC_INLINE vreal vload_where(const real *p, lanes_t lanes) {  /* no other lane is read */
#ifdef fc_maskz_load_mask
    return fc_maskz_load_mask(fc_spread(lanes), p);
#else
    real at[VL];
    if (lanes == lanes_between(0, VL)) return vload(p);
    for (int i = 0; i < VL; i++) at[i] = lanes >> i & 1 ? p[i] : 0;
    return vload(at);
#endif
}
/* Lanes of half a vector, at most four. */
FC_INLINE void fc_store_half(real *p, const real *at, lanes_t lanes) {
    const lanes_t all = (1u << VL / 2) - 1;
    if ((lanes & all) == all) { memcpy(p, at, VL / 2 * sizeof(real)); return; }
    if (lanes & 1) p[0] = at[0];
    if (VL > 2 && lanes & 2) p[1] = at[1];
    if (VL > 4 && lanes & 4) p[2] = at[2];
    if (VL > 4 && lanes & 8) p[3] = at[3];
}
FC_INLINE void vstore_where(real *p, vreal v, lanes_t lanes) {
    real at[VL];
    if (lanes == lanes_between(0, VL)) { vstore(p, v); return; }
    vstore(at, v);
    if (VL > 1) {
        fc_store_half(p, at, lanes);
        fc_store_half(p + VL / 2, at + VL / 2, lanes >> VL / 2);
    }
}
FC_INLINE vreal vmadd_where(vreal acc, vreal a, vreal b, lanes_t lanes) {
    return vselect(fc_spread(lanes), vmadd(acc, a, b), acc);
}
FC_INLINE vreal vadd_where(vreal acc, vreal a, lanes_t lanes) {
    return vselect(fc_spread(lanes), acc + a, acc);
}
#endif

/* The larger or the smaller of two numbers; b where they are equal or one of them is NaN. */
FC_INLINE vreal vlarger(vreal a, vreal b) {
#if defined(FC_512)
    return (vreal)FC_512(max)((fc_v)a, (fc_v)b);
#elif FC_BYTES == 32 && defined(__AVX2__) && defined(FC_DOUBLE)
    return (vreal)_mm256_max_pd((__m256d)a, (__m256d)b);
#elif FC_BYTES == 32 && defined(__AVX2__)
    return (vreal)_mm256_max_ps((__m256)a, (__m256)b);
#elif FC_BYTES == 16 && defined(__SSE2__) && defined(FC_DOUBLE)
    return (vreal)_mm_max_pd((__m128d)a, (__m128d)b);
#elif FC_BYTES == 16 && defined(__SSE2__)
    return (vreal)_mm_max_ps((__m128)a, (__m128)b);
#else
    return vselect(a > b, a, b);
#endif
}
FC_INLINE vreal vsmaller(vreal a, vreal b) {
#if defined(FC_512)
    return (vreal)FC_512(min)((fc_v)a, (fc_v)b);
#elif FC_BYTES == 32 && defined(__AVX2__) && defined(FC_DOUBLE)
    return (vreal)_mm256_min_pd((__m256d)a, (__m256d)b);
#elif FC_BYTES == 32 && defined(__AVX2__)
    return (vreal)_mm256_min_ps((__m256)a, (__m256)b);
#elif FC_BYTES == 16 && defined(__SSE2__) && defined(FC_DOUBLE)
    return (vreal)_mm_min_pd((__m128d)a, (__m128d)b);
#elif FC_BYTES == 16 && defined(__SSE2__)
    return (vreal)_mm_min_ps((__m128)a, (__m128)b);
#else
    return vselect(a < b, a, b);
#endif
}

/* Prefetch a line of cache that will be read; the address need not be valid. */
FC_INLINE void vprefetch(const real *p) {
#if defined(__GNUC__) || defined(__clang__)
    __builtin_prefetch(p);
#else
    (void)p;
#endif
}

/* The same, about where it stands among the operations around it.  Compilers put prefetches
 * together, ahead of multiply-adds, and the loads behind them wait for their turn. */
FC_INLINE void vprefetch_here(const real *p) {
#if defined(__GNUC__) && (defined(__x86_64__) || defined(__i386__))
    __asm__ volatile("prefetcht0 %a0" : : "p"(p));
#else
    vprefetch(p);
#endif
}

/* Move lane i to lane i + by, and the lanes at the end to the beginning; 0 <= by < VL. */
FC_INLINE vreal vrotate(vreal v, int by) {
#if defined(FC_512) && !defined(FC_DOUBLE)
    const __m512i lane = _mm512_set_epi32(15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0);
    return (vreal)_mm512_permutexvar_ps(_mm512_sub_epi32(lane, _mm512_set1_epi32(by)), (fc_v)v);
#elif defined(FC_512)
    const __m512i lane = _mm512_set_epi64(7, 6, 5, 4, 3, 2, 1, 0);
    return (vreal)_mm512_permutexvar_pd(_mm512_sub_epi64(lane, _mm512_set1_epi64(by)), (fc_v)v);
#elif defined(__AVX2__) && FC_BYTES == 32
    const __m256i half = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7); /* of a double */
    const __m256i back = _mm256_set1_epi32(by * (int)(sizeof(real) / 4));
    return (vreal)_mm256_permutevar8x32_ps((__m256)v, _mm256_sub_epi32(half, back));
#else
    real at[2 * VL];
    vstore(at, v);
    vstore(at + VL, v);
    return vload(at + VL - by);
#endif
}

/* The lanes in another order: lane i takes what lay in lane (i + by) modulo VL. */
FC_INLINE vmask vturn(int by) {
#if FC_BYTES
    return (fc_lane + (ireal)by) & (VL - 1);
#else
    (void)by;
    return 0;
#endif
}
FC_INLINE vreal vturned(vreal v, vmask turn) {
#if FC_BYTES && defined(__clang__)
    real from[VL], to[VL];
    ireal lane[VL];
    vstore(from, v);
    memcpy(lane, &turn, sizeof turn);
    for (int i = 0; i < VL; i++) to[i] = from[lane[i]];
    return vload(to);
#elif FC_BYTES
    return __builtin_shuffle(v, turn);
#else
    (void)turn;
    return v;
#endif
}

/* The sum of all lanes in a fixed tree: the upper half is added to the lower. */
FC_INLINE real vsum(vreal v) {
#if FC_BYTES == 64 && !defined(FC_DOUBLE)
    v = v + FC_SHUFFLE(v, v, 8, 9, 10, 11, 12, 13, 14, 15, 8, 9, 10, 11, 12, 13, 14, 15);
    v = v + FC_SHUFFLE(v, v, 4, 5, 6, 7, 4, 5, 6, 7, 4, 5, 6, 7, 4, 5, 6, 7);
    v = v + FC_SHUFFLE(v, v, 2, 3, 2, 3, 2, 3, 2, 3, 2, 3, 2, 3, 2, 3, 2, 3);
    v = v + FC_SHUFFLE(v, v, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1);
    return v[0];
#elif FC_BYTES == 64 || (FC_BYTES == 32 && !defined(FC_DOUBLE))
    v = v + FC_SHUFFLE(v, v, 4, 5, 6, 7, 4, 5, 6, 7);
    v = v + FC_SHUFFLE(v, v, 2, 3, 2, 3, 2, 3, 2, 3);
    v = v + FC_SHUFFLE(v, v, 1, 1, 1, 1, 1, 1, 1, 1);
    return v[0];
#elif FC_BYTES == 32 || (FC_BYTES && !defined(FC_DOUBLE))
    v = v + FC_SHUFFLE(v, v, 2, 3, 2, 3);
    v = v + FC_SHUFFLE(v, v, 1, 1, 1, 1);
    return v[0];
#elif FC_BYTES
    return v[0] + v[1];
#else
    return v;
#endif
}

/* The largest number of all lanes, none of which is NaN; of zeros any. */
FC_INLINE real vmost(vreal v) {
    real lanes[VL];
    for (int step = VL / 2; step; step /= 2) v = vlarger(v, vturned(v, vturn(step)));
    vstore(lanes, v);
    return lanes[0];
}

/* The sums of the lower and of the upper half.  Each is added in the tree of `vsum`, as if the
 * other half were zero.  A caller that has one place for both passes two equal halves. */
FC_INLINE void vsum_halves(vreal v, real *low, real *high) {
#if FC_BYTES
    real lanes[VL];
    for (int step = VL / 4; step; step /= 2)
        v = v + vturned(v, (fc_lane & (VL / 2)) | ((fc_lane + step) & (VL / 2 - 1)));
    vstore(lanes, v);
    *high = lanes[VL / 2];
    *low = lanes[0];
#else
    *low = *high = v;
#endif
}

/* `other` in some lanes, v in the others. */
FC_INLINE vreal vpick(vreal v, vreal other, lanes_t lanes) {
#ifdef FC_512
    return (vreal)FC_512(mask_mov)((fc_v)v, FC_M(lanes), (fc_v)other);
#else
    return vselect(fc_spread(lanes), other, v);
#endif
}

#endif
