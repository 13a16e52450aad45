"""How the kernels are built; used by setup.py, and never installed.

processor   which instruction sets the processor of this machine runs
targets     what a target can have, read from the build's settings, and which of it is built
switches    the environment variables that a builder may set
flags       what the compiler is told
store       modules that were built before, found again by what they were made of
command     the command build_ext that uses all these
"""
