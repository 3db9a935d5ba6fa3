"""Quasi-Bayesian local projections."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import patsy
from numpy.typing import ArrayLike

from qbeconometrics.exceptions import check_choice, refuse_unknown_keywords
from qbeconometrics.inputs.lag_order import LagOrder, select_lags
from qbeconometrics.inputs.projection_formula import read_projection_formula
from qbeconometrics.inputs.projection_series import check_projection_series
from qbeconometrics.models.calibrated_rate import settled_rate
from qbeconometrics.models.fit_options import sample_options, whole_number
from qbeconometrics.models.lp_arguments import (
    FIT_KEYWORDS,
    FORMULA_KEYWORDS,
    QUASI_LIKELIHOODS,
    SAMPLERS,
    flag,
    settle_sampler,
    settle_sampler_kwds,
    settle_structure,
)
from qbeconometrics.models.lp_fit import (
    full_posterior,
    sample_continuously_updated,
)
from qbeconometrics.models.lp_model import ProjectionModel
from qbeconometrics.models.lp_record import lp_results
from qbeconometrics.priors import PriorLike
from qbeconometrics.results.lp_results import LPResults
from qbeconometrics.sampling.projection import sample_normal, sample_smoothing

# One minus the level of the tables and bands of the results, unless they are asked for another.
TABLE_ALPHA = 0.10


class QuasiBayesLP(ProjectionModel):
    """Quasi-Bayesian local projections, with an observed shock or an external instrument.

    For each response and horizon h, y_{t+h} = beta_h x_t + gamma_h'w_t + e_{t,h}; the moments
    E[z_t e_{t,h}] = 0 of all horizons, controls partialled out, make one joint quasi-posterior
    (Chernozhukov & Hong 2003, Journal of Econometrics 115; for local projections Jorda 2005,
    American Economic Review 95, and as a quasi-posterior Tanaka, arXiv 2503.20249, of which only
    the abstract was at hand: the construction is ours).

    Parameters
    ----------
    endog : array_like, shape (n,) or (n, responses)
        Outcomes; rows in order of time.
    shock : array_like, shape (n,)
        The variable whose effect is traced.
    controls : array_like, shape (n, k), optional
        At time t; for a recursive scheme the variables that the shock does not move at once.
    instrument : array_like, shape (n, L), optional
        Excluded instruments of the shock (LP-IV).
    horizon : int or range
        Last horizon, or the horizons.
    lags : int or {"aic", "bic"}
        Lags of outcomes, shock, instruments and controls among the controls; a word chooses their
        number by that criterion of a vector autoregression of them.
    lag_augmentation : bool
        Whether one lag more is added, which makes the scores serially uncorrelated (Montiel Olea &
        Plagborg-Moller 2021, Econometrica 89), so that no kernel is needed.
    response : {"level", "long-difference", "cumulative"}
        y_{t+h}; y_{t+h} - y_{t-1}; y_t + ... + y_{t+h}.
    multiplier : bool
        Whether outcome and shock are both cumulated: one-step cumulative multipliers. Needs an
        instrument, and excludes lag augmentation.
    state : array_like, shape (n,), optional
        Between 0 and 1, dated t; its value at t - 1 and one minus it multiply shock, instruments
        and controls.
    trend : {"n", "c", "ct", "ctt"}
    sample : {"common", "horizon"}
        Whether all horizons have the same rows, or each all that it can have.
    partial_out : bool
        Whether only the responses are sampled, or the controls' coefficients too (flat a priori),
        which is for looking at each horizon's full regression.
    prior : Normal, Flat, Smoothness, dict of str to Prior, or None
        None is a weak normal prior on the scale of the data.

    Raises
    ------
    InputError
        If the data cannot be used; the message names the column, row or date.
    OptionError
        If an argument is not allowed.

    Notes
    -----
    Identifying assumption: given the controls, the shock (or the instrument) is unrelated to
    everything else that moves the outcome. Missing values are dropped after lags and leads are
    taken, and never filled. Every control is used for every response: adding a response with
    `lags` changes the controls of the others.

    Examples
    --------
    >>> import numpy as np
    >>> import qbeconometrics as qb
    >>> rng = np.random.default_rng(0)
    >>> shock = rng.normal(size=400)
    >>> y = np.convolve(shock, 0.8 ** np.arange(20))[:400] + rng.normal(size=400)
    >>> res = qb.QuasiBayesLP(y, shock, horizon=8, lags=2).fit(rng=0)
    >>> bool(abs(res.irf.loc[0, "mean"] - 1.0) < 0.2)
    True
    """

    def __init__(
        self,
        endog: ArrayLike,
        shock: ArrayLike,
        controls: ArrayLike | None = None,
        instrument: ArrayLike | None = None,
        horizon: int | range = 20,
        lags: int | str = 0,
        lag_augmentation: bool = True,
        response: str = "level",
        multiplier: bool = False,
        state: ArrayLike | None = None,
        trend: str = "c",
        sample: str = "common",
        partial_out: bool = True,
        prior: PriorLike = None,
        **unknown: Any,
    ):
        known = ("endog", "shock", "controls", "instrument", "lags", *FORMULA_KEYWORDS[:-1])
        refuse_unknown_keywords(unknown, known, "QuasiBayesLP")
        series = check_projection_series(endog, shock, controls, instrument, state)
        self.lag_order: LagOrder | None = None
        if isinstance(lags, str):
            self.lag_order = select_lags(series, lags, trend)
            lags = self.lag_order.order
        lags = whole_number(lags, "lags", minimum=0)
        self._prepare(
            series,
            lags=lags + flag(lag_augmentation, "lag_augmentation"),
            lag_augmentation=lag_augmentation,
            horizon=horizon,
            response=response,
            multiplier=multiplier,
            trend=trend,
            sample=sample,
            partial_out=partial_out,
            prior=prior,
            formula=None,
        )

    @classmethod
    def from_formula(
        cls,
        formula: str,
        data: Any,
        horizon: int | range = 20,
        lag_augmentation: bool = True,
        response: str = "level",
        multiplier: bool = False,
        state: str | None = None,
        trend: str = "c",
        sample: str = "common",
        partial_out: bool = True,
        prior: PriorLike = None,
        eval_env: patsy.EvalEnvironment | int = 0,
        **unknown: Any,
    ) -> QuasiBayesLP:
        """Build a model from a formula and a data frame.

        Parameters
        ----------
        formula : str
            ``"y ~ shock | lag(y, 1, 4) + lag(x, 1, 4)"``, or with an instrument
            ``"y ~ [x ~ z] | lag(y, 1, 4)"``; ``"y1 + y2 ~ ..."`` has several responses. The
            controls are exactly what is written: no lag is added.
        data : DataFrame or dict of columns
            Rows in order of time: dates or whole numbers in the index must have no gaps.
        lag_augmentation : bool
            Whether the lags written are one more than the dynamics need, so that `fit` may use the
            outer product of the scores by default; False makes it HAC.
        state : str, optional
            Name of a column.
        horizon, response, multiplier, trend, sample, partial_out, prior
            As for the class.
        eval_env : patsy.EvalEnvironment or int
            Where functions in the formula are looked up; 0 is the caller.

        Raises
        ------
        FormulaError, InputError, OptionError

        Examples
        --------
        >>> import pandas as pd
        >>> import qbeconometrics as qb
        >>> data = qb.datasets.load("gertler_karadi_2015").set_index("date")
        >>> data.index = pd.PeriodIndex(data.index, freq="M")
        >>> model = qb.QuasiBayesLP.from_formula(
        ...     "logip ~ [gs1 ~ ff4_tc] | lag(logip, 1, 5) + lag(gs1, 1, 5) + lag(ff4_tc, 1, 5)",
        ...     data, horizon=24,
        ... )
        >>> bool(model.first_stage()["effective_f"].iloc[0] > 10)
        True
        """
        refuse_unknown_keywords(unknown, FORMULA_KEYWORDS, "QuasiBayesLP.from_formula")
        if not isinstance(eval_env, patsy.EvalEnvironment):
            eval_env = patsy.EvalEnvironment.capture(int(eval_env) + 1)
        series = read_projection_formula(formula, data, state=state, eval_env=eval_env)
        model = cls.__new__(cls)
        model.lag_order = None
        model._prepare(
            series,
            lags=0,
            lag_augmentation=lag_augmentation,
            horizon=horizon,
            response=response,
            multiplier=multiplier,
            trend=trend,
            sample=sample,
            partial_out=partial_out,
            prior=prior,
            formula=formula,
        )
        return model

    def fit(
        self,
        sampler: str = "auto",
        *,
        draws: int = 5000,
        tune: int = 1000,
        chains: int = 4,
        cores: int | None = None,
        rng: Any = None,
        quasi_likelihood: str | None = None,
        cov_type: str | None = None,
        cov_kwds: Mapping[str, Any] | None = None,
        learning_rate: float | str = 1.0,
        weight_iterations: int = 1,
        structure: str | float | None = None,
        sampler_kwds: Mapping[str, Any] | None = None,
        calibration_kwds: Mapping[str, Any] | None = None,
        progressbar: bool | None = None,
        **unknown: Any,
    ) -> LPResults:
        """Draw whole paths of responses from the quasi-posterior.

        Parameters
        ----------
        sampler : {"auto", "independent", "gibbs", "da", "hmc"}
            "independent" where the quasi-posterior is exactly normal; "gibbs" where smoothing
            parameters are sampled; for "cue" either "da", delayed acceptance within Gibbs, or
            "hmc", Hamiltonian Monte Carlo. "auto" takes the one that applies, and "da".
        draws, tune, chains, cores, rng, progressbar
            As in `QuasiBayesIV.fit`. Bands are read off the tails of draws: 10,000 in all, or
            more.
        quasi_likelihood : {"two-step", "cue"}, optional
            "two-step" (default): S is fixed at the first-step estimate. "cue": S and its
            determinant at every path; refused, with the figure, where the region far from the
            mode holds a noticeable share of that law, and under a prior that is not proper.
        cov_type : {"HC0", "HC1", "HAC"}, optional
            Default: with lag augmentation the outer product of the scores with the factor
            T/(T - k), "HC1"; otherwise "HAC".
        cov_kwds : dict, optional
            For "HAC": "kernel" and "maxlags", one number of lags for all horizons; the default is
            the last horizon. "centered": True subtracts the scores' mean.
        learning_rate : float or "calibrate"
            Factor of the quadratic form. "calibrate" finds it by `calibrate_learning_rate` for the
            covariance of this fit, with blocks of rows, and keeps what it found in
            ``res.calibration``.
        weight_iterations : int
            Each beyond 1 re-evaluates S at the posterior mean.
        structure : {"kronecker", "block-diagonal"} or float, optional
            With ``partial_out=False``: S as the covariance of the errors times the mean product of
            the instruments (default), with blocks of single horizons only, or a share between 0 and
            1 of the former mixed with S without structure.
        sampler_kwds : dict, optional
            Of "hmc": "target_accept" and "length", as in `QuasiBayesIV.fit`.
        calibration_kwds : dict, optional
            Arguments of `calibrate_learning_rate`; here "alpha" is by default 0.10, as in the
            tables and bands of the results.

        Returns
        -------
        LPResults

        Raises
        ------
        OptionError, NumericalError, ImproperPosteriorError, TailMassError

        Warns
        -----
        PriorWarning, WeakInstrumentWarning, ConvergenceWarning, InterruptedWarning,
        CalibrationWarning
        """
        refuse_unknown_keywords(unknown, FIT_KEYWORDS, "fit")
        check_choice(sampler, SAMPLERS, "sampler")
        name = "two-step" if quasi_likelihood is None else quasi_likelihood
        check_choice(name, QUASI_LIKELIHOODS, "quasi_likelihood")
        options = sample_options(
            sampler="hmc" if sampler == "hmc" else "auto",
            draws=draws,
            tune=tune,
            chains=chains,
            cores=cores,
            rng=rng,
            sampler_kwds=settle_sampler_kwds(sampler, sampler_kwds),
            progressbar=progressbar,
        )
        rule = self._rule(cov_type, cov_kwds)
        rounds = whole_number(weight_iterations, "weight_iterations", minimum=1)
        form = settle_structure(
            structure,
            partial_out=self.partial_out,
            quasi_likelihood=name,
            weight_iterations=rounds,
            cov_type=rule.cov_type,
        )
        rate, calibration = settled_rate(
            self,
            learning_rate,
            calibration_kwds,
            rng,
            {
                "quasi_likelihood": name,
                "cov_type": cov_type,
                "cov_kwds": cov_kwds,
                "weight_iterations": rounds,
            },
            alpha=TABLE_ALPHA,
        )
        controls = None
        if self.partial_out:
            posterior = self._posterior(rule, rate, rounds)
        else:
            posterior, controls = full_posterior(
                self.design, self.moments, self.layout, rule, self.prior, form, learning_rate=rate
            )
        settle_sampler(sampler, name, normal=posterior.law is not None)
        if name == "cue":
            drawn = sample_continuously_updated(
                self.moments, self.layout, rule, posterior, options, learning_rate=rate
            )
        elif posterior.law is not None:
            drawn = sample_normal(posterior.law, options)
        else:
            assert posterior.smoothing is not None
            drawn = sample_smoothing(posterior.smoothing, options)
        results = lp_results(
            self,
            posterior,
            drawn,
            options,
            rule=rule,
            quasi_likelihood=name,
            learning_rate=rate,
            controls=controls,
        )
        results.calibration = calibration
        return results
