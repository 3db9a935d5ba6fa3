"""What results of an error-correction model say, beside Johansen's estimate."""

import warnings

import numpy as np
import pandas as pd
import pytest
from statsmodels.tsa.vector_ar.vecm import VECM

import qbeconometrics as qb
from qbeconometrics.exceptions import (
    ConvergenceWarning,
    NormalizationWarning,
    QBEconometricsWarning,
)

FIT = {"draws": 800, "tune": 300, "cores": 1, "progressbar": False}
OPTIONS = {"k_ar_diff": 1, "deterministic": "ci"}


def simulate(beta=1.0, rows=300):
    """Spread y1 - beta y2 - 4 is stationary, y2 and y3 walk."""
    steps = np.random.default_rng(8).standard_normal((rows, 3))
    walks = steps[:, 1:].cumsum(axis=0)
    first = 4.0 + beta * walks[:, 0] + 0.5 * steps[:, 0]
    return pd.DataFrame(np.column_stack([first, walks]), columns=["bond", "bill", "oil"])


@pytest.fixture(scope="module")
def fitted():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return qb.QuasiBayesVECM(simulate(), **OPTIONS).fit(rng=0, **FIT)


def test_near_johansens_estimate_where_the_data_say_much(fitted):
    """And in the words of statsmodels, whose numbers are printed."""
    with warnings.catch_warnings():
        # Older versions of statsmodels use matrices, which NumPy warns of.
        warnings.simplefilter("ignore", PendingDeprecationWarning)
        johansen = VECM(simulate().to_numpy(), **OPTIONS).fit()
        errors = johansen.stderr_det_coef_coint, johansen.stderr_gamma
    table = fitted.johansen
    assert table.loc["beta.bill.ec1", "estimate"] == johansen.beta[1, 0]
    assert table.loc["const.ec1", "estimate"] == johansen.det_coef_coint[0, 0]
    assert table.loc["const.ec1", "se"] == errors[0][0, 0]
    assert table.loc["ec1.oil", "estimate"] == johansen.alpha[2, 0]
    assert table.loc["L1.bill.oil", "estimate"] == johansen.gamma[2, 1]
    assert table.loc["L1.bill.oil", "se"] == errors[1][2, 1]
    distance = (fitted.median - table["estimate"]) / table["se"]
    assert np.abs(distance).max() < 0.5
    assert np.abs(fitted.bse / table["se"] - 1.0).max() < 0.2
    np.testing.assert_allclose(fitted.beta["ec1"], [1.0, *fitted.median[:3]], rtol=1e-12)
    np.testing.assert_allclose(fitted.sigma_u, johansen.sigma_u, rtol=0.1, atol=0.02)


def test_tables_agree_with_draws(fitted):
    names = list(fitted.params.index)
    assert names[:4] == ["beta.bill.ec1", "beta.oil.ec1", "const.ec1", "ec1.bond"]
    assert fitted.params[:3].isna().all()
    assert fitted.bse[:3].isna().all()
    assert fitted.mcse()["mean"].isna().tolist() == [True] * 3 + [False] * 12
    assert fitted.cov_params().isna().to_numpy().sum() == 15**2 - 12**2
    np.testing.assert_allclose(fitted.params[3:], fitted.draws.mean(axis=(0, 1))[3:])
    beta, alpha = fitted.beta_draws, fitted.draws[..., 3:6]
    assert fitted.gamma.loc["oil", "L1.bill"] == fitted.params["L1.bill.oil"]
    assert fitted.alpha.loc["bill", "ec1"] == fitted.params["ec1.bill"]
    assert fitted.det_coef.shape == (3, 0)
    # The space of the normalised relations is the one that was drawn.
    relations = fitted.relations
    unit_free = np.linalg.solve(relations.to_levels, beta)
    unit_free /= np.linalg.norm(unit_free, axis=2, keepdims=True)
    np.testing.assert_allclose(np.abs(unit_free), np.abs(relations.spaces), atol=1e-9)
    assert alpha.shape == (4, 800, 3)
    projection = np.einsum("cdir,cdjr->ij", relations.spaces, relations.spaces) / 3200
    np.testing.assert_allclose(fitted.beta_projection, projection)
    assert np.trace(fitted.beta_projection) == pytest.approx(1.0)


def test_angles(fitted):
    at_mode = fitted.principal_angles()
    truth = fitted.principal_angles([1.0, -1.0, 0.0, -4.0])
    assert at_mode.shape == truth.shape == (4, 800, 1)
    assert np.median(at_mode) < 0.1
    assert np.median(truth) < 0.15
    assert np.median(fitted.principal_angles([[0.0], [0.0], [1.0], [0.0]])) > 1.2
    lengths = np.sum(fitted.beta_aligned * fitted.relations.mode, axis=(2, 3))
    np.testing.assert_allclose(lengths, np.cos(at_mode[..., 0]), atol=1e-12)


