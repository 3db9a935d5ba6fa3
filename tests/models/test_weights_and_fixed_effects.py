"""Weights and absorbed fixed effects against the same fits on data that are written out."""

import numpy as np
import pandas as pd
import pytest
from linearmodels.iv import IV2SLS, IVGMM
from linearmodels.iv.absorbing import AbsorbingLS

from qbeconometrics import QuasiBayesGMM, QuasiBayesIV, QuasiBayesLP, QuasiBayesM, datasets, losses
from qbeconometrics.exceptions import (
    InputError,
    OptionError,
    RankError,
    UnknownKeywordError,
)
from qbeconometrics.priors import Flat

# Of the promised agreement, in posterior sds.
CLOSE = 1e-8
FORMULA = "lwage ~ exper + expersq + black + [educ ~ nearc2 + nearc4]"
JUST = "lwage ~ exper + expersq + black + [educ ~ nearc4]"
EXACT = {"quasi_likelihood": "two-step", "draws": 10, "tune": 0, "chains": 1, "rng": 0}


@pytest.fixture(scope="module")
def card():
    data = datasets.load("card1995").head(900).copy()
    rng = np.random.default_rng(0)
    data["copies"] = rng.integers(1, 4, size=len(data))
    data["share"] = rng.uniform(0.2, 5.0, size=len(data))
    data["region"] = rng.integers(12, size=len(data))
    data["cohort"] = rng.integers(7, size=len(data))
    # Instruments so strong that no warning is due, and fixed effects that matter.
    for name in ("nearc2", "nearc4"):
        data[name] += 0.3 * data["educ"] + rng.normal(size=len(data))
    data["lwage"] += 0.3 * np.sin(data["region"]) + 0.2 * np.cos(data["cohort"])
    return data


def written_out(data):
    return data.loc[data.index.repeat(data["copies"])].reset_index(drop=True)


def assert_same_law(left, right, names=None):
    """Mean and covariance of two exactly normal quasi-posteriors."""
    names = list(left.params.index) if names is None else names
    sd = right.bse[names]
    np.testing.assert_allclose((left.params[names] - right.params[names]) / sd, 0, atol=CLOSE)
    scale = np.outer(sd, sd)
    difference = (left.cov_params() - right.cov_params()).loc[names, names] / scale
    np.testing.assert_allclose(difference, 0, atol=CLOSE)


def log_density(model, points, **options):
    """Log quasi-posterior at points in the units of the data."""
    posterior = model.quasi_posterior(**options)
    return posterior.target.evaluate(posterior.basis.to_scaled(points))[0] + posterior.log_constant


COVARIANCES = [
    {"cov_type": "HC0"},
    {"cov_type": "HC1"},
    {"cov_type": "nonrobust"},
    {"cov_type": "HC0", "cov_kwds": {"centered": True}},
    {"cov_type": "cluster", "cov_kwds": {"groups": "region"}},
]


@pytest.mark.parametrize("options", COVARIANCES, ids=lambda o: "-".join(map(str, o.values())))
def test_frequency_weights_are_repeated_rows(card, options):
    model = QuasiBayesIV.from_formula(FORMULA, card, weights="copies", weight_type="frequency")
    expanded = QuasiBayesIV.from_formula(FORMULA, written_out(card))
    fit, expected = (each.fit(**EXACT, **options) for each in (model, expanded))
    assert_same_law(fit, expected)
    assert fit.nobs == expected.nobs == card["copies"].sum()
    assert fit.df_resid == expected.df_resid
    assert fit.j_stat().value == pytest.approx(expected.j_stat().value, rel=1e-8)
    pd.testing.assert_frame_equal(fit.first_stage(), expected.first_stage(), rtol=1e-8)
    assert fit.record.prior == expected.record.prior
    # Away from the centre, where S is continuously updated.
    points = fit.params.to_numpy() + np.array([[1.0], [-2.0]]) * fit.bse.to_numpy()
    left, right = (log_density(each, points, **options) for each in (model, expanded))
    np.testing.assert_allclose(left, right, rtol=1e-8)


def test_probability_and_analytic_weights_of_whole_numbers_have_the_means_of_repeated_rows(card):
    expanded = QuasiBayesIV.from_formula(JUST, written_out(card), prior=Flat())
    expected = expanded.fit(**EXACT).params
    for kind in ("analytic", "probability"):
        model = QuasiBayesIV.from_formula(
            JUST, card, prior=Flat(), weights="copies", weight_type=kind
        )
        fit = model.fit(**EXACT)
        np.testing.assert_allclose(fit.params, expected, rtol=1e-8)
        assert fit.nobs == len(card)


