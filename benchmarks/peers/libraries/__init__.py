"""One library a module, each called in the way that is fastest for it; imported when it is asked.

Every function returns `Contender`s for a case; all of a case read the same NumPy arrays.
"""
