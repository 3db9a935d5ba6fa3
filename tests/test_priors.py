"""Priors as numbers: the default on the scale of the data, priors by name, and refusals."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import qbeconometrics as qb
from qbeconometrics.exceptions import ImproperPosteriorError, InputError, OptionError
from qbeconometrics.priors import Flat, Normal, StudentT

# Log densities of order ten, from matrices with condition numbers of a few hundred.
ROUNDING = 1e-9


@pytest.fixture
def frame():
    """Columns with means far from zero and different spreads."""
    rng = np.random.default_rng(11)
    n = 90
    return pd.DataFrame(
        {
            "y": 3.0 + 2.0 * rng.standard_normal(n),
            "a": 5.0 + rng.standard_normal(n),
            "b": -40.0 + 10.0 * rng.standard_normal(n),
            "two": 2.0,
            "g": rng.choice(["p", "q", "r"], n),
        }
    )


def prior_of(formula, frame, prior=None):
    return qb.QuasiBayesIV.from_formula(formula, frame, prior=prior).prior


def log_density(prior, theta):
    """Of a resolved prior, up to a constant."""
    centred = theta - prior.mean
    total = -0.5 * centred @ prior.precision @ centred
    term = ~np.isnan(prior.df)
    return total + np.sum(
        stats.t.logpdf(theta[term], prior.df[term], prior.loc[term], prior.scale[term])
    )


def assert_same_up_to_constant(prior, definition):
    """Compare log density differences at random points with those of the definition."""
    rng = np.random.default_rng(1)
    k = len(prior.mean)
    points = prior.mean + rng.standard_normal((20, k))
    ours = np.array([log_density(prior, theta) for theta in points])
    expected = np.array([definition(theta) for theta in points])
    gap = ours - expected
    assert np.ptp(gap) < ROUNDING * (1 + np.ptp(expected))


class TestDefault:
    def test_slopes_and_centred_intercept(self, frame):
        y, x = frame["y"], frame[["a", "b"]]

        def definition(theta):
            slopes = stats.norm.logpdf(theta[1:], 0, 2.5 * y.std(ddof=0) / x.std(ddof=0)).sum()
            centred = theta[0] + x.mean() @ theta[1:]
            return slopes + stats.norm.logpdf(centred, y.mean(), 2.5 * y.std(ddof=0))

        prior = prior_of("y ~ a + b", frame)
        assert prior.is_proper
        assert_same_up_to_constant(prior, definition)

    def test_without_constant_root_mean_squares(self, frame):
        y, x = frame["y"], frame[["a", "b"]]
        sd = 2.5 * np.sqrt((y**2).mean()) / np.sqrt((x**2).mean())
        prior = prior_of("y ~ a + b - 1", frame)
        assert_same_up_to_constant(prior, lambda theta: stats.norm.logpdf(theta, 0, sd).sum())

    def test_constant_column_equal_to_two(self, frame):
        """The intercept's prior is of the whole constant term, two times its coefficient."""
        one = prior_of("y ~ a + b", frame)
        two = prior_of("y ~ two + a + b - 1", frame)
        change = np.array([2.0, 1.0, 1.0])
        assert_same_up_to_constant(two, lambda theta: log_density(one, change * theta))

    def test_constant_spread_over_dummies(self, frame):
        dummies = pd.get_dummies(frame["g"]).astype(float)
        sd_y = frame["y"].std(ddof=0)
        means = np.array([frame["y"].mean()] * 3 + [0.0])
        columns = dummies.assign(a=frame["a"])
        sd = 2.5 * sd_y / columns.std(ddof=0).to_numpy()
        prior = prior_of("y ~ C(g) + a - 1", frame)
        assert_same_up_to_constant(prior, lambda theta: stats.norm.logpdf(theta, means, sd).sum())

    @pytest.mark.parametrize("formula", ["y ~ a + b", "y ~ a + b - 1", "y ~ C(g) + a - 1"])
    def test_units_do_not_matter(self, frame, formula):
        """Rescaled columns rescale the coefficients and change nothing else."""
        factors = {"y": 100.0, "a": 1e-3, "b": 1e4}
        scaled = frame.assign(**{name: frame[name] * factor for name, factor in factors.items()})
        model = qb.QuasiBayesIV.from_formula(formula, frame)
        change = np.array([factors.get(name, 1.0) for name in model.exog_names]) / factors["y"]
        other = prior_of(formula, scaled)
        assert_same_up_to_constant(model.prior, lambda theta: log_density(other, theta / change))

    def test_description_names_the_scale(self, frame):
        assert "2.5 sd(y)/sd(x)" in prior_of("y ~ a", frame).description[0]
        assert "rms(y)/rms(x)" in prior_of("y ~ a - 1", frame).description[0]


