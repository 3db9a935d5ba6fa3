"""Results of network eigenmodels: eigenvalues, eigenvectors and probabilities of links."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import linear_sum_assignment
from scipy.special import ndtr
from statsmodels.iolib.summary import Summary

from qbeconometrics.diagnostics.convergence import check_probability
from qbeconometrics.exceptions import InputError, check_choice
from qbeconometrics.results.fit_record import FitRecord
from qbeconometrics.results.network_record import NetworkRecord
from qbeconometrics.results.network_summary import build_network_summary
from qbeconometrics.results.posterior_results import PosteriorResults
from qbeconometrics.results.reliability import Finding
from qbeconometrics.results.trajectories import divergence_findings
from qbeconometrics.stiefel.checks import check_orthonormal
from qbeconometrics.stiefel.subspaces import principal_angles, procrustes

FloatArray = NDArray[np.float64]

ALIGNMENTS = ("signed-permutation", "procrustes")


class NetworkResults(PosteriorResults):
    """Results of a network eigenmodel.

    Parameters
    ----------
    model : NetworkEigenmodel
        The model that was fitted.
    record : FitRecord
        Draws of the eigenvalues, in descending order, and of the intercept.
    network : NetworkRecord
        Draws of the eigenvectors, and the nodes.

    Notes
    -----
    The probabilities of links do not change with the order and the signs of eigenvectors. In each
    draw eigenvalues are therefore put in descending order, ``lambda_1`` being the largest, and
    eigenvectors with them. Where two eigenvalues are not well apart, eigenvectors exchange their
    places from draw to draw: `aligned` matches them by their directions instead.
    """

    title = "Bayesian Network Eigenmodel"

    def __init__(self, model: Any, record: FitRecord, network: NetworkRecord) -> None:
        self.network = network
        super().__init__(model, record)

    @property
    def vectors(self) -> FloatArray:
        """Draws of Q, shape (chain, draw, p, k), in the order of the eigenvalues."""
        return self.network.vectors

    @property
    def eigenvalue_draws(self) -> FloatArray:
        """Shape (chain, draw, k), in descending order."""
        return self.record.draws[..., :-1]

    @property
    def intercept_draws(self) -> FloatArray:
        """Shape (chain, draw)."""
        return self.record.draws[..., -1]

    @cached_property
    def projection_mean(self) -> pd.DataFrame:
        """Posterior mean of QQ', which no order, sign or rotation of eigenvectors changes."""
        p, k = self.network.reference.shape
        wide = self.vectors.reshape(-1, p, k).transpose(1, 0, 2).reshape(p, -1)
        return self._square(wide @ wide.T / (wide.shape[1] // k))

    def aligned(
        self, reference: ArrayLike | None = None, method: str = "signed-permutation"
    ) -> FloatArray:
        """Draws of Q with columns matched to those of a reference.

        Parameters
        ----------
        reference : array_like, shape (p, k), optional
            With orthonormal columns; by default the leading eigenvectors of the posterior mean of
            Q Lambda Q', in descending order of their eigenvalues.
        method : {"signed-permutation", "procrustes"}
            Columns exchanged and reflected, so that the sum of the sizes of their products with the
            reference is largest; or any rotation and reflection, after which columns no longer
            belong to eigenvalues.

        Returns
        -------
        ndarray, shape (chain, draw, p, k)

        Raises
        ------
        InputError
            If the reference is not such a matrix.
        OptionError
        """
        check_choice(method, ALIGNMENTS, "method")
        target = self._reference(reference)
        if method == "procrustes":
            return procrustes(self.vectors, target)
        flat = self.vectors.reshape(-1, *target.shape)
        products = flat.swapaxes(1, 2) @ target
        order = np.empty(products.shape[:2], dtype=np.intp)
        for draw, product in enumerate(np.abs(products)):
            columns, places = linear_sum_assignment(product, maximize=True)
            order[draw, places] = columns
        signs = _signs(products, order)
        moved = np.take_along_axis(flat, order[:, None, :], axis=2) * signs[:, None, :]
        return np.asarray(moved.reshape(self.vectors.shape))

    def vector_mean(self) -> pd.DataFrame:
        """Posterior mean of the aligned eigenvectors, one row a node."""
        mean = self.aligned().mean(axis=(0, 1))
        return pd.DataFrame(
            mean, index=list(self.network.node_names), columns=list(self._lambda_names)
        )

    def principal_angles(self, reference: ArrayLike | None = None) -> FloatArray:
        """Angles between the space of eigenvectors and that of a reference, in radians.

        Parameters
        ----------
        reference : array_like, shape (p, l), optional
            With orthonormal columns; by default as of `aligned`.

        Returns
        -------
        ndarray, shape (chain, draw, min(k, l))
            The smallest first.

        Raises
        ------
        InputError
        """
        columns = self.network.rank if reference is None else np.shape(reference)[-1:]
        width = columns if isinstance(columns, int) else (columns[0] if columns else 0)
        return principal_angles(self.vectors, self._reference(reference, width))

    def link_probabilities(self) -> pd.DataFrame:
        """Posterior means of the probabilities of links.

        Returns
        -------
        DataFrame, shape (p, p)
            Symmetric, with NaN on the diagonal.
        """
        p, k = self.network.reference.shape
        flat = self.vectors.reshape(-1, p, k)
        pooled = self.record.draws.reshape(-1, k + 1)
        pairs = np.triu_indices(p, 1)
        total = np.zeros(len(pairs[0]))
        for Q, numbers in zip(flat, pooled, strict=True):
            total += ndtr(((Q * numbers[:-1]) @ Q.T)[pairs] + numbers[-1])
        mean = np.full((p, p), np.nan)
        mean[pairs] = total / len(flat)
        mean.T[pairs] = mean[pairs]
        return self._square(mean)

    def link_intervals(self, pairs: Sequence[tuple[str, str]], alpha: float = 0.05) -> pd.DataFrame:
        """Credible intervals of the probabilities of links.

        Parameters
        ----------
        pairs : sequence of (name, name)
            Of nodes.
        alpha : float
            One minus the probability of the equal-tailed intervals.

        Returns
        -------
        DataFrame
            One row a pair; columns "mean", "lower", "upper" and "linked", whether the data have the
            link.

        Raises
        ------
        InputError
            If a name is no node, or a pair is one node twice.
        OptionError
            If `alpha` is not between 0 and 1.
        """
        alpha = check_probability(alpha, "alpha")
        places = [self._pair(pair) for pair in pairs]
        i, j = np.array(places, dtype=np.intp).reshape(-1, 2).T
        index = np.einsum(
            "cdnk,cdnk,cdk->cdn",
            self.vectors[:, :, i],
            self.vectors[:, :, j],
            self.eigenvalue_draws,
        )
        probabilities = ndtr(index + self.intercept_draws[..., None]).reshape(-1, len(i))
        p = len(self.network.node_names)
        linked = np.zeros((p, p), dtype=bool)
        linked[np.triu_indices(p, 1)] = self.network.links
        low, high = np.quantile(probabilities, [alpha / 2, 1.0 - alpha / 2], axis=0)
        return pd.DataFrame(
            {
                "mean": probabilities.mean(axis=0),
                "lower": low,
                "upper": high,
                "linked": linked[i, j] | linked[j, i],
            },
            index=pd.MultiIndex.from_tuples(list(map(tuple, pairs)), names=["node", "other"]),
        )

    def predict(self, *args: Any, **kwargs: Any) -> Any:
        """Not for networks.

        Raises
        ------
        InputError
        """
        raise InputError("a network has no regressors: see link_probabilities and link_intervals")

    def summary(self, alpha: float = 0.05) -> Summary:
        """Tables of the fit, for print, notebook and LaTeX.

        Parameters
        ----------
        alpha : float
            One minus the probability of the equal-tailed intervals.

        Returns
        -------
        statsmodels.iolib.summary.Summary
        """
        return build_network_summary(self, check_probability(alpha, "alpha"))

    def findings(self) -> list[Finding]:
        """What makes the results unreliable: warning class and sentence, in the summary too."""
        return super().findings() + divergence_findings(self.record)

    def _stored_parts(self) -> dict[str, Any]:
        return {"record": self.record, "network": self.network}

    @property
    def _lambda_names(self) -> tuple[str, ...]:
        return self.record.param_names[:-1]

    def _square(self, values: FloatArray) -> pd.DataFrame:
        names = list(self.network.node_names)
        return pd.DataFrame(values, index=names, columns=names)

    def _reference(self, reference: ArrayLike | None, columns: int | None = None) -> FloatArray:
        if reference is None:
            return self.network.reference
        p, k = self.network.reference.shape
        return check_orthonormal(reference, "reference", p, k if columns is None else columns)

    def _pair(self, pair: Any) -> tuple[int, int]:
        names = self.network.node_names
        if isinstance(pair, str) or len(pair) != 2:
            raise InputError(f"pairs must hold two names each, not {pair!r}")
        for name in pair:
            if name not in names:
                raise InputError(f"{name!r} is no node; the first are {', '.join(names[:4])}")
        if pair[0] == pair[1]:
            raise InputError(f"a pair needs two nodes, not {pair[0]!r} twice")
        return names.index(pair[0]), names.index(pair[1])


def _signs(products: FloatArray, order: NDArray[np.intp]) -> FloatArray:
    """Signs (draws, k) of the products of matched columns, among all of (draws, k, k)."""
    matched = np.take_along_axis(products, order[:, None, :], axis=1)[:, 0, :]
    return np.where(matched < 0.0, -1.0, 1.0)
