"""Draws for other programs: an xarray DataTree, and what ArviZ reads."""

from __future__ import annotations

import importlib
import warnings
from collections.abc import Callable
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from types import ModuleType
from typing import Any

import numpy as np
import pandas as pd

from qbeconometrics.exceptions import MissingExtraError
from qbeconometrics.results.fit_record import FitRecord

# Names of dimensions, so that no variable can be called so.
RESERVED = frozenset({"chain", "draw"})

# Datasets by the names of their groups, once xarray is there.
Groups = Callable[[ModuleType], dict[str, Any]]


def to_datatree(record: FitRecord) -> Any:
    """Put the draws into an ``xarray.DataTree``.

    Parameters
    ----------
    record : FitRecord
        What the fit left.

    Returns
    -------
    xarray.DataTree
        Group ``posterior`` with one variable a parameter, dimensions (chain, draw), and group
        ``sample_stats`` with ``lp``, the log quasi-posterior, if it was recorded. Neither a
        DataTree nor a netCDF file allows ``/`` in a name, so it becomes ``|``; the attribute
        ``label`` keeps the name as printed.

    Raises
    ------
    MissingExtraError
        If xarray is missing or older than 2024.10.
    """
    return datatree_of(_attributes(record), partial(_groups, record))


def to_arviz(record: FitRecord) -> Any:
    """Return what the installed ArviZ works with.

    Parameters
    ----------
    record : FitRecord
        What the fit left.

    Returns
    -------
    arviz.InferenceData or xarray.DataTree
        The former for ArviZ below 1.0, the latter from 1.0 on.

    Raises
    ------
    MissingExtraError
        If ArviZ or xarray is missing.
    """
    return arviz_of(_attributes(record), partial(_groups, record))


def datatree_of(attributes: dict[str, str | int | float], groups: Groups) -> Any:
    """Put groups into an ``xarray.DataTree``.

    Parameters
    ----------
    attributes : dict
        Of the root.
    groups : callable
        Takes xarray; returns datasets by the names of their groups.

    Returns
    -------
    xarray.DataTree

    Raises
    ------
    MissingExtraError
        If xarray is missing or older than 2024.10.
    """
    xarray = _import_extra("xarray", "to_datatree")
    if not hasattr(xarray, "DataTree"):
        raise MissingExtraError(
            f"to_datatree needs xarray 2024.10 or newer, but {xarray.__version__} is installed. "
            "Install the extra: pip install 'qbeconometrics[arviz]'."
        )
    return xarray.DataTree.from_dict({"/": xarray.Dataset(attrs=attributes), **groups(xarray)})


def arviz_of(attributes: dict[str, str | int | float], groups: Groups) -> Any:
    """Put groups into what the installed ArviZ works with.

    Parameters are those of `datatree_of`.

    Returns
    -------
    arviz.InferenceData or xarray.DataTree

    Raises
    ------
    MissingExtraError
        If ArviZ or xarray is missing.
    """
    arviz = _import_extra("arviz", "to_arviz")
    if int(arviz.__version__.split(".")[0]) >= 1:
        return datatree_of(attributes, groups)
    found = groups(_import_extra("xarray", "to_arviz"))
    return arviz.InferenceData(attrs=attributes, **found)


def to_frame(record: FitRecord) -> pd.DataFrame:
    """Return the draws (chain * draw, parameter) with a row label for chain and draw."""
    n_chains, n_draws, k = record.draws.shape
    index = pd.MultiIndex.from_product([range(n_chains), range(n_draws)], names=["chain", "draw"])
    return pd.DataFrame(
        record.draws.reshape(-1, k).copy(), index=index, columns=list(record.param_names)
    )


def variable_names(param_names: tuple[str, ...]) -> list[str]:
    """Unique names that xarray and netCDF allow.

    Examples
    --------
    >>> variable_names(("educ", "I(x / z)", "draw"))
    ['educ', 'I(x | z)', 'draw_']
    """
    taken: set[str] = set(RESERVED)
    names = []
    for label in param_names:
        name = label.replace("/", "|")
        while name in taken:
            name += "_"
        taken.add(name)
        names.append(name)
    return names


def package_version() -> str:
    """Version of the installed package."""
    try:
        return version("qbeconometrics")
    except PackageNotFoundError:
        return "unknown"


def _groups(record: FitRecord, xarray: ModuleType) -> dict[str, Any]:
    n_chains, n_draws, _ = record.draws.shape
    coordinates = {"chain": np.arange(n_chains), "draw": np.arange(n_draws)}
    attributes = _attributes(record)
    variables = {
        name: (("chain", "draw"), record.draws[:, :, j], {"label": record.param_names[j]})
        for j, name in enumerate(variable_names(record.param_names))
    }
    groups = {"posterior": xarray.Dataset(variables, coords=coordinates, attrs=attributes)}
    if record.log_density is not None:
        statistics = {"lp": (("chain", "draw"), record.log_density)}
        groups["sample_stats"] = xarray.Dataset(statistics, coords=coordinates, attrs=attributes)
    return groups


def _attributes(record: FitRecord) -> dict[str, str | int | float]:
    """Attributes that netCDF can hold: text and numbers."""
    return {
        "inference_library": "qbeconometrics",
        "inference_library_version": package_version(),
        "model": record.model_name,
        "formula": record.formula or "",
        "endog": record.endog_name,
        "nobs": int(record.nobs),
        "loss": record.loss or "",
        "quasi_likelihood": record.quasi_likelihood,
        "cov_type": record.cov_type,
        "learning_rate": float(record.learning_rate),
        "prior": "; ".join(record.prior),
        "sampler": record.sampler,
        "tuning_steps": int(record.tune),
        "interrupted": int(record.interrupted),
    }


def _import_extra(module: str, caller: str) -> ModuleType:
    try:
        with warnings.catch_warnings():
            # ArviZ 0.23 announces its own refactoring at import.
            warnings.simplefilter("ignore", FutureWarning)
            return importlib.import_module(module)
    except ImportError as error:
        raise MissingExtraError(
            f"{caller} needs {module}, which cannot be imported ({error}). "
            "Install the extra: pip install 'qbeconometrics[arviz]'."
        ) from error
