"""What a fit hands to the reader: arrays, names and sentences, no rows of data."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from qbeconometrics.diagnostics.overidentification import JStatistic
from qbeconometrics.exceptions import InputError
from qbeconometrics.moments.linear import LinearMomentStatistic

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class FitRecord:
    """Everything that the results of one fit are computed from.

    Attributes
    ----------
    draws : ndarray
        Shape (chain, draw, parameter).
    log_density : ndarray or None
        Log quasi-posterior, up to a constant, of each draw, shape (chain, draw).
    param_names : tuple of str
        Labels of the coefficients, in the order of the last axis of `draws`.
    endog_name, model_name : str
        Name of the outcome; name of the model class.
    formula : str or None
        The formula as typed.
    nobs, n_dropped : int
        Observations used; rows left out because of missing values.
    instrument_names, endogenous_names : tuple of str
        All instruments, the exogenous regressors among them; the endogenous regressors.
    mode : ndarray
        Where the quasi-posterior is highest, shape (parameter,).
    exact_mean, exact_cov : ndarray or None
        Mean (parameter,) and covariance (parameter, parameter) of a quasi-posterior that is
        exactly normal and was drawn from independently; both None otherwise.
    moments_exist : tuple of bool
        Whether the posterior mean exists, and whether the posterior variance does.
    quasi_likelihood, cov_type : str
        Names of the options of the fit; "gibbs" and an empty text for a Gibbs posterior.
    cov_kwds : dict
        Options of the covariance.
    learning_rate : float
        Factor on the log quasi-likelihood.
    prior : tuple of str
        Lines that describe the prior.
    sampler, sampler_reason : str
        Name of the sampler; a sentence that says why it was used.
    sampler_settings : dict
        Options of the sampler.
    sampler_stats : dict
        ``acceptance_stage_1``, ``acceptance_stage_2``, ``acceptance_rate`` (one number a chain),
        ``seconds``, ``setup_seconds``, ``evaluations``, ``nonfinite``; of "hmc" also
        ``divergences`` and ``step`` (one number a chain); absent where meaningless.
    draws_requested, tune : int
        Draws and warm-up draws a chain that were asked for.
    interrupted : bool
        Whether sampling was stopped early.
    notes : tuple of str
        Sentences collected before sampling ended.
    moments : LinearMomentStatistic or None
        Sums that J is computed from where moments are linear; None: the model is asked.
    strength : DataFrame, str or None
        The first stage under the covariance of the fit, or why there is none; None: the model is
        asked.
    j : JStatistic, str or None
        J with a two-step weight where it needs rows, or why there is none; None: the model is
        asked. Filled when results are saved.
    n_moments : int or None
        Moment conditions, where they are not instruments.
    modes, mode_log_density : ndarray or None
        Local maxima that were found, best first, shape (mode, parameter), and how high they are.
    mode_cov : ndarray or None
        Covariance of the normal approximation at the mode, shape (parameter, parameter).
    loss : str or None
        Name of the loss, where there is one.
    weights : str
        Kind and name of the weights of the rows, such as "analytic (perwt)".
    absorbed : str
        Fixed effects with their numbers of levels, such as "state (51)".
    df_absorbed : int
        Coefficients that these stand for.
    prior_marginals : ndarray, shape (parameter, 3), or None
        Location, scale and degrees of freedom; see `posterior.prior_marginals`.
    fitted : str
        Local time of the fit, such as "2026-11-21T16:00:00".

    Raises
    ------
    InputError
        If the shapes do not fit together.
    """

    draws: FloatArray
    log_density: FloatArray | None
    param_names: tuple[str, ...]
    endog_name: str
    model_name: str
    formula: str | None
    nobs: int
    n_dropped: int
    instrument_names: tuple[str, ...]
    endogenous_names: tuple[str, ...]
    mode: FloatArray
    exact_mean: FloatArray | None
    exact_cov: FloatArray | None
    moments_exist: tuple[bool, bool]
    quasi_likelihood: str
    cov_type: str
    cov_kwds: dict[str, Any]
    learning_rate: float
    prior: tuple[str, ...]
    sampler: str
    sampler_reason: str
    sampler_settings: dict[str, Any]
    sampler_stats: dict[str, Any]
    draws_requested: int
    tune: int
    interrupted: bool
    notes: tuple[str, ...]
    moments: LinearMomentStatistic | None = None
    strength: pd.DataFrame | str | None = None
    n_moments: int | None = None
    modes: FloatArray | None = None
    mode_log_density: FloatArray | None = None
    mode_cov: FloatArray | None = None
    loss: str | None = None
    weights: str = ""
    absorbed: str = ""
    df_absorbed: int = 0
    prior_marginals: FloatArray | None = None
    j: JStatistic | str | None = None
    fitted: str = field(default_factory=lambda: datetime.now().isoformat(timespec="seconds"))

    def __post_init__(self) -> None:
        k = len(self.param_names)
        if self.draws.ndim != 3 or self.draws.shape[2] != k or self.draws.size == 0:
            raise InputError(
                f"draws have the shape {self.draws.shape}; needed is (chain, draw, {k}) "
                "with at least one chain, draw and parameter."
            )
        shapes = {
            "log_density": (self.log_density, self.draws.shape[:2]),
            "mode": (self.mode, (k,)),
            "exact_mean": (self.exact_mean, (k,)),
            "exact_cov": (self.exact_cov, (k, k)),
            "mode_cov": (self.mode_cov, (k, k)),
            "prior_marginals": (self.prior_marginals, (k, 3)),
        }
        for name, (array, shape) in shapes.items():
            if array is not None and array.shape != shape:
                raise InputError(f"{name} has the shape {array.shape}; needed is {shape}.")
        if (self.exact_mean is None) != (self.exact_cov is None):
            raise InputError("exact_mean and exact_cov must be given together.")

    @property
    def exact(self) -> bool:
        """Whether the quasi-posterior is normal with known mean and covariance."""
        return self.exact_mean is not None
