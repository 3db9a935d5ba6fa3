"""Nothing for Python: the functions are for other kernels."""
