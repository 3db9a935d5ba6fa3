"""Records of a fit as JSON and arrays, and back: only the classes that are listed here.

A value that JSON has no word for becomes an object with one key that says what it is:
``{"float": "nan"}``, ``{"tuple": [...]}``, ``{"dict": {...}}``, ``{"array": name}``,
``{"frame": {...}}``, ``{"warning": name}`` and ``{"record": name, "fields": {...}}``.
"""

from __future__ import annotations

import types
import typing
from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass
from typing import Any, Union, get_args, get_origin

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from qbeconometrics import exceptions
from qbeconometrics.diagnostics.overidentification import JStatistic
from qbeconometrics.diagnostics.rank_test import RankTest
from qbeconometrics.exceptions import QBEconometricsWarning, StorageError
from qbeconometrics.moments.basis import MomentBasis
from qbeconometrics.moments.linear import LinearMomentStatistic
from qbeconometrics.online.effect_moments import EffectMoments
from qbeconometrics.online.heads import FeatureChoice, Heads
from qbeconometrics.online.identification import Identification
from qbeconometrics.online.inference import EffectEstimate
from qbeconometrics.online.random_scaling import RandomScaling
from qbeconometrics.results.bidirectional_record import BidirectionalRecord
from qbeconometrics.results.component_record import ComponentRecord
from qbeconometrics.results.fit_record import FitRecord
from qbeconometrics.results.network_record import NetworkRecord
from qbeconometrics.results.path_record import PathRecord
from qbeconometrics.results.reduced_rank_record import ReducedRankRecord
from qbeconometrics.results.reliability import Finding
from qbeconometrics.results.vecm_record import VECMRecord

Array = NDArray[Any]

RECORDS: dict[str, type[Any]] = {
    kind.__name__: kind
    for kind in (
        FitRecord,
        PathRecord,
        VECMRecord,
        NetworkRecord,
        ComponentRecord,
        ReducedRankRecord,
        LinearMomentStatistic,
        MomentBasis,
        Finding,
        JStatistic,
        BidirectionalRecord,
        EffectEstimate,
        EffectMoments,
        Identification,
        RankTest,
        RandomScaling,
        Heads,
        FeatureChoice,
    )
}


def encode(value: Any, arrays: dict[str, Array], place: str) -> Any:
    """Return `value` as JSON takes it, and put its arrays into `arrays`.

    Parameters
    ----------
    value : object
    arrays : dict
        Filled: arrays by name.
    place : str
        Where the value stands, which names its arrays.

    Raises
    ------
    StorageError
        If it is, or holds, something else.

    Examples
    --------
    >>> encode({"seconds": float("nan"), "lags": (1, 2)}, {}, "options")
    {'dict': {'seconds': {'float': 'nan'}, 'lags': {'tuple': [1, 2]}}}
    """
    if value is None or isinstance(value, (bool, str)):
        return value if value is None or isinstance(value, bool) else str(value)
    if isinstance(value, np.bool_):
        return bool(value)
    if isinstance(value, (int, np.integer)):
        return int(value)
    if isinstance(value, (float, np.floating)):
        return float(value) if np.isfinite(value) else {"float": str(float(value))}
    if isinstance(value, np.ndarray):
        arrays[place] = value
        return {"array": place}
    if isinstance(value, pd.DataFrame):
        return {"frame": _encode_frame(value, arrays, place)}
    if isinstance(value, type) and issubclass(value, QBEconometricsWarning):
        return {"warning": value.__name__}
    if type(value) in RECORDS.values():
        encoded = {
            key: encode(part, arrays, f"{place}/{key}") for key, part in _parts(value).items()
        }
        return {"record": type(value).__name__, "fields": encoded}
    if isinstance(value, Mapping) and all(isinstance(key, str) for key in value):
        return {"dict": {key: encode(v, arrays, f"{place}/{key}") for key, v in value.items()}}
    if isinstance(value, (list, tuple)):
        parts = [encode(part, arrays, f"{place}/{j}") for j, part in enumerate(value)]
        return parts if isinstance(value, list) else {"tuple": parts}
    raise StorageError(f"{place} is of the type {type(value).__name__}, which is not stored")


def decode(node: Any, arrays: Mapping[str, Array]) -> Any:
    """Return what `encode` was given.

    Raises
    ------
    StorageError
        If the words are not those of `encode`, or a record does not fit together.

    Examples
    --------
    >>> decode({"dict": {"seconds": {"float": "nan"}, "lags": {"tuple": [1, 2]}}}, {})
    {'seconds': nan, 'lags': (1, 2)}
    """
    if node is None or isinstance(node, (bool, int, float, str)):
        return node
    if isinstance(node, list):
        return [decode(part, arrays) for part in node]
    if isinstance(node, dict):
        if set(node) == {"record", "fields"}:
            return _decode_record(node["record"], node["fields"], arrays)
        if len(node) == 1:
            ((word, inside),) = node.items()
            if word in _WORDS:
                return _WORDS[word](inside, arrays)
    raise StorageError(f"its header holds what is not understood: {str(node)[:80]}")


