"""Bayesian probabilistic principal components."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from qbeconometrics.exceptions import (
    InputError,
    OptionError,
    check_choice,
    refuse_unknown_keywords,
)
from qbeconometrics.inputs.columns import read_table
from qbeconometrics.inputs.missing_rows import (
    complete_rows,
    keep_rows,
    refuse_infinite,
    refuse_missing,
    refuse_no_rows_left,
)
from qbeconometrics.models.component_recording import component_records
from qbeconometrics.models.sampled_laws import LawOptions, sample_law
from qbeconometrics.results.component_results import ComponentResults
from qbeconometrics.sampling.options import whole_number
from qbeconometrics.stiefel.components import PrincipalComponents

MODEL_KEYWORDS = ("endog", "n_components", "prior_scale", "missing")
FIT_KEYWORDS = (
    "draws",
    "tune",
    "chains",
    "rng",
    "cores",
    "parameterization",
    "target_accept",
    "max_depth",
    "progressbar",
)
# Share of all variance below which nothing is left for the noise.
LEAST_NOISE = 1e-12


class ProbabilisticPCA:
    """Principal components with normal noise: rows are normal with covariance W W' + s^2 I.

    W (p, k) are loadings. Their rotation is not identified; what is reported are the principal axes
    Q and lengths l of W = Q diag(l) V', with l_1 > ... > l_k.

    Parameters
    ----------
    endog : array_like or DataFrame, shape (n, p)
        Variables in columns. Means are taken out, which costs one degree of freedom; nothing is
        divided by standard deviations.
    n_components : int
        k, 1 to p - 1.
    prior_scale : float, optional
        Prior sd of each loading and scale of the noise sd, in units of the data; by default the
        root of the mean variance of the columns.
    missing : {"none", "drop", "raise"}
        What to do with rows that have NaN: refuse ("none" and "raise") or drop and count.

    Raises
    ------
    InputError
        If the data cannot be used; the message names the column or row.
    OptionError

    Notes
    -----
    Following Tipping and Bishop (1999, Journal of the Royal Statistical Society B 61, 611), and for
    a prior without rotations Nirwan and Bertschinger (2019, PMLR 97): loadings are independent
    normal(0, prior_scale^2), for which Q is uniform and the density of lengths is proportional to
    the product over i < j of l_i^2 - l_j^2 times that over i of l_i^(p - k) exp(-l_i^2 / (2
    prior_scale^2)). That the noise sd is half-normal with the same scale is ours. The data are read
    once, for their covariance.

    The posterior does not change with the signs of components. "cayley" cannot change them and
    mixes badly with several components.

    Examples
    --------
    >>> import numpy as np
    >>> import qbeconometrics as qb
    >>> rng = np.random.default_rng(0)
    >>> loadings = np.array([[2.0], [1.0], [0.0], [-1.0]])
    >>> data = rng.standard_normal((200, 1)) @ loadings.T + 0.5 * rng.standard_normal((200, 4))
    >>> res = qb.ProbabilisticPCA(data, 1).fit(draws=500, tune=500, rng=0)
    >>> round(float(res.params["length_1"]), 1)
    2.3
    """

    endog_names = "endog"

    def __init__(
        self,
        endog: ArrayLike,
        n_components: int,
        prior_scale: float | None = None,
        missing: str = "none",
        **unknown: Any,
    ) -> None:
        refuse_unknown_keywords(unknown, MODEL_KEYWORDS, "ProbabilisticPCA")
        check_choice(missing, ["none", "drop", "raise"], "missing")
        table = read_table(endog, "endog")
        refuse_infinite([table], table.index)
        values, kept = table.values, complete_rows([table])
        self.n_dropped = 0
        if kept is not None:
            if missing != "drop":
                refuse_missing([table], table.index)
            refuse_no_rows_left([table], kept)
            self.n_dropped = int(len(kept) - kept.sum())
            values = keep_rows(values, kept)
        self.n_components = whole_number(n_components, "n_components", minimum=1)
        self.nobs, p = values.shape
        if self.n_components >= p:
            raise OptionError(
                f"n_components={n_components} must be below the number of columns, {p}"
            )
        if self.nobs < 2:
            raise InputError("endog has one row, which has no covariance. Give more rows.")
        self.column_names = table.names or tuple(f"x{place + 1}" for place in range(p))
        values = values - values.mean(axis=0)
        for place in np.flatnonzero(np.ptp(values, axis=0) == 0.0):
            raise InputError(f"{table.describe(int(place), start=True)} is constant: leave it out")
        scatter = values.T @ values
        scatter = 0.5 * (scatter + scatter.T)
        spectrum = np.linalg.eigvalsh(scatter)
        if spectrum[: -self.n_components].sum() <= LEAST_NOISE * spectrum.sum():
            raise InputError(
                f"{self.n_components} components fit endog exactly, so that there is no noise: use "
                "fewer components, or leave out columns that are sums of others"
            )
        scale = _checked_scale(prior_scale, float(np.sqrt(np.trace(scatter) / (p * self.nobs))))
        self.exog_names = [
            *(f"length_{number + 1}" for number in range(self.n_components)),
            "noise_variance",
            "explained_share",
        ]
        self._law = PrincipalComponents(scatter, self.nobs - 1, self.n_components, scale)

    def fit(
        self,
        *,
        draws: int = 1000,
        tune: int = 1000,
        chains: int = 4,
        rng: Any = None,
        cores: int | None = None,
        parameterization: str = "polar",
        target_accept: float = 0.8,
        max_depth: int = 10,
        progressbar: bool | None = None,
        **unknown: Any,
    ) -> ComponentResults:
        """Draw from the posterior.

        Parameters
        ----------
        draws, tune, chains, rng, cores, parameterization, target_accept, max_depth, progressbar
            As in ``NetworkEigenmodel.fit``.

        Returns
        -------
        ComponentResults

        Raises
        ------
        OptionError

        Warns
        -----
        ConvergenceWarning, NumericalWarning, InterruptedWarning
        """
        refuse_unknown_keywords(unknown, FIT_KEYWORDS, "fit")
        options = LawOptions(
            draws, tune, chains, cores, parameterization, target_accept, max_depth, progressbar
        )
        chart, sample, seconds = sample_law(self._law, options, rng)
        results = ComponentResults(self, *component_records(self, chart, sample, options, seconds))
        results.warn_if_unreliable()
        return results


def _checked_scale(value: Any, default: float) -> float:
    if value is None:
        return default
    if isinstance(value, bool) or not isinstance(value, (int, float, np.integer, np.floating)):
        raise OptionError(f"prior_scale={value!r} must be a positive number")
    if not (np.isfinite(value) and value > 0.0):
        raise OptionError(f"prior_scale={value!r} must be a positive number")
    return float(value)
