"""Models with user-written moments refuse what they cannot use, in words, before sampling."""

import itertools

import numpy as np
import pandas as pd
import pytest
from scipy.sparse import csr_array

import qbeconometrics as qb
from qbeconometrics.exceptions import (
    IdentificationError,
    ImproperPosteriorError,
    InputError,
    MomentFunctionError,
    NumericalError,
    NumericalWarning,
    OptionError,
    UnknownKeywordError,
)
from qbeconometrics.priors import Flat, Normal, StudentT, Uniform

RNG = np.random.default_rng(4)
X = np.column_stack([np.ones(80), RNG.standard_normal(80)])
Y = X @ [1.0, 0.5] + RNG.standard_normal(80)


def linear(params, endog, exog, instrument):
    return exog * (endog - exog @ params)[:, None]


def model_of(momcond=linear, **options):
    return qb.QuasiBayesGMM(Y, X, momcond=momcond, **{"prior": Normal(0, 10), **options})


def raises(params, endog, exog, instrument):
    raise RuntimeError("broken")


@pytest.mark.parametrize(
    ("momcond", "error", "message"),
    [
        (raises, MomentFunctionError, "momcond raised RuntimeError .*: broken"),
        (lambda p, y, x, z: linear(p, y, x, z)[1:], MomentFunctionError, r"\(80, m\)"),
        (lambda p, y, x, z: linear(p, y, x, z)[:, :1], IdentificationError, "1 moments for 2"),
        (lambda p, y, x, z: linear(p, y, x, z) * np.nan, MomentFunctionError, "nothing but NaN"),
        (lambda p, y: y, MomentFunctionError, "TypeError"),
        (lambda p, y, x, z: y.fill(0.0), MomentFunctionError, "read-only"),
    ],
)
def test_functions(momcond, error, message):
    with pytest.raises(error, match=message):
        model_of(momcond).fit(draws=10, tune=10)


def test_moments_that_are_copies_of_others():
    def doubled(params, endog, exog, instrument):
        moments = linear(params, endog, exog, instrument)
        return np.hstack([moments, moments])

    with pytest.raises(NumericalError, match="singular"):
        model_of(doubled).quasi_posterior()


def test_moments_that_do_not_move():
    def still(params, endog, exog, instrument):
        return np.column_stack([endog - params[0], exog[:, 1] * endog])

    with pytest.raises(NumericalError, match="do not determine"):
        model_of(still, prior=None).quasi_posterior(quasi_likelihood="two-step")


@pytest.mark.parametrize("prior", [None, Flat(), {"p1": Normal(0, 1)}, {"x": Normal(0, 1)}])
def test_priors_that_are_refused(prior):
    with pytest.raises((ImproperPosteriorError, InputError), match=r"flat prior of|names 'x'"):
        model_of(prior=prior).quasi_posterior()


@pytest.mark.parametrize("quasi_likelihood", ["cue", "cue-nodet", "two-step"])
@pytest.mark.parametrize("prior", [Normal(0, 5), StudentT(4), Uniform(-5, 5)])
def test_priors_that_are_accepted(prior, quasi_likelihood):
    posterior = model_of(prior=prior).quasi_posterior(quasi_likelihood=quasi_likelihood)
    assert len(posterior.modes) >= 1


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"momcond": None}, OptionError, "give momcond"),
        ({"momcond": "f"}, OptionError, "must be a function"),
        ({"jac": 3}, OptionError, "jac=3"),
        ({"k_params": 3, "start_params": [1, 2]}, OptionError, "number of parameters differs"),
        ({"k_params": 0}, OptionError, "k_params"),
        ({"param_names": ["a", "a"]}, OptionError, "differ from each other"),
        ({"start_params": [1, np.nan]}, OptionError, "finite"),
        ({"start_params": ["a", "b"]}, OptionError, "numeric"),
        (
            {"prior": Uniform([0, 0], [1, 1]), "start_params": [0.5, 2]},
            OptionError,
            "p2=2, outside",
        ),
        ({"prior": Uniform([0, 0, 0], 1)}, InputError, "Uniform low has shape"),
        ({"momconds": linear}, UnknownKeywordError, "Did you mean 'momcond'"),
        ({"missing": "skip"}, OptionError, "missing"),
    ],
)
def test_arguments_of_the_model(options, error, message):
    options = {"prior": Normal(0, 10), "momcond": linear, **options}
    with pytest.raises(error, match=message):
        qb.QuasiBayesGMM(Y, X, **options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"quasi_likelihood": "two-step", "weight_matrix": np.eye(3)}, "2 moments"),
        ({"quasi_likelihood": "two-step", "weight_matrix": -np.eye(2)}, "positive definite"),
        ({"weight_matrix": np.eye(2)}, "only used with"),
        ({"learning_rate": 0}, "learning_rate"),
    ],
)
def test_arguments_of_fit(options, message):
    with pytest.raises(OptionError, match=message):
        model_of().fit(**options)


