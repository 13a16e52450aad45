"""Kernels for baseline, float32; see body.pxi."""
include "body.pxi"
