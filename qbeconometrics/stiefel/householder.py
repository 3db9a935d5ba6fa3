"""Products of Householder reflections."""

from __future__ import annotations

import numpy as np
from scipy.special import gammaln

from qbeconometrics.exceptions import InputError
from qbeconometrics.stiefel.base import Chart
from qbeconometrics.stiefel.checks import FloatArray, check_df, check_dimensions, check_sign


class Householder(Chart):
    """Q is a product of reflections: the i-th takes the i-th axis to the direction of v_i.

    Uniform Q belong to independent standard normal v_i (p - i + 1,), i = 1, ..., k.

    Parameters
    ----------
    p, k : int
        Rows and columns of Q, p at least 2 and k from 1 to p.
    sign : {1, -1}
        The map has a hole where v_i points along the i-th axis: backwards for 1, forwards for -1.
        Take 1 if Q is expected near the first k columns of the identity, -1 if near minus those.
    det : {1, -1}
        Determinant of Q for p = k; not used otherwise.
    df : float, optional
        Degrees of freedom of the chi laws of the lengths of all v_i, at least p. By default each
        has those of its elements. More keep v_i away from zero; see `Polar`.

    Raises
    ------
    OptionError
        If there are no such matrices, or for another sign, determinant or degrees of freedom.

    Notes
    -----
    Reflections with directions from the normal distribution are from Stewart (1980, SIAM Journal on
    Numerical Analysis 17, 403, doi:10.1137/0717034), who draws uniform matrices in this way. There,
    and in LAPACK, the sign of a reflection follows that of its first element; columns of Q then
    jump where that element passes zero, which a sampler by gradients does not notice. Here the sign
    is fixed and the map is smooth outside of the hole; it stands before the whole product, so that
    the holes of all v_i lie on the same side. x holds v_1, v_2, ...; for p = k without the
    last, which is a number and would only choose the determinant.

    Examples
    --------
    >>> from qbeconometrics import stiefel
    >>> stiefel.Householder(3, 2).size
    5
    >>> stiefel.Householder(2, 1).to_matrix([3.0, 4.0]).ravel()
    array([0.6, 0.8])
    """

    def __init__(
        self, p: int, k: int, sign: int = 1, det: int = 1, df: float | None = None
    ) -> None:
        p, k = check_dimensions(p, k)
        self.sign, self.det = check_sign(sign, "sign"), check_sign(det, "det")
        self.df = None if df is None else check_df(df, p)
        super().__init__("householder", p, k, sign=self.sign, det=self.det, df=self.df or 0.0)
        self._log_constant = -0.5 * self.size * float(np.log(2.0 * np.pi))
        if self.df is not None:
            elements = p - np.arange(min(k, p - 1))
            self._log_constant -= float(
                np.sum(
                    0.5 * (self.df - elements) * np.log(2.0)
                    + gammaln(0.5 * self.df)
                    - gammaln(0.5 * elements)
                )
            )

    @property
    def _hole(self) -> str:  # type: ignore[override]
        way = "backwards" if self.sign == 1 else "forwards"
        return f"a reflection vector is zero or points exactly {way} along its axis"

    def _coordinates(self, Q: FloatArray) -> FloatArray:
        if self.p == self.k and np.linalg.det(Q) * self.det < 0.0:
            raise InputError(
                f"Q has determinant {-self.det}, and this chart holds those of determinant "
                f"{self.det}: use det={-self.det}"
            )
        vectors = []
        Q = -self.sign * Q
        for i in range(min(self.k, self.p - 1)):
            direction = -self.sign * Q[i:, i]
            if self.sign * direction[0] < 0.0 and not np.any(direction[1:]):
                raise InputError(
                    f"Q lies in the hole of the chart, at reflection {i + 1}: use "
                    f"sign={-self.sign}, or another chart"
                )
            # The mode of a chi law.
            vectors.append(np.sqrt((self.df or self.p - i) - 1.0) * direction)
            Q[i:, i:] = _undo_reflection(direction, self.sign, Q[i:, i:])
        return np.concatenate(vectors)


def _undo_reflection(direction: FloatArray, sign: int, block: FloatArray) -> FloatArray:
    """Reflect a block (m, n) so that -sign times a unit vector goes to the first axis."""
    a, tail = direction.copy(), float(direction[1:] @ direction[1:])
    first = sign * float(direction[0])
    # The other form of 1 + first where that would lose digits.
    a[0] = sign * (1.0 + first if first > 0.0 else tail / (1.0 - first))
    return np.asarray(block - np.outer(a, 2.0 / (a @ a) * (a @ block)))
