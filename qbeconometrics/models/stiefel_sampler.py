"""Draws from any density of orthonormal matrices."""

from __future__ import annotations

import time
import warnings
from datetime import datetime
from typing import Any

import numpy as np

from qbeconometrics.exceptions import (
    InputError,
    InterruptedWarning,
    OptionError,
    check_choice,
    refuse_unknown_keywords,
)
from qbeconometrics.kernels._stiefel_density import MatrixTarget
from qbeconometrics.models.stiefel_charts import chart_for
from qbeconometrics.models.stiefel_starts import checked_start, errors_of_target, first_points
from qbeconometrics.results.stiefel_results import StiefelRecord, StiefelResults
from qbeconometrics.sampling.nutpie_adapter import NutpieSample, import_nutpie, sample_with_nutpie
from qbeconometrics.sampling.nuts import DensitySample, check_options, sample_density
from qbeconometrics.sampling.seeds import spawn_seeds
from qbeconometrics.stiefel.base import Chart, Target
from qbeconometrics.stiefel.chart_names import PARAMETERIZATIONS
from qbeconometrics.stiefel.checks import FloatArray, check_dimensions
from qbeconometrics.stiefel.symmetry import column_symmetry

BACKENDS = ("compiled", "nutpie")
SAMPLE_ARGUMENTS = (
    "draws", "tune", "chains", "rng", "cores", "metric", "target_accept", "max_depth", "start",
    "progressbar", "backend",
)  # fmt: skip


