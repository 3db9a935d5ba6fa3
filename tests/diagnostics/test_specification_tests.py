"""Tests of endogeneity and of instruments: stored values, linearmodels, definitions."""

import numpy as np
import pytest
from linearmodels.iv import IV2SLS
from scipy import stats

import qbeconometrics as qb
from qbeconometrics.exceptions import IdentificationError, InputError, OptionError

REFERENCE_TOLERANCE = 1e-6
# linearmodels stops its minimisation early where the criterion is flat.
CUE_TOLERANCE = 1e-4
# Its CUE entry is no test of accuracy: the criterion is lower at infinity.
MISSPECIFIED = {"griliches_iq"}


def model_of(name, reference, frame_of):
    return qb.QuasiBayesIV.from_formula(reference[name]["formula"], frame_of(reference[name]))


def test_endogeneity_tests_equal_the_stored_ones(reference, frame_of):
    for name, entry in reference.items():
        table = model_of(name, reference, frame_of).endogeneity_test()
        for test in ("wu_hausman", "durbin"):
            stored = entry[test]
            actual = table.loc[test, ["statistic", "pvalue"]]
            np.testing.assert_allclose(
                actual, [stored["stat"], stored["pvalue"]], rtol=REFERENCE_TOLERANCE, err_msg=name
            )
            assert table.loc[test, "df"] == stored["df"]


def test_overidentification_tests_equal_the_stored_ones(reference, frame_of):
    keys = {"j_uncentered": "ivgmm2_robust", "j_centered": "ivgmm2_robust_centered"}
    checked = 0
    for name, entry in reference.items():
        if not entry.get("sargan"):
            continue
        table = model_of(name, reference, frame_of).overid_tests()
        expected = {test: entry[test]["stat"] for test in ("sargan", "basmann")}
        expected |= {test: entry[key]["j_stat"] for test, key in keys.items()}
        for test, value in expected.items():
            actual = table.loc[test, "statistic"]
            assert actual == pytest.approx(value, rel=REFERENCE_TOLERANCE), (name, test)
        if name not in MISSPECIFIED and "j_stat" in entry["ivgmmcue_robust"]:
            stored = entry["ivgmmcue_robust"]["j_stat"]
            actual = table.loc["cue_centered", "statistic"]
            assert actual == pytest.approx(stored, rel=CUE_TOLERANCE), name
            checked += 1
        plain, centered = table.loc[["cue_uncentered", "cue_centered"], "statistic"]
        if name not in MISSPECIFIED:
            assert centered == pytest.approx(plain / (1 - plain / entry["nobs"]), rel=1e-5), name
    assert checked > 8


def test_robust_score_of_linearmodels(reference, frame_of):
    for name in ("mroz_over", "griliches_s_iq"):
        entry = reference[name]
        frame = frame_of(entry)
        fit = IV2SLS.from_formula(entry["formula"], frame).fit(cov_type="robust")
        table = model_of(name, reference, frame_of).endogeneity_test()
        score = fit.wooldridge_score
        assert table.loc["robust_score", "statistic"] == pytest.approx(score.stat, rel=1e-8)
        assert table.loc["robust_score", "df"] == score.df


def two_stage(y, x, z):
    fitted = z @ np.linalg.lstsq(z, x)[0]
    return np.linalg.lstsq(fitted, y)[0]


@pytest.fixture
def mroz(frame_of, reference):
    return model_of("mroz_over3", reference, frame_of)


@pytest.mark.parametrize("centered", [False, True])
@pytest.mark.parametrize("suspects", [["huseduc"], ["motheduc", "huseduc"], ["exper"]])
def test_c_statistic_by_definition(mroz, suspects, centered):
    y, x, z = mroz.design.endog, mroz.design.exog, mroz.design.instrument
    kept = [j for j, name in enumerate(mroz.instrument_names) if name not in suspects]
    g = z * (y - x @ two_stage(y, x, z))[:, None]
    if centered:
        g = g - g.mean(axis=0)
    S = g.T @ g

    def criterion(columns):
        weight = np.linalg.inv(S[np.ix_(columns, columns)])
        A, b = z[:, columns].T @ x, z[:, columns].T @ y
        theta = np.linalg.solve(A.T @ weight @ A, A.T @ weight @ b)
        return (b - A @ theta) @ weight @ (b - A @ theta)

    found = mroz.c_stat(suspects, centered=centered)
    everything = list(range(z.shape[1]))
    np.testing.assert_allclose(
        [found.j_all, found.j_without, found.value],
        [criterion(everything), criterion(kept), criterion(everything) - criterion(kept)],
        rtol=1e-7,
        atol=1e-9,
    )
    assert (found.df, found.centered) == (len(suspects), centered)
    assert found.pvalue == pytest.approx(stats.chi2.sf(found.value, found.df))
    assert found.j_all == pytest.approx(mroz.j_stat(centered=centered).value)


def test_robust_score_under_clusters_by_definition(mroz):
    y, x, z = mroz.design.endog, mroz.design.exog, mroz.design.instrument
    groups = np.arange(len(y)) % 40

    def off(columns, regressors):
        return columns - regressors @ np.linalg.lstsq(regressors, columns)[0]

    added = off(off(x[:, -1], z), x)
    scores = np.bincount(groups, weights=added * off(y, x))
    table = mroz.endogeneity_test(cov_type="cluster", cov_kwds={"groups": groups})
    expected = scores.sum() ** 2 / (scores @ scores)
    assert table.loc["robust_score", "statistic"] == pytest.approx(expected, rel=1e-8)


def test_refusals(mroz, reference, frame_of):
    with pytest.raises(InputError, match=r"'husedc' is not an instrument\. Did you mean 'huseduc'"):
        mroz.c_stat("husedc")
    with pytest.raises(OptionError, match="suspects is empty"):
        mroz.c_stat([])
    with pytest.raises(IdentificationError, match="suspect at most 2"):
        mroz.c_stat(["huseduc", "motheduc", "fatheduc"])
    with pytest.raises(OptionError, match="centered"):
        mroz.c_stat("huseduc", centered="yes")
    just = model_of("ajr_col1", reference, frame_of)
    with pytest.raises(IdentificationError, match="exactly identified"):
        just.overid_tests()
    with pytest.raises(IdentificationError, match="nothing to test"):
        qb.QuasiBayesIV(just.design.endog, just.design.exog).endogeneity_test()
