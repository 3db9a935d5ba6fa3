"""Prior distributions of coefficients.

The default is proper and weak on the scale of the data: slopes Normal(0, (2.5 sd(y)/sd(x_j))^2)
and, for the intercept of the regression on centred regressors, Normal(mean(y), (2.5 sd(y))^2).
This is the scale that rstanarm and Bambi made familiar.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from qbeconometrics.exceptions import InputError, OptionError, suggestion

FloatArray = NDArray[np.float64]

DEFAULT_SCALE = 2.5


def _finite_numbers(value: Any, argument: str, *, positive: bool = False) -> FloatArray:
    try:
        numbers = np.asarray(value, dtype=float)
    except (TypeError, ValueError) as error:
        raise OptionError(f"{argument} must be numeric, not {value!r}") from error
    if not np.all(np.isfinite(numbers)):
        raise OptionError(f"{argument} must be finite; use priors.Flat() for no information")
    if positive and not np.all(numbers > 0):
        raise OptionError(f"{argument} must be positive, not {value!r}")
    return numbers


class Prior:
    """Base of the priors; use one of the subclasses."""

    __slots__ = ()


class Normal(Prior):
    """Normal prior of the printed coefficients.

    Parameters
    ----------
    mean : float or array_like, shape (k,)
        A Series is matched by name.
    sd : float or array_like, shape (k,), optional
        Standard deviations of independent coefficients.
    cov : array_like, shape (k, k), optional
        Covariance matrix; give either `sd` or `cov`.

    Raises
    ------
    OptionError
        If a number is not finite, `sd` is not positive, `cov` is not symmetric positive definite,
        or not exactly one of `sd` and `cov` is given.

    Examples
    --------
    >>> from qbeconometrics.priors import Normal
    >>> Normal(0, 10)
    Normal(mean=0, sd=10)
    """

    __slots__ = ("cov", "mean", "sd")

    def __init__(self, mean: ArrayLike = 0.0, sd: ArrayLike | None = None, *, cov: Any = None):
        if (sd is None) == (cov is None):
            raise OptionError("Normal needs exactly one of sd= and cov=")
        _finite_numbers(mean, "Normal mean")
        if sd is not None:
            _finite_numbers(sd, "Normal sd", positive=True)
        if cov is not None:
            matrix = _finite_numbers(cov, "Normal cov")
            if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1]:
                raise OptionError(f"Normal cov must be a square matrix, not shape {matrix.shape}")
            if not np.allclose(matrix, matrix.T, rtol=1e-8, atol=0):
                raise OptionError("Normal cov is not symmetric")
            if np.linalg.eigvalsh(matrix)[0] <= 0:
                raise OptionError("Normal cov is not positive definite")
        self.mean, self.sd, self.cov = mean, sd, cov

    def __repr__(self) -> str:
        spread = f"sd={_short(self.sd)}" if self.cov is None else "cov=..."
        return f"Normal(mean={_short(self.mean)}, {spread})"


class StudentT(Prior):
    """Independent Student-t priors of the printed coefficients.

    Parameters
    ----------
    df : float or array_like, shape (k,)
        Degrees of freedom, positive.
    loc : float or array_like, shape (k,)
    scale : float or array_like, shape (k,)

    Raises
    ------
    OptionError
        If a number is not finite, or `df` or `scale` is not positive.

    Examples
    --------
    >>> from qbeconometrics.priors import StudentT
    >>> StudentT(df=3, loc=0, scale=2.5)
    StudentT(df=3, loc=0, scale=2.5)
    """

    __slots__ = ("df", "loc", "scale")

    def __init__(self, df: ArrayLike, loc: ArrayLike = 0.0, scale: ArrayLike = 1.0):
        _finite_numbers(df, "StudentT df", positive=True)
        _finite_numbers(loc, "StudentT loc")
        _finite_numbers(scale, "StudentT scale", positive=True)
        self.df, self.loc, self.scale = df, loc, scale

    def __repr__(self) -> str:
        return f"StudentT(df={_short(self.df)}, loc={_short(self.loc)}, scale={_short(self.scale)})"


class Flat(Prior):
    """No prior information; refused where the quasi-posterior would be improper.

    Examples
    --------
    >>> from qbeconometrics.priors import Flat
    >>> Flat()
    Flat()
    """

    __slots__ = ()

    def __repr__(self) -> str:
        return "Flat()"


PriorLike = Prior | Mapping[str, Prior] | None


def _short(value: Any) -> str:
    array = np.asarray(value)
    return f"{value:.6g}" if array.ndim == 0 else f"<{len(array)} values>"


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
    """

    names: tuple[str, ...]
    endog_mean: float
    endog_sd: float
    endog_root_mean_square: float
    exog_means: FloatArray
    exog_sds: FloatArray
    exog_root_mean_squares: FloatArray
    constant: FloatArray | None

    @property
    def intercept(self) -> int | None:
        """Position of the regressor that is the constant itself, if there is one."""
        if self.constant is None:
            return None
        (used,) = np.nonzero(self.constant)
        return int(used[0]) if len(used) == 1 else None


