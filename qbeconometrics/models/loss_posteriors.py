"""What models of a loss sample from."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from qbeconometrics.exceptions import check_choice
from qbeconometrics.inputs.design import LinearDesign
from qbeconometrics.losses import Squared
from qbeconometrics.models.fit_options import check_learning_rate, check_quasi_likelihood
from qbeconometrics.models.linear_moments import LinearMomentsModel
from qbeconometrics.models.m_arguments import (
    POSTERIORS,
    check_loss,
    refuse_moment_options,
    score_rule,
)
from qbeconometrics.posterior.gibbs import GibbsPosterior, build_gibbs_posterior
from qbeconometrics.posterior.loss_moments import build_q_posterior
from qbeconometrics.posterior.loss_propriety import (
    check_gibbs_propriety,
    check_q_propriety,
    loss_moments_exist,
    refuse_lone_rows,
    refuse_separation,
    separating_columns,
)
from qbeconometrics.posterior.nonlinear import NonlinearPosterior
from qbeconometrics.posterior.quasi_posterior import QuasiPosterior
from qbeconometrics.posterior.risk_mode import m_estimate

FloatArray = NDArray[np.float64]


class LossPosteriors(LinearMomentsModel):
    """The Q-posterior and the Gibbs posterior of a loss; a part of `QuasiBayesM`."""

    def _set_loss(self, loss: object, posterior: str, design: LinearDesign) -> None:
        self.posterior = check_choice(posterior, POSTERIORS, "posterior")
        design.endog.flags.writeable = False  # before a user's function sees it
        self.loss = check_loss(loss, design)

    @cached_property
    def _separating(self) -> list[str]:
        """Columns along which the risk sinks for ever."""
        design = self.design
        return separating_columns(self.loss, design.endog, design.exog, design.exog_names)

    def _start(self) -> FloatArray:
        """Least squares, or the constant fit where the index is not on the outcome's scale."""
        if self.loss.on_outcome_scale or self.design.constant is None:
            return self._basis.centre if self.loss.on_outcome_scale else np.zeros(self._k)
        return self.design.constant * self.loss.centre(self.design.endog)

    @property
    def _k(self) -> int:
        return self.design.exog.shape[1]

    @cached_property
    def _estimate(self) -> tuple[FloatArray, bool]:
        """The minimiser of the mean loss, and whether the search converged."""
        design = self.design
        return m_estimate(self.loss, design.endog, design.exog, self._basis, self._start())

    @property
    def _is_linear(self) -> bool:
        return isinstance(self.loss, Squared)

    def quasi_posterior(  # type: ignore[override]
        self,
        *,
        quasi_likelihood: str | None = None,
        cov_type: str = "HC0",
        cov_kwds: Mapping[str, Any] | None = None,
        learning_rate: float = 1.0,
        weight_matrix: ArrayLike | str | None = None,
    ) -> QuasiPosterior | NonlinearPosterior | GibbsPosterior:
        """Return the log posterior that `fit` samples from; arguments are those of `fit`.

        Raises
        ------
        OptionError, ImproperPosteriorError, IdentificationError, NumericalError
        """
        if self.posterior == "gibbs":
            refuse_moment_options(quasi_likelihood, cov_type, cov_kwds, weight_matrix)
            if self._is_linear:
                quasi_likelihood, cov_type = "two-step", "nonrobust"
                weight_matrix = self._squared_loss_weight()
        if self._is_linear:
            return super().quasi_posterior(
                quasi_likelihood=quasi_likelihood,
                cov_type=cov_type,
                cov_kwds=cov_kwds,
                learning_rate=learning_rate,
                weight_matrix=weight_matrix,
            )
        rate = check_learning_rate(learning_rate)
        if self.posterior == "gibbs":
            return self._gibbs_posterior(rate)
        return self._q_posterior(quasi_likelihood, cov_type, cov_kwds, rate, weight_matrix)

    def _squared_loss_weight(self) -> FloatArray:
        """The weight with which two-step moments have the criterion of (1/2) r^2."""
        exog = self.design.exog
        return np.asarray(np.linalg.inv(exog.T @ exog / len(exog)), dtype=np.float64)

    def _q_posterior(
        self,
        quasi_likelihood: str | None,
        cov_type: str,
        cov_kwds: Mapping[str, Any] | None,
        learning_rate: float,
        weight_matrix: ArrayLike | str | None,
    ) -> NonlinearPosterior:
        rule = score_rule(cov_type, cov_kwds)
        name = check_quasi_likelihood(quasi_likelihood, weight_matrix)
        check_q_propriety(self.loss, self.prior, name)
        leverage, row = self._largest_leverage
        refuse_lone_rows(leverage, self._row_label(row))
        refuse_separation(self.loss, self._separating)
        return build_q_posterior(
            self.loss,
            self.design.endog,
            self.design.exog,
            estimate=self._estimate[0],
            rule=rule,
            quasi_likelihood=name,
            learning_rate=learning_rate,
            prior=self.prior,
            weight_matrix=weight_matrix,
        )

    def _gibbs_posterior(self, learning_rate: float) -> GibbsPosterior:
        check_gibbs_propriety(
            self.loss, self.prior, [] if self.prior.is_proper else self._separating
        )
        # Far from a kink a loss has no curvature that would show the way.
        starts = [self._start(), *([self._estimate[0]] if self.loss.jumps else [])]
        return build_gibbs_posterior(
            self.loss,
            self.design.endog,
            self.design.exog,
            prior=self.prior,
            learning_rate=learning_rate,
            basis=self._basis,
            starts=starts,
        )

    def _moments_exist(self, quasi_likelihood: str) -> tuple[bool, bool]:
        if self.posterior == "q":
            grows = quasi_likelihood == "two-step" and not self.loss.bounded_score
        else:
            grows = self.loss.convex and (self.prior.is_normal or not self._separating)
        return loss_moments_exist(self.prior, risk_grows=grows)