def _encode_frame(frame: pd.DataFrame, arrays: dict[str, Array], place: str) -> dict[str, Any]:
    columns = [
        [str(name), encode(frame[name].to_numpy(), arrays, f"{place}/{j}")]
        for j, name in enumerate(frame.columns)
    ]
    labels = [encode(_plain_label(label), arrays, place) for label in frame.index]
    names = [None if name is None else str(name) for name in frame.index.names]
    return {"columns": columns, "index": labels, "names": names}


def _plain_label(label: Any) -> Any:
    return label.item() if isinstance(label, np.generic) else label


def _decode_frame(inside: Any, arrays: Mapping[str, Array]) -> pd.DataFrame:
    columns = {name: decode(node, arrays) for name, node in inside["columns"]}
    labels = decode(inside["index"], arrays)
    names = inside["names"]
    index: pd.Index = (
        pd.MultiIndex.from_tuples(labels, names=names)
        if len(names) > 1
        else pd.Index(labels, name=names[0])
    )
    return pd.DataFrame(columns, index=index)


def _decode_float(inside: Any, arrays: Mapping[str, Array]) -> float:
    if inside not in ("nan", "inf", "-inf"):
        raise StorageError(f"{inside!r} is no number")
    return float(inside)


def _decode_warning(inside: Any, arrays: Mapping[str, Array]) -> type[QBEconometricsWarning]:
    kind = getattr(exceptions, inside, None) if isinstance(inside, str) else None
    if not (isinstance(kind, type) and issubclass(kind, QBEconometricsWarning)):
        raise StorageError(f"{inside!r} is no warning of this package")
    return kind


_WORDS: dict[str, Callable[[Any, Mapping[str, Array]], Any]] = {
    "float": _decode_float,
    "tuple": lambda inside, arrays: tuple(decode(part, arrays) for part in inside),
    "dict": lambda inside, arrays: {key: decode(part, arrays) for key, part in inside.items()},
    "array": lambda inside, arrays: arrays[inside],
    "frame": _decode_frame,
    "warning": _decode_warning,
}


def _parts(value: Any) -> dict[str, Any]:
    if is_dataclass(value):
        return {field.name: getattr(value, field.name) for field in fields(value)}
    return dict(value._asdict())


def _decode_record(name: Any, encoded: Any, arrays: Mapping[str, Array]) -> Any:
    kind = RECORDS.get(name)
    if kind is None:
        raise StorageError(f"{name!r} is no record of this package")
    parts = {key: decode(part, arrays) for key, part in encoded.items()}
    hints = typing.get_type_hints(kind)
    for key, part in parts.items():
        if key not in hints:
            raise StorageError(f"{name} has no field {key!r}; was it saved by a newer version?")
        if not matches(part, hints[key]):
            raise StorageError(f"{name}.{key} is of the wrong type, {type(part).__name__}")
    try:
        return kind(**parts)
    except (TypeError, ValueError) as error:
        raise StorageError(f"{name} does not fit together: {error}") from error


def matches(value: Any, hint: Any) -> bool:
    """Whether a value is of an annotated type, containers looked into.

    Examples
    --------
    >>> matches(("educ",), tuple[str, ...]), matches((1,), tuple[str, ...]), matches(None, int)
    (True, False, False)
    """
    origin, inside = get_origin(hint), get_args(hint)
    if hint is Any:
        return True
    if origin in (Union, types.UnionType):
        return any(matches(value, part) for part in inside)
    if hint is None or hint is type(None):
        return value is None
    if origin is tuple:
        if not isinstance(value, tuple):
            return False
        if inside[-1] is Ellipsis:
            return all(matches(part, inside[0]) for part in value)
        return len(value) == len(inside) and all(map(matches, value, inside))
    if origin is np.ndarray:
        kind = get_args(inside[1])[0]
        return isinstance(value, np.ndarray) and np.issubdtype(value.dtype, kind)
    if origin is dict:
        return isinstance(value, dict)
    if origin is type:
        return isinstance(value, type)
    if hint is float:
        return isinstance(value, (int, float)) and not isinstance(value, bool)
    if hint is int:
        return isinstance(value, int) and not isinstance(value, bool)
    return isinstance(value, hint)
