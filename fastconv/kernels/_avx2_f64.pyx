"""Kernels for avx2, float64; see body.pxi."""
include "body.pxi"
