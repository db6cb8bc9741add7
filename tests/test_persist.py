"""Model files: whole or not at all, and never anything but numbers."""

from __future__ import annotations

import io
import json
import os
import pickle
import stat
import zipfile
from pathlib import Path

import numpy as np
import pytest

from fusem import persist
from fusem.exceptions import FusemFileError
from fusem.persist import read_model, save_model

HEADER = {
    "model": "Anything",
    "text": "größe",
    "number": 0.1,
    "none": None,
    "flag": True,
    "list": [1, [2.5, -np.inf]],
    "nested": {"a": {"b": 1}},
}
ARRAYS = {
    "weights": np.array([0.25, 0.75]),
    "means": np.asfortranarray(np.arange(6.0).reshape(2, 3)),
    "count": np.array(7),
    "history/seconds": np.zeros(0),
    "float32": np.float32([1.5, np.nan]),
    "flags": np.array([True, False]),
    "names": np.array(["x", "größe"]),
}


@pytest.fixture
def path(tmp_path):
    return tmp_path / "model.npz"


@pytest.fixture
def content(path):
    """Return the bytes of a good file, which stands at `path`."""
    save_model(path, HEADER, ARRAYS)
    return path.read_bytes()


def names_in(folder) -> list[str]:
    return [entry.name for entry in folder.iterdir()]


def assert_same_arrays(arrays, expected) -> None:
    assert list(arrays) == list(expected)
    for name, array in expected.items():
        assert arrays[name].dtype == array.dtype
        assert arrays[name].shape == array.shape
        np.testing.assert_array_equal(arrays[name], array)


@pytest.mark.parametrize("kind", [str, Path])
def test_round_trip(tmp_path, kind):
    path = tmp_path / "a model"  # no suffix is added
    save_model(kind(path), HEADER, ARRAYS)
    assert names_in(tmp_path) == ["a model"]
    header, arrays = read_model(kind(path))
    assert header == HEADER
    assert_same_arrays(arrays, ARRAYS)
    assert all(array.flags.writeable for array in arrays.values())


def test_an_empty_model(path):
    save_model(path, {}, {})
    assert read_model(path) == ({}, {})


def test_numpy_scalars_in_the_header(path):
    save_model(path, {"a": np.float64(0.1), "b": np.int64(3), "c": np.bool_(True)}, {})
    assert read_model(path)[0] == {"a": 0.1, "b": 3, "c": True}


def test_numpy_opens_it_without_pickle(path, content):
    with np.load(path, allow_pickle=False) as archive:
        np.testing.assert_array_equal(archive["means"], ARRAYS["means"])
        assert json.loads(archive["fusem.json"].tobytes())["header"]["model"] == "Anything"


def test_the_same_model_gives_the_same_bytes(path, content):
    save_model(path, HEADER, ARRAYS)
    assert path.read_bytes() == content


def test_cut_short_anywhere(path, content):
    for size in [*range(0, len(content), 37), len(content) - 1]:
        path.write_bytes(content[:size])
        with pytest.raises(FusemFileError, match=r"model\.npz' is (empty|not a fusem|truncated)"):
            read_model(path)


def test_one_wrong_byte_anywhere(path, content):
    """A changed byte is an error, or one that means nothing (dates, attributes)."""
    refused = 0
    for position in range(0, len(content), 5):
        damaged = bytearray(content)
        damaged[position] ^= 0xFF
        path.write_bytes(damaged)
        try:
            header, arrays = read_model(path)
        except FusemFileError as error:
            refused += 1
            assert "model.npz" in str(error)  # noqa: PT017 - counted above
        else:
            assert header == HEADER
            assert_same_arrays(arrays, ARRAYS)
    assert refused > len(content) / 10


def npy_bytes(array, **options) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array, **options)
    return buffer.getvalue()


def rewritten(path, **changes) -> None:
    """Write a model file with some members replaced (bytes), or left out (None)."""
    save_model(path, HEADER, ARRAYS)
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    members |= changes
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in members.items():
            if data is not None:
                archive.writestr(name, data)


