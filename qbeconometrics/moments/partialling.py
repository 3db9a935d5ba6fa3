"""Controls partialled out of everything, from the inner products of the columns alone.

The coefficients of endogenous regressors, and their covariance for independent errors of any
variance, are those of the whole regression (Frisch and Waugh 1933, Econometrica 1, 387-401; Lovell
1963, Journal of the American Statistical Association 58, 993-1010).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from qbeconometrics.inputs.rank import triangular_factor
from qbeconometrics.inputs.spans import Coordinates
from qbeconometrics.moments.basis import MomentBasis, basis_from_triangle

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class PartialledOut:
    """A regression without its controls.

    Attributes
    ----------
    coordinates : Coordinates
        Of what is left of the columns: p endogenous regressors and l excluded instruments.
    triangle : ndarray, shape (l + p + 1, l + p + 1)
        R of what is left of [instruments, regressors, outcome].
    basis : MomentBasis
        Of what is left, for l instruments and p regressors.
    whole : MomentBasis
        The same coordinates in terms of all m instruments and k regressors: `regressor_map` is
        (k, p) and `instrument_map` (m, l).
    """

    coordinates: Coordinates
    triangle: FloatArray
    basis: MomentBasis
    whole: MomentBasis


def partial_out(
    coordinates: Coordinates, endogenous: tuple[int, ...], excluded: tuple[int, ...], n: int
) -> PartialledOut:
    """Take the exogenous regressors off the outcome, the other regressors and the instruments.

    Parameters
    ----------
    coordinates : Coordinates
    endogenous, excluded : tuple of int
        Positions among the regressors and the instruments.
    n : int
        Rows.
    """
    k, m = coordinates.exog.shape[1], coordinates.instrument.shape[1]
    exogenous = [j for j in range(k) if j not in endogenous]
    controls = coordinates.exog[:, exogenous]
    others = np.column_stack(
        [
            coordinates.ones,
            coordinates.instrument[:, list(excluded)],
            coordinates.exog[:, list(endogenous)],
            coordinates.endog,
        ]
    )
    loadings = _least_squares(controls, others)
    left = others - controls @ loadings
    number, p = len(excluded), len(endogenous)
    instrument, exog, endog = left[:, 1 : number + 1], left[:, number + 1 : -1], left[:, -1]
    triangle = triangular_factor([instrument, exog, endog])
    basis = basis_from_triangle(triangle, n, p, number)
    of_exog, of_endog = loadings[:, number + 1 : -1], loadings[:, -1]
    centre, regressor_map = np.zeros(k), np.zeros((k, p))
    centre[list(endogenous)] = basis.centre
    centre[exogenous] = of_endog - of_exog @ basis.centre
    regressor_map[list(endogenous)] = basis.regressor_map
    regressor_map[exogenous] = -of_exog @ basis.regressor_map
    instrument_map = np.zeros((m, number))
    instrument_map[list(excluded)] = basis.instrument_map
    among = _least_squares(coordinates.instrument, controls)
    instrument_map -= among @ (loadings[:, 1 : number + 1] @ basis.instrument_map)
    return PartialledOut(
        Coordinates(left[:, 0], instrument, exog, endog),
        triangle,
        basis,
        MomentBasis(centre, regressor_map, instrument_map),
    )


def _least_squares(columns: FloatArray, targets: FloatArray) -> FloatArray:
    lengths = np.linalg.norm(columns, axis=0)
    found = np.linalg.lstsq(columns / lengths, targets)[0]
    return np.asarray(found / lengths[:, None], dtype=np.float64)
