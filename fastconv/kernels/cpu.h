/* Which instruction sets this processor and its operating system can run.

   _cpu.pyx asks when the package is imported, and building/processor.py when it is built for the
   machine that builds it.  So this is C that any processor can run, and needs no Python. */

#ifndef FASTCONV_CPU_H
#define FASTCONV_CPU_H

static int fc_any(void) { return 1; }
#if (defined(__x86_64__) || defined(__i386__)) && (defined(__GNUC__) || defined(__clang__))
/* __builtin_cpu_supports looks at the operating system's state (XGETBV) too */
static int fc_has_avx2(void) {
    __builtin_cpu_init();
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
}
static int fc_has_avx512(void) {
    __builtin_cpu_init();
    return fc_has_avx2() && __builtin_cpu_supports("avx512f") &&
           __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512dq");
}
#else
static int fc_has_avx2(void) { return 0; }
static int fc_has_avx512(void) { return 0; }
#endif

#ifdef __aarch64__
static int fc_has_neon(void) { return 1; }  /* part of every 64-bit ARM */
#else
static int fc_has_neon(void) { return 0; }
#endif

/* Every set by its name, in the order of built.py; a new one needs nothing but its row. */
typedef struct {
    const char *name;
    int (*runs)(void);
} fc_set;
static const fc_set fc_sets[] = {
    {"baseline", fc_any},
    {"avx2", fc_has_avx2},
    {"avx512", fc_has_avx512},
    {"neon", fc_has_neon},
};
enum { FC_SETS = sizeof(fc_sets) / sizeof(fc_sets[0]) };

#endif
