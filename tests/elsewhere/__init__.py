"""What is needed to test elsewhere: on other processors, by other compilers, under other Pythons.

apart         builds the package in a folder of its own
debian        unpacks packages of Debian in a folder, and installs nothing
interpreters  Pythons that are unpacked, or of another processor, and what they import
bits          the results of the kernels in a line each, to compare

Used by tests/aarch64.py, tests/clang.py, tests/pythons.py and tests/sanitize.py.
"""
