"""The bootstrap of a calibration: checked arguments, and defaults that suit the covariance."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qbeconometrics.calibration.replications import (
    BLOCK_BOOTSTRAPS,
    BOOTSTRAPS,
    Bootstrap,
    bootstrap,
)
from qbeconometrics.exceptions import OptionError, check_choice
from qbeconometrics.inputs.groups import read_groups
from qbeconometrics.models.fit_options import whole_number
from qbeconometrics.models.linear_moments import LinearMomentsModel
from qbeconometrics.models.row_weights import Dependence
from qbeconometrics.models.user_moments import UserMoments
from qbeconometrics.moments.covariance import CovarianceRule


@dataclass(frozen=True, slots=True, eq=False)
class BootstrapArguments:
    """What the user asked for: kind, groups, block length; None is the default."""

    kind: str | None
    groups: Any
    block_length: int | None
    replications: int
    seed: np.random.SeedSequence

    def draw(self, model: LinearMomentsModel | UserMoments) -> Bootstrap:
        """Return replications of rows that are independent, or depend as the arguments say."""
        kind = self.kind or ("pairs" if self.groups is None else "cluster")
        check_choice(kind, BOOTSTRAPS, "bootstrap")
        if (self.groups is not None) != (kind == "cluster"):
            raise OptionError('groups and bootstrap="cluster" belong together')
        if (self.block_length is not None) != (kind in BLOCK_BOOTSTRAPS):
            raise OptionError('block_length belongs to bootstrap="moving-block" and "stationary"')
        codes = None if self.groups is None else _codes(model, self.groups)
        return self._drawn(kind, _rows(model), codes, self.block_length or 1)

    def draw_like(
        self,
        model: LinearMomentsModel | UserMoments,
        rule: CovarianceRule,
        dependence: Dependence | None,
    ) -> Bootstrap:
        """Return replications of rows that depend as the covariance of the moments has it.

        Raises
        ------
        OptionError
            If another bootstrap was asked for: S of a replication is a sum over its units.
        """
        if dependence is None:
            return self.draw(model)
        n = _rows(model)
        if rule.cov_type == "cluster":
            if self.kind not in (None, "cluster"):
                raise OptionError(
                    f"bootstrap={self.kind!r} does not go with cov_type='cluster': a replication "
                    "has whole clusters, bootstrap='cluster' (the default)"
                )
            if self.groups is not None or self.block_length is not None:
                raise OptionError(
                    "with cov_type='cluster' the clusters are those of cov_kwds: leave groups and "
                    "block_length out"
                )
            clusters = dependence.weights.clusters
            if len(clusters) > 1:
                raise OptionError(
                    "a learning rate is calibrated for clusters of one way, which a bootstrap can "
                    "draw: give one column in cov_kwds['groups']"
                )
            return self._drawn("cluster", n, clusters[0], 1)
        kind = self.kind or "moving-block"
        check_choice(kind, BOOTSTRAPS, "bootstrap")
        if kind not in BLOCK_BOOTSTRAPS:
            raise OptionError(
                f"bootstrap={kind!r} breaks the order of time that cov_type='HAC' is about: use "
                "'moving-block' (the default) or 'stationary'"
            )
        if self.groups is not None:
            raise OptionError("groups go with bootstrap='cluster', not with cov_type='HAC'")
        lags = lags_in_use(dependence.options)
        return self._drawn(kind, n, None, self.block_length or min(lags + 1, n))

    def draw_in_time(self, n: int, horizon: int, lags: int) -> Bootstrap:
        """Return replications of the rows of local projections, which depend over time.

        Parameters
        ----------
        n : int
            Rows of the stacked sample.
        horizon : int
            The last one; a block holds the row that a projection is from, and those up to it.
        lags : int
            Of the covariance.

        Raises
        ------
        OptionError
            If another bootstrap than of blocks was asked for, or blocks are too short or too long.
        """
        kind = self.kind or ("moving-block" if self.groups is None else "cluster")
        check_choice(kind, BOOTSTRAPS, "bootstrap")
        if kind not in BLOCK_BOOTSTRAPS:
            raise OptionError(
                f"bootstrap={kind!r} takes rows, or groups of them, as independent, and those of "
                "local projections are not: series depend over time, and projections of "
                "neighbouring rows overlap. Use 'moving-block' (the default) or 'stationary'"
            )
        if self.groups is not None:
            raise OptionError("groups go with bootstrap='cluster', not with local projections")
        least = horizon + 1
        length = max(least, lags + 1) if self.block_length is None else self.block_length
        drawn = self._drawn(kind, n, None, length)
        if length < least:
            raise OptionError(
                f"block_length={length} is below {least}, the last horizon and one: projections "
                "overlap over so many rows"
            )
        return drawn

    def _drawn(
        self, kind: str, n: int, codes: NDArray[np.intp] | None, block_length: int
    ) -> Bootstrap:
        length = whole_number(block_length, "block_length", minimum=1)
        if length > n:
            raise OptionError(f"block_length={length} is more than the {n} rows")
        return bootstrap(kind, n, self.replications, self.seed, groups=codes, block_length=length)


def lags_in_use(options: Mapping[str, Any]) -> int:
    """Return the number of lags, or the bandwidth, from the options of a covariance."""
    lags = options["maxlags"]
    return lags if isinstance(lags, int) else int(np.ceil(options["bandwidth"]))


def _rows(model: LinearMomentsModel | UserMoments) -> int:
    return model.arrays.n if isinstance(model, UserMoments) else len(model.design.endog)


def _codes(model: LinearMomentsModel | UserMoments, groups: Any) -> NDArray[np.intp]:
    repeats = None
    if isinstance(model, UserMoments):
        labels, kept, frame = model.arrays.row_labels, model.arrays.kept, None
    else:
        weighting = model.design.weighting
        labels, kept, frame = model.design.row_labels, model._kept, model._frame
        if weighting is not None:
            labels, repeats = weighting.labels, weighting.repeats
    n = _rows(model) if repeats is None else len(repeats)
    read = read_groups(groups, labels=labels, kept=kept, n=n, frame=frame)
    if len(read.codes) > 1 or read.counts[0] < 2:
        raise OptionError(
            'bootstrap="cluster" takes one way of clustering, with two clusters at least'
        )
    # All copies of a row are in its cluster.
    return read.codes[0] if repeats is None else np.repeat(read.codes[0], repeats)
