"""Results of error-correction models: relations, spaces, adjustment and the short run."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from statsmodels.iolib.summary import Summary

from qbeconometrics.diagnostics.convergence import check_probability
from qbeconometrics.diagnostics.multivariate_ess import MultivariateEss, multivariate_ess
from qbeconometrics.exceptions import (
    ConvergenceWarning,
    InputError,
    NormalizationWarning,
    OptionError,
)
from qbeconometrics.results.fit_record import FitRecord
from qbeconometrics.results.posterior_results import PosteriorResults
from qbeconometrics.results.reliability import Finding
from qbeconometrics.results.vecm_record import VECMRecord
from qbeconometrics.results.vecm_summary import build_vecm_summary
from qbeconometrics.stiefel.subspaces import principal_angles, projections

FloatArray = NDArray[np.float64]

# Divergent trajectories end early, and a few bias nothing: spaces of very low density are steep.
LARGEST_DIVERGENT_SHARE = 0.01
# Draws for which the coefficient that is set to one has changed its sign.
LARGEST_OPPOSITE_SHARE = 0.01


class VECMResults(PosteriorResults):
    """Results of an error-correction model.

    Parameters
    ----------
    model : QuasiBayesVECM
        The model that was fitted.
    record : FitRecord
        Draws of beta (normalised as statsmodels does: the identity in its first r rows), alpha and
        short-run terms, names and sentences of the fit.
    relations : VECMRecord
        Draws of cointegrating spaces and of Sigma.

    Notes
    -----
    Normalised coefficients of beta are ratios. Under a uniform prior of the space they have no
    posterior mean, so that ``params`` and ``bse`` are NaN there: read ``median``, ``quantile`` and
    ``conf_int``, or what does not depend on the normalisation: ``beta_projection``,
    ``principal_angles`` and ``beta_aligned``.
    """

    title = "Quasi-Bayesian Vector Error Correction"

    def __init__(self, model: Any, record: FitRecord, relations: VECMRecord) -> None:
        self.relations = relations
        super().__init__(model, record)
        pooled = record.draws.reshape(-1, record.draws.shape[2])
        self.params = self._without_ratios(pooled.mean(axis=0))

    # -- coefficients ---------------------------------------------------------------------------

    @cached_property
    def bse(self) -> pd.Series:
        """Posterior standard deviations; NaN for normalised coefficients of beta."""
        pooled = self.draws.reshape(-1, self.draws.shape[2])
        if len(pooled) < 2:
            return self._label(np.full(pooled.shape[1], np.nan))
        return self._without_ratios(pooled.std(axis=0, ddof=1))

    def cov_params(self) -> pd.DataFrame:
        """Posterior covariance matrix; NaN for normalised coefficients of beta."""
        names = list(self.record.param_names)
        table = pd.DataFrame(np.nan, index=names, columns=names)
        others = names[self.relations.free :]
        pooled = self.draws.reshape(-1, len(names))[:, self.relations.free :]
        if len(pooled) > 1 and others:
            table.loc[others, others] = np.atleast_2d(np.cov(pooled, rowvar=False))
        return table

    def mcse(self) -> pd.DataFrame:
        """Monte Carlo standard errors; NaN for mean and sd of normalised coefficients of beta."""
        from qbeconometrics.diagnostics import convergence

        table = super().mcse()
        table["mean"] = self._without_ratios(np.asarray(convergence.mean_mcse(self.draws)))
        table["sd"] = self._without_ratios(np.asarray(convergence.sd_mcse(self.draws)))
        return table

    @property
    def beta(self) -> pd.DataFrame:
        """Posterior medians of the normalised relations, one column a relation."""
        return self._matrix(np.median(self.beta_draws, axis=(0, 1)), self.relations.level_names)

    @property
    def beta_draws(self) -> FloatArray:
        """Normalised relations, shape (chain, draw, n, r)."""
        relations = self.relations
        lead, n, r = self.draws.shape[:2], len(relations.level_names), relations.rank
        beta = np.empty((*lead, n, r))
        beta[..., :r, :] = np.eye(r)
        free = self.draws[..., relations.blocks()["beta"]].reshape(*lead, r, n - r)
        beta[..., r:, :] = free.swapaxes(-1, -2)
        return beta

    @property
    def alpha(self) -> pd.DataFrame:
        """Posterior means of the adjustment coefficients that go with the normalised relations."""
        values = self.params.to_numpy()[self.relations.blocks()["alpha"]]
        shape = (len(self.relations.endog_names), self.relations.rank)
        return self._matrix(values.reshape(shape), self.relations.endog_names)

    @property
    def gamma(self) -> pd.DataFrame:
        """Posterior means of the coefficients of lagged differences, one row an equation."""
        return self._short_run().iloc[:, : self.relations.lagged]

    @property
    def det_coef(self) -> pd.DataFrame:
        """Posterior means of the other terms outside of the relations, one row an equation."""
        return self._short_run().iloc[:, self.relations.lagged :]

    @property
    def sigma_u(self) -> pd.DataFrame:
        """Posterior mean of the covariance of the errors; draws are ``relations.sigma_u``."""
        names = list(self.relations.endog_names)
        values = self.relations.sigma_u.mean(axis=(0, 1))
        return pd.DataFrame(values, index=names, columns=names)

    @property
    def johansen(self) -> pd.DataFrame:
        """Johansen's maximum likelihood by statsmodels, columns "estimate" and "se"."""
        return self.relations.johansen.copy()

    # -- the space ------------------------------------------------------------------------------

    @property
    def beta_projection(self) -> pd.DataFrame:
        """Posterior mean of the projection on the cointegrating space, of series without units."""
        names = list(self.relations.level_names)
        values = projections(self.relations.spaces).mean(axis=(0, 1))
        return pd.DataFrame(values, index=names, columns=names)

    @property
    def beta_aligned(self) -> FloatArray:
        """Orthonormal bases turned towards the mode's, shape (chain, draw, n, r).

        Of series without units: the data's divided by residual standard deviations.
        """
        return self.relations.aligned()

    def principal_angles(self, beta: ArrayLike | None = None) -> FloatArray:
        """Angles in radians between drawn cointegrating spaces and one to compare with.

        Parameters
        ----------
        beta : array_like, shape (n, l), optional
            Relations in the units of the data, restricted terms in the last rows; by default the
            mode.

        Returns
        -------
        ndarray, shape (chain, draw, min(r, l))
            The smallest first, of series without units.

        Raises
        ------
        InputError
            If `beta` is not of that shape, or its columns are dependent.
        OptionError
            If the rank is zero.
        """
        if self.relations.rank == 0:
            raise OptionError("coint_rank=0: there is no cointegrating space")
        if beta is None:
            return principal_angles(self.relations.spaces, self.relations.mode)
        return principal_angles(self.relations.spaces, self._basis_of(beta))

    def _basis_of(self, beta: ArrayLike) -> FloatArray:
        n = len(self.relations.level_names)
        try:
            given = np.array(beta, dtype=np.float64)
        except (TypeError, ValueError):
            raise InputError("beta must be an array of real numbers") from None
        given = given[:, None] if given.ndim == 1 else given
        if given.ndim != 2 or given.shape[0] != n or not 1 <= given.shape[1] <= n:
            raise InputError(
                f"beta must have {n} rows ({', '.join(self.relations.level_names)}) and a column "
                f"for each relation, not shape {given.shape}"
            )
        if not np.isfinite(given).all() or np.linalg.matrix_rank(given) < given.shape[1]:
            raise InputError("the columns of beta must be finite and linearly independent")
        return np.asarray(np.linalg.qr(np.linalg.solve(self.relations.to_levels, given))[0])

    # -- statsmodels' vocabulary ------------------------------------------------------------------

    @property
    def df_model(self) -> float:
        """Coefficients of one equation: relations and short-run terms."""
        return float(self.relations.rank + len(self.relations.short_run_names))

    @property
    def df_resid(self) -> float:
        """Observations less coefficients of one equation."""
        return float(self.record.nobs) - self.df_model

    @property
    def llf(self) -> float:
        """Not available: there is no one likelihood of a posterior."""
        raise AttributeError(
            "There is no log likelihood at an estimate; model.compare_ranks() has marginal ones."
        )

    def predict(self, exog: Any = None, transform: bool = True) -> Any:
        """Not available: forecasts are none of a regression on `exog`.

        Raises
        ------
        OptionError
        """
        raise OptionError(
            "predict does not apply to series; compute forecasts from draws of alpha, beta_draws "
            "and the short run"
        )

    # -- for readers ----------------------------------------------------------------------------

    def summary(self, alpha: float = 0.05) -> Summary:
        """Tables of relations, adjustment and short run beside Johansen's estimate.

        Parameters
        ----------
        alpha : float
            One minus the probability of the equal-tailed intervals.

        Returns
        -------
        statsmodels.iolib.summary.Summary
        """
        return build_vecm_summary(self, check_probability(alpha, "alpha"))

    def findings(self) -> list[Finding]:
        """What makes the results unreliable: warning class and sentence, in the summary too."""
        found = super().findings()
        divergent = float(np.sum(self.record.sampler_stats.get("divergent", 0.0)))
        share = divergent / self.draws[..., 0].size if self.draws.shape[2] else 0.0
        if share > LARGEST_DIVERGENT_SHARE:
            found.append(
                Finding(
                    ConvergenceWarning,
                    f"{share:.1%} of the trajectories diverged: their steps are too long for some "
                    "part of the posterior. Raise target_accept, or use "
                    "parameterization='cayley'.",
                )
            )
        share = self.relations.opposite_share()
        if share > LARGEST_OPPOSITE_SHARE:
            first = ", ".join(map(repr, self.relations.endog_names[: self.relations.rank]))
            found.append(
                Finding(
                    NormalizationWarning,
                    f"The normalisation of beta by {first} is weak: in {share:.1%} of the draws "
                    "its coefficient has another sign than at the mode, so that normalised "
                    "coefficients reach to infinity. Put series first that are surely in the "
                    "relations, or read beta_projection and principal_angles.",
                )
            )
        return found

    def _stored_parts(self) -> dict[str, Any]:
        return {"record": self.record, "relations": self.relations}

    @cached_property
    def _multivariate_ess(self) -> MultivariateEss:
        # Ratios have no covariance.
        return multivariate_ess(self.draws[..., self.relations.free :])

    def _without_ratios(self, values: FloatArray) -> pd.Series:
        labelled = self._label(values)
        labelled.iloc[: self.relations.free] = np.nan
        return labelled

    def _short_run(self) -> pd.DataFrame:
        relations = self.relations
        values = self.params.to_numpy()[relations.blocks()["short run"]]
        return pd.DataFrame(
            values.reshape(len(relations.endog_names), -1),
            index=list(relations.endog_names),
            columns=list(relations.short_run_names),
        )

    def _matrix(self, values: FloatArray, rows: tuple[str, ...]) -> pd.DataFrame:
        return pd.DataFrame(values, index=list(rows), columns=list(self.relations.relation_names))
