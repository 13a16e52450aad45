/* The sizes of this processor's caches, and what it prefetches by itself, asked once when a module
   of kernels is imported.

   They decide how work is cut, but never a number of bytes that is stated to users, and never the
   order of a sum.  x86 processors themselves say what they have; elsewhere the system does. */

#ifndef FASTCONV_CACHES_H
#define FASTCONV_CACHES_H

#if (defined(__x86_64__) || defined(__i386__)) && (defined(__GNUC__) || defined(__clang__))
#include <cpuid.h>

/* Whether the hardware itself prefetches rows that are read with masks, one after the other.
   Intel's does; AMD's does not, and waits for the memory at each of them. */
static int fc_foresees_rows(void) {
    unsigned a = 0, b = 0, c = 0, d = 0;
    return __get_cpuid(0, &a, &b, &c, &d) && b == signature_INTEL_ebx && c == signature_INTEL_ecx &&
           d == signature_INTEL_edx;
}

/* Bytes of the data cache of a level, or 0 if that is unknown. */
static long fc_cache_bytes(int level) {
    static const unsigned leaves[] = {4, 0x8000001Du};  /* Intel's; AMD's, in the same form */
    for (int i = 0; i < 2; i++) {
        for (unsigned index = 0; index < 16; index++) {
            unsigned a = 0, b = 0, c = 0, d = 0;
            if (!__get_cpuid_count(leaves[i], index, &a, &b, &c, &d) || !(a & 31)) break;
            if ((int)(a >> 5 & 7) != level || (a & 31) == 2) continue;  /* 2: instructions */
            unsigned long line = (b & 0xfff) + 1, parts = (b >> 12 & 0x3ff) + 1;
            return (long)(line * parts * ((b >> 22) + 1) * ((unsigned long)c + 1));
        }
    }
    return 0;
}
#else
static int fc_foresees_rows(void) { return 0; }  /* as far as is known */

#if defined(__APPLE__)
#include <sys/sysctl.h>

static long fc_cache_bytes(int level) {
    const char *names[2][2] = {{"hw.perflevel0.l1dcachesize", "hw.l1dcachesize"},
                               {"hw.perflevel0.l2cachesize", "hw.l2cachesize"}};
    for (int i = 0; i < 2 && level <= 2; i++) {
        long long found = 0;
        size_t size = sizeof(found);
        if (sysctlbyname(names[level - 1][i], &found, &size, 0, 0) == 0 && found > 0)
            return (long)found;
    }
    return 0;
}
#elif defined(__linux__)
#include <stdio.h>

static long fc_cache_bytes(int level) {
    for (int index = 0; index < 8; index++) {
        char path[96], kind[16] = "", unit = 0;
        int found = 0;
        long size = 0;
        const char *names[] = {"level", "type", "size"};
        for (int i = 0; i < 3; i++) {
            snprintf(path, sizeof(path), "/sys/devices/system/cpu/cpu0/cache/index%d/%s", index,
                     names[i]);
            FILE *file = fopen(path, "r");
            if (!file) return 0;
            int read = i == 0   ? fscanf(file, "%d", &found)
                       : i == 1 ? fscanf(file, "%15s", kind)
                                : fscanf(file, "%ld%c", &size, &unit);
            fclose(file);
            if (read < 1) return 0;
        }
        if (found == level && kind[0] != 'I') return size << (unit == 'M' ? 20 : unit == 'K' ? 10 : 0);
    }
    return 0;
}
#else
static long fc_cache_bytes(int level) { (void)level; return 0; }
#endif
#endif

#endif
