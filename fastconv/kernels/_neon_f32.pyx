"""Kernels for neon, float32; see body.pxi."""
include "body.pxi"
