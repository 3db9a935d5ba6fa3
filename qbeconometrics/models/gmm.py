"""Quasi-Bayesian estimation from moment conditions that the user writes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from typing import Any, ClassVar

import numpy as np
import patsy
from numpy.typing import ArrayLike, NDArray
from statsmodels.base.model import Model

from qbeconometrics.exceptions import OptionError, refuse_unknown_keywords
from qbeconometrics.inputs.moment_arrays import check_moment_arrays
from qbeconometrics.models.calibrated_rate import settled_rate
from qbeconometrics.models.fit_notes import (
    edge_notes,
    refuse_indefinite_covariance,
    tail_notes,
    warn_if_interrupted,
)
from qbeconometrics.models.fit_options import (
    FIT_KEYWORDS,
    check_learning_rate,
    check_quasi_likelihood,
    sample_options,
)
from qbeconometrics.models.gmm_arguments import (
    check_functions,
    check_start_in_prior,
    parameter_names,
    start_vector,
)
from qbeconometrics.models.gmm_record import gmm_record
from qbeconometrics.models.linear_gmm import QuasiBayesLinearGMM
from qbeconometrics.models.user_moments import UserMoments
from qbeconometrics.moments.covariance import parse_covariance
from qbeconometrics.posterior.nonlinear import NonlinearPosterior, default_start
from qbeconometrics.posterior.resolved_prior import resolve_prior_without_scale
from qbeconometrics.priors import PriorLike
from qbeconometrics.results.gmm_results import GMMResults
from qbeconometrics.sampling.run import sample

FloatArray = NDArray[np.float64]

MODEL_KEYWORDS = (
    "momcond",
    "jac",
    "k_params",
    "param_names",
    "start_params",
    "first_step_weight",
    "prior",
    "missing",
)


class QuasiBayesGMM(UserMoments, Model):  # type: ignore[misc]
    """Quasi-Bayesian estimation from moment conditions E[g(theta)] = 0 of any form.

    The quasi-posterior is that of Chernozhukov and Hong (2003, Journal of Econometrics 115,
    293-346), with a continuously updated or a fixed weight.

    Parameters
    ----------
    endog : array_like, shape (n,) or (n, columns)
    exog, instrument : array_like, optional
        The data, handed to `momcond` as read-only float arrays (endog with one dimension where it
        is one column).
    momcond : callable
        ``momcond(params, endog, exog, instrument)`` -> moments (n, m), one row an observation. Or
        override the method ``momcond(self, params)`` in a subclass.
    jac : callable, optional
        ``jac(params, endog, exog, instrument)`` -> derivative (m, k) of the mean of the moments; by
        default the attribute ``jac`` of `momcond`, else central differences. Draws are exact
        whatever its quality.
    k_params : int, optional
        Number of parameters; by default that of `param_names`, `start_params` or columns of `exog`.
    param_names : sequence of str, optional
        By default the columns of `exog` if there are as many, else p1, p2, ...
    start_params : array_like, shape (k,), optional
        Where all moments are finite; by default the centre of the prior, zero where it is flat.
    first_step_weight : "identity" or array_like, shape (m, m), optional
        Weight of the first step of GMM. By default the inverse of Z'Z/n of the instruments, once
        for each residual, if m is a multiple of their number (moments ordered residual by
        residual); else the inverse of the moments' mean squares at `start_params`.
    prior : Prior, dict of str to Prior, or None
        See `qbeconometrics.priors`. There is no default scale: None, and what a dict does not
        name, is flat, which only ``quasi_likelihood="two-step"`` accepts.
    missing : {"none", "drop", "raise"}
        What to do with rows that have NaN: refuse ("none" and "raise") or drop and count.

    Raises
    ------
    InputError, OptionError

    Notes
    -----
    A point where a moment is NaN or infinite is a rejection that is counted in
    ``res.sampler_stats["nonfinite"]``, with a warning above 1 %; so is a point where the function
    raises an ArithmeticError or a LinAlgError. Other exceptions end the fit and name the
    parameters. The moments may jump, but have to be the same whenever the parameters are.

    A model is immutable. A fit calls the function from one thread at a time, and is done with what
    it returned before it calls again, so that it may fill one buffer over and over; several fits at
    the same time need a function that is safe in threads.

    Examples
    --------
    >>> import numpy as np
    >>> import qbeconometrics as qb
    >>> def mean_and_variance(params, endog, exog, instrument):
    ...     mean, variance = params
    ...     return np.column_stack([endog - mean, (endog - mean) ** 2 - variance])
    >>> y = np.random.default_rng(0).normal(1.0, 2.0, size=200)
    >>> model = qb.QuasiBayesGMM(
    ...     y,
    ...     momcond=mean_and_variance,
    ...     param_names=["mean", "variance"],
    ...     prior=qb.priors.Uniform([-10, 0], [10, 50]),
    ... )
    >>> res = model.fit("rwm", rng=0)
    >>> bool(abs(res.params["mean"] - y.mean()) < 0.05)
    True
    """

    results_class: ClassVar[type[GMMResults]] = GMMResults

    def __init__(
        self,
        endog: ArrayLike,
        exog: ArrayLike | None = None,
        instrument: ArrayLike | None = None,
        *,
        momcond: Callable[..., Any] | None = None,
        jac: Callable[..., Any] | None = None,
        k_params: int | None = None,
        param_names: Sequence[str] | None = None,
        start_params: ArrayLike | None = None,
        first_step_weight: ArrayLike | str | None = None,
        prior: PriorLike = None,
        missing: str = "none",
        **unknown: Any,
    ):
        refuse_unknown_keywords(unknown, MODEL_KEYWORDS, type(self).__name__)
        arrays = check_moment_arrays(endog, exog, instrument, missing=missing)
        check_functions(momcond, jac, needed=type(self).momcond is QuasiBayesGMM.momcond)
        super().__init__(arrays.endog, arrays.exog, missing="none", hasconst=False)
        self.arrays, self.instrument = arrays, arrays.instrument
        self.endog, self.exog = arrays.endog, arrays.exog
        self.n_dropped = arrays.n_dropped
        self._momcond = momcond
        self._jac = getattr(momcond, "jac", None) if jac is None else jac
        suggest = getattr(momcond, "start_params", None)
        if start_params is None and callable(suggest):
            start_params = suggest(self.endog, self.exog, self.instrument)
        self._names = parameter_names(k_params, param_names, start_params, arrays)
        self.data.xnames, self.data.ynames = list(self._names), arrays.endog_name
        self.k_constant = 0
        self.prior = resolve_prior_without_scale(prior, self._names)
        self.start_params = start_vector(start_params, self._names, default_start(self.prior))
        self._first_step_weight = first_step_weight
        check_start_in_prior(self.start_params, self._names, self.prior)

    @classmethod
    def from_formula(
        cls,
        formula: str,
        data: Any,
        prior: PriorLike = None,
        missing: str = "drop",
        eval_env: patsy.EvalEnvironment | int = 0,
        **unknown: Any,
    ) -> QuasiBayesLinearGMM:
        """Build a model with linear moments z (y - x'theta) from a formula.

        Parameters
        ----------
        formula : str
            ``"y ~ x1 + x2 | z1 + z2"``: regressors, then all instruments, as in `QuasiBayesIV`.
        data : DataFrame or dict of columns
        prior, missing, eval_env, weights, weight_type, absorb
            As in ``QuasiBayesIV.from_formula``; the default prior is the same.

        Examples
        --------
        >>> import qbeconometrics as qb
        >>> data = qb.datasets.load("hsng1980")
        >>> model = qb.QuasiBayesGMM.from_formula(
        ...     "rent ~ hsngval + pcturban | pcturban + faminc + reg2 + reg3 + reg4", data
        ... )
        >>> model.endogenous_names
        ['hsngval']
        """
        if not isinstance(eval_env, patsy.EvalEnvironment):
            eval_env = patsy.EvalEnvironment.capture(int(eval_env) + 1)
        model = QuasiBayesLinearGMM.from_formula(
            formula, data, prior=prior, missing=missing, eval_env=eval_env, **unknown
        )
        assert isinstance(model, QuasiBayesLinearGMM)
        return model

    @property
    def endog_names(self) -> str:
        """Name of the outcome."""
        return self.arrays.endog_name

    @property
    def exog_names(self) -> list[str]:
        """Names of the parameters."""
        return list(self._names)

    def momcond(self, params: FloatArray) -> FloatArray:
        """Return the moments (n, m) at `params` (k,)."""
        assert self._momcond is not None
        moments: FloatArray = self._momcond(params, self.endog, self.exog, self.instrument)
        return moments

    def jac(self, params: FloatArray) -> FloatArray:
        """Return the derivative (m, k) of the mean of the moments that the user gave."""
        if self._jac is None:
            raise OptionError("no jac was given; the derivative is taken by central differences")
        derivative: FloatArray = self._jac(params, self.endog, self.exog, self.instrument)
        return derivative

    @property
    def _has_jac(self) -> bool:
        return self._jac is not None or type(self).jac is not QuasiBayesGMM.jac

    def quasi_posterior(
        self,
        *,
        quasi_likelihood: str | None = None,
        cov_type: str = "HC0",
        cov_kwds: Mapping[str, Any] | None = None,
        learning_rate: float = 1.0,
        weight_matrix: ArrayLike | str | None = None,
    ) -> NonlinearPosterior:
        """Return the log quasi-posterior that `fit` samples from, with its modes.

        Arguments are those of `fit`.

        Raises
        ------
        MomentFunctionError, IdentificationError
            If the function cannot be used; the message says why.
        OptionError, ImproperPosteriorError, NumericalError
        """
        rule = parse_covariance(cov_type, cov_kwds)
        return self._build(
            rule,
            check_quasi_likelihood(quasi_likelihood, weight_matrix),
            check_learning_rate(learning_rate),
            weight_matrix,
        )[0]

    def fit(
        self,
        sampler: str = "auto",
        *,
        draws: int = 2000,
        tune: int = 1000,
        chains: int = 4,
        cores: int | None = None,
        rng: Any = None,
        quasi_likelihood: str | None = None,
        cov_type: str = "HC0",
        cov_kwds: Mapping[str, Any] | None = None,
        learning_rate: float | str = 1.0,
        weight_matrix: ArrayLike | str | None = None,
        sampler_kwds: Mapping[str, Any] | None = None,
        progressbar: bool | None = None,
        executor: Executor | None = None,
        calibration_kwds: Mapping[str, Any] | None = None,
        **unknown: Any,
    ) -> GMMResults:
        """Draw from the quasi-posterior.

        Parameters
        ----------
        sampler : {"auto", "rwm", "da", "da-exact", "hmc"}
            "rwm" is random-walk Metropolis; "da" screens its proposals with S frozen, which needs
            the mean moment only; "da-exact" proposes from the law with the moments linearised and S
            frozen at the current point, which needs the derivative at each proposal. "auto" is the
            winner of a short race in warm-up. All accept by the exact ratio.
        draws, tune, chains, cores, rng, progressbar, sampler_kwds
            As in ``QuasiBayesIV.fit``.
        quasi_likelihood : {"cue", "cue-nodet", "two-step"}, optional
            As there; "two-step" fixes S at the first-step estimate.
        cov_type : {"HC0", "HC1", "nonrobust", "HAC", "cluster"}
            How S is estimated, as there. "nonrobust" is for moments that are residuals times all
            instruments (or `exog` without instruments), residual by residual.
        cov_kwds : dict, optional
            As there; lags are selected at the first-step estimate, and "groups" are a Series or an
            array, since there is no data frame whose column they could name.
        learning_rate : float or "calibrate"
            "calibrate" finds it by `calibrate_learning_rate` for the options of this fit, and keeps
            what it found in ``res.calibration``.
        weight_matrix : "identity" or array_like, shape (m, m), optional
            Weight for "two-step" instead of the inverse of S.
        executor : concurrent.futures.Executor, optional
            Whose workers run the chains; draws are the same bits.
        calibration_kwds : dict, optional
            Arguments of `calibrate_learning_rate`.

        Returns
        -------
        GMMResults

        Examples
        --------
        >>> import qbeconometrics as qb
        >>> data = qb.datasets.load("ccapm_euler").assign(const=1.0)
        >>> lags = data[["const", "rc_lag", "rb_lag", "rm_lag"]]
        >>> def euler(params, growth, returns, instrument):
        ...     error = params[0] * growth ** -params[1] * returns[:, 0] - 1
        ...     return instrument * error[:, None]
        >>> model = qb.QuasiBayesGMM(
        ...     data["rc"], data[["rm"]], lags, momcond=euler,
        ...     param_names=["beta", "gamma"],
        ...     prior=qb.priors.Uniform([0.5, -5], [1.5, 6]),
        ... )
        >>> options = {"cov_type": "HAC", "cov_kwds": {"maxlags": 6}}  # serially correlated errors
        >>> res = model.fit("rwm", quasi_likelihood="two-step", draws=4000, rng=0, **options)
        >>> res.mode.round(3).to_dict()
        {'beta': 0.996, 'gamma': 0.582}

        Raises
        ------
        MomentFunctionError, IdentificationError, OptionError, InputError,
        ImproperPosteriorError, NumericalError

        Warns
        -----
        ConvergenceWarning, TailWarning, NumericalWarning, InterruptedWarning, CalibrationWarning
        """
        known = (*FIT_KEYWORDS, "executor", "calibration_kwds")
        refuse_unknown_keywords(unknown, known, "fit")
        options = sample_options(
            sampler=sampler,
            draws=draws,
            tune=tune,
            chains=chains,
            cores=cores,
            rng=rng,
            sampler_kwds=sampler_kwds,
            progressbar=progressbar,
            executor=executor,
        )
        rule = parse_covariance(cov_type, cov_kwds)
        name = check_quasi_likelihood(quasi_likelihood, weight_matrix)
        kwds = {
            "quasi_likelihood": name,
            "cov_type": cov_type,
            "cov_kwds": cov_kwds,
            "weight_matrix": weight_matrix,
        }
        rate, calibration = settled_rate(self, learning_rate, calibration_kwds, rng, kwds)
        posterior, dependence = self._build(rule, name, rate, weight_matrix)
        drawn = sample(posterior, options)
        if dependence is not None and len(dependence.weights.clusters) > 1:
            refuse_indefinite_covariance(drawn, rule.cov_type, "not finite or ")
        warn_if_interrupted(drawn, options)
        record = gmm_record(
            self,
            posterior,
            drawn,
            options,
            rule=rule,
            dependence=dependence,
            quasi_likelihood=name,
            learning_rate=rate,
            notes=[*tail_notes(drawn), *edge_notes(self.exog_names, posterior)],
        )
        results = self.results_class(self, record, cov_kwds)
        if calibration is not None:
            results.calibration = calibration
        results.warn_if_unreliable()
        return results