@pytest.mark.parametrize(
    ("beta", "words"),
    [
        ([1.0, 2.0], "4 rows"),
        (np.ones((4, 2)), "independent"),
        ([1.0, np.nan, 0.0, 0.0], "finite"),
        (["a"], "real numbers"),
    ],
)
def test_bad_spaces_to_compare_with(fitted, beta, words):
    with pytest.raises(qb.exceptions.InputError, match=words):
        fitted.principal_angles(beta)


def test_summary(fitted):
    text = str(fitted.summary(alpha=0.1))
    for words in (
        "Cointegrating relations", "Adjustment (alpha)", "Short run", "Johansen", "[0.05",
        "Rows from row label 2 to row label 299", "no check of either", "beta.bill.ec1",
        "weight of 1 observation",
    ):  # fmt: skip
        assert words in text
    row = next(line for line in text.splitlines() if line.startswith("beta.bill.ec1")).split()
    assert float(row[1]) == pytest.approx(fitted.median["beta.bill.ec1"], abs=1e-3)
    ends = fitted.conf_int(alpha=0.1).loc["beta.bill.ec1"]
    assert [float(word) for word in row[2:4]] == pytest.approx(list(ends), abs=1e-3)
    assert "<table" in fitted.summary().as_html()
    assert "tabular" in fitted.summary().as_latex()


def test_saved_and_loaded(fitted, tmp_path):
    fitted.save(tmp_path / "vecm.npz")
    loaded = qb.load(tmp_path / "vecm.npz")
    assert isinstance(loaded, type(fitted))
    assert str(loaded.summary()) == str(fitted.summary())
    np.testing.assert_array_equal(loaded.principal_angles(), fitted.principal_angles())


def test_a_weak_normalisation_is_said():
    """The relation is between bill and oil, and bond comes first."""
    data = simulate()
    swapped = data.set_axis(["bill", "oil", "bond"], axis=1)[["bond", "bill", "oil"]]
    with pytest.warns(NormalizationWarning, match="by 'bond' is weak"):
        res = qb.QuasiBayesVECM(swapped).fit(rng=0, **FIT)
    assert "Warning: The normalisation of beta by 'bond'" in str(res.summary())
    assert res.relations.opposite_share() > 0.1


def test_short_chains_are_said():
    with pytest.warns(ConvergenceWarning, match="ESS|R-hat"):
        qb.QuasiBayesVECM(simulate(), **OPTIONS).fit(rng=0, draws=50, tune=50, progressbar=False)


@pytest.mark.parametrize("rank", [0, 3])
def test_ranks_of_one_space(rank):
    """No relation, or as many as series: regressions, drawn independently."""
    data = simulate()
    res = qb.QuasiBayesVECM(data, coint_rank=rank, deterministic="co").fit(rng=0, draws=2000)
    assert res.record.sampler == "independent"
    changes, lagged = data.diff(), data.diff().shift(1)
    X = np.column_stack([lagged, np.ones(len(data)), *([data.shift(1)] if rank else [])])[2:]
    estimate = np.linalg.lstsq(X, changes[2:], rcond=None)[0]
    np.testing.assert_allclose(np.hstack([res.gamma, res.det_coef]), estimate[:4].T, atol=0.02)
    if rank:
        np.testing.assert_allclose(res.alpha, estimate[4:].T, atol=0.02)
        assert res.params.notna().all()
    else:
        with pytest.raises(qb.exceptions.OptionError, match="no cointegrating space"):
            res.principal_angles()
    assert "Short run" in str(res.summary())


def test_draws_depend_on_the_seed_alone():
    model = qb.QuasiBayesVECM(simulate(rows=80), k_ar_diff=0)
    short = {"draws": 30, "tune": 30, "chains": 3, "progressbar": False}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", QBEconometricsWarning)
        first, second = (model.fit(rng=4, cores=cores, **short) for cores in (1, 3))
    np.testing.assert_array_equal(first.draws, second.draws)
    tables = [
        model.compare_ranks(ranks, rng=4, cores=1, proposals=500, **short)
        for ranks in ([1, 2], [2])
    ]
    assert tables[0].loc[2, "mcse"] == tables[1].loc[2, "mcse"]


def test_what_does_not_apply_is_said(fitted):
    with pytest.raises(qb.exceptions.OptionError, match="does not apply to series"):
        fitted.predict()
    with pytest.raises(AttributeError, match="compare_ranks"):
        _ = fitted.llf
    assert (fitted.df_model, fitted.df_resid) == (4.0, 294.0)
