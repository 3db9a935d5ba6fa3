"""Metropolis and delayed-acceptance chains for linear moments, written for reading.

Twins of the compiled chains. L(x) is the quasi-likelihood, p(x) the prior, and L_S(y)(x) the
quasi-likelihood at x with the covariance of the moments frozen at S(y), which makes it normal in x.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from qbeconometrics.kernels.reference.cholesky import cholesky_factor, unpack_lower
from qbeconometrics.kernels.reference.linear_moments import (
    Evaluation,
    LinearMomentTarget,
    Position,
    squared_norm,
)

FloatArray = NDArray[np.float64]

# What a chain counts, in the order of the `counters` array.
COUNTERS = ("proposed", "passed_first", "accepted", "nonfinite", "divergent")
PROPOSED, PASSED_FIRST, ACCEPTED, NONFINITE = range(4)

# Robbins-Monro: the gain of draw i is (i + 1)^-0.6.
GAIN_EXPONENT = 0.6

# Log sd of the scale of unscreened steps: one in fifteen or so is ten times as long.
SCATTER = 1.5


def accepts(uniform: float, log_ratio: float) -> bool:
    """Metropolis' rule: accept with probability min(1, ratio); NaN is rejected.

    Examples
    --------
    >>> accepts(0.5, 0.0), accepts(0.5, -1.0), accepts(0.5, float("nan"))
    (True, False, False)
    """
    return log_ratio >= 0.0 or uniform < math.exp(log_ratio)


def first_stage_log_ratio(origin: Evaluation, destination: Position) -> float:
    """Log of L_S(origin)(destination) p(destination) / (L(origin) p(origin)).

    The determinants of S cancel, since both quasi-likelihoods have S at the origin.
    """
    there = origin.quadratic(destination.moment_mean)
    here = origin.quadratic(origin.moment_mean)
    return (here - there) / 2 + destination.log_prior - origin.log_prior


def second_stage_log_ratio(here: Evaluation, there: Evaluation, *, delayed: bool) -> float:
    """Log of the ratio that corrects the first stage, so that the exact target stays invariant."""
    log_ratio = there.log_density - here.log_density
    if delayed:
        forward = min(0.0, first_stage_log_ratio(here, there))
        backward = min(0.0, first_stage_log_ratio(there, here))
        log_ratio += backward - forward
    return log_ratio


def random_walk(
    target: LinearMomentTarget,
    bit_generator: np.random.BitGenerator,
    position: FloatArray,
    tuning: FloatArray,
    proposal_root: FloatArray,
    draws: FloatArray,
    log_density: FloatArray,
    counters: NDArray[np.int64],
    *,
    delayed: bool,
    goal: float = -1.0,
    unscreened: int = 0,
) -> bool:
    """Advance a random-walk Metropolis chain, plain or with delayed acceptance.

    Random numbers a draw: k standard normals, one uniform; a second uniform if `delayed`; a
    standard normal if the step is unscreened.

    Parameters
    ----------
    target : LinearMomentTarget
    bit_generator : numpy.random.BitGenerator
    position : ndarray, shape (k,)
        Start; overwritten with the end.
    tuning : ndarray, shape (2,) or longer
        Log scale of the proposal, the number of adaptation steps, and what is not used; updated if
        `goal` > 0.
    proposal_root : ndarray, shape (k (k + 1)/2,)
        Packed lower factor of the proposal covariance at scale 1.
    draws : ndarray, shape (draws, k)
    log_density : ndarray, shape (draws,)
        Filled with the log quasi-posterior, without the prior's constant.
    counters : ndarray of int64, shape (5,)
        Increased; see `COUNTERS`.
    delayed : bool
        Screen each proposal with S frozen at the current position first (following Tanaka, arXiv
        2504.11761; Christen & Fox 2005).
    goal : float
        Acceptance rate to adapt the scale to; no adaptation if negative.
    unscreened : int
        If positive and `delayed`, every step whose number is a multiple of it is plain Metropolis
        at a scattered scale (ours): screening with S frozen where the chain stands makes a distant
        mode look impossible, so that a screened chain hardly ever changes modes.

    Returns
    -------
    bool
        False if the start has no finite log density; nothing is then done.

    Examples
    --------
    >>> target = LinearMomentTarget(
    ...     np.zeros(1), np.eye(1), np.zeros((1, 1)), np.zeros(1),
    ...     determinant=False, proportional=(np.ones(1), None),
    ... )
    >>> draws, log_density, counters = np.empty((50, 1)), np.empty(50), np.zeros(5, dtype=np.int64)
    >>> random_walk(
    ...     target, np.random.PCG64(0), np.zeros(1), np.zeros(2), np.ones(1),
    ...     draws, log_density, counters, delayed=False,
    ... )
    True
    >>> dict(zip(COUNTERS, counters.tolist()))["proposed"]
    50
    """
    rng = np.random.Generator(bit_generator)
    root = unpack_lower(proposal_root)
    current = target.evaluated(target.position(position.copy()))
    if current is None:
        return False
    for i in range(len(draws)):
        normals = rng.standard_normal(target.n_params)
        first_uniform = rng.random()
        second_uniform = rng.random() if delayed else first_uniform
        counters[PROPOSED] += 1
        screened = delayed and not (unscreened > 0 and counters[PROPOSED] % unscreened == 0)
        scale = math.exp(tuning[0])
        if delayed and not screened:
            scale *= math.exp(SCATTER * rng.standard_normal())
        proposal = target.position(current.x + scale * root @ normals)
        acceptance = 0.0
        if not screened or accepts(first_uniform, first_stage_log_ratio(current, proposal)):
            counters[PASSED_FIRST] += 1
            there = target.evaluated(proposal)
            if there is None:
                counters[NONFINITE] += 1
            else:
                log_ratio = second_stage_log_ratio(current, there, delayed=screened)
                acceptance = math.exp(min(0.0, log_ratio))
                if accepts(second_uniform, log_ratio):
                    counters[ACCEPTED] += 1
                    current = there
        if goal > 0.0 and screened == delayed:
            tuning[1] += 1.0
            tuning[0] += (acceptance - goal) * tuning[1] ** -GAIN_EXPONENT
        draws[i], log_density[i] = current.x, current.log_density
    position[:] = current.x
    return True


@dataclass(frozen=True, slots=True)
class FrozenLaw:
    """The quasi-posterior with S frozen at a point: N(mean, root root').

    Attributes
    ----------
    mean : ndarray, shape (k,)
    root : ndarray, shape (k, k)
    """

    mean: FloatArray
    root: FloatArray

    def centre(self, x: FloatArray, rho: float) -> FloatArray:
        """Return the centre of a proposal that keeps the share `rho` of x (k,)."""
        return self.mean + rho * (x - self.mean)

    def log_density(self, to: FloatArray, start: FloatArray, df: float, rho: float) -> float:
        """Log density, up to a constant, of the proposal `to` (k,) made at `start` (k,)."""
        k = len(to)
        scaled = np.linalg.solve(self.root, to - self.centre(start, rho))
        distance = squared_norm(scaled) / (1 - rho**2)
        log_determinant = float(np.linalg.slogdet(self.root)[1])
        if math.isinf(df):
            return -log_determinant - distance / 2
        return -log_determinant - (df + k) / 2 * math.log1p(distance / df)


def frozen_law(target: LinearMomentTarget, point: Evaluation, *, exact: bool) -> FrozenLaw | None:
    """Fit the normal law with S frozen at `point`, with the normal prior if `exact`.

    precision = J'S^-1 J + P and mean = precision^-1 (J'S^-1 intercept + P b), J the jacobian. None
    if the precision is not positive definite.
    """
    whitened = np.asarray(np.linalg.solve(point.root, target.arrays["jacobian"]), dtype=np.float64)
    precision = whitened.T @ whitened
    shift = whitened.T @ np.linalg.solve(point.root, target.arrays["intercept"])
    if exact:
        precision = precision + target.arrays["prior_precision"]
        shift = shift + target.arrays["prior_precision"] @ target.arrays["prior_mean"]
    factored = cholesky_factor(precision)
    if factored is None:
        return None
    # precision = F F', so its inverse is root root' with root = F'^-1.
    root = np.asarray(np.linalg.inv(factored[0]).T, dtype=np.float64)
    return FrozenLaw(root @ (root.T @ shift), root)


def frozen_square_law(
    point: Evaluation, jacobian_inverse: FloatArray, root_of_moments: FloatArray
) -> FrozenLaw:
    """The same without prior and with m = k: the mean solves g(x) = 0 whatever S is."""
    return FrozenLaw(root_of_moments, jacobian_inverse @ point.root)


def modified_log_ratio(
    here: Evaluation,
    there: Evaluation,
    law_here: FrozenLaw,
    law_there: FrozenLaw,
    *,
    df: float,
    rho: float,
    exact: bool,
) -> float:
    """Log of the second stage's ratio: target times proposal density, there over here.

    In Approx the prior's ratio is the first stage's and cancels.
    """
    log_ratio = there.log_likelihood - here.log_likelihood
    if exact:
        log_ratio += there.log_prior - here.log_prior
    forward = law_here.log_density(there.x, here.x, df, rho)
    backward = law_there.log_density(here.x, there.x, df, rho)
    return log_ratio + backward - forward


def modified_delayed_acceptance(
    target: LinearMomentTarget,
    bit_generator: np.random.BitGenerator,
    position: FloatArray,
    df: float,
    rho: float,
    jacobian_inverse: FloatArray,
    root_of_moments: FloatArray,
    draws: FloatArray,
    log_density: FloatArray,
    counters: NDArray[np.int64],
    *,
    exact: bool,
) -> bool:
    """Advance a chain that proposes from the normal or Student-t surrogate at its position.

    The variants Exact and Approx follow Tanaka (arXiv 2511.17117); the Student-t form and partial
    refreshment are ours. A proposal is mean + rho (x - mean) + sqrt(1 - rho^2) times a draw from
    the normal law with S frozen at x, or from the Student-t law with the same scale, about zero.
    Exact has the normal prior in that law; its first stage always accepts. Approx leaves the prior
    out and screens with the prior's ratio first.

    Random numbers a draw: k standard normals; a chi-square if `df` is finite; a uniform if not
    `exact`; a uniform.

    Parameters
    ----------
    target : LinearMomentTarget
    bit_generator : numpy.random.BitGenerator
    position : ndarray, shape (k,)
        Start; overwritten with the end.
    df : float
        Degrees of freedom; infinity for the normal proposal.
    rho : float
        Share kept of the current position, 0 <= rho < 1.
    jacobian_inverse : ndarray, shape (k, k) or (0, 0)
        Inverse of the target's jacobian when m = k: Approx then needs no k x k factor.
    root_of_moments : ndarray, shape (k,) or (0,)
        With `jacobian_inverse`, the solution of g(x) = 0.
    draws, log_density, counters
        As for `random_walk`.
    exact : bool

    Returns
    -------
    bool
        False if the start has no finite log density or no surrogate; nothing is then done.

    Examples
    --------
    With S fixed the frozen law is the target, so that every proposal is accepted.

    >>> target = LinearMomentTarget(
    ...     np.zeros(1), np.eye(1), np.zeros((1, 1)), np.zeros(1),
    ...     determinant=False, proportional=(np.ones(1), None),
    ... )
    >>> draws, log_density, counters = np.empty((50, 1)), np.empty(50), np.zeros(5, dtype=np.int64)
    >>> modified_delayed_acceptance(
    ...     target, np.random.PCG64(0), np.zeros(1), np.inf, 0.0, np.empty((0, 0)), np.empty(0),
    ...     draws, log_density, counters, exact=True,
    ... )
    True
    >>> counters.tolist()
    [50, 50, 50, 0, 0]
    """

    def law_at(point: Evaluation) -> FrozenLaw | None:
        if len(jacobian_inverse):
            return frozen_square_law(point, jacobian_inverse, root_of_moments)
        return frozen_law(target, point, exact=exact)

    rng = np.random.Generator(bit_generator)
    current = target.evaluated(target.position(position.copy()))
    law = None if current is None else law_at(current)
    if current is None or law is None:
        return False
    for i in range(len(draws)):
        step = law.root @ rng.standard_normal(target.n_params)
        spread = math.sqrt(1 - rho**2)
        if not math.isinf(df):
            spread *= math.sqrt(df / rng.chisquare(df))
        first_uniform = 0.0 if exact else rng.random()
        second_uniform = rng.random()
        proposal = target.position(law.centre(current.x, rho) + spread * step)
        counters[PROPOSED] += 1
        if exact or accepts(first_uniform, proposal.log_prior - current.log_prior):
            counters[PASSED_FIRST] += 1
            there = target.evaluated(proposal)
            law_there = None if there is None else law_at(there)
            if there is None or law_there is None:
                counters[NONFINITE] += 1
            else:
                log_ratio = modified_log_ratio(
                    current, there, law, law_there, df=df, rho=rho, exact=exact
                )
                if accepts(second_uniform, log_ratio):
                    counters[ACCEPTED] += 1
                    current, law = there, law_there
        draws[i], log_density[i] = current.x, current.log_density
    position[:] = current.x
    return True
