"""Kernels for avx2, float32; see body.pxi."""
include "body.pxi"
