"""Statistics in files: arrays in npz, the rest in JSON, no pickle; torn files are refused."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qbeconometrics.exceptions import InputError
from qbeconometrics.moments.basis import MomentBasis
from qbeconometrics.moments.block_sums import Rows
from qbeconometrics.moments.cells import CellMoments
from qbeconometrics.moments.compensated import CompensatedSum
from qbeconometrics.moments.pair_sums import ClusterSums, SerialSums
from qbeconometrics.moments.running import RunningMoments, Sums, SumsWanted, WaitingRows
from qbeconometrics.moments.suspects import Suspects

FORMAT = "qbeconometrics.LinearMoments"
VERSION = 1

Arrays = dict[str, NDArray[Any]]

CELL_ARRAYS = ("controls", "instrument", "sums", "offset", "first_rows")
SUMS = ("cross", "instrument_product", "row_product", "fourth")


def save_statistic(path: Path, facts: dict[str, Any], moments: Sums | CellMoments | None) -> None:
    """Write to a temporary file beside `path`, then rename it."""
    arrays, numbers = ({}, None) if moments is None else pack_moments(moments)
    header = {"format": FORMAT, "version": VERSION, "facts": facts, "numbers": numbers}
    text = json.dumps(header, sort_keys=True)
    digest = _bytes(_digest(text, arrays))
    named: dict[str, Any] = {**arrays, "header": _bytes(text), "digest": digest}
    handle, name = tempfile.mkstemp(dir=path.parent or Path(), prefix=path.name, suffix=".tmp")
    try:
        with os.fdopen(handle, "wb") as file:
            np.savez(file, **named)
            file.flush()
            os.fsync(file.fileno())
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def load_statistic(path: Path) -> tuple[dict[str, Any], Sums | CellMoments | None]:
    """Return what `save_statistic` wrote.

    Raises
    ------
    InputError
        If the file is no such file, is torn, was changed, or is of a later version.
    """
    try:
        with path.open("rb") as opened, np.load(opened, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        text = bytes(arrays.pop("header")).decode("utf-8")
        digest = bytes(arrays.pop("digest")).decode("ascii")
        header = json.loads(text)
        known = header["format"] == FORMAT
    except FileNotFoundError:
        raise
    except (ValueError, KeyError, TypeError, EOFError, OSError, zipfile.BadZipFile) as error:
        raise InputError(f"{path} is not a complete file of LinearMoments: {error}") from error
    if not known:
        raise InputError(f"{path} is not a file of LinearMoments")
    if header["version"] > VERSION:
        raise InputError(
            f"{path} was written by a later version of qbeconometrics (format {header['version']}, "
            f"this one reads up to {VERSION}). Update the package."
        )
    if digest != _digest(text, arrays):
        raise InputError(f"{path} was changed after it was written; it is not read")
    moments = None if header["numbers"] is None else unpack_moments(arrays, header["numbers"])
    return header["facts"], moments


def _bytes(text: str) -> NDArray[np.uint8]:
    return np.frombuffer(text.encode("utf-8"), dtype=np.uint8)


def _digest(text: str, arrays: Arrays) -> str:
    found = hashlib.sha256(text.encode("utf-8"))
    for name in sorted(arrays):
        array = np.ascontiguousarray(arrays[name])
        found.update(f"{name} {array.dtype.str} {array.shape} ".encode())
        found.update(array.tobytes())
    return found.hexdigest()


def pack_moments(moments: Sums | CellMoments) -> tuple[Arrays, dict[str, Any]]:
    """Return sums as arrays by name, and numbers for JSON."""
    if isinstance(moments, WaitingRows):
        return _pack_waiting(moments)
    if isinstance(moments, CellMoments):
        cells = {name: getattr(moments, name) for name in CELL_ARRAYS}
        return cells, {"cells": moments.n}
    basis = moments.basis
    arrays: Arrays = {
        "centre": basis.centre,
        "regressor_map": basis.regressor_map,
        "instrument_map": basis.instrument_map,
        "suspect_instrument": moments.suspects.instrument,
        "suspect_others": moments.suspects.others,
        "suspect_positions": moments.suspects.positions,
        "suspect_leverage": moments.suspects.leverage,
    }
    for name in SUMS:
        _put(arrays, name, getattr(moments, name))
    numbers: dict[str, Any] = {"n": moments.n, "next_check": moments.next_check, "pairs": None}
    pairs = moments.pairs
    if isinstance(pairs, SerialSums):
        numbers["pairs"] = {"kind": "HAC", "n": pairs.n, "weight_total": pairs.weight_total}
        arrays |= {"lags": pairs.lags, "head": pairs.head, "tail": pairs.tail}
        _put(arrays, "half", pairs.half)
        _put(arrays, "weighted_cross", pairs.weighted_cross)
    elif isinstance(pairs, ClusterSums):
        numbers["pairs"] = {"kind": "cluster", "m": pairs.m, "lots": len(pairs.lots)}
        numbers["pairs"]["width"] = pairs.width
        for place, (labels, sums) in enumerate(pairs.lots):
            arrays |= {f"labels_{place}": labels, f"sums_{place}": sums}
    return arrays, numbers


def _put(arrays: Arrays, name: str, total: CompensatedSum | None) -> None:
    if total is not None:
        arrays |= {f"{name}_high": total.high, f"{name}_low": total.low}


def _take(arrays: Arrays, name: str) -> CompensatedSum:
    return CompensatedSum(arrays[f"{name}_high"], arrays[f"{name}_low"])


def _pack_waiting(waiting: WaitingRows) -> tuple[Arrays, dict[str, Any]]:
    rows, wanted = waiting.rows, waiting.wanted
    arrays: Arrays = {
        "endog": rows.endog,
        "exog": rows.exog,
        "instrument": rows.instrument,
        "positions": waiting.positions,
    }
    if rows.clusters is not None:
        arrays["clusters"] = rows.clusters
    if wanted.lags is not None:
        arrays["lags"] = wanted.lags
    return arrays, {"waiting": {"with_fourth": wanted.with_fourth, "clustered": wanted.clustered}}


def _unpack_waiting(arrays: Arrays, wanted: dict[str, Any]) -> WaitingRows:
    return WaitingRows(
        SumsWanted(wanted["with_fourth"], arrays.get("lags"), wanted["clustered"]),
        Rows(arrays["endog"], arrays["exog"], arrays["instrument"], arrays.get("clusters")),
        arrays["positions"],
    )


def unpack_moments(arrays: Arrays, numbers: dict[str, Any]) -> Sums | CellMoments:
    """Return the sums that `pack_moments` packed."""
    if "cells" in numbers:
        return CellMoments(numbers["cells"], *(arrays[name] for name in CELL_ARRAYS))
    if "waiting" in numbers:
        return _unpack_waiting(arrays, numbers["waiting"])
    described = numbers["pairs"]
    pairs: ClusterSums | SerialSums | None = None
    if described is not None and described["kind"] == "HAC":
        pairs = SerialSums(
            arrays["lags"],
            _take(arrays, "half"),
            _take(arrays, "weighted_cross"),
            described["weight_total"],
            arrays["head"],
            arrays["tail"],
            described["n"],
        )
    elif described is not None:
        lots = [
            (arrays[f"labels_{place}"], arrays[f"sums_{place}"])
            for place in range(described["lots"])
        ]
        pairs = ClusterSums(tuple(lots), described["width"], described["m"])
    return RunningMoments(
        MomentBasis(arrays["centre"], arrays["regressor_map"], arrays["instrument_map"]),
        numbers["n"],
        _take(arrays, "cross"),
        _take(arrays, "instrument_product"),
        _take(arrays, "row_product"),
        _take(arrays, "fourth") if "fourth_high" in arrays else None,
        pairs,
        Suspects(
            arrays["suspect_instrument"],
            arrays["suspect_others"],
            arrays["suspect_positions"],
            arrays["suspect_leverage"],
        ),
        numbers["next_check"],
    )
