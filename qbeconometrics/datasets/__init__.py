"""Published data sets that come with the package, with where they are from."""

from __future__ import annotations

from qbeconometrics.datasets.angrist_krueger import load_ak1991
from qbeconometrics.datasets.loading import load, names

__all__ = ["load", "load_ak1991", "names"]
