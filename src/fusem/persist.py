"""Models in files: named arrays and a JSON header in one `.npz`, without pickle.

What a model is, and how its parts are named, the estimators know; here are bytes.

A model file is an uncompressed zip archive that `numpy.load` can open too:

- ``fusem.json.npy``: bytes of a JSON object ``{"format": "fusem model", "format_version": 1,
  "written_by": "fusem 1.2.3", "arrays": [names], "header": {…}}``
- ``NAME.npy`` for each array.

The same model gives the same bytes: no dates, no names of machines.
"""

from __future__ import annotations

import io
import json
import os
import secrets
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from fusem.exceptions import FusemFileError

__all__ = ["naming", "read_model", "save_model"]

FORMAT = "fusem model"
# To be raised when a file written by this version would be misread by an older one.
FORMAT_VERSION = 1
HEADER_MEMBER = "fusem.json.npy"

_DAMAGE = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    EOFError,
    KeyError,
    IndexError,
    MemoryError,
    NotImplementedError,  # a zip method or version that Python does not know
    OSError,
    OverflowError,
    RuntimeError,  # the flag of encryption is set
    ValueError,
)

_FOREIGN = {
    b"\x93NUMPY": "an .npy file with a single array",
    b"PAR1": "a Parquet file",
    b"\x89HDF": "an HDF5 file",
    b"\x80\x02": "a pickle",
    b"\x80\x03": "a pickle",
    b"\x80\x04": "a pickle",
    b"\x80\x05": "a pickle",
    b"\x1f\x8b": "a gzip file",
    b"{": "a JSON file",
}


def save_model(
    path: str | os.PathLike[str],
    header: Mapping[str, Any],
    arrays: Mapping[str, npt.NDArray[Any]],
) -> None:
    """Write a header and arrays to a file, completely or not at all.

    They go to a temporary file in the same folder, which then replaces `path` in one step: whoever
    reads `path` finds the old model or the new one, also after a crash or a full disk.

    Parameters
    ----------
    path : str or PathLike
        Where to. The name is taken as it is: no suffix is added.
    header : mapping
        What JSON can hold (strings, numbers, booleans, ``None``, lists, dictionaries), and NumPy
        scalars.
    arrays : mapping of str to ndarray
        Arrays without Python objects. ``/`` in a name groups arrays, as in ``history/seconds``.

    Raises
    ------
    TypeError
        If the header or an array holds what cannot be stored; nothing is written then.
    OSError
        If writing fails; an existing file stays as it was.
    """
    target = Path(os.path.realpath(_as_path(path)))  # through a link, not instead of it
    if target.is_dir():
        raise IsADirectoryError(f"{_quoted(path)} is a folder; give the name of a file in it.")
    check_folder(path, target)
    members = _members(header, arrays)

    def write(file: IO[bytes]) -> None:
        with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
            for name, array in members.items():
                info = zipfile.ZipInfo(name)  # dated 1980, always
                info.external_attr = 0o644 << 16
                with archive.open(info, "w", force_zip64=True) as member:
                    np.lib.format.write_array(member, array, allow_pickle=False)

    _replace(target, write, _as_path(path))


def check_folder(path: str | os.PathLike[str], target: Path) -> None:
    """Refuse a file whose folder does not exist.

    Parameters
    ----------
    path : str or path
        What was asked for.
    target : Path
        The file that it names.

    Raises
    ------
    FileNotFoundError
        Naming file and folder.
    """
    if not target.parent.is_dir():
        raise FileNotFoundError(
            f"Cannot write {_quoted(path)}: the folder {_quoted(target.parent)} does not exist."
        )


@contextmanager
def naming(target: Path, temporary: Path | None) -> Iterator[None]:
    """Let errors about a temporary file name the file that it was to become, which is what a user knows.

    Parameters
    ----------
    target : Path
        The file that was asked for.
    temporary : Path
        The file that is written first; None for errors that name no file, of one that is open.

    Raises
    ------
    OSError
        As it was raised, but about `target`.
    """
    try:
        yield
    except OSError as error:
        if error.errno is None or str(error.filename) != str(temporary):
            raise
        raise OSError(error.errno, error.strerror, str(target)) from error


def read_model(
    path: str | os.PathLike[str],
) -> tuple[dict[str, Any], dict[str, npt.NDArray[Any]]]:
    """Read what `save_model` wrote.

    Parameters
    ----------
    path : str or PathLike
        The file.

    Returns
    -------
    header : dict
        As given to `save_model`; tuples have become lists.
    arrays : dict of str to ndarray
        Fresh, writable arrays.

    Raises
    ------
    FusemFileError
        If it is no model file, is truncated or damaged, or was written by a newer fusem.
    FileNotFoundError
        If there is no such file.
    """
    source = _as_path(path)
    if not source.exists():
        raise FileNotFoundError(f"There is no file {_quoted(path)} (looked from {Path.cwd()}).")
    if source.is_dir():
        raise IsADirectoryError(f"{_quoted(path)} is a folder, not a model file.")
    with source.open("rb") as file:
        _refuse_foreign(file.read(8), path)
        try:
            with zipfile.ZipFile(file) as archive:
                return _read_archive(archive, path)
        except FusemFileError:
            raise
        except _DAMAGE as error:
            raise FusemFileError(
                f"{_quoted(path)} is truncated or damaged ({type(error).__name__}: {error}). "
                "Copy or save the model again."
            ) from error


