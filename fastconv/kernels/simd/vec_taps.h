/* Maxima and the taps that won them; included by vec.h.
 *
 * A tap is a whole number in each lane, a byte of 0 to 255 in memory.
 */
#ifndef FASTCONV_VEC_TAPS_H
#define FASTCONV_VEC_TAPS_H

FC_INLINE vmask vtap(int tap) {
#if FC_BYTES
    return (ireal)tap - (vmask){0};
#else
    return tap;
#endif
}
/* a where the mask is set, elsewhere b.  The mask comes from a comparison. */
FC_INLINE vmask fc_either(vmask mask, vmask a, vmask b) {
#if FC_BYTES == 32 && defined(__AVX2__)
    return (vmask)_mm256_blendv_epi8((__m256i)b, (__m256i)a, (__m256i)mask);
#elif FC_BYTES
    return (a & mask) | (b & ~mask);
#else
    return mask ? a : b;
#endif
}
/* `tap` in some lanes, `taken` in the others. */
FC_INLINE vmask vpick_tap(vmask taken, int tap, lanes_t lanes) {
    return fc_either(fc_spread(lanes), vtap(tap), taken);
}
/* Where `value` beats `best` (it is greater, or the first NaN), it replaces `best`, and its tap
 * replaces `taken`. */
FC_INLINE void vcontest(vreal *best, vmask *taken, vreal value, int tap) {
#ifdef FC_512
    lanes_t wins = FC_CMP(mask_cmp)(FC_CMP(cmp)((fc_v)*best, (fc_v)*best, _CMP_ORD_Q),
                                    (fc_v)value, (fc_v)*best, _CMP_NLE_UQ);
    *best = (vreal)FC_512(mask_mov)((fc_v)*best, FC_M(wins), (fc_v)value);
    *taken = (vmask)FC_TAPS((__m512i)*taken, FC_M(wins), (__m512i)vtap(tap));
#else
#if FC_BYTES == 32 && defined(__AVX2__) && defined(FC_DOUBLE)
    vmask wins = (vmask)_mm256_cmp_pd((__m256d)value, (__m256d)*best, _CMP_NLE_UQ) & (*best == *best);
#elif FC_BYTES == 32 && defined(__AVX2__)
    vmask wins = (vmask)_mm256_cmp_ps((__m256)value, (__m256)*best, _CMP_NLE_UQ) & (*best == *best);
#else
    vmask wins = ((value > *best) | ((value != value) & (*best == *best)));
#endif
#if FC_BYTES
    *best = (vreal)fc_either(wins, (vmask)value, (vmask)*best);
#else
    *best = wins ? value : *best;
#endif
    *taken = fc_either(wins, vtap(tap), *taken);
#endif
}
/* The same for a value that is not NaN, with a tap of its own in each lane.  The processor has a
 * shorter chain of instructions for this. */
