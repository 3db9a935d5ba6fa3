"""Quasi-Bayesian vector error correction: posteriors of cointegrating spaces."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from statsmodels.base.model import Model

from qbeconometrics.exceptions import OptionError, check_choice, refuse_unknown_keywords
from qbeconometrics.inputs.cointegration_design import cointegration_design
from qbeconometrics.models.vecm_arguments import (
    check_deterministic,
    check_prior_observations,
    check_rank,
    check_seasons,
    space_options,
)
from qbeconometrics.models.vecm_moments import MomentForm, moment_form
from qbeconometrics.models.vecm_record import vecm_results
from qbeconometrics.models.vecm_sampling import closed_sample, log_marginal, sample_spaces
from qbeconometrics.posterior.cointegration import cointegration_law
from qbeconometrics.results.vecm_results import VECMResults
from qbeconometrics.sampling.options import whole_number
from qbeconometrics.sampling.seeds import spawn_seeds

MODEL_KEYWORDS = (
    "endog", "exog", "k_ar_diff", "coint_rank", "deterministic", "seasons", "first_season",
    "prior_observations",
)  # fmt: skip
FIT_KEYWORDS = (
    "draws", "tune", "chains", "cores", "rng", "quasi_likelihood", "cov_type", "cov_kwds",
    "parameterization", "target_accept", "progressbar",
)  # fmt: skip
QUASI_LIKELIHOODS = ("likelihood", "two-step")
RANK_KEYWORDS = ("ranks", "proposals", *FIT_KEYWORDS)


class QuasiBayesVECM(Model):  # type: ignore[misc]
    """Vector error correction, dy_t = alpha beta' y_{t-1} + Gamma w_t + u_t.

    Parameters
    ----------
    endog : array_like, shape (nobs, m)
        Series in levels, in order of time.
    exog : array_like, shape (nobs, k), optional
        Terms outside of the cointegration relation.
    k_ar_diff : int
        Lagged differences.
    coint_rank : int
        Number r of relations, from 0 to m.
    deterministic : str
        "n" (none), "co" or "ci" (constant outside of or within the relation), "lo" or "li" (linear
        trend), and "coli", "cili", "colo", "cilo", all as in statsmodels' VECM.
    seasons, first_season : int
        Seasons of a year, 0 for no dummies, and the season of the first row, counted from 0.
    prior_observations : float
        The number nu of observations whose weight the prior has.

    Raises
    ------
    InputError
        If a value is missing or not finite, a series is constant, or rows are out of order.
    RankError
        If there are too few rows, or columns depend on each other.
    OptionError

    Notes
    -----
    Only the space spanned by beta is identified. Its prior is uniform, for series divided by the
    residual standard deviations of the regressions of unrestricted rank: a uniform law is not free
    of units. Series are centred for it where there is a constant within the relation, whose unit is
    one such standard deviation, and a trend's is one a period. Given the space, in these units,

        alpha | beta, Sigma ~ matrix normal(0, Sigma, (nu beta'S11 beta)^-1),
        Sigma ~ inverse Wishart(nu + m - 1, nu I),

    S11 being the mean square of levels with short-run terms taken out: nu of the T observations in
    what they say of alpha, and each variance has a prior of nu degrees of freedom. Coefficients
    Gamma of short-run terms, the same under every rank, have a flat prior.

    With alpha, Gamma and Sigma integrated out the density of the space is proportional to
    (|b'Mb| / |b'Nb|)^((T - q + nu + m - 1) / 2), in q short-run terms, with M = (T + nu) S11 and N
    = M less what the levels explain. Its mode tends to Johansen's maximum likelihood as nu tends to
    0. A prior that is uniform over spaces of a rank, and does not depend on the normalisation,
    follows Villani (2005, Econometric Theory 21, 326-357) and Koop, Leon-Gonzalez and Strachan
    (2010, Econometric Reviews 29, 224-242). Spaces are drawn by the no-U-turn sampler over a chart
    of orthonormal matrices, and the rest exactly, given each space. The unit of series, S11 in the
    prior of alpha, the coordinates in which spaces are sampled (see `posterior.centered_spaces`)
    and the bridge of `compare_ranks` are ours.

    ``fit(quasi_likelihood="two-step")`` replaces the likelihood by the moments E[u_t (y_{t-1},
    w_t)'] = 0, whose covariance may be robust to heteroskedasticity and serial correlation; the
    prior of the space is the same, and Sigma in that of alpha is estimated. The errors of levels
    then have no finite-sample law: intervals are a little short in a few hundred rows.

    Examples
    --------
    Two series with a common trend, of which the second is the double:

    >>> import numpy as np
    >>> import qbeconometrics as qb
    >>> trend, noise = np.random.default_rng(0).standard_normal((2, 200))
    >>> trend = trend.cumsum()
    >>> model = qb.QuasiBayesVECM(np.column_stack([trend + noise, 2.0 * trend]), coint_rank=1)
    >>> res = model.fit(rng=0)
    >>> round(float(res.median["beta.y2.ec1"]), 1)
    -0.5
    """

    def __init__(
        self,
        endog: ArrayLike,
        exog: ArrayLike | None = None,
        k_ar_diff: int = 1,
        coint_rank: int = 1,
        deterministic: str = "n",
        seasons: int = 0,
        first_season: int = 0,
        prior_observations: float = 1.0,
        **unknown: Any,
    ):
        refuse_unknown_keywords(unknown, MODEL_KEYWORDS, "QuasiBayesVECM")
        self.k_ar_diff = whole_number(k_ar_diff, "k_ar_diff", minimum=0)
        self.deterministic = check_deterministic(deterministic)
        self.seasons, self.first_season = check_seasons(seasons, first_season)
        self.prior_observations = check_prior_observations(prior_observations)
        self.design = cointegration_design(
            endog,
            exog,
            k_ar_diff=self.k_ar_diff,
            deterministic=self.deterministic,
            seasons=self.seasons,
            first_season=self.first_season,
        )
        self.coint_rank = check_rank(coint_rank, len(self.design.endog_names))
        self.law = cointegration_law(self.design, self.prior_observations)
        super().__init__(self.design.endog)

    @property
    def exog_names(self) -> list[str]:
        """Names of the short-run terms."""
        return list(self.design.short_run_names)

    def fit(
        self,
        *,
        draws: int = 2000,
        tune: int = 1000,
        chains: int = 4,
        cores: int | None = None,
        rng: Any = None,
        quasi_likelihood: str = "likelihood",
        cov_type: str = "HC0",
        cov_kwds: Mapping[str, Any] | None = None,
        parameterization: str = "polar",
        target_accept: float = 0.9,
        progressbar: bool | None = None,
        **unknown: Any,
    ) -> VECMResults:
        """Draw from the posterior.

        Parameters
        ----------
        draws, tune, chains : int
            Draws and draws of warm-up of each chain; chains.
        cores : int, optional
            Threads, which change no draw.
        rng : None, int, SeedSequence, BitGenerator or Generator
        quasi_likelihood : {"likelihood", "two-step"}
            The Gaussian likelihood, or the moments E[u_t (y_{t-1}, w_t)'] = 0, weighted by the
            inverse of their covariance at the unrestricted estimate; the prior of alpha then has
            the estimate of Sigma.
        cov_type : {"HC0", "HC1", "nonrobust", "HAC"}
            How that covariance is estimated.
        cov_kwds : dict, optional
            As in ``QuasiBayesIV.fit``.
        parameterization : {"polar", "householder", "givens", "cayley"}
            Chart of orthonormal matrices; see `qbeconometrics.stiefel`. The posterior is the same.
        target_accept : float
            Mean acceptance statistic that steps are adapted to.
        progressbar : bool or None
            None shows one on a terminal, for runs of more than a second.

        Returns
        -------
        VECMResults

        Raises
        ------
        OptionError

        Warns
        -----
        ConvergenceWarning, NormalizationWarning, InterruptedWarning
        """
        refuse_unknown_keywords(unknown, FIT_KEYWORDS, "fit")
        options = space_options(
            draws=draws,
            tune=tune,
            chains=chains,
            cores=cores,
            parameterization=parameterization,
            target_accept=target_accept,
            progressbar=progressbar,
        )
        if self.coint_rank == 0 and not self.design.short_run_names:
            raise OptionError(
                "coint_rank=0 without lagged differences and other terms has no coefficients; "
                "use compare_ranks for its marginal likelihood"
            )
        moments = self._moments(quasi_likelihood, cov_type, cov_kwds)
        of_spaces, of_coefficients = spawn_seeds(rng, 2)
        sample = (
            closed_sample(self.law, self.coint_rank, options)
            if self.law.is_closed(self.coint_rank)
            else sample_spaces(self.law, self.coint_rank, options, of_spaces, moments)
        )
        generator = np.random.default_rng(of_coefficients)
        results = vecm_results(self, sample, options, generator, moments)
        results.warn_if_unreliable()
        return results

    def _moments(
        self, quasi_likelihood: str, cov_type: str, cov_kwds: Mapping[str, Any] | None
    ) -> MomentForm | None:
        if check_choice(quasi_likelihood, QUASI_LIKELIHOODS, "quasi_likelihood") == "two-step":
            return moment_form(self.design, self.law, cov_type, cov_kwds)
        if cov_type != "HC0" or cov_kwds is not None:
            raise OptionError(
                "cov_type and cov_kwds are of moments: use quasi_likelihood='two-step'"
            )
        return None

    def compare_ranks(
        self,
        ranks: Sequence[int] | None = None,
        *,
        draws: int = 2000,
        tune: int = 1000,
        chains: int = 4,
        cores: int | None = None,
        rng: Any = None,
        quasi_likelihood: str = "likelihood",
        cov_type: str = "HC0",
        cov_kwds: Mapping[str, Any] | None = None,
        proposals: int = 20_000,
        parameterization: str = "polar",
        target_accept: float = 0.9,
        progressbar: bool | None = None,
        **unknown: Any,
    ) -> pd.DataFrame:
        """Marginal likelihoods and posterior probabilities of cointegration ranks.

        Parameters
        ----------
        ranks : sequence of int, optional
            Those to compare, of equal prior probability; by default 0 to m.
        draws, tune, chains, cores, rng, quasi_likelihood, cov_type, cov_kwds, parameterization
        target_accept, progressbar
            As in `fit`, for the spaces of each rank.
        proposals : int
            Draws at the other end of the bridge: of uniform spaces, in the law's coordinates and in
            those that are sampled.

        Returns
        -------
        DataFrame
            One row a rank: "log_marginal_likelihood" of the data in their units, under a flat prior
            of density one of the short-run coefficients, which all ranks share; its Monte Carlo
            standard error "mcse", 0 where it is exact; "probability". With "two-step" a
            quasi-marginal likelihood, up to a constant of all ranks.

        Raises
        ------
        OptionError

        Notes
        -----
        The fewer observations the prior is worth, the more it favours low ranks: a rank more costs
        about (m / 2) log(1 + T / nu). By bridge sampling (Meng and Wong 1996); rank 0, and rank m
        without terms within the relation, are exact.

        Examples
        --------
        >>> import numpy as np
        >>> import qbeconometrics as qb
        >>> walks = np.random.default_rng(0).standard_normal((200, 2)).cumsum(axis=0)
        >>> table = qb.QuasiBayesVECM(walks).compare_ranks(draws=500, rng=0)
        >>> int(table["probability"].idxmax())
        0
        """
        refuse_unknown_keywords(unknown, RANK_KEYWORDS, "compare_ranks")
        series = len(self.design.endog_names)
        given = range(series + 1) if ranks is None else ranks
        if isinstance(given, (str, bytes)) or not isinstance(given, (Sequence, np.ndarray)):
            raise OptionError(f"ranks={ranks!r} must be a list of ranks, such as [0, 1]")
        chosen = [check_rank(rank, series, "ranks") for rank in given]
        if not chosen or len(set(chosen)) < len(chosen):
            raise OptionError(f"ranks={ranks!r} must name one rank or more, each once")
        options = space_options(
            draws=draws,
            tune=tune,
            chains=chains,
            cores=cores,
            parameterization=parameterization,
            target_accept=target_accept,
            progressbar=progressbar,
        )
        proposals = whole_number(proposals, "proposals", minimum=100)
        moments = self._moments(quasi_likelihood, cov_type, cov_kwds)
        # A rank has the same seed whatever the others are.
        seeds = spawn_seeds(rng, series + 1)
        found = [
            log_marginal(self.law, rank, options, proposals, seeds[rank], moments)
            for rank in chosen
        ]
        values = np.array([one.log_value for one in found])
        weights = np.exp(values - values.max())
        return pd.DataFrame(
            {
                "log_marginal_likelihood": values,
                "mcse": [one.se for one in found],
                "probability": weights / weights.sum(),
            },
            index=pd.Index(chosen, name="rank"),
        )
