"""User-written moments with serially correlated and clustered rows, and with one variance.

The same linear moments, written by hand and compiled, have to agree under every rule.
"""

import numpy as np
import pandas as pd
import pytest

import qbeconometrics as qb
from qbeconometrics.exceptions import InputError, NumericalError, OptionError
from qbeconometrics.kernels._gradient import log_density_and_gradient
from qbeconometrics.moments.lag_windows import andrews_bandwidth

# Both paths sum the same products in another order.
SAME = 1e-8
# A gradient this small, in standard deviations, is a step this short to the mode, and changes the
# log density by less than its rounding.
AT_MODE = 1e-7
# Monte Carlo standard errors; 4 parameters by 6 rules are compared.
ERRORS = 4.0
QUIET = pytest.mark.filterwarnings("ignore::qbeconometrics.exceptions.QBEconometricsWarning")

N = 200
RULES = {
    "HC0": ("HC0", {}),
    "HC1": ("HC1", {}),
    "nonrobust": ("nonrobust", {}),
    "bartlett": ("HAC", {"kernel": "bartlett", "maxlags": 3}),
    "bartlett, selected": ("HAC", {}),
    "parzen, selected": ("HAC", {"kernel": "parzen", "maxlags": "andrews"}),
    "parzen, long": ("HAC", {"kernel": "parzen", "maxlags": 45}),
    "quadratic-spectral": ("HAC", {"kernel": "qs", "maxlags": "andrews"}),
    "cluster": ("cluster", {"groups": "firm"}),
    "two-way": ("cluster", {"groups": ["firm", "year"]}),
}
EVERY_RULE = pytest.mark.parametrize("name", RULES)
CENTERED = pytest.mark.parametrize("centered", [False, True])


@pytest.fixture(scope="module")
def frame():
    """Over-identified, correlated along rows and within firms and years."""
    rng = np.random.default_rng(12)
    firm, year = rng.integers(0, 25, N), rng.integers(0, 20, N)
    error = rng.standard_normal(25)[firm] + rng.standard_normal(20)[year] + rng.standard_normal(N)
    z = rng.standard_normal((N, 2)) + rng.standard_normal((25, 2))[firm]
    z += 0.7 * rng.standard_normal((20, 2))[year]
    d = z.sum(axis=1) + error + rng.standard_normal(N)
    return pd.DataFrame(
        {
            "y": 1 + 0.5 * d + error,
            "const": 1.0,
            "d": d,
            "z1": z[:, 0],
            "z2": z[:, 1],
            "firm": firm,
            "year": year,
        }
    )


def linear(params, endog, exog, instrument):
    return instrument * (endog - exog @ params)[:, None]


def derivative(params, endog, exog, instrument):
    return -instrument.T @ exog / len(exog)


PRIOR = qb.priors.Normal(0.7, 0.5)


def by_hand(frame, **options):
    columns = frame["y"], frame[["const", "d"]], frame[["const", "z1", "z2"]]
    return qb.QuasiBayesGMM(*columns, **{"momcond": linear, "prior": PRIOR, **options})


def compiled(frame):
    return qb.QuasiBayesIV(
        frame["y"], frame[["const", "d"]], frame[["const", "z1", "z2"]], prior=PRIOR
    )


def options_of(frame, name, centered):
    cov_type, cov_kwds = RULES[name]
    groups = {key: frame[value] for key, value in cov_kwds.items() if key == "groups"}
    return {"cov_type": cov_type, "cov_kwds": {**cov_kwds, **groups, "centered": centered}}


@EVERY_RULE
@CENTERED
@pytest.mark.parametrize("quasi_likelihood", ["cue", "cue-nodet", "two-step"])
def test_same_log_density_mode_and_standard_errors(frame, name, centered, quasi_likelihood):
    options = {
        **options_of(frame, name, centered),
        "quasi_likelihood": quasi_likelihood,
        "learning_rate": 0.8,
    }
    one, two = by_hand(frame).quasi_posterior(**options), compiled(frame).quasi_posterior(**options)
    scaled = 3 * np.random.default_rng(0).standard_normal((20, 2))
    params = two.basis.to_params(scaled)
    values = [
        np.sum(p.target.evaluate(p.basis.to_scaled(params)), axis=0) + p.log_constant
        for p in (one, two)
    ]
    np.testing.assert_array_equal(*(np.isfinite(value) for value in values))
    usable = np.isfinite(values[0])
    assert usable.sum() > 10
    differences = [np.diff(value[usable]) for value in values]
    np.testing.assert_allclose(*differences, rtol=SAME, atol=SAME)

    # The compiled gradient is analytic: it vanishes where the mode is.
    mode = one.basis.to_params(one.find_mode().point)
    _, gradient = log_density_and_gradient(two.target, two.basis.to_scaled(mode))
    spread = two.surrogate_at(two.basis.to_scaled(mode)).root
    assert np.abs(spread.T @ gradient).max() < AT_MODE
    roots = [
        p.basis.regressor_map @ p.surrogate_at(p.basis.to_scaled(mode)).root for p in (one, two)
    ]
    errors = [np.sqrt(np.sum(root**2, axis=1)) for root in roots]
    np.testing.assert_allclose(*errors, rtol=SAME)


