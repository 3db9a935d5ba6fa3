"""Models with user-written moments refuse what they cannot use, in words, before sampling."""

import numpy as np
import pytest

import qbeconometrics as qb
from qbeconometrics.exceptions import (
    IdentificationError,
    ImproperPosteriorError,
    InputError,
    MomentFunctionError,
    NumericalError,
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
