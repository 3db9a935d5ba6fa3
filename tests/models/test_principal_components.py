"""Probabilistic principal components: against quadrature, and what the results say."""

import numpy as np
import pandas as pd
import pytest

import qbeconometrics as qb
from qbeconometrics.diagnostics.convergence import mean_mcse
from qbeconometrics.exceptions import InputError, OptionError, UnknownKeywordError

# Standard errors within which two estimates by sampling agree.
WITHIN = 4.0


def few_rows():
    rng = np.random.default_rng(3)
    return rng.standard_normal((9, 1)) @ [[1.5, 1.0, -0.5]] + 0.7 * rng.standard_normal((9, 3))


def posterior_by_quadrature(data, *, jacobian=2.0):
    """Means of the length, noise variance and explained share, for one component of three.

    Over half of the sphere by Gauss-Legendre in height and trapezoids in the angle, and trapezoids
    in the logs of length and noise. `jacobian` is the power of the length in its prior.
    """
    n, scale = len(data) - 1, np.sqrt(np.mean(np.var(data, axis=0)))
    scatter = n * np.cov(data, rowvar=False) / scale**2
    height, weight = np.polynomial.legendre.leggauss(40)
    angle = np.arange(40) * np.pi / 40
    across = np.sqrt(1.0 - height**2)
    q = np.stack(
        np.broadcast_arrays(
            across[:, None] * np.cos(angle), across[:, None] * np.sin(angle), height[:, None]
        )
    ).reshape(3, -1)
    along, weight = np.sum(q * (scatter @ q), axis=0), np.repeat(weight, 40)
    length, noise = np.exp(np.arange(-6.0, 2.0, 0.05)), np.exp(np.arange(-2.5, 1.5, 0.05))
    total = np.empty((len(length), len(noise)))
    for row, one in enumerate(length):
        variance = one**2 + noise**2
        log_density = -0.5 * n * (np.log(variance) + 4.0 * np.log(noise))
        left = np.trace(scatter) - (one**2 / variance) * along[:, None]
        log_density = log_density - 0.5 * left / noise**2 - 0.5 * (noise**2 + one**2)
        total[row] = weight @ np.exp(log_density) * one ** (jacobian + 1.0) * noise
    total /= total.sum()
    share = length[:, None] ** 2 / (length[:, None] ** 2 + 3.0 * noise**2)
    return np.array(
        [
            scale * (length @ total.sum(axis=1)),
            scale**2 * (noise**2 @ total.sum(axis=0)),
            np.sum(share * total),
        ]
    )


def scores(results, mean):
    return (results.params.to_numpy() - mean) / np.asarray(mean_mcse(results.draws))


@pytest.mark.parametrize("parameterization", ["polar", "householder", "cayley"])
def test_against_quadrature(parameterization):
    data = few_rows()
    results = qb.ProbabilisticPCA(data, 1).fit(
        draws=4000, tune=600, rng=1, parameterization=parameterization, target_accept=0.95
    )
    assert np.max(np.abs(scores(results, posterior_by_quadrature(data)))) < WITHIN
    # Without the Jacobian of the lengths the same comparison fails.
    wrong = posterior_by_quadrature(data, jacobian=0.0)
    assert np.max(np.abs(scores(results, wrong))) > 2.0 * WITHIN


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(5)
    factors = rng.standard_normal((80, 2)) * [2.0, 1.0]
    values = factors @ rng.standard_normal((2, 6)) + 0.5 * rng.standard_normal((80, 6))
    return pd.DataFrame(values + 10.0, columns=list("abcdef"))


@pytest.fixture(scope="module")
def results(data):
    return qb.ProbabilisticPCA(data, 2).fit(draws=600, tune=600, rng=2)


def test_near_the_covariance_of_the_data(data, results):
    """With many rows for what is left free, W W' + s^2 I is near the sample covariance."""
    difference = results.covariance_mean() - data.cov()
    assert np.linalg.norm(difference) < 0.15 * np.linalg.norm(data.cov())
    assert list(difference.index) == list(data.columns)
    values = np.linalg.eigvalsh(data.cov())[::-1]
    assert float(results.params["noise_variance"]) == pytest.approx(values[2:].mean(), rel=0.15)