FC_INLINE void vcontest_taps(vreal *best, vmask *taken, vreal value, vmask taps) {
#ifdef FC_512
    *taken = (vmask)FC_TAPS((__m512i)*taken,
                            FC_M(FC_CMP(cmp)((fc_v)value, (fc_v)*best, _CMP_GT_OQ)),
                            (__m512i)taps);
#else
    *taken = fc_either(value > *best, taps, *taken);
#endif
    *best = vlarger(value, *best);
}
FC_INLINE void vcontest_numbers(vreal *best, vmask *taken, vreal value, int tap) {
    vcontest_taps(best, taken, value, vtap(tap));
}
/* Whether any lane is set.  Each lane of `marks` is all ones or all zeros. */
FC_INLINE int vany(vmask marks) {
#if FC_BYTES == 32 && defined(__AVX2__)
    return _mm256_movemask_epi8((__m256i)marks) != 0;
#elif FC_BYTES == 16 && defined(__SSE2__)
    return _mm_movemask_epi8((__m128i)marks) != 0;
#elif FC_BYTES
    long long parts[FC_BYTES / 8], any = 0;
    memcpy(parts, &marks, sizeof marks);
    for (int i = 0; i < FC_BYTES / 8; i++) any |= parts[i];
    return any != 0;
#else
    return marks != 0;
#endif
}
/* All ones in each lane where a is NaN, or where a or b is. */
FC_INLINE vmask vnans(vreal a) { return a != a; }
FC_INLINE vmask vnans_of_pair(vreal a, vreal b) {
#if FC_BYTES == 32 && defined(__AVX2__) && defined(FC_DOUBLE)
    return (vmask)_mm256_cmp_pd((__m256d)a, (__m256d)b, _CMP_UNORD_Q);
#elif FC_BYTES == 32 && defined(__AVX2__)
    return (vmask)_mm256_cmp_ps((__m256)a, (__m256)b, _CMP_UNORD_Q);
#elif FC_BYTES == 16 && defined(__SSE2__) && defined(FC_DOUBLE)
    return (vmask)_mm_cmpunord_pd((__m128d)a, (__m128d)b);
#elif FC_BYTES == 16 && defined(__SSE2__)
    return (vmask)_mm_cmpunord_ps((__m128)a, (__m128)b);
#else
    return (a != a) | (b != b);
#endif
}
/* Which lanes hold a NaN in a or in b.  Targets without mask registers tell only if any does. */
FC_INLINE lanes_t vunordered(vreal a, vreal b) {
#ifdef FC_512
    return FC_CMP(cmp)((fc_v)a, (fc_v)b, _CMP_UNORD_Q);
#else
    return (lanes_t)vany(vnans_of_pair(a, b));
#endif
}
/* The winner where the maximum is greater than 0, elsewhere `none`, also where it is NaN. */
FC_INLINE vmask vpositive_tap(vreal best, vmask taken, int none) {
#ifdef FC_512
    return (vmask)FC_TAPS((__m512i)vtap(none), FC_M(FC_CMP(cmp)((fc_v)best, (fc_v)vzero(), _CMP_GT_OQ)),
                          (__m512i)taken);
#else
    return fc_either(best > vzero(), taken, vtap(none));
#endif
}
/* acc + a where the winner is `tap`, acc elsewhere.  acc is never -0: adding +0 changes no bit. */
FC_INLINE vreal vadd_winner(vreal acc, vreal a, vmask taken, int tap) {
#if defined(FC_512) && !defined(FC_DOUBLE)
    return vadd_where(acc, a, _mm512_cmpeq_epi32_mask((__m512i)taken, (__m512i)vtap(tap)));
#elif defined(FC_512)
    return vadd_where(acc, a, _mm512_cmpeq_epi64_mask((__m512i)taken, (__m512i)vtap(tap)));
#elif FC_BYTES
    return acc + (vreal)((vmask)a & (taken == vtap(tap)));
#else
    return taken == tap ? acc + a : acc;
#endif
}

