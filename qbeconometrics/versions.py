"""What to paste into a bug report."""

from __future__ import annotations

import platform
import sys
from importlib.metadata import PackageNotFoundError, version

PACKAGES = (
    "qbeconometrics",
    "numpy",
    "scipy",
    "pandas",
    "statsmodels",
    "patsy",
    "xarray",
    "arviz",
    "matplotlib",
    "tqdm",
)


def show_versions() -> str:
    """Return the versions of Python, of the platform and of the packages that matter.

    Returns
    -------
    str
        One line a package; "not installed" for extras that are absent.

    Examples
    --------
    >>> import qbeconometrics as qb
    >>> qb.show_versions().splitlines()[0].startswith("python")
    True
    """
    lines = [f"python {sys.version.split()[0]} on {platform.platform()}"]
    for package in PACKAGES:
        try:
            lines.append(f"{package} {version(package)}")
        except PackageNotFoundError:
            lines.append(f"{package} not installed")
    return "\n".join(lines)