def envelope(**changes) -> dict[str, bytes]:
    good = {"format": "fusem model", "format_version": 1, "arrays": list(ARRAYS), "header": HEADER}
    text = json.dumps(good | changes).encode()
    return {"fusem.json.npy": npy_bytes(np.frombuffer(text, dtype=np.uint8))}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"fusem.json.npy": None}, "not a fusem model: it is an archive that holds weights.npy"),
        ({"fusem.json.npy": b""}, "truncated or damaged"),
        ({"fusem.json.npy": npy_bytes(np.frombuffer(b"{no", np.uint8))}, "damaged .*JSONDecodeErr"),
        ({"fusem.json.npy": npy_bytes(np.frombuffer(b"\xff", np.uint8))}, "truncated or damaged"),
        ({"fusem.json.npy": npy_bytes(np.frombuffer(b"[1]", np.uint8))}, "header says otherwise"),
        (envelope(format="other"), "header says otherwise"),
        (envelope(format_version=2), "version 2, written by a newer fusem; .* up to 1.*Upgrade"),
        (envelope(format_version=9, written_by="fusem 12.0"), "written by fusem 12.0"),
        (envelope(format_version="one"), "format version one"),
        (envelope(format_version=None), "format version None"),
        (envelope(arrays=["weights"]), "should hold .*weights.npy, but holds .*means.npy"),
        (envelope(arrays=None), "truncated or damaged"),
        (envelope(arrays=[1, 2]), "should hold"),
        (envelope(header=[1]), "truncated or damaged"),
        ({"means.npy": None}, "should hold .*means.npy"),
        ({"other.npy": npy_bytes(np.zeros(1))}, "but holds .*other.npy"),
        ({"means.npy": npy_bytes(np.zeros(100))[:-1]}, "truncated or damaged"),
        ({"means.npy": npy_bytes(np.zeros(100)) + b"x"}, "means.npy is longer than its array"),
        ({"means.npy": b"hello"}, "truncated or damaged"),
    ],
)
def test_damaged_inside(path, changes, message):
    rewritten(path, **changes)
    with pytest.raises(FusemFileError, match=message) as caught:
        read_model(path)
    assert "model.npz" in str(caught.value)


class Bomb:
    """Leaves a trace when it is unpickled."""

    def __reduce__(self):
        return (os.mkdir, ("exploded",))


def test_pickles_inside_are_not_opened(path, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    bomb = npy_bytes(np.array([Bomb()], dtype=object), allow_pickle=True)
    for member in ("means.npy", "fusem.json.npy"):
        rewritten(path, **{member: bomb})
        with pytest.raises(FusemFileError, match=r"damaged .*allow_pickle"):
            read_model(path)
    path.write_bytes(pickle.dumps(Bomb()))
    with pytest.raises(FusemFileError, match="it is a pickle"):
        read_model(path)
    assert names_in(tmp_path) == ["model.npz"]


def test_an_array_that_claims_to_be_huge(path):
    claim = io.BytesIO()
    shape = {"descr": "<f8", "fortran_order": False, "shape": (2**60,)}
    np.lib.format.write_array_header_1_0(claim, shape)
    rewritten(path, **{"means.npy": claim.getvalue() + bytes(80)})
    with pytest.raises(FusemFileError, match="truncated or damaged"):
        read_model(path)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "is empty. Save the model again"),
        (npy_bytes(np.zeros(3)), r"it is an \.npy file with a single array"),
        (b"PAR1....", "it is a Parquet file"),
        (b"\x89HDF\r\n", "it is an HDF5 file"),
        (b"\x1f\x8b\x08", "it is a gzip file"),
        (b'{"model": 1}', "it is a JSON file"),
        (b"hello", r"is not a fusem model\. Give a file that model\.save"),
        (b"PK", "truncated or damaged"),
        (b"PK\x03\x04 something else", "truncated or damaged"),
    ],
)
def test_foreign_files(path, data, message):
    path.write_bytes(data)
    with pytest.raises(FusemFileError, match=message):
        read_model(path)


def test_foreign_archives(path):
    np.savez(path, X=np.zeros(3))
    with pytest.raises(FusemFileError, match=r"an archive that holds X\.npy"):
        read_model(path)
    with zipfile.ZipFile(path, "w"):
        pass
    with pytest.raises(FusemFileError, match="an archive that holds nothing"):
        read_model(path)