/* Store VL taps as bytes.  The lanes are in order, or where `dealt` in that of vevens_dealt. */
FC_INLINE void fc_store_bytes(unsigned char *p, vmask taken, const int dealt) {
#if FC_BYTES == 64 && defined(FC_512) && !defined(FC_DOUBLE)
    _mm_storeu_si128((__m128i *)p, _mm512_cvtepi32_epi8((__m512i)taken));
#elif FC_BYTES == 64 && defined(FC_512)
    _mm_storel_epi64((__m128i *)p, _mm512_cvtepi64_epi8((__m512i)taken));
#elif FC_BYTES == 32 && defined(__AVX2__)
    const int from = sizeof(real) == 8 ? 0x0800 : 0x0c080400; /* bytes of a half to its start */
    const __m256i bytes = _mm256_shuffle_epi8((__m256i)taken, _mm256_set1_epi32(from));
    __m128i low = _mm256_castsi256_si128(bytes), high = _mm256_extracti128_si256(bytes, 1);
    if (sizeof(real) == 8) low = dealt ? _mm_unpacklo_epi8(low, high) : _mm_unpacklo_epi16(low, high);
    else low = dealt ? _mm_unpacklo_epi16(low, high) : _mm_unpacklo_epi32(low, high);
    memcpy(p, &low, VL);
#elif FC_BYTES == 16 && defined(__SSE2__)
    __m128i bytes = (__m128i)taken;
    if (sizeof(real) == 8) bytes = _mm_shuffle_epi32(bytes, _MM_SHUFFLE(3, 1, 2, 0));
    bytes = _mm_packs_epi32(bytes, bytes);
    bytes = _mm_packus_epi16(bytes, bytes);
    memcpy(p, &bytes, VL);
#else
    ireal at[VL];
    memcpy(at, &taken, sizeof taken);
    for (int i = 0; i < VL; i++) p[i] = (unsigned char)at[i];
#endif
    (void)dealt;                           /* not needed where vevens_dealt keeps the order */
}
FC_INLINE void vstore_bytes_dealt(unsigned char *p, vmask taken) { fc_store_bytes(p, taken, 1); }
/* Bytes of half a vector's lanes, at most four. */
FC_INLINE void fc_half_of_bytes(unsigned char *p, const unsigned char *from, lanes_t lanes) {
    const lanes_t all = (1u << VL / 2) - 1;
    if ((lanes & all) == all) { memcpy(p, from, VL / 2); return; }
    if (lanes & 1) p[0] = from[0];
    if (VL > 2 && lanes & 2) p[1] = from[1];
    if (VL > 4 && lanes & 4) p[2] = from[2];
    if (VL > 4 && lanes & 8) p[3] = from[3];
}
FC_INLINE void fc_some_bytes(unsigned char *p, const unsigned char *from, lanes_t lanes) {
    if (VL == 1) return;
    fc_half_of_bytes(p, from, lanes);
    fc_half_of_bytes(p + VL / 2, from + VL / 2, lanes >> VL / 2);
}
FC_INLINE void vstore_bytes_where(unsigned char *p, vmask taken, lanes_t lanes) {
#if FC_BYTES == 64 && defined(FC_512) && !defined(FC_DOUBLE)
    _mm512_mask_cvtepi32_storeu_epi8(p, FC_M(lanes), (__m512i)taken);
#elif FC_BYTES == 64 && defined(FC_512)
    _mm512_mask_cvtepi64_storeu_epi8(p, FC_M(lanes), (__m512i)taken);
#else
    unsigned char bytes[VL];
    if (lanes == lanes_between(0, VL)) {
        fc_store_bytes(p, taken, 0);
        return;
    }
    fc_store_bytes(bytes, taken, 0);
    fc_some_bytes(p, bytes, lanes);
#endif
}
FC_INLINE void vstore_bytes(unsigned char *p, vmask taken, ptrdiff_t n) {
    vstore_bytes_where(p, taken, lanes_between(0, n));
}
FC_APART void vstore_ints(int *p, vmask taken, ptrdiff_t n) {
    ireal at[VL];
    memcpy(at, &taken, sizeof taken);
    for (int i = 0; i < VL && i < n; i++) p[i] = (int)at[i];
}
/* Load taps from bytes in some lanes; the bytes of the others are not read. */
FC_INLINE vmask vload_bytes(const unsigned char *p, lanes_t lanes) {
#if FC_BYTES == 64 && defined(FC_512) && !defined(FC_DOUBLE)
    return (vmask)_mm512_cvtepu8_epi32(_mm_maskz_loadu_epi8((__mmask16)lanes, p));
#elif FC_BYTES == 64 && defined(FC_512)
    return (vmask)_mm512_cvtepu8_epi64(_mm_maskz_loadu_epi8((__mmask16)lanes, p));
#else
#if FC_BYTES == 32 && defined(__AVX2__) || FC_BYTES == 16 && defined(__SSE2__)
    unsigned char some[VL] = {0};
    unsigned long long bytes = 0;
    __m128i taken;
    if (lanes == lanes_between(0, VL)) {
        memcpy(&bytes, p, VL);
    } else {
        fc_some_bytes(some, p, lanes);
        memcpy(&bytes, some, VL);
    }
    taken = _mm_set_epi64x(0, (long long)bytes);
#if FC_BYTES == 32 && defined(FC_DOUBLE)
    return (vmask)_mm256_cvtepu8_epi64(taken);
#elif FC_BYTES == 32
    return (vmask)_mm256_cvtepu8_epi32(taken);
#else
    const __m128i zero = _mm_setzero_si128();
    taken = _mm_unpacklo_epi16(_mm_unpacklo_epi8(taken, zero), zero);
    return (vmask)(sizeof(real) == 8 ? _mm_unpacklo_epi32(taken, zero) : taken);
#endif
#else
    ireal at[VL];
    vmask taken;
    for (int i = 0; i < VL; i++) at[i] = lanes >> i & 1 ? p[i] : 0;
    memcpy(&taken, at, sizeof taken);
    return taken;
#endif
#endif
}

