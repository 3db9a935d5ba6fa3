"""The quasi-posterior of two effects on each other from a few sums: a model that needs no rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from qbeconometrics.exceptions import (
    ImproperPosteriorError,
    InputError,
    OptionError,
    check_choice,
)
from qbeconometrics.models.gmm import QuasiBayesGMM
from qbeconometrics.models.row_weights import Dependence
from qbeconometrics.moments.covariance import CovarianceRule
from qbeconometrics.online.closed_form import null_vector
from qbeconometrics.online.effect_moments import EffectMoments
from qbeconometrics.posterior.nonlinear import NonlinearPosterior
from qbeconometrics.priors import Normal, PriorLike
from qbeconometrics.results.gmm_results import GMMResults

FloatArray = NDArray[np.float64]

PARAMS = ["b12", "b21"]

# Standard deviation of the default prior, in ratios of the residuals' standard deviations.
PRIOR_RATIOS = 2.5


class EffectsGMM(QuasiBayesGMM):
    """Moments E(w e1 e2) = 0 of two effects, for two instruments w.

    The moments are linear in (1 + b12 b21, -b21, -b12), so that their mean and covariance at any
    effects follow from those of w (u1 u2, u1^2, u2^2). A dozen rows with the same mean and
    covariance stand for the data: draws cost the same whatever n is.

    Parameters
    ----------
    moments : EffectMoments
    start_params : ndarray, shape (2,)
    endog_names : sequence of str
    prior : Prior or dict, optional
        Of b12 and b21, restricted to abs(b12 b21) < 1. What a dict leaves out is the default.

    Raises
    ------
    ImproperPosteriorError
        If a prior is flat.
    """

    def __init__(
        self,
        moments: EffectMoments,
        start_params: ArrayLike,
        endog_names: Sequence[str] = ("y1", "y2"),
        prior: PriorLike = None,
    ) -> None:
        if moments.n_instruments != 2:
            raise InputError("the quasi-posterior takes the moments of two instruments")
        super().__init__(
            standing_rows(moments),
            param_names=PARAMS,
            start_params=start_params,
            prior=completed_prior(prior, moments),
        )
        if self.prior.flat:
            raise ImproperPosteriorError(
                f"the flat prior of {', '.join(self.prior.flat)} is refused: the criterion stays "
                "bounded as effects grow. Give prior=priors.Normal(...), or leave it out."
            )
        self.prior = replace(
            self.prior,
            region=within_label,
            description=(*self.prior.description, "|b12 b21| < 1"),
        )
        self.arrays = replace(self.arrays, endog_name=", ".join(endog_names))
        self.n_rows = moments.n

    @property
    def nobs(self) -> int:
        """Rows that the moments were averaged over."""
        return self.n_rows

    def momcond(self, params: FloatArray) -> FloatArray:
        """Return the moments (rows, 2) of the rows that stand for the data."""
        rows = self.endog.reshape(-1, 3, 2)
        return np.ascontiguousarray(np.einsum("rai,a->ri", rows, null_vector(params)))

    def jac(self, params: FloatArray) -> FloatArray:
        """Return the derivative (2, 2) of the mean moments."""
        b12, b21 = params
        mean = self.endog.mean(axis=0).reshape(3, 2)
        slopes = np.array([[b21, b12], [0.0, -1.0], [-1.0, 0.0]])
        return np.ascontiguousarray(mean.T @ slopes)

    def fit(self, sampler: str = "auto", **options: Any) -> GMMResults:
        """Draw from the quasi-posterior; arguments of ``QuasiBayesGMM.fit`` with cov_type "HC0"."""
        check_choice(options.get("cov_type", "HC0"), ("HC0",), "cov_type")
        if isinstance(options.get("learning_rate", 1.0), str):
            raise OptionError(
                "learning_rate must be a number: a calibration replicates rows, which are not kept"
            )
        return super().fit(sampler, **options)

    def _build(
        self,
        rule: CovarianceRule,
        quasi_likelihood: str,
        learning_rate: float,
        weight_matrix: ArrayLike | str | None,
    ) -> tuple[NonlinearPosterior, Dependence | None]:
        # The quadratic form is a sum over rows.
        factor = self.n_rows / self.arrays.n
        return super()._build(rule, quasi_likelihood, learning_rate * factor, weight_matrix)


def within_label(params: FloatArray) -> bool:
    """Whether abs(b12 b21) < 1."""
    return bool(abs(params[0] * params[1]) < 1.0)


def standing_rows(moments: EffectMoments) -> FloatArray:
    """Return rows of (w q1, w q2, w q3) whose mean and covariance are those of the moments.

    Parameters
    ----------
    moments : EffectMoments
        Of m instruments.

    Returns
    -------
    ndarray, shape (6 m, 3 m)

    Examples
    --------
    >>> import numpy as np
    >>> r = np.random.default_rng(0).standard_normal((50, 6))
    >>> moments = EffectMoments.from_sums(r.sum(axis=0), r.T @ r, 50)
    >>> rows = standing_rows(moments)
    >>> bool(np.allclose(rows.T @ rows / 12, r.T @ r / 50))
    True
    """
    size = 3 * moments.n_instruments
    mean = moments.mean.T.ravel()
    covariance = moments.covariance.transpose(0, 2, 1, 3).reshape(size, size)
    values, vectors = np.linalg.eigh(covariance)
    steps = (vectors * np.sqrt(np.maximum(values, 0.0) * size)).T
    return np.concatenate([mean + steps, mean - steps])


def default_prior(moments: EffectMoments) -> Mapping[str, Normal]:
    """Return normal priors about zero, 2.5 times the ratio of the residuals' sizes wide."""
    # With either instrument; their mean weighs rows by inverse variances.
    _, B, C = moments.mean.mean(axis=0)
    ratio = float(np.sqrt(B / C))
    return {
        "b12": Normal(0.0, PRIOR_RATIOS * ratio),
        "b21": Normal(0.0, PRIOR_RATIOS / ratio),
    }


def completed_prior(prior: PriorLike, moments: EffectMoments) -> PriorLike:
    """Return a prior in which an effect that it does not name has the default one."""
    if prior is None or isinstance(prior, Mapping):
        return {**default_prior(moments), **(prior or {})}
    return prior


def draw_effects(
    moments: EffectMoments,
    params: FloatArray,
    endog_names: Sequence[str],
    prior: PriorLike,
    fit: Mapping[str, Any],
) -> GMMResults:
    """Fit `EffectsGMM`, from the estimate if there is one."""
    start = params if np.isfinite(params).all() and within_label(params) else np.zeros(2)
    return EffectsGMM(moments, start, endog_names, prior).fit(**fit)
