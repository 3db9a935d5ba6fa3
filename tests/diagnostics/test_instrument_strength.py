"""First-stage statistics against stored numbers, brute force and invariances."""

import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import patsy
import pytest

from qbeconometrics import datasets
from qbeconometrics.diagnostics.instrument_strength import (
    effective_f_critical_value,
    first_stage,
)
from qbeconometrics.exceptions import NumericalWarning, OptionError

# The stored numbers come from normal equations on raw columns, which cost some digits.
REFERENCE_TOLERANCE = 1e-8
# Brute force and changes of basis on well-conditioned random data: only rounding.
ROUNDING_TOLERANCE = 1e-10
# Published critical values have two decimals in the statistic.
PUBLISHED_TOLERANCE = 0.01

FILES = {
    "ajr2001_table5.csv": "ajr2001",
    "ak1991_sub20000.csv": "ak1991_sub20000",
    "card1995.csv": "card1995",
    "cigarettes_sw.csv": "cigarettes_sw",
    "consump_annual.csv": "consump_annual",
    "griliches1976.csv": "griliches1976",
    "hsng1980.csv": "hsng1980",
    "meps.csv": "meps",
    "mroz1987.csv": "mroz1987",
    "wage_bn1992.csv": "wage_bn1992",
}
# Not embedded: a second file of the same 64 countries with two cells changed.
NOT_EMBEDDED = {"ajr2001_col1.csv"}
NUMBERS = ["partial_r2", "shea_r2", "f", "f_p_value", "f_robust", "f_robust_p_value"]
NUMBERS += ["effective_f", "effective_f_critical_value", "cragg_donald_f", "kleibergen_paap_f"]

REFERENCE_PATH = Path(__file__).parent.parent / "reference_values" / "reference_iv.json"
REFERENCE = json.loads(REFERENCE_PATH.read_text(encoding="utf-8"))["linear"]
SPECIFICATIONS = sorted(key for key, entry in REFERENCE.items() if entry["data"] in FILES)


def cigarette_differences(frame):
    logs = pd.DataFrame(
        {
            "state": frame["state"],
            "year": frame["year"],
            "lpacks": np.log(frame["packs"]),
            "lrprice": np.log(frame["price"] / frame["cpi"]),
            "lrincome": np.log(frame["income"] / frame["population"] / frame["cpi"]),
            "tdiff": (frame["taxs"] - frame["tax"]) / frame["cpi"],
            "rtax": frame["tax"] / frame["cpi"],
        }
    ).set_index("state")
    first, last = (logs[logs["year"] == year].drop(columns="year") for year in (1985, 1995))
    return (last - first).reset_index()


def prepared(dataset):
    frame = datasets.load(dataset)
    if dataset == "mroz1987":
        return frame[frame["inlf"] == 1]
    if dataset == "ajr2001":
        return frame[frame["baseco"] == 1]
    if dataset == "cigarettes_sw":
        return cigarette_differences(frame)
    if dataset == "ak1991_sub20000":
        quarters = {f"q{i}": (frame["qob"] == i) * 1 for i in (1, 2, 3)}
        cells = {
            f"q{i}_y{year}": ((frame["qob"] == i) & (frame["yob"] == year)) * 1
            for i in (1, 2, 3)
            for year in range(1930, 1940)
        }
        return frame.assign(**quarters, **cells)
    return frame


def design(formula, frame):
    """Blocks of "y ~ x + [d ~ z]" as frames: endogenous, controls, excluded."""
    used = [word for word in re.findall(r"[A-Za-z_]\w*", formula) if word in frame.columns]
    frame = frame.dropna(subset=list(dict.fromkeys(used)))
    _, controls, bracket = re.fullmatch(r"(.*?)~(.*)\+ \[(.*)\]", formula).groups()
    endogenous, excluded = bracket.split("~")
    return (
        patsy.dmatrix(f"{endogenous} - 1", frame, return_type="dataframe"),
        patsy.dmatrix(controls, frame, return_type="dataframe"),
        patsy.dmatrix(f"{excluded} - 1", frame, return_type="dataframe"),
    )


def tables(key):
    entry = REFERENCE[key]
    blocks = design(entry["formula"], prepared(FILES[entry["data"]]))
    assert len(blocks[0]) == entry["nobs"]
    names = list(blocks[0].columns)
    result = {
        cov_type: first_stage(*blocks, endogenous_names=names, cov_type=cov_type)
        for cov_type in ("nonrobust", "HC0", "HC1")
    }
    return result, entry, blocks


def assert_close(actual, desired, tolerance=REFERENCE_TOLERANCE):
    np.testing.assert_allclose(actual, desired, rtol=tolerance, atol=0.0)


