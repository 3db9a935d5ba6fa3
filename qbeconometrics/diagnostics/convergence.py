"""Rank-based convergence diagnostics: effective sample sizes, split R-hat, Monte Carlo errors.

Every function takes draws of shape ``(chain, draw)``, and returns a float, or of shape
``(chain, draw, parameter)``, and returns an array of shape ``(parameter,)``. A parameter with a
NaN draw, or fewer than four draws a chain, gives NaN. The definitions are those of Vehtari,
Gelman, Simpson, Carpenter and Bürkner (2021, Bayesian Analysis 16(2), 667-718) and of ArviZ 0.23,
with one exception: whether draws are constant is judged relative to their size, so that the
answer does not depend on the unit of measurement.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.fft import irfft, next_fast_len, rfft
from scipy.special import betaincinv, ndtri

from qbeconometrics.exceptions import InputError, OptionError

FloatArray = NDArray[np.float64]

MINIMUM_DRAWS = 4
TAIL_PROBABILITIES = (0.05, 0.95)
# The range of a constant may differ from zero by rounding.
CONSTANT_TOLERANCE = 1e-15
# Normal probabilities of one standard deviation either side, to the digits ArviZ uses.
ONE_SD_PROBABILITIES = np.array([0.1586553, 0.8413447])
# Parameters handled at once: bounds the memory of the Fourier transforms.
BLOCK_SIZE = 16


def bulk_ess(draws: ArrayLike) -> float | FloatArray:
    """Effective sample size of the rank-normalised draws, for the centre of the distribution.

    Parameters
    ----------
    draws : array_like
        Shape (chain, draw) or (chain, draw, parameter).

    Returns
    -------
    float or ndarray
        Shape (parameter,) for three-dimensional draws.

    Examples
    --------
    >>> draws = np.random.default_rng(0).standard_normal((4, 1000))
    >>> 3000 < bulk_ess(draws) < 5000
    True
    """
    return _by_parameter(draws, lambda block: _ess(_normal_scores(_split(block))))


def tail_ess(draws: ArrayLike) -> float | FloatArray:
    """Smaller of the effective sample sizes of the 5 % and the 95 % quantile.

    Parameters and return value as in `bulk_ess`.
    """

    def smaller(block: FloatArray) -> FloatArray:
        low, high = (_quantile_ess(block, probability) for probability in TAIL_PROBABILITIES)
        return np.minimum(low, high)

    return _by_parameter(draws, smaller)


def mean_ess(draws: ArrayLike) -> float | FloatArray:
    """Effective sample size for the mean. Parameters and return value as in `bulk_ess`."""
    return _by_parameter(draws, _mean_ess)


def sd_ess(draws: ArrayLike) -> float | FloatArray:
    """Effective sample size for the sd. Parameters and return value as in `bulk_ess`."""
    return _by_parameter(draws, lambda block: _mean_ess(_squared_deviations(block)))


def quantile_ess(draws: ArrayLike, probability: float) -> float | FloatArray:
    """Effective sample size for one quantile.

    Parameters
    ----------
    draws : array_like
        Shape (chain, draw) or (chain, draw, parameter).
    probability : float
        Which quantile, strictly between 0 and 1.

    Raises
    ------
    OptionError
        If `probability` is not between 0 and 1.
    """
    check_probability(probability, "probability")
    return _by_parameter(draws, lambda block: _quantile_ess(block, probability))


def rhat(draws: ArrayLike) -> float | FloatArray:
    """Rank-normalised split R-hat: the larger of the bulk and the folded version.

    NaN for a constant parameter and for a single chain.

    Parameters
    ----------
    draws : array_like
        Shape (chain, draw) or (chain, draw, parameter).

    Returns
    -------
    float or ndarray
        Shape (parameter,) for three-dimensional draws.

    Examples
    --------
    >>> draws = np.random.default_rng(0).standard_normal((4, 1000))
    >>> bool(rhat(draws) < 1.01)
    True
    >>> bool(rhat(draws + np.arange(4)[:, None]) > 1.5)
    True
    """

    def larger(block: FloatArray) -> FloatArray:
        halves = _split(block)
        centre = np.median(halves.reshape(len(halves), -1), axis=1)[:, None, None]
        folded = np.abs(halves - centre)
        return np.fmax(_rhat(_normal_scores(halves)), _rhat(_normal_scores(folded)))

    return _by_parameter(draws, larger, minimum_chains=2)


def mean_mcse(draws: ArrayLike) -> float | FloatArray:
    """Monte Carlo standard error of the mean. Parameters and return value as in `bulk_ess`.

    Examples
    --------
    >>> draws = np.random.default_rng(0).standard_normal((4, 2500))
    >>> round(mean_mcse(draws), 2)
    0.01
    """

    def error(block: FloatArray) -> FloatArray:
        sd = np.std(block.reshape(len(block), -1), axis=1, ddof=1)
        return np.asarray(sd / np.sqrt(_mean_ess(block)))

    return _by_parameter(draws, error)


def sd_mcse(draws: ArrayLike) -> float | FloatArray:
    """Monte Carlo standard error of the sd. Parameters and return value as in `bulk_ess`."""

    def error(block: FloatArray) -> FloatArray:
        squares = _squared_deviations(block)
        variance = squares.mean(axis=(1, 2))
        error_of_variance = ((squares**2).mean(axis=(1, 2)) - variance**2) / _mean_ess(squares)
        return np.asarray(np.sqrt(error_of_variance / variance / 4))

    return _by_parameter(draws, error)


def quantile_mcse(draws: ArrayLike, probability: float) -> float | FloatArray:
    """Monte Carlo standard error of one quantile. Parameters as in `quantile_ess`."""
    check_probability(probability, "probability")

    def error(block: FloatArray) -> FloatArray:
        ess = _quantile_ess(block, probability)[:, None]
        bounds = betaincinv(
            ess * probability + 1, ess * (1 - probability) + 1, ONE_SD_PROBABILITIES
        )
        ordered = np.sort(block.reshape(len(block), -1), axis=1)
        size = ordered.shape[1]
        place = bounds * size - 1
        low = np.floor(np.fmax(place[:, 0], 0)).astype(np.intp)
        high = np.ceil(np.fmin(place[:, 1], size - 1)).astype(np.intp)
        row = np.arange(len(block))
        return np.asarray((ordered[row, high] - ordered[row, low]) / 2)

    return _by_parameter(draws, error)


def is_constant(draws: ArrayLike) -> bool | NDArray[np.bool_]:
    """Tell which parameters never move, up to rounding; shapes as in `bulk_ess`."""
    array, _ = three_dimensional(draws)
    constant = _constant(np.moveaxis(array, 2, 0))
    return bool(constant[0]) if np.ndim(draws) == 2 else constant


def three_dimensional(draws: ArrayLike) -> tuple[FloatArray, bool]:
    """Return the draws as (chain, draw, parameter), and whether they had two dimensions."""
    array = np.asarray(draws, dtype=np.float64)
    if array.ndim not in (2, 3):
        raise InputError(
            "draws must have the shape (chain, draw) or (chain, draw, parameter), "
            f"but have {array.ndim} dimension{'s' * (array.ndim != 1)}."
        )
    return (array[:, :, None], True) if array.ndim == 2 else (array, False)


def check_probability(value: float, argument: str) -> float:
    """Return `value` if it lies strictly between 0 and 1, else raise `OptionError`."""
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = np.nan
    if not 0.0 < number < 1.0:
        raise OptionError(f"{argument}={value!r} must be a number strictly between 0 and 1.")
    return number


def _by_parameter(
    draws: ArrayLike, statistic: Callable[[FloatArray], FloatArray], *, minimum_chains: int = 1
) -> float | FloatArray:
    """Apply `statistic`, (block, chain, draw) -> (block,), to blocks of parameters without NaN."""
    array, single = three_dimensional(draws)
    n_chains, n_draws, n_parameters = array.shape
    result = np.full(n_parameters, np.nan)
    if n_chains >= minimum_chains and n_draws >= MINIMUM_DRAWS:
        usable = np.flatnonzero(~np.isnan(array).any(axis=(0, 1)))
        for start in range(0, len(usable), BLOCK_SIZE):
            chosen = usable[start : start + BLOCK_SIZE]
            block = np.ascontiguousarray(np.moveaxis(array[:, :, chosen], 2, 0))
            # Infinite draws and constants give NaN on purpose, so no warning is due.
            with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
                result[chosen] = statistic(block)
    return float(result[0]) if single else result


def _split(block: FloatArray) -> FloatArray:
    """Cut each chain in two; the middle draw of an odd number is left out."""
    half = block.shape[2] // 2
    return np.concatenate([block[:, :, :half], block[:, :, -half:]], axis=1)


def _normal_scores(block: FloatArray) -> FloatArray:
    """Replace draws by the normal quantiles of their pooled (average) ranks."""
    values = block.reshape(len(block), -1)
    size = values.shape[1]
    order = np.argsort(values, axis=1)
    ordered = np.take_along_axis(values, order, axis=1)
    position = np.arange(size)
    changes = ordered[:, 1:] != ordered[:, :-1]
    if changes.all():
        first_plus_last = np.broadcast_to(2 * position, values.shape)
    else:
        # The average rank of a tie is half the sum of its first and last place.
        edge = np.ones((len(values), 1), dtype=bool)
        opens = np.where(np.hstack([edge, changes]), position, 0)
        closes = np.where(np.hstack([changes, edge]), position, size - 1)
        last = np.minimum.accumulate(closes[:, ::-1], axis=1)[:, ::-1]
        first_plus_last = np.maximum.accumulate(opens, axis=1) + last
    # Ranks are multiples of one half, so the normal quantiles are looked up (Blom's offset 3/8).
    table = ndtri((np.arange(2 * size - 1) / 2 + 1 - 3 / 8) / (size - 2 * 3 / 8 + 1))
    scores = np.empty_like(values)
    np.put_along_axis(scores, order, table[first_plus_last], axis=1)
    return scores.reshape(block.shape)


def _rhat(block: FloatArray) -> FloatArray:
    n_draws = block.shape[2]
    between = n_draws * np.var(block.mean(axis=2), axis=1, ddof=1)
    within = np.var(block, axis=2, ddof=1).mean(axis=1)
    # Rounding may leave a tiny variance where there is none.
    within = np.where(_constant(block), np.nan, within)
    return np.asarray(np.sqrt((between / within + n_draws - 1) / n_draws))


def _mean_autocovariance(block: FloatArray) -> FloatArray:
    """Autocovariances at every lag, averaged over chains: (block, chain, draw) -> (block, draw)."""
    n_draws = block.shape[2]
    length = next_fast_len(2 * n_draws, real=True)
    spectrum = rfft(block - block.mean(axis=2, keepdims=True), n=length, axis=2)
    power = (spectrum.real**2 + spectrum.imag**2).mean(axis=1)
    return np.asarray(irfft(power, n=length, axis=1)[:, :n_draws] / n_draws)


def _ess(block: FloatArray) -> FloatArray:
    """Effective sample size of the mean of unsplit chains, (block, chain, draw) -> (block,).

    Autocorrelations are summed in pairs by Geyer's (1992) initial monotone sequence.
    """
    n_chains, n_draws = block.shape[1:]
    total = n_chains * n_draws
    autocovariance = _mean_autocovariance(block)
    within = autocovariance[:, 0] * n_draws / (n_draws - 1.0)
    variance = within * (n_draws - 1.0) / n_draws
    if n_chains > 1:
        variance = variance + np.var(block.mean(axis=2), axis=1, ddof=1)
    correlation = 1.0 - (within[:, None] - autocovariance) / variance[:, None]
    correlation[:, 0] = 1.0
    last_pair = max((n_draws - 1) // 2 - 1, 0)
    even = correlation[:, 0 : 2 * last_pair + 2 : 2]
    pairs = even + correlation[:, 1 : 2 * last_pair + 2 : 2]
    ends = ~(pairs > 0.0)
    stop = np.where(ends.any(axis=1), ends.argmax(axis=1), last_pair)
    row = np.arange(len(block))
    before_stop = np.arange(last_pair + 1) < stop[:, None]
    pair_sum = np.where(before_stop, np.minimum.accumulate(pairs, axis=1), 0.0).sum(axis=1)
    remainder = even[row, stop]
    keep = (pairs[row, stop] >= 0.0) | (remainder > 0.0)
    time = -1.0 + 2.0 * pair_sum + np.where(keep, remainder, 0.0)
    # Antithetic chains: super-efficiency is limited to a factor log10 of the draws.
    ess = total / np.maximum(time, 1.0 / np.log10(total))
    ess = np.where(np.isfinite(correlation[:, 1]), ess, np.nan)
    return np.where(_constant(block), float(total), ess)


def _constant(block: FloatArray) -> NDArray[np.bool_]:
    low, high = block.min(axis=(1, 2)), block.max(axis=(1, 2))
    with np.errstate(invalid="ignore"):
        return np.asarray(high - low <= CONSTANT_TOLERANCE * np.maximum(np.abs(low), np.abs(high)))


def _mean_ess(block: FloatArray) -> FloatArray:
    return _ess(_split(block))


def _squared_deviations(block: FloatArray) -> FloatArray:
    return np.asarray(np.square(block - block.mean(axis=(1, 2), keepdims=True)))


def _quantile_ess(block: FloatArray, probability: float) -> FloatArray:
    ordered = np.sort(block.reshape(len(block), -1), axis=1)
    size = ordered.shape[1]
    place = size * probability + (1.0 - probability)
    lower = int(np.floor(np.clip(place, 1, size - 1)))
    share = float(np.clip(place - lower, 0, 1))
    # Written as in scipy's mquantiles: with ties the rounding decides whether they count.
    quantile = (1.0 - share) * ordered[:, lower - 1] + share * ordered[:, lower]
    return _mean_ess((block <= quantile[:, None, None]).astype(np.float64))