def _read_archive(
    archive: zipfile.ZipFile, path: str | os.PathLike[str]
) -> tuple[dict[str, Any], dict[str, npt.NDArray[Any]]]:
    names = archive.namelist()
    if HEADER_MEMBER not in names:
        raise FusemFileError(
            f"{_quoted(path)} is not a fusem model: it is an archive that holds "
            f"{', '.join(names[:5]) or 'nothing'}. Give a file that model.save(path) wrote."
        )
    envelope = json.loads(_read_array(archive, HEADER_MEMBER).tobytes())
    if not isinstance(envelope, dict) or envelope.get("format") != FORMAT:
        raise FusemFileError(f"{_quoted(path)} is not a fusem model: its header says otherwise.")
    number = envelope.get("format_version")
    if not isinstance(number, int) or number > FORMAT_VERSION:
        raise FusemFileError(
            f"{_quoted(path)} has format version {number}, written by "
            f"{envelope.get('written_by', 'a newer fusem')}; this fusem reads versions up to "
            f"{FORMAT_VERSION}. Upgrade it: pip install --upgrade fusem"
        )
    header, listed = envelope["header"], envelope["arrays"]
    if not isinstance(header, dict) or not isinstance(listed, list):
        raise ValueError("its header is incomplete")
    expected = [HEADER_MEMBER, *(f"{name}.npy" for name in listed)]
    if sorted(names) != sorted(expected):
        raise FusemFileError(
            f"{_quoted(path)} is damaged: it should hold {', '.join(expected)}, but holds "
            f"{', '.join(names)}. Save the model again."
        )
    return header, {name: _read_array(archive, f"{name}.npy") for name in listed}


def _read_array(archive: zipfile.ZipFile, member: str) -> npt.NDArray[Any]:
    # Through memory: only reading a member to its end makes zipfile compare its checksum.
    content = io.BytesIO(archive.read(member))
    array = np.lib.format.read_array(content, allow_pickle=False)
    if content.read(1):
        raise ValueError(f"{member} is longer than its array")
    return np.asarray(array)


def _refuse_foreign(start: bytes, path: str | os.PathLike[str]) -> None:
    if start.startswith(b"PK"):
        return
    if not start:
        raise FusemFileError(f"{_quoted(path)} is empty. Save the model again.")
    what = next((text for magic, text in _FOREIGN.items() if start.startswith(magic)), None)
    raise FusemFileError(
        f"{_quoted(path)} is not a fusem model{f': it is {what}' if what else ''}. "
        "Give a file that model.save(path) wrote."
    )


def _members(
    header: Mapping[str, Any], arrays: Mapping[str, npt.NDArray[Any]]
) -> dict[str, npt.NDArray[Any]]:
    """Everything to be written, checked before a file is touched."""
    members = {}
    for name, array in arrays.items():
        array = np.asanyarray(array)
        if array.dtype.hasobject or np.ma.isMaskedArray(array):
            raise TypeError(
                f"The array {name!r} of dtype {array.dtype} cannot be stored without pickle; "
                "convert it to numbers."
            )
        if not name or f"{name}.npy" == HEADER_MEMBER or set(name) & set("\\:\0"):
            raise ValueError(f"{name!r} cannot be the name of an array in a file.")
        members[f"{name}.npy"] = np.asarray(array)
    envelope = {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "written_by": f"fusem {_own_version()}",
        "arrays": list(arrays),
        "header": dict(header),
    }
    text = json.dumps(envelope, default=_plain)
    return {HEADER_MEMBER: np.frombuffer(text.encode(), dtype=np.uint8), **members}


def _plain(value: object) -> Any:
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(
        f"The header holds {value!r} ({type(value).__name__}), which JSON cannot hold; "
        "store arrays as arrays, and of other objects what it takes to make them again."
    )


def _replace(target: Path, write: Callable[[IO[bytes]], None], given: Path) -> None:
    """Write a temporary file and put it in the place of `target`, which errors call as it was given."""
    # Not tempfile: its files are private to the user, and stay so after the renaming.
    temporary = target.with_name(f".{target.name[:100]}.{secrets.token_hex(8)}.tmp")
    with naming(given, temporary):
        try:
            with temporary.open("xb") as file:
                write(file)
                file.flush()
                os.fsync(file.fileno())
            if target.exists():
                temporary.chmod(target.stat().st_mode & 0o777)
            temporary.replace(target)
        except BaseException:  # also Ctrl-C
            temporary.unlink(missing_ok=True)
            raise
    _sync_folder(target.parent)


def _sync_folder(folder: Path) -> None:
    """Make the renaming durable, where folders can be synchronised (not on Windows)."""
    if not hasattr(os, "O_DIRECTORY"):
        return
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    except OSError:  # some network file systems cannot; the file itself is complete
        pass
    finally:
        os.close(descriptor)


def _own_version() -> str:
    try:
        return version("fusem")
    except PackageNotFoundError:  # run from a source tree that was never installed
        return "(unknown version)"


def _as_path(path: str | os.PathLike[str]) -> Path:
    if not isinstance(path, str | os.PathLike):
        raise TypeError(
            f"The path of a model must be a str or PathLike, got {type(path).__name__}."
        )
    return Path(path).expanduser()


def _quoted(path: str | os.PathLike[str]) -> str:
    return repr(os.fspath(path))
