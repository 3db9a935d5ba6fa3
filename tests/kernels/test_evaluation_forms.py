"""S from the moment statistic against S from the rows, on every embedded data set."""

import json
from pathlib import Path

import numpy as np
import pytest

import qbeconometrics as qb

PATH = Path(__file__).parent.parent / "reference_values" / "reference_iv.json"
STORED = json.loads(PATH.read_text(encoding="utf-8"))["linear"]

# Data sets of nonlinear moments and of time series.
OTHERS = {"ccapm_euler", "docvisits", "gertler_karadi_2015"}

POINTS = 100
RADIUS = 5.0  # posterior sds
# Both sum the same products in another order, in whitened coordinates.
COVARIANCE_TOLERANCE = 1e-10  # of S_jl, relative to sqrt(S_jj S_ll)
LOG_LIKELIHOOD_TOLERANCE = 1e-8


SPECIFICATIONS = sorted(name for name in STORED if "ajr_altfile" not in name)


def test_every_embedded_data_set_is_used():
    used = {STORED[name]["data"].split("_table5")[0].split(".csv")[0] for name in SPECIFICATIONS}
    assert used == set(qb.datasets.names()) - OTHERS


def model_of(entry, frame, apart):
    """The model, its columns scaled 1e6 apart if asked."""
    model = qb.QuasiBayesIV.from_formula(entry["formula"], frame)
    if not apart:
        return model
    labels = list(dict.fromkeys([*model.exog_names, *model.instrument_names]))
    factor = {label: 10.0 ** (6 * (i % 3 - 1)) for i, label in enumerate(labels)}
    factor[labels[0]] = 1.0
    return qb.QuasiBayesIV(
        1e3 * model.endog,
        model.exog * [factor[label] for label in model.exog_names],
        model.instrument * [factor[label] for label in model.instrument_names],
    )


def points_around(target):
    """Points in a ball of RADIUS sds about the frozen normal law at the two-step estimate."""
    root, _ = target.covariance_root(np.zeros(target.n_params))
    whitened = np.linalg.solve(root, target.arrays["jacobian"])
    precision = whitened.T @ whitened + target.arrays["prior_precision"]
    spread = np.linalg.inv(np.linalg.cholesky(precision)).T
    rng = np.random.default_rng(11)
    direction = rng.standard_normal((POINTS, target.n_params))
    direction *= RADIUS * rng.random((POINTS, 1)) / np.linalg.norm(direction, axis=1)[:, None]
    return direction @ spread.T


@pytest.mark.parametrize("apart", [False, True], ids=["as given", "scaled apart"])
@pytest.mark.parametrize("name", SPECIFICATIONS)
def test_statistic_against_rows(reference, frame_of, name, apart):
    entry = reference[name]
    model = model_of(entry, frame_of(entry), apart)
    for options in (
        {"quasi_likelihood": "cue"},
        {"quasi_likelihood": "cue-nodet", "cov_type": "HC1", "cov_kwds": {"centered": True}},
    ):
        by_statistic, by_rows = (
            model.quasi_posterior(evaluation=evaluation, **options).target
            for evaluation in ("statistic", "rows")
        )
        assert (by_statistic.form, by_rows.form) == ("statistic", "rows")
        points = points_around(by_statistic)
        log_likelihood, _ = by_statistic.evaluate(points)
        expected, _ = by_rows.evaluate(points)
        assert np.all(np.isfinite(expected))
        assert np.max(np.abs(log_likelihood - expected)) < LOG_LIKELIHOOD_TOLERANCE
        for point in points:
            S, exact = (
                root @ root.T
                for root, _ in (t.covariance_root(point) for t in (by_statistic, by_rows))
            )
            scale = np.sqrt(np.diag(exact))
            assert np.max(np.abs(S - exact) / np.outer(scale, scale)) < COVARIANCE_TOLERANCE
