"""What results of an error-correction model know of spaces and names."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from qbeconometrics.exceptions import InputError
from qbeconometrics.stiefel.subspaces import procrustes

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class VECMRecord:
    """Spaces, covariances and names of one fit; coefficients are in the `FitRecord`.

    Attributes
    ----------
    spaces : ndarray, shape (chain, draw, n, r)
        Orthonormal bases of cointegrating spaces, of series without units.
    mode : ndarray, shape (n, r)
        Where the density of the space is highest.
    to_levels : ndarray, shape (n, n)
        A: b of series without units is A b of the data.
    sigma_u : ndarray, shape (chain, draw, m, m)
        Of the moment form mean products of residuals.
    endog_names, restricted_names, short_run_names : tuple of str
        Of the series; of the terms within the relation; of those outside, lags first.
    lagged : int
        How many of the latter are lagged differences.
    k_ar_diff, rank : int
    deterministic : str
    johansen : DataFrame
        Columns "estimate" and "se": Johansen's by the names of the coefficients, NaN where there is
        none.
    first_row, last_row : str
        Of the rows that were fitted.

    Raises
    ------
    InputError
        If the shapes do not fit together.
    """

    spaces: FloatArray
    mode: FloatArray
    to_levels: FloatArray
    sigma_u: FloatArray
    endog_names: tuple[str, ...]
    restricted_names: tuple[str, ...]
    short_run_names: tuple[str, ...]
    lagged: int
    k_ar_diff: int
    rank: int
    deterministic: str
    johansen: pd.DataFrame
    first_row: str
    last_row: str

    def __post_init__(self) -> None:
        m = len(self.endog_names)
        shape = (m + len(self.restricted_names), self.rank)
        if (
            self.spaces.ndim != 4
            or self.spaces.shape[2:] != shape
            or self.mode.shape != shape
            or self.to_levels.shape != (shape[0], shape[0])
            or self.sigma_u.shape != (*self.spaces.shape[:2], m, m)
        ):
            raise InputError("spaces, mode, to_levels and sigma_u do not fit together")

    @property
    def level_names(self) -> tuple[str, ...]:
        """Names of the rows of beta."""
        return (*self.endog_names, *self.restricted_names)

    @property
    def relation_names(self) -> tuple[str, ...]:
        """Names of the columns of beta: "ec1", "ec2", ..., as in statsmodels."""
        return tuple(f"ec{i + 1}" for i in range(self.rank))

    @property
    def free(self) -> int:
        """Coefficients of beta that normalisation does not fix."""
        return (len(self.level_names) - self.rank) * self.rank

    def param_names(self) -> tuple[str, ...]:
        """Names of coefficients: beta by relations, alpha and the short run by equations."""
        rows = [
            *(f"beta.{name}" for name in self.endog_names),
            *self.restricted_names,
        ]
        names = [f"{row}.{ec}" for ec in self.relation_names for row in rows[self.rank :]]
        names += [f"{ec}.{name}" for name in self.endog_names for ec in self.relation_names]
        return (
            *names,
            *(f"{term}.{name}" for name in self.endog_names for term in self.short_run_names),
        )

    def blocks(self) -> dict[str, slice]:
        """Places of "beta", "alpha" and "short run" among the coefficients."""
        m = len(self.endog_names)
        ends = np.cumsum([self.free, m * self.rank, m * len(self.short_run_names)])
        starts = [0, *ends[:-1]]
        titles = ("beta", "alpha", "short run")
        return {
            title: slice(int(first), int(last))
            for title, first, last in zip(titles, starts, ends, strict=True)
        }

    def aligned(self) -> FloatArray:
        """Spaces turned towards the mode, shape (chain, draw, n, r)."""
        return procrustes(self.spaces, self.mode)

    def opposite_share(self) -> float:
        """Share of draws on the other side of where the normalisation is singular."""
        if self.rank == 0 or self.free == 0:
            return 0.0
        r = self.rank
        signs = np.sign(np.linalg.det((self.to_levels @ self.aligned())[..., :r, :]))
        usual = np.sign(np.linalg.det((self.to_levels @ self.mode)[:r]))
        return float(np.mean(signs != usual))
