"""Statistics by cell on real data: Angrist and Krueger's men, with controls partialled out."""

import warnings

import numpy as np
import pandas as pd
import pytest

import qbeconometrics as qb
from qbeconometrics.datasets import angrist_krueger
from qbeconometrics.exceptions import InputError, OptionError, QBEconometricsWarning

QUARTERS = "(I(1.0 * (qob == 1)) + I(1.0 * (qob == 2)) + I(1.0 * (qob == 3)))"
FORMULA = f"lwage ~ C(yob) + [education ~ {QUARTERS}:C(yob)]"


@pytest.fixture(scope="module")
def data():
    return qb.datasets.load("ak1991_sub20000")


@pytest.fixture(scope="module")
def stat(data):
    found = qb.LinearMoments(FORMULA, compress=True)
    return found.learn(data).update_from(data, block_rows=3_000, progressbar=False)


def two_step(model):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", QBEconometricsWarning)
        return model.fit(quasi_likelihood="two-step", rng=0)


def test_there_are_as_many_cells_as_combinations(stat, data):
    assert len(stat.moments.sums) == len(data[["yob", "qob"]].drop_duplicates()) == 40
    assert stat.nobs == len(data)


def test_the_posterior_is_that_of_all_rows(stat, data):
    found = two_step(qb.QuasiBayesIV.from_moments(stat))
    expected = two_step(qb.QuasiBayesIV.from_formula(FORMULA, data))
    assert list(found.params.index) == list(expected.params.index)
    distance = np.abs(found.draws - expected.draws) / expected.bse.to_numpy()
    assert distance.max() < 1e-9


def test_two_step_gmm_with_controls_partialled_out(stat, data):
    """By residuals on the controls, without any code of the package."""
    model = qb.QuasiBayesIV.from_moments(stat, partial_out=True, prior=qb.priors.Flat())
    found = two_step(model)
    assert model.exog_names == ["education"]
    controls = pd.get_dummies(data["yob"], dtype=float).to_numpy()
    z = np.hstack([controls * (data["qob"] == q).to_numpy()[:, None] for q in (1, 2, 3)])
    columns = np.column_stack([data["lwage"], data["education"], z])
    columns -= controls @ np.linalg.lstsq(controls, columns, rcond=None)[0]
    y, d, z = columns[:, 0], columns[:, 1], columns[:, 2:]
    first = z @ np.linalg.lstsq(z, d, rcond=None)[0]
    scores = z * (y - d * (first @ y) / (first @ d))[:, None]
    a, weight = z.T @ d, np.linalg.inv(scores.T @ scores)
    estimate = (a @ weight @ (z.T @ y)) / (a @ weight @ a)
    assert found.params["education"] == pytest.approx(estimate, rel=1e-9)
    assert found.bse["education"] == pytest.approx((a @ weight @ a) ** -0.5, rel=1e-9)
    assert any("Partialled out" in note for note in found.record.notes)
    g = z.T @ (y - d * estimate)
    assert found.j_stat().value == pytest.approx(g @ weight @ g, rel=1e-8)


def test_partialling_out_does_not_need_cells(stat, data):
    plain = qb.LinearMoments(FORMULA).learn(data)
    plain.update_from(data, block_rows=7_000, progressbar=False)
    fits = [two_step(qb.QuasiBayesIV.from_moments(one, partial_out=True)) for one in (plain, stat)]
    assert np.abs((fits[0].draws - fits[1].draws) / fits[0].bse.to_numpy()).max() < 1e-9


def test_cells_are_stored_merged_and_sent(stat, data, tmp_path):
    first = qb.LinearMoments(FORMULA, compress=True).learn(data).update(data[:9_000])
    first.save(tmp_path / "stat.npz")
    again = qb.LinearMoments.load(tmp_path / "stat.npz").update(data[9_000:10_000])
    rest = qb.LinearMoments(FORMULA, compress=True).learn(data).update(data[10_000:])
    again.merge(rest)
    models = [qb.QuasiBayesIV.from_moments(one, partial_out=True) for one in (again, stat)]
    one, two = (model.quasi_posterior().target.arrays for model in models)
    assert all(np.allclose(one[key], two[key], rtol=1e-9, atol=1e-11) for key in one)
    with pytest.raises(OptionError, match="compress"):
        first.merge(qb.LinearMoments(FORMULA).learn(data).update(data[:500]))


def test_missing_values_and_single_rows(data):
    gaps = data.astype({"education": float}).copy()
    gaps.loc[gaps.index[[3, 50]], "education"] = np.nan
    gaps.loc[gaps.index[7], "qob"] = -1
    stat = qb.LinearMoments(FORMULA, compress=True).update(gaps)
    assert stat.n_dropped == 2
    bad = gaps.copy()
    bad.loc[bad.index[9], "education"] = np.inf
    with pytest.raises(InputError, match="'education' of exog is infinite"):
        stat.update(bad)
    assert stat.nobs == len(data) - 2


def test_what_cannot_be_compressed_is_refused(data):
    with pytest.raises(OptionError, match="compress=True needs a formula, and rows"):
        qb.LinearMoments(compress=True)
    with pytest.raises(OptionError, match="compress=True needs a formula, and rows"):
        qb.LinearMoments(FORMULA, "cluster", {"groups": "sob"}, compress=True)
    with pytest.raises(OptionError, match="needs brackets"):
        qb.LinearMoments("lwage ~ education", compress=True).update(data)
    stat = qb.LinearMoments(FORMULA, compress=True).update(data)
    with pytest.raises(OptionError, match="no centre"):
        stat.shift([0.0] * 11)
    plain = qb.LinearMoments("lwage ~ age").update(data)
    with pytest.raises(OptionError, match="none is endogenous"):
        qb.QuasiBayesIV.from_moments(plain, partial_out=True)


def test_the_full_sample_is_recognised(data, tmp_path, monkeypatch):
    path = tmp_path / "data.csv.gz"
    data.to_csv(path, index=False)
    with pytest.raises(InputError, match="20,000 rows; the full sample has 329,509"):
        qb.datasets.load_ak1991(path)
    monkeypatch.setattr(angrist_krueger, "ROWS", 20_000)
    with pytest.raises(InputError, match=r"'lwage'.* adds up to"):
        qb.datasets.load_ak1991(path)
    sums = {name: data[name].sum() for name in angrist_krueger.SUMS}
    monkeypatch.setattr(angrist_krueger, "SUMS", sums)
    assert list(qb.datasets.load_ak1991(path)) == list(data)
    data.drop(columns="sob").to_csv(path, index=False)
    with pytest.raises(InputError, match="no column 'sob'"):
        qb.datasets.load_ak1991(path)
