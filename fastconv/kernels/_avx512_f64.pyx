"""Kernels for avx512, float64; see body.pxi."""
include "body.pxi"
