# The vector type and its operations (vec.h), declared as numbers so that arithmetic reads
# as arithmetic.  The compiler must inline every inline function: a register tile that is passed
# through a call lives in memory, and runs at a third of the speed.

cdef extern from *:
    """
    #if (defined(__GNUC__) || defined(__clang__)) && !defined(FC_UNOPTIMIZED)
    #undef CYTHON_INLINE
    #define CYTHON_INLINE inline __attribute__((always_inline))
    #endif
    """

cdef extern from "simd/vec.h":
    ctypedef float real
    ctypedef float vreal
    ctypedef int ireal
    ctypedef int vmask
    enum: VL
    enum: NV
    enum: LANES
    enum: TILE
    enum: NARROW
    enum: BLOCK                            # numbers of 128 bits
    enum: TURNS_BLOCKS                     # whether there is `vturn_block`
    vreal vload(const real*) noexcept nogil
    void vprefetch_write(const real*) noexcept nogil
    vreal vload_n(const real*, Py_ssize_t n) noexcept nogil
    vreal vload_range(const real*, Py_ssize_t first, Py_ssize_t last) noexcept nogil
    vreal vload_strided(const real*, Py_ssize_t step, Py_ssize_t n) noexcept nogil
    vreal vload_lanes(const real*, Py_ssize_t step, Py_ssize_t first, Py_ssize_t last) noexcept nogil
    void vstore(real*, vreal) noexcept nogil
    void vstore_n(real*, vreal, Py_ssize_t n) noexcept nogil
    void vstore_strided(real*, Py_ssize_t step, vreal, Py_ssize_t n) noexcept nogil
    vreal vset1(real) noexcept nogil
    vreal vzero() noexcept nogil
    vreal vset1_n(real, Py_ssize_t n) noexcept nogil
    vreal vrelu(vreal) noexcept nogil
    vreal vpositive(vreal y, vreal dy) noexcept nogil
    vreal vsqrt(vreal) noexcept nogil
    vreal vratio(vreal a, vreal b) noexcept nogil
    real vsum(vreal) noexcept nogil
    real vmost(vreal) noexcept nogil
    void vsum_halves(vreal, real* low, real* high) noexcept nogil
    void vtranspose(vreal*) noexcept nogil
    void vturn_block(const real*, Py_ssize_t, vreal*) noexcept nogil
    void vturn_rows(const real* const*, Py_ssize_t, vreal*) noexcept nogil
    void vdeal(const int m, const int edge, const vreal*, vreal*) noexcept nogil
    vreal vlow(vreal, vreal) noexcept nogil
    vreal vhigh(vreal, vreal) noexcept nogil
    vreal vshift_in(vreal, vreal) noexcept nogil
    vreal vshift_up(vreal, vreal) noexcept nogil
    vreal vpush(vreal, real) noexcept nogil
    void vprefetch(const real*) noexcept nogil
    void vprefetch_here(const real*) noexcept nogil
    vmask vturn(int by) noexcept nogil
    vreal vturned(vreal, vmask) noexcept nogil
    vreal vrotate(vreal, int by) noexcept nogil
    vreal vevens(vreal, vreal) noexcept nogil
    vreal vodds(vreal, vreal) noexcept nogil
    vreal vevens_dealt(vreal, vreal) noexcept nogil
    vreal vodds_dealt(vreal, vreal) noexcept nogil
    vreal vundealt(vreal) noexcept nogil
    ctypedef unsigned int lanes_t
    lanes_t lanes_between(Py_ssize_t first, Py_ssize_t last) noexcept nogil
    lanes_t vkeep(lanes_t) noexcept nogil
    vreal vheld(vreal) noexcept nogil
    Py_ssize_t vapart_at(Py_ssize_t) noexcept nogil
    const real* vapart(const real*) noexcept nogil
    const void* vanew(const void*) noexcept nogil
    const real* vbeyond(const real*, Py_ssize_t bytes) noexcept nogil
    vreal vload_where(const real*, lanes_t) noexcept nogil
    vmask vspread(lanes_t) noexcept nogil
    vreal vload_masked(const real*, const vmask*) noexcept nogil
    void vstore_where(real*, vreal, lanes_t) noexcept nogil
    vreal vadd_product(vreal acc, vreal a, vreal b) noexcept nogil
    vreal vmadd(vreal acc, vreal a, vreal b) noexcept nogil
    vreal vmadd_where(vreal acc, vreal a, vreal b, lanes_t) noexcept nogil
    vreal vadd_where(vreal acc, vreal a, lanes_t) noexcept nogil
    vmask vtap(int) noexcept nogil
    vreal vpick(vreal, vreal other, lanes_t) noexcept nogil
    vmask vpick_tap(vmask, int tap, lanes_t) noexcept nogil
    void vcontest(vreal* best, vmask* taken, vreal value, int tap) noexcept nogil
    void vcontest_numbers(vreal* best, vmask* taken, vreal value, int tap) noexcept nogil
    void vcontest_taps(vreal* best, vmask* taken, vreal value, vmask taps) noexcept nogil
    vreal vlarger(vreal a, vreal b) noexcept nogil
    vmask vnans(vreal) noexcept nogil
    vmask vnans_of_pair(vreal, vreal) noexcept nogil
    bint vany(vmask) noexcept nogil
    lanes_t vunordered(vreal a, vreal b) noexcept nogil
    vmask vpositive_tap(vreal best, vmask taken, int none) noexcept nogil
    void vstore_bytes(unsigned char*, vmask taken, Py_ssize_t n) noexcept nogil
    void vstore_bytes_dealt(unsigned char*, vmask taken) noexcept nogil
    void vstore_bytes_where(unsigned char*, vmask taken, lanes_t) noexcept nogil
    void vstore_ints(int*, vmask taken, Py_ssize_t n) noexcept nogil
    vmask vload_bytes(const unsigned char*, lanes_t) noexcept nogil
    vreal vadd_winner(vreal acc, vreal a, vmask taken, int tap) noexcept nogil
    vmask vload_mask(const ireal*) noexcept nogil
    void vstore_mask(ireal*, vmask) noexcept nogil
    vmask vtap_rows(vmask taps, int reciprocal) noexcept nogil
    vmask vtimes(vmask, int) noexcept nogil
    void vdrop_outside(vmask* at, vreal* dy, vmask row, vmask rows, vmask column, int columns) noexcept nogil

include "simd/widths.pxi"

from libc.math cimport sqrt as dsqrt
from libc.string cimport memcpy, memmove, memset
from fastconv.kernels._pool cimport parallel_for, task_t


cdef inline Py_ssize_t part_start(Py_ssize_t items, Py_ssize_t part, Py_ssize_t parts,
                                  int threads) noexcept nogil:
    """The first item of a part.  Where items are few, the first parts have one for each thread, and
    the last parts have none: a part with fewer items than threads would leave threads idle."""
    parts = max(<Py_ssize_t> 1, min(parts, items // threads))
    return items * min(part, parts) // parts


cdef inline void run_items(task_t task, void* args, Py_ssize_t items, Py_ssize_t part,
                           Py_ssize_t parts, Py_ssize_t grain, int threads) noexcept nogil:
    parallel_for(task, args, part_start(items, part, parts, threads),
                 part_start(items, part + 1, parts, threads), grain, threads)
