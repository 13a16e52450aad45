# The tile of 1x1 kernels whose weights come from memory, and of Winograd's products.  There the
# first tile of a panel would wait for it.  Here every tile asks for its share of the panel that
# comes next.  Those of Winograd ask for their own pixels of the next line of channels too.

cdef extern from *:
    """
    enum { ASKS_AHEAD = TILE >= 12,  /* targets of 16 registers have strips for such kernels */
           PRODUCTS_ASK = ASKS_AHEAD || VL * sizeof(real) == 32,
           CHANNEL_PAIRS = !ASKS_AHEAD };
    """
    enum: ASKS_AHEAD                       # whether tiles of 1x1 kernels do
    enum: PRODUCTS_ASK                     # whether those of Winograd's products do
    enum: CHANNEL_PAIRS                    # whether channels go in pairs: the loop itself costs
                                           # time beside the few products of a tile of six pixels,
                                           # and so do prefetches that all come at its beginning

cdef struct Channels:
    # how the channels of a sum lie, in numbers: in lines, `far` apart, of channels that are `move`
    # apart
    Py_ssize_t lines, line, last   # all lines, the channels of one, and those of the last one
    Py_ssize_t move, far
    Py_ssize_t together            # lines whose sum is then added to the others
    Py_ssize_t ahead, ahead_move   # from a line to the pixels that are asked for meanwhile; with
    Py_ssize_t next_move           # every channel these move on so far, and weights so far


cdef inline Channels cut_channels(Py_ssize_t count, Py_ssize_t line, Py_ssize_t most,
                                  Py_ssize_t move, Py_ssize_t far) noexcept nogil:
    """Cut `count` channels into lines.  A sum has at most `most` channels, whole lines."""
    cdef Channels channels
    channels.lines = ceil_div(count, line)
    channels.line, channels.last = line, count - (channels.lines - 1) * line
    channels.move, channels.far, channels.together = move, far, most // line
    channels.ahead, channels.ahead_move, channels.next_move = 0, 0, 0
    return channels


cdef struct ChannelPlaces:
    # where a tile is, and what it asks for
    Pixels pixels
    const real* weights
    const real* ahead                      # pixels that are needed next
    const real* next                       # and weights


cdef inline void add_channel(const int pixels, const Channels* channels, ChannelPlaces* at,
                             vreal* acc) noexcept nogil:
    """Add a channel to the sums, ask for a line of pixels and one of weights, and move on."""
    cdef vreal weights[NV]
    cdef vreal pixel
    cdef int p, v
    if not CHANNEL_PAIRS:
        vprefetch(at.ahead)
        vprefetch(at.next)
    for v in range(NV):
        weights[v] = vload(at.weights + v * VL)
    for p in range(pixels):
        pixel = pixel_at(p, &at.pixels)
        for v in range(NV):
            acc[p * NV + v] = vadd_product(acc[p * NV + v], pixel, weights[v])
        if CHANNEL_PAIRS and p == 0:
            vprefetch_here(at.ahead)
        if CHANNEL_PAIRS and p == pixels // 2:
            vprefetch_here(at.next)
    at.ahead = at.ahead + channels.ahead_move
    # apart, or GCC finds where the loop ends by a multiplication, see `edge_tile`
    at.next = vapart(at.next + channels.next_move)
    move_pixels(pixels, channels.move * sizeof(real), &at.pixels)
    at.weights = at.weights + LANES


cdef inline void channels_tile(const int pixels, const real* x, Py_ssize_t step, const real* w,
                               const real* next_, const Channels* channels,
                               vreal* total) noexcept nogil:
    """total = sum over channels of x, at so many pixels that lie `step` apart, times w, whose
    channels follow each other.

    Some lines together are a sum from zero, which is then added to the total; a fresh total is 0 +
    the sum, as in `tile`.  Meanwhile each channel asks for a line of pixels and, from `next_` on,
    of weights.
    """
    cdef vreal acc[TILE * NV]
    cdef ChannelPlaces at
    cdef Py_ssize_t left = channels.lines, lines, turns
    cdef bint fresh = True
    cdef int p
    at.weights, at.next = w, next_
    space_pixels(&at.pixels, step)
    while True:
        for p in range(pixels * NV):
            acc[p] = vzero()
        lines = min(channels.together, left)
        left -= lines
        while True:
            channels = <const Channels*> vanew(channels)
            turns = channels.last if lines + left == 1 else channels.line
            at.ahead = x + channels.ahead
            begin_pixels(pixels, x, &at.pixels)
            if CHANNEL_PAIRS and turns & 1:
                add_channel(pixels, channels, &at, acc)
            turns >>= CHANNEL_PAIRS
            while turns:
                add_channel(pixels, channels, &at, acc)
                if CHANNEL_PAIRS:
                    add_channel(pixels, channels, &at, acc)
                turns -= 1
            x = x + channels.far
            lines -= 1
            if lines == 0:
                break
        if fresh:
            for p in range(pixels * NV):
                total[p] = vzero() + acc[p]
        else:
            for p in range(pixels * NV):
                total[p] = total[p] + acc[p]
        fresh = False
        if left == 0:
            break


ctypedef void (*channels_t)(const void*, const real* x, Py_ssize_t step, const real* w,
                            const real* next_, const Channels* channels,
                            vreal* total) noexcept nogil


cdef void channels_tile_of(const width* _, const real* x, Py_ssize_t step, const real* w,
                           const real* next_, const Channels* channels,
                           vreal* total) noexcept nogil:
    if PRODUCTS_ASK and sizeof(width) <= TILE:
        channels_tile(<int> sizeof(width), x, step, w, next_, channels, total)


cdef channels_t channels_tiles[15]
channels_tiles[:] = [
    NULL, <channels_t> channels_tile_of[n1], <channels_t> channels_tile_of[n2],
    <channels_t> channels_tile_of[n3], <channels_t> channels_tile_of[n4],
    <channels_t> channels_tile_of[n5], <channels_t> channels_tile_of[n6],
    <channels_t> channels_tile_of[n7], <channels_t> channels_tile_of[n8],
    <channels_t> channels_tile_of[n9], <channels_t> channels_tile_of[n10],
    <channels_t> channels_tile_of[n11], <channels_t> channels_tile_of[n12],
    <channels_t> channels_tile_of[n13], <channels_t> channels_tile_of[n14],
]
