"""Effects of two variables on each other: accuracy, coverage, and what is said if nothing is known.

Usage: ``python bidirectional.py study data_sets [seed] [processes]``. Studies:

- ``coverage``: 95 % intervals of `fit`, and of one pass, at 100,000 and 20,000 rows. `fit` of
  100,000 rows takes one to two seconds on an idle core.
- ``identification``: variances that do not identify the effects, at 20,000 rows, and variances that
  hardly do (kappa = .05), at 100,000 rows.
- ``accuracy``: root mean square errors at 100,000 and 1,000,000 rows beside those of single
  equations and of Lewbel's estimator with polynomial instruments. One pass; `fit` of a million
  rows takes almost a minute and is not here but in ``accuracy-fit``.
- ``truths``: other effects, some near the ends of what is allowed, and errors with heavy tails.

Any number of processes gives the same figures. Every data set has its own random features. `study`
is what the tests call.
"""

import sys
import warnings
from concurrent.futures import ProcessPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial

import numpy as np
import pandas as pd
from scipy.special import ndtri

import qbeconometrics as qb
from qbeconometrics.exceptions import WeakIdentificationWarning
from qbeconometrics.online.baselines import polynomial_lewbel, single_equations

LEVEL = 0.95
CRITICAL = float(ndtri((1.0 + LEVEL) / 2.0))
BLOCK_ROWS = 100_000
METHODS = ("fit", "one pass")
EFFECTS = ["b12", "b21"]
ERRORS = ["bse_b12", "bse_b21"]


@dataclass(frozen=True)
class Design:
    """Arguments of `qb.simulate.bidirectional`."""

    n: int
    effects: tuple[float, float] = (0.5, -0.4)
    variances: str = "separate"
    errors: str = "normal"
    strength: float = 1.0

    def draw(self, seed):
        """y1, y2 and x, as arrays."""
        data = qb.simulate.bidirectional(
            self.n, self.effects, self.variances, self.errors, self.strength, seed=seed
        )
        return data["y1"].to_numpy(), data["y2"].to_numpy(), data[["x1", "x2"]].to_numpy()


def estimate(data, method, rng, parameters):
    """Results from arrays (y1, y2, x), read several times or once in blocks."""
    model = qb.OnlineBidirectional(rng=rng, **parameters)
    if method == "fit":
        return model.fit(*data, baselines=False)
    starts = range(0, len(data[0]), BLOCK_ROWS)
    blocks = (tuple(part[at : at + BLOCK_ROWS] for part in data) for at in starts)
    return model.partial_fit_from(blocks, progressbar=False).result()


def in_projections(res, design):
    """Whether both projections of the robust set hold the truth.

    They do if the joint set does, whose test is far quicker.
    """
    found = res.robust_set(1.0 - LEVEL)
    return all(
        any(low <= effect <= high for low, high in intervals)
        for intervals, effect in zip((found.b12, found.b21), design.effects, strict=True)
    )


def one(number, design, method, seed, parameters, rivals, projections):
    """What is found in the data set of this number."""
    data_seed, model_seed = map(int, np.random.SeedSequence([seed, number]).generate_state(2))
    data = design.draw(data_seed)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("error")
        warnings.simplefilter("always", WeakIdentificationWarning)
        res = estimate(data, method, model_seed, parameters)
    found = dict(zip(EFFECTS + ERRORS, [*res.params, *res.bse], strict=True))
    found |= {
        "warned": bool(caught),
        "weak": res.weakly_identified,
        "ambiguous": res.label_ambiguous,
        "rank statistic": res.rank_test.value,
        "kappa": res.kappa,
        "nobs": res.nobs,
        "robust p": res.robust_pvalue(*design.effects),
    }
    if projections:
        found["in robust set"] = found["robust p"] >= 1.0 - LEVEL or in_projections(res, design)
    if rivals:
        others = {"OLS": single_equations(*data), "Lewbel": polynomial_lewbel(*data)}
        for name, other in others.items():
            found |= {
                f"{name} {which}": value for which, value in zip(EFFECTS, other.params, strict=True)
            }
    return found


def study(
    design,
    method,
    numbers,
    *,
    seed=0,
    parameters=None,
    rivals=False,
    projections=False,
    executor=None,
):
    """One row a data set, of those with these numbers."""
    work = partial(
        one,
        design=design,
        method=method,
        seed=seed,
        parameters=parameters or {},
        rivals=rivals,
        projections=projections,
    )
    run = executor.map if executor else map
    return pd.DataFrame(list(run(work, numbers)), index=pd.Index(numbers, name="data set"))