@EVERY_RULE
@CENTERED
def test_same_j(frame, name, centered):
    options = options_of(frame, name, centered)
    for weight in ("two-step", "cue"):
        ours, theirs = (m.j_stat(weight, **options) for m in (by_hand(frame), compiled(frame)))
        assert ours.value == pytest.approx(theirs.value, rel=SAME)
        assert (ours.df, theirs.df) == (1, 1)


@QUIET
@EVERY_RULE
def test_same_quasi_posterior_by_draws(frame, name):
    options = {**options_of(frame, name, False), "progressbar": False}
    ours = by_hand(frame, jac=derivative).fit("da-exact", draws=1500, tune=300, rng=1, **options)
    theirs = compiled(frame).fit(draws=20_000, rng=2, **options)
    for statistic, kind in ((ours.params, "mean"), (ours.bse, "sd")):
        other = theirs.params if kind == "mean" else theirs.bse
        error = np.hypot(ours.mcse()[kind], theirs.mcse()[kind])
        assert (np.abs(statistic.to_numpy() - other.to_numpy()) < ERRORS * error).all()
    assert ours.j_stat().value == pytest.approx(theirs.j_stat().value, rel=SAME)


@QUIET
@EVERY_RULE
def test_record_and_summary_say_what_was_done(frame, name):
    options = {**options_of(frame, name, True), "progressbar": False}
    fits = [
        model.fit("rwm", draws=20, tune=20, rng=0, **options)
        for model in (by_hand(frame), compiled(frame))
    ]
    kwds = [dict(res.record.cov_kwds) for res in fits]
    if "bandwidth" in kwds[1]:
        bandwidths = [one.pop("bandwidth") for one in kwds]
        assert bandwidths[0] == pytest.approx(bandwidths[1], rel=SAME)
    assert kwds[0] == kwds[1]
    notes = [[note for note in res.record.notes if note.startswith("HAC")] for res in fits]
    assert [note.replace("two-stage least squares", "first-step") for note in notes[1]] == notes[0]
    text = str(fits[0].summary())
    assert f"{RULES[name][0]} (centered)" in text
    assert ("Kernel:" in text) == (RULES[name][0] == "HAC")
    assert ("Clusters:" in text) == (RULES[name][0] == "cluster")


@QUIET
def test_lags_are_selected_at_the_first_step(frame):
    """Whatever the weight of the first step, and not from the mode of the quasi-posterior."""
    frame = frame.assign(y=frame["y"] + 2 * np.sin(np.arange(N) / 3))
    selected = []
    for weight, instruments in (("identity", np.eye(3)), (None, None)):
        model = by_hand(frame, first_step_weight=weight)
        note = model.fit(
            "rwm", draws=5, tune=5, rng=0, cov_type="HAC", cov_kwds={"maxlags": "andrews"}
        ).record.cov_kwds["bandwidth"]
        z = frame[["const", "z1", "z2"]].to_numpy()
        x, y = frame[["const", "d"]].to_numpy(), frame["y"].to_numpy()
        W = np.linalg.inv(z.T @ z) if instruments is None else instruments
        G = z.T @ x
        first = np.linalg.solve(G.T @ W @ G, G.T @ W @ (z.T @ y))
        expected = andrews_bandwidth(z * (y - x @ first)[:, None], "bartlett")
        assert note == pytest.approx(expected, rel=SAME)
        selected.append(expected)
    assert abs(selected[0] - selected[1]) > 1e-3


BAD = {
    "name of a column": ("cluster", {"groups": "firm"}, InputError, "'firm' names a column"),
    "too few": (
        "cluster",
        {"groups": np.arange(N) % 2},
        InputError,
        "2 clusters but there are 3 moments: .* fewer moments",
    ),
    "too few centred": (
        "cluster",
        {"groups": np.arange(N) % 3, "centered": True},
        InputError,
        "4 clusters are needed",
    ),
    "no groups": ("cluster", None, OptionError, "needs the clusters"),
    "too short": ("cluster", {"groups": np.arange(N - 1)}, InputError, "199 rows"),
    "more lags than rows": ("HAC", {"maxlags": N}, OptionError, "maxlags.*=200.*200 rows"),
    "kernel": ("HAC", {"kernel": "barlett"}, OptionError, "Did you mean 'bartlett'"),
}


