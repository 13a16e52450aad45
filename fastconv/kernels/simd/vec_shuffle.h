/* Operations of vec.h that move numbers from lane to lane; included by it. */
#ifndef FASTCONV_VEC_SHUFFLE_H
#define FASTCONV_VEC_SHUFFLE_H

#if FC_BYTES
#ifdef __clang__
#define FC_SHUFFLE(a, b, ...) __builtin_shufflevector(a, b, __VA_ARGS__)
#else
#define FC_SHUFFLE(a, b, ...) __builtin_shuffle(a, b, (vmask){__VA_ARGS__})
#endif

/* Interleave the lower or the upper halves: a0 b0 a1 b1 ... */
FC_INLINE vreal vlow(vreal a, vreal b) {
#if FC_BYTES == 64 && !defined(FC_DOUBLE)
    return FC_SHUFFLE(a, b, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
#elif FC_BYTES == 64 || (FC_BYTES == 32 && !defined(FC_DOUBLE))
    return FC_SHUFFLE(a, b, 0, 8, 1, 9, 2, 10, 3, 11);
#elif FC_BYTES == 32 || !defined(FC_DOUBLE)
    return FC_SHUFFLE(a, b, 0, 4, 1, 5);
#else
    return FC_SHUFFLE(a, b, 0, 2);
#endif
}
FC_INLINE vreal vhigh(vreal a, vreal b) {
#if FC_BYTES == 64 && !defined(FC_DOUBLE)
    return FC_SHUFFLE(a, b, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31);
#elif FC_BYTES == 64 || (FC_BYTES == 32 && !defined(FC_DOUBLE))
    return FC_SHUFFLE(a, b, 4, 12, 5, 13, 6, 14, 7, 15);
#elif FC_BYTES == 32 || !defined(FC_DOUBLE)
    return FC_SHUFFLE(a, b, 2, 6, 3, 7);
#else
    return FC_SHUFFLE(a, b, 1, 3);
#endif
}

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
/* The lanes of a from the second on, then the first of b. */
FC_INLINE vreal vshift_in(vreal a, vreal b) { return vnext(a, b, 0); }
/* The first lane of b, then those of a but the last. */
FC_INLINE vreal vshift_up(vreal a, vreal b) {
#if FC_BYTES == 64 && !defined(FC_DOUBLE)
    return FC_SHUFFLE(a, b, 16, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14);
#elif FC_BYTES == 64 || (FC_BYTES == 32 && !defined(FC_DOUBLE))
    return FC_SHUFFLE(a, b, 8, 0, 1, 2, 3, 4, 5, 6);
#elif FC_BYTES == 32 || !defined(FC_DOUBLE)
    return FC_SHUFFLE(a, b, 4, 0, 1, 2);
#else
    return FC_SHUFFLE(a, b, 2, 0);
#endif
}
#else
FC_INLINE vreal vshift_in(vreal a, vreal b) { (void)a; return b; }
FC_INLINE vreal vshift_up(vreal a, vreal b) { (void)a; return b; }
FC_INLINE vreal vlow(vreal a, vreal b) { (void)b; return a; }
FC_INLINE vreal vhigh(vreal a, vreal b) { (void)a; return b; }
#endif

/* A number, then the lanes of a but the last, in the shortest chain of instructions. */
FC_INLINE vreal vpush(vreal a, real b) {
#if FC_BYTES == 32 && defined(__AVX2__) && defined(FC_DOUBLE)
    const __m256d halves = _mm256_permute2f128_pd(_mm256_set1_pd(b), (__m256d)a, 0x20);
    return (vreal)_mm256_shuffle_pd(halves, (__m256d)a, 5);
#elif FC_BYTES == 32 && defined(__AVX2__)
    /* each half takes in the last lane of what comes before it */
    const __m256 halves = _mm256_permute2f128_ps(_mm256_set1_ps(b), (__m256)a, 0x20);
    return (vreal)_mm256_alignr_epi8((__m256i)a, (__m256i)halves, 12);
#elif FC_BYTES
    return vshift_up(a, b - (vreal){0});
#else
    (void)a;
    return b;
#endif
}

/* Lanes 0, 2, 4, ... (evens) or 1, 3, 5, ... (odds) of a, then those of b. */
#if FC_BYTES == 0
FC_INLINE vreal vevens(vreal a, vreal b) { (void)b; return a; }
FC_INLINE vreal vodds(vreal a, vreal b) { (void)a; return b; }
#elif FC_BYTES == 64 && !defined(FC_DOUBLE)
FC_INLINE vreal vevens(vreal a, vreal b) {
    return FC_SHUFFLE(a, b, 0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
}
FC_INLINE vreal vodds(vreal a, vreal b) {
    return FC_SHUFFLE(a, b, 1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 29, 31);
}
#elif FC_BYTES == 64 || (FC_BYTES == 32 && !defined(FC_DOUBLE))
FC_INLINE vreal vevens(vreal a, vreal b) { return FC_SHUFFLE(a, b, 0, 2, 4, 6, 8, 10, 12, 14); }
FC_INLINE vreal vodds(vreal a, vreal b) { return FC_SHUFFLE(a, b, 1, 3, 5, 7, 9, 11, 13, 15); }
#elif FC_BYTES == 32 || !defined(FC_DOUBLE)
FC_INLINE vreal vevens(vreal a, vreal b) { return FC_SHUFFLE(a, b, 0, 2, 4, 6); }
FC_INLINE vreal vodds(vreal a, vreal b) { return FC_SHUFFLE(a, b, 1, 3, 5, 7); }
#else
FC_INLINE vreal vevens(vreal a, vreal b) { return FC_SHUFFLE(a, b, 0, 2); }
FC_INLINE vreal vodds(vreal a, vreal b) { return FC_SHUFFLE(a, b, 1, 3); }
#endif

/* The same lanes in an order that costs one instruction, and the way back from that order.  What is
 * done lane by lane in between needs no particular order. */
#if FC_BYTES == 32 && defined(__AVX2__) && defined(FC_DOUBLE)
FC_INLINE vreal vevens_dealt(vreal a, vreal b) {
    return (vreal)_mm256_unpacklo_pd((__m256d)a, (__m256d)b);
}
FC_INLINE vreal vodds_dealt(vreal a, vreal b) {
    return (vreal)_mm256_unpackhi_pd((__m256d)a, (__m256d)b);
}
FC_INLINE vreal vundealt(vreal a) { return (vreal)_mm256_permute4x64_pd((__m256d)a, 0xd8); }
#elif FC_BYTES == 32 && defined(__AVX2__)
FC_INLINE vreal vevens_dealt(vreal a, vreal b) {
    return (vreal)_mm256_shuffle_ps((__m256)a, (__m256)b, 0x88);
}
FC_INLINE vreal vodds_dealt(vreal a, vreal b) {
    return (vreal)_mm256_shuffle_ps((__m256)a, (__m256)b, 0xdd);
}
FC_INLINE vreal vundealt(vreal a) { return (vreal)_mm256_permute4x64_pd((__m256d)a, 0xd8); }
#else
FC_INLINE vreal vevens_dealt(vreal a, vreal b) { return vevens(a, b); }
FC_INLINE vreal vodds_dealt(vreal a, vreal b) { return vodds(a, b); }
FC_INLINE vreal vundealt(vreal a) { return a; }
#endif

/* Transpose VL vectors of VL lanes in place.  Two rounds interleave pairs of rows inside blocks
 * of 128 bits, which is one cheap instruction each; then whole blocks move. */
#if FC_BYTES
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
#else
FC_INLINE void vtranspose(vreal *rows) { (void)rows; }
enum { BLOCK = 1 };
#endif

/* The first BLOCK numbers of VL rows, turned: lane l of to[t] is rows[l * step + t].  Blocks come
 * to their places as they are loaded, which leaves a transposition of 128 bits: half of the
 * shuffles of a whole one for each number. */
#if FC_BYTES == 64 && defined(__AVX512F__)
enum { TURNS_BLOCKS = 1 };
FC_INLINE vreal vblocks(const real *a, const real *b, const real *c, const real *d) {
    __m512 v = _mm512_castps128_ps512(_mm_loadu_ps((const float *)a));
    v = _mm512_insertf32x4(v, _mm_loadu_ps((const float *)b), 1);
    v = _mm512_insertf32x4(v, _mm_loadu_ps((const float *)c), 2);
    return (vreal)_mm512_insertf32x4(v, _mm_loadu_ps((const float *)d), 3);
}
FC_INLINE void vturn_within(vreal *t, vreal *to) {
    for (int i = 0; i < BLOCK; i += 2) {
        to[i] = FC_LOW1(t[i], t[i + 1]);
        to[i + 1] = FC_HIGH1(t[i], t[i + 1]);
    }
    if (FC_ROUNDS == 2) {
        for (int i = 0; i < BLOCK; i++) t[i] = to[i];
        to[0] = FC_LOW2(t[0], t[2]);
        to[1] = FC_HIGH2(t[0], t[2]);
        to[BLOCK - 2] = FC_LOW2(t[1], t[3 % BLOCK]);
        to[BLOCK - 1] = FC_HIGH2(t[1], t[3 % BLOCK]);
    }
}
FC_INLINE void vturn_block(const real *rows, ptrdiff_t step, vreal *to) {
    vreal t[BLOCK];
    for (int i = 0; i < BLOCK; i++) {
        const real *p = rows + i * step;
        t[i] = vblocks(p, p + BLOCK * step, p + 2 * BLOCK * step, p + 3 * BLOCK * step);
    }
    vturn_within(t, to);
}
/* The same of rows that begin anywhere, from their number `at` on. */
FC_INLINE void vturn_rows(const real *const *rows, ptrdiff_t at, vreal *to) {
    vreal t[BLOCK];
    for (int i = 0; i < BLOCK; i++)
        t[i] = vblocks(rows[i] + at, rows[i + BLOCK] + at, rows[i + 2 * BLOCK] + at,
                       rows[i + 3 * BLOCK] + at);
    vturn_within(t, to);
}
#else
enum { TURNS_BLOCKS = 0 };
FC_INLINE void vturn_block(const real *rows, ptrdiff_t step, vreal *to) {
    (void)rows, (void)step, (void)to;
}
FC_INLINE void vturn_rows(const real *const *rows, ptrdiff_t at, vreal *to) {
    (void)rows, (void)at, (void)to;
}
#endif

/* Deal neighbouring numbers to tiles of m (2 or 4): lane t of line[q] is number t m + q, for
 * q < edge, which is m + 2 or m + 4.  `from` holds m vectors, and as many more as the next
 * edge - m numbers fill. */
FC_INLINE void vdeal(const int m, const int edge, const vreal *from, vreal *line) {
#if FC_BYTES
    if (m == 2) {
        line[0] = vevens(from[0], from[1]);
        line[1] = vodds(from[0], from[1]);
    } else {
        vreal even0 = vevens(from[0], from[1]), odd0 = vodds(from[0], from[1]);
        vreal even1 = vevens(from[2], from[3]), odd1 = vodds(from[2], from[3]);
        line[0] = vevens(even0, even1);
        line[1] = vevens(odd0, odd1);
        line[2] = vodds(even0, even1);
        line[3] = vodds(odd0, odd1);
    }
    line[m] = vnext(line[0], from[m], 0);
    line[m + 1] = vnext(line[1], from[m], 1);
    if (edge == m + 4) {
        line[m + 2] = vnext(line[2], from[m + 2 / VL], 2 % VL);
        line[m + 3] = vnext(line[3], from[m + 3 / VL], 3 % VL);
    }
#else
    for (int q = 0; q < edge; q++) line[q] = from[q];
#endif
}

#endif