def random_blocks(rng, *, nobs=200, q=3, n_excluded=4, p=2):
    """Heteroskedastic first stage with correlated instruments and controls."""
    controls = np.column_stack([np.ones(nobs), rng.standard_normal((nobs, q - 1))])
    excluded = rng.standard_normal((nobs, n_excluded)) + controls[:, 1:2]
    errors = rng.standard_normal((nobs, p)) * (0.5 + np.abs(excluded[:, :1]))
    slopes = rng.normal(0.2, 0.2, (n_excluded, p))
    endogenous = excluded @ slopes + controls @ rng.standard_normal((q, p)) + errors
    return endogenous, controls, excluded


def table_of(blocks, **options):
    names = [f"d{j}" for j in range(blocks[0].shape[1])]
    return first_stage(*blocks, endogenous_names=names, **options)


def test_every_stored_specification_is_used_or_listed_as_not_embedded():
    files = {entry["data"] for entry in REFERENCE.values()}
    assert files == set(FILES) | NOT_EMBEDDED
    assert len(SPECIFICATIONS) == 20


@pytest.mark.parametrize("key", SPECIFICATIONS)
def test_rank_statistics_equal_the_stored_ones(key):
    result, entry, _ = tables(key)
    for table in result.values():
        assert_close(table["cragg_donald_f"], entry["cragg_donald_f"])
    # The stored rk statistic is robust and has the small-sample factor in either case.
    for cov_type in ("HC0", "HC1"):
        assert_close(result[cov_type]["kleibergen_paap_f"], entry["kleibergen_paap_f"])


@pytest.mark.parametrize("key", SPECIFICATIONS)
def test_partial_r2_f_and_wald_equal_the_stored_ones(key):
    result, entry, blocks = tables(key)
    nobs = entry["nobs"]
    df_resid = nobs - blocks[1].shape[1] - blocks[2].shape[1]
    for name, row in result["HC0"].iterrows():
        robust = entry["first_stage_linearmodels_robust"][name]
        unadjusted = entry["first_stage_linearmodels_unadjusted"][name]
        assert_close(row["partial_r2"], robust["partial.rsquared"])
        assert_close(row["shea_r2"], robust["shea.rsquared"])
        # The stored Wald statistic is not divided by the number of instruments.
        assert_close(row["f_robust"] * row["n_excluded"], robust["f.stat"])
        assert_close(row["f_robust_p_value"], robust["f.pval"])
        # The stored F divides the residual sum of squares by n.
        assert_close(row["f"] * nobs / df_resid, unadjusted["f.stat"])


@pytest.mark.parametrize("key", [key for key in SPECIFICATIONS if "weak_iv_own" in REFERENCE[key]])
def test_partial_and_effective_f_equal_the_stored_ones(key):
    result, entry, _ = tables(key)
    own = entry["weak_iv_own"]
    for table in result.values():
        assert_close(table["f"], own["F_partial_iid"])
    for cov_type in ("HC0", "HC1"):
        assert_close(result[cov_type]["f_robust"], own[f"F_partial_{cov_type}"])
        assert_close(result[cov_type]["effective_f"], own[f"F_effective_MOP_{cov_type}"])


def residuals(columns, controls):
    return columns - controls @ np.linalg.lstsq(controls, columns, rcond=None)[0]


def kleibergen_paap_by_definition(regressors, instruments, slopes, slope_covariance, nobs):
    """Theorem 1 of Kleibergen and Paap (2006) with q = p - 1, on Kronecker products."""
    p = regressors.shape[1]
    left = np.linalg.cholesky(instruments.T @ instruments / nobs).T
    right = np.linalg.inv(np.linalg.cholesky(regressors.T @ regressors / nobs))
    theta = left @ slopes @ right.T
    covariance = np.kron(right, left) @ slope_covariance @ np.kron(right, left).T
    u, _, vt = np.linalg.svd(theta)
    u12, u22 = u[: p - 1, p - 1 :], u[p - 1 :, p - 1 :]
    eigenvalues, eigenvectors = np.linalg.eigh(u22 @ u22.T)
    root = eigenvectors @ np.diag(np.sqrt(eigenvalues)) @ eigenvectors.T
    left_complement = np.vstack([u12, u22]) @ np.linalg.solve(u22, root)
    right_complement = vt[-1:] * np.sign(vt[-1, -1])
    both = np.kron(right_complement, left_complement.T)
    gap = both @ theta.T.ravel()
    return gap @ np.linalg.solve(both @ covariance @ both.T, gap)


