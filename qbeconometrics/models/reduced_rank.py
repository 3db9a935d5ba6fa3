"""Quasi-Bayesian reduced-rank regression."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import patsy
from numpy.typing import ArrayLike, NDArray
from statsmodels.base.model import Model

from qbeconometrics.exceptions import (
    InputError,
    OptionError,
    check_choice,
    refuse_unknown_keywords,
)
from qbeconometrics.inputs.formula import RegressorRecipe, exog_for_prediction
from qbeconometrics.inputs.formula_checks import as_frame
from qbeconometrics.inputs.system_design import SystemDesign, check_system_design
from qbeconometrics.inputs.system_formula import build_system
from qbeconometrics.models.fit_options import check_learning_rate, whole_number
from qbeconometrics.models.reduced_rank_comparison import RankComparison
from qbeconometrics.models.reduced_rank_fit import (
    draw_reduced_rank,
    reduced_rank_law,
    space_options,
    weighted_system,
)
from qbeconometrics.models.reduced_rank_record import reduced_rank_results
from qbeconometrics.moments.covariance import parse_covariance
from qbeconometrics.moments.system import scale_system
from qbeconometrics.priors import DEFAULT_SCALE
from qbeconometrics.results.reduced_rank_results import ReducedRankResults

FloatArray = NDArray[np.float64]

MODEL_KEYWORDS = ("endog", "exog", "rank", "controls", "prior_scale", "missing")
FORMULA_KEYWORDS = ("formula", "data", "rank", "prior_scale", "missing", "eval_env")
FIT_KEYWORDS = (
    "draws",
    "tune",
    "chains",
    "rng",
    "cores",
    "quasi_likelihood",
    "cov_type",
    "cov_kwds",
    "learning_rate",
    "parameterization",
    "sampler_kwds",
    "progressbar",
)


class QuasiBayesReducedRank(RankComparison, Model):  # type: ignore[misc]
    """Quasi-Bayesian reduced-rank regression: y = A B'x + D w + e, through E[e (x, w)'] = 0.

    Parameters
    ----------
    endog : array_like, shape (n, m)
        Outcomes y.
    exog : array_like, shape (n, q)
        Regressors x, two at least. A constant among them becomes a control; without one there is
        no intercept.
    rank : int
        Columns r of A (m, r) and B (q, r), from 1 to min(m, q).
    controls : array_like, shape (n, k), optional
        Regressors w whose coefficients D are free.
    prior_scale : float
        Prior standard deviation of each element of C = A B', in units sd(y_i)/sd(x_j), the
        standard deviations being what the controls leave over.
    missing : {"none", "drop", "raise"}
        What to do with rows that have NaN: refuse ("none" and "raise") or drop and count.

    Raises
    ------
    InputError
        If the data cannot be used; the message names the column or row.
    OptionError

    Notes
    -----
    Each regressor is divided by the standard deviation that the controls leave of it, because a
    uniform distribution of spaces is not unit-free. B is orthonormal in these units, with the
    uniform prior; the rows of A are independent normal given B, with the variance
    prior_scale^2 q / r, in units of sd(y), of each element; D has a flat prior. C, D and the
    predictions are reported in the units of the data.

    The moments are weighted by the inverse of S at the unrestricted least-squares estimate, which
    makes A and D given B exactly normal. They are integrated out: chains move B alone, on the
    Stiefel manifold, in coordinates centred near the unrestricted estimate (ours). The
    quasi-posterior is that of Chernozhukov and Hong (2003, Journal of Econometrics 115, 293-346);
    the model is that of Anderson (1951, Annals of Mathematical Statistics 22, 327-351) and Izenman
    (1975, Journal of Multivariate Analysis 5, 248-264).

    Where C has a smaller rank than `rank`, the data say nothing about part of the space.

    A model is immutable: fits of one model may run at the same time in threads.

    Examples
    --------
    Which combination of last month's inflation, growth, interest rate and credit spread moves all
    of them?

    >>> import qbeconometrics as qb
    >>> levels = qb.datasets.load("gertler_karadi_2015")[["logcpi", "logip", "gs1", "ebp"]]
    >>> now = levels.diff()
    >>> data = now.join(now.shift(1).add_suffix("_1"))
    >>> model = qb.QuasiBayesReducedRank.from_formula(
    ...     "logcpi + logip + gs1 + ebp ~ logcpi_1 + logip_1 + gs1_1 + ebp_1", data, rank=1
    ... )
    >>> res = model.fit(draws=1000, rng=0)
    >>> res.coefficients.shape
    (4, 4)
    >>> res.directions["factor 1"].idxmax()
    'logcpi_1'
    """

    results_class = ReducedRankResults

    def __init__(
        self,
        endog: ArrayLike,
        exog: ArrayLike,
        rank: int,
        controls: ArrayLike | None = None,
        prior_scale: float = DEFAULT_SCALE,
        missing: str = "none",
        **unknown: Any,
    ):
        refuse_unknown_keywords(unknown, MODEL_KEYWORDS, "QuasiBayesReducedRank")
        design = check_system_design(endog, exog, controls, missing=missing)
        self._prepare(design, rank, prior_scale)

    @classmethod
    def from_formula(
        cls,
        formula: str,
        data: Any,
        rank: int,
        prior_scale: float = DEFAULT_SCALE,
        missing: str = "drop",
        eval_env: patsy.EvalEnvironment | int = 0,
        **unknown: Any,
    ) -> QuasiBayesReducedRank:
        """Build a model from a formula and a data frame.

        Parameters
        ----------
        formula : str
            ``"y1 + y2 ~ x1 + x2"``, or ``"y1 + y2 ~ x1 + x2 | w"`` with controls right of the bar.
            An intercept is implied, as a control.
        data : DataFrame or dict of columns
        rank : int
        prior_scale : float
            As of the class.
        missing : {"drop", "raise", "none"}
        eval_env : patsy.EvalEnvironment or int
            Where functions in the formula are looked up; 0 is the caller.

        Returns
        -------
        QuasiBayesReducedRank

        Raises
        ------
        FormulaError, InputError, OptionError

        Examples
        --------
        >>> import qbeconometrics as qb
        >>> data = qb.datasets.load("consump_annual")
        >>> model = qb.QuasiBayesReducedRank.from_formula("gc + gy ~ gc_1 + gy_1 | r3_1", data, 1)
        >>> model.exog_names
        ['Intercept', 'r3_1', 'gc_1', 'gy_1']
        """
        refuse_unknown_keywords(unknown, FORMULA_KEYWORDS, "QuasiBayesReducedRank.from_formula")
        if not isinstance(eval_env, patsy.EvalEnvironment):
            eval_env = patsy.EvalEnvironment.capture(int(eval_env) + 1)
        blocks = build_system(formula, data, missing=missing, eval_env=eval_env)
        design = replace(
            check_system_design(blocks.endog, blocks.exog, blocks.controls),
            kept=blocks.kept if blocks.n_dropped else None,
            n_dropped=blocks.n_dropped,
        )
        model = cls.__new__(cls)
        model._prepare(design, rank, prior_scale, blocks.recipe, as_frame(data).copy(deep=False))
        return model

    def _prepare(
        self,
        design: SystemDesign,
        rank: int,
        prior_scale: float,
        recipe: RegressorRecipe | None = None,
        frame: pd.DataFrame | None = None,
    ) -> None:
        m, q = len(design.endog_names), len(design.exog_names)
        if q < 2:
            raise InputError(
                f"exog has one regressor ({design.exog_names[0]!r}) besides constants, so its "
                "coefficients have rank one in any case. Give two or more."
            )
        self.rank = whole_number(rank, "rank", minimum=1)
        if self.rank > min(m, q):
            raise OptionError(
                f"rank={rank} must be at most {min(m, q)}, the smaller of {m} outcomes and {q} "
                "regressors"
            )
        if isinstance(prior_scale, bool) or not isinstance(
            prior_scale, (int, float, np.integer, np.floating)
        ):
            raise OptionError(f"prior_scale={prior_scale!r} must be a positive number")
        self.prior_scale = float(prior_scale)
        if not (np.isfinite(self.prior_scale) and self.prior_scale > 0.0):
            raise OptionError(f"prior_scale={prior_scale!r} must be a positive number")
        super().__init__(design.endog, design.exog, missing="none", hasconst=False)
        self.design = design
        # statsmodels' tools, such as summary_col, read the names here.
        self.data.xnames, self.data.ynames = self.exog_names, list(design.endog_names)
        self.data.param_names = self.param_names
        self.k_constant = int(design.has_constant)
        self.n_dropped = design.n_dropped
        self._recipe, self._frame = recipe, frame
        self._system = scale_system(design.endog, design.exog, design.controls)
        if recipe is not None:
            self.formula = recipe.formula

    @property
    def endog_names(self) -> str:
        """Names of the outcomes, joined by " + "."""
        return " + ".join(self.design.endog_names)

    @property
    def exog_names(self) -> list[str]:
        """Names of the controls and, after them, of the regressors."""
        return [*self.design.control_names, *self.design.exog_names]

    @property
    def param_names(self) -> list[str]:
        """Names of the coefficients, such as "y1:x1", outcome by outcome."""
        return [
            f"{outcome}:{name}" for outcome in self.design.endog_names for name in self.exog_names
        ]

    def fit(
        self,
        *,
        draws: int = 2000,
        tune: int = 1000,
        chains: int = 4,
        rng: Any = None,
        cores: int | None = None,
        quasi_likelihood: str = "two-step",
        cov_type: str = "HC0",
        cov_kwds: Mapping[str, Any] | None = None,
        learning_rate: float = 1.0,
        parameterization: str = "polar",
        sampler_kwds: Mapping[str, Any] | None = None,
        progressbar: bool | None = None,
        **unknown: Any,
    ) -> ReducedRankResults:
        """Draw from the quasi-posterior by the no-U-turn sampler.

        Parameters
        ----------
        draws, tune, chains : int
            Draws a chain after warm-up, draws of warm-up, chains.
        rng : None, int, SeedSequence, BitGenerator or Generator
        cores : int, optional
            Threads, which change no draw.
        quasi_likelihood : {"two-step"}
            The weight is fixed; with one that moves with the parameters A could not be integrated
            out.
        cov_type : {"HC0", "HC1", "nonrobust", "HAC", "cluster"}
            How S, the covariance of the moments, is estimated.
        cov_kwds : dict, optional
            As in ``QuasiBayesIV.fit``.
        learning_rate : float
            Factor on the log quasi-likelihood.
        parameterization : {"polar", "householder", "givens", "cayley"}
            Coordinates of B; see `qbeconometrics.stiefel`.
        sampler_kwds : dict, optional
            "target_accept" (0.8), "max_depth" (10) and "metric" ("diag" or "dense").
        progressbar : bool or None
            None shows one on a terminal, for runs of more than a second.

        Returns
        -------
        ReducedRankResults

        Raises
        ------
        OptionError, InputError, NumericalError

        Warns
        -----
        ConvergenceWarning, NumericalWarning, InterruptedWarning
        """
        refuse_unknown_keywords(unknown, FIT_KEYWORDS, "fit")
        name = _two_step(quasi_likelihood)
        options = space_options(
            draws=draws,
            tune=tune,
            chains=chains,
            cores=cores,
            parameterization=parameterization,
            sampler_kwds=sampler_kwds,
            progressbar=progressbar,
        )
        rule = parse_covariance(cov_type, cov_kwds)
        rate = check_learning_rate(learning_rate)
        weighted = weighted_system(self.design, self._system, rule, rate, self._frame)
        law = reduced_rank_law(weighted.fit, self.rank, self.prior_scale)
        drawn = draw_reduced_rank(law, weighted.controls, options, rng)
        results = reduced_rank_results(
            self,
            weighted,
            drawn,
            rule=rule,
            quasi_likelihood=name,
            learning_rate=rate,
            options=options,
        )
        results.warn_if_unreliable()
        return results

    def predict(self, params: ArrayLike, exog: ArrayLike | None = None) -> FloatArray:
        """Return fitted outcomes (n, m) at `params`.

        Parameters
        ----------
        params : array_like, shape (m (k + q),)
            In the order of ``res.params``.
        exog : array_like, shape (n, k + q), optional
            Controls and regressors, in the order of `exog_names`; by default the model's own.

        Raises
        ------
        InputError
        """
        design = self.design
        own = np.hstack([design.controls, design.exog])
        matrix = own if exog is None else np.asarray(exog, dtype=float)
        coefficients = np.asarray(params, dtype=float)
        m, columns = len(design.endog_names), own.shape[1]
        if matrix.ndim != 2 or matrix.shape[1] != columns or coefficients.shape != (m * columns,):
            raise InputError(
                f"predict needs {m * columns} params and an exog with {columns} columns, not "
                f"shapes {coefficients.shape} and {matrix.shape}"
            )
        return np.asarray(matrix @ coefficients.reshape(m, columns).T)

    def _prediction_matrix(self, data: Any) -> pd.DataFrame:
        """Controls and regressors from new data, through the formula."""
        assert self._recipe is not None
        return exog_for_prediction(self._recipe, data)[self.exog_names]


def _two_step(quasi_likelihood: Any) -> str:
    if quasi_likelihood in ("cue", "cue-nodet"):
        raise OptionError(
            f"quasi_likelihood={quasi_likelihood!r} is not available for reduced-rank regression: "
            "its weight moves with the coefficients, so that A cannot be integrated out. Use "
            "'two-step'."
        )
    return check_choice(quasi_likelihood, ["two-step"], "quasi_likelihood")
