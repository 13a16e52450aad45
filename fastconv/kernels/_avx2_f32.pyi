from ._kernels import *  # noqa: F403
