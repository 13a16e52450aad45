# The gradient of the input for small maps, from weights as they lie: pixel_strips.pxi with whole
# maps.
#
#     weight[k][c][r][s]      a slot of a thread
#     o o o o | o o o o        totals   of a block of panels, where filters come block by block
#     o o o o | o o o o   ->   strips   of dy of some images: laid out once for all panels
#     o o o o | o o o o        panel    turned to [r][s][k][LANES] just before it is multiplied
#     one panel of channels, of 1x1 up to four
#
# If dx has few pixels, packing all weights beforehand takes as long as multiplying by them, and
# goes through memory twice.  A panel that is turned just before it is used stays in the L2.  With
# 1x1 kernels it has one line of cache of each filter, and filters lie kilobytes apart; so several
# panels are turned together.  Where tiles prefetch (pixel_tile.pxi), they ask for the weights of
# the next panel instead.

cdef extern from *:
    """
    enum { DX_PLACES = 512,                        /* pixels of dx whose strips a slot holds */
           DY_KEPT = (640 << 10) / sizeof(real),   /* numbers of their strips */
           DX_KEPT = (256 << 10) / sizeof(real),   /* totals that wait */
           PANEL_KEPT = ((PIXEL_ASKS ? 640 : 320) << 10) / sizeof(real),
           PIXELS_KEPT = 54,                       /* pixels whose dy is in the L2 beside a panel */
           FEW_PIXELS = 100,                       /* where tiles prefetch: for more of 1x1, */
           MANY_WEIGHTS = 128 << 10,               /* or fewer weights, packing is as fast */
           FEW_TURNS = PIXEL_ASKS ? 1 : 3,         /* turning a panel so often beats packing it */
           MOST_TURNED = PIXEL_ASKS ? 1 : PANELS_COPIED, /* panels of 1x1 turned together */
           MANY_PIXELS = PIXEL_ASKS ? DX_PLACES + 1 : 98 };  /* for so many, more often does too */
    """
    enum: DX_PLACES
    enum: DY_KEPT
    enum: DX_KEPT
    enum: PANEL_KEPT
    enum: PIXELS_KEPT
    enum: FEW_PIXELS
    enum: MANY_WEIGHTS
    enum: FEW_TURNS
    enum: MOST_TURNED
    enum: MANY_PIXELS

cdef struct PixelPanels:
    PixelStrips strips                     # of whole maps
    Py_ssize_t images                      # whose strips a slot holds
    Py_ssize_t turned_panels               # panels that are turned together
    real* work
    Py_ssize_t slot                        # numbers of a slot
    Py_ssize_t plane                       # from tap to tap of a turned panel; of 1x1 to the next
    long long* holds                       # [slot]: which strips it holds, or -1
    unsigned char* broken                  # [n]: whether image n has a result that is not finite
    int slots[FC_SLOTS]


cdef inline Py_ssize_t panel_plane(Py_ssize_t filters) noexcept nogil:
    """Numbers from one tap of a turned panel to the next: those of the tap and one line of cache
    more, so that taps are not in the same set of the cache."""
    return filters * LANES + LINE


