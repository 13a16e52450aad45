"""Which instruction sets this processor and its operating system can run; see cpu.h.

Built for the baseline alone, so that it may run anywhere.
"""

cdef extern from "cpu.h":
    ctypedef struct fc_set:
        const char* name
        int (*runs)() noexcept nogil
    const fc_set* fc_sets
    enum: FC_SETS


def supports(str isa):
    """Return whether code built for `isa` can run on this machine."""
    cdef int i
    for i in range(FC_SETS):
        if isa == fc_sets[i].name.decode("ascii"):
            return bool(fc_sets[i].runs())
    return False
