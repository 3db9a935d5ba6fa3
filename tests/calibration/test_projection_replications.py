"""Replications of local projections against data sets written out row by row."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import chi2

import qbeconometrics as qb
from qbeconometrics.calibration import replicated_projections
from qbeconometrics.calibration.coverage import Region
from qbeconometrics.calibration.moment_problem import MomentProblem
from qbeconometrics.calibration.problem import CoverageCurve
from qbeconometrics.calibration.replicated_projections import projection_criteria
from qbeconometrics.calibration.replications import bootstrap
from qbeconometrics.calibration.weighted_particles import weighted_particles
from qbeconometrics.models import projection_calibration
from qbeconometrics.models.projection_calibration import rows_at

N, B = 160, 8
FLAT = qb.priors.Flat()


def series(seed=0, n=N):
    """A shock with heteroskedastic noise, two instruments that are not quite valid, a control."""
    rng = np.random.default_rng(seed)
    z = rng.standard_normal((n, 2))
    v, noise = rng.standard_normal((2, n))
    x = z @ [0.8, 0.5] + v
    y = np.convolve(x, 0.6 ** np.arange(12))[:n] + (0.4 + np.abs(z[:, 0])) * (0.5 * v + noise)
    y = 1.0 + y + 0.3 * z[:, 1]
    return {"y": y, "x": x, "z": z, "c": np.cumsum(rng.standard_normal(n))}


def model_of(kind="ols", **options):
    data = series()
    given = {"horizon": 3, "lags": 1, "prior": FLAT, **options}
    instrument = data["z"] if kind == "iv" else None
    endog = data["y"]
    if kind == "two":
        endog = np.column_stack([data["y"], data["x"]])
    return qb.QuasiBayesLP(endog, data["x"], data["c"], instrument, **given)


def criteria_in(model, rule, drawn, recentre, limit=2**28):
    """Curvatures and minimisers in the coefficients' own units, and what is taken off moments."""
    law = model._posterior(rule, 1.0, 1).flat
    estimate = np.empty(len(model.layout.names))
    estimate[model.layout.places()] = model.moments.estimate
    estimate[model.layout.active] = law.mean
    given, _ = rows_at(model, rule, estimate, law.covariance_root, recentre=recentre)
    found = projection_criteria(given, drawn, limit)
    curvature = law.root.T @ found.curvature @ law.root
    minimiser = law.mean + found.minimiser @ law.covariance_root.T
    return curvature, minimiser, estimate


def regressions(model):
    """Columns of each regression that is not degenerate, on the rows of the stacked sample."""
    design, H = model.design, len(model.design.horizons)
    used = design.used
    for block in np.flatnonzero(~model.moments.degenerate):
        response, place = divmod(block, H)
        layer = place if design.regressors.shape[1] > 1 else 0
        yield (
            design.leads[used, response, place],
            design.regressors[used, layer],
            design.instrument[used],
            design.controls[used],
            design.kept[used, response, place],
        )


def without(controls, columns):
    return columns - controls @ np.linalg.lstsq(controls, columns)[0]


def mean_moments(model, estimate):
    """Mean moment of each regression at the estimate, from the rows of the data."""
    points = estimate[model.layout.places()][~model.moments.degenerate]
    found = []
    for (y, x, z, controls, kept), point in zip(regressions(model), points, strict=True):
        y, x, z = (without(controls[kept], part[kept]) for part in (y, x, z))
        found.append(z.T @ (y - x @ point) / len(y))
    return found