def test_nothing_there(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"There is no file .*model\.npz'"):
        read_model(tmp_path / "model.npz")
    with pytest.raises(IsADirectoryError, match="is a folder, not a model file"):
        read_model(tmp_path)
    with pytest.raises(IsADirectoryError, match="is a folder; give the name of a file in it"):
        save_model(tmp_path, {}, {})
    with pytest.raises(FileNotFoundError, match=r"the folder .*missing' does not exist"):
        save_model(tmp_path / "missing" / "model.npz", {}, {})


@pytest.mark.parametrize("wrong", [None, 3, io.BytesIO(), b"model.npz"])
def test_paths_are_paths(wrong):
    for call in (lambda: read_model(wrong), lambda: save_model(wrong, {}, {})):
        with pytest.raises(TypeError, match="must be a str or PathLike"):
            call()


@pytest.mark.parametrize(
    ("header", "arrays", "error", "message"),
    [
        ({"a": {"random_state": np.random.RandomState(0)}}, {}, TypeError, "RandomState.*JSON"),
        ({"a": np.zeros(2)}, {}, TypeError, "ndarray.*store arrays as arrays"),
        ({}, {"a": np.array([{}])}, TypeError, "array 'a' of dtype object cannot be stored"),
        ({}, {"a": np.ma.masked_array([1.0], [True])}, TypeError, "array 'a'"),
        ({}, {"": np.zeros(1)}, ValueError, "'' cannot be the name"),
        ({}, {"fusem.json": np.zeros(1)}, ValueError, "'fusem.json' cannot be the name"),
        ({}, {"a\\b": np.zeros(1)}, ValueError, "cannot be the name"),
    ],
)
def test_what_cannot_be_stored_leaves_the_old_file(path, content, header, arrays, error, message):
    with pytest.raises(error, match=message):
        save_model(path, header, arrays)
    assert path.read_bytes() == content
    assert names_in(path.parent) == ["model.npz"]


@pytest.mark.parametrize("exception", [OSError("disk full"), KeyboardInterrupt()], ids=repr)
@pytest.mark.parametrize("where", ["os.replace", "os.fsync", "numpy.lib.format.write_array"])
def test_a_failing_write_leaves_the_old_file(path, content, monkeypatch, where, exception):
    def fail(*args, **kwargs):
        raise exception

    with monkeypatch.context() as patch:
        patch.setattr(where, fail)
        with pytest.raises(type(exception)):
            save_model(path, {"other": 1}, {"means": np.ones(10)})
    assert path.read_bytes() == content
    assert names_in(path.parent) == ["model.npz"]
    save_model(path, {"other": 1}, {})
    assert read_model(path)[0] == {"other": 1}


def test_a_write_that_fails_half_way_leaves_nothing_new(path, monkeypatch):
    write, calls = np.lib.format.write_array, []

    def fail_later(*args, **kwargs):
        calls.append(1)
        if len(calls) == 4:
            raise OSError("disk full")
        write(*args, **kwargs)

    monkeypatch.setattr(np.lib.format, "write_array", fail_later)
    with pytest.raises(OSError, match="disk full"):
        save_model(path, HEADER, ARRAYS)
    assert names_in(path.parent) == []


@pytest.mark.skipif(os.name == "nt", reason="POSIX permissions and links")
def test_permissions_and_links_are_kept(path, tmp_path):
    save_model(path, {}, {})
    umask = os.umask(0)
    os.umask(umask)
    assert stat.S_IMODE(path.stat().st_mode) == 0o666 & ~umask
    path.chmod(0o640)
    link = tmp_path / "latest"
    link.symlink_to(path)
    save_model(link, {"new": 1}, {})
    assert link.is_symlink()
    assert read_model(path)[0] == {"new": 1}
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


def test_a_long_file_name(tmp_path):
    path = tmp_path / ("m" * 250)
    save_model(path, {"a": 1}, {})
    assert read_model(path)[0] == {"a": 1}


def test_home_is_expanded(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    save_model("~/model.npz", {"a": 1}, {})
    assert read_model(tmp_path / "model.npz")[0] == read_model("~/model.npz")[0] == {"a": 1}


def test_an_older_version_is_read(path, monkeypatch):
    save_model(path, {"a": 1}, {})
    monkeypatch.setattr(persist, "FORMAT_VERSION", 2)
    assert read_model(path)[0] == {"a": 1}
