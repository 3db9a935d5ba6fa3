"""Network eigenmodel: links explained by a few eigenvectors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qbeconometrics.exceptions import OptionError, refuse_unknown_keywords
from qbeconometrics.inputs.adjacency import read_adjacency
from qbeconometrics.models.network_recording import network_records
from qbeconometrics.models.sampled_laws import LawOptions, sample_law
from qbeconometrics.results.network_results import NetworkResults
from qbeconometrics.sampling.options import whole_number
from qbeconometrics.stiefel.eigenmodel import Eigenmodel

MODEL_KEYWORDS = ("adjacency", "rank", "names")
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

INTERCEPT_SCALE = 10.0


class NetworkEigenmodel:
    """Bayesian eigenmodel of a network without directions.

    Links are independent with probability Phi(c + (Q Lambda Q')_ij) for nodes i < j, where Q (p, k)
    has orthonormal columns and Lambda is diagonal. Nodes with similar rows of Q are linked more
    often along eigenvectors of positive eigenvalues, and less often along those of negative ones.

    Parameters
    ----------
    adjacency : array_like, DataFrame or sparse matrix, shape (p, p)
        0 and 1, or bool, and symmetric. The diagonal is not read; nodes without links are allowed.
    rank : int
        Number of eigenvalues k, 1 to p - 1.
    names : sequence of str, optional
        Of the nodes; by default the labels of a DataFrame, or "1", "2", ...

    Raises
    ------
    InputError
        If the matrix is not such a network; the message names the pair of nodes.
    OptionError

    Notes
    -----
    Following Hoff (2007, NIPS 20, 657, arXiv:0711.1146), and with orthonormal Q Hoff (2009, Journal
    of Computational and Graphical Statistics 18, 438, arXiv:0712.4166). The prior of Q is uniform,
    that of an eigenvalue normal(0, p), and that of c normal(0, 100), these being variances. Draws
    are by the no-U-turn sampler in coordinates of `qbeconometrics.stiefel`.

    All chains start near the eigenvectors of the adjacency matrix with the largest eigenvalues in
    size, and with the signs of these. An eigenvalue rarely changes its sign along a chain: modes of
    the posterior with other signs may be missed, and R-hat does not show it.

    Examples
    --------
    >>> import qbeconometrics as qb
    >>> adjacency = qb.simulate.network(40, eigenvalues=(40.0,), intercept=-1.0)
    >>> model = qb.NetworkEigenmodel(adjacency, rank=1)
    >>> res = model.fit(draws=500, tune=500, rng=0)
    >>> bool(res.params["lambda_1"] > 15)
    True
    >>> probabilities = res.link_probabilities()
    >>> probabilities.shape
    (40, 40)
    """

    endog_names = "adjacency"

    def __init__(
        self, adjacency: Any, rank: int = 3, names: Sequence[str] | None = None, **unknown: Any
    ) -> None:
        refuse_unknown_keywords(unknown, MODEL_KEYWORDS, "NetworkEigenmodel")
        links, self.node_names = read_adjacency(adjacency, names)
        self.rank = whole_number(rank, "rank", minimum=1)
        if self.rank >= len(links):
            raise OptionError(f"rank={rank} must be below the number of nodes, {len(links)}")
        self._law = Eigenmodel(links, self.rank, np.sqrt(len(links)), INTERCEPT_SCALE)
        self.exog_names = [*(f"lambda_{number + 1}" for number in range(self.rank)), "intercept"]

    @property
    def links(self) -> NDArray[np.bool_]:
        """Whether nodes are linked, shape (p, p), with False on the diagonal; a copy."""
        return self._law.links.copy()

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
    ) -> NetworkResults:
        """Draw from the posterior.

        Parameters
        ----------
        draws, tune : int
            Draws of each chain that are kept, and those of warm-up before.
        chains : int
        rng : None, int, SeedSequence, BitGenerator or Generator
        cores : int, optional
            Threads, which change no draw; by default one a chain, at most the processors.
        parameterization : {"polar", "householder", "givens", "cayley"}
            Coordinates of Q, which change how well chains mix but not the posterior; see
            `qbeconometrics.stiefel`. "cayley" is centred at the start.
        target_accept : float
            Mean acceptance statistic that steps are adapted to.
        max_depth : int
            Most doublings of a trajectory.
        progressbar : bool or None
            None shows one on a terminal, for runs of more than a second.

        Returns
        -------
        NetworkResults

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
        results = NetworkResults(self, *network_records(self, chart, sample, options, seconds))
        results.warn_if_unreliable()
        return results
