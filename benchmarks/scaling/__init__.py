"""How long a step of training takes on many machines: a model, a simulation, and what was measured.

::

    constants    Link, Work, Cluster, Job: the numbers that everything else takes
    collectives  ring, tree, hierarchical and fixed sums: messages, and formulas of their times
    model        the time of a step; speedups; where more machines stop paying
    events       a small discrete-event simulator
    simulation   a step as events: late machines, sums message by message
    failures     a run with failures, checkpoints and restarts; Young's and Daly's intervals
    measure      constants and steps of two ranks, by MPI
    measured     the same, read from the file that a measurement wrote
    page         the tables of docs/scale.md
"""
