# Minimal filtering by weights as they lie, for few tiles and many weights: winograd.pxi with its
# loops exchanged.
#
#     weight    one panel after the other      a slot of a thread: U of one panel, just before
#        |                                     it is multiplied
#        U[e][c][LANES]  x  V[...]  ->  Z  ->  y
#
# To transform all weights beforehand takes as long as multiplying by them, and U goes through
# memory twice.  Here V holds the tiles of all images, and U stays in the L2.

cdef struct WinogradPlain:
    Winograd tiles
    WinogradWeights weights
    real* v                                # of all tiles
    real* u                                # [slot][e][c][LANES]


cdef inline real* tile_of_v(const WinogradPlain* plan, Py_ssize_t tile) noexcept nogil:
    return plan.v + tile * (CACHE_LINE if plan.tiles.channel_lanes else 1)


cdef void transform_tiles(void* args, Py_ssize_t begin, Py_ssize_t end) noexcept nogil:
    """Make V.  Items are blocks of tiles."""
    cdef const WinogradPlain* plan = <const WinogradPlain*> args
    cdef const Winograd* g = &plan.tiles
    cdef Py_ssize_t item, first, last
    for item in range(begin, end):
        first = item * g.length
        last = min(first + g.length, g.tiles)
        transform_input(g, first, last, last - first, tile_of_v(plan, first))


cdef void plain_panels(void* args, Py_ssize_t begin, Py_ssize_t end) noexcept nogil:
    """Items are panels."""
    cdef WinogradPlain* plan = <WinogradPlain*> args
    cdef Winograd* g = &plan.tiles
    cdef int slot = fc_take_slot(g.slots)
    cdef real* u = plan.u + slot * g.edge * g.edge * g.C * LANES
    cdef Py_ssize_t panel, c, first, last
    for panel in range(begin, end):
        for c from 0 <= c < g.C by TURNED:
            transform_channels(&plan.weights, panel, c, u)
        for first from 0 <= first < g.tiles by g.length:
            last = min(first + g.length, g.tiles)
            multiply_panel(g, panel, first, last, ceil_div(last - first, TILE),
                           tile_of_v(plan, first), u, g.work + slot * g.slot)
    fc_free_slot(g.slots, slot)


def winograd_plain(const real[:, :, :, :] x, const real[:, :, :, ::1] weight, bint turned,
                   real[::1] room, bias, real[:, :, :, ::1] y, real[::1] work, Py_ssize_t slot,
                   unsigned char[::1] broken, int m, int edge, Py_ssize_t length, Py_ssize_t held,
                   pad, bint relu, Py_ssize_t part, Py_ssize_t parts, int threads):
    """As `winograd`, by weights (K, C, R, R), `turned` for the gradient of the input.

    room holds V of `held` tiles, at least all, and then for each thread one panel of U.
    """
    cdef WinogradPlain plan
    cdef Winograd* g = &plan.tiles
    g[0] = plan_winograd(x, bias, y, work, slot, broken, m, edge, length, pad, relu)
    g.held = held
    plan.weights = plan_weights(weight.shape[0], weight.shape[1], edge, edge - m + 1, turned)
    plan.weights.weight = &weight[0, 0, 0, 0]
    plan.v = &room[0]
    plan.u = plan.v + edge * edge * held * g.C
    with nogil:
        if part == 0:
            run_items(transform_tiles, &plan, ceil_div(g.tiles, length), 0, 1, 1, threads)
        run_items(plain_panels, &plan, g.panels, part, parts, 1, threads)
