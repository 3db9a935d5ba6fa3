"""The normal law of a quasi-posterior with its moments linearised and S frozen at a point."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg.blas import dtrsv
from scipy.linalg.lapack import dpotrf, dtrtri

from qbeconometrics.exceptions import NumericalError
from qbeconometrics.moments.nonlinear import DIFFERENCE_STEPS
from qbeconometrics.posterior.function_target import FunctionTarget, Point
from qbeconometrics.posterior.surrogate import NormalSurrogate

FloatArray = NDArray[np.float64]

# Reciprocal condition number, after scaling to a unit diagonal, below which a precision is taken
# as singular.
SINGULAR = 1e-13

# Largest change of a steady derivative from one step to the next, as a share of its length.
LARGEST_CHANGE = 0.5


@dataclass(frozen=True, slots=True)
class LocalNormal:
    """N(mean, precision^-1) in scaled coordinates.

    Attributes
    ----------
    mean : ndarray, shape (k,)
    factor : ndarray, shape (k, k)
        Lower factor of the precision, zero above the diagonal.
    log_determinant : float
        Of `factor`.
    """

    mean: FloatArray
    factor: FloatArray
    log_determinant: float


def linearise(
    target: FunctionTarget,
    point: Point,
    relative_step: float,
    derivative: FloatArray | None = None,
) -> LocalNormal | None:
    """Return the law with g(s) ~ g(t) + G(t)(s - t), S = S(t) and the normal part of the prior.

    Its precision is learning_rate n G'S^-1 G + P0 and its mean t - precision^-1 times the gradient.

    Parameters
    ----------
    target : FunctionTarget
    point : Point
    relative_step : float
        Of the differences that stand in for a derivative that the user did not give.
    derivative : ndarray, shape (m, k), optional
        In scaled coordinates, if it is known.

    Returns
    -------
    LocalNormal or None
        None where the derivative is not finite or the precision is singular.
    """
    if derivative is None:
        derivative = target.scaled_jacobian(point.params, relative_step)
    if derivative is None:
        return None
    # Column by column: LAPACK's solves for several columns wake threads, which costs milliseconds.
    B = np.column_stack([dtrsv(point.root, column, lower=1) for column in derivative.T])
    white = dtrsv(point.root, point.mean, lower=1)
    precision = B.T @ B
    gradient = math.sqrt(target.factor) * (B.T @ white)
    prior = target.normal_prior
    if prior is not None:
        precision = precision + prior[0]
        gradient = gradient + prior[0] @ point.position - prior[1]
    factor, info = dpotrf(precision, lower=1, clean=1)
    diagonal = factor.diagonal()
    if info != 0 or not (diagonal**2 > SINGULAR * precision.diagonal()).all():
        return None
    step = dtrsv(factor, dtrsv(factor, gradient, lower=1), lower=1, trans=1)
    return LocalNormal(point.position - step, factor, float(np.log(diagonal).sum()))


def local_surrogate(target: FunctionTarget, position: FloatArray) -> tuple[NormalSurrogate, float]:
    """Return the law at `position` (k,) and the step of the differences it was found with.

    The step is the shortest at which a longer one finds much the same derivative: where moments
    jump, a short step finds nothing, or a jump as if it were a slope.

    Raises
    ------
    NumericalError
        If S or the precision is singular there.
    """
    with np.errstate(all="ignore"):
        point = target.point(position)
        if point is None:
            raise NumericalError(
                "the covariance of the moments is singular or not finite at "
                f"params={target.basis.to_params(position)}; look for moments that are copies of "
                "others, or give other start_params"
            )
        relative_step, derivative = _steady_derivative(target, point.params)
        local = None
        if derivative is not None:
            local = linearise(target, point, relative_step, derivative)
        if local is not None:
            inverse, _ = dtrtri(local.factor, lower=1)
            covariance = inverse.T @ inverse
            root = np.linalg.cholesky((covariance + covariance.T) / 2)
            precision = local.factor @ local.factor.T
            return NormalSurrogate(local.mean, precision, root), relative_step
    raise NumericalError(
        "the moments do not determine the parameters near "
        f"params={target.basis.to_params(position)}: their derivative has not full column rank. "
        "Give other start_params or a normal prior, or check jac"
    )


def _steady_derivative(
    target: FunctionTarget, params: FloatArray
) -> tuple[float, FloatArray | None]:
    """Return the step of the differences and the scaled derivative (m, k), None where unusable."""
    found: tuple[float, FloatArray | None] = (DIFFERENCE_STEPS[0], None)
    for relative_step in DIFFERENCE_STEPS:
        derivative = target.scaled_jacobian(params, relative_step)
        if target.function.has_jacobian:
            return relative_step, derivative
        if derivative is None:
            continue
        before = found[1]
        if before is not None:
            lengths = np.linalg.norm(before, axis=0), np.linalg.norm(derivative, axis=0)
            change = np.linalg.norm(derivative - before, axis=0)
            if (lengths[0] > 0).all() and (change < LARGEST_CHANGE * np.maximum(*lengths)).all():
                return found
        found = relative_step, derivative
    return found