def test_a_first_step_weight_of_the_wrong_shape():
    with pytest.raises(OptionError, match="first_step_weight has shape"):
        model_of(first_step_weight=np.eye(5)).quasi_posterior()


@pytest.mark.parametrize("ends", [(1, 0), (0, 0), (0, np.inf), ("a", 1), ([0, 1], [1, 2, 3])])
def test_uniform_ends(ends):
    with pytest.raises(OptionError, match="Uniform"):
        Uniform(*ends)


def test_uniform_is_refused_with_linear_moments():
    for prior in (Uniform(-1, 1), {"x1": Uniform(-1, 1)}):
        with pytest.raises(OptionError, match="user-written moments"):
            qb.QuasiBayesIV(Y, X, prior=prior)


def test_missing_rows():
    y = Y.copy()
    y[3] = np.nan
    with pytest.raises(InputError, match="missing"):
        qb.QuasiBayesGMM(y, X, momcond=linear)
    model = qb.QuasiBayesGMM(y, X, momcond=linear, missing="drop")
    assert (model.n_dropped, len(model.endog)) == (1, 79)


# Memory in another order rounds sums in another way, which moves the modes and all draws a little.
SAME_ROUNDED = 1e-6
FIT = {"draws": 150, "tune": 100, "chains": 2, "rng": 0, "progressbar": False}
SAMPLERS = pytest.mark.parametrize("sampler", ["rwm", "da", "da-exact"])


def options_for(sampler):
    """Without a race, which would take most of the time."""
    kwds = {"sampler_kwds": {"df": 5, "rho": 0}} if sampler == "da-exact" else {}
    return {"sampler": sampler, **FIT, **kwds}


QUIET = pytest.mark.filterwarnings("ignore::qbeconometrics.exceptions.ConvergenceWarning")


@QUIET
@SAMPLERS
@pytest.mark.parametrize(
    "returned",
    [
        lambda moments: pd.DataFrame(moments),
        np.asfortranarray,
        lambda moments: moments.astype(object),
        lambda moments: moments.tolist(),
        lambda moments: np.ma.masked_array(moments),
        lambda moments: moments.astype(np.longdouble),
    ],
    ids=["frame", "by column", "objects", "lists", "masked", "long double"],
)
def test_other_types_with_the_same_numbers(sampler, returned):
    same = model_of(lambda *given: returned(linear(*given))).fit(**options_for(sampler))
    np.testing.assert_allclose(
        same.draws, model_of().fit(**options_for(sampler)).draws, rtol=SAME_ROUNDED
    )


@QUIET
def test_whole_numbers():
    res = model_of(lambda p, y, x, z: (y > p[0])[:, None] * 2 - 1, k_params=1).fit("rwm", **FIT)
    assert abs(res.median["p1"] - np.median(Y)) < 0.3


@pytest.mark.parametrize(
    "returned",
    [
        lambda moments: moments + 0j,
        lambda moments: moments.astype(str),
        lambda moments: csr_array(moments),
        lambda moments: [[1.0, 2.0], [3.0]],
        lambda moments: moments.astype("datetime64[s]"),
    ],
    ids=["complex", "text", "sparse", "ragged", "dates"],
)
def test_what_is_no_array_of_real_numbers(returned):
    def momcond(*given):
        return returned(linear(*given))

    with pytest.raises(MomentFunctionError, match="array of real numbers"):
        model_of(momcond).fit(**FIT)
    calls = itertools.count()

    def later(*given):
        return linear(*given) if next(calls) < 300 else momcond(*given)

    with pytest.raises(MomentFunctionError, match=r"(?s)array of real numbers.* at params=\["):
        model_of(later).fit("rwm", **FIT)


def test_masked_moments_are_missing():
    def masked(params, endog, exog, instrument):
        moments = np.ma.masked_array(linear(params, endog, exog, instrument))
        moments[3, 1] = np.ma.masked
        return moments

    with pytest.raises(MomentFunctionError, match="NaN or infinity for 1 of 80 rows"):
        model_of(masked).fit(**FIT)


@QUIET
@SAMPLERS
def test_a_function_that_fills_one_buffer(sampler):
    buffer = np.empty((80, 2))

    def fills(params, endog, exog, instrument):
        np.multiply(exog, (endog - exog @ params)[:, None], out=buffer)
        return buffer

    for cov_type in ("HC0", "HAC"):
        options = {**options_for(sampler), "cov_type": cov_type, "cov_kwds": {"centered": True}}
        expected = model_of().fit(**options).draws
        np.testing.assert_array_equal(model_of(fills).fit(**options).draws, expected)


