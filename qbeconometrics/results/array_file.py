"""One file of named arrays and a JSON header: an npz that never holds a pickle.

Entries are stored, not compressed, so that what a file says of its sizes can be checked against
its length before any memory is asked for. A digest of every entry tells damage and careless edits;
it is no signature, since who rewrites an entry can rewrite its digest.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from qbeconometrics.exceptions import StorageError

FORMAT = "qbeconometrics arrays"
HEADER, DIGEST = "header.npy", "digest.npy"
# What an array may be made of, in the order of bytes of the file.
DTYPES = ("<f8", "<i8", "|b1", "|u1")
MOST_ENTRIES = 10_000
MOST_HEADER_BYTES = 2**26
MOST_BYTES = 2**33
MOST_DIMENSIONS = 8
# An entry's own header in the npy format, and the record that ends a zip file without comment.
MOST_NPY_HEADER = 4096
END_OF_ZIP = 22
BLOCK = 2**20
# The date of every entry, so that the same results make the same file.
NO_DATE = (1980, 1, 1, 0, 0, 0)

Array = NDArray[Any]


def write_arrays(
    path: str | os.PathLike[str], content: Mapping[str, Any], arrays: Mapping[str, Array]
) -> None:
    """Write a header and arrays to a file that appears whole or not at all.

    Parameters
    ----------
    path : str or path-like
        Replaced if it exists. No suffix is added.
    content : mapping
        What JSON can hold, without NaN and infinity.
    arrays : mapping of str to ndarray
        Floats, integers, booleans or bytes.

    Raises
    ------
    StorageError
        If an array is of another kind.
    """
    stored = {name: _plain(name, array) for name, array in arrays.items()}
    listed = {name: _describe(array) for name, array in stored.items()}
    text = json.dumps(
        {"format": FORMAT, "content": content, "arrays": listed},
        allow_nan=False,
        ensure_ascii=True,
    ).encode()
    target = Path(path)
    temporary = target.with_name(f".{target.name}.{secrets.token_hex(8)}.tmp")
    try:
        with open(temporary, "xb") as file:
            with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
                _put(archive, HEADER, np.frombuffer(text, dtype=np.uint8))
                _put(archive, DIGEST, _digest(text))
                for name, array in stored.items():
                    _put(archive, f"{name}.npy", array)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, target)
    finally:
        temporary.unlink(missing_ok=True)


def read_arrays(
    path: str | os.PathLike[str], *, most_bytes: int = MOST_BYTES
) -> tuple[dict[str, Any], dict[str, Array]]:
    """Read what `write_arrays` wrote.

    Parameters
    ----------
    path : str or path-like
    most_bytes : int
        Larger files are refused unread.

    Returns
    -------
    content : dict
    arrays : dict of str to ndarray
        Writable and C-ordered.

    Raises
    ------
    StorageError
        If the file is too large, damaged, or not one of ours.
    FileNotFoundError, OSError
        As by `open`.
    """
    with open(path, "rb") as file:
        size = os.fstat(file.fileno()).st_size
        if size > most_bytes:
            raise StorageError(
                f"{path} has {size} bytes, more than most_bytes={most_bytes}. Raise the limit if "
                "you trust the file."
            )
        try:
            with zipfile.ZipFile(file) as archive:
                return _read(archive, size)
        except StorageError as error:
            raise StorageError(f"{path} cannot be loaded: {error}") from error
        # What the standard library raises for files that are no zip files, or damaged ones.
        except (zipfile.BadZipFile, ValueError, EOFError, NotImplementedError) as error:
            raise StorageError(f"{path} is damaged, or no file of ours: {error}") from error
        except (KeyError, IndexError, RuntimeError, OverflowError, TypeError) as error:
            raise StorageError(f"{path} is damaged, or no file of ours: {error!r}") from error


def _plain(name: str, array: Array) -> Array:
    """The array in C order and little-endian, if its kind can be stored."""
    kinds = {"f": "<f8", "i": "<i8", "b": "|b1", "u": "|u1"}
    kind = kinds.get(array.dtype.kind)
    if kind is None or np.dtype(kind).itemsize != array.dtype.itemsize:
        raise StorageError(f"the array {name!r} has dtype {array.dtype}, which is not stored")
    # ascontiguousarray would make a number an array of one.
    return np.asarray(array, dtype=kind, order="C")


def _describe(array: Array) -> dict[str, Any]:
    return {
        "dtype": array.dtype.str,
        "shape": list(array.shape),
        "sha256": hashlib.sha256(_bytes_of(array)).hexdigest(),
    }


def _bytes_of(array: Array) -> memoryview:
    """The bytes of a C-ordered array, without a copy."""
    return array.reshape(-1).view(np.uint8).data


def _digest(data: bytes) -> NDArray[np.uint8]:
    return np.frombuffer(hashlib.sha256(data).digest(), dtype=np.uint8)


def _put(archive: zipfile.ZipFile, name: str, array: Array) -> None:
    entry = zipfile.ZipInfo(name, NO_DATE)
    with archive.open(entry, "w", force_zip64=array.nbytes >= 2**31 - MOST_NPY_HEADER) as file:
        np.lib.format.write_array(file, array, version=(1, 0), allow_pickle=False)


def _read(archive: zipfile.ZipFile, size: int) -> tuple[dict[str, Any], dict[str, Array]]:
    entries = _entries(archive, size)
    header = _array(archive, entries[HEADER], most=MOST_HEADER_BYTES).tobytes()
    if _array(archive, entries[DIGEST], most=64).tobytes() != _digest(header).tobytes():
        raise StorageError("its header was changed after it was written")
    try:
        whole = json.loads(header)
    except RecursionError as error:
        raise StorageError("its header is nested too deeply") from error
    if not isinstance(whole, dict) or whole.get("format") != FORMAT:
        raise StorageError("it is not a file of this package")
    content, listed = whole["content"], whole["arrays"]
    expected = {HEADER, DIGEST, *(f"{name}.npy" for name in listed)}
    if set(entries) != expected:
        odd = sorted(set(entries) ^ expected)
        raise StorageError(f"its entries are not those of its header: {', '.join(odd[:3])}")
    arrays = {}
    for name, described in listed.items():
        array = _array(archive, entries[f"{name}.npy"], most=size)
        if _describe(array) != described:
            raise StorageError(f"the array {name!r} was changed after it was written")
        arrays[name] = array
    return content, arrays


def _entries(archive: zipfile.ZipFile, size: int) -> dict[str, zipfile.ZipInfo]:
    """Entries by name, if their sizes add up to the file."""
    found = archive.infolist()
    if len(found) > MOST_ENTRIES:
        raise StorageError(f"it has {len(found)} entries, more than {MOST_ENTRIES}")
    entries = {entry.filename: entry for entry in found}
    if len(entries) < len(found):
        raise StorageError("two of its entries have the same name")
    if HEADER not in entries or DIGEST not in entries:
        raise StorageError("it is a zip or npz file, but not one of this package")
    for entry in found:
        plain = entry.compress_type == zipfile.ZIP_STORED and not entry.flag_bits & 1
        if not plain or entry.file_size != entry.compress_size:
            raise StorageError(f"its entry {entry.filename!r} is compressed or encrypted")
    if archive.comment or min(entry.header_offset for entry in found) != 0:
        raise StorageError("it holds bytes that belong to no entry")
    if sum(entry.file_size for entry in found) + END_OF_ZIP > size:
        raise StorageError("its entries are larger than the file")
    return entries


def _array(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, *, most: int) -> Array:
    """Read one entry; its shape must fill it exactly before anything is allocated."""
    if entry.file_size > most + MOST_NPY_HEADER:
        raise StorageError(f"its entry {entry.filename!r} has {entry.file_size} bytes")
    with archive.open(entry) as file:
        shape, dtype = _npy_header(file, entry.filename)
        count = 1
        for length in shape:
            count *= length
        if count * dtype.itemsize != entry.file_size - file.tell():
            raise StorageError(f"the shape of {entry.filename!r} does not fit its size")
        array: Array = np.empty(shape, dtype=dtype)
        view = _bytes_of(array)
        for start in range(0, len(view), BLOCK):
            part = file.read(min(BLOCK, len(view) - start))
            view[start : start + len(part)] = part
        # The check sum is looked at when the end is met.
        if file.read(1):
            raise StorageError(f"{entry.filename!r} is longer than it says")
    return array


def _npy_header(file: IO[bytes], name: str) -> tuple[tuple[int, ...], np.dtype[Any]]:
    if np.lib.format.read_magic(file) != (1, 0):
        raise StorageError(f"{name!r} is of an unknown npy version")
    shape, fortran, dtype = np.lib.format.read_array_header_1_0(
        file, max_header_size=MOST_NPY_HEADER
    )
    if (
        fortran
        or dtype.str not in DTYPES
        or len(shape) > MOST_DIMENSIONS
        or min(shape, default=0) < 0
    ):
        raise StorageError(f"{name!r} has a dtype or shape that is not stored")
    return shape, dtype
