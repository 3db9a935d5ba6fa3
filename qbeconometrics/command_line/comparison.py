"""Quasi-Bayes beside ordinary and two-stage least squares, in one table a coefficient."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import solve_triangular
from scipy.special import ndtri

from qbeconometrics.models.iv import QuasiBayesIV
from qbeconometrics.results.iv_results import IVResults
from qbeconometrics.results.summary_layout import (
    Column,
    align_decimals,
    format_row,
    parameter_tables,
)

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class LeastSquares:
    """Estimates by ordinary or two-stage least squares.

    Attributes
    ----------
    params, standard_errors : ndarray, shape (k,)
    """

    params: FloatArray
    standard_errors: FloatArray


@dataclass(frozen=True, slots=True)
class LabelledFit:
    """A fit and the name of its instruments for the table; an empty label is left out."""

    label: str
    model: QuasiBayesIV
    results: IVResults


@dataclass(frozen=True, slots=True)
class Line:
    """A line of the table: centre, spread, median (None for least squares) and interval."""

    name: str
    centre: float
    spread: float
    median: float | None
    lower: float
    upper: float


def two_stage_least_squares(
    endog: FloatArray, exog: FloatArray, instrument: FloatArray, *, cov_type: str
) -> LeastSquares:
    """Two-stage least squares, and ordinary ones where the regressors are the instruments.

    Parameters
    ----------
    endog : ndarray, shape (n,)
    exog : ndarray, shape (n, k)
    instrument : ndarray, shape (n, m)
    cov_type : {"nonrobust", "HC0", "HC1"}
        White (1980, Econometrica 48, 817-838); "nonrobust" divides the residual sum of squares
        by n, as the covariance of the moments in the quasi-posterior does.

    Examples
    --------
    >>> x = np.array([[1.0, 0.0], [1.0, 1.0], [1.0, 2.0], [1.0, 3.0]])
    >>> fit = two_stage_least_squares(np.array([1.0, 2, 4, 5]), x, x, cov_type="nonrobust")
    >>> fit.params.round(6).tolist()
    [0.9, 1.4]
    """
    n, k = exog.shape
    orthonormal = np.linalg.qr(instrument).Q
    fitted = np.linalg.qr(orthonormal @ (orthonormal.T @ exog))
    params = solve_triangular(fitted.R, fitted.Q.T @ endog)
    residuals = endog - exog @ params
    if cov_type == "nonrobust":
        middle = np.eye(k) * (residuals @ residuals) / n
    else:
        scores = fitted.Q * residuals[:, None]
        middle = scores.T @ scores * (n / (n - k) if cov_type == "HC1" else 1.0)
    inverse = solve_triangular(fitted.R, np.eye(k))
    covariance = inverse @ middle @ inverse.T
    return LeastSquares(params=params, standard_errors=np.sqrt(np.diag(covariance)))


def comparison(fits: Sequence[LabelledFit], *, alpha: float) -> list[tuple[str, str]]:
    """Compare methods for each endogenous regressor, or for each regressor if none is.

    Parameters
    ----------
    fits : sequence of LabelledFit
        Of one equation, which may have different instruments.
    alpha : float
        One minus the probability of the intervals.

    Returns
    -------
    list of (str, str)
        Name of the regressor and its table as text.
    """
    first = fits[0].model
    names = first.endogenous_names or first.exog_names
    return [(name, _table(_lines(fits, name, alpha), alpha)) for name in names]


def _lines(fits: Sequence[LabelledFit], name: str, alpha: float) -> list[Line]:
    first = fits[0]
    cov_type = first.results.record.cov_type
    design = first.model.design
    ordinary = two_stage_least_squares(design.endog, design.exog, design.exog, cov_type=cov_type)
    place = first.model.exog_names.index(name)
    lines = [_classical_line("OLS", ordinary, place, alpha)]
    for fit in fits:
        suffix = f", {fit.label}" if fit.label else ""
        design = fit.model.design
        place = fit.model.exog_names.index(name)
        if design.endogenous:
            two_stage = two_stage_least_squares(
                design.endog, design.exog, design.instrument, cov_type=cov_type
            )
            lines.append(_classical_line(f"2SLS{suffix}", two_stage, place, alpha))
        lines.append(_posterior_line(f"Quasi-Bayes{suffix}", fit.results, name, alpha))
    return lines


def _classical_line(name: str, fit: LeastSquares, place: int, alpha: float) -> Line:
    centre, spread = float(fit.params[place]), float(fit.standard_errors[place])
    reach = float(ndtri(1 - alpha / 2)) * spread
    return Line(name, centre, spread, None, centre - reach, centre + reach)


def _posterior_line(name: str, results: IVResults, param: str, alpha: float) -> Line:
    ends = results.conf_int(alpha=alpha).loc[param].to_numpy(dtype=float)
    return Line(
        name,
        float(results.params[param]),
        float(results.bse[param]),
        float(results.median[param]),
        float(ends[0]),
        float(ends[1]),
    )


def _table(lines: Sequence[Line], alpha: float) -> str:
    rows = [_cells(line) for line in lines]
    headers = [
        "estimate\nor mean",
        "s.e.\nor sd",
        "median",
        f"[{alpha / 2:.4g}",
        f"{1 - alpha / 2:.4g}]",
    ]
    columns = [
        Column(header, align_decimals([row[j] for row in rows])) for j, header in enumerate(headers)
    ]
    (table,) = parameter_tables([line.name for line in lines], [columns])
    return str(table).strip("\n")


def _cells(line: Line) -> list[str]:
    """Texts of centre, spread, median and the two ends; what does not exist is "n/a"."""
    median = np.nan if line.median is None else line.median
    values = [line.centre, line.spread, median, line.lower, line.upper]
    cells = [
        text if np.isfinite(value) else "n/a"
        for text, value in zip(format_row(values, line.spread), values, strict=True)
    ]
    if line.median is None:
        cells[2] = ""
    return cells
