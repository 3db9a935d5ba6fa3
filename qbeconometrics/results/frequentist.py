"""Least squares, LIML and GMM on the rows of a fit, by linearmodels, for comparison."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import chdtrc

from qbeconometrics.exceptions import MissingExtraError
from qbeconometrics.moments.covariance import parse_covariance
from qbeconometrics.moments.lag_windows import bandwidth_of_lags
from qbeconometrics.results.fit_record import FitRecord
from qbeconometrics.results.posterior_results import PosteriorResults

METHODS = ("OLS", "2SLS", "LIML", "two-step GMM", "iterated GMM", "CUE")
TITLES = {"two-step GMM": "two-step", "iterated GMM": "iterated"}
# Steps of iterated GMM, and the change at which it stops.
MOST_STEPS, SMALLEST_STEP = 1000, 1e-10
LINEARMODELS_KERNELS = {
    "bartlett": "bartlett", "parzen": "parzen", "quadratic-spectral": "qs",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Estimated:
    """One method on the rows of a fit.

    Attributes
    ----------
    name : str
    results : object
        Of linearmodels.
    params, std_errors : Series
        In the order of the fit.
    j : tuple of (float, int, float) or None
        Value, degrees of freedom and p-value of the test of over-identifying restrictions.
    """

    name: str
    results: Any
    params: pd.Series
    std_errors: pd.Series
    j: tuple[float, int, float] | None


def estimate(
    results: PosteriorResults, methods: Sequence[str]
) -> tuple[list[Estimated], list[str]]:
    """Estimate the equation of a fit by other methods, under the covariance of the fit.

    Parameters
    ----------
    results : PosteriorResults
        Of linear moments, with the model that was fitted.
    methods : sequence of str
        Of `METHODS`; without endogenous regressors only "OLS" applies.

    Returns
    -------
    estimated : list of Estimated
    notes : list of str
        What could not be computed, and why.

    Raises
    ------
    MissingExtraError
        If linearmodels is not installed.
    """
    iv = _import_linearmodels()
    design = results.model.design
    if not design.endogenous:
        methods = [name for name in methods if name == "OLS"]
    options, note = _covariance_options(results)
    if options is None:
        return [], [note]
    blocks = _blocks(design)
    surplus = len(design.excluded) - len(design.endogenous)
    if surplus == 0:
        # All others are two-stage least squares.
        methods = [name for name in methods if name in ("OLS", "2SLS")]
    found = [
        _estimated(name, iv, blocks, options, results.record, list(design.exog_names), surplus)
        for name in methods
    ]
    return found, []


def _import_linearmodels() -> Any:
    try:
        return importlib.import_module("linearmodels.iv")
    except ImportError as error:
        raise MissingExtraError(
            f"compare needs linearmodels for {', '.join(METHODS)}, which cannot be imported "
            f"({error}). Install the extra, pip install 'qbeconometrics[compare]', or pass "
            "methods=()."
        ) from error


def _blocks(design: Any) -> dict[str, pd.DataFrame | None]:
    """Outcome, exogenous, endogenous and excluded columns, already weighted and absorbed."""
    names = list(design.exog_names)
    exogenous = [j for j in range(len(names)) if j not in design.endogenous]
    exog = pd.DataFrame(design.exog, columns=names)
    excluded = list(design.excluded)
    # Names of linearmodels' blocks must differ.
    labels = [f"instrument {design.instrument_names[j]}" for j in excluded]
    return {
        "dependent": pd.DataFrame({"outcome of the equation": design.endog}),
        "exog": exog.iloc[:, exogenous] if exogenous else None,
        "endog": exog.iloc[:, list(design.endogenous)] if design.endogenous else None,
        "instruments": pd.DataFrame(design.instrument[:, excluded], columns=labels),
        "regressors": exog,
    }


def _covariance_options(results: PosteriorResults) -> tuple[dict[str, Any] | None, str]:
    """linearmodels' words for the covariance of a fit; None, and why, if there are none."""
    record = results.record
    kwds = record.cov_kwds
    if record.cov_type in ("HC0", "HC1"):
        return {"cov_type": "robust"}, ""
    if record.cov_type == "nonrobust":
        return {"cov_type": "unadjusted"}, ""
    if record.cov_type == "HAC":
        bandwidth = kwds.get("bandwidth")
        if bandwidth is None:
            bandwidth = kwds["maxlags"]
            if kwds["kernel"] == "quadratic-spectral":
                bandwidth = bandwidth_of_lags(kwds["kernel"], bandwidth)
        elif kwds["kernel"] != "quadratic-spectral":
            return None, "The other methods are left out: linearmodels takes whole lags only."
        kernel = LINEARMODELS_KERNELS[kwds["kernel"]]
        return {"cov_type": "kernel", "kernel": kernel, "bandwidth": bandwidth}, ""
    if kwds["groups"] == "array":
        return None, (
            "The other methods are left out: results do not keep clusters that were given as an "
            "array. Name columns of the data instead."
        )
    rule = parse_covariance("cluster", {"groups": kwds["groups"].split(", ")})
    codes = results.model._dependence(rule).groups.codes
    return {"cov_type": "clustered", "clusters": np.column_stack(codes)}, ""


def _estimated(
    name: str,
    iv: Any,
    blocks: dict[str, pd.DataFrame | None],
    options: dict[str, Any],
    record: FitRecord,
    names: list[str],
    surplus: int,
) -> Estimated:
    data = [blocks[part] for part in ("dependent", "exog", "endog", "instruments")]
    plain: dict[str, Callable[[], Any]] = {
        "OLS": lambda: iv.IV2SLS(blocks["dependent"], blocks["regressors"], None, None),
        "2SLS": lambda: iv.IV2SLS(*data),
        "LIML": lambda: iv.IVLIML(*data),
    }
    if name in plain:
        fitted = plain[name]().fit(**options)
    else:
        weight = {key: value for key, value in options.items() if key != "cov_type"}
        centered = bool(record.cov_kwds.get("centered", False))
        kind = iv.IVGMMCUE if name == "CUE" else iv.IVGMM
        model = kind(*data, weight_type=options["cov_type"], center=centered, **weight)
        steps = {"iter_limit": MOST_STEPS, "tol": SMALLEST_STEP} if name == "iterated GMM" else {}
        fitted = model.fit(**steps, **options)
    # As S of the fit has it: over n but for "HC1", absorbed coefficients counted.
    n, k = record.nobs, len(names) + record.df_absorbed
    factor = n / (n - k) if record.cov_type == "HC1" else 1.0
    j = None
    if surplus > 0 and name not in plain:
        # The same factor is on S of the weight.
        value = float(fitted.j_stat.stat) / factor
        j = (value, surplus, float(chdtrc(surplus, value)))
    return Estimated(
        TITLES.get(name, name),
        fitted,
        fitted.params[names],
        fitted.std_errors[names] * np.sqrt(factor),
        j,
    )
