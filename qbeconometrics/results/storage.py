"""Results in a file: saved without the data, loaded without pickle."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from qbeconometrics.exceptions import StorageError
from qbeconometrics.results.array_file import MOST_BYTES, read_arrays, write_arrays
from qbeconometrics.results.export import package_version
from qbeconometrics.results.fit_record import FitRecord
from qbeconometrics.results.stored_model import model_as_json, model_from_json
from qbeconometrics.results.stored_values import decode, encode

if TYPE_CHECKING:
    from qbeconometrics.results.bidirectional_results import OnlineBidirectionalResults
    from qbeconometrics.results.posterior_results import PosteriorResults

# Raised when a file of an older version can no longer be read as it is.
VERSION = 1


def save_results(
    results: PosteriorResults | OnlineBidirectionalResults,
    path: str | os.PathLike[str],
    parts: dict[str, Any],
) -> None:
    """Write the records of a fit to a file; see ``PosteriorResults.save``.

    Parameters
    ----------
    results : PosteriorResults or OnlineBidirectionalResults
    path : str or path-like
    parts : dict of str to record
        What the results class is built from, beside the model.
    """
    arrays: dict[str, Any] = {}
    write_arrays(
        path,
        {
            "version": VERSION,
            "package_version": package_version(),
            "results": _class_name(type(results)),
            "model": model_as_json(
                results.model, results.record.model_name, results.record.formula
            ),
            "parts": encode(parts, arrays, "parts"),
        },
        arrays,
    )


def load(path: str | os.PathLike[str], *, most_bytes: int = MOST_BYTES) -> Any:
    """Load results that were saved by ``res.save(path)``.

    Nothing in the file is executed: it holds numbers and text, and no pickle. Sizes and shapes are
    checked against the length of the file before memory is asked for. The data of the fit are not
    needed, and not there: what needs rows, such as a first stage under another covariance, raises
    `DataNeededError`.

    Parameters
    ----------
    path : str or path-like
    most_bytes : int
        Larger files are refused unread; 8 GB by default.

    Returns
    -------
    PosteriorResults or OnlineBidirectionalResults
        Of the class that was saved, with the same draws, bit by bit, and the same summary.

    Raises
    ------
    StorageError
        If the file is damaged, truncated or changed, of another program or of a newer version.

    Notes
    -----
    Digests tell damage and careless changes. They are no signature: who changes a file on purpose
    can write new ones.

    Examples
    --------
    >>> import os, tempfile
    >>> import qbeconometrics as qb
    >>> data = qb.datasets.load("ajr2001").query("baseco == 1")
    >>> model = qb.QuasiBayesIV.from_formula("logpgp95 ~ [avexpr ~ logem4]", data)
    >>> res = model.fit(quasi_likelihood="two-step", rng=0)
    >>> path = os.path.join(tempfile.mkdtemp(), "settlers.npz")
    >>> res.save(path)
    >>> bool((qb.load(path).draws == res.draws).all())
    True
    """
    content, arrays = read_arrays(path, most_bytes=most_bytes)
    try:
        return _rebuild(content, arrays)
    except StorageError as error:
        raise StorageError(f"{path} cannot be loaded: {error}") from error
    except (KeyError, TypeError, ValueError, AttributeError, IndexError, RecursionError) as error:
        raise StorageError(f"{path} does not hold what results need: {error!r}") from error


def _rebuild(content: dict[str, Any], arrays: dict[str, Any]) -> Any:
    version = content["version"]
    if not isinstance(version, int) or not 1 <= version <= VERSION:
        raise StorageError(
            f"its format is version {version!r}, saved by qbeconometrics "
            f"{content.get('package_version')}; this version reads up to {VERSION}. Upgrade the "
            "package."
        )
    kinds = _classes()
    if content["results"] not in kinds:
        raise StorageError(f"{content['results']!r} is no results class of this package")
    parts = decode(content["parts"], arrays)
    if isinstance(parts["record"], FitRecord):
        # Draws are as they were: not to be written to.
        parts["record"].draws.flags.writeable = False
    return kinds[content["results"]](model_from_json(content["model"]), **parts)


def _classes() -> dict[str, type[Any]]:
    # Here, since each of these classes has a method that saves it.
    from qbeconometrics.results.bidirectional_results import OnlineBidirectionalResults
    from qbeconometrics.results.component_results import ComponentResults
    from qbeconometrics.results.gmm_results import GMMResults, LinearGMMResults
    from qbeconometrics.results.iv_results import IVResults
    from qbeconometrics.results.lp_results import LPResults
    from qbeconometrics.results.m_results import MResults
    from qbeconometrics.results.network_results import NetworkResults
    from qbeconometrics.results.posterior_results import PosteriorResults
    from qbeconometrics.results.reduced_rank_results import ReducedRankResults
    from qbeconometrics.results.vecm_results import VECMResults

    kinds = (
        PosteriorResults,
        IVResults,
        LinearGMMResults,
        GMMResults,
        MResults,
        LPResults,
        VECMResults,
        NetworkResults,
        ComponentResults,
        ReducedRankResults,
        OnlineBidirectionalResults,
    )
    return {kind.__name__: kind for kind in kinds}


def _class_name(kind: type[Any]) -> str:
    """Name of the class, or of the nearest of its bases that can be loaded."""
    known = _classes()
    return next(base.__name__ for base in kind.__mro__ if base.__name__ in known)
