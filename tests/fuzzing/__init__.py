"""A fuzzer of every function on arrays against a page that nobody may touch.

::

    tests/fuzz.py   the command line
    runner          processes that work through case numbers; what crashes or hangs is named
    kinds           which check a case number runs
    case            what a case draws: numbers, odd layouts, threads, memory
    guard           memory against pages without access
    geometries      sizes and options of convolutions and poolings
    compare         bit for bit, or within a bound
    convolution, pooling, unfolding, dense, elementwise, updates, smooth, activations, normalize
                    the checks, each of a few functions against its reference

A case is its number: everything it draws comes from a generator that the number seeds, so
``python tests/fuzz.py --first NUMBER --cases 1`` runs it again.
"""