def written_out(model, rule, units, subtracted):
    """Curvature and minimiser of a replication from its rows, units one below the other."""
    rows = np.concatenate(units)
    T, places = len(rows), model.layout.places()[~model.moments.degenerate]
    p, L = places.shape[1], model.design.instrument.shape[1]
    moments, slopes, scores = [], np.zeros((len(places) * L, places.size)), []
    active = list(np.flatnonzero(model.layout.active))
    for b, (y, x, z, controls, kept) in enumerate(regressions(model)):
        own = kept[rows]
        y, x, z, controls = (part[rows][own] for part in (y, x, z, controls))
        n, c = len(y), subtracted[b] if subtracted else np.zeros(L)
        y, x, z = (without(controls, part) for part in (y, x, z))
        a, g = z.T @ x / n, z.T @ y / n - c
        first = np.linalg.inv(z.T @ z / n)
        residual = y - x @ np.linalg.solve(a.T @ first @ a, a.T @ first @ g)
        score = np.zeros((T, L))
        factor = n / (n - controls.shape[1] - p) if rule.cov_type == "HC1" else 1.0
        score[own] = T / n * np.sqrt(factor) * (z * residual[:, None] - c)
        scores.append(score)
        moments.append(g)
        slopes[b * L : (b + 1) * L, [active.index(j) for j in places[b]]] = a
    scores, moments = np.hstack(scores), np.concatenate(moments)
    if rule.centered:
        scores = scores - scores.mean(axis=0)
    if rule.cov_type == "HAC":
        ends = np.cumsum([len(unit) for unit in units])[:-1]
        scores = np.array([part.sum(axis=0) for part in np.split(scores, ends)])
    weight = np.linalg.inv(scores.T @ scores / T)
    curvature = T * slopes.T @ weight @ slopes
    return curvature, T * np.linalg.solve(curvature, slopes.T @ weight @ moments)


def units_of(drawn, b):
    """Rows of each block of a replication."""
    starts, lengths = drawn.blocks(b)
    return [np.arange(s, s + length) % drawn.n for s, length in zip(starts, lengths, strict=True)]


def distance(model, cov_type, recentre=False, kind="moving-block", centered=False, seen=None):
    """Largest relative distance of curvatures and minimisers from those written out."""
    kwds = {"centered": centered}
    rule = model._rule(cov_type, kwds)
    T = model.moments.nobs
    drawn = bootstrap(kind, T, B, np.random.SeedSequence(5), block_length=4)
    curvatures, minimisers, estimate = criteria_in(model, rule, drawn, recentre)
    assert len(minimisers) == B
    subtracted = mean_moments(model, estimate) if (recentre if seen is None else seen) else None
    largest = 0.0
    for b in range(B):
        expected = written_out(model, rule, units_of(drawn, b), subtracted)
        for one, other in zip((curvatures[b], minimisers[b]), expected, strict=True):
            largest = max(largest, np.abs(one - other).max() / np.abs(other).max())
    return largest


