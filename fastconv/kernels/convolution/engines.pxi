# The ways to lay a convolution over the vector lanes.

cdef extern from *:
    """
    enum { PANELS_ENGINE, PLANES_ENGINE, LINES_ENGINE, STRIPS_ENGINE };
    """
    enum: PANELS_ENGINE
    enum: PLANES_ENGINE
    enum: LINES_ENGINE
    enum: STRIPS_ENGINE

PANELS = PANELS_ENGINE  # output channels in the lanes (convolution.pxi)
PLANES = PLANES_ENGINE  # pixels of one channel (planes.pxi)
LINES = LINES_ENGINE    # pixels, several filters at once (lines.pxi)
STRIPS = STRIPS_ENGINE  # pixels of a strip that is copied (strips.pxi), else as PANELS
