"""Models from statistics: the draws of the model with all rows, whatever the cuts."""

import itertools
import json
import subprocess
import sys
import textwrap
import warnings

import numpy as np
import pandas as pd
import pytest

import qbeconometrics as qb
from qbeconometrics.exceptions import (
    FormulaError,
    IdentificationError,
    ImproperPosteriorError,
    InputError,
    InterruptedWarning,
    OptionError,
    QBEconometricsWarning,
    RankError,
)

FORMULA = "lwage ~ exper + expersq + black + south + [educ ~ nearc4 + nearc2]"
# So many draws that the model with rows evaluates from the statistic too, and its race between
# samplers is the same.
DRAWS = {"draws": 1000, "tune": 500, "chains": 4, "cores": 1, "rng": 5, "progressbar": False}
SDS = 1e-9  # distance of draws, in posterior standard deviations
RULES = {
    "HC0": {},
    "HC1": {"cov_type": "HC1"},
    "nonrobust": {"cov_type": "nonrobust"},
    "centred": {"cov_kwds": {"centered": True}},
    "HAC": {"cov_type": "HAC", "cov_kwds": {"maxlags": 3, "kernel": "parzen"}},
    "cluster": {"cov_type": "cluster", "cov_kwds": {"groups": "age"}},
}


@pytest.fixture(scope="module")
def data():
    return qb.datasets.load("card1995")


@pytest.fixture(scope="module")
def whole(data):
    return qb.QuasiBayesIV.from_formula(FORMULA, data)


def fit(model, **options):
    with warnings.catch_warnings():
        # Few draws never satisfy the checks of convergence.
        warnings.simplefilter("ignore", QBEconometricsWarning)
        return model.fit(**{**DRAWS, **options})


def pieces(data, blocks, seed=0):
    cuts = np.random.default_rng(seed).integers(1, len(data), size=blocks - 1)
    edges = np.unique(np.r_[0, len(data), cuts])
    return [slice(a, b) for a, b in itertools.pairwise(edges)]


def statistic(data, blocks, **rule):
    stat = qb.LinearMoments(FORMULA, **rule)
    for rows in pieces(data, blocks):
        stat.update(data.iloc[rows])
    return stat


def assert_same_draws(found, expected):
    assert found.record.sampler == expected.record.sampler
    distance = np.abs(found.draws - expected.draws) / expected.bse.to_numpy()
    assert distance.max() < SDS
    for word in ("acceptance_stage_1", "acceptance_stage_2"):
        stats = found.record.sampler_stats[word], expected.record.sampler_stats[word]
        assert np.array_equal(*stats), word


@pytest.mark.parametrize("quasi_likelihood", ["cue", "two-step"])
@pytest.mark.parametrize("name", RULES)
def test_draws_are_those_of_the_model_with_rows(data, whole, name, quasi_likelihood):
    expected = fit(whole, quasi_likelihood=quasi_likelihood, **RULES[name])
    for blocks in (1, 7):
        model = qb.QuasiBayesIV.from_moments(statistic(data, blocks, **RULES[name]))
        found = fit(model, quasi_likelihood=quasi_likelihood)
        assert_same_draws(found, expected)
        assert found.j_stat().value == pytest.approx(expected.j_stat().value, rel=1e-9)
        assert found.nobs == len(data)
        assert list(found.params.index) == list(expected.params.index)


@pytest.mark.parametrize("sampler", ["auto", "da", "da-exact", "rwm"])
def test_a_thousand_uneven_blocks_of_arrays(whole, sampler):
    design = whole.design
    stat = qb.LinearMoments(
        endog_name="lwage", exog_names=whole.exog_names, instrument_names=whole.instrument_names
    )
    for rows in pieces(design.endog, 1_000):
        stat.update((design.endog[rows], design.exog[rows], design.instrument[rows]))
    options = {"sampler": sampler}
    whole = qb.QuasiBayesIV.from_moments(
        qb.LinearMoments.from_arrays(
            design.endog,
            design.exog,
            design.instrument,
            endog_name="lwage",
            exog_names=whole.exog_names,
            instrument_names=whole.instrument_names,
        )
    )
    assert_same_draws(fit(qb.QuasiBayesIV.from_moments(stat), **options), fit(whole, **options))