def input_slot(Py_ssize_t images, Py_ssize_t filters, Py_ssize_t channels, Py_ssize_t R,
               Py_ssize_t S, size, stride, dilation, Py_ssize_t block, Py_ssize_t room,
               Py_ssize_t threads):
    """Return how many images and how many panels of a group's channels a slot of
    `conv2d_backward_input_plain` is for, how many panels it turns together, and how many numbers it
    has.

    Return zeros if that function does not suit dx of `size` (H, W), or if the slots of all threads
    have more than `room` numbers.
    """
    cdef Py_ssize_t H = size[0]
    cdef Py_ssize_t W = size[1]
    cdef Py_ssize_t rows = H + (R - 1) * <Py_ssize_t> dilation[0]
    cdef Py_ssize_t columns = W + (S - 1) * <Py_ssize_t> dilation[1]
    cdef Py_ssize_t strip, turned, kept, share, at_once, slot, together
    if PIXEL_TILE < 4 or stride != (1, 1) or rows > DY_KEPT or columns > DY_KEPT \
            or R * S > 1 and fills_tiles(W) and filters < MANY_FILTERS:
        return 0, 0, 0, 0                  # so the products of these stay small
    if PIXEL_ASKS and R * S == 1 and (images * H * W > FEW_PIXELS
                                      or filters * channels < MANY_WEIGHTS):
        return 0, 0, 0, 0
    strip = rows * columns * pixel_numbers(min(filters, block))
    turned = R * S * panel_plane(min(filters, block))
    together = min(min(images, DY_KEPT // strip), DX_PLACES // (H * W))
    share = ceil_div(ceil_div(channels, LANES), threads)
    kept = share if filters > block else 1  # if filters come block by block, all sums wait
    if together == 0 or turned > PANEL_KEPT or together * kept * H * W * LANES > DX_KEPT:
        return 0, 0, 0, 0
    if ceil_div(images, together) > FEW_TURNS and (R * S == 1 or together * H * W < MANY_PIXELS):
        return 0, 0, 0, 0                  # a panel would be turned too often, for few pixels
    at_once = min(share, <Py_ssize_t> MOST_TURNED) if R * S == 1 else 1
    at_once = ceil_div(share, ceil_div(share, at_once))  # in nearly equal shares
    slot = together * (kept * H * W * LANES + strip)
    while threads * (slot + at_once * turned) > room:
        at_once -= 1
        if at_once == 0:
            return 0, 0, 0, 0
    return together, share if filters > block else at_once, at_once, slot + at_once * turned


cdef void lay_out_maps(const PixelStrips* plan, Py_ssize_t first, Py_ssize_t last,
                       Py_ssize_t group, Py_ssize_t filter, Py_ssize_t size,
                       real* strips) noexcept nogil:
    """Lay out the strips of some images for a block of filters; each has `size` numbers."""
    cdef const Convolution* c = plan.c
    cdef Py_ssize_t n
    for n in range(first, last):
        lay_out_pixels(plan, c.x + n * c.xn + (group * c.C + filter) * c.xc,
                       min(c.block, c.C - filter), c.rows.offset - plan.down,
                       c.columns.offset - plan.across, c.rows.outputs + plan.down,
                       c.columns.outputs + plan.across, strips + (n - first) * size)


cdef void turn_panels(const PixelPanels* plan, const real* w, Py_ssize_t filters,
                      Py_ssize_t channels, Py_ssize_t panels, real* turned) noexcept nogil:
    """Turn the weights of some filters for some panels of channels, tap by tap; for one panel if
    there is more than one tap."""
    cdef const Convolution* c = plan.strips.c
    cdef Py_ssize_t t, taps = c.R * c.S
    if taps == 1:
        copy_panels(w, c.K, filters, channels, panels, turned, plan.plane)
        return
    for t from 0 <= t < taps by VL:
        turn_filters(w + t, c.K * taps, filters, taps, min(<Py_ssize_t> VL, taps - t), channels,
                     turned + t * plan.plane, plan.plane)


cdef Coming next_panel(const PixelPanels* plan, const real* w, Py_ssize_t filters,
                       Py_ssize_t pixels) noexcept nogil:
    """What `turn_panels` will read after so many pixels are multiplied, if the L2 has room for it
    beside what is there."""
    cdef const Convolution* c = plan.strips.c
    cdef Py_ssize_t taps = c.R * c.S, step = c.K * taps
    if (plan.slot + taps * filters * LANES) * <Py_ssize_t> sizeof(real) > CACHES.l2:
        return nothing_comes()
    return comes(w, filters, LANES * taps, step, taps * ceil_div(pixels, PIXEL_TILE)
                 * ceil_div(filters, PIXEL_STEPS))


cdef void multiply_maps(const PixelPanels* plan, const real* strips, const Py_ssize_t* places,
                        Py_ssize_t pixels, const real* turned, Py_ssize_t filters, bint fresh,
                        Coming* coming, vreal* totals) noexcept nogil:
    """As `multiply_strip`, for many pixels.  Some of them are done at a time, so that their pixels
    of dy stay in the L2 beside the panel while all taps are added."""
    cdef Py_ssize_t pitch = plan.strips.c.columns.outputs + plan.strips.across
    cdef Py_ssize_t parts = ceil_div(pixels, PIXELS_KEPT)
    cdef Py_ssize_t part, first
    for part in range(parts):
        first = part * pixels // parts
        multiply_strip(&plan.strips, strips, places + first,
                       (part + 1) * pixels // parts - first, pitch, turned, plan.plane, filters,
                       fresh, coming, totals + first * NV)


cdef void finish_maps(const PixelPanels* plan, const vreal* totals, Py_ssize_t first,
                      Py_ssize_t last, real* y, Py_ssize_t channels) noexcept nogil:
    """Write a panel of some images; y is its first channel in image 0."""
    cdef const Convolution* c = plan.strips.c
    cdef Py_ssize_t height = c.rows.outputs, width = c.columns.outputs, n
    for n in range(first, last):
        if c.R * c.S > 1 and not all_finite(<real*> totals, height * width * LANES):
            fc_mark(plan.broken + n)
        else:
            store_pixels(c, totals, y + n * c.yn, height, width, channels)
        totals = totals + height * width * NV


cdef void pixel_panels(void* args, Py_ssize_t begin, Py_ssize_t end) noexcept nogil:
    """The gradient from weights as they lie, for whole maps.  Items are (block of images, group,
    block of panels); the last varies fastest.  So if all filters are one block, strips stay for the
    next item."""
    cdef PixelPanels* plan = <PixelPanels*> args
    cdef const PixelStrips* cut = &plan.strips
    cdef const Convolution* c = cut.c
    cdef Py_ssize_t places[DX_PLACES]
    cdef int slot = fc_take_slot(plan.slots)
    cdef Py_ssize_t height = c.rows.outputs, width = c.columns.outputs, pixels = height * width
    cdef Py_ssize_t size = (height + cut.down) * (width + cut.across) * cut.pixel
    cdef Py_ssize_t sums = plan.images * pixels * LANES
    cdef bint waits = c.C > c.block        # whether sums wait for the next block of filters
    cdef real* totals = plan.work + slot * plan.slot
    cdef real* strips = totals + (cut.panels if waits else 1) * sums
    cdef real* turned = strips + plan.images * size
    cdef real* total
    cdef real* used                        # of what is turned
    cdef Py_ssize_t item, rest, panel, panels, first_panel, n, first, last, group, k, i, count
    cdef Py_ssize_t channels
    cdef const real* w
    cdef real* y
    cdef Coming coming
    find_places(cut, height, width, places)
    for i in range(pixels, plan.images * pixels):
        places[i] = places[i - pixels] + size
    for item in range(begin, end):
        first_panel = item % cut.panel_blocks * cut.panels
        rest = item // cut.panel_blocks
        group = rest % c.groups
        first = rest // c.groups * plan.images
        last = min(first + plan.images, c.N)
        for k from 0 <= k < c.C by c.block:
            count = min(c.block, c.C - k)
            if c.C > c.block or plan.holds[slot] != rest:
                lay_out_maps(cut, first, last, group, k, size, strips)
                plan.holds[slot] = rest
            panels = min(cut.panels, c.panels - first_panel)
            for panel in range(panels):
                channels = c.K - (first_panel + panel) * LANES
                y = c.y + (group * c.K + (first_panel + panel) * LANES) * c.yk
                w = c.w + ((group * c.C + k) * c.K + (first_panel + panel) * LANES) * c.R * c.S
                used = turned + panel % plan.turned_panels * plan.plane
                total = totals + (panel * sums if waits else 0)
                if panel % plan.turned_panels == 0:
                    turn_panels(plan, w, count, channels, min(plan.turned_panels, panels - panel),
                                turned)
                if k + count == c.C:
                    for n in range(first, last):
                        prefetch_pixels(c, y + n * c.yn, height, width,
                                        min(channels, <Py_ssize_t> LANES))
                coming = nothing_comes()
                if PIXEL_ASKS and channels >= 2 * LANES:
                    coming = next_panel(plan, w + LANES * c.R * c.S, count,
                                        (last - first) * pixels)
                multiply_maps(plan, strips, places, (last - first) * pixels, used, count,
                              k == 0, &coming, <vreal*> total)
                if k + count == c.C:
                    finish_maps(plan, <vreal*> total, first, last, y, channels)
    fc_free_slot(plan.slots, slot)