def test_shapes_order_and_alignment(results):
    assert results.draws.shape == (4, 600, 4)
    assert np.all(np.diff(results.lengths, axis=-1) < 0.0)
    Q = results.vectors
    assert np.max(np.abs(Q.swapaxes(-1, -2) @ Q - np.eye(2))) < 1e-12
    assert (np.einsum("cdpk,pk->cdk", Q, results.components.reference) > 0.0).all()
    np.testing.assert_allclose(np.linalg.norm(results.loadings, axis=-2), results.lengths)
    assert (results.rhat() < 1.02).all()


def test_tables(results):
    table = results.loadings_table(alpha=0.1)
    assert table.shape == (6, 6)
    pooled = results.loadings.reshape(-1, 6, 2)
    np.testing.assert_allclose(table[(2, "mean")], pooled[:, :, 1].mean(axis=0))
    np.testing.assert_allclose(table[(1, "upper")], np.quantile(pooled[:, :, 0], 0.95, axis=0))
    shares = results.explained_shares()
    assert shares["mean"].sum() == pytest.approx(float(results.params["explained_share"]))
    assert (shares["lower"] < shares["mean"]).all()
    text = str(results.summary())
    for part in ("length_1", "explained_share", "noise_variance", "Variables", "R-hat"):
        assert part in text
    assert "Warning" not in text


def test_units(data, results):
    """Other units of all variables give the same fit in these units."""
    other = qb.ProbabilisticPCA(data * 8.0, 2).fit(draws=600, tune=600, rng=2)
    np.testing.assert_allclose(other.lengths[:, :5], 8.0 * results.lengths[:, :5], rtol=1e-6)


def test_files(results, tmp_path):
    results.save(tmp_path / "components.npz")
    loaded = qb.load(tmp_path / "components.npz")
    assert type(loaded) is type(results)
    assert str(loaded.summary()) == str(results.summary())
    pd.testing.assert_frame_equal(loaded.loadings_table(), results.loadings_table())


def test_rows_with_missing_values(data):
    gaps = data.copy()
    gaps.iloc[3, 1] = np.nan
    with pytest.raises(InputError, match=r"endog 'b' is missing .* row label 3"):
        qb.ProbabilisticPCA(gaps, 2)
    model = qb.ProbabilisticPCA(gaps, 2, missing="drop")
    assert (model.nobs, model.n_dropped) == (79, 1)
    without = qb.ProbabilisticPCA(data.drop(index=3), 2)
    np.testing.assert_array_equal(model._law.scatter, without._law.scatter)


def replaced(data, column, values):
    other = data.copy()
    other[column] = values
    return other


@pytest.mark.parametrize(
    ("change", "arguments", "error", "said"),
    [
        (lambda d: replaced(d, "c", 1.0), {}, InputError, "endog 'c' is constant"),
        (lambda d: replaced(d, "c", np.inf), {}, InputError, "'c'.*infinite"),
        (lambda d: replaced(d, "c", "x"), {}, InputError, "'c' of endog has dtype"),
        (lambda d: d.iloc[:1], {}, InputError, "one row"),
        (lambda d: d[["a", "b"]].assign(c=d.a + d.b), {}, InputError, "fit endog exactly"),
        (lambda d: d, {"n_components": 6}, OptionError, "below the number of columns, 6"),
        (lambda d: d, {"n_components": 0}, OptionError, "at least 1"),
        (lambda d: d, {"prior_scale": 0.0}, OptionError, "prior_scale=0.0 must be a positive"),
        (lambda d: d, {"prior_scale": "big"}, OptionError, "must be a positive number"),
        (lambda d: d, {"missing": "fill"}, OptionError, "missing='fill'"),
        (lambda d: d, {"weights": [1.0]}, UnknownKeywordError, "no keyword 'weights'"),
    ],
)
def test_bad_input(data, change, arguments, error, said):
    with pytest.raises(error, match=said):
        qb.ProbabilisticPCA(change(data), **{"n_components": 2, **arguments})


@pytest.mark.parametrize(
    ("arguments", "error"),
    [({"parameterization": "qr"}, OptionError), ({"seed": 1}, UnknownKeywordError)],
)
def test_bad_arguments_of_fit(data, arguments, error):
    with pytest.raises(error):
        qb.ProbabilisticPCA(data, 2).fit(**arguments)


def test_other_methods(results):
    with pytest.raises(InputError, match="no regressors"):
        results.predict()
    for table in (results.loadings_table, results.explained_shares):
        with pytest.raises(OptionError, match="alpha"):
            table(alpha=1.0)