@pytest.mark.parametrize(("cov_type", "other"), [("HC0", "robust"), ("nonrobust", "unadjusted")])
@pytest.mark.parametrize("formula", [JUST, FORMULA])
def test_analytic_weights_agree_with_linearmodels(card, cov_type, other, formula):
    model = QuasiBayesIV.from_formula(
        formula, card, prior=Flat(), weights="share", weight_type="aweight"
    )
    fit = model.fit(**EXACT, cov_type=cov_type)
    excluded = ["nearc4"] if formula == JUST else ["nearc2", "nearc4"]
    blocks = (
        card["lwage"],
        card[["exper", "expersq", "black"]].assign(Intercept=1.0),
        card[["educ"]],
        card[excluded],
    )
    # Its second step forms S from weighted residuals and weighted instruments too.
    expected = IVGMM(*blocks, weights=card["share"], weight_type=other).fit(cov_type=other)
    np.testing.assert_allclose(fit.params, expected.params[fit.params.index], rtol=1e-7)
    if formula == JUST:
        expected = IV2SLS(*blocks, weights=card["share"]).fit(cov_type=other)
        np.testing.assert_allclose(fit.bse, expected.std_errors[fit.bse.index], rtol=1e-7)


def test_scaling_the_weights_changes_nothing(card):
    fits = [
        QuasiBayesIV.from_formula(
            FORMULA, card, weights=factor * card["share"], weight_type="analytic"
        ).fit(**EXACT)
        for factor in (1.0, 1e6)
    ]
    assert_same_law(*fits)


