"""Quasi-marginal likelihoods of the ranks of a coefficient matrix."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from qbeconometrics.diagnostics.bridge_sampling import BridgeEstimate, bridge_sampling
from qbeconometrics.diagnostics.convergence import bulk_ess
from qbeconometrics.exceptions import OptionError, refuse_unknown_keywords
from qbeconometrics.inputs.system_design import SystemDesign
from qbeconometrics.models.fit_options import check_learning_rate
from qbeconometrics.models.reduced_rank_fit import (
    SpaceOptions,
    log_densities,
    reduced_rank_law,
    sample_spaces,
    space_options,
    weighted_system,
)
from qbeconometrics.models.space_proposal import fitted_proposal
from qbeconometrics.moments.covariance import parse_covariance
from qbeconometrics.moments.system import ScaledSystem
from qbeconometrics.posterior.reduced_rank import MomentFit
from qbeconometrics.sampling.options import whole_number
from qbeconometrics.sampling.seeds import spawn_seeds

FloatArray = NDArray[np.float64]

RANK_KEYWORDS = (
    "ranks",
    "draws",
    "tune",
    "chains",
    "rng",
    "cores",
    "cov_type",
    "cov_kwds",
    "learning_rate",
    "proposals",
    "parameterization",
    "sampler_kwds",
    "progressbar",
)


def log_quasi_marginal(
    fit: MomentFit,
    rank: int,
    prior_scale: float,
    options: SpaceOptions,
    proposals: int,
    rng: Any,
) -> BridgeEstimate:
    """Log of the prior mean of the quasi-likelihood: exact, or by a bridge."""
    q = fit.estimate.shape[1]
    law = reduced_rank_law(fit, max(rank, 1), prior_scale)
    if rank == 0:
        return BridgeEstimate(law.log_density_of_zero, 0.0)
    if rank == q:
        # Every B spans everything.
        return BridgeEstimate(law.target().log_density_and_gradient(np.eye(q))[0], 0.0)
    for_chains, for_proposals = spawn_seeds(rng, 2)
    spaces, _ = sample_spaces(law, options, for_chains)
    # The proposal must not have seen the draws that it is compared with.
    half = spaces.shape[1] // 2
    if half < 1:
        raise OptionError(f"draws={options.draws} must be at least 2 to compare ranks")
    proposal = fitted_proposal(spaces[:, :half].reshape(-1, q, rank))
    drawn = spaces[:, half:]
    proposed = proposal.draw(proposals, rank, np.random.default_rng(for_proposals))
    of_proposals, of_draws = (
        log_densities(law, B) - proposal.log_density(B) for B in (proposed, drawn)
    )
    return bridge_sampling(of_proposals, of_draws.ravel(), float(bulk_ess(of_draws)))


def check_ranks(ranks: Any, most: int) -> list[int]:
    """Return the ranks to compare; None is all of them.

    Raises
    ------
    OptionError

    Examples
    --------
    >>> check_ranks(None, 2)
    [0, 1, 2]
    """
    given = range(most + 1) if ranks is None else ranks
    if isinstance(given, (str, bytes)) or not isinstance(given, (Sequence, np.ndarray)):
        raise OptionError(f"ranks={ranks!r} must be a list of ranks, such as [0, 1]")
    chosen = [whole_number(rank, "ranks", minimum=0) for rank in given]
    if not chosen or len(set(chosen)) < len(chosen):
        raise OptionError(f"ranks={ranks!r} must name one rank or more, each once")
    if max(chosen) > most:
        raise OptionError(f"ranks={ranks!r} must be at most {most}")
    return chosen


def rank_table(ranks: Sequence[int], found: Sequence[BridgeEstimate]) -> pd.DataFrame:
    """Quasi-marginal likelihoods and probabilities, ranks equally likely a priori."""
    values = np.array([one.log_value for one in found])
    weights = np.exp(values - values.max())
    return pd.DataFrame(
        {
            "log_quasi_marginal_likelihood": values,
            "mcse": [one.se for one in found],
            "probability": weights / weights.sum(),
        },
        index=pd.Index(ranks, name="rank"),
    )


class RankComparison:
    """`compare_ranks`; a part of `QuasiBayesReducedRank`."""

    design: SystemDesign
    prior_scale: float
    _system: ScaledSystem
    _frame: pd.DataFrame | None

    def compare_ranks(
        self,
        ranks: Sequence[int] | None = None,
        *,
        draws: int = 2000,
        tune: int = 1000,
        chains: int = 4,
        rng: Any = None,
        cores: int | None = None,
        cov_type: str = "HC0",
        cov_kwds: Mapping[str, Any] | None = None,
        learning_rate: float = 1.0,
        proposals: int = 10_000,
        parameterization: str = "polar",
        sampler_kwds: Mapping[str, Any] | None = None,
        progressbar: bool | None = None,
        **unknown: Any,
    ) -> pd.DataFrame:
        """Quasi-marginal likelihoods and quasi-posterior probabilities of ranks.

        Parameters
        ----------
        ranks : sequence of int, optional
            Those to compare, of equal prior probability; by default 0 to min(m, q).
        draws, tune, chains, rng, cores
            As in `fit`, for the spaces of each rank.
        cov_type, cov_kwds, learning_rate, parameterization, sampler_kwds, progressbar
            As in `fit`.
        proposals : int
            Draws at the other end of the bridge.

        Returns
        -------
        DataFrame
            One row a rank: "log_quasi_marginal_likelihood", the log of the prior mean of the
            quasi-likelihood, which is one at the unrestricted estimate; its Monte Carlo standard
            error "mcse", 0 where it is exact; "probability".

        Raises
        ------
        OptionError, InputError, NumericalError

        Notes
        -----
        All ranks share the weight, that at the unrestricted estimate, and the flat prior of the
        controls. Each element of C has the same prior standard deviation at every rank; the wider
        that is, the lower the ranks that are favoured. By bridge sampling (Meng and Wong 1996,
        Statistica Sinica 6, 831-860) from matrix angular central Gaussian laws of the spaces
        (Chikuse 1990, Journal of Multivariate Analysis 33, 265-274).

        Examples
        --------
        >>> import numpy as np
        >>> import qbeconometrics as qb
        >>> rng = np.random.default_rng(0)
        >>> x = rng.standard_normal((200, 3))
        >>> y = x @ np.outer([1.0, -1.0, 0.5], [0.5, 0.3]) + rng.standard_normal((200, 2))
        >>> table = qb.QuasiBayesReducedRank(y, x, rank=1).compare_ranks(draws=500, rng=0)
        >>> int(table["probability"].idxmax())
        1
        """
        refuse_unknown_keywords(unknown, RANK_KEYWORDS, "compare_ranks")
        most = min(len(self.design.endog_names), len(self.design.exog_names))
        chosen = check_ranks(ranks, most)
        options = space_options(
            draws=draws,
            tune=tune,
            chains=chains,
            cores=cores,
            parameterization=parameterization,
            sampler_kwds=sampler_kwds,
            progressbar=progressbar,
        )
        proposals = whole_number(proposals, "proposals", minimum=100)
        rule = parse_covariance(cov_type, cov_kwds)
        rate = check_learning_rate(learning_rate)
        fit = weighted_system(self.design, self._system, rule, rate, self._frame).fit
        # A rank has the same seed whatever the others are.
        seeds = spawn_seeds(rng, most + 1)
        found = [
            log_quasi_marginal(fit, rank, self.prior_scale, options, proposals, seeds[rank])
            for rank in chosen
        ]
        return rank_table(chosen, found)
