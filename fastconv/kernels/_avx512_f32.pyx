"""Kernels for avx512, float32; see body.pxi."""
include "body.pxi"
