"""What results say of their prior: how much it matters, and what the data make of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd

from qbeconometrics.diagnostics.marginal_likelihood import QuasiMarginalLikelihood
from qbeconometrics.posterior.resolved_prior import ResolvedPrior
from qbeconometrics.posterior.target import Posterior
from qbeconometrics.results.posterior_results import PosteriorResults
from qbeconometrics.results.prior_sensitivity import prior_sensitivity
from qbeconometrics.results.quasi_bayes_factor import (
    QuasiBayesFactor,
    marginal_likelihood_of,
    quasi_bayes_factor,
)


class PriorResults(PosteriorResults):
    """Sensitivity to the prior and quasi-Bayes factors; a part of `IVResults` and `GMMResults`."""

    def prior_sensitivity(
        self,
        scales: Sequence[float] = (0.5, 1.0, 2.0, 4.0),
        alpha: float = 0.05,
        method: str = "auto",
        rng: Any = 0,
    ) -> pd.DataFrame:
        """Posterior summaries with every prior sd times each of `scales`.

        See `qbeconometrics.results.prior_sensitivity.prior_sensitivity`.

        Parameters
        ----------
        scales : sequence of float
        alpha : float
            One minus the probability of the equal-tailed intervals.
        method : {"auto", "reweight", "refit"}
            "auto" reweights the draws where that is good enough, and samples anew, from the moment
            statistic, where not; the column ``method`` says which.
        rng : int, SeedSequence, BitGenerator, Generator or None
            For sampling anew.

        Returns
        -------
        DataFrame
            Indexed by ``scale`` and ``parameter``.

        Examples
        --------
        >>> import qbeconometrics as qb
        >>> data = qb.datasets.load("mroz1987").query("inlf == 1")
        >>> model = qb.QuasiBayesIV.from_formula("lwage ~ exper + [educ ~ motheduc]", data)
        >>> res = model.fit(quasi_likelihood="two-step", draws=100, rng=0)
        >>> table = res.prior_sensitivity([0.1, 1.0])
        >>> table["method"].unique().tolist()
        ['exact']
        """
        return prior_sensitivity(self, scales, alpha=alpha, method=method, rng=rng)

    def quasi_marginal_likelihood(
        self, method: str = "importance", proposals: int = 20_000, rng: Any = 0
    ) -> QuasiMarginalLikelihood:
        """Log of the integral of the quasi-likelihood over the prior, with its standard error.

        Parameters
        ----------
        method : {"importance", "bridge"}
            Importance sampling from Student-t laws and the prior, or bridge sampling between those
            and the draws. A normal quasi-posterior is integrated exactly.
        proposals : int
        rng : int, SeedSequence, BitGenerator, Generator or None

        Returns
        -------
        QuasiMarginalLikelihood
            With ``log_value``, ``se``, ``method``, ``ess`` and ``pareto_k``.

        Notes
        -----
        The quasi-likelihood is taken as the normal density of root n times the moment mean, with
        covariance S ("two-step": at the first-step estimate; "cue-nodet": without determinant, and
        then it is no density). It is not a density of the data: what is compared is how well the
        moments are met, given normal moments, after the integral over the prior. The literature
        uses such integrals to choose between models and between moments (Hong and Preston 2012;
        Inoue and Shintani 2018).

        The value depends on the width of the prior however many the data: a coefficient that is
        added with a prior ten times wider costs log 10, so that the weak default prior favours
        small models. Give priors that you would defend before comparing. The value also depends on
        the units of the outcome and of the instruments; these cancel in `quasi_bayes_factor`.

        References
        ----------
        Hong, H. and Preston, B. (2012). Bayesian averaging, prediction and nonnested model
        selection. Journal of Econometrics 167, 358-369.

        Inoue, A. and Shintani, M. (2018). Quasi-Bayesian model selection. Quantitative Economics 9,
        1265-1297.
        """
        return marginal_likelihood_of(self, method=method, proposals=proposals, rng=rng)

    def quasi_bayes_factor(
        self,
        other: PosteriorResults,
        method: str = "importance",
        proposals: int = 20_000,
        rng: Any = 0,
    ) -> QuasiBayesFactor:
        """Quasi-Bayes factor in favour of this fit against another one.

        Both need the same outcome, rows, instruments and options; the regressors and the priors may
        differ. To ask whether an instrument is valid, let it enter the equation of one of the fits:
        that frees its moment. With user-written moments the functions have to be the same functions
        of the data, which cannot be checked. The caveats of `quasi_marginal_likelihood` apply.

        Parameters
        ----------
        other : PosteriorResults
        method, proposals, rng
            As in `quasi_marginal_likelihood`.

        Returns
        -------
        QuasiBayesFactor
            With ``log_value``, ``se`` and ``probability``.

        Examples
        --------
        Is the father's schooling a valid instrument, given the mother's?

        >>> import qbeconometrics as qb
        >>> data = qb.datasets.load("mroz1987").query("inlf == 1")
        >>> prior = {"fatheduc": qb.priors.Normal(0, 0.05)}
        >>> valid = qb.QuasiBayesIV.from_formula("lwage ~ [educ ~ motheduc + fatheduc]", data)
        >>> free = qb.QuasiBayesIV.from_formula(
        ...     "lwage ~ fatheduc + [educ ~ motheduc]", data, prior=prior
        ... )
        >>> fits = [one.fit(quasi_likelihood="two-step", rng=0) for one in (valid, free)]
        >>> fits[0].quasi_bayes_factor(fits[1]).probability > 0.5
        True
        """
        return quasi_bayes_factor(self, other, method=method, proposals=proposals, rng=rng)

    def _rebuild_posterior(self, prior: ResolvedPrior) -> Posterior:
        """The quasi-posterior that was sampled, under `prior`."""
        raise NotImplementedError
