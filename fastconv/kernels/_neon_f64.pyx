"""Kernels for neon, float64; see body.pxi."""
include "body.pxi"