def brute_force(blocks, cov_type):
    """Statistics from explicit residuals, inverses and Kronecker products."""
    endogenous, controls, excluded = blocks
    nobs, p = endogenous.shape
    n_excluded = excluded.shape[1]
    df_resid = nobs - controls.shape[1] - n_excluded
    d, z = residuals(endogenous, controls), residuals(excluded, controls)
    inverse = np.linalg.inv(z.T @ z)
    slopes = inverse @ z.T @ d
    v = d - z @ slopes
    meat = np.zeros((p * n_excluded, p * n_excluded))
    for i in range(nobs):
        product = np.kron(v[i], z[i])
        meat += np.outer(product, product)
    if cov_type == "nonrobust":
        meat = np.kron(v.T @ v / df_resid, z.T @ z)
    bread = np.kron(np.eye(p), inverse)
    covariance = bread @ meat @ bread * (nobs / df_resid if cov_type == "HC1" else 1.0)
    rank = kleibergen_paap_by_definition(d, z, slopes, covariance, nobs)
    out = {"f": [], "f_robust": [], "shea_r2": [], "partial_r2": []}
    fitted = z @ slopes
    for j in range(p):
        own = covariance[j * n_excluded : (j + 1) * n_excluded][
            :, j * n_excluded : (j + 1) * n_excluded
        ]
        explained = fitted[:, j] @ fitted[:, j]
        out["f"].append(explained / n_excluded / (v[:, j] @ v[:, j] / df_resid))
        out["f_robust"].append(slopes[:, j] @ np.linalg.solve(own, slopes[:, j]) / n_excluded)
        out["partial_r2"].append(explained / (d[:, j] @ d[:, j]))
        others = np.delete(np.arange(p), j)
        own_part = residuals(d[:, [j]], d[:, others])[:, 0] if p > 1 else d[:, j]
        fit_part = residuals(fitted[:, [j]], fitted[:, others])[:, 0] if p > 1 else fitted[:, j]
        # Shea (1997): squared correlation of the two parts, of which the second is fitted.
        out["shea_r2"].append(fit_part @ fit_part / (own_part @ own_part))
    ratio = np.linalg.eigvals(np.linalg.solve(v.T @ v, fitted.T @ fitted)).real.min()
    out["cragg_donald_f"] = ratio * df_resid / n_excluded
    small_sample = df_resid / nobs if cov_type == "HC0" else 1.0
    out["kleibergen_paap_f"] = rank / n_excluded * small_sample
    if p == 1:
        out["effective_f"] = slopes[:, 0] @ z.T @ z @ slopes[:, 0]
        out["effective_f"] /= np.trace(covariance @ z.T @ z)
    return out


@pytest.mark.parametrize("cov_type", ["nonrobust", "HC0", "HC1"])
@pytest.mark.parametrize("p", [1, 2, 3])
def test_statistics_equal_brute_force(p, cov_type):
    for k in range(5):
        blocks = random_blocks(np.random.default_rng(k), p=p)
        table = table_of(blocks, cov_type=cov_type)
        for column, desired in brute_force(blocks, cov_type).items():
            assert_close(table[column], desired, ROUNDING_TOLERANCE)


def test_without_controls():
    endogenous, _, excluded = random_blocks(np.random.default_rng(1), p=2)
    blocks = endogenous, np.empty((len(excluded), 0)), excluded
    nobs, n_excluded = excluded.shape
    fitted = excluded @ np.linalg.lstsq(excluded, endogenous, rcond=None)[0]
    rest = np.sum((endogenous - fitted) ** 2, axis=0) / (nobs - n_excluded)
    f = np.sum(fitted**2, axis=0) / n_excluded / rest
    assert_close(table_of(blocks)["f"], f, ROUNDING_TOLERANCE)


def test_nonrobust_repeats_the_statistics_for_equal_variances():
    one = table_of(random_blocks(np.random.default_rng(2), p=1), cov_type="nonrobust")
    assert_close(one["f_robust"], one["f"], ROUNDING_TOLERANCE)
    assert_close(one["f_robust_p_value"], one["f_p_value"], ROUNDING_TOLERANCE)
    assert_close(one["effective_f"], one["f"], ROUNDING_TOLERANCE)
    assert_close(one["kleibergen_paap_f"], one["f"], ROUNDING_TOLERANCE)
    two = table_of(random_blocks(np.random.default_rng(2), p=2), cov_type="nonrobust")
    assert_close(two["kleibergen_paap_f"], two["cragg_donald_f"], ROUNDING_TOLERANCE)


def test_two_endogenous_regressors_have_no_effective_f():
    table = table_of(random_blocks(np.random.default_rng(3), p=2))
    assert table["effective_f"].isna().all()
    assert table["effective_f_critical_value"].isna().all()
    assert (table["n_excluded"] == 4).all()
    assert table.index.tolist() == ["d0", "d1"]
    assert table.index.name == "endogenous"


