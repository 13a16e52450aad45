/* Hides AVX-512 and what came after AVX2 from the program that it is loaded into before all others
 * (LD_PRELOAD): every CPUID instruction faults, and is answered as a processor with AVX2 alone
 * would.  Libraries that choose kernels by CPUID then choose those for AVX2.  It takes Linux on
 * x86-64.  Some processors can be told to fault on CPUID (cpuid_fault in /proc/cpuinfo); on others
 * HELD_COPIES says that the libraries are copies, in which an instruction that no processor has
 * stands in the place of each CPUID. */
#define _GNU_SOURCE
#include <asm/prctl.h>
#include <cpuid.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

#define BIT(n) (1u << (n))

static const unsigned char CPUID[2] = {0x0f, 0xa2}, STAND_IN[2] = {0x0f, 0x04};

static int faulting;               /* whether CPUID itself faults */
static struct sigaction before[2]; /* what SIGSEGV and SIGILL did until now */

static long allow_cpuid(int allowed) {
    return syscall(SYS_arch_prctl, ARCH_SET_CPUID, allowed);
}

static void hide(unsigned leaf, unsigned part, unsigned *r) { /* r: eax, ebx, ecx, edx */
    if (leaf == 7 && part == 0) {
        /* AVX512: F DQ IFMA PF ER CD BW VL */
        r[1] &= ~(BIT(16) | BIT(17) | BIT(21) | BIT(26) | BIT(27) | BIT(28) | BIT(30) | BIT(31));
        /* AVX512: VBMI VBMI2 VNNI BITALG VPOPCNTDQ; GFNI VAES VPCLMULQDQ */
        r[2] &= ~(BIT(1) | BIT(6) | BIT(8) | BIT(9) | BIT(10) | BIT(11) | BIT(12) | BIT(14));
        /* AVX512: 4VNNIW 4FMAPS VP2INTERSECT FP16; AMX: BF16 TILE INT8 */
        r[3] &= ~(BIT(2) | BIT(3) | BIT(8) | BIT(22) | BIT(23) | BIT(24) | BIT(25));
    } else if (leaf == 7 || leaf == 0x1d || leaf == 0x1e || leaf == 0x24) {
        /* AVX-VNNI and its like, AMX, AVX10 */
        r[0] = r[1] = r[2] = r[3] = 0;
    }
}

static void on_fault(int number, siginfo_t *info, void *context) {
    greg_t *at = ((ucontext_t *)context)->uc_mcontext.gregs;
    const void *code = (const void *)at[REG_RIP];
    unsigned r[4], leaf = (unsigned)at[REG_RAX], part = (unsigned)at[REG_RCX];
    int is_ours = number == SIGILL ? !memcmp(code, STAND_IN, 2)
                                   : info->si_code == SI_KERNEL && !memcmp(code, CPUID, 2);
    if (!is_ours) { /* the program's own: it faults again */
        sigaction(number, &before[number == SIGILL], NULL);
        return;
    }
    if (faulting)
        allow_cpuid(1);
    __cpuid_count(leaf, part, r[0], r[1], r[2], r[3]);
    if (faulting)
        allow_cpuid(0);
    hide(leaf, part, r);
    at[REG_RAX] = r[0], at[REG_RBX] = r[1], at[REG_RCX] = r[2], at[REG_RDX] = r[3];
    at[REG_RIP] += 2;
}

__attribute__((constructor)) static void hold(void) {
    struct sigaction action = {.sa_sigaction = on_fault,
                               .sa_flags = SA_SIGINFO | SA_NODEFER | SA_ONSTACK};
    sigaction(SIGSEGV, &action, &before[0]);
    sigaction(SIGILL, &action, &before[1]);
    faulting = !allow_cpuid(0);
    if (!faulting && !getenv("HELD_COPIES")) {
        fprintf(stderr, "held: this processor, or its hypervisor, cannot fault on CPUID\n");
        exit(1);
    }
}
