"""A deterministic model of what evaluations cost, in nanoseconds on a nominal machine.

It decides between the two ways of forming S and between samplers. It never reads a clock, so the
same random state gives the same draws on every machine. The constants were fitted to timings of the
compiled kernels (see tests/performance); only their ratios matter.
"""

from __future__ import annotations

from dataclasses import dataclass

# Bytes of fourth-order sums above which the rows are used instead.
MEMORY_CAP = 512 * 2**20
CACHE_BYTES = 2**20

NS_STATISTIC_IN_CACHE = 0.17  # a product T_ab[j, l] * phi_a phi_b
NS_STATISTIC_IN_MEMORY = 0.30
NS_ROW = 4.0  # a row, whatever its length
NS_ROW_ENTRY = 0.3  # a regressor or an instrument of a row
NS_ROW_PRODUCT = 0.10  # a product z_j z_l r^2
NS_ALGEBRA = 0.5  # a multiplication in a factor, solve or product
NS_CALL = 150.0  # random numbers, bookkeeping
NS_BUILD = 0.05  # a product while the fourth-order sums are formed


@dataclass(frozen=True, slots=True)
class ProblemSize:
    """Rows, coefficients, moments, and how S is formed ("statistic", "rows", "proportional")."""

    n: int
    k: int
    m: int
    form: str


def statistic_numbers(k: int, m: int) -> int:
    """Return how many fourth-order sums there are."""
    return ((k + 1) * (k + 2) // 2) * (m * (m + 1) // 2)


def fits_memory(k: int, m: int) -> bool:
    """Return whether the fourth-order sums are below the cap."""
    return 8 * statistic_numbers(k, m) <= MEMORY_CAP


def covariance_cost(size: ProblemSize) -> float:
    """Return the cost of S and its factor at one point."""
    factor = NS_ALGEBRA * size.m**3 / 6
    if size.form == "proportional":
        return NS_ALGEBRA * (size.k**2 + size.m**2 / 2)
    if size.form == "statistic":
        numbers = statistic_numbers(size.k, size.m)
        each = NS_STATISTIC_IN_CACHE if 8 * numbers <= CACHE_BYTES else NS_STATISTIC_IN_MEMORY
        return each * numbers + factor
    row = NS_ROW + NS_ROW_ENTRY * (size.k + size.m) + NS_ROW_PRODUCT * size.m * (size.m + 1) / 2
    return size.n * row + factor


def evaluation_cost(size: ProblemSize) -> float:
    """Return the cost of the log quasi-posterior at one point."""
    return covariance_cost(size) + NS_ALGEBRA * (size.m * size.k + size.m**2 / 2 + size.k**2)


def gradient_cost(size: ProblemSize) -> float:
    """Return the cost of the gradient at one point, given the factor of S."""
    # It passes over the rows, or the fourth-order sums, once more, and inverts the factor.
    return covariance_cost(size) + NS_ALGEBRA * (size.m**3 / 6 + size.m * size.k + size.k**2)


def surrogate_cost(size: ProblemSize) -> float:
    """Return the cost of the normal surrogate at one point, given the factor of S."""
    k, m = size.k, size.m
    return NS_ALGEBRA * (m**2 * k / 2 + m * k**2 / 2 + k**3 / 6)


def choose_form(n: int, k: int, m: int, evaluations: int) -> str:
    """Return "statistic" or "rows", whichever makes so many evaluations cheaper.

    Examples
    --------
    >>> choose_form(n=100_000, k=5, m=8, evaluations=12_000)
    'statistic'
    >>> choose_form(n=2_000, k=200, m=200, evaluations=12_000)
    'rows'
    """
    if not fits_memory(k, m):
        return "rows"
    build = NS_BUILD * n * statistic_numbers(k, m)
    with_statistic = build + evaluations * covariance_cost(ProblemSize(n, k, m, "statistic"))
    with_rows = evaluations * covariance_cost(ProblemSize(n, k, m, "rows"))
    return "statistic" if with_statistic <= with_rows else "rows"
