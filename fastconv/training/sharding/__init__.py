"""Training on pieces of batches, in one process or in several that talk by MPI.

::

    cutting     a batch is cut into pieces; which rank computes which
    tree        the one order in which what they give is added
    layout      gradients one after the other in a block, and buckets of it
    sums        adds the gradients of a rank's pieces
    ranks       the processes: what they tell each other
    travelling  brings the gradients of all ranks together, while others are computed
    step        one step of the optimizer
    alike       whether all ranks were given the same, and are still alike
    iterables   whether the iterables of all ranks give the same batches
    cores       threads of ranks on one machine
    faults      what becomes of the others when one rank fails

The weights after a step depend on the number of pieces, and not on that of the processes.
"""
