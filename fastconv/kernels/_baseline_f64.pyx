"""Kernels for baseline, float64; see body.pxi."""
include "body.pxi"
