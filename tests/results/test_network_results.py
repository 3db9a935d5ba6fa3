"""What results of a network eigenmodel say of eigenvectors and links, and that files keep it."""

import numpy as np
import pandas as pd
import pytest
from scipy.special import ndtr

import qbeconometrics as qb
from qbeconometrics.diagnostics.convergence import bulk_ess
from qbeconometrics.exceptions import ConvergenceWarning, InputError, OptionError
from qbeconometrics.results.network_record import NetworkRecord


@pytest.fixture(scope="module")
def results():
    adjacency = qb.simulate.network(30, (35.0, -28.0), -0.6, 2)
    return qb.NetworkEigenmodel(adjacency, rank=2).fit(draws=400, tune=400, rng=0)


def test_eigenvalues_in_order(results):
    assert results.draws.shape == (4, 400, 3)
    assert np.all(np.diff(results.eigenvalue_draws, axis=-1) <= 0.0)
    np.testing.assert_array_equal(results.intercept_draws, results.draws[..., 2])
    assert list(results.params.index) == ["lambda_1", "lambda_2", "intercept"]
    np.testing.assert_allclose(results.ess()["bulk"], bulk_ess(results.draws))
    assert (results.rhat() < 1.02).all()


def test_vectors_are_orthonormal_and_aligned(results):
    Q = results.vectors
    assert Q.shape == (4, 400, 30, 2)
    assert np.max(np.abs(Q.swapaxes(-1, -2) @ Q - np.eye(2))) < 1e-12
    products = np.einsum("cdpk,pk->cdk", Q, results.network.reference)
    assert (products > 0.0).all()
    np.testing.assert_allclose(results.aligned(), Q)
    mean = results.vector_mean()
    assert mean.shape == (30, 2)
    np.testing.assert_allclose(mean, Q.mean(axis=(0, 1)))


def test_alignment_undoes_signs_and_order(results):
    exchanged = -results.network.reference[:, ::-1]
    np.testing.assert_array_equal(results.aligned(exchanged), -results.vectors[..., ::-1])
    rotated = results.aligned(exchanged, method="procrustes")
    distances = [np.sum((Q - exchanged) ** 2) for Q in (rotated, results.aligned(exchanged))]
    assert distances[0] <= distances[1]
    # Rotations do not change spaces.
    spaces = [Q @ Q.swapaxes(-1, -2) for Q in (rotated, results.vectors)]
    np.testing.assert_allclose(*spaces, atol=1e-12)
    np.testing.assert_allclose(results.projection_mean, spaces[1].mean(axis=(0, 1)), atol=1e-12)


def test_principal_angles(results):
    angles = results.principal_angles()
    assert angles.shape == (4, 400, 2)
    first = results.principal_angles(results.network.reference[:, :1])
    assert first.shape == (4, 400, 1)
    for bad in (np.ones((30, 2)), np.eye(30)[:20], 3.0):
        with pytest.raises(InputError, match="reference"):
            results.principal_angles(bad)


def test_probabilities_of_links(results):
    """Against all of them at once, which takes p^2 numbers a draw."""
    Q = results.vectors.reshape(-1, 30, 2)
    numbers = results.draws.reshape(-1, 3)
    index = (Q * numbers[:, None, :2]) @ Q.swapaxes(1, 2) + numbers[:, 2, None, None]
    expected = ndtr(index)
    found = results.link_probabilities()
    off = ~np.eye(30, dtype=bool)
    np.testing.assert_allclose(found.to_numpy()[off], expected.mean(axis=0)[off], rtol=1e-12)
    assert np.isnan(np.diag(found)).all()
    assert list(found.index) == list(found.columns) == list(results.model.node_names)
    table = results.link_intervals([("node3", "node1"), ("node2", "node30")], alpha=0.1)
    assert list(table.columns) == ["mean", "lower", "upper", "linked"]
    for row, (i, j) in zip(table.to_numpy(), [(2, 0), (1, 29)], strict=True):
        ends = np.quantile(expected[:, i, j], [0.05, 0.95])
        np.testing.assert_allclose(row[:3].astype(float), [expected[:, i, j].mean(), *ends])
        assert row[3] == results.model.links[i, j]


