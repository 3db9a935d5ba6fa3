# Nothing for Python: the functions are for other kernels.

# What Cython adds to every module.
__pyx_capi__: dict[str, object]
__test__: dict[str, str]
