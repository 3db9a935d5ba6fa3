"""Default fits on real data, evaluations that agree, and J."""

import numpy as np
import pandas as pd
import pytest
from scipy.optimize import minimize

import qbeconometrics as qb
from qbeconometrics.exceptions import OptionError
from qbeconometrics.models.fit_options import sample_options
from qbeconometrics.sampling.run import sample

# What the default fit of a weakly identified problem promises.
SMALLEST_BULK, SMALLEST_TAIL = 1_500, 1_000
J_ROUNDING = 1e-8
# BFGS stops at gradients of 1e-6, so its minimum is right to about 1e-12.
MINIMISED = 1e-7


@pytest.fixture(scope="module")
def ajr():
    frame = qb.datasets.load("ajr2001").query("baseco == 1")
    return qb.QuasiBayesIV.from_formula("logpgp95 ~ [avexpr ~ logem4]", frame)


@pytest.fixture(scope="module")
def over():
    """Over-identified and mis-specified a little: J is clearly above zero."""
    rng = np.random.default_rng(51)
    n = 200
    z = rng.standard_normal((n, 3))
    error = rng.standard_normal(n)
    x = z.sum(axis=1) + error + rng.standard_normal(n)
    y = 1 + 0.5 * x + error * (1 + 0.5 * np.abs(z[:, 0])) + 0.2 * z[:, 2]
    ones = np.ones(n)
    return y, np.column_stack([ones, x]), np.column_stack([ones, z])


@pytest.mark.filterwarnings("ignore::qbeconometrics.exceptions.TailWarning")
@pytest.mark.filterwarnings("ignore::qbeconometrics.exceptions.WeakInstrumentWarning")
@pytest.mark.parametrize("rng", range(5))
def test_weak_instruments_mix_by_default(ajr, rng):
    res = ajr.fit(rng=rng)
    assert res.draws.shape == (4, 2_000, 2)
    assert res.ess()["bulk"].min() > SMALLEST_BULK
    assert res.ess()["tail"].min() > SMALLEST_TAIL


@pytest.mark.filterwarnings("ignore::qbeconometrics.exceptions.WeakInstrumentWarning")
@pytest.mark.parametrize(
    "formula",
    [
        "lwage ~ exper + expersq + black + south + smsa + [educ ~ nearc4]",
        "lwage ~ exper + expersq + black + south + smsa + [educ ~ nearc2 + nearc4]",
    ],
)
def test_card_converges_by_default(formula):
    res = qb.QuasiBayesIV.from_formula(formula, qb.datasets.load("card1995")).fit(rng=0)
    assert res.rhat().max() < 1.01
    assert res.nobs == 3_010


@pytest.mark.parametrize("kind", ["cue", "cue-nodet"])
@pytest.mark.parametrize("kwds", [{}, {"cov_type": "HC1", "cov_kwds": {"centered": True}}])
def test_statistic_and_rows_give_the_same_draws(over, kind, kwds):
    model = qb.QuasiBayesIV(*over)
    options = sample_options(
        sampler="da-exact", draws=500, tune=100, chains=2, cores=1, rng=3,
        sampler_kwds={"df": 5, "rho": 0}, progressbar=False,
    )  # fmt: skip
    draws = [
        sample(
            model.quasi_posterior(quasi_likelihood=kind, evaluation=evaluation, **kwds), options
        ).draws
        for evaluation in ("statistic", "rows")
    ]
    # Independence-type proposals do not add rounding up; no decision differs.
    assert np.max(np.abs(draws[0] - draws[1])) < 1e-7


def test_evaluation_is_checked(ajr):
    with pytest.raises(OptionError, match="evaluation='fast'"):
        ajr.quasi_posterior(evaluation="fast")


def test_given_weight_in_closed_form(over):
    """Mean (G'WG)^-1 G'W Z'y/n and covariance (eta n G'WG)^-1 under a flat prior."""
    y, x, z = over
    n = len(y)
    root = np.random.default_rng(1).standard_normal((4, 4))
    for given, W in (("identity", np.eye(4)), (root @ root.T + np.eye(4),) * 2):
        res = qb.QuasiBayesIV(*over, prior=qb.priors.Flat()).fit(
            quasi_likelihood="two-step", weight_matrix=given, learning_rate=0.5, draws=10
        )
        G = z.T @ x / n
        curvature = G.T @ W @ G
        assert np.allclose(res.params, np.linalg.solve(curvature, G.T @ W @ z.T @ y / n), rtol=1e-9)
        assert np.allclose(res.cov_params(), np.linalg.inv(0.5 * n * curvature), rtol=1e-9)


