"""Check what the sdist and the wheel hold: check_archives.py <sdist> <wheel>."""

import sys
import tarfile
import zipfile
from pathlib import Path

LARGEST_WHEEL = 2_700_000  # bytes
KERNELS = ("_cholesky", "_delayed_acceptance", "_linear_moments")
SHARED = "_cyutility"  # what Cython adds for memory views, once for all kernels


def main() -> None:
    sdist, wheel = map(Path, sys.argv[1:])
    with tarfile.open(sdist) as archive:
        source = {name.partition("/")[2] for name in archive.getnames()}
    for name in ("setup.py", "LICENSE", "README.md", "tests/conftest.py", ".ci/run"):
        assert name in source, f"the sdist lacks {name}"
    for kernel in KERNELS:
        assert f"qbeconometrics/kernels/{kernel}.pyx" in source, f"the sdist lacks {kernel}.pyx"

    size = wheel.stat().st_size
    assert size < LARGEST_WHEEL, f"the wheel has {size} bytes"
    assert "-cp311-abi3-" in wheel.name, wheel.name
    with zipfile.ZipFile(wheel) as archive:
        files = set(archive.namelist())
        for name in (*KERNELS, SHARED):
            module = f"qbeconometrics/kernels/{name}.abi3.so"
            assert module in files, f"the wheel lacks {module}"
            assert b".debug_info" not in archive.read(module), f"{module} is not stripped"
    unwanted = [name for name in files if name.endswith((".c", ".pyx")) or "tests/" in name]
    assert not unwanted, f"the wheel holds {unwanted}"
    data = {name for name in source if name.startswith("qbeconometrics/datasets/")}
    data |= {name for name in source if name.endswith((".pxd", ".pyi", "py.typed"))}
    missing = {name for name in data if Path(name).suffix} - files
    assert not missing, f"the wheel lacks {missing}"
    print(f"wheel {size / 1e6:.2f} MB, sdist {sdist.stat().st_size / 1e6:.2f} MB: {wheel.name}")


if __name__ == "__main__":
    main()
