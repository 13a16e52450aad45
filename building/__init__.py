"""How the kernels are built; used by setup.py, and never installed.

processor   which instruction sets the processor of this machine runs
targets     which instruction sets a target can have, by the build's settings, and which are built
switches    the environment variables that a builder may set
flags       the flags of the compiler
store       modules that were built before, found again by what they were made of
command     the command build_ext, which uses all these
archive     the command sdist, which makes the same archive of the same sources
"""