def test_merged_shifted_stored_and_sent(data, whole, tmp_path):
    import pickle

    first, second = qb.LinearMoments(FORMULA), qb.LinearMoments(FORMULA)
    first.update(data.iloc[:1_000])
    second.update(data.iloc[1_000:1_004]).save(tmp_path / "second.npz")
    second = qb.LinearMoments.load(tmp_path / "second.npz").update(data.iloc[1_004:])
    second.shift(np.full(len(whole.exog_names), 0.5))
    assert np.array_equal(second.centre, np.full(len(whole.exog_names), 0.5))
    second.save(tmp_path / "second.npz")
    first.merge(pickle.loads(pickle.dumps(qb.LinearMoments.load(tmp_path / "second.npz"))))
    assert first.nobs == len(data)
    assert_same_draws(fit(qb.QuasiBayesIV.from_moments(first)), fit(whole))


@pytest.mark.parametrize("name", ["HC0", "HAC", "cluster"])
@pytest.mark.parametrize("rows", [5, 2_000])
def test_a_stored_statistic_goes_on_with_the_same_bits(data, tmp_path, name, rows):
    stat = qb.LinearMoments(FORMULA, **RULES[name]).update(data.iloc[:rows])
    stat.save(tmp_path / "stat.npz")
    again = qb.LinearMoments.load(tmp_path / "stat.npz")
    posteriors = [
        qb.QuasiBayesIV.from_moments(one.update(data.iloc[rows:])).quasi_posterior()
        for one in (stat, again)
    ]
    first, second = (posterior.target.arrays for posterior in posteriors)
    assert all(np.array_equal(first[key], second[key]) for key in first)


