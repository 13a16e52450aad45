/* Operations of vec.h on the bits of numbers, and by comparison.
 *
 * The bits of a number are read as a whole number without a sign, vbits, so that shifts and
 * overflow mean the same for every compiler.
 */
#ifndef FASTCONV_VEC_BITS_H
#define FASTCONV_VEC_BITS_H

#include "vec.h"

#ifdef FC_DOUBLE
typedef unsigned long long ubits;
#else
typedef unsigned int ubits;
#endif
#define SIGN_BIT ((ubits)1 << (8 * sizeof(ubits) - 1))

#if FC_BYTES
typedef ubits vbits __attribute__((vector_size(FC_BYTES)));
FC_INLINE vbits vbits_of(vreal v) { return (vbits)v; }
FC_INLINE vreal vfrom_bits(vbits b) { return (vreal)b; }
#else
typedef ubits vbits;
FC_INLINE vbits vbits_of(vreal v) { vbits b; memcpy(&b, &v, sizeof b); return b; }
FC_INLINE vreal vfrom_bits(vbits b) { vreal v; memcpy(&v, &b, sizeof v); return v; }
#endif

FC_INLINE vreal vabs(vreal a) { return vfrom_bits(vbits_of(a) & ~SIGN_BIT); }
FC_INLINE vreal vnegative(vreal a) { return vfrom_bits(vbits_of(a) | SIGN_BIT); }  /* -|a| */
/* The magnitude, which is not negative, with the sign of another number. */
FC_INLINE vreal vsigned(vreal magnitude, vreal sign) {
    return vfrom_bits(vbits_of(magnitude) | (vbits_of(sign) & SIGN_BIT));
}

FC_INLINE vmask vless(vreal a, vreal b) { return a < b; }
FC_INLINE vmask vequal(vreal a, vreal b) { return a == b; }
/* vwhere is a where the mask is set, elsewhere 0; vunless is the opposite.  With AVX2 they name the
 * instruction, since GCC would blend with zeros instead. */
FC_INLINE vreal vwhere(vmask mask, vreal a) {
#if FC_BYTES == 32 && defined(__AVX2__) && defined(FC_DOUBLE)
    return (vreal)_mm256_and_pd((__m256d)mask, (__m256d)a);
#elif FC_BYTES == 32 && defined(__AVX2__)
    return (vreal)_mm256_and_ps((__m256)mask, (__m256)a);
#elif FC_BYTES
    return (vreal)((vmask)a & mask);
#else
    return mask ? a : 0;
#endif
}
FC_INLINE vreal vunless(vmask mask, vreal a) {
#if FC_BYTES == 32 && defined(__AVX2__) && defined(FC_DOUBLE)
    return (vreal)_mm256_andnot_pd((__m256d)mask, (__m256d)a);
#elif FC_BYTES == 32 && defined(__AVX2__)
    return (vreal)_mm256_andnot_ps((__m256)mask, (__m256)a);
#elif FC_BYTES
    return (vreal)((vmask)a & ~mask);
#else
    return mask ? 0 : a;
#endif
}
/* mask ? a : b, in one operation where the processor has it.  The mask comes from a comparison. */
FC_INLINE vreal vchoose(vmask mask, vreal a, vreal b) {
#if FC_BYTES == 32 && defined(__AVX2__) && defined(FC_DOUBLE)
    return (vreal)_mm256_blendv_pd((__m256d)b, (__m256d)a, (__m256d)mask);
#elif FC_BYTES == 32 && defined(__AVX2__)
    return (vreal)_mm256_blendv_ps((__m256)b, (__m256)a, (__m256)mask);
#else
    return vselect(mask, a, b);
#endif
}

/* The first n lanes, and `fill` in those beyond.  `room` numbers from p on may be read. */
FC_INLINE vreal vload_filled(const real *p, ptrdiff_t n, ptrdiff_t room, real fill) {
    if (n >= VL) return vload(p);
    return vpick(vset1(fill), room < VL ? vload_n(p, n) : vload(p), lanes_between(0, n));
}
/* Store the first n lanes.  `room` numbers from p on belong to the caller: those after the first n
 * may be written again with what they hold, which is much faster than one lane at a time. */
FC_INLINE void vstore_within(real *p, vreal v, ptrdiff_t n, ptrdiff_t room) {
#ifdef fc_mask_storeu
    (void)room;
#else
    if (n < VL && room >= VL) {
        vstore(p, vpick(vload(p), v, lanes_between(0, n)));
        return;
    }
#endif
    vstore_n(p, v, n);
}

/* vcount adds one in the lanes of a mask; vfrom_counts turns counts into numbers, exact below 2^24
 * in float32. */
FC_INLINE vmask vcount(vmask counts, vmask mask) {
#if FC_BYTES
    return counts - mask;
#else
    return counts + mask;
#endif
}
FC_INLINE vreal vfrom_counts(vmask counts) {
#if FC_BYTES && defined(FC_DOUBLE)
    const double rounding = 6755399441055744.0;  /* 1.5 * 2^52: the counts go to its last bits */
    return (vreal)(counts + (vmask)vset1(rounding)) - rounding;
#elif FC_BYTES
    return __builtin_convertvector(counts, vreal);
#else
    return (vreal)counts;
#endif
}

#endif
