"""The compiled kernels once more, in plain NumPy: for readers and for tests.

A twin has the name and the arguments of the compiled function and takes random numbers from the
generator in the same order, so a seeded path is the same draw by draw. Nothing in the package calls
a twin.
"""
