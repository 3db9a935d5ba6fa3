"""Draws of orthonormal matrices for other programs."""

from __future__ import annotations

from functools import partial
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np

from qbeconometrics.results.export import arviz_of, datatree_of, package_version

if TYPE_CHECKING:
    from qbeconometrics.results.stiefel_results import StiefelResults

# Our names of statistics, and ArviZ's.
STATISTICS = {
    "divergent": "diverging",
    "depth": "tree_depth",
    "gradients": "n_steps",
    "acceptance": "acceptance_rate",
    "step": "step_size",
    "energy": "energy",
    "energy_error": "max_energy_error",
}
COUNTS = {"divergent": np.bool_, "depth": np.int64, "gradients": np.int64}


def to_datatree(results: StiefelResults) -> Any:
    """Put the draws into an ``xarray.DataTree``.

    Raises
    ------
    MissingExtraError
        If xarray is missing or older than 2024.10.
    """
    return datatree_of(_attributes(results), partial(_groups, results))


def to_arviz(results: StiefelResults) -> Any:
    """Return what the installed ArviZ works with.

    Raises
    ------
    MissingExtraError
        If ArviZ or xarray is missing.
    """
    return arviz_of(_attributes(results), partial(_groups, results))


def _groups(results: StiefelResults, xarray: ModuleType) -> dict[str, Any]:
    chains, draws, p, k = results.draws.shape
    coordinates = {"chain": np.arange(chains), "draw": np.arange(draws)}
    of_matrix = {"row": np.arange(p), "column": np.arange(k), "angle_number": np.arange(k)}
    attributes = _attributes(results)
    variables = {
        "Q": (("chain", "draw", "row", "column"), results.draws),
        "angle": (("chain", "draw", "angle_number"), results.principal_angles()),
    }
    statistics: dict[str, Any] = {"lp": (("chain", "draw"), results.log_density)}
    for ours, name in STATISTICS.items():
        values = results.record.statistics[ours]
        statistics[name] = (("chain", "draw"), values.astype(COUNTS.get(ours, np.float64)))
    return {
        "posterior": xarray.Dataset(
            variables, coords={**coordinates, **of_matrix}, attrs=attributes
        ),
        "sample_stats": xarray.Dataset(statistics, coords=coordinates, attrs=attributes),
    }


def _attributes(results: StiefelResults) -> dict[str, str | int | float]:
    record = results.record
    return {
        "inference_library": "qbeconometrics",
        "inference_library_version": package_version(),
        "parameterization": repr(record.chart),
        "symmetry": record.symmetry,
        "sampler": f"nuts ({record.backend})",
        "metric": record.metric,
        "tuning_steps": int(record.tune),
        "sampling_time": float(record.seconds),
        "interrupted": int(record.interrupted),
    }