def test_the_default_prior_is_on_the_weighted_scale(card):
    weighted, expanded = (
        QuasiBayesIV.from_formula(FORMULA, data, **options)
        for data, options in (
            (card, {"weights": "copies", "weight_type": "analytic"}),
            (written_out(card), {}),
        )
    )
    np.testing.assert_allclose(weighted.design.column_means, expanded.design.column_means)
    sds = (each.design.column_sds for each in (weighted, expanded))
    np.testing.assert_allclose(*sds, rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(weighted.prior.root, expanded.prior.root, rtol=1e-10)


# -- fixed effects --------------------------------------------------------------------------------


def dummied(ways):
    return " + ".join(f"C({way})" for way in ways)


@pytest.mark.parametrize("ways", [["region"], ["region", "cohort"]])
@pytest.mark.parametrize("cov_type", ["HC0", "HC1", "nonrobust"])
def test_absorbed_is_dummied_where_just_identified(card, ways, cov_type):
    model = QuasiBayesIV.from_formula(JUST, card, prior=Flat(), absorb=ways)
    written = QuasiBayesIV.from_formula(
        JUST.replace("~", f"~ {dummied(ways)} +", 1), card, prior=Flat()
    )
    fit, expected = (each.fit(**EXACT, cov_type=cov_type) for each in (model, written))
    assert list(fit.params.index) == ["exper", "expersq", "black", "educ"]
    assert_same_law(fit, expected)
    assert fit.df_resid == expected.df_resid
    tables = (each.first_stage() for each in (fit, expected))
    pd.testing.assert_frame_equal(*tables, rtol=1e-8)


@pytest.mark.parametrize("weights", [None, "share", "copies"])
@pytest.mark.parametrize("ways", [["region"], ["region", "cohort"]])
def test_absorbed_is_dummied_where_overidentified_and_errors_are_alike(card, ways, weights):
    kind = {"share": "analytic", "copies": "frequency"}.get(weights)
    options = {"prior": Flat(), "weights": weights, "weight_type": kind}
    model = QuasiBayesIV.from_formula(FORMULA, card, absorb=ways, **options)
    formula = FORMULA.replace("~", f"~ {dummied(ways)} +", 1)
    written = QuasiBayesIV.from_formula(formula, card, **options)
    fit, expected = (each.fit(**EXACT, cov_type="nonrobust") for each in (model, written))
    assert_same_law(fit, expected)
    assert fit.j_stat().value == pytest.approx(expected.j_stat().value, rel=1e-8)
    assert fit.j_stat().df == 1


def test_absorbed_is_demeaned_at_every_point(card):
    model = QuasiBayesIV.from_formula(FORMULA, card, absorb="region")
    columns = ["lwage", "exper", "expersq", "black", "educ", "nearc2", "nearc4"]
    within = card[columns] - card.groupby("region")[columns].transform("mean")
    formula = FORMULA.replace("~", "~ 0 +", 1)
    written = QuasiBayesIV.from_formula(formula, within)
    points = np.array([[0.1, -0.002, -0.2, 0.15], [0.0, 0.0, 0.1, -0.3]])
    for options in ({"quasi_likelihood": "cue"}, {"quasi_likelihood": "cue-nodet"}):
        left, right = (log_density(each, points, **options) for each in (model, written))
        np.testing.assert_allclose(left, right, rtol=1e-8)


def test_many_levels_agree_with_linearmodels(card):
    rng = np.random.default_rng(1)
    data = card.assign(
        firm=rng.integers(150, size=len(card)), town=rng.integers(90, size=len(card))
    )
    model = QuasiBayesIV.from_formula(
        "lwage ~ educ + exper + black", data, prior=Flat(), absorb=["firm", "town"]
    )
    fit = model.fit(**EXACT)
    expected = AbsorbingLS(
        data["lwage"],
        data[["educ", "exper", "black"]],
        absorb=data[["firm", "town"]].astype("category"),
    ).fit(cov_type="robust")
    np.testing.assert_allclose(fit.params, expected.params[fit.params.index], rtol=1e-7)
    np.testing.assert_allclose(fit.bse, expected.std_errors[fit.bse.index], rtol=1e-7)


def test_singletons_are_kept_and_counted(card):
    data = card.assign(region=card["region"].mask(np.arange(len(card)) < 3, -1 - card["region"]))
    alone = int((data.groupby("region")["lwage"].transform("size") == 1).sum())
    assert alone > 0
    fit = QuasiBayesIV.from_formula(JUST, data, prior=Flat(), absorb="region").fit(**EXACT)
    rest = data[data.groupby("region")["lwage"].transform("size") > 1]
    without = QuasiBayesIV.from_formula(JUST, rest, prior=Flat(), absorb="region").fit(**EXACT)
    assert_same_law(fit, without)
    assert fit.nobs == len(data)
    assert fit.df_resid == without.df_resid
    assert f"{alone} row" in fit.summary().as_text()
    assert "Absorbed:" in fit.summary().as_text()
    assert "singletons" not in without.summary().as_text()


# -- how they are given ---------------------------------------------------------------------------


def test_arrays_and_labels_give_the_same(card):
    options = {"prior": Flat(), "weight_type": "analytic"}
    expected = QuasiBayesIV.from_formula(
        FORMULA, card, weights="share", absorb="region", **options
    ).fit(**EXACT)
    shuffled = card.sample(frac=1.0, random_state=np.random.default_rng(2))
    series = QuasiBayesIV.from_formula(
        FORMULA, card, weights=shuffled["share"], absorb=shuffled["region"], **options
    ).fit(**EXACT)
    assert_same_law(series, expected)
    exog = card[["exper", "expersq", "black", "educ"]].assign(const=1.0)
    instrument = card[["exper", "expersq", "black", "nearc2", "nearc4"]].assign(const=1.0)
    for convert in (np.asarray, lambda frame: frame):
        arrays = QuasiBayesIV(
            *(convert(part) for part in (card["lwage"], exog, instrument)),
            weights=convert(card["share"]),
            absorb=convert(card["region"]),
            **options,
        ).fit(**EXACT)
        np.testing.assert_allclose(arrays.params, expected.params, rtol=1e-8)
        np.testing.assert_allclose(arrays.cov_params(), expected.cov_params(), rtol=1e-6)


def test_missing_weights_and_levels_drop_their_rows(card):
    data = card.assign(region=card["region"].astype(object))
    data.iloc[3, data.columns.get_loc("share")] = np.nan
    data.iloc[5, data.columns.get_loc("region")] = None
    data.iloc[7, data.columns.get_loc("educ")] = np.nan
    options = {"weights": "share", "weight_type": "analytic", "absorb": "region"}
    model = QuasiBayesIV.from_formula(FORMULA, data, **options)
    assert model.n_dropped == 3
    rest = QuasiBayesIV.from_formula(FORMULA, data.drop(data.index[[3, 5, 7]]), **options)
    assert_same_law(model.fit(**EXACT), rest.fit(**EXACT))
    with pytest.raises(InputError, match=r"weights is missing \(NaN\) in 1 row.*label 3"):
        QuasiBayesIV.from_formula(FORMULA, data, missing="raise", **options)
    # Groups given with the original length still find their rows.
    clusters = {"cov_type": "cluster", "cov_kwds": {"groups": data["cohort"].to_numpy()}}
    named = {"cov_type": "cluster", "cov_kwds": {"groups": "cohort"}}
    assert_same_law(model.fit(**EXACT, **clusters), model.fit(**EXACT, **named))


def test_gmm_from_a_formula_takes_them(card):
    options = {"weights": "share", "weight_type": "probability", "absorb": "region"}
    fits = [
        kind.from_formula(FORMULA, card, **options).fit(**EXACT)
        for kind in (QuasiBayesGMM, QuasiBayesIV)
    ]
    assert_same_law(*fits)
    text = fits[0].summary().as_text()
    assert "probability (share)" in text
    assert "region (12)" in text


def test_weighted_fits_sample_too(card):
    model = QuasiBayesIV.from_formula(
        FORMULA, card, weights="share", weight_type="analytic", absorb="region"
    )
    fit = model.fit("da-exact", draws=2000, rng=0)
    exact = model.fit(**EXACT)
    # Continuously updated against fixed weight: the same to first order.
    assert (abs(fit.params - exact.params) < exact.bse).all()


def with_value(card, column, value):
    data = card.copy()
    data[column] = data[column].astype(float)
    data.iloc[4, data.columns.get_loc(column)] = value
    return data


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"weights": "share"}, OptionError, "say what the weights are"),
        ({"weight_type": "analytic"}, OptionError, "without weights"),
        ({"weights": "share", "weight_type": "rank"}, OptionError, "weight_type='rank'"),
        ({"weights": "shar", "weight_type": "analytic"}, InputError, "Did you mean 'share'"),
        ({"weights": [1.0, 2.0], "weight_type": "analytic"}, InputError, "has 2 rows but the data"),
        ({"weights": "share", "weight_type": "frequency"}, InputError, "must be whole numbers"),
        ({"absorb": "regio"}, InputError, "absorb='regio' is not a column.*'region'"),
        ({"absorb": ["region", "cohort", "black"]}, InputError, "Give one or two ways"),
        ({"absorb": "black"}, RankError, "'black' of exog does not vary within .*black"),
        ({"absorb": "educ"}, RankError, "'educ' of exog does not vary within"),
        ({"absorb": "lwage"}, RankError, "endog 'lwage' does not vary"),
    ],
)
def test_bad_arguments_are_named(card, options, error, message):
    with pytest.raises(error, match=message):
        QuasiBayesIV.from_formula(FORMULA, card, **options)


