"""Robust sets against stored ones, and against the definition of the statistic on a grid."""

import numpy as np
import pytest
from scipy import linalg, optimize, stats

import qbeconometrics as qb
from qbeconometrics.diagnostics.acceptance_sets import profiled_quadratic_set, quadratic_set
from qbeconometrics.exceptions import InputError, OptionError

# The stored ends were found by a root search to about 1e-10.
REFERENCE_TOLERANCE = 1e-6
# ivmodels inverts its test to a tolerance of its own.
CLR_TOLERANCE = 1e-4
SETS = {"nonrobust": "AR_set_95_iid_F", "HC0": "S_set_95_robust_chi2"}

ANGLES = np.linspace(-np.pi / 2, np.pi / 2, 100)[1:-1]


def stored(text):
    if text == "∅":
        return []
    return [tuple(map(float, part.strip(" []").split(","))) for part in text.split("U")]


def residual(columns, controls):
    return columns - controls @ np.linalg.lstsq(controls, columns)[0]


def holds(intervals, value):
    return any(low <= value <= high for low, high in intervals)


def simulated(strength, *, n=90, excluded=3, endogenous=1, seed=0):
    """Outcome, regressors, instruments: two controls, heteroskedastic errors, 9 and 6 groups."""
    rng = np.random.default_rng(seed)
    controls = np.column_stack([np.ones(n), rng.normal(2.0, 1.0, n)])
    z = rng.normal(size=(n, excluded)) + controls[:, 1:]
    common = rng.normal(size=n)
    errors = common[:, None] + rng.normal(size=(n, endogenous)) * (0.5 + np.abs(z[:, :1]))
    slopes = strength * (np.eye(excluded)[:, :endogenous] + 0.2)
    d = z @ slopes + controls @ rng.normal(size=(2, endogenous)) + errors
    y = d.sum(axis=1) + controls[:, 1] - common + rng.normal(size=n)
    return y, np.column_stack([controls, d]), np.column_stack([controls, z])


def statistic_by_definition(theta, y, x, z, kernel, centered=False, factor=1.0):
    """S with the controls projected off, the covariance summed over all pairs of rows."""
    controls = x[:, :2]
    error = residual(y - x[:, 2:] @ np.atleast_1d(theta), controls)
    scores = residual(z[:, 2:], controls) * error[:, None]
    gap = scores.sum(axis=0)
    if centered:
        scores = scores - scores.mean(axis=0)
    return gap @ np.linalg.solve(factor * scores.T @ kernel @ scores, gap)


def f_by_definition(theta, y, x, z):
    error = residual(y - x[:, 2:] @ np.atleast_1d(theta), x[:, :2])
    rest = residual(error, z)
    df, excluded = len(y) - z.shape[1], z.shape[1] - 2
    return (error @ error - rest @ rest) / excluded / (rest @ rest / df)


@pytest.mark.parametrize("cov_type", SETS)
def test_sets_equal_the_stored_ones(reference, frame_of, cov_type):
    kinds = set()
    for name, entry in reference.items():
        if entry["n_endog"] != 1:
            continue
        model = qb.QuasiBayesIV.from_formula(entry["formula"], frame_of(entry))
        found = model.robust_set(model.endogenous_names[0], cov_type=cov_type)
        expected = [tuple(map(float, ends)) for ends in entry["weak_iv_own"][SETS[cov_type]]]
        assert len(found) == len(expected), name
        np.testing.assert_allclose(found, expected, rtol=REFERENCE_TOLERANCE, err_msg=name)
        kinds.add((len(found), bool(np.isinf(found).any())))
    # Empty, bounded and disjoint unbounded sets are among them.
    assert kinds == {(0, False), (1, False), (2, True)}


def test_conditional_likelihood_ratio_sets_equal_the_stored_ones(reference, frame_of):
    for name, entry in reference.items():
        if entry["n_endog"] != 1:
            continue
        model = qb.QuasiBayesIV.from_formula(entry["formula"], frame_of(entry))
        found = model.robust_set(model.endogenous_names[0], cov_type="nonrobust", statistic="clr")
        expected = stored(entry["ivmodels_CLR_set_95"])
        assert len(found) == len(expected), name
        np.testing.assert_allclose(found, expected, rtol=CLR_TOLERANCE, err_msg=name)


def kernels(n):
    """Weights of pairs of rows, and the options that ask for them."""
    apart = np.abs(np.subtract.outer(np.arange(n), np.arange(n)))
    one, two = np.arange(n) // 5, np.arange(n) % 12

    def same(groups):
        return np.equal.outer(groups, groups).astype(float)

    bartlett = np.maximum(1.0 - apart / 5.0, 0.0)
    both = same(one) + same(two) - same(one) * same(two)
    return {
        "HC0": (np.eye(n), {"cov_type": "HC0"}),
        "HAC": (bartlett, {"cov_type": "HAC", "cov_kwds": {"maxlags": 4}}),
        "cluster": (same(one), {"cov_type": "cluster", "cov_kwds": {"groups": one}}),
        "two-way": (
            both,
            {"cov_type": "cluster", "cov_kwds": {"groups": np.column_stack([one, two])}},
        ),
    }


