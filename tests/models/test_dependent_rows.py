"""Fits to serially correlated and to clustered rows."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import qbeconometrics as qb
from qbeconometrics.exceptions import (
    ImproperPosteriorError,
    InputError,
    NumericalError,
    OptionError,
    UnknownKeywordError,
)
from qbeconometrics.models import moment_sums

PATH = Path(__file__).parent.parent / "reference_values" / "reference_iv.json"
STORED = json.loads(PATH.read_text(encoding="utf-8"))["linear"]
# linearmodels solves normal equations on raw columns, which costs digits on dummies.
ESTIMATE_TOLERANCE = 1e-8
# Sums over rows in float64 against their definition.
ROUNDING = 1e-10
# Monte Carlo standard errors.
LARGEST_DISTANCE = 4.5

QUIET = pytest.mark.filterwarnings("ignore::qbeconometrics.exceptions.QBEconometricsWarning")


def kappa_of(rule, n, groups):
    """Weights of pairs of rows, from their definition."""
    cov_type, options = rule
    if cov_type == "cluster":
        columns = groups[options["groups"]].to_numpy().reshape(n, -1)
        same = [(column[:, None] == column).astype(float) for column in columns.T]
        return same[0] if len(same) == 1 else same[0] + same[1] - same[0] * same[1]
    lag = np.abs(np.subtract.outer(np.arange(n), np.arange(n))).astype(float)
    x = lag / (options["maxlags"] + 1)
    if options["kernel"] == "parzen":
        return np.where(x <= 0.5, 1 - 6 * x**2 + 6 * x**3, 2 * np.maximum(1 - x, 0) ** 3)
    if options["kernel"] == "quadratic-spectral":
        d = 6 * np.pi * np.where(lag == 0, 1, lag / options["maxlags"]) / 5
        return np.where(lag == 0, 1.0, 3 / d**2 * (np.sin(d) / d - np.cos(d)))
    return np.maximum(1 - x, 0)


RULES = {
    "bartlett": ("HAC", {"kernel": "bartlett", "maxlags": 3}),
    "parzen": ("HAC", {"kernel": "parzen", "maxlags": 4, "centered": True}),
    "quadratic-spectral": ("HAC", {"kernel": "quadratic-spectral", "maxlags": 2}),
    "cluster": ("cluster", {"groups": "firm"}),
    "cluster centered": ("cluster", {"groups": "firm", "centered": True}),
    "two-way": ("cluster", {"groups": ["firm", "year"]}),
}


@pytest.fixture(scope="module")
def frame():
    """Over-identified, correlated along rows and within firms and years."""
    rng = np.random.default_rng(12)
    n = 200
    firm, year = rng.integers(0, 25, n), rng.integers(0, 20, n)
    error = rng.standard_normal(25)[firm] + rng.standard_normal(20)[year] + rng.standard_normal(n)
    z = rng.standard_normal((n, 2)) + rng.standard_normal((25, 2))[firm]
    z += 0.7 * rng.standard_normal((20, 2))[year]
    d = z.sum(axis=1) + error + rng.standard_normal(n)
    y = 1 + 0.5 * d + error
    return pd.DataFrame({"y": y, "d": d, "z1": z[:, 0], "z2": z[:, 1], "firm": firm, "year": year})


@pytest.fixture(scope="module")
def model(frame):
    return qb.QuasiBayesIV.from_formula(
        "y ~ [d ~ z1 + z2]", frame, prior=qb.priors.Normal(0.7, 0.5)
    )


def arrays(frame):
    ones = np.ones(len(frame))
    return (
        frame["y"].to_numpy(),
        np.column_stack([ones, frame["d"]]),
        np.column_stack([ones, frame[["z1", "z2"]]]),
    )


def covariance(frame, rule, theta):
    y, x, z = arrays(frame)
    scores = z * (y - x @ theta)[:, None]
    if rule[1].get("centered"):
        scores = scores - scores.mean(axis=0)
    return scores.T @ kappa_of(rule, len(y), frame) @ scores / len(y)


def log_quasi_likelihood(frame, rule, theta):
    y, x, z = arrays(frame)
    S = covariance(frame, rule, theta)
    g = z.T @ (y - x @ theta) / len(y)
    return -0.5 * np.linalg.slogdet(S)[1] - 0.5 * len(y) * g @ np.linalg.solve(S, g)


@pytest.mark.parametrize("name", RULES)
def test_log_quasi_likelihood(frame, model, name):
    cov_type, cov_kwds = RULES[name]
    posterior = model.quasi_posterior(cov_type=cov_type, cov_kwds=cov_kwds)
    points = 3 * np.random.default_rng(0).standard_normal((20, 2))
    values = posterior.target.evaluate(points)[0]
    # Two-way S need not be positive definite far out.
    points = points[np.isfinite(values)]
    assert len(points) > 10
    expected = [
        log_quasi_likelihood(frame, RULES[name], theta)
        for theta in posterior.basis.to_params(points)
    ]
    ours = values[np.isfinite(values)] + posterior.log_constant
    assert np.allclose(ours, expected, rtol=0, atol=1e-9)


def grid_summary(posterior):
    """Means, sds and mean signed bends of both coefficients over a grid of scaled points."""
    side = np.linspace(-50, 50, 801)
    points = np.stack(np.meshgrid(side, side, indexing="ij"), axis=-1).reshape(-1, 2)
    log_density = sum(posterior.target.evaluate(points))
    weight = np.exp(log_density - log_density.max())
    edge = np.abs(points).max(axis=1) > 49.9
    assert weight[edge].sum() < 1e-4 * weight.sum()
    weight /= weight.sum()
    params = posterior.basis.to_params(points)
    mean = weight @ params
    sd = np.sqrt(weight @ (params - mean) ** 2)
    return mean, sd, weight @ np.arctan((params - mean) / sd)


@QUIET
@pytest.mark.parametrize("name", RULES)
def test_every_sampler_against_a_grid(model, name):
    cov_type, cov_kwds = RULES[name]
    mean, sd, bend = grid_summary(model.quasi_posterior(cov_type=cov_type, cov_kwds=cov_kwds))
    for sampler in ("auto", "rwm", "da", "da-exact", "da-approx"):
        res = model.fit(
            sampler, cov_type=cov_type, cov_kwds=cov_kwds, draws=4_000, rng=5, progressbar=False
        )
        root = np.sqrt(res.ess()["bulk"].to_numpy())
        assert np.max(np.abs(res.params - mean) / sd * root) < LARGEST_DISTANCE, sampler
        bends = np.arctan((res.draws - mean) / sd).mean(axis=(0, 1))
        assert np.max(np.abs(bends - bend) * root) < LARGEST_DISTANCE, sampler
        # Tails heavier than normal: the sd's own error is wider than sd / sqrt(2 ESS).
        assert np.max(np.abs(res.bse / sd - 1) * root / 3) < LARGEST_DISTANCE, sampler


@QUIET
@pytest.mark.parametrize(
    ("name", "key", "options"),
    [
        ("ak_sub_3iv", "ivgmm2_clustered", {"cov_type": "cluster", "cov_kwds": {"groups": "sob"}}),
        ("ak_sub_3iv", "ivgmm2_clustered", {"cov_type": "clustered"}),
        ("campbell_mankiw", "ivgmm2_kernel", {"cov_type": "HAC", "cov_kwds": {"maxlags": 2}}),
        (
            "campbell_mankiw",
            "ivgmm2_kernel",
            {"cov_type": "kernel", "cov_kwds": {"maxlags": 2, "kernel": "newey-west"}},
        ),
    ],
)
def test_two_step_estimates_of_linearmodels(reference, frame_of, name, key, options):
    entry, stored = reference[name], STORED[name][key]
    data = frame_of(entry)
    if "cov_kwds" not in options:
        options = {**options, "cov_kwds": {"groups": data["sob"].sample(frac=1, random_state=3)}}
    model = qb.QuasiBayesIV.from_formula(entry["formula"], data, prior=qb.priors.Flat())
    res = model.fit(quasi_likelihood="two-step", draws=10, rng=0, **options)
    for param, value in stored["params"].items():
        assert res.params[param] == pytest.approx(value, rel=ESTIMATE_TOLERANCE)
    j = res.j_stat()
    assert j.value == pytest.approx(stored["j_stat"], rel=ESTIMATE_TOLERANCE)
    assert j.df == stored["j_df"]


@pytest.mark.parametrize("name", RULES)
def test_covariance_of_two_step(frame, name):
    """(G'WG)^-1 / n with W = S(2SLS)^-1."""
    cov_type, cov_kwds = RULES[name]
    y, x, z = arrays(frame)
    model = qb.QuasiBayesIV.from_formula("y ~ [d ~ z1 + z2]", frame, prior=qb.priors.Flat())
    res = model.fit(
        quasi_likelihood="two-step", cov_type=cov_type, cov_kwds=cov_kwds, draws=10, rng=0
    )
    projected = z @ np.linalg.lstsq(z, x, rcond=None)[0]
    S = covariance(frame, RULES[name], np.linalg.lstsq(projected, y, rcond=None)[0])
    G = z.T @ x / len(y)
    expected = np.linalg.inv(G.T @ np.linalg.solve(S, G)) / len(y)
    assert np.allclose(res.cov_params(), expected, rtol=ROUNDING, atol=0)


class TestResults:
    @QUIET
    @pytest.mark.parametrize("name", RULES)
    def test_j_without_rows_is_that_of_the_model(self, model, name):
        cov_type, cov_kwds = RULES[name]
        res = model.fit(cov_type=cov_type, cov_kwds=cov_kwds, draws=20, tune=20, rng=0)
        for weight in ("two-step", "cue"):
            for centered in (None, True, False):
                asked = model.j_stat(weight, cov_type, cov_kwds, centered)
                assert res.j_stat(weight, centered).value == pytest.approx(asked.value, rel=1e-9)

    @QUIET
    def test_groups_stay_out_of_the_record(self, frame, model):
        groups = frame["firm"].to_numpy()
        res = model.fit(cov_type="cluster", cov_kwds={"groups": groups}, draws=20, rng=0)
        assert res.record.cov_kwds == {"centered": False, "groups": "array", "clusters": "25"}
        assert res.first_stage().equals(model.first_stage("cluster", {"groups": groups}))
        assert "Clusters:" in str(res.summary())
        assert "25 (array)" in str(res.summary())

    def test_fixed_weight_keeps_what_its_own_j_needs(self, model):
        res = model.fit(
            quasi_likelihood="two-step", cov_type="cluster", cov_kwds={"groups": "firm"}, draws=20
        )
        assert res.record.moments.fourth is None
        with pytest.raises(OptionError, match="j_stat of the model"):
            res.j_stat("cue")

    @QUIET
    @pytest.mark.parametrize(
        ("cov_kwds", "words"),
        [
            ({}, ["Kernel:", "bartlett", "Lags:", "Newey and West"]),
            (
                {"kernel": "qs", "maxlags": "andrews", "centered": True},
                ["HAC (centered)", "quadratic-spectral", "Bandwidth:", "(andrews)", "Andrews"],
            ),
            ({"kernel": "gallant", "maxlags": 4}, ["parzen", "4"]),
        ],
    )
    def test_the_summary_names_kernel_and_lags(self, model, cov_kwds, words):
        res = model.fit(cov_type="HAC", cov_kwds=cov_kwds, draws=20, tune=20, rng=0)
        text = str(res.summary())
        assert all(word in text for word in words)
        assert res.record.cov_kwds["kernel"] in text

    @QUIET
    def test_without_endogenous_regressors(self, frame):
        res = qb.QuasiBayesIV.from_formula("y ~ z1", frame).fit(
            cov_type="HAC", draws=20, tune=20, rng=0
        )
        with pytest.raises(InputError, match="no endogenous regressor"):
            res.first_stage()
        assert res.summary()


def test_first_stage_by_definition(frame, model):
    """Robust and effective F with the covariance of clustered scores."""
    _, x, z = arrays(frame)
    firm = frame["firm"].to_numpy()
    table = model.first_stage("cluster", {"groups": firm})
    residual = x[:, 1] - z @ np.linalg.lstsq(z, x[:, 1], rcond=None)[0]
    excluded = z[:, 1:] - z[:, 1:].mean(axis=0)
    gram = np.linalg.inv(excluded.T @ excluded)
    scores = excluded * residual[:, None]
    middle = scores.T @ (firm[:, None] == firm) @ scores
    pi = gram @ excluded.T @ x[:, 1]
    V = gram @ middle @ gram
    assert table.loc["d", "f_robust"] == pytest.approx(
        pi @ np.linalg.solve(V, pi) / 2, rel=ROUNDING
    )
    strength = pi @ np.linalg.solve(gram, pi) / np.trace(np.linalg.solve(gram, V))
    assert table.loc["d", "effective_f"] == pytest.approx(strength, rel=ROUNDING)
    own = model.first_stage("cluster", {"groups": np.arange(len(firm))})
    pd.testing.assert_frame_equal(own, model.first_stage("HC0"), rtol=ROUNDING)


BAD = {
    "unknown key": ("HAC", {"lags": 3}, UnknownKeywordError, "'lags'.*Did you mean 'maxlags'"),
    "groups with HAC": ("HAC", {"groups": "firm"}, UnknownKeywordError, "'groups'"),
    "kernel with HC0": ("HC0", {"kernel": "bartlett"}, UnknownKeywordError, "'kernel'"),
    "kernel": ("HAC", {"kernel": "barlett"}, OptionError, "Did you mean 'bartlett'"),
    "lags below zero": ("HAC", {"maxlags": -1}, OptionError, "maxlags.*=-1"),
    "half a lag": ("HAC", {"maxlags": 1.5}, OptionError, "maxlags.*1.5"),
    "lags True": ("HAC", {"maxlags": True}, OptionError, "maxlags.*True"),
    "lags word": ("HAC", {"maxlags": "andrew"}, OptionError, "Did you mean 'andrews'"),
    "more lags than rows": ("HAC", {"maxlags": 200}, OptionError, "maxlags.*=200.*200 rows"),
    "no groups": ("cluster", None, OptionError, "needs the clusters"),
    "groups None": ("cluster", {"groups": None}, OptionError, "needs the clusters"),
    "unknown column": ("cluster", {"groups": "frim"}, InputError, "Did you mean 'firm'"),
    "too short": ("cluster", {"groups": np.arange(199)}, InputError, "199 rows.*data have 200"),
    "too few": ("cluster", {"groups": np.arange(200) % 2}, InputError, "2 clusters.*3 moments"),
    "too few centred": (
        "cluster",
        {"groups": np.arange(200) % 3, "centered": True},
        InputError,
        "3 clusters.*3 moments.*4 clusters are needed",
    ),
    "too few of one way": (
        "cluster",
        {"groups": np.column_stack([np.arange(200), np.arange(200) % 2])},
        InputError,
        "2 clusters.*3 moments",
    ),
    "missing group": (
        "cluster",
        {"groups": [None, *range(199)]},
        InputError,
        "groups array is missing in 1 row.*row label 0",
    ),
}


@pytest.mark.parametrize(("cov_type", "cov_kwds", "error", "words"), BAD.values(), ids=BAD)
def test_bad_options(model, cov_type, cov_kwds, error, words):
    with pytest.raises(error, match=f"(?s){words}"):
        model.fit(cov_type=cov_type, cov_kwds=cov_kwds, draws=5)


def test_just_identified_needs_one_cluster_more(frame):
    model = qb.QuasiBayesIV.from_formula("y ~ z1 + z2", frame)
    with pytest.raises(InputError, match=r"3 clusters.*4 clusters are needed"):
        model.fit(cov_type="cluster", cov_kwds={"groups": np.arange(200) % 3})


def test_order_of_time_is_checked(frame):
    shuffled = frame.sample(frac=1, random_state=0)
    model = qb.QuasiBayesIV.from_formula("y ~ [d ~ z1 + z2]", shuffled)
    with pytest.raises(InputError, match="in order of time"):
        model.fit(cov_type="HAC")
    holes = frame.copy()
    holes.loc[[4, 5], "z1"] = np.nan
    model = qb.QuasiBayesIV.from_formula("y ~ [d ~ z1 + z2]", holes)
    with pytest.raises(InputError, match="between the rows labelled 3 and 6"):
        model.fit(cov_type="HAC")


def test_clusters_do_not_depend_on_the_order_of_rows(frame):
    shuffled = frame.sample(frac=1, random_state=0)
    options = {"quasi_likelihood": "two-step", "cov_type": "cluster", "draws": 10}
    fits = [
        qb.QuasiBayesIV.from_formula("y ~ [d ~ z1 + z2]", data).fit(
            cov_kwds={"groups": groups}, **options
        )
        for data, groups in ((frame, "firm"), (shuffled, "firm"), (shuffled, frame["firm"]))
    ]
    for res in fits[1:]:
        assert np.allclose(res.params, fits[0].params, rtol=ROUNDING, atol=0)
        assert np.allclose(res.cov_params(), fits[0].cov_params(), rtol=1e-8, atol=0)


def test_groups_of_dropped_rows_are_left_out(frame):
    holes = frame.copy()
    holes.loc[[4, 50], "z1"] = np.nan
    holes.loc[4, "firm"] = np.nan
    options = {"quasi_likelihood": "two-step", "cov_type": "cluster", "draws": 10}
    model = qb.QuasiBayesIV.from_formula("y ~ [d ~ z1 + z2]", holes)
    whole = qb.QuasiBayesIV.from_formula("y ~ [d ~ z1 + z2]", frame.drop([4, 50]))
    expected = whole.fit(cov_kwds={"groups": "firm"}, **options).params
    for groups in ("firm", holes["firm"], holes["firm"].to_numpy()):
        ours = model.fit(cov_kwds={"groups": groups}, **options).params
        assert np.allclose(ours, expected, rtol=ROUNDING, atol=0)


def test_a_dummy_for_one_cluster_is_named(frame):
    frame = frame.assign(home=(frame["firm"] == 7) * 1.0)
    model = qb.QuasiBayesIV.from_formula("y ~ home + [d ~ z1 + z2]", frame)
    with pytest.raises(ImproperPosteriorError, match="outside cluster '7' of groups firm"):
        model.fit(cov_type="cluster", cov_kwds={"groups": "firm"})


def sparse_two_way(seed):
    rng = np.random.default_rng(seed)
    groups = rng.integers(0, 8, (2, 60)).T
    z = np.column_stack([np.ones(60), rng.standard_normal((60, 3))])
    x = np.column_stack([np.ones(60), z[:, 1] + z[:, 2] + rng.standard_normal(60)])
    model = qb.QuasiBayesIV(x @ [1, 0.5] + rng.standard_normal(60), x, z)
    return model, {"cov_type": "cluster", "cov_kwds": {"groups": groups}, "rng": 0}


@QUIET
def test_two_way_covariance_that_is_not_positive_definite():
    model, options = sparse_two_way(0)
    with pytest.raises(NumericalError, match="not positive definite at the two-stage"):
        model.fit(**options)
    model, options = sparse_two_way(1)
    with pytest.raises(NumericalError, match=r"at \d+ of 8000 proposals"):
        model.fit(**options)


@QUIET
def test_no_room_for_the_statistic(model, monkeypatch):
    monkeypatch.setattr(moment_sums, "fits_memory", lambda k, m: False)
    with pytest.raises(OptionError, match=r"'HAC'.*GB.*two-step"):
        model.fit(cov_type="HAC")
    assert model.fit(cov_type="HAC", quasi_likelihood="two-step", draws=5).summary()


def test_rows_are_not_an_evaluation_of_dependent_rows(model):
    with pytest.raises(OptionError, match="evaluated from a statistic only"):
        model.quasi_posterior(cov_type="HAC", evaluation="rows")
