"""Effects with all feedback, by running the feedback."""

import numpy as np

from qbeconometrics.online.total_effects import total_effects


def test_total_effects_solve_the_system():
    params, covariance = np.array([0.7, -0.3]), np.array([[4.0, -1.0], [-1.0, 2.0]]) * 1e-4
    found = total_effects(params, covariance)
    # y = B^-1 e by running the feedback until it dies out.
    y = np.zeros((2, 2))
    for _ in range(200):
        y = np.array([[0.0, params[0]], [params[1], 0.0]]) @ y + np.eye(2)
    np.testing.assert_allclose(found.params, y, rtol=1e-12)

    def inverse(b):
        return np.linalg.inv([[1.0, -b[0]], [-b[1], 1.0]])

    steps = 1e-6 * np.eye(2)
    slopes = np.stack([(inverse(params + h) - inverse(params - h)) / 2e-6 for h in steps], axis=-1)
    variance = np.einsum("ija,ab,ijb->ij", slopes, covariance, slopes)
    np.testing.assert_allclose(found.bse**2, variance, rtol=1e-8)