def distances(found, design):
    """Estimates less the truth, (data sets, 2)."""
    return found[EFFECTS].to_numpy() - np.array(design.effects)


def root_mean_square(errors):
    return np.sqrt(np.mean(errors**2, axis=0))


def covered(found, design):
    """Whether intervals hold the truth, (data sets, 2); those that are not given do not."""
    return np.abs(distances(found, design)) <= CRITICAL * found[ERRORS].to_numpy()


def size_of_errors(found, design):
    """Mean of squared distances over squared standard errors: one if these are right, (2,)."""
    return np.mean((distances(found, design) / found[ERRORS].to_numpy()) ** 2, axis=0)


def of_rival(found, name, design):
    """Root mean square errors of another estimator, (2,)."""
    return root_mean_square(
        found[[f"{name} {which}" for which in EFFECTS]].to_numpy() - np.array(design.effects)
    )


def pair(values, digits=4):
    return ", ".join(f"{value:.{digits}f}" for value in values)


def coverage_line(found, design):
    away = distances(found, design)
    spread, mean_error = away.std(axis=0, ddof=1), found[ERRORS].mean().to_numpy()
    return (
        f"{len(found)} data sets: coverage {pair(covered(found, design).mean(axis=0), 3)}, bias "
        f"{pair(away.mean(axis=0), 5)}, sd {pair(spread, 5)}, mean s.e. {pair(mean_error, 5)} "
        f"(ratio {pair(mean_error / spread, 3)}), withheld {int(found[ERRORS[0]].isna().sum())}"
    )


def identification_line(found, design):
    withheld = found[ERRORS].isna().all(axis=1)
    return (
        f"{len(found)} data sets: weakly identified {int(found['weak'].sum())}, warned "
        f"{int(found['warned'].sum())}, s.e. withheld {int(withheld.sum())}, largest rank "
        f"statistic {found['rank statistic'].max():.1f} (least {found['rank statistic'].min():.1f})"
        f", truth in the joint robust set {np.mean(found['robust p'] >= 1.0 - LEVEL):.3f}, in its "
        f"projections {found['in robust set'].mean():.3f}, RMSE "
        f"{pair(root_mean_square(distances(found, design)))}"
    )


def accuracy_line(found, design):
    own = root_mean_square(distances(found, design))
    line = f"{len(found)} data sets: RMSE {pair(own, 5)}"
    for name in ("OLS", "Lewbel"):
        other = of_rival(found, name, design)
        line += f"; {name} {pair(other, 5)}, {pair(other / own, 2)} times"
    return line


def truths_line(found, design):
    away = np.abs(distances(found, design))
    inside = covered(found, design).sum(axis=0)
    return (
        f"{len(found)} data sets: median distance {pair(np.median(away, axis=0))}, largest "
        f"{pair(away.max(axis=0))}, covered {inside[0]}, {inside[1]}, withheld "
        f"{int(found[ERRORS[0]].isna().sum())}, warned {int(found['warned'].sum())}"
    )


OTHER_TRUTHS = {
    "(-1.5, .5)": Design(100_000, (-1.5, 0.5)),
    "(2, -.45)": Design(100_000, (2.0, -0.45)),
    "(.9, .8)": Design(100_000, (0.9, 0.8)),
    "t5 errors": Design(100_000, errors="t5"),
}
SIZES = {f"n = {n:,}": Design(n) for n in (100_000, 20_000)}
UNIDENTIFIED = {
    "constant variances": Design(20_000, variances="constant"),
    "common variances": Design(20_000, variances="common"),
    "kappa .05": Design(100_000, strength=0.19),
}
LARGE = {f"n = {n:,}": Design(n) for n in (100_000, 1_000_000)}
STUDIES = {
    "coverage": (SIZES, METHODS, coverage_line, {}),
    "identification": (UNIDENTIFIED, METHODS, identification_line, {"projections": True}),
    "accuracy": (LARGE, ("one pass",), accuracy_line, {"rivals": True}),
    "accuracy-fit": (LARGE, ("fit",), accuracy_line, {"rivals": True}),
    "truths": (OTHER_TRUTHS, METHODS, truths_line, {}),
}


def main(name, data_sets, seed=0, processes=2):
    designs, methods, line, options = STUDIES[name]
    numbers = range(int(data_sets))
    with ProcessPoolExecutor(int(processes)) if int(processes) > 1 else nullcontext() as pool:
        for label, design in designs.items():
            for method in methods:
                found = study(design, method, numbers, seed=int(seed), executor=pool, **options)
                print(f"{name}, {label}, {method}, {line(found, design)}", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