def test_predicted_links_are_those_of_the_data(results):
    """The sum of probabilities is about the number of links, and links have the larger ones."""
    probabilities, links = results.link_probabilities().to_numpy(), results.model.links
    assert np.nansum(probabilities) == pytest.approx(links.sum(), rel=0.05)
    off = ~np.eye(30, dtype=bool)
    assert probabilities[links].mean() > 1.5 * probabilities[off & ~links].mean()


@pytest.mark.parametrize(
    ("pairs", "said"),
    [
        ([("node1", "nobody")], "'nobody' is no node; the first are node1, node2"),
        ([("node1", "node1")], "two nodes"),
        ([("node1",)], "two names"),
        (["ab"], "two names"),
    ],
)
def test_pairs_that_are_none(results, pairs, said):
    with pytest.raises(InputError, match=said):
        results.link_intervals(pairs)


def test_other_bad_arguments(results):
    with pytest.raises(OptionError, match="alpha"):
        results.link_intervals([("node1", "node2")], alpha=0.0)
    with pytest.raises(OptionError, match="method"):
        results.aligned(method="rotation")
    with pytest.raises(InputError, match="link_probabilities"):
        results.predict()


def test_summary(results):
    text = str(results.summary(alpha=0.1))
    for part in (
        "Bayesian Network Eigenmodel", "lambda_1", "intercept", "[0.05", "0.95]", "polar",
        "Nodes:", "Links:", " 162\n", " 0.3724\n",
        "normal(0, 30)", "R-hat",
    ):  # fmt: skip
        assert part in text, part
    assert "lambda" in results.summary().as_latex()
    assert "Warning" not in text
    assert "<table" in results.summary().as_html()


def test_log_density_is_that_of_matrices(results):
    """Likelihood plus priors, whichever coordinates were sampled; compared by differences."""
    i, j = np.triu_indices(30, 1)
    sign = np.where(results.model.links[i, j], 1.0, -1.0)
    found = []
    for chain, draw in ((0, 0), (1, 7), (3, 399)):
        Q, numbers = results.vectors[chain, draw], results.draws[chain, draw]
        index = ((Q * numbers[:2]) @ Q.T)[i, j] + numbers[2]
        own = np.log(ndtr(sign * index)).sum() - 0.5 * (numbers[:2] ** 2).sum() / 30.0
        found.append(results.record.log_density[chain, draw] - own + numbers[2] ** 2 / 200.0)
    np.testing.assert_allclose(found, found[0], rtol=0.0, atol=1e-9)
    # What is left is the constant of three normal priors, of coordinates without units.
    assert found[0] == pytest.approx(-1.5 * np.log(2.0 * np.pi) - np.log(10.0), abs=1e-9)


def test_files(results, tmp_path):
    results.save(tmp_path / "network.npz")
    loaded = qb.load(tmp_path / "network.npz")
    assert type(loaded) is type(results)
    assert str(loaded.summary()) == str(results.summary())
    np.testing.assert_array_equal(loaded.vectors, results.vectors)
    pd.testing.assert_frame_equal(loaded.link_probabilities(), results.link_probabilities())
    pd.testing.assert_frame_equal(
        loaded.link_intervals([("node3", "node1")]), results.link_intervals([("node3", "node1")])
    )


def test_draws_cannot_be_written_to(results):
    for array in (results.draws, results.vectors):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 0.0


def test_findings():
    """A short run is said to be short."""
    adjacency = qb.simulate.network(30, (35.0, -28.0), -0.6, 2)
    with pytest.warns(ConvergenceWarning, match="ESS is"):
        results = qb.NetworkEigenmodel(adjacency, rank=2).fit(draws=20, tune=60, rng=0)
    assert "Warning" in str(results.summary())


def test_parts_that_do_not_fit(results):
    network = results.network
    with pytest.raises(InputError, match="fit together"):
        NetworkRecord(
            network.vectors, network.reference, network.node_names[1:], network.links, "polar"
        )


def test_simulated_network_is_always_the_same():
    first, second = qb.simulate.network(20, (15.0,), -1.0), qb.simulate.network(20, (15.0,), -1.0)
    pd.testing.assert_frame_equal(first, second)
    assert (first.to_numpy() == first.to_numpy().T).all()
    assert set(np.unique(first)) == {0, 1}
    with pytest.raises(InputError, match="eigenvalues must be"):
        qb.simulate.network(2, (1.0, 1.0, 1.0))