@pytest.mark.parametrize("centered", [False, True])
@pytest.mark.parametrize("rule", ["HC0", "HAC", "cluster", "two-way"])
@pytest.mark.parametrize("strength", [0.6, 0.1, 0.0])
def test_one_regressor_on_a_grid(strength, rule, centered):
    critical = stats.chi2.ppf(0.95, 3)
    for seed in range(3):
        y, x, z = simulated(strength, seed=seed)
        kernel, options = kernels(len(y))[rule]
        options = {
            **options,
            "cov_kwds": {**options.get("cov_kwds", {}), "centered": centered},
        }
        found = qb.QuasiBayesIV(y, x, z).robust_set("x2", **options)
        for b in [*np.linspace(-8, 8, 81), -1e4, 1e4]:
            value = statistic_by_definition(b, y, x, z, kernel, centered)
            # A two-way S need not be a covariance: then nothing is rejected.
            rejected = value > critical
            assert holds(found, b) != rejected or value < 0.0, (seed, b, value)
        for end in np.ravel(found):
            if np.isfinite(end) and rule != "two-way":
                value = statistic_by_definition(end, y, x, z, kernel, centered)
                assert value == pytest.approx(critical, rel=1e-6)


def test_hc1_scales_the_covariance():
    y, x, z = simulated(1.5)
    [(low, high)] = qb.QuasiBayesIV(y, x, z).robust_set("x2", cov_type="HC1")
    for end in (low, high):
        value = statistic_by_definition(end, y, x, z, np.eye(90), factor=90 / 87)
        assert value == pytest.approx(stats.chi2.ppf(0.95, 3), rel=1e-8)


@pytest.mark.parametrize("alpha", [0.05, 0.32])
@pytest.mark.parametrize("endogenous", [2, 3])
def test_projections_of_the_f_test(endogenous, alpha):
    kinds = set()
    for seed, strength in enumerate([1.5, 0.7, 0.3, 0.0]):
        y, x, z = simulated(strength, endogenous=endogenous, excluded=4, seed=seed)
        model = qb.QuasiBayesIV(y, x, z)
        critical = stats.f.ppf(1 - alpha, 4, len(y) - 6)
        for place in range(endogenous):
            found = model.robust_set(f"x{2 + place}", alpha=alpha, cov_type="nonrobust")

            def least(b, place=place, data=(y, x, z)):
                # Over the others, a ratio of quadratic forms has the smallest root of a pencil.
                y, x, z = data
                columns = np.column_stack([y - b * x[:, 2 + place], np.delete(x[:, 2:], place, 1)])
                columns = residual(columns, x[:, :2])
                rest = residual(columns, z)
                numerator = (columns.T @ columns - rest.T @ rest) / 4
                return linalg.eigvalsh(numerator, rest.T @ rest / (len(y) - 6))[0]

            for end in np.ravel(found):
                if np.isfinite(end):
                    assert least(end) == pytest.approx(critical, rel=1e-8)
            for b in (-3.0, 1.0, 6.0):
                assert holds(found, b) == (least(b) <= critical)
            kinds.add(bool(np.isinf(found).any()))
    assert kinds == {False, True}


@pytest.mark.parametrize("strength", [1.5, 0.4])
def test_projections_of_the_score_test(strength):
    critical = stats.chi2.ppf(0.95, 3)
    for seed in range(1):
        y, x, z = simulated(strength, endogenous=2, seed=seed)
        model = qb.QuasiBayesIV(y, x, z)
        for place in range(2):
            found = model.robust_set(f"x{2 + place}")

            def at(angle, b, place=place, data=(y, x, z)):
                theta = np.insert([1.0 + np.tan(angle)], place, b)
                return statistic_by_definition(theta, *data, np.eye(90))

            def least(b, at=at):
                middle = ANGLES[int(np.argmin([at(angle, b) for angle in ANGLES]))]
                return optimize.minimize_scalar(
                    at, bounds=(middle - 0.04, middle + 0.04), args=(b,), method="bounded"
                ).fun

            for end in np.ravel(found):
                if np.isfinite(end):
                    assert least(end) == pytest.approx(critical, rel=1e-4)
            for b in np.linspace(-4.0, 6.0, 5):
                assert holds(found, b) == (least(b) <= critical), (place, b)