@pytest.mark.parametrize("value", [0.0, -1.0])
def test_weights_that_are_not_positive_are_named(card, value):
    data = with_value(card, "share", value)
    with pytest.raises(InputError, match=r"'share' must be positive.*row label 4"):
        QuasiBayesIV.from_formula(FORMULA, data, weights="share", weight_type="analytic")


def test_too_many_repeated_rows_are_refused(card):
    data = with_value(card, "copies", 1e12)
    with pytest.raises(InputError, match=r"1e\+12 rows, more than fit.*weight_type='analytic'"):
        QuasiBayesIV.from_formula(FORMULA, data, weights="copies", weight_type="frequency")


def test_covariances_that_do_not_go_with_the_weights_are_refused(card):
    model = QuasiBayesIV.from_formula(FORMULA, card, weights="share", weight_type="probability")
    with pytest.raises(OptionError, match="probability weights do not make them"):
        model.fit(cov_type="nonrobust")
    model = QuasiBayesIV.from_formula(FORMULA, card, weights="copies", weight_type="frequency")
    with pytest.raises(OptionError, match="needs one row a period"):
        model.fit(cov_type="HAC")


def test_other_models_refuse_them_in_words(card):
    words = "are for linear moments: QuasiBayesIV"
    for build in (
        lambda: QuasiBayesM(card["lwage"], card[["educ"]], loss=losses.Squared(), weights=1),
        lambda: QuasiBayesLP(card["lwage"], card["educ"], horizon=2, absorb=1),
        lambda: QuasiBayesGMM(card["lwage"], momcond=print, k_params=1, weights=1),
    ):
        with pytest.raises(UnknownKeywordError, match=words):
            build()


def test_linearmodels_word_for_the_covariance_is_still_understood(card):
    with pytest.raises(UnknownKeywordError, match="Did you mean 'cov_type'"):
        QuasiBayesIV.from_formula(JUST, card).fit(weight_type="robust")


def test_predictions_need_their_own_regressors(card):
    model = QuasiBayesIV.from_formula(FORMULA, card, absorb="region")
    fit = model.fit(**EXACT)
    with pytest.raises(InputError, match="give exog"):
        model.predict(fit.params)
    new = card.head(3)
    columns = ["exper", "expersq", "black", "educ"]
    np.testing.assert_allclose(fit.predict(new), new[columns] @ fit.params[columns])