@pytest.mark.parametrize(("cov_type", "cov_kwds", "error", "words"), BAD.values(), ids=BAD)
def test_bad_options(frame, cov_type, cov_kwds, error, words):
    with pytest.raises(error, match=f"(?s){words}"):
        by_hand(frame).fit(cov_type=cov_type, cov_kwds=cov_kwds, draws=5)
    with pytest.raises(error, match=f"(?s){words}"):
        by_hand(frame).j_stat(cov_type=cov_type, cov_kwds=cov_kwds)


def test_order_of_time_is_checked(frame):
    with pytest.raises(InputError, match="in order of time"):
        by_hand(frame.sample(frac=1, random_state=0)).quasi_posterior(cov_type="HAC")
    holes = frame.copy()
    holes.loc[[4, 5], "z1"] = np.nan
    model = by_hand(holes, missing="drop")
    with pytest.raises(InputError, match="between the rows labelled 3 and 6"):
        model.quasi_posterior(cov_type="HAC")


def test_groups_of_dropped_rows_are_left_out(frame):
    holes = frame.copy()
    holes.loc[[4, 50], "z1"] = np.nan
    expected = by_hand(frame.drop([4, 50]), prior=None).j_stat(
        cov_type="cluster", cov_kwds={"groups": frame["firm"].drop([4, 50])}
    )
    model = by_hand(holes, prior=None, missing="drop")
    for groups in (
        holes["firm"],
        holes["firm"].to_numpy(),
        holes["firm"].sample(frac=1, random_state=3),
    ):
        found = model.j_stat(cov_type="cluster", cov_kwds={"groups": groups})
        assert found.value == pytest.approx(expected.value, rel=SAME)


@QUIET
def test_two_way_covariance_that_is_not_positive_definite():
    def sparse(seed):
        rng = np.random.default_rng(seed)
        groups = rng.integers(0, 8, (2, 60)).T
        z = np.column_stack([np.ones(60), rng.standard_normal((60, 3))])
        x = np.column_stack([np.ones(60), z[:, 1] + z[:, 2] + rng.standard_normal(60)])
        y = x @ [1, 0.5] + rng.standard_normal(60)
        prior = qb.priors.Normal(0, 20)
        model = qb.QuasiBayesGMM(y, x, z, momcond=linear, prior=prior)
        return model, {"cov_type": "cluster", "cov_kwds": {"groups": groups}, "rng": 0}

    model, options = sparse(0)
    with pytest.raises(NumericalError, match="not positive definite, as may happen with two-way"):
        model.fit("rwm", progressbar=False, **options)
    model, options = sparse(1)
    with pytest.raises(NumericalError, match=r"not positive definite at \d+ of 8000 proposals"):
        model.fit("rwm", progressbar=False, **options)


def test_moments_that_have_no_single_residual(frame):
    def mixed(params, endog, exog, instrument):
        residual = endog - exog @ params
        return np.column_stack([instrument * residual[:, None], residual**2 - 3, exog, exog**2])

    model = by_hand(frame, momcond=mixed, prior=qb.priors.Normal(0, 1))
    with pytest.raises(OptionError, match="8 moments are not a multiple of 3 instruments"):
        model.fit(cov_type="nonrobust")
    bent = by_hand(frame, momcond=lambda p, y, x, z: linear(p, y, x, z) ** 3)
    with pytest.raises(OptionError, match=r"of row \d+ is not. Order the moments so, or use"):
        bent.fit(cov_type="unadjusted")


def test_regressors_are_instruments_where_there_are_none(frame):
    y, x = frame["y"], frame[["const", "d"]]
    model = qb.QuasiBayesGMM(y, x, momcond=lambda p, y, x, z: x * (y - x @ p)[:, None], prior=PRIOR)
    options = {"cov_type": "nonrobust", "quasi_likelihood": "two-step"}
    ours = model.quasi_posterior(**options)
    theirs = qb.QuasiBayesIV(y, x, prior=PRIOR).quasi_posterior(**options)
    np.testing.assert_allclose(
        ours.basis.to_params(ours.find_mode().point),
        theirs.basis.to_params(theirs.find_mode().point),
        rtol=SAME,
    )