FC_INLINE vmask vload_mask(const ireal *p) { vmask v; memcpy(&v, p, sizeof v); return v; }
FC_INLINE void vstore_mask(ireal *p, vmask v) { memcpy(p, &v, sizeof v); }
/* taps / S for taps below 256, where `reciprocal` is 65536 / S + 1 and S is 2 to 256. */
FC_INLINE vmask vtap_rows(vmask taps, int reciprocal) {
#if FC_BYTES == 64 && defined(FC_512)
    return (vmask)_mm512_mulhi_epu16((__m512i)taps, (__m512i)vtap(reciprocal));
#elif FC_BYTES == 32 && defined(__AVX2__)
    return (vmask)_mm256_mulhi_epu16((__m256i)taps, (__m256i)vtap(reciprocal));
#elif FC_BYTES == 16 && defined(__SSE2__)
    return (vmask)_mm_mulhi_epu16((__m128i)taps, (__m128i)vtap(reciprocal));
#else
    return taps * (ireal)reciprocal >> 16;
#endif
}
/* a * b for b and lanes from 0 to 32767.  Other lanes may get any number. */
FC_INLINE vmask vtimes(vmask a, int b) {
#if FC_BYTES == 64 && defined(FC_512) && defined(FC_DOUBLE)
    return (vmask)_mm512_mul_epu32((__m512i)a, (__m512i)vtap(b));
#elif FC_BYTES == 64 && defined(FC_512)
    return (vmask)_mm512_madd_epi16((__m512i)a, (__m512i)vtap(b));
#elif FC_BYTES == 32 && defined(__AVX2__) && defined(FC_DOUBLE)
    return (vmask)_mm256_mul_epu32((__m256i)a, (__m256i)vtap(b));
#elif FC_BYTES == 32 && defined(__AVX2__)
    return (vmask)_mm256_madd_epi16((__m256i)a, (__m256i)vtap(b));
#elif FC_BYTES == 16 && defined(__SSE2__) && defined(FC_DOUBLE)
    return (vmask)_mm_mul_epu32((__m128i)a, (__m128i)vtap(b));
#elif FC_BYTES == 16 && defined(__SSE2__)
    return (vmask)_mm_madd_epi16((__m128i)a, (__m128i)vtap(b));
#else
    return a * (ireal)b;
#endif
}
/* Zeros in the lanes of `at` and `dy` in which 0 <= row < rows or 0 <= column < columns does not
 * hold; rows are not negative. */
FC_INLINE void vdrop_outside(vmask *at, vreal *dy, vmask row, vmask rows, vmask column, int columns) {
#if FC_BYTES == 64 && defined(FC_512) && !defined(FC_DOUBLE)
    __mmask16 inside = _mm512_cmplt_epu32_mask((__m512i)row, (__m512i)rows);
    inside = _mm512_mask_cmplt_epu32_mask(inside, (__m512i)column, (__m512i)vtap(columns));
    *at = (vmask)_mm512_maskz_mov_epi32(inside, (__m512i)*at);
    *dy = (vreal)_mm512_maskz_mov_ps(inside, (__m512)*dy);
#elif FC_BYTES == 64 && defined(FC_512)
    __mmask8 inside = _mm512_cmplt_epu64_mask((__m512i)row, (__m512i)rows);
    inside = _mm512_mask_cmplt_epu64_mask(inside, (__m512i)column, (__m512i)vtap(columns));
    *at = (vmask)_mm512_maskz_mov_epi64(inside, (__m512i)*at);
    *dy = (vreal)_mm512_maskz_mov_pd(inside, (__m512d)*dy);
#elif FC_BYTES
    const vmask inside = (row > vtap(-1)) & (row < rows) & (column > vtap(-1))
                         & (column < vtap(columns));
    *at &= inside;
    *dy = (vreal)((vmask)*dy & inside);
#else
    if (row < 0 || row >= rows || column < 0 || column >= columns) *at = 0, *dy = 0;
#endif
}

#endif
