"""Prior distributions of coefficients.

The default is proper and weak on the scale of the data: slopes Normal(0, (2.5 sd(y)/sd(x_j))^2)
and, for the intercept of the regression on centred regressors, Normal(mean(y), (2.5 sd(y))^2).
This is the scale that rstanarm and Bambi made familiar.

A model takes one prior for all coefficients, or a dict by name; those that it does not name keep
the default: ``prior={"educ": Normal(0.1, 0.05), "exper": StudentT(3, 0, 1)}``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from qbeconometrics.exceptions import OptionError

FloatArray = NDArray[np.float64]

DEFAULT_SCALE = 2.5


def _finite_numbers(value: Any, argument: str, *, positive: bool = False) -> FloatArray:
    numbers = np.asarray(value)
    if numbers.dtype.kind not in "iuf":
        raise OptionError(f"{argument} must be numeric, not {value!r}")
    numbers = numbers.astype(np.float64)
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


class Uniform(Prior):
    """Independent uniform priors on intervals; only for user-written moments.

    Parameters
    ----------
    low, high : float or array_like, shape (k,)
        Ends of the intervals. A Series is matched by name.

    Raises
    ------
    OptionError
        If an end is not finite, or `low` is not below `high`.

    Examples
    --------
    >>> from qbeconometrics.priors import Uniform
    >>> Uniform(0.9, 1.1)
    Uniform(low=0.9, high=1.1)
    """

    __slots__ = ("high", "low")

    def __init__(self, low: ArrayLike, high: ArrayLike):
        ends = _finite_numbers(low, "Uniform low"), _finite_numbers(high, "Uniform high")
        try:
            ordered = np.all(np.less(*ends))
        except ValueError as error:
            raise OptionError("Uniform low and high must have the same length") from error
        if not ordered:
            raise OptionError(f"Uniform low={low!r} must be below high={high!r}")
        self.low, self.high = low, high

    def __repr__(self) -> str:
        return f"Uniform(low={_short(self.low)}, high={_short(self.high)})"


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


class Smoothness(Prior):
    """Roughness prior of impulse responses, for local projections.

    Each path of responses beta_h gets the density, up to a constant,
    (lambda/s2)^(r/2) exp(-lambda/(2 s2) beta'K beta), where beta'K beta is a sum of r squared
    differences and s2 the mean variance of the path without prior, at learning rate one, so that
    lambda has no unit.

    Parameters
    ----------
    order : {1, 2, "decay"}
        Differences that are penalised: first (towards a constant), second (towards a straight
        line), or first with zero after the last horizon (towards a decay to zero).
    smoothing : float, optional
        Fixed lambda. None samples one lambda a path.
    gamma : tuple of float
        Shape and rate of the Gamma hyperprior of lambda.
    half_cauchy : float, optional
        Scale of a half-Cauchy hyperprior of lambda^(-1/2), in place of `gamma`.
    level : Normal, Flat or None
        Prior of each path's first coefficient and, for order 2, of its first difference, on which
        the roughness says nothing. None is the weak default of local projections.

    Raises
    ------
    OptionError
        If a value is not allowed.

    Notes
    -----
    The prior helps where neighbouring horizons are alike and costs coverage where they are not, so
    it has to be asked for. Long horizons about which the data say little follow the prior: a
    straight line with order 2, the last level with order 1, zero with "decay". Roughness priors of
    impulse responses are familiar from Barnichon and Brownlees (2019, Review of Economics and
    Statistics 101); the forms and hyperpriors here are ours.

    Examples
    --------
    >>> from qbeconometrics.priors import Smoothness
    >>> Smoothness(order=1, smoothing=10)
    Smoothness(order=1, smoothing=10)
    """

    __slots__ = ("gamma", "half_cauchy", "level", "order", "smoothing")

    def __init__(
        self,
        order: int | str = 2,
        smoothing: float | None = None,
        *,
        gamma: tuple[float, float] | None = None,
        half_cauchy: float | None = None,
        level: Normal | Flat | None = None,
    ):
        if isinstance(order, bool) or order not in (1, 2, "decay"):
            raise OptionError(f"Smoothness order={order!r} is not known; use 1, 2 or 'decay'")
        if sum(value is not None for value in (smoothing, gamma, half_cauchy)) > 1:
            raise OptionError("Smoothness takes one of smoothing=, gamma= and half_cauchy=")
        for value, argument in ((smoothing, "smoothing"), (half_cauchy, "half_cauchy")):
            if value is not None and np.ndim(value) != 0:
                raise OptionError(f"Smoothness {argument} must be one number, not {value!r}")
            if value is not None:
                _finite_numbers(value, f"Smoothness {argument}", positive=True)
        if gamma is not None:
            if np.shape(gamma) != (2,):
                raise OptionError(f"Smoothness gamma={gamma!r} must be (shape, rate)")
            _finite_numbers(gamma, "Smoothness gamma", positive=True)
        if level is not None and not isinstance(level, (Normal, Flat)):
            raise OptionError(f"Smoothness level={level!r} must be priors.Normal, Flat or None")
        self.order, self.smoothing, self.half_cauchy = order, smoothing, half_cauchy
        self.gamma = (1.0, 0.01) if gamma is None else (float(gamma[0]), float(gamma[1]))
        self.level = level

    def __repr__(self) -> str:
        if self.smoothing is not None:
            return f"Smoothness(order={self.order!r}, smoothing={_short(self.smoothing)})"
        if self.half_cauchy is not None:
            return f"Smoothness(order={self.order!r}, half_cauchy={_short(self.half_cauchy)})"
        return f"Smoothness(order={self.order!r}, gamma={self.gamma})"


PriorLike = Prior | Mapping[str, Prior] | None


def _short(value: Any) -> str:
    array = np.asarray(value)
    return f"{value:.6g}" if array.ndim == 0 else f"<{len(array)} values>"