def test_units_and_basis_of_instruments_do_not_matter():
    y, x, z = simulated(0.6)
    expected = qb.QuasiBayesIV(y, x, z).robust_set("x2")
    mixed = np.column_stack(
        [z[:, :2], z[:, 2:] @ np.random.default_rng(1).normal(size=(3, 3)) * 1e5]
    )
    scaled = x * np.array([1.0, 1.0, 1e-4])
    found = qb.QuasiBayesIV(1e3 * y, scaled, mixed).robust_set("x2")
    np.testing.assert_allclose(found, np.array(expected) * 1e7, rtol=1e-8)


def test_irrelevant_instruments_leave_the_whole_line():
    y, x, z = simulated(0.0, seed=0)
    for options in ({"cov_type": "HC0"}, {"cov_type": "nonrobust", "statistic": "clr"}):
        found = qb.QuasiBayesIV(y, x, z).robust_set("x2", alpha=0.001, **options)
        assert found == [(-np.inf, np.inf)]


def test_joint_p_values_follow_the_definition():
    y, x, z = simulated(0.5, endogenous=2)
    model = qb.QuasiBayesIV(y, x, z)
    theta = [0.7, 1.4]
    values = dict(zip(("x2", "x3"), theta, strict=True))
    f = f_by_definition(theta, y, x, z)
    score = statistic_by_definition(theta, y, x, z, np.eye(90))
    assert model.robust_pvalue(values, cov_type="nonrobust") == pytest.approx(
        stats.f.sf(f, 3, 85), rel=1e-9
    )
    assert model.robust_pvalue(values) == pytest.approx(stats.chi2.sf(score, 3), rel=1e-9)


@pytest.mark.parametrize("strength", [0.0, 1.0])
def test_p_values_are_uniform_however_weak_the_instruments(strength):
    """Exactly so under normal errors of one variance, given the instruments."""
    rng = np.random.default_rng(11)
    z = np.column_stack([np.ones(40), rng.normal(size=(40, 3))])
    found = []
    for _ in range(600):
        common = rng.normal(size=40)
        d = strength * z[:, 1] + common + 0.1 * rng.normal(size=40)
        model = qb.QuasiBayesIV(2.0 * d + common, np.column_stack([z[:, 0], d]), z)
        found.append(model.robust_pvalue(2.0, cov_type="nonrobust"))
    assert stats.kstest(found, "uniform").pvalue > 0.001
    # The set holds the truth just as often.
    found = np.array(found)
    assert abs(np.mean(found < 0.05) - 0.05) < 4 * np.sqrt(0.05 * 0.95 / len(found))


def test_quadratic_sets():
    inf = np.inf
    assert quadratic_set(np.diag([-1.0, -1.0])) == [(-inf, inf)]
    assert quadratic_set(np.diag([1.0, 1.0])) == []
    assert quadratic_set(np.array([[-2.0, -0.5], [-0.5, 0.0]])) == [(-inf, 2.0)]
    assert quadratic_set(np.array([[-2.0, 0.5], [0.5, 0.0]])) == [(-2.0, inf)]
    # v'Fv = b1^2 - b2^2 is negative for some b2 whatever b1 is.
    assert profiled_quadratic_set(np.diag([1.0, 1.0, -1.0]), 0) == [(-inf, inf)]
    assert profiled_quadratic_set(np.diag([-9.0, 1.0, 4.0]), 1) == [(-1.5, 1.5)]


def test_refusals():
    y, x, z = simulated(0.6, endogenous=3, excluded=4)
    model = qb.QuasiBayesIV(y, x, z)
    with pytest.raises(
        InputError, match=r"'x1' is not an endogenous regressor\. Robust sets are of: x2"
    ):
        model.robust_set("x1")
    with pytest.raises(OptionError, match="3 endogenous regressors are there for"):
        model.robust_set("x2")
    with pytest.raises(OptionError, match="one endogenous regressor, not 3"):
        model.robust_set("x2", cov_type="nonrobust", statistic="clr")
    with pytest.raises(OptionError, match="homoskedastic"):
        model.robust_set("x2", statistic="clr")
    with pytest.raises(OptionError, match="alpha"):
        model.robust_set("x2", alpha=5)
    with pytest.raises(OptionError, match="statistic='lm' is not known"):
        model.robust_set("x2", statistic="lm")
    with pytest.raises(InputError, match="no regressor is endogenous"):
        qb.QuasiBayesIV(y, x).robust_set("x2")
    with pytest.raises(InputError, match="needed is each of the endogenous regressors once"):
        model.robust_pvalue({"x2": 1.0})
    with pytest.raises(InputError, match="give a dict"):
        model.robust_pvalue(1.0)
    with pytest.raises(InputError, match="finite"):
        model.robust_pvalue({"x2": 1.0, "x3": np.nan, "x4": 0.0})