@dataclass(frozen=True, slots=True)
class ResolvedPrior:
    """A prior as numbers: a normal part, and independent Student-t terms.

    Attributes
    ----------
    precision : ndarray, shape (k, k)
        Of the normal part; zeros where there is none.
    mean : ndarray, shape (k,)
        Of the normal part.
    df, loc, scale : ndarray, shape (k,)
        Of the Student-t terms; df is NaN where there is none.
    description : tuple of str
        Lines for the summary.
    is_default : bool
    """

    precision: FloatArray
    mean: FloatArray
    df: FloatArray
    loc: FloatArray
    scale: FloatArray
    description: tuple[str, ...]
    is_default: bool

    @property
    def is_normal(self) -> bool:
        """Whether there is no Student-t term (a flat prior counts as normal)."""
        return bool(np.all(np.isnan(self.df)))

    @property
    def is_flat(self) -> bool:
        """Whether there is no information at all."""
        return self.is_normal and not self.precision.any()

    @property
    def is_proper(self) -> bool:
        """Whether the prior integrates to one."""
        filled = self.precision + np.diag(np.where(np.isnan(self.df), 0.0, 1.0 / self.scale**2))
        scale = np.sqrt(np.diag(filled))
        if not np.all(scale > 0):
            return False
        return bool(np.linalg.eigvalsh(filled / np.outer(scale, scale))[0] > 1e-14)


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
        sds = DEFAULT_SCALE * scale.endog_sd / np.where(scale.exog_sds > 0, scale.exog_sds, 1.0)
        return _CentredPrior(scale.constant * scale.endog_mean, sds**-2, shift)
    value = 1.0 / scale.constant[intercept]  # the constant column may be 2 rather than 1
    exog_sds = scale.exog_sds.copy()
    exog_sds[intercept] = value
    mean = np.zeros(k)
    mean[intercept] = scale.endog_mean / value
    shift[intercept] = scale.exog_means / value
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
    if prior is None or isinstance(prior, Mapping):
        return _resolve_by_name(dict(prior or {}), scale)
    if isinstance(prior, Flat):
        return ResolvedPrior(np.zeros((k, k)), np.zeros(k), none, none, none, ("flat",), False)
    if isinstance(prior, Normal):
        mean = _vector(prior.mean, names, "Normal mean")
        if prior.cov is not None:
            covariance = _aligned_covariance(prior.cov, names)
            inverse = np.linalg.inv(covariance)
            precision = np.asarray((inverse + inverse.T) / 2, dtype=np.float64)
        else:
            precision = np.diag(_vector(prior.sd, names, "Normal sd") ** -2.0)
        return ResolvedPrior(precision, mean, none, none, none, (repr(prior),), False)
    if isinstance(prior, StudentT):
        return ResolvedPrior(
            np.zeros((k, k)),
            np.zeros(k),
            _vector(prior.df, names, "StudentT df"),
            _vector(prior.loc, names, "StudentT loc"),
            _vector(prior.scale, names, "StudentT scale"),
            (repr(prior),),
            False,
        )
    raise OptionError(
        f"prior={prior!r} is not a prior; use one of qbeconometrics.priors (Normal, StudentT, "
        "Flat), a dict from coefficient names to priors, or None for the default"
    )


def _aligned_covariance(cov: Any, names: Sequence[str]) -> FloatArray:
    if isinstance(cov, pd.DataFrame):
        unknown = set(map(str, cov.index)) ^ set(names)
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
    matrix = shift.T @ (precision[:, None] * shift)
    return ResolvedPrior(
        precision=(matrix + matrix.T) / 2,
        mean=np.asarray(np.linalg.solve(shift, mean), dtype=np.float64),
        df=df,
        loc=loc,
        scale=width,
        description=tuple(description),
        is_default=not by_name,
    )


def _default_description(scale: DataScale, *, others: bool) -> str:
    start = "other coefficients: weak default, " if others else "weak default: "
    if scale.constant is None:
        return f"{start}coefficients ~ Normal(0, (2.5 rms(y)/rms(x))^2)"
    slopes = f"{start}slopes ~ Normal(0, (2.5 sd(y)/sd(x))^2)"
    if scale.intercept is None:
        return f"{start}coefficients ~ Normal(mean(y) or 0, (2.5 sd(y)/sd(x))^2)"
    if others:
        return slopes
    sd = DEFAULT_SCALE * scale.endog_sd
    return f"{slopes}, centred intercept ~ Normal({scale.endog_mean:.4g}, {sd:.4g}^2)"
