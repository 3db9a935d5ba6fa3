"""The compiled kernels; everything else is in pyproject.toml."""

import os
import sys
import sysconfig
from pathlib import Path

import numpy
from Cython.Build import cythonize
from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

KERNELS = [
    "_cholesky",
    "_covariance",
    "_linear_moments",
    "_gradient",
    "_hmc",
    "_surrogate",
    "_delayed_acceptance",
    "_smoothing",
    "_projection",
    "_projection_gradient",
    "_particles",
    "_row_products",
    "_density",
    "_stiefel_factors",
    "_stiefel_products",
    "_stiefel",
    "_stiefel_density",
    "_cointegration",
    "_network",
    "_components",
    "_reduced_rank",
    "_nuts",
    "_kernel_learning",
]

# What Cython adds for memory views, once for all kernels; cythonize writes its C file. (Cython
# 3.1 would compile it without our flags, the macro of the limited API among them.)
SHARED = "_cyutility"

HEADERS = ["_hot_loops", "_risk_loops", "_product_loops", "_network_loops", "_learning_loops"]

# A debug build checks every index; QBECONOMETRICS_SANITIZE=address,undefined instruments the code.
DEBUG = os.environ.get("QBECONOMETRICS_DEBUG", "") == "1"
SANITIZE = os.environ.get("QBECONOMETRICS_SANITIZE", "")
# An optimised build that keeps its symbols, for profilers.
SYMBOLS = os.environ.get("QBECONOMETRICS_SYMBOLS", "") == "1"
# Names with commas: compile these and what all share, but no others.
ONLY = [name for name in os.environ.get("QBECONOMETRICS_KERNELS", "").split(",") if name]
# The stable interface of Python 3.11 gives one wheel for all later versions.
STABLE_ABI = not (DEBUG or sysconfig.get_config_var("Py_GIL_DISABLED"))

DIRECTIVES = {
    "language_level": 3,
    "boundscheck": DEBUG,
    "wraparound": False,
    "cdivision": True,
    "initializedcheck": DEBUG,
    "freethreading_compatible": True,
}


def compiler_flags() -> tuple[list[str], list[str]]:
    if sys.platform == "win32":
        return ["/O2"], []
    # Without contraction of a * b + c, builds for different processors give the same bits.
    compile_flags = ["-ffp-contract=off", *(["-O0", "-g"] if DEBUG else ["-O3"])]
    link_flags = []
    if SANITIZE:
        compile_flags += [f"-fsanitize={SANITIZE}", "-fno-omit-frame-pointer", "-g"]
        link_flags += [f"-fsanitize={SANITIZE}"]
    elif not (DEBUG or SYMBOLS):
        compile_flags += ["-g0"]
        if sys.platform == "linux":
            link_flags += ["-Wl,-s"]
    return compile_flags, link_flags


def extension(name: str, kind: str) -> Extension:
    compile_flags, link_flags = compiler_flags()
    numpy_folder = Path(numpy.__file__).parent
    macros = [("NPY_NO_DEPRECATED_API", "NPY_2_0_API_VERSION")]
    if STABLE_ABI:
        macros.append(("Py_LIMITED_API", "0x030B0000"))
    return Extension(
        f"qbeconometrics.kernels.{name}",
        [f"qbeconometrics/kernels/{name}.{kind}"],
        depends=[f"qbeconometrics/kernels/{name}.h" for name in HEADERS],
        include_dirs=[numpy.get_include(), "qbeconometrics/kernels"],
        library_dirs=[str(numpy_folder / "random" / "lib")],
        # NumPy's own generators, so that a seeded kernel repeats numpy.random.Generator.
        libraries=["npyrandom"] + ([] if sys.platform == "win32" else ["m"]),
        define_macros=macros,
        extra_compile_args=compile_flags,
        extra_link_args=link_flags,
        py_limited_api=STABLE_ABI,
    )


class ParallelBuild(build_ext):
    """Compile the extensions side by side, one a core."""

    def finalize_options(self) -> None:
        super().finalize_options()
        self.parallel = self.parallel or os.cpu_count()


setup(
    ext_modules=cythonize(
        [extension(SHARED, "c"), *(extension(name, "pyx") for name in ONLY or KERNELS)],
        shared_utility_qualified_name=f"qbeconometrics.kernels.{SHARED}",
        build_dir="build/cython",
        compiler_directives=DIRECTIVES,
        nthreads=2 if sys.platform == "linux" else 0,
        gdb_debug=False,
    ),
    cmdclass={"build_ext": ParallelBuild},
    options={"bdist_wheel": {"py_limited_api": "cp311"}} if STABLE_ABI else {},
)
