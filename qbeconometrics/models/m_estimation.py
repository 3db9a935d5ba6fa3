"""Quasi-Bayesian M-estimation: posteriors from a loss of a linear index."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import patsy
from numpy.typing import ArrayLike, NDArray

from qbeconometrics.exceptions import (
    FormulaError,
    refuse_unknown_keywords,
)
from qbeconometrics.inputs.design import check_linear_design
from qbeconometrics.inputs.formula import build_blocks
from qbeconometrics.inputs.formula_checks import as_frame
from qbeconometrics.losses import Loss
from qbeconometrics.models.calibrated_rate import settled_rate
from qbeconometrics.models.fit_notes import warn_if_interrupted
from qbeconometrics.models.fit_options import (
    FIT_KEYWORDS,
    check_quasi_likelihood,
    sample_options,
)
from qbeconometrics.models.loss_posteriors import LossPosteriors
from qbeconometrics.models.m_arguments import (
    prior_scale,
    refuse_moment_options,
    score_rule,
)
from qbeconometrics.models.m_record import m_record, relabelled_record
from qbeconometrics.moments.covariance import CovarianceRule, parse_covariance
from qbeconometrics.posterior.gibbs import GibbsPosterior
from qbeconometrics.posterior.nonlinear import NonlinearPosterior
from qbeconometrics.priors import PriorLike
from qbeconometrics.results.fit_record import FitRecord
from qbeconometrics.results.m_results import MResults, fitted_values
from qbeconometrics.sampling.options import SampleOptions
from qbeconometrics.sampling.run import sample

FloatArray = NDArray[np.float64]

MODEL_KEYWORDS = ("endog", "exog", "loss", "posterior", "prior", "missing")


class QuasiBayesM(LossPosteriors):
    """Quasi-Bayesian M-estimation: a posterior of what minimises a mean loss l(y, x'theta).

    Parameters
    ----------
    endog : array_like, shape (n,)
        Outcome.
    exog : array_like, shape (n, k)
        Regressors, the constant among them.
    loss : Loss
        One of `qbeconometrics.losses`, such as ``losses.Quantile(0.5)`` or ``losses.Poisson()``.
    posterior : {"q", "gibbs"}
        "q" is the Q-posterior, following Frazier, Drovandi and Kohn (arXiv 2311.15485): the
        quasi-posterior with the gradients of the loss as moments. Its spread does not depend on the
        scale of the loss. "gibbs" is the Gibbs posterior, log density -learning_rate times the sum
        of the losses plus the log prior, following Chernozhukov and Hong (2003, Journal of
        Econometrics 115, 293-346) and Bissiri, Holmes and Walker (2016, Journal of the Royal
        Statistical Society B 78, 1103-1130). Its spread is what the learning rate makes it, and the
        learning rate refers to the scale that each loss states.
    prior : Prior, dict of str to Prior, or None
        See `qbeconometrics.priors`. None is weak: slopes Normal(0, (2.5 sd(y)/sd(x))^2) and a
        centred intercept on the scale of the outcome; for logistic, Poisson and hinge losses slopes
        Normal(0, (2.5/sd(x))^2) and a centred intercept about the index of a constant fit. A flat
        prior is accepted for Gibbs posteriors of convex losses, unless the outcome is separated.
    missing : {"none", "drop", "raise"}
        What to do with rows that have NaN: refuse ("none" and "raise") or drop and count.

    Raises
    ------
    InputError
        If the data cannot be used; the message names the column or row.
    OptionError

    Notes
    -----
    The parameter is the minimiser of the expected loss, whether or not a model of the outcome is
    right. With the squared loss both posteriors have linear moments and use the compiled samplers.

    Quantile, absolute and hinge losses have a kink, and their score is a subgradient with a jump:
    the log density of the Q-posterior is then a step function. The draws of every sampler are
    exact for it, but it has no gradient; its mode is the best point found, not a unique one; and
    the slope that shapes proposals and ``mode_bse`` is estimated from the rows within a window
    about the kink. At the kink itself, where the subgradient is a matter of convention, a
    continuous outcome puts no mass.

    A model is immutable: fits of one model may run at the same time in threads.

    Examples
    --------
    Median regression of log wages:

    >>> import qbeconometrics as qb
    >>> data = qb.datasets.load("mroz1987").query("inlf == 1")
    >>> model = qb.QuasiBayesM.from_formula(
    ...     "lwage ~ educ + exper", data, loss=qb.losses.Quantile(0.5)
    ... )
    >>> res = model.fit("da", draws=4000, rng=0)
    >>> round(float(res.params["educ"]), 2)
    0.12
    """

    results_class = MResults

    def __init__(
        self,
        endog: ArrayLike,
        exog: ArrayLike,
        loss: Loss | None = None,
        posterior: str = "q",
        prior: PriorLike = None,
        missing: str = "none",
        **unknown: Any,
    ):
        refuse_unknown_keywords(unknown, MODEL_KEYWORDS, "QuasiBayesM")
        design = check_linear_design(endog, exog, missing=missing)
        self._set_loss(loss, posterior, design)
        self._prepare(
            design,
            prior,
            kept=design.kept,
            n_dropped=design.n_dropped,
            scale=prior_scale(self.loss, design),
        )

    @classmethod
    def from_formula(
        cls,
        formula: str,
        data: Any,
        loss: Loss | None = None,
        posterior: str = "q",
        prior: PriorLike = None,
        missing: str = "drop",
        eval_env: patsy.EvalEnvironment | int = 0,
        **unknown: Any,
    ) -> QuasiBayesM:
        """Build a model from a formula and a data frame.

        Parameters
        ----------
        formula : str
            ``"y ~ x1 + x2"``, read by patsy; there are no instruments.
        data : DataFrame or dict of columns
        loss, posterior, prior
            As of the class.
        missing : {"drop", "raise", "none"}
        eval_env : patsy.EvalEnvironment or int
            Where functions in the formula are looked up; 0 is the caller.

        Returns
        -------
        QuasiBayesM

        Raises
        ------
        FormulaError, InputError, OptionError

        Examples
        --------
        >>> import qbeconometrics as qb
        >>> data = qb.datasets.load("mroz1987")
        >>> model = qb.QuasiBayesM.from_formula(
        ...     "inlf ~ educ + kidslt6", data, loss=qb.losses.Logistic(), posterior="gibbs"
        ... )
        >>> model.exog_names
        ['Intercept', 'educ', 'kidslt6']
        """
        known = ("loss", "posterior", "prior", "missing", "eval_env")
        refuse_unknown_keywords(unknown, known, "QuasiBayesM.from_formula")
        if not isinstance(eval_env, patsy.EvalEnvironment):
            eval_env = patsy.EvalEnvironment.capture(int(eval_env) + 1)
        blocks = build_blocks(formula, data, missing=missing, eval_env=eval_env)
        if blocks.instrument is not blocks.exog:
            raise FormulaError(
                f"{formula!r} names instruments, which QuasiBayesM does not take: write 'y ~ x', "
                "or use QuasiBayesIV for a linear model, QuasiBayesGMM for moments that you write."
            )
        design = check_linear_design(blocks.endog, blocks.exog)
        model = cls.__new__(cls)
        model._set_loss(loss, posterior, design)
        model._prepare(
            design,
            prior,
            recipe=blocks.recipe,
            kept=blocks.kept,
            n_dropped=blocks.n_dropped,
            frame=as_frame(data).copy(deep=False),
            scale=prior_scale(model.loss, design),
        )
        return model

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
        calibration_kwds: Mapping[str, Any] | None = None,
        progressbar: bool | None = None,
        **unknown: Any,
    ) -> MResults:
        """Draw from the posterior.

        Parameters
        ----------
        sampler : {"auto", "rwm", "da", "da-exact", "da-approx", "hmc", "independent"}
            As in ``QuasiBayesIV.fit``. "da-approx" and "independent" are for the squared loss only;
            the Gibbs posterior of another loss takes "rwm" and "hmc".
        draws, tune, chains, cores, rng, sampler_kwds, progressbar
            As in ``QuasiBayesIV.fit``.
        quasi_likelihood : {"cue", "cue-nodet", "two-step"}, optional
            For the Q-posterior, with the mean score as g(theta): as in ``QuasiBayesIV.fit``;
            "two-step" fixes S at the minimiser of the mean loss.
        cov_type : {"HC0", "HC1", "nonrobust", "HAC", "cluster"}
            How S is estimated for the Q-posterior; "HC0" and "HC1" for losses that are not squared.
        cov_kwds : dict, optional
            As in ``QuasiBayesIV.fit``.
        learning_rate : float or "calibrate"
            Of a Gibbs posterior it multiplies the sum of the losses, on the scale that the loss
            states; of a Q-posterior the quadratic form. "calibrate" finds that of a Gibbs posterior
            by `calibrate_learning_rate`, and keeps what it found in ``res.calibration``.
        weight_matrix : "identity" or array_like, shape (k, k), optional
            For the Q-posterior with "two-step", instead of the inverse of S.
        calibration_kwds : dict, optional
            Arguments of `calibrate_learning_rate`.

        Returns
        -------
        MResults

        Raises
        ------
        OptionError, ImproperPosteriorError, NumericalError
        IdentificationError
            If the outcome is separated, for a Q-posterior.

        Warns
        -----
        ConvergenceWarning, TailWarning, NumericalWarning, InterruptedWarning
        """
        refuse_unknown_keywords(unknown, (*FIT_KEYWORDS, "calibration_kwds"), "fit")
        options = sample_options(
            sampler=sampler,
            draws=draws,
            tune=tune,
            chains=chains,
            cores=cores,
            rng=rng,
            sampler_kwds=sampler_kwds,
            progressbar=progressbar,
        )
        rate, calibration = settled_rate(self, learning_rate, calibration_kwds, rng)
        if self.posterior == "gibbs":
            refuse_moment_options(quasi_likelihood, cov_type, cov_kwds, weight_matrix)
            record = self._draw_gibbs(options, rate)
        elif self._is_linear:
            record = self._draw(
                options,
                parse_covariance(cov_type, cov_kwds),
                check_quasi_likelihood(quasi_likelihood, weight_matrix),
                rate,
                weight_matrix,
            )
            record = relabelled_record(self, record)
        else:
            name = check_quasi_likelihood(quasi_likelihood, weight_matrix)
            posterior = self._q_posterior(name, cov_type, cov_kwds, rate, weight_matrix)
            record = self._draw_from(posterior, options, score_rule(cov_type, cov_kwds), name, rate)
        results = self.results_class(self, record)
        results.calibration = calibration
        results.warn_if_unreliable()
        return results

    def _draw_gibbs(self, options: SampleOptions, rate: float) -> FitRecord:
        if not self._is_linear:
            return self._draw_from(self._gibbs_posterior(rate), options, None, "gibbs", rate)
        rule = parse_covariance("nonrobust", None)
        record = self._draw(options, rule, "two-step", rate, self._squared_loss_weight())
        return relabelled_record(self, record)

    def _draw_from(
        self,
        posterior: NonlinearPosterior | GibbsPosterior,
        options: SampleOptions,
        rule: CovarianceRule | None,
        quasi_likelihood: str,
        rate: float,
    ) -> FitRecord:
        drawn = sample(posterior, options)
        warn_if_interrupted(drawn, options)
        return m_record(
            self,
            posterior,
            drawn,
            options,
            rule=rule,
            quasi_likelihood=quasi_likelihood,
            learning_rate=rate,
            moments_exist=self._moments_exist(quasi_likelihood),
        )

    def predict(
        self, params: ArrayLike, exog: ArrayLike | None = None, which: str | None = None
    ) -> FloatArray:
        """Return fitted values at `params` (k,).

        Parameters
        ----------
        params : array_like, shape (k,)
        exog : array_like, shape (n_new, k), optional
            By default the model's own.
        which : {"mean", "linear"}, optional
            As in ``MResults.predict``.

        Raises
        ------
        InputError, OptionError
        """
        index = super().predict(params, exog)
        return fitted_values(self.loss, index, which)
