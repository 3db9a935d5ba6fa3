"""Draws of cointegrating spaces, and integrals over them."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qbeconometrics.diagnostics.bridge_sampling import BridgeEstimate, bridge_sampling
from qbeconometrics.diagnostics.convergence import bulk_ess
from qbeconometrics.models.vecm_moments import MomentForm, MomentSpaces
from qbeconometrics.posterior.centered_spaces import centered_spaces
from qbeconometrics.posterior.cointegration import CointegrationLaw
from qbeconometrics.sampling.nuts import sample_density
from qbeconometrics.sampling.seeds import spawn_seeds
from qbeconometrics.stiefel import rand
from qbeconometrics.stiefel.chart_names import chart_around

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class SpaceOptions:
    """Checked arguments of a fit that concern the sampler of spaces."""

    draws: int
    tune: int
    chains: int
    cores: int | None
    parameterization: str
    target_accept: float
    progressbar: bool | None


@dataclass(frozen=True, slots=True, eq=False)
class SpaceSample:
    """Draws of spaces.

    Attributes
    ----------
    spaces : ndarray, shape (chains, draws, n, r)
        Orthonormal bases, in the coordinates of the law.
    centered : ndarray, shape (chains, draws, n, r)
        The same in the coordinates that were sampled.
    log_density : ndarray, shape (chains, draws)
        Of the space with respect to the uniform law, not normalised.
    stats : dict
    interrupted : bool
    of_moments : MomentSpaces or None
        The quasi-posterior, for the moment form.
    """

    spaces: FloatArray
    centered: FloatArray
    log_density: FloatArray
    stats: dict[str, Any]
    interrupted: bool
    of_moments: MomentSpaces | None = None


def sample_spaces(
    law: CointegrationLaw,
    rank: int,
    options: SpaceOptions,
    rng: Any,
    moments: MomentForm | None = None,
) -> SpaceSample:
    """Draw cointegrating spaces of a rank from 1 to n - 1.

    Chains start from uniformly drawn spaces, in coordinates in which the posterior is near to
    uniform.

    Parameters
    ----------
    law : CointegrationLaw
    rank : int
    options : SpaceOptions
    rng : None, int, SeedSequence, BitGenerator or Generator
    moments : MomentForm, optional
        By default the likelihood.

    Returns
    -------
    SpaceSample
    """
    began = time.perf_counter()
    centered_at = centered_spaces(law, rank)
    space = centered_at if moments is None else moments.spaces(centered_at)
    chart = chart_around(options.parameterization, np.eye(law.size, rank))
    *seeds, of_chains = spawn_seeds(rng, options.chains + 1)
    starts = np.stack([chart.from_matrix(rand(law.size, rank, rng=seed)) for seed in seeds])
    setup = time.perf_counter() - began
    sample = sample_density(
        [chart.density(space.target()) for _ in range(options.chains)],
        options.draws,
        options.tune,
        options.chains,
        of_chains,
        starts,
        target_accept=options.target_accept,
        cores=options.cores,
        progressbar=options.progressbar,
    )
    lead = sample.draws.shape[:2]
    flat = sample.draws.reshape(-1, chart.size)
    centered = np.stack([chart.to_matrix(x) for x in flat]).reshape(*lead, law.size, rank)
    log_density = space.log_density(centered) - centered_at.log_uniform(centered)
    statistics = sample.statistics
    stats = {
        "acceptance_rate": statistics["acceptance"].mean(axis=1),
        "step": statistics["step"][:, -1],
        "divergent": statistics["divergent"].sum(axis=1),
        "nonfinite": statistics["nonfinite"].sum(axis=1),
        "evaluations": int(statistics["gradients"].sum()) + sample.warm_up_gradients,
        "seconds": time.perf_counter() - began - setup,
        "setup_seconds": setup,
    }
    return SpaceSample(
        centered_at.to_space(centered),
        centered,
        log_density,
        stats,
        sample.interrupted,
        space if isinstance(space, MomentSpaces) else None,
    )


def closed_sample(law: CointegrationLaw, rank: int, options: SpaceOptions) -> SpaceSample:
    """Return the one space there is, where there is one, as often as draws are asked for."""
    shape = (options.chains, options.draws, law.size, rank)
    spaces = np.broadcast_to(np.eye(law.size)[:, :rank], shape).copy()
    stats = {"evaluations": 0, "seconds": 0.0, "setup_seconds": 0.0}
    return SpaceSample(spaces, spaces, np.zeros(shape[:2]), stats, False)


def log_marginal(
    law: CointegrationLaw,
    rank: int,
    options: SpaceOptions,
    proposals: int,
    rng: Any,
    moments: MomentForm | None = None,
) -> BridgeEstimate:
    """Log marginal likelihood of a rank: exact, or by a bridge from a mixture of uniform laws.

    Parameters
    ----------
    law : CointegrationLaw
    rank : int
    options : SpaceOptions
    proposals : int
    rng : None, int, SeedSequence, BitGenerator or Generator
    moments : MomentForm, optional
        By default the likelihood.

    Returns
    -------
    BridgeEstimate
    """
    if law.is_closed(rank):
        return BridgeEstimate((moments or law).log_marginal(rank), 0.0)
    for_chains, for_proposals = spawn_seeds(rng, 2)
    sample = sample_spaces(law, rank, options, for_chains, moments)
    centered_at = centered_spaces(law, rank)
    space = centered_at if moments is None else moments.spaces(centered_at)
    proposed = centered_at.propose(proposals, np.random.default_rng(for_proposals))
    of_proposals, of_draws = (
        space.log_density(c) - centered_at.log_proposal(c) for c in (proposed, sample.centered)
    )
    found = bridge_sampling(of_proposals, of_draws.ravel(), float(bulk_ess(of_draws)))
    constant = law.log_constant_of(rank) if moments is None else 0.0
    return BridgeEstimate(constant + found.log_value, found.se)
