"""Responses of other estimators, to be drawn beside local projections."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from qbeconometrics.exceptions import InputError

if TYPE_CHECKING:
    from qbeconometrics.results.lp_results import LPResults

FloatArray = NDArray[np.float64]


def compared_paths(values: Any, label: str, results: LPResults) -> FloatArray:
    """Other responses as an array (horizons, paths), as the results order them.

    Parameters
    ----------
    values : array_like, DataFrame, or a result of statsmodels
        Horizons by responses; of a frame the columns with their names, in any order. Results of
        ``LocalProjections`` and ``VAR(...).fit().irf(...)`` are read by the names of their
        variables.
    label : str
        For messages.
    results : LPResults

    Raises
    ------
    InputError
        If the shape or the variables do not fit.
    """
    paths = results.paths
    if hasattr(values, "orth_irfs"):
        values = _autoregression_paths(values, label, results)
    elif hasattr(values, "irfs"):
        values = _projection_paths(values, label, results)
    if isinstance(values, pd.DataFrame) and set(paths.responses) <= set(values.columns):
        values = values[list(paths.responses)]
    array = np.asarray(values, dtype=float)
    array = array[:, None] if array.ndim == 1 else array
    if array.ndim != 2 or array.shape[1] != paths.n_paths or len(array) > len(paths.horizons):
        raise InputError(
            f"compare[{label!r}] has the shape {array.shape}; needed are at most "
            f"{len(paths.horizons)} horizons in rows and {paths.n_paths} responses in columns"
        )
    return array


def _projection_paths(other: Any, label: str, results: LPResults) -> FloatArray:
    """Of statsmodels' LocalProjections, whose `irfs` are (horizons, variables, shocks)."""
    shock = _place(results.paths.shock, other.model.shock_names, label)
    return _at_horizons(other.irfs[:, :, shock], other.model.endog_names, label, results)


def _autoregression_paths(other: Any, label: str, results: LPResults) -> FloatArray:
    """Of a vector autoregression, Cholesky-orthogonalised in the order of its variables.

    The impulse is the instrument, if there is one, else the shock; both are scaled so that the
    shock rises by one at once (for an instrument ordered first: Plagborg-Moller & Wolf 2021,
    Econometrica 89).
    """
    names = list(other.model.names)
    instruments = results.record.instrument_names
    if len(instruments) > 1:
        raise InputError(
            f"compare[{label!r}]: with several instruments there is no one impulse. Give an array."
        )
    impulse = _place(instruments[0] if instruments else results.paths.shock, names, label)
    unit = other.orth_irfs[0, _place(results.paths.shock, names, label), impulse]
    return _at_horizons(other.orth_irfs[:, :, impulse] / unit, names, label, results)


def _at_horizons(
    responses: FloatArray, names: Sequence[str], label: str, results: LPResults
) -> FloatArray:
    paths = results.paths
    if paths.kind != "level" or len(paths.states) > 1:
        raise InputError(
            f"compare[{label!r}]: results of statsmodels are responses of levels without states. "
            "Give an array."
        )
    places = [_place(name, names, label) for name in paths.responses]
    return responses[paths.horizons[0] : paths.horizons[-1] + 1][:, places]


def _place(name: str, names: Sequence[str], label: str) -> int:
    if name not in names:
        raise InputError(
            f"compare[{label!r}] has no variable {name!r}; it has {', '.join(map(repr, names))}"
        )
    return list(names).index(name)