class StiefelSampler:
    """Sampler of orthonormal matrices Q (p, k), Q'Q = I, from a density and its gradient.

    Coordinates of a chart, without constraints, are drawn by the no-U-turn sampler.

    Parameters
    ----------
    target : callable or compiled target
        Takes Q (p, k); returns log f(Q), of the density with respect to the uniform distribution
        and up to a constant, and its gradient (p, k) by the entries of Q, as if they were free. Or
        one that runs without Python: `stiefel.von_mises_fisher`, `stiefel.bingham`,
        `stiefel.uniform`. All chains use it, in threads unless it is written in Python: a compiled
        one must not write to memory of its own.
    p, k : int
        Rows and columns of Q, p at least 2 and k from 1 to p.
    parameterization : {"polar", "householder", "givens", "cayley"} or Chart
        See `qbeconometrics.stiefel`. By name, the Cayley chart is centred at `start`, and
        the sign of the reflections is the one that suits it: a matrix near the mode pays.
    **unknown
        Refused, with the nearest known keyword.

    Raises
    ------
    InputError
        If the target is neither, or for matrices of another shape.
    OptionError
        If there are no such matrices, or no such parameterization.

    Notes
    -----
    Following Jauch, Hoff and Dunson (arXiv:1906.07684) for the polar expansion and Tanaka (2024,
    arXiv:2402.07434) for the comparison of the four. For p = k, "polar" alone reaches both
    determinants; the others stay at that of `start`, 1 by default.

    Examples
    --------
    >>> import numpy as np
    >>> import qbeconometrics as qb
    >>> M = 4.0 * np.eye(6, 2)
    >>> sampler = qb.StiefelSampler(lambda Q: (np.sum(M * Q), M), 6, 2)
    >>> res = sampler.sample(draws=500, tune=200, chains=4, rng=0)
    >>> res.draws.shape
    (4, 500, 6, 2)
    >>> bool(abs(res.draws[..., 0, 0].mean() - 0.53) < 0.05)
    True
    """

    def __init__(
        self,
        target: Target | MatrixTarget,
        p: int,
        k: int,
        parameterization: str | Chart = "polar",
        **unknown: Any,
    ) -> None:
        known = ("target", "p", "k", "parameterization")
        refuse_unknown_keywords(unknown, known, "StiefelSampler")
        self.p, self.k = check_dimensions(p, k)
        if isinstance(target, MatrixTarget):
            if (target.p, target.k) != (self.p, self.k):
                raise InputError(
                    f"target is for matrices {(target.p, target.k)}, and p, k are "
                    f"{(self.p, self.k)}"
                )
        elif not callable(target):
            raise InputError(
                f"target={target!r} must be a function of Q that returns log f and its gradient, "
                "or a compiled target such as stiefel.von_mises_fisher(M)"
            )
        self.target = target
        if isinstance(parameterization, Chart):
            if (parameterization.p, parameterization.k) != (self.p, self.k):
                raise OptionError(
                    f"parameterization={parameterization!r} is for other matrices than p, k = "
                    f"{(self.p, self.k)}"
                )
        else:
            check_choice(parameterization, PARAMETERIZATIONS, "parameterization")
        self.parameterization = parameterization

    def __repr__(self) -> str:
        return f"StiefelSampler({self.p}, {self.k}, parameterization={self.parameterization!r})"

    def sample(
        self,
        draws: int = 1000,
        tune: int = 1000,
        chains: int = 4,
        *,
        rng: Any = None,
        cores: int | None = None,
        metric: str = "diag",
        target_accept: float = 0.8,
        max_depth: int = 10,
        start: Any = None,
        progressbar: bool | None = None,
        backend: str = "compiled",
        **unknown: Any,
    ) -> StiefelResults:
        """Draw matrices.

        Parameters
        ----------
        draws : int
            Of each chain, after warm-up.
        tune : int
            Draws of warm-up, which are thrown away.
        chains : int
        rng : None, int, SeedSequence, BitGenerator or Generator
        cores : int, optional
            Threads. By default one a chain, at most the processors; one for a target written in
            Python, and for nutpie.
        metric : {"diag", "dense"}
            What is learnt of the covariance of the coordinates; nutpie has "diag".
        target_accept : float
            Mean acceptance statistic that steps are adapted to.
        max_depth : int
            Most doublings of a trajectory.
        start : array_like, shape (p, k) or (chains, p, k), optional
            Orthonormal matrices where chains begin, and f is positive. By default each begins at a
            uniform draw.
        progressbar : bool or None
            None shows one on a terminal, for runs of more than a second.
        backend : {"compiled", "nutpie"}
            The sampler of this package, or nutpie, which must be installed (the extra "nutpie").
        **unknown
            Refused, with the nearest known keyword.

        Returns
        -------
        StiefelResults

        Warns
        -----
        ConvergenceWarning, NumericalWarning, InterruptedWarning
            As in the notes of the summary.

        Raises
        ------
        InputError
            If `start` is no such matrix, is not reached by the chart, or has no positive finite
            density; or if the target returns something else than log f and its gradient.
        OptionError
            If an argument is not allowed.
        DensityError
            If the target raises; `sample` then holds the coordinates drawn before.
        MissingExtraError
            If nutpie is asked for and missing.
        KeyboardInterrupt
            If Ctrl-C comes before the first draws are complete.

        Examples
        --------
        >>> import numpy as np
        >>> import qbeconometrics as qb
        >>> target = qb.stiefel.bingham(np.diag([10.0, 10.0, 0.0, 0.0, 0.0, 0.0]), 2)
        >>> res = qb.StiefelSampler(target, 6, 2).sample(rng=1)
        >>> res.record.symmetry
        'rotations'
        >>> bool(res.principal_angles(np.eye(6, 2)).mean() < 0.6)
        True
        """
        refuse_unknown_keywords(unknown, SAMPLE_ARGUMENTS, "sample")
        check_choice(backend, BACKENDS, "backend")
        check_options(draws, tune, chains, metric, target_accept, max_depth, cores)
        if backend == "nutpie":
            import_nutpie()
            if metric != "diag":
                raise OptionError(f"metric={metric!r} is for backend='compiled'; nutpie has 'diag'")
        began = time.perf_counter()
        of_starts, of_chains = spawn_seeds(rng, 2)
        matrices = checked_start(start, self.p, self.k, chains)
        chart = chart_for(self.parameterization, self.p, self.k, matrices)
        starts = first_points(chart, self.target, matrices, chains, of_starts)
        symmetry = column_symmetry(self._log_f, [chart.to_matrix(x) for x in starts[:2]])
        settings: dict[str, Any] = {
            "target_accept": float(target_accept),
            "max_depth": int(max_depth),
            "progressbar": progressbar,
        }
        drawn: DensitySample | NutpieSample
        if backend == "nutpie":
            drawn = sample_with_nutpie(
                lambda: chart.density(self.target),
                draws,
                tune,
                of_chains,
                starts,
                cores=1 if cores is None else cores,
                **settings,
            )
        else:
            densities = [chart.density(self.target) for _ in range(chains)]
            drawn = sample_density(
                densities, draws, tune, chains, of_chains, starts, metric, cores=cores, **settings
            )
        statistics = dict(drawn.statistics)
        Q, log_density = chart.unpack(drawn.draws, statistics.pop("log_density"))
        Q.flags.writeable = False
        record = StiefelRecord(
            draws=Q,
            log_density=log_density,
            statistics=statistics,
            chart=chart,
            symmetry=symmetry,
            metric=metric,
            backend=backend,
            target_accept=float(target_accept),
            max_depth=int(max_depth),
            tune=int(tune),
            draws_requested=int(draws),
            warm_up_gradients=drawn.warm_up_gradients,
            seconds=time.perf_counter() - began,
            interrupted=drawn.interrupted,
            sampled=datetime.now(),
        )
        results = StiefelResults(record)
        if record.interrupted:
            warnings.warn(
                f"interrupted: kept {Q.shape[1]} of {draws} draws a chain",
                InterruptedWarning,
                stacklevel=2,
            )
        results.warn_if_unreliable()
        return results

    def _log_f(self, Q: FloatArray) -> float:
        if isinstance(self.target, MatrixTarget):
            return float(self.target.log_density_and_gradient(np.ascontiguousarray(Q))[0])
        with errors_of_target():
            return float(self.target(Q)[0])