@QUIET
@SAMPLERS
def test_a_function_that_writes_to_its_parameters(sampler):
    def writes(params, endog, exog, instrument):
        moments = linear(params, endog, exog, instrument)
        params *= np.nan
        return moments

    def writes_too(params, endog, exog, instrument):
        params[:] = 7.0
        return -exog.T @ exog / len(endog)

    def jac(params, endog, exog, instrument):
        return -exog.T @ exog / len(endog)

    given = model_of(writes, jac=writes_too).fit(**options_for(sampler)).draws
    np.testing.assert_array_equal(given, model_of(jac=jac).fit(**options_for(sampler)).draws)


@QUIET
@SAMPLERS
@pytest.mark.parametrize("error", [FloatingPointError, ZeroDivisionError, np.linalg.LinAlgError])
def test_arithmetic_errors_are_counted_rejections(sampler, error):
    def fails(params, endog, exog, instrument):
        if params[1] > 0.6:
            raise error("no solution")
        return linear(params, endog, exog, instrument)

    with pytest.warns(NumericalWarning, match="not finite at"):
        res = model_of(fails).fit(**options_for(sampler))
    assert res.sampler_stats["nonfinite"] > 0.01 * res.sampler_stats["evaluations"]
    assert res.draws[..., 1].max() <= 0.6


@SAMPLERS
def test_other_errors_while_sampling_name_the_parameters(sampler):
    calls = itertools.count()

    def fails(params, endog, exog, instrument):
        if next(calls) > 700:
            raise ValueError("f(a) and f(b) must have different signs")
        return linear(params, endog, exog, instrument)

    words = r"momcond raised ValueError at params=\[.*\]: f\(a\) and .* let it return NaN"
    with pytest.raises(MomentFunctionError, match=words) as caught:
        model_of(fails).fit(**options_for(sampler))
    assert isinstance(caught.value.__cause__, ValueError)


@SAMPLERS
def test_a_shape_that_changes_while_sampling(sampler):
    calls = itertools.count()

    def shrinks(params, endog, exog, instrument):
        moments = linear(params, endog, exog, instrument)
        return moments if next(calls) < 700 else moments[1:]

    with pytest.raises(MomentFunctionError, match=r"shape \(79, 2\) at .* but \(80, 2\) before"):
        model_of(shrinks).fit(**options_for(sampler))


def test_a_start_where_moments_are_not_finite():
    def root(params, endog, exog, instrument):
        return exog * np.sqrt(params[0] - 5) + linear(params, endog, exog, instrument)

    with pytest.raises(MomentFunctionError, match="give start_params where all moments are finite"):
        model_of(root).fit(**FIT)
    with pytest.raises(MomentFunctionError, match="momcond raised ZeroDivisionError"):
        model_of(lambda p, y, x, z: linear(p, y, x, z) * (1 / int(p[0]))).fit(**FIT)


@pytest.mark.parametrize("sampler", ["rwm", "da", "da-exact", "auto"])
@pytest.mark.parametrize("quasi_likelihood", ["cue", "two-step"])
def test_moments_that_jump(sampler, quasi_likelihood):
    """Median regression on a constant: constant between observations, integrated over them."""
    y = np.sort(np.random.default_rng(8).standard_t(3, 300))

    def below(params, endog, exog, instrument):
        return (endog <= params[0])[:, None] - 0.5

    model = qb.QuasiBayesGMM(y, momcond=below, param_names=["median"], prior=Uniform(-2, 2))
    res = model.fit(
        **{**options_for(sampler), "draws": 3000, "tune": 600, "chains": 4},
        quasi_likelihood=quasi_likelihood,
    )
    ends = np.concatenate([[-2.0], y[np.abs(y) < 2], [2.0]])
    middle = (ends[:-1] + ends[1:]) / 2
    g = np.mean(y[:, None] <= middle, axis=0) - 0.5
    log_density = -0.5 * 300 * g**2 / 0.25 - (0.5 * np.log(0.25))
    mass = np.diff(ends) * np.exp(log_density)
    mass /= mass.sum()
    mean = mass @ middle
    sd = np.sqrt(mass @ ((middle - mean) ** 2 + np.diff(ends) ** 2 / 12))
    error = res.mcse().loc["median"]
    assert abs(res.params["median"] - mean) < 4 * error["mean"]
    assert abs(res.bse["median"] - sd) < 4 * error["sd"]
