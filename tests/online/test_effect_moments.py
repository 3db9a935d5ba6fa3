"""Moments of the rows and the criterion, by brute force."""

import numpy as np
import pytest

from qbeconometrics.exceptions import IdentificationError, InputError
from qbeconometrics.online import effect_moments as module
from qbeconometrics.online.closed_form import null_vector, other_label
from qbeconometrics.online.effect_moments import EffectMoments, effect_moments


@pytest.fixture(scope="module")
def rows():
    rng = np.random.default_rng(1)
    return rng.normal(size=300), rng.normal(size=300) * 3.0, rng.exponential(size=(300, 3))


def direct_criterion(scores):
    average = scores.mean(axis=0)
    return len(scores) * average @ np.linalg.solve(np.cov(scores.T, bias=True), average)


@pytest.mark.parametrize("centered", [False, True])
def test_criterion_by_brute_force(rows, centered):
    u1, u2, w = rows
    for b12, b21 in [(0.5, -0.4), (-2.0, 0.3), (0.0, 0.0)]:
        product = (u1 - b12 * u2) * (u2 - b21 * u1)
        if centered:
            product, z = product - product.mean(), w - w.mean(axis=0)
        else:
            z = w
        moments = effect_moments(u1, u2, w, centered=centered)
        expected = direct_criterion(z * product[:, None])
        assert moments.criterion(null_vector([b12, b21])) == pytest.approx([expected], rel=1e-10)


def test_both_labels_have_one_criterion(rows):
    moments = effect_moments(*rows)
    for params in [(0.5, -0.4), (-2.0, 0.3)]:
        first, second = moments.criterion(null_vector([params, other_label(*params)]))
        assert first == pytest.approx(second, rel=1e-11)


def test_sums_of_a_stream_give_the_same(rows):
    u1, u2, w = rows
    q = np.column_stack([u1 * u2, u1**2, u2**2])
    r = np.hstack([w * q[:, [place]] for place in range(3)])
    streamed = EffectMoments.from_sums(r.sum(axis=0), r.T @ r, len(r))
    whole = effect_moments(u1, u2, w)
    np.testing.assert_allclose(streamed.mean, whole.mean, rtol=1e-12)
    np.testing.assert_allclose(streamed.covariance, whole.covariance, rtol=1e-11)


def test_blocks_of_rows_do_not_matter(rows, monkeypatch):
    whole = effect_moments(*rows)
    monkeypatch.setattr(module, "BLOCK_NUMBERS", 9 * 7)
    parts = effect_moments(*rows)
    np.testing.assert_allclose(parts.mean, whole.mean, rtol=1e-13)
    np.testing.assert_allclose(parts.covariance, whole.covariance, rtol=1e-12)


def test_standardised_moments_have_the_same_criterion(rows):
    moments = effect_moments(rows[0] * 1e5, rows[1], rows[2] * [1e-4, 1.0, 1e3])
    scaled, (size1, size2) = moments.standardised()
    b12, b21 = 0.3, -0.6
    expected = moments.criterion(null_vector([b12 * size1 / size2, b21 * size2 / size1]))
    assert scaled.criterion(null_vector([b12, b21])) == pytest.approx(expected, rel=1e-9)
    noise = np.einsum("aajj->j", scaled.covariance)
    assert noise == pytest.approx(np.ones(3))


def test_bad_rows_are_refused(rows):
    u1, u2, w = rows
    with pytest.raises(InputError, match="must be"):
        effect_moments(u1[:-1], u2, w)
    with pytest.raises(InputError, match="no rows"):
        effect_moments(u1[:0], u2[:0], w[:0])
    with pytest.raises(IdentificationError, match="two or more"):
        effect_moments(u1, u2, w[:, :1])
    with pytest.raises(InputError, match="u2 has values"):
        effect_moments(u1, np.where(u2 > 0.0, u2, np.inf), w)