class TestByName:
    def test_marginal_of_a_named_slope_is_as_given(self, frame):
        prior = prior_of("y ~ a + b", frame, {"a": Normal(0.7, 0.2)})
        covariance = np.linalg.inv(prior.precision)
        assert prior.mean[1] == pytest.approx(0.7, abs=ROUNDING)
        assert np.sqrt(covariance[1, 1]) == pytest.approx(0.2, rel=ROUNDING)

    def test_other_coefficients_keep_the_default(self, frame):
        default = prior_of("y ~ a + b", frame)
        prior = prior_of("y ~ a + b", frame, {"a": Normal(0.7, 0.2)})
        sd = 2.5 * frame["y"].std(ddof=0) / frame["a"].std(ddof=0)

        def definition(theta):
            return (
                log_density(default, theta)
                - stats.norm.logpdf(theta[1], 0, sd)
                + stats.norm.logpdf(theta[1], 0.7, 0.2)
            )

        assert_same_up_to_constant(prior, definition)

    def test_named_intercept_is_the_printed_one(self, frame):
        prior = prior_of("y ~ a", frame, {"Intercept": Normal(1.0, 3.0)})
        sd = 2.5 * frame["y"].std(ddof=0) / frame["a"].std(ddof=0)
        assert np.allclose(prior.precision, np.diag([3.0**-2, sd**-2]), rtol=ROUNDING, atol=0)
        assert np.allclose(prior.mean, [1.0, 0.0], atol=ROUNDING)

    @pytest.mark.parametrize("name", ["a", "Intercept"])
    def test_student_term_replaces_the_default(self, frame, name):
        given = StudentT(df=4, loc=1.0, scale=0.5)
        prior = prior_of("y ~ a + b", frame, {name: given})
        replaced = prior_of("y ~ a + b", frame, {name: Flat()})
        j = ["Intercept", "a", "b"].index(name)

        def definition(theta):
            return log_density(replaced, theta) + stats.t.logpdf(theta[j], 4, 1.0, 0.5)

        assert prior.is_proper
        assert not prior.is_normal
        assert not replaced.is_proper
        assert_same_up_to_constant(prior, definition)

    def test_empty_dict_is_the_default(self, frame):
        default = prior_of("y ~ a", frame)
        assert np.array_equal(prior_of("y ~ a", frame, {}).precision, default.precision)

    def test_all_named_says_nothing_of_a_default(self, frame):
        prior = prior_of("y ~ a - 1", frame, {"a": Normal(0, 1)})
        assert prior.description == ("a ~ Normal(mean=0, sd=1)",)


class TestWholeVectors:
    def test_scalars_are_spread(self, frame):
        prior = prior_of("y ~ a + b", frame, Normal(1, 2))
        assert np.array_equal(prior.precision, np.eye(3) / 4)
        assert np.array_equal(prior.mean, np.ones(3))

    def test_series_are_matched_by_label(self, frame):
        mean = pd.Series({"b": 3.0, "Intercept": 1.0, "a": 2.0})
        sd = pd.Series({"a": 20.0, "b": 30.0, "Intercept": 10.0})
        prior = prior_of("y ~ a + b", frame, Normal(mean, sd))
        assert np.allclose(prior.mean, [1.0, 2.0, 3.0], rtol=1e-14)
        assert np.allclose(np.diag(prior.precision), [1e-2, 20.0**-2, 30.0**-2], rtol=ROUNDING)

    def test_covariance_frames_are_matched_by_label(self, frame):
        root = np.random.default_rng(2).standard_normal((3, 3))
        labels = ["Intercept", "a", "b"]
        cov = pd.DataFrame(root @ root.T + np.eye(3), index=labels, columns=labels)
        turned = cov.loc[["b", "a", "Intercept"], ["b", "a", "Intercept"]]
        straight = prior_of("y ~ a + b", frame, Normal(0, cov=cov.to_numpy()))
        matched = prior_of("y ~ a + b", frame, Normal(0, cov=turned))
        assert np.allclose(matched.precision, straight.precision, rtol=ROUNDING)
        assert np.allclose(np.linalg.inv(straight.precision), cov, rtol=ROUNDING)

    def test_student_vectors(self, frame):
        prior = prior_of("y ~ a + b", frame, StudentT([3, 4, 5], scale=[1, 2, 3]))
        assert np.array_equal(prior.df, [3, 4, 5])
        assert np.array_equal(prior.loc, np.zeros(3))
        assert np.array_equal(prior.scale, [1, 2, 3])
        assert prior.is_proper

    def test_flat(self, frame):
        prior = prior_of("y ~ a", frame, Flat())
        assert len(prior.flat) == len(prior.target)
        assert not prior.is_proper


