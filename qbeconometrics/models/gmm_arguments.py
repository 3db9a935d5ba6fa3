"""Checks of the arguments of models with user-written moments."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from qbeconometrics.exceptions import InputError, OptionError
from qbeconometrics.inputs.moment_arrays import MomentArrays
from qbeconometrics.posterior.resolved_prior import ResolvedPrior

FloatArray = NDArray[np.float64]


def check_functions(momcond: Any, jac: Any, *, needed: bool) -> None:
    """Refuse a model without moments, or functions that are none.

    Raises
    ------
    OptionError
    """
    if momcond is None and needed:
        raise OptionError(
            "give momcond=f with f(params, endog, exog, instrument) -> (n, m), or override the "
            "method momcond(self, params) in a subclass"
        )
    for argument, value in (("momcond", momcond), ("jac", jac)):
        if value is not None and not callable(value):
            raise OptionError(f"{argument}={value!r} must be a function")


def parameter_names(
    k_params: int | None, param_names: Any, start_params: Any, arrays: MomentArrays
) -> tuple[str, ...]:
    """Settle the number of parameters, and their names.

    Raises
    ------
    OptionError
        If the arguments disagree, or none of them says how many there are.
    """
    if isinstance(start_params, pd.Series) and param_names is None:
        param_names = [str(name) for name in start_params.index]
    columns = 0 if arrays.exog is None else arrays.exog.shape[1]
    counts = {
        "k_params": k_params,
        "param_names": None if param_names is None else len(param_names),
        "start_params": None if start_params is None else np.size(start_params),
    }
    known = {argument: count for argument, count in counts.items() if count is not None}
    if len(set(known.values())) > 1:
        raise OptionError(f"the number of parameters differs: {known}")
    k = next(iter(known.values()), columns)
    if isinstance(k, bool) or not isinstance(k, (int, np.integer)) or k < 1:
        raise OptionError("give k_params, the number of parameters, as a positive whole number")
    if param_names is not None:
        names = tuple(map(str, param_names))
        if len(set(names)) < len(names):
            raise OptionError(f"param_names must differ from each other: {names}")
        return names
    if arrays.exog_names is not None and len(arrays.exog_names) == k:
        return tuple(arrays.exog_names)
    return tuple(f"p{j + 1}" for j in range(k))


def start_vector(start_params: Any, names: tuple[str, ...], default: FloatArray) -> FloatArray:
    """Return the start (k,), a Series matched by name.

    Raises
    ------
    InputError, OptionError
    """
    if start_params is None:
        return default
    if isinstance(start_params, pd.Series):
        if set(map(str, start_params.index)) != set(names):
            raise InputError(f"start_params must be labelled by the parameters: {', '.join(names)}")
        start_params = start_params.rename(index=str)[list(names)]
    try:
        start = np.array(start_params, dtype=float)
    except (TypeError, ValueError) as error:
        raise OptionError("start_params must be numeric") from error
    if start.shape != (len(names),) or not np.isfinite(start).all():
        raise OptionError(f"start_params must hold {len(names)} finite numbers")
    return start


def check_start_in_prior(start: FloatArray, names: tuple[str, ...], prior: ResolvedPrior) -> None:
    """Refuse a start outside the box of uniform priors.

    Raises
    ------
    OptionError
        Naming the parameter.
    """
    if prior.lower is None or prior.upper is None:
        return
    outside = (start < prior.lower) | (start > prior.upper)
    if outside.any():
        j = int(np.argmax(outside))
        raise OptionError(
            f"start_params has {names[j]}={start[j]:.6g}, outside its uniform prior on "
            f"[{prior.lower[j]:.6g}, {prior.upper[j]:.6g}]"
        )