def test_torn_and_changed_files_are_refused(data, tmp_path):
    path = tmp_path / "stat.npz"
    qb.LinearMoments(FORMULA).update(data).save(path)
    written = path.read_bytes()
    for cut in (0, 10, len(written) // 2, len(written) - 1):
        path.write_bytes(written[:cut])
        with pytest.raises(InputError, match="not a complete file"):
            qb.LinearMoments.load(path)
    path.write_bytes(written)
    with np.load(path) as file:
        arrays = {name: file[name] for name in file.files}
    np.savez(path, **{**arrays, "cross_high": arrays["cross_high"] * (1 + 1e-15)})
    with pytest.raises(InputError, match="was changed"):
        qb.LinearMoments.load(path)
    header = json.loads(bytes(arrays["header"]))
    header["version"] = 99
    later = np.frombuffer(json.dumps(header).encode(), dtype=np.uint8)
    np.savez(path, **{**arrays, "header": later})
    with pytest.raises(InputError, match="later version"):
        qb.LinearMoments.load(path)
    np.savez(path, header=np.array([{"a": 1}], dtype=object), digest=arrays["digest"])
    with pytest.raises(InputError, match="not a complete file"):
        qb.LinearMoments.load(path)
    assert [one.name for one in tmp_path.iterdir()] == ["stat.npz"]


def test_missing_rows_are_counted(data, whole):
    gaps = data.copy()
    gaps.loc[gaps.index[[3, 900, 2_000]], "educ"] = np.nan
    stat = qb.LinearMoments(FORMULA)
    for rows in pieces(gaps, 5):
        stat.update(gaps.iloc[rows])
    expected = fit(qb.QuasiBayesIV.from_formula(FORMULA, gaps))
    found = fit(qb.QuasiBayesIV.from_moments(stat))
    assert stat.n_dropped == found.record.n_dropped == 3
    assert_same_draws(found, expected)
    with pytest.raises(InputError, match="missing"):
        qb.LinearMoments(FORMULA, missing="raise").update(gaps)


def test_sources_give_the_same_statistic(data, whole, tmp_path):
    data.to_csv(tmp_path / "data.csv", index=False)
    data.to_parquet(tmp_path / "data.parquet")
    design = whole.design
    arrays = []
    for name in ("endog", "exog", "instrument"):
        value = getattr(design, name)
        array = np.memmap(tmp_path / name, dtype=np.float64, mode="w+", shape=value.shape)
        array[:] = value
        arrays.append(array)
    named = {"exog_names": whole.exog_names, "instrument_names": whole.instrument_names}
    expected = fit(whole)
    for source in (tmp_path / "data.csv", tmp_path / "data.parquet", data, tuple(arrays)):
        stat = qb.LinearMoments(**named) if isinstance(source, tuple) else qb.LinearMoments(FORMULA)
        stat.update_from(source, block_rows=700, progressbar=False)
        assert_same_draws(fit(qb.QuasiBayesIV.from_moments(stat)), expected)


def test_progress_is_shown_in_rows(data, capsys):
    stat = qb.LinearMoments(FORMULA)
    stat.update_from(data, block_rows=700, progressbar=True)
    shown = capsys.readouterr().err
    assert "moments: 100%" in shown
    assert "3.01k/3.01k" in shown
    stat.update_from(iter([data[:1500], data[1500:]]), progressbar=False)
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("rule", [(), ("HAC", {"maxlags": 2}), ("cluster",)])
@pytest.mark.parametrize("rows", [20, 600])
def test_blocks_can_be_filled_again(rule, rows):
    """Arrays are not copied, and nothing is kept of them."""
    rng = np.random.default_rng(3)
    exog = np.column_stack([np.ones(rows), rng.standard_normal(rows)])
    # The last row has leverage, and is kept.
    exog[-1, 1] = 100.0
    endog, groups = rng.standard_normal(rows), np.arange(rows) // 5
    labels = groups if rule == ("cluster",) else None
    found, expected = qb.LinearMoments(None, *rule), qb.LinearMoments(None, *rule)
    expected.update((endog.copy(), exog.copy()), groups=labels)
    found.update((endog, exog), groups=labels)
    endog[:], exog[:], groups[:] = np.nan, -7.0, 0
    models = [qb.QuasiBayesIV.from_moments(stat) for stat in (found, expected)]
    one, two = (model.quasi_posterior().target.arrays for model in models)
    assert all(np.array_equal(one[key], two[key]) for key in one)


def test_clusters_of_arrays(data, whole):
    design = whole.design
    groups = data["age"].to_numpy()
    stat = qb.LinearMoments(cov_type="cluster")
    source = (design.endog, design.exog, design.instrument)
    stat.update_from(source, groups=groups, block_rows=777, progressbar=False)
    expected = fit(whole, cov_type="cluster", cov_kwds={"groups": groups})
    found = fit(qb.QuasiBayesIV.from_moments(stat))
    assert np.abs((found.draws - expected.draws) / expected.bse.to_numpy()).max() < SDS
    one = qb.LinearMoments.from_arrays(*source, cov_type="cluster", cov_kwds={"groups": groups})
    assert_same_draws(fit(qb.QuasiBayesIV.from_moments(one)), found)


def test_levels_are_learnt_first(data):
    frame = data.assign(place=np.where(data.south == 1, "south", "north")).sort_values("place")
    formula = "lwage ~ center(exper) + place + [educ ~ nearc4]"
    expected = qb.QuasiBayesIV.from_formula(formula, frame)
    with pytest.raises(FormulaError, match="`learn`"):
        qb.LinearMoments(formula).update_from(frame, block_rows=500, progressbar=False)
    stat = qb.LinearMoments(formula).learn(frame, block_rows=500)
    stat.update_from(frame, block_rows=500, progressbar=False)
    found = fit(qb.QuasiBayesIV.from_moments(stat))
    assert_same_draws(found, fit(expected))
    new = found.predict(frame.head(3))
    assert np.allclose(new, fit(expected).predict(frame.head(3)), rtol=1e-9)
    with pytest.raises(OptionError, match="has learnt"):
        stat.save("never.npz")


def test_an_interrupted_pass_is_resumed(data, whole, tmp_path):
    path = tmp_path / "stat.npz"

    def broken():
        yield data.iloc[:1_100]
        yield data.iloc[1_100:2_000]
        raise KeyboardInterrupt

    stat = qb.LinearMoments(FORMULA)
    with pytest.warns(InterruptedWarning, match="first 2,000 rows"):
        stat.update_from(broken, block_rows=500, checkpoint=path, progressbar=False)
    assert stat.unfinished == stat.nobs == 2_000
    with pytest.raises(InputError, match="resume=True"):
        qb.QuasiBayesIV.from_moments(stat)
    with pytest.raises(InputError, match="resume=True"):
        stat.update_from(data)
    for one in (stat, qb.LinearMoments.load(path)):
        one.update_from(data, resume=True, block_rows=500, checkpoint=path, progressbar=False)
        assert one.unfinished == 0
        assert_same_draws(fit(qb.QuasiBayesIV.from_moments(one)), fit(whole))
    assert qb.LinearMoments.load(path).nobs == len(data)


def test_a_block_that_fails_leaves_what_there_was(data):
    stat = qb.LinearMoments(FORMULA).update(data.iloc[:900])
    before = stat.moments
    bad = data.iloc[900:].astype({"exper": float})
    bad.iloc[7, bad.columns.get_loc("exper")] = np.inf
    with pytest.raises(InputError, match="'exper' of exog is infinite"):
        stat.update(bad)
    assert stat.moments is before
    assert stat.nobs == 900


CHILD = """
import os, signal, sys, threading, warnings
# A shell starts background jobs with the signal ignored.
signal.signal(signal.SIGINT, signal.default_int_handler)
import numpy as np
import qbeconometrics as qb
from qbeconometrics.exceptions import InterruptedWarning
rng = np.random.default_rng(0)
x = np.column_stack([np.ones(2_000), rng.standard_normal((2_000, 2))])
y = x.sum(axis=1) + rng.standard_normal(2_000)
def endless():
    for count in range(10**9):
        if count == 20:
            threading.Timer(0.02, os.kill, (os.getpid(), signal.SIGINT)).start()
        yield y, x
stat = qb.LinearMoments()
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    stat.update_from(endless(), progressbar=False)
assert [w.category for w in caught] == [InterruptedWarning], caught
assert stat.nobs == stat.unfinished >= 40_000 and stat.nobs % 2_000 == 0
total = stat.moments.cross.value[0, 0]
assert total == stat.nobs, (total, stat.nobs)
print("whole blocks")
"""


def test_a_real_interrupt_leaves_whole_blocks():
    run = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(CHILD)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert run.stdout == "whole blocks\n", run.stderr


def test_what_needs_rows_says_so(data):
    model = qb.QuasiBayesIV.from_moments(statistic(data, 3))
    with pytest.raises(OptionError, match="needs the rows"):
        model.first_stage(cov_type="HC0")
    with pytest.raises(OptionError, match="needs the rows"):
        model.quasi_posterior(evaluation="rows")
    with pytest.raises(InputError, match="holds no rows"):
        model.predict(np.zeros(6))
    for other in ({"cov_type": "HAC", "cov_kwds": {"maxlags": 2}}, {"cov_type": "cluster"}):
        with pytest.raises(OptionError):
            model.fit(**other)
    hac = qb.QuasiBayesIV.from_moments(statistic(data, 3, **RULES["HAC"]))
    with pytest.raises(OptionError, match="was added up for"):
        hac.fit(cov_type="HC0")
    with pytest.raises(OptionError, match="was added up for"):
        hac.fit(cov_type="HAC", cov_kwds={"maxlags": 7})


def test_first_stage_without_rows(data, whole):
    found = qb.QuasiBayesIV.from_moments(statistic(data, 4)).first_stage()
    expected = whole.first_stage(cov_type="nonrobust")
    # Products of instruments, outcome and residuals are not among the sums.
    assert np.isnan(found["effective_f_tsls_critical_value"]).all()
    both = [frame.drop(columns="effective_f_tsls_critical_value") for frame in (found, expected)]
    pd.testing.assert_frame_equal(*both, rtol=1e-9)


def test_names_can_be_given(data):
    stat = statistic(data, 2)
    names = {"endog": "y", "exog": list("abcdef")}
    model = qb.QuasiBayesIV.from_moments(stat, names=names, prior={"f": qb.priors.Normal(0, 1)})
    assert model.exog_names == list("abcdef")
    assert model.endog_names == "y"
    with pytest.raises(InputError, match="6 different names"):
        qb.QuasiBayesIV.from_moments(stat, names={"exog": ["a"]})
    with pytest.raises(OptionError, match="names"):
        qb.QuasiBayesIV.from_moments(stat, names={"instruments": []})


@pytest.mark.parametrize(
    ("columns", "error", "words"),
    [
        ("lwage ~ exper + black + I(2*black)", RankError, "linear combination of 'black'"),
        ("lwage ~ exper + I(0*exper)", RankError, "zero in every row"),
        ("I(0*lwage + 3) ~ exper", InputError, "same value in every row"),
        ("lwage ~ exper + I(2*lwage)", RankError, "exact linear combination"),
        ("lwage ~ [educ + exper ~ nearc4]", IdentificationError, "too few instruments"),
    ],
)
def test_bad_designs_are_named(data, columns, error, words):
    stat = qb.LinearMoments(columns).update(data.iloc[:100]).update(data.iloc[100:])
    with pytest.raises(error, match=words):
        qb.QuasiBayesIV.from_moments(stat)


def test_leverage_is_refused(data):
    alone = data.assign(only=(np.arange(len(data)) == 1_234) * 1.0)
    stat = qb.LinearMoments("lwage ~ exper + only")
    for rows in pieces(alone, 6):
        stat.update(alone.iloc[rows])
    model = qb.QuasiBayesIV.from_moments(stat)
    with pytest.raises(ImproperPosteriorError, match="row 1234"):
        model.fit()
    assert fit(model, cov_type="nonrobust").nobs == len(data)
    clustered = qb.LinearMoments(
        "lwage ~ exper + I(1.0 * (age == 30))", "cluster", {"groups": "age"}
    ).update(data)
    with pytest.raises(ImproperPosteriorError, match="outside cluster '30'"):
        qb.QuasiBayesIV.from_moments(clustered).fit()


def test_options_are_checked(data):
    with pytest.raises(OptionError, match="needs all rows at once"):
        qb.LinearMoments(FORMULA, "HAC")
    with pytest.raises(OptionError, match="'bartlett' or 'parzen'"):
        qb.LinearMoments(FORMULA, "HAC", {"maxlags": 3, "kernel": "quadratic-spectral"})
    with pytest.raises(OptionError, match="name of one column"):
        qb.LinearMoments(FORMULA, "cluster", {"groups": data["age"]})
    with pytest.raises(OptionError, match=r"update\(block, groups"):
        qb.LinearMoments(None, "cluster", {"groups": "age"})
    with pytest.raises(OptionError, match="groups of each block"):
        qb.LinearMoments(None, "cluster").update((np.ones(3), np.ones(3)))
    with pytest.raises(OptionError, match="do not go with"):
        qb.LinearMoments().update((np.ones(3), np.ones(3)), groups=[1, 2, 3])
    with pytest.raises(TypeError, match="LinearMoments has no keyword"):
        qb.LinearMoments(FORMULA, covtype="HC0")
    with pytest.raises(InputError, match="No row was added"):
        qb.QuasiBayesIV.from_moments(qb.LinearMoments(FORMULA).learn(data))
    with pytest.raises(InputError, match="takes a LinearMoments"):
        qb.QuasiBayesIV.from_moments(data)
    with pytest.raises(InputError, match="read only once"):
        qb.LinearMoments(FORMULA).learn(iter([data]))


def test_statistics_that_differ_do_not_merge(data):
    one = statistic(data, 1)
    with pytest.raises(InputError, match="columns are others"):
        one.merge(qb.LinearMoments("lwage ~ educ").update(data))
    with pytest.raises(OptionError, match="cov_type='HC0'"):
        one.merge(statistic(data, 1, cov_type="nonrobust"))
    with pytest.raises(InputError, match="not DataFrame"):
        one.merge(data)
    assert one.nobs == len(data)


def test_a_series_comes_in_order(data):
    dated = data.set_index(pd.date_range("1950-01-31", periods=len(data), freq="D"))
    stat = qb.LinearMoments(FORMULA, **RULES["HAC"]).update(dated.iloc[500:900])
    with pytest.raises(InputError, match="in order of time"):
        stat.update(dated.iloc[:500])
    early = qb.LinearMoments(FORMULA, **RULES["HAC"]).update(dated.iloc[:500])
    with pytest.raises(InputError, match="in order of time"):
        stat.merge(early)
    assert early.merge(stat).nobs == 900


def test_blocks_of_other_columns_are_refused():
    stat = qb.LinearMoments().update((np.arange(5.0), np.eye(5)[:, :2]))
    with pytest.raises(InputError, match="3 columns in this block but 2 before"):
        stat.update((np.arange(5.0), np.eye(5)[:, :3]))
    with pytest.raises(InputError, match="A block is"):
        stat.update(pd.DataFrame({"a": [1.0]}))
