"""A prior as numbers: what the user gave, or the default, spread over the coefficients."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from qbeconometrics.exceptions import InputError, OptionError, suggestion
from qbeconometrics.inputs.design import LinearDesign
from qbeconometrics.priors import (
    DEFAULT_SCALE,
    Flat,
    Normal,
    Prior,
    PriorLike,
    StudentT,
    Uniform,
)

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class DataScale:
    """What the default prior needs to know of the data.

    Attributes
    ----------
    names : tuple of str
    endog_mean, endog_sd : float
    endog_root_mean_square : float
    exog_means, exog_sds, exog_root_mean_squares : ndarray, shape (k,)
    constant : ndarray, shape (k,), or None
        Coefficients that make the constant 1 from the regressors, or None.
    in_outcome_units : bool
        False where the index is on a scale of its own, such as log odds: then `endog_sd` is one
        and `endog_mean` the index of a constant fit.
    """

    names: tuple[str, ...]
    endog_mean: float
    endog_sd: float
    endog_root_mean_square: float
    exog_means: FloatArray
    exog_sds: FloatArray
    exog_root_mean_squares: FloatArray
    constant: FloatArray | None
    in_outcome_units: bool = True

    @property
    def intercept(self) -> int | None:
        """Position of the regressor that is the constant itself, if there is one."""
        if self.constant is None:
            return None
        (used,) = np.nonzero(self.constant)
        return int(used[0]) if len(used) == 1 else None


def data_scale(design: LinearDesign) -> DataScale:
    """Return what the default prior needs to know of a design."""
    n = design.nobs
    m = design.instrument.shape[1]
    k = design.exog.shape[1]
    lengths = np.linalg.norm(design.triangle[:, m:], axis=0) / np.sqrt(n)
    return DataScale(
        names=design.exog_names,
        endog_mean=design.endog_mean,
        endog_sd=design.endog_sd,
        endog_root_mean_square=float(lengths[k]),
        exog_means=design.column_means,
        exog_sds=design.column_sds,
        exog_root_mean_squares=lengths[:k],
        constant=design.constant,
    )


@dataclass(frozen=True, slots=True)
class ResolvedPrior:
    """A prior as numbers: -1/2 |root theta - target|^2, and independent Student-t terms.

    Attributes
    ----------
    root : ndarray, shape (k, k)
        Rows of zeros where the normal part says nothing.
    target : ndarray, shape (k,)
    df, loc, scale : ndarray, shape (k,)
        Of the Student-t terms; NaN where there is none.
    flat : tuple of str
        Coefficients that have no prior information of their own.
    description : tuple of str
        Lines for the summary.
    lower, upper : ndarray, shape (k,), or None
        The box outside of which the density is zero; None without one.
    region : callable, optional
        Whether the density is positive at params (k,); None is everywhere in the box. For densities
        that are evaluated point by point.
    """

    root: FloatArray
    target: FloatArray
    df: FloatArray
    loc: FloatArray
    scale: FloatArray
    flat: tuple[str, ...]
    description: tuple[str, ...]
    lower: FloatArray | None = None
    upper: FloatArray | None = None
    region: Callable[[FloatArray], bool] | None = None

    @property
    def precision(self) -> FloatArray:
        """Precision matrix (k, k) of the normal part."""
        return self.root.T @ self.root

    @property
    def mean(self) -> FloatArray:
        """Mean (k,) of the normal part; of least length where it is flat."""
        return np.asarray(np.linalg.lstsq(self.root, self.target)[0], dtype=np.float64)

    @property
    def is_normal(self) -> bool:
        """Whether there is no Student-t term, box or region (a flat prior counts as normal)."""
        unbounded = self.lower is None and self.region is None
        return unbounded and bool(np.all(np.isnan(self.df)))

    @property
    def is_proper(self) -> bool:
        """Whether the prior integrates to one."""
        return not self.flat


def no_prior(names: Sequence[str]) -> ResolvedPrior:
    """Return the flat prior of all coefficients."""
    k = len(names)
    none = np.full(k, np.nan)
    return ResolvedPrior(np.zeros((k, k)), np.zeros(k), none, none, none, tuple(names), ("flat",))


def _vector(value: Any, names: Sequence[str], argument: str) -> FloatArray:
    """Spread a scalar, or check a vector or Series, over the coefficients."""
    k = len(names)
    if isinstance(value, pd.Series):
        missing = [name for name in names if name not in value.index]
        extra = [str(name) for name in value.index if name not in names]
        if missing or extra:
            raise InputError(
                f"{argument} must name each coefficient once; missing: {missing}, unknown: {extra}"
            )
        value = value[list(names)]
    array = np.asarray(value, dtype=float)
    if array.ndim == 0:
        return np.full(k, float(array))
    if array.shape != (k,):
        raise InputError(f"{argument} has shape {array.shape}; there are {k} coefficients")
    return array


def scale_prior_sds(prior: ResolvedPrior, factor: float) -> ResolvedPrior:
    """Return the prior with every sd, or scale of a Student-t term, times `factor`."""
    return replace(
        prior, root=prior.root / factor, target=prior.target / factor, scale=prior.scale * factor
    )


@dataclass(slots=True)
class _CentredPrior:
    """The independent priors of slopes and of the intercept of the centred regression."""

    mean: FloatArray
    precision: FloatArray
    shift: FloatArray  # H: the identity, with means of the regressors in the intercept's row


def _default_parts(scale: DataScale) -> _CentredPrior:
    k = len(scale.names)
    shift = np.eye(k)
    if scale.constant is None:
        sds = DEFAULT_SCALE * scale.endog_root_mean_square / scale.exog_root_mean_squares
        return _CentredPrior(np.zeros(k), sds**-2, shift)
    intercept = scale.intercept
    if intercept is None:
        # The constant is spread over dummies: each level is centred on its share of mean(y).
        sds = DEFAULT_SCALE * scale.endog_sd / scale.exog_sds
        return _CentredPrior(scale.constant * scale.endog_mean, sds**-2, shift)
    # The first row of H is the value of the regression at the mean of the regressors.
    mean = np.zeros(k)
    mean[intercept] = scale.endog_mean
    shift[intercept] = scale.exog_means
    exog_sds = scale.exog_sds.copy()
    exog_sds[intercept] = 1.0
    return _CentredPrior(mean, (DEFAULT_SCALE * scale.endog_sd / exog_sds) ** -2, shift)


def resolve_prior(prior: PriorLike, scale: DataScale) -> ResolvedPrior:
    """Turn what the user gave into numbers.

    Parameters
    ----------
    prior : Prior, mapping of name to Prior, or None
        None is the default; a mapping replaces the default for the coefficients that it names.
    scale : DataScale

    Returns
    -------
    ResolvedPrior

    Raises
    ------
    InputError
        If a name is unknown or a vector has the wrong length.
    OptionError
        If `prior` is of another type.
    """
    names = scale.names
    k = len(names)
    none = np.full(k, np.nan)
    given = list(prior.values()) if isinstance(prior, Mapping) else [prior]
    if any(isinstance(one, Uniform) for one in given):
        raise OptionError(
            "priors.Uniform is for user-written moments; in a regression use Normal or StudentT"
        )
    if prior is None or isinstance(prior, Mapping):
        return _resolve_by_name(dict(prior or {}), scale)
    if isinstance(prior, Flat):
        return no_prior(names)
    if isinstance(prior, Normal):
        mean = _vector(prior.mean, names, "Normal mean")
        if prior.cov is not None:
            covariance_root = np.linalg.cholesky(_aligned_covariance(prior.cov, names))
            root = np.asarray(np.linalg.inv(covariance_root), dtype=np.float64)
        else:
            root = np.diag(1.0 / _vector(prior.sd, names, "Normal sd"))
        return ResolvedPrior(root, root @ mean, none, none, none, (), (repr(prior),))
    if isinstance(prior, StudentT):
        return ResolvedPrior(
            np.zeros((k, k)),
            np.zeros(k),
            _vector(prior.df, names, "StudentT df"),
            _vector(prior.loc, names, "StudentT loc"),
            _vector(prior.scale, names, "StudentT scale"),
            (),
            (repr(prior),),
        )
    raise OptionError(
        f"prior={prior!r} is not a prior; use one of qbeconometrics.priors (Normal, StudentT, "
        "Flat), a dict from coefficient names to priors, or None for the default"
    )


def resolve_prior_without_scale(prior: PriorLike, names: Sequence[str]) -> ResolvedPrior:
    """Turn a prior into numbers where the data give no scale: what is not named is flat.

    Parameters
    ----------
    prior : Prior, mapping of name to Prior, or None
        None is flat.
    names : sequence of str
        Of the k parameters.

    Returns
    -------
    ResolvedPrior

    Raises
    ------
    InputError, OptionError
        As `resolve_prior`.
    """
    k = len(names)
    lower, upper = np.full(k, -np.inf), np.full(k, np.inf)
    if prior is None:
        return no_prior(names)
    if isinstance(prior, Uniform):
        lower, upper = (
            _vector(prior.low, names, "Uniform low"),
            _vector(prior.high, names, "Uniform high"),
        )
        return replace(
            no_prior(names), flat=(), description=(repr(prior),), lower=lower, upper=upper
        )
    ones = np.ones(k)
    scale = DataScale(tuple(names), 0.0, 1.0, 1.0, ones, ones, ones, None)
    if not isinstance(prior, Mapping):
        return resolve_prior(prior, scale)
    boxes = {name: one for name, one in prior.items() if isinstance(one, Uniform)}
    by_name = {name: Flat() for name in names} | dict(prior) | dict.fromkeys(boxes, Flat())
    resolved = _resolve_by_name(by_name, scale)
    for name, box in boxes.items():
        j = list(names).index(name)
        lower[j], upper[j] = _scalar(box.low, name), _scalar(box.high, name)
    description = tuple(f"{name} ~ {prior.get(name, Flat())!r}" for name in names)
    flat = tuple(name for name in resolved.flat if name not in boxes)
    if not boxes:
        return replace(resolved, description=description)
    return replace(resolved, flat=flat, description=description, lower=lower, upper=upper)


def _aligned_covariance(cov: Any, names: Sequence[str]) -> FloatArray:
    if isinstance(cov, pd.DataFrame):
        unknown = (set(map(str, cov.index)) ^ set(names)) | (
            set(map(str, cov.columns)) ^ set(names)
        )
        if unknown:
            raise InputError(
                f"Normal cov must be labelled by the coefficients; see {sorted(unknown)}"
            )
        cov = cov.loc[list(names), list(names)]
    matrix = np.asarray(cov, dtype=float)
    if matrix.shape != (len(names), len(names)):
        raise InputError(
            f"Normal cov has shape {matrix.shape}; there are {len(names)} coefficients"
        )
    return matrix


def _scalar(value: Any, name: str) -> float:
    array = np.asarray(value, dtype=float)
    if array.ndim != 0:
        raise InputError(f"the prior of {name!r} must have scalar parameters")
    return float(array)


def _resolve_by_name(by_name: dict[str, Prior], scale: DataScale) -> ResolvedPrior:
    names = scale.names
    k = len(names)
    parts = _default_parts(scale)
    mean, precision, shift = parts.mean, parts.precision, parts.shift
    df, loc, width = np.full(k, np.nan), np.full(k, np.nan), np.full(k, np.nan)
    intercept = scale.intercept
    description = [f"{name} ~ {prior!r}" for name, prior in by_name.items()]
    for name, prior in by_name.items():
        if name not in names:
            raise InputError(
                f"the prior names {name!r}, which is not a coefficient.{suggestion(name, names)} "
                f"Coefficients: {', '.join(names)}."
            )
        j = names.index(name)
        if j == intercept:
            shift[j] = np.eye(k)[j]  # a prior given for the intercept is of the printed one
        if isinstance(prior, Normal):
            if prior.cov is not None:
                raise InputError(f"the prior of {name!r} must be given by sd, not cov")
            mean[j] = _scalar(prior.mean, name)
            precision[j] = _scalar(prior.sd, name) ** -2.0
        elif isinstance(prior, StudentT):
            precision[j], mean[j] = 0.0, 0.0
            df[j], loc[j] = _scalar(prior.df, name), _scalar(prior.loc, name)
            width[j] = _scalar(prior.scale, name)
        elif isinstance(prior, Flat):
            precision[j], mean[j] = 0.0, 0.0
        else:
            raise OptionError(
                f"the prior of {name!r} is {prior!r}, not one of qbeconometrics.priors"
            )
    if len(by_name) < k:
        description.append(_default_description(scale, others=bool(by_name)))
    weight = np.sqrt(precision)
    return ResolvedPrior(
        root=weight[:, None] * shift,
        target=weight * mean,
        df=df,
        loc=loc,
        scale=width,
        flat=tuple(name for name, prior in by_name.items() if isinstance(prior, Flat)),
        description=tuple(description),
    )


def _default_description(scale: DataScale, *, others: bool) -> str:
    start = "other coefficients: weak default, " if others else "weak default: "
    if not scale.in_outcome_units:
        return start + _description_without_units(scale, others=others)
    if scale.constant is None:
        return f"{start}coefficients ~ Normal(0, (2.5 rms(y)/rms(x))^2)"
    slopes = f"{start}slopes ~ Normal(0, (2.5 sd(y)/sd(x))^2)"
    if scale.intercept is None:
        return f"{start}coefficients ~ Normal(mean(y) or 0, (2.5 sd(y)/sd(x))^2)"
    if others:
        return slopes
    sd = DEFAULT_SCALE * scale.endog_sd
    return f"{slopes}, centred intercept ~ Normal({scale.endog_mean:.4g}, {sd:.4g}^2)"


def _description_without_units(scale: DataScale, *, others: bool) -> str:
    if scale.constant is None:
        return "coefficients ~ Normal(0, (2.5/rms(x))^2)"
    if scale.intercept is None:
        return f"coefficients ~ Normal({scale.endog_mean:.4g} or 0, (2.5/sd(x))^2)"
    slopes = "slopes ~ Normal(0, (2.5/sd(x))^2)"
    if others:
        return slopes
    return f"{slopes}, centred intercept ~ Normal({scale.endog_mean:.4g}, {DEFAULT_SCALE:g}^2)"
