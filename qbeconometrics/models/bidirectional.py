"""Two variables that move each other, from a stream or from rows in memory."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import patsy
from numpy.typing import ArrayLike

from qbeconometrics.exceptions import (
    DataNeededError,
    InputError,
    OptionError,
    check_choice,
    refuse_unknown_keywords,
)
from qbeconometrics.inputs.outcome_pair import PairRows, learn_pair
from qbeconometrics.models.bidirectional_posterior import draw_effects
from qbeconometrics.models.bidirectional_record import check_cov_type, memory_record
from qbeconometrics.models.bidirectional_stream import BidirectionalStream
from qbeconometrics.online.in_memory import fit_in_memory
from qbeconometrics.online.optimisers import make_optimiser
from qbeconometrics.online.stream_state import StreamOptions
from qbeconometrics.priors import PriorLike
from qbeconometrics.results.bidirectional_record import BidirectionalRecord
from qbeconometrics.results.bidirectional_results import OnlineBidirectionalResults
from qbeconometrics.results.gmm_results import GMMResults

PARAMETERS = (
    "features",
    "n_features",
    "degree",
    "bandwidth",
    "optimiser",
    "learning_rate",
    "update",
    "rng",
)
MISSING_CHOICES = ("drop", "raise", "none")
FIT_KEYWORDS = ("y1", "y2", "x", "method", "folds", "splits", "cov_type", "baselines")


class OnlineBidirectional(BidirectionalStream):
    """Effects of two variables on each other, identified by heteroskedasticity.

    y1 = b12 y2 + f1(x) + e1 and y2 = b21 y1 + f2(x) + e2, where e1 and e2 are uncorrelated given x
    and their variances move with x in different ways. Means and log variances are linear in random
    Fourier features, or polynomials, of x. Following Tanaka (arXiv 2511.05050): quasi-maximum
    likelihood by adaptive online gradient descent; the closed form of the effects, standard errors,
    tests of identification and the robust set are our additions.

    Parameters
    ----------
    features : {"fourier", "orthogonal", "polynomial", "linear"}
        Random Fourier features, the same with orthogonal frequencies, or products of columns.
    n_features : int
        Number of random features. If they are too few to fit the means, above all in one pass, what
        is left of the means passes for variances that move with x: effects that are not identified
        then look as if they were.
    degree : int
        Of the polynomial.
    bandwidth : float, optional
        Of the Gaussian kernel for standardised x; by default half the median distance of rows. A
        bandwidth that is too large hides curvature without a sign of it.
    optimiser : {"adagrad", "rmsprop", "adam", "amsgrad", "sgd"}
        Steps of `partial_fit`; `fit` solves instead.
    learning_rate : float, optional
        By default one that suits the optimiser.
    update : {"closed-form", "score", "gradient"}
        How `partial_fit` moves the effects: to the solution of running moments, along the efficient
        score, or along the gradient of the likelihood. The last two may stop at a wrong point where
        b12 b21 is near or below -1.
    rng : int, SeedSequence, BitGenerator, Generator or None
        For the features, and for the folds of `fit`.

    Attributes
    ----------
    n_features_in_ : int
        Columns of x.
    feature_names_in_ : ndarray of str
    n_rows_ : int
        Rows that `partial_fit` has taken.

    Raises
    ------
    OptionError

    Notes
    -----
    A stream is never looked back at: the first 1,000 rows fix units and bandwidth, rows are learned
    in batches of 100, and an estimate averages over the last half to three quarters of the rows,
    each measured with heads that had not seen it. Any split of the rows into calls gives the same
    bits. `fit` reads rows in memory several times and cross-fits, which gives more precise
    estimates and standard errors that hold in smaller samples.

    Constructor arguments are kept as they are and can be read and set by `get_params` and
    `set_params`, as in scikit-learn.

    Examples
    --------
    >>> import qbeconometrics as qb
    >>> data = qb.simulate.bidirectional(20_000)
    >>> model = qb.OnlineBidirectional.from_formula("y1 + y2 ~ x1 + x2", data, rng=0)
    >>> res = model.fit()
    >>> res.params.round(2).to_dict()
    {'b12': 0.5, 'b21': -0.4}

    A stream of arrays:

    >>> est = qb.OnlineBidirectional(n_features=50, rng=0)
    >>> for start in range(0, len(data), 500):
    ...     rows = data[start : start + 500]
    ...     est = est.partial_fit(rows["y1"], rows["y2"], rows[["x1", "x2"]])
    >>> bool(abs(est.result().b12 - 0.5) < 0.05)
    True
    """

    def __init__(
        self,
        features: str = "fourier",
        n_features: int = 100,
        degree: int = 3,
        bandwidth: float | None = None,
        optimiser: str = "adagrad",
        learning_rate: float | None = None,
        update: str = "closed-form",
        rng: Any = None,
        **unknown: Any,
    ) -> None:
        refuse_unknown_keywords(unknown, PARAMETERS, "OnlineBidirectional")
        self.features = features
        self.n_features = n_features
        self.degree = degree
        self.bandwidth = bandwidth
        self.optimiser = optimiser
        self.learning_rate = learning_rate
        self.update = update
        self.rng = rng
        self._options()
        self._formula = None
        self._data: Any = None
        self._begin("none", None)

    @classmethod
    def from_formula(
        cls,
        formula: str,
        data: Any = None,
        *,
        missing: str = "drop",
        eval_env: patsy.EvalEnvironment | int = 0,
        **parameters: Any,
    ) -> OnlineBidirectional:
        """Build an estimator of data frames.

        Parameters
        ----------
        formula : str
            ``"y1 + y2 ~ x1 + x2"``: two outcomes, and the regressors of both.
        data : DataFrame or dict of columns, optional
            For `fit`. Without it, `partial_fit` takes data frames; the first fixes the columns of
            the formula, such as the levels of categories.
        missing : {"drop", "raise", "none"}
            What to do with rows that have missing values; the last two refuse them.
        eval_env : patsy.EvalEnvironment or int
            Where functions in the formula are looked up; 0 is the caller.
        **parameters
            As for the class.

        Raises
        ------
        FormulaError, OptionError, InputError
        """
        check_choice(missing, MISSING_CHOICES, "missing")
        if not isinstance(formula, str):
            raise InputError(f"formula must be text such as 'y1 + y2 ~ x1 + x2', not {formula!r}")
        if not isinstance(eval_env, patsy.EvalEnvironment):
            eval_env = patsy.EvalEnvironment.capture(int(eval_env) + 1)
        model = cls(**parameters)
        model._formula = formula
        model._begin(missing, eval_env)
        if data is not None:
            model._data = data
            model._columns = learn_pair(formula, data, eval_env, missing)
            model._show_names(model._columns.names)
        return model

    # -- parameters, as in scikit-learn -------------------------------------------------------

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Return the constructor's arguments; `deep` changes nothing here."""
        return {name: getattr(self, name) for name in PARAMETERS}

    def set_params(self, **params: Any) -> OnlineBidirectional:
        """Change the constructor's arguments, before rows came.

        Raises
        ------
        OptionError
            If a stream has begun, or an argument is not known or out of range.
        """
        unknown = [name for name in params if name not in PARAMETERS]
        refuse_unknown_keywords(unknown, PARAMETERS, "set_params")
        if self._state is not None:
            raise OptionError("a stream has begun; make a new estimator with other arguments")
        before = self.get_params()
        for name, value in params.items():
            setattr(self, name, value)
        try:
            self._options()
        except OptionError:
            for name, value in before.items():
                setattr(self, name, value)
            raise
        return self

    def __repr__(self) -> str:
        given = ", ".join(f"{name}={value!r}" for name, value in self.get_params().items())
        return f"OnlineBidirectional({given})"

    def _options(self) -> StreamOptions:
        return StreamOptions(
            self.features,
            self.n_features,
            self.degree,
            self.bandwidth,
            make_optimiser(self.optimiser, self.learning_rate),
            self.update,
        )

    # -- rows in memory -----------------------------------------------------------------------

    def fit(
        self,
        y1: ArrayLike | None = None,
        y2: ArrayLike | None = None,
        x: ArrayLike | None = None,
        *,
        method: str = "cross-fitted",
        folds: int = 2,
        splits: int = 1,
        cov_type: str = "HC0",
        baselines: bool = True,
        **unknown: Any,
    ) -> OnlineBidirectionalResults:
        """Estimate from rows in memory, which are read several times.

        Parameters
        ----------
        y1, y2 : array_like, shape (n,)
            Left out if `from_formula` was given data.
        x : array_like, shape (n, k)
        method : {"cross-fitted", "two-pass"}
            "cross-fitted": each row with means and variances that were fitted to the other folds
            (Chernozhukov et al. 2018, Econometrics Journal 21, C1-C68); "two-pass": with those
            fitted to all rows.
        folds : int
            Parts of the same size, at random.
        splits : int
            How often the rows are split into folds again. The estimate is the median and its
            covariance has their spread in it; for some thousands of rows, where one split differs
            from another.
        cov_type : {"HC0", "nonrobust"}
            Sandwich, or the inverse information.
        baselines : bool
            Whether single equations, Lewbel's and Rigobon's estimators are computed too, for
            ``res.baselines`` and the summary.

        Returns
        -------
        OnlineBidirectionalResults

        Raises
        ------
        InputError
            If there are too few rows for the features, values are missing, infinite or do not vary.
        OptionError, DataNeededError

        Warns
        -----
        WeakIdentificationWarning

        Notes
        -----
        Means are fitted by least squares, and log variances by Fisher scoring; optimiser, its rate
        and `update` are those of `partial_fit`.
        """
        refuse_unknown_keywords(unknown, FIT_KEYWORDS, "fit")
        began = time.perf_counter()
        check_cov_type(cov_type, None)
        if cov_type == "nonrobust" and splits != 1:
            raise OptionError("the spread between splits is part of cov_type='HC0' only")
        if not isinstance(baselines, (bool, np.bool_)):
            raise OptionError(f"baselines={baselines!r} must be True or False")
        rows = self._rows_in_memory(y1, y2, x)
        options = self._options()
        found = fit_in_memory(
            rows.values,
            options,
            method=method,
            folds=folds,
            splits=splits,
            rng=self.rng,
            names=rows.names.all,
        )
        if self._state is None:
            self._show_names(rows.names)
        record = memory_record(
            found,
            rows.values,
            options,
            names=rows.names,
            formula=self._formula,
            method=method,
            cov_type=cov_type,
            n_dropped=rows.n_dropped,
            baselines=baselines,
            seconds=time.perf_counter() - began,
        )
        results = OnlineBidirectionalResults(self, record)
        results.warn_if_unreliable()
        return results

    def _rows_in_memory(self, y1: Any, y2: Any, x: Any) -> PairRows:
        if y1 is None and y2 is None and x is None:
            if self._data is None:
                raise DataNeededError("fit needs data: give y1, y2 and x, or data to from_formula")
            return self._read(self._data)
        return self._read(y1, y2, x)

    def _exog(self, exog: Any) -> Any:
        """Regressors of new rows, through the formula if there is one; called by results."""
        if self._columns is not None and isinstance(exog, (pd.DataFrame, Mapping)):
            return self._columns.exog(exog)
        return exog

    def _quasi_posterior(
        self, record: BidirectionalRecord, prior: PriorLike, fit: Mapping[str, Any]
    ) -> GMMResults:
        """Draws from the moments of a record; called by results."""
        return draw_effects(record.moments, record.estimate.params, record.endog_names, prior, fit)
