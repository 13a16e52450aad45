# The length of a block of the sum in the gradients of weights.

cdef extern from *:
    """
    enum { CHUNK = 128 };
    """
    enum: CHUNK                            # output pixels, or samples, at the most