def test_weight_frame_is_taken_as_numbers_when_in_order(over):
    y, x, z = over
    names = ["const", "a", "b", "c"]
    frame = pd.DataFrame(np.diag([1.0, 2.0, 3.0, 4.0]), index=names, columns=names)
    exog, instrument = pd.DataFrame(x, columns=["const", "x"]), pd.DataFrame(z, columns=names)
    model = qb.QuasiBayesIV(y, exog, instrument)
    fits = [
        model.fit(quasi_likelihood="two-step", weight_matrix=W, draws=10)
        for W in (frame, frame.to_numpy())
    ]
    assert np.array_equal(fits[0].params, fits[1].params)


class TestJ:
    @staticmethod
    def criterion(data, theta, *, at=None, centered=False):
        """n g'S^-1 g with S at `at`, or at theta."""
        y, x, z = data
        scores = z * (y - x @ (theta if at is None else at))[:, None]
        if centered:
            scores = scores - scores.mean(axis=0)
        g = z.T @ (y - x @ theta) / len(y)
        return len(y) * g @ np.linalg.solve(scores.T @ scores / len(y), g)

    @pytest.mark.parametrize("centered", [False, True])
    def test_two_step(self, over, centered):
        y, x, z = over
        projected = z @ np.linalg.lstsq(z, x, rcond=None)[0]
        first = np.linalg.lstsq(projected, y, rcond=None)[0]
        value = minimize(
            lambda theta: self.criterion(over, theta, at=first, centered=centered), first, tol=1e-10
        ).fun
        j = qb.QuasiBayesIV(*over).j_stat(centered=centered)
        assert j.value == pytest.approx(value, rel=J_ROUNDING)
        assert j.df == 2
        assert 0 < j.pvalue < 1

    @pytest.mark.parametrize("centered", [False, True])
    def test_cue(self, over, centered):
        model = qb.QuasiBayesIV(*over)
        start = model.fit(quasi_likelihood="two-step", draws=10).params
        found = minimize(
            lambda theta: self.criterion(over, theta, centered=centered),
            start,
            method="Nelder-Mead",
            options={"xatol": 1e-9, "fatol": 1e-12, "maxfev": 5_000},
        )
        j = model.j_stat("cue", centered=centered)
        assert j.value == pytest.approx(found.fun, rel=MINIMISED)

    def test_centring_relation(self, over):
        """J_c = J_u / (1 - J_u / n) for the continuously updated criterion."""
        model = qb.QuasiBayesIV(*over)
        uncentred, centred = (model.j_stat("cue", centered=c).value for c in (False, True))
        n = len(over[0])
        assert centred == pytest.approx(uncentred / (1 - uncentred / n), rel=MINIMISED)

    def test_hc1_is_smaller_by_its_factor(self, over):
        model = qb.QuasiBayesIV(*over)
        n = len(over[0])
        for weight, tolerance in (("two-step", J_ROUNDING), ("cue", MINIMISED)):
            expected = model.j_stat(weight).value * (n - 2) / n
            assert model.j_stat(weight, cov_type="HC1").value == pytest.approx(
                expected, rel=tolerance
            )

    def test_nonrobust_is_sargan(self, over):
        y, x, z = over
        projected = z @ np.linalg.lstsq(z, x, rcond=None)[0]
        u = y - x @ np.linalg.lstsq(projected, y, rcond=None)[0]
        fitted = z @ np.linalg.lstsq(z, u, rcond=None)[0]
        sargan = len(y) * (fitted @ fitted) / (u @ u)
        j = qb.QuasiBayesIV(*over).j_stat(cov_type="nonrobust")
        assert j.value == pytest.approx(sargan, rel=J_ROUNDING)

    def test_exactly_identified(self, ajr):
        for weight in ("two-step", "cue"):
            j = ajr.j_stat(weight)
            assert j.df == 0
            assert abs(j.value) < J_ROUNDING
            assert np.isnan(j.pvalue)

    def test_prior_does_not_matter(self, over):
        tight = qb.QuasiBayesIV(*over, prior=qb.priors.Normal(5, 0.1))
        for weight in ("two-step", "cue"):
            assert tight.j_stat(weight) == qb.QuasiBayesIV(*over).j_stat(weight)

    def test_in_the_summary(self, over):
        res = qb.QuasiBayesIV(*over).fit(
            quasi_likelihood="two-step", cov_type="HC1", cov_kwds={"centered": True}, draws=10
        )
        j = res.j_stat()
        assert j == res.model.j_stat(cov_type="HC1", centered=True)
        text = " ".join(res.summary().as_text().split())
        assert f"J (df 2): {j.value:.4g} (p = {j.pvalue:.3f})" in text

    @pytest.mark.parametrize(
        ("options", "words"),
        [
            ({"weight": "three-step"}, "weight='three-step'"),
            ({"cov_type": "HC7"}, "cov_type='HC7'"),
            ({"centered": "yes"}, "centered"),
            ({"cov_kwds": {"centred": True}}, "'centred'.*'centered'"),
        ],
    )
    def test_bad_options(self, over, options, words):
        with pytest.raises(OptionError, match=words):
            qb.QuasiBayesIV(*over).j_stat(**options)