MODELS = {
    "observed shock": {},
    "instruments": {"kind": "iv"},
    "two responses": {"kind": "two", "horizon": 2},
    "own samples": {"kind": "iv", "sample": "horizon"},
    "multiplier": {"kind": "iv", "multiplier": True, "lag_augmentation": False, "horizon": 2},
    "states": {"kind": "iv", "state": np.arange(N) // 9 % 2 * 1.0, "horizon": 1},
    "no controls": {"lags": 0, "lag_augmentation": False, "trend": "n"},
}


@pytest.mark.parametrize("recentre", [False, True], ids=["as it is", "recentred"])
@pytest.mark.parametrize("cov_type", ["HC0", "HC1", "HAC"])
@pytest.mark.parametrize("name", MODELS)
def test_criteria_are_those_of_data_sets_written_out(name, cov_type, recentre):
    if name == "multiplier" and cov_type != "HAC":
        cov_type = "HAC"  # the only one for cumulated regressors
    assert distance(model_of(**MODELS[name]), cov_type, recentre) < 1e-8


@pytest.mark.parametrize("cov_type", ["HC0", "HAC"])
@pytest.mark.parametrize("kind", ["moving-block", "stationary"])
def test_centred_scores_and_blocks_of_random_length(kind, cov_type):
    assert distance(model_of("iv"), cov_type, kind=kind, centered=True) < 1e-8


def test_rows_drawn_once_each_give_the_fit():
    model = model_of("iv")
    rule = model._rule("HC1", None)
    T = model.moments.nobs
    drawn = bootstrap("moving-block", T, 1, np.random.SeedSequence(0), block_length=T)
    curvature, minimiser, _ = criteria_in(model, rule, drawn, recentre=False)
    law = model._posterior(rule, 1.0, 1).flat
    np.testing.assert_allclose(curvature[0], law.root.T @ law.root, rtol=1e-9)
    np.testing.assert_allclose(minimiser[0], law.mean, rtol=1e-9)


def test_squared_weights_are_caught(monkeypatch):
    product = replicated_projections._score_product
    monkeypatch.setattr(
        replicated_projections,
        "_score_product",
        lambda given, scores, w, units, b: product(given, scores, w**2, units, b),
    )
    assert distance(model_of(), "HC0") > 0.05


def test_controls_that_are_not_partialled_out_anew_are_caught(monkeypatch):
    """Rows of columns that the controls were partialled out of in the data, and only there."""
    shared = projection_calibration.shared_rows
    monkeypatch.setattr(
        projection_calibration,
        "shared_rows",
        lambda design, blocks: tuple(
            replace(one, columns=without(one.controls, one.columns))
            for one in shared(design, blocks)
        ),
    )
    assert distance(model_of(), "HC0") < 1e-8
    monkeypatch.setattr(
        replicated_projections,
        "_partialled_out",
        lambda controls, columns, roots: roots[:, None] * columns,
    )
    assert distance(model_of(), "HC0") > 0.02


def test_recentring_where_it_is_not_asked_for_is_caught():
    assert distance(model_of("iv"), "HC0", recentre=True, seen=False) > 0.05


@pytest.mark.parametrize("cov_type", ["HC1", "HAC"])
def test_little_memory_gives_the_same(cov_type):
    model = model_of("iv")
    rule = model._rule(cov_type, None)
    seed = np.random.SeedSequence(5)
    drawn = bootstrap("stationary", model.moments.nobs, 30, seed, block_length=4)
    roomy, tight = (criteria_in(model, rule, drawn, False, limit) for limit in (2**28, 1))
    np.testing.assert_allclose(tight[0], roomy[0], rtol=1e-10)
    np.testing.assert_allclose(tight[1], roomy[1], rtol=1e-10)


@pytest.mark.parametrize("rare", ["control", "instrument"])
def test_replications_without_an_estimate_are_left_out(rare):
    """Four ones in a row, which blocks of four leave out once in three times."""
    data = series()
    lone = (np.arange(N) // 4 == 20) * 1.0
    controls = lone if rare == "control" else None
    instrument = np.column_stack([data["z"], lone]) if rare == "instrument" else None
    model = qb.QuasiBayesLP(data["y"], data["x"], controls, instrument, horizon=2, prior=FLAT)
    T = model.moments.nobs
    drawn = bootstrap("moving-block", T, 100, np.random.SeedSequence(5), block_length=4)
    place = list(np.flatnonzero(model.design.used)).index(80)
    held = (drawn.weights(slice(None))[:, place : place + 4] > 0).sum(axis=1)
    curvature, minimiser, _ = criteria_in(model, model._rule("HC0", None), drawn, False)
    assert (held > 1).sum() - 1 <= len(minimiser) <= (held > 0).sum() < 100
    assert np.isfinite(curvature).all()
    assert np.isfinite(minimiser).all()


@pytest.mark.slow
@pytest.mark.parametrize("cov_type", ["HC1", "HAC"])
def test_the_rate_is_that_of_the_closed_form(cov_type):
    """Chi-square quantile over that of distances, both computed from rows written out."""
    model = model_of("iv")
    rule = model._rule(cov_type, None)
    seed = np.random.SeedSequence(5)
    drawn = bootstrap("moving-block", model.moments.nobs, 120, seed, block_length=4)
    law = model._posterior(rule, 1.0, 1).flat
    distances = []
    for b in range(120):
        curvature, minimiser = written_out(model, rule, units_of(drawn, b), None)
        away = minimiser - law.mean
        distances.append(away @ curvature @ away)
    quantile = np.quantile(distances, 0.95, method="midpoint")
    curvature, minimiser, _ = criteria_in(model, rule, drawn, recentre=False)
    k = len(law.mean)
    problem = MomentProblem(
        law.covariance_root.T @ curvature @ law.covariance_root,
        (minimiser - law.mean) @ law.root.T,
        np.eye(k),
        np.zeros((k, k)),
        np.zeros(k),
    )
    curve = CoverageCurve(Region("loss", 0.05, np.zeros(k), problem.loss_at_estimate))
    found = weighted_particles(problem, curve, 1.0, np.random.SeedSequence(1), 10_000)
    assert found.rate == pytest.approx(chi2.ppf(0.95, k) / quantile, abs=0.02)
