"""Which instruction sets this processor and its operating system can run; see cpu.h.

Built for the baseline alone, so that it may run anywhere.
"""

cdef extern from "cpu.h":
    bint fc_has_avx2()
    bint fc_has_avx512()
    bint fc_has_neon()


def supports(str isa):
    """Return whether code built for `isa` can run on this machine."""
    if isa == "baseline":
        return True
    if isa == "avx2":
        return bool(fc_has_avx2())
    if isa == "avx512":
        return bool(fc_has_avx512())
    if isa == "neon":
        return bool(fc_has_neon())
    return False
