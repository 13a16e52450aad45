"""A module for each library, which calls it in its fastest way; imported when it is asked for.

Every function returns `Contender`s for a case; all contenders of a case read the same NumPy arrays.
"""
