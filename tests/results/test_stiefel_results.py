"""What is read from draws of orthonormal matrices, against SciPy, xarray, ArviZ and by hand."""

import warnings

import numpy as np
import pytest
from scipy.linalg import orthogonal_procrustes, subspace_angles

import qbeconometrics as qb
from qbeconometrics.diagnostics import convergence
from qbeconometrics.exceptions import ConvergenceWarning, InputError, NumericalWarning, OptionError
from qbeconometrics.results.stiefel_reliability import trajectory_findings

with warnings.catch_warnings():
    # ArviZ 0.23 announces its own refactoring at import.
    warnings.simplefilter("ignore")
    import arviz

A = np.diag([8.0, 6.0, 1.0, 0.0, 0.0])


def run(target, p=5, k=2, parameterization="polar", **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return qb.StiefelSampler(target, p, k, parameterization).sample(
            **{"draws": 300, "tune": 300, "rng": 1, "cores": 1, "chains": 3, **options}
        )


@pytest.fixture(scope="module")
def spaces():
    """A density of the column space alone."""
    return run(qb.stiefel.bingham(A, 2))


@pytest.fixture(scope="module")
def matrices():
    """A density of all of the matrix."""
    return run(qb.stiefel.von_mises_fisher(5.0 * np.eye(5, 2)))


def test_projections_and_their_mean(spaces):
    P = spaces.projections()
    np.testing.assert_allclose(P @ P, P, atol=1e-12)
    np.testing.assert_allclose(spaces.projection_mean, P.mean(axis=(0, 1)), atol=1e-12)
    values, vectors = np.linalg.eigh(P.mean(axis=(0, 1)))
    assert np.max(subspace_angles(spaces.principal_subspace, vectors[:, -2:])) < 1e-7
    assert np.trace(
        spaces.principal_subspace.T @ P.mean(axis=(0, 1)) @ spaces.principal_subspace
    ) == (pytest.approx(values[-2:].sum(), rel=1e-12))


@pytest.mark.parametrize("columns", [None, 1, 2, 3])
def test_angles(spaces, columns):
    """SciPy's are the largest first."""
    reference = None if columns is None else qb.stiefel.rand(5, columns, rng=2)
    angles = spaces.principal_angles(reference)
    to = spaces.principal_subspace if reference is None else reference
    for chain, draw in ((0, 0), (2, 299)):
        expected = subspace_angles(spaces.draws[chain, draw], to)[::-1]
        np.testing.assert_allclose(angles[chain, draw], expected, atol=1e-7)


def test_aligned(spaces):
    reference = qb.stiefel.rand(5, 2, rng=3)
    aligned = spaces.aligned(reference)
    for chain, draw in ((0, 0), (2, 299)):
        Q = spaces.draws[chain, draw]
        np.testing.assert_allclose(
            aligned[chain, draw], Q @ orthogonal_procrustes(Q, reference)[0], atol=1e-12
        )
    np.testing.assert_allclose(aligned @ aligned.swapaxes(-1, -2), spaces.projections(), atol=1e-12)
    np.testing.assert_array_equal(spaces.aligned(), spaces.aligned(spaces.principal_subspace))


@pytest.mark.parametrize("method", ["principal_angles", "aligned"])
def test_bad_references(spaces, method):
    with pytest.raises(InputError, match="columns of reference are not orthonormal"):
        getattr(spaces, method)(np.ones((5, 2)))
    with pytest.raises(InputError, match=r"reference must have shape \(5, 2\), not \(4, 2\)"):
        getattr(spaces, method)(np.eye(4, 2))
    with pytest.raises(InputError, match="reference must be an array"):
        getattr(spaces, method)("space")


def test_sizes_and_rhat_of_invariants(spaces):
    ess, rhat = spaces.ess("projection"), spaces.rhat("projection")
    assert len(ess) == 15
    element = np.sum(spaces.draws[:, :, 3] * spaces.draws[:, :, 1], axis=-1)
    np.testing.assert_allclose(element, spaces.projections()[:, :, 3, 1], atol=1e-14)
    assert ess.loc["QQ'[3,1]", "bulk"] == convergence.bulk_ess(element)
    assert ess.loc["QQ'[3,1]", "tail"] == convergence.tail_ess(element)
    assert rhat["QQ'[3,1]"] == convergence.rhat(element)
    aligned = spaces.aligned()[:, :, 4, 1]
    name = "aligned Q[4,1]"
    assert spaces.ess("aligned").loc[name, "bulk"] == convergence.bulk_ess(aligned)
    assert spaces.rhat("aligned")[name] == convergence.rhat(aligned)
    assert list(spaces.ess("entries").index[:3]) == ["Q[0,0]", "Q[0,1]", "Q[1,0]"]
    with pytest.raises(OptionError, match="of='angles' is not known"):
        spaces.ess("angles")


def test_what_the_density_identifies_is_judged(spaces, matrices):
    assert spaces.record.symmetry == "rotations"
    assert list(spaces.ess().index) == ["log f", *spaces.ess("projection").index]
    assert matrices.record.symmetry == "none"
    assert list(matrices.ess().index) == ["log f", *matrices.ess("entries").index]
    assert matrices.rhat()["Q[4,1]"] == convergence.rhat(matrices.draws[..., 4, 1])


def test_signs_of_columns_are_made_alike():
    """Chains that sit at mirrored modes agree in what the density identifies."""
    start = np.stack([np.eye(5, 2) * [1, 1], np.eye(5, 2) * [-1, 1], np.eye(5, 2) * [1, -1]])
    target = qb.stiefel.bingham(20.0 * A, 2, [2.0, 1.0])
    res = run(target, start=start, draws=800, parameterization="polar")
    assert res.record.symmetry == "signs"
    assert res.rhat("entries")["Q[0,0]"] > 1.5
    assert res.rhat().max() < 1.05
    assert "+-Q[0,0]" in res.rhat()


def test_long_matrices_are_judged_by_the_diagonal():
    res = run(qb.stiefel.uniform(31, 1), 31, 1, draws=50, tune=50)
    assert list(res.ess().index) == ["log f", *(f"QQ'[{i},{i}]" for i in range(31))]
    assert "the diagonal of QQ'" in " ".join(str(res.summary()).split())


def test_summary(spaces, matrices):
    text = " ".join(str(spaces.summary(alpha=0.1)).split())
    for words in (
        "Parameterization: Polar", "Draws x chains: 300 x 3", "Coordinates: 10", "[0.05 0.95]",
        "nuts (compiled)", "angle 2", "column space alone",
        f"Min ESS: {spaces.ess().min().min():.0f}",
        f"Max R-hat: {spaces.rhat().max():.3f}",
        f"Divergences: {spaces.sampler_stats['divergences']}",
        f"Gradients / draw: {spaces.sampler_stats['gradients'].mean():.1f}",
    ):  # fmt: skip
        assert words in text
    assert "Q[0,0]" not in text
    row = next(line for line in str(matrices.summary()).splitlines() if line.startswith("Q[0,0]"))
    mean, sd, median, low, high = map(float, row.split()[1:6])
    pooled = matrices.draws[..., 0, 0].ravel()
    expected = [pooled.mean(), pooled.std(ddof=1), *np.quantile(pooled, [0.5, 0.025, 0.975])]
    np.testing.assert_allclose([mean, sd, median, low, high], expected, atol=0.001)
    assert "<table" in spaces._repr_html_()
    with pytest.raises(OptionError, match="alpha=2"):
        spaces.summary(alpha=2)
    assert repr(spaces) == "<StiefelResults: matrices (5, 2), 3 x 300 draws by Polar(5, 2)>"


def test_one_chain_and_constant_values():
    res = run(qb.stiefel.uniform(3, 2), 3, 2, chains=1)
    text = " ".join(str(res.summary()).split())
    assert "R-hat needs at least two chains" in text
    assert "Max R-hat: n/a" in text
    assert np.all(res.log_density == 0.0)


def test_datatree(matrices):
    tree = matrices.to_datatree()
    posterior, statistics = (tree[name].to_dataset() for name in ("posterior", "sample_stats"))
    assert posterior["Q"].dims == ("chain", "draw", "row", "column")
    np.testing.assert_array_equal(posterior["Q"], matrices.draws)
    np.testing.assert_array_equal(posterior["angle"], matrices.principal_angles())
    np.testing.assert_array_equal(statistics["lp"], matrices.log_density)
    np.testing.assert_array_equal(statistics["n_steps"], matrices.sampler_stats["gradients"])
    assert statistics["diverging"].dtype == bool
    assert tree.attrs["parameterization"] == "Polar(5, 2)"


def test_arviz_reads_it(matrices):
    data = matrices.to_arviz()
    rhat, bfmi = arviz.rhat(data)["Q"], arviz.bfmi(data)
    expected = matrices.rhat("entries").to_numpy().reshape(5, 2)
    np.testing.assert_allclose(rhat, expected, rtol=1e-10)
    np.testing.assert_allclose(np.ravel(bfmi), matrices.sampler_stats["bfmi"], rtol=2 / 300)


def statistics(**changes):
    rng = np.random.default_rng(0)
    return {
        "divergent": np.zeros((2, 100)), "nonfinite": np.zeros((2, 100)),
        "depth": np.full((2, 100), 3.0), "energy": rng.standard_normal((2, 100)), **changes,
    }  # fmt: skip


def test_trajectories_are_judged():
    charts = (
        qb.stiefel.Cayley(5, 2),
        qb.stiefel.Polar(5, 2),
        qb.stiefel.Polar(5, 2, df=30),
        qb.stiefel.Polar(30, 2),
    )
    assert trajectory_findings(statistics(), 10, 0.8, charts[0]) == []
    some = np.zeros((2, 100))
    some[1, :3] = 1.0
    walk = np.cumsum(np.random.default_rng(1).standard_normal((2, 100)), axis=1)
    walk[0] = np.random.default_rng(2).standard_normal(100)
    cases = [
        ({"divergent": some}, ConvergenceWarning, "3 of 200 trajectories diverged"),
        ({"nonfinite": some}, NumericalWarning, "3 of 200 trajectories met a point"),
        ({"depth": 3.0 + 7.0 * some}, ConvergenceWarning, "3 of 200 trajectories had all 10"),
        ({"energy": walk}, ConvergenceWarning, r"E-BFMI of chain 1 is 0\.\d+ \(below 0.3 in 1 of"),
    ]
    for changes, category, message in cases:
        (found,) = trajectory_findings(statistics(**changes), 10, 0.8, charts[0])
        assert found.category is category
        with pytest.warns(category, match=message):
            warnings.warn(found.sentence, found.category, stacklevel=1)

    advised = [
        "df=20" in trajectory_findings(statistics(divergent=some), 10, 0.8, chart)[0].sentence
        for chart in charts
    ]
    assert advised == [False, True, False, False]


def test_findings_are_warned_of_and_noted():
    with pytest.warns(ConvergenceWarning, match="R-hat|ESS") as caught:
        res = qb.StiefelSampler(qb.stiefel.uniform(5, 2), 5, 2, "givens").sample(
            draws=30, tune=30, rng=0, cores=1
        )
    text = " ".join(str(res.summary()).split())
    assert all(" ".join(str(w.message).split()) in text for w in caught)
    assert any("another parameterization" in str(w.message) for w in caught)