@pytest.mark.parametrize("p", [1, 2])
def test_statistics_are_free_of_units_basis_and_row_order(p):
    rng = np.random.default_rng(4)
    endogenous, controls, excluded = random_blocks(rng, p=p)
    expected = table_of((endogenous, controls, excluded))
    units = 10.0 ** np.array([-6.0, 0.0, 3.0, 6.0])
    order = rng.permutation(len(endogenous))
    mixed = excluded @ rng.standard_normal((4, 4)) + controls @ rng.standard_normal((3, 4))
    changes = {
        "units of instruments": (endogenous, controls, excluded * units),
        "units of regressors": (endogenous * units[-p:], controls, excluded),
        "units of controls": (endogenous, controls * units[:3], excluded),
        "basis of instruments": (endogenous, controls, mixed),
        "regressors moved by controls": (endogenous + controls[:, -p:], controls, excluded),
        "row order": (endogenous[order], controls[order], excluded[order]),
    }
    for name, blocks in changes.items():
        actual = table_of(blocks)
        np.testing.assert_allclose(
            actual[NUMBERS], expected[NUMBERS], rtol=ROUNDING_TOLERANCE, err_msg=name
        )


def test_instruments_not_partialled_out_give_another_effective_f():
    """The fault of a published routine: the raw second moment of the instruments."""
    result, entry, blocks = tables("card_over")
    d, controls, z = (block.to_numpy() for block in blocks)
    both = np.column_stack([z, controls])
    slopes = np.linalg.lstsq(both, d, rcond=None)[0]
    v = d - both @ slopes
    bread = np.linalg.inv(both.T @ both)
    covariance = bread @ ((both * v).T @ (both * v)) @ bread
    raw, own = z.T @ z, slopes[:2, 0]
    wrong = own @ raw @ own / np.trace(covariance[:2, :2] @ raw)
    right = entry["weak_iv_own"]["F_effective_MOP_HC0"]
    assert_close(result["HC0"]["effective_f"], right)
    assert abs(wrong / right - 1.0) > 0.5


def test_centring_changes_nothing_and_must_be_a_truth_value():
    blocks = random_blocks(np.random.default_rng(7))
    pd.testing.assert_frame_equal(table_of(blocks, centered=True), table_of(blocks))
    with pytest.raises(OptionError, match="centered"):
        table_of(blocks, centered="yes")


@pytest.mark.parametrize(
    ("bias", "published"), [(0.05, 37.42), (0.10, 23.11), (0.20, 15.06), (0.30, 12.05)]
)
def test_critical_value_of_one_instrument_is_the_published_one(bias, published):
    value = effective_f_critical_value([[2.0]], bias=bias)
    assert abs(value - published) < PUBLISHED_TOLERANCE


def test_critical_value_matches_simulation():
    """Weights, not Patnaik's approximation: the quadratic form is drawn directly."""
    rng = np.random.default_rng(9)
    eigenvalues = np.array([4.0, 2.0, 1.0, 1.0])
    # All strength on the noisiest instrument is the least favourable direction.
    mean = np.array([np.sqrt(10.0 * eigenvalues.sum()), 0.0, 0.0, 0.0])
    draws = mean + rng.standard_normal((400_000, 4)) * np.sqrt(eigenvalues)
    effective = np.sum(draws**2, axis=1) / eigenvalues.sum()
    value = effective_f_critical_value(np.diag(eigenvalues))
    # The approximation is good to about half a point of probability.
    assert abs(np.mean(effective > value) - 0.05) < 0.005


def test_critical_value_is_free_of_scale_and_grows_with_unequal_variances():
    equal = effective_f_critical_value(np.eye(3))
    assert_close(effective_f_critical_value(7.0 * np.eye(3)), equal, ROUNDING_TOLERANCE)
    unequal = effective_f_critical_value(np.diag([10.0, 1.0, 1.0]))
    assert equal < unequal < effective_f_critical_value([[1.0]])


@pytest.mark.parametrize("argument", ["bias", "level"])
@pytest.mark.parametrize("value", [0.0, 1.0, -0.1, float("nan")])
def test_critical_value_refuses_numbers_outside_the_unit_interval(argument, value):
    with pytest.raises(OptionError, match=argument):
        effective_f_critical_value([[1.0]], **{argument: value})


def test_instrument_of_a_single_row_gives_nan_and_a_warning():
    """Its row is fitted exactly, so without controls its score is zero in every row."""
    endogenous, _, excluded = random_blocks(np.random.default_rng(12), p=1)
    spike = np.zeros((len(excluded), 1))
    spike[3] = 1.0
    with pytest.warns(NumericalWarning, match="first stage of 'd0' is singular"):
        table = table_of((endogenous, excluded[:, :0], np.hstack([excluded, spike])))
    assert table[["f_robust", "f_robust_p_value", "kleibergen_paap_f"]].isna().all(axis=None)
    assert np.isfinite(table[["f", "effective_f", "cragg_donald_f"]]).all(axis=None)