CONSTRUCTION = {
    "neither": (lambda: Normal(0), "sd= and cov="),
    "both": (lambda: Normal(0, 1, cov=np.eye(2)), "sd= and cov="),
    "mean nan": (lambda: Normal(np.nan, 1), "Normal mean"),
    "mean series nan": (lambda: Normal(pd.Series({"a": np.nan}), 1), "Normal mean"),
    "mean words": (lambda: Normal("much", 1), "Normal mean"),
    "sd infinite": (lambda: Normal(0, np.inf), "Normal sd.*Flat"),
    "sd zero": (lambda: Normal(0, 0), "Normal sd must be positive"),
    "sd negative": (lambda: Normal(0, [1, -1]), "Normal sd must be positive"),
    "cov vector": (lambda: Normal(0, cov=[1, 2]), "square"),
    "cov not symmetric": (lambda: Normal(0, cov=[[1, 0.5], [0, 1]]), "not symmetric"),
    "cov not definite": (lambda: Normal(0, cov=[[1, 2], [2, 1]]), "not positive definite"),
    "df zero": (lambda: StudentT(0), "StudentT df"),
    "df nan": (lambda: StudentT(np.nan), "StudentT df"),
    "loc nan": (lambda: StudentT(3, np.nan), "StudentT loc"),
    "scale zero": (lambda: StudentT(3, 0, 0), "StudentT scale"),
}


@pytest.mark.parametrize(("build", "words"), CONSTRUCTION.values(), ids=CONSTRUCTION)
def test_bad_numbers_are_refused(build, words):
    with pytest.raises(OptionError, match=f"(?s){words}"):
        build()


SERIES = pd.Series({"Intercept": 1.0, "a": 1.0, "c": 1.0})
USE = {
    "mean too long": (Normal([0, 0, 0], 1), InputError, "Normal mean.*2 coefficients"),
    "sd too long": (Normal(0, [1, 1, 1]), InputError, "Normal sd.*2 coefficients"),
    "series label": (Normal(SERIES, 1), InputError, "Normal mean.*unknown: .'c'"),
    "series short": (Normal(0, SERIES[:1]), InputError, "Normal sd.*missing: .'a'"),
    "cov shape": (Normal(0, cov=np.eye(3)), InputError, "Normal cov.*2 coefficients"),
    "cov labels": (
        Normal(0, cov=pd.DataFrame(np.eye(2), index=["a", "c"], columns=["a", "c"])),
        InputError,
        "Normal cov.*'Intercept', 'c'",
    ),
    "student df": (StudentT([3, 3, 3]), InputError, "StudentT df.*2 coefficients"),
    "name": ({"aa": Normal(0, 1)}, InputError, "'aa'.*Did you mean 'a'.*Intercept, a"),
    "named vector": ({"a": Normal([0, 1], 1)}, InputError, "'a'.*scalar"),
    "named cov": ({"a": Normal(0, cov=[[1.0]])}, InputError, "'a'.*sd, not cov"),
    "named number": ({"a": 3}, OptionError, "'a' is 3"),
    "number": (3, OptionError, "prior=3"),
    "class": (Normal, OptionError, "is not a prior"),
}


@pytest.mark.parametrize(("prior", "error", "words"), USE.values(), ids=USE)
def test_priors_that_do_not_fit_are_refused(frame, prior, error, words):
    with pytest.raises(error, match=f"(?s){words}"):
        prior_of("y ~ a", frame, prior)


def test_refusal_names_the_flat_coefficient(frame):
    model = qb.QuasiBayesIV.from_formula("y ~ a + b", frame, prior={"Intercept": Flat()})
    with pytest.raises(ImproperPosteriorError, match="flat prior of Intercept"):
        model.quasi_posterior()


def test_texts():
    assert repr(Normal(0, 10)) == "Normal(mean=0, sd=10)"
    assert repr(Normal([0, 1], cov=np.eye(2))) == "Normal(mean=<2 values>, cov=...)"
    assert repr(StudentT(3)) == "StudentT(df=3, loc=0, scale=1)"
    assert repr(Flat()) == "Flat()"
