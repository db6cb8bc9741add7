"""Where answers are written: never over the rows, never half a file."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import fusem
import fusem.data
from fusem.cli.output import replacing
from fusem.data.files import reads_from
from fusem.mixture import output

X = np.random.default_rng(0).normal(size=(3000, 4))


@pytest.fixture(scope="module")
def model():
    return fusem.GaussianMixture(4, random_state=0, tol=1.0).fit(X)


@pytest.mark.parametrize("name", ["rows.npy", "./rows.npy", "ro*.npy", "link.npy"])
def test_the_file_that_is_read_is_not_written(model, tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    np.save("rows.npy", X)
    (tmp_path / "link.npy").symlink_to("rows.npy")
    with pytest.raises(ValueError, match="read from"):
        model.predict_proba(name, out="rows.npy")
    np.testing.assert_array_equal(np.load("rows.npy"), X)


def test_the_command_line_does_not_write_over_its_input(model, tmp_path):
    np.save(tmp_path / "rows.npy", X)
    model.save(tmp_path / "model.npz")
    command = [sys.executable, "-m", "fusem", "predict", "model.npz", "rows.npy", "-o", "rows.npy"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "write to another file" in done.stderr
    np.testing.assert_array_equal(np.load(tmp_path / "rows.npy"), X)


def test_memory_that_is_read_is_not_written(model):
    buffer = np.zeros((6000, 4))
    buffer[1000:4000] = X
    with pytest.raises(ValueError, match="overlaps"):
        model.predict_proba(buffer[1000:4000], out=buffer[1100:4100])
    expected = model.predict_proba(X)
    np.testing.assert_array_equal(model.predict_proba(X, out=buffer[:3000]), expected)


MAPPED = {
    "array": lambda: np.load("rows.npy", mmap_mode="r"),
    "part": lambda: np.load("rows.npy", mmap_mode="r")[5:],
    "rows": lambda: fusem.rows("rows.npy"),
    "list": lambda: [X, np.asarray(np.load("rows.npy", mmap_mode="r"))],
    "rows of a list": lambda: fusem.rows(["rows.npy", X]),
    "csv": lambda: fusem.rows("rows.csv"),
    "parquet": lambda: fusem.rows("rows.parquet"),
}


@pytest.mark.parametrize("kind", MAPPED)
def test_a_file_that_is_mapped_or_opened_is_not_written(model, tmp_path, monkeypatch, kind):
    pq, pa = pytest.importorskip("pyarrow.parquet"), pytest.importorskip("pyarrow")
    monkeypatch.chdir(tmp_path)
    np.save("rows.npy", X)
    np.savetxt("rows.csv", X, delimiter=",")
    pq.write_table(pa.table({str(j): X[:, j] for j in range(4)}), "rows.parquet")
    source = MAPPED[kind]()
    read = f"rows.{kind}" if kind in ("csv", "parquet") else "rows.npy"
    assert reads_from(source, read)
    assert not reads_from(source, "other.npy")
    Path("link.npy").hardlink_to(read)
    before = Path(read).read_bytes()
    for given in ("link.npy", *(() if read != "rows.npy" else ("map",))):
        out = np.load("rows.npy", mmap_mode="r+") if given == "map" else given
        with pytest.raises(ValueError, match="read from"):
            model.predict_proba(source, out=out)
    assert Path(read).read_bytes() == before


def test_rows_between_those_that_are_read_may_be_written(model):
    buffer = np.zeros((3000, 8))
    buffer[:, ::2] = X
    expected = model.predict_proba(X)
    found = model.predict_proba(buffer[:, ::2], out=buffer[:, 1::2])
    np.testing.assert_array_equal(found, expected)


def test_memory_of_a_source_is_not_written_before_it_is_read(model):
    """Rows with holes are read twice; the table is filled as they are."""
    holes = np.where(np.random.default_rng(1).random(X.shape) < 0.2, np.nan, X)
    expected, rows = model.predict_proba(holes), holes.copy()
    np.testing.assert_array_equal(model.predict_proba(fusem.rows(rows), out=rows), expected)


class Growing(fusem.data.Rows):
    """Rows that get more from pass to pass."""

    n_columns, n_rows, dtype, label = 4, None, np.dtype(np.float64), "a growing table"

    def __init__(self, n_rows=None):
        self.n_rows, self.passes = n_rows, 0

    def blocks(self):
        self.passes += 1
        for _ in range(self.passes if self.n_rows is None else 2):
            yield X[:1000]


@pytest.mark.parametrize("announced", [None, 1500])
@pytest.mark.parametrize("method", ["predict_proba", "impute"])
def test_more_rows_than_there_is_room_for_are_an_error(model, method, announced):
    memory = np.zeros((9000, 4))
    n = 1000 if announced is None else announced
    with pytest.raises(ValueError, match=r"a growing table (gave|announced)"):
        getattr(model, method)(Growing(announced), out=memory[:n])
    assert not memory[n:].any()


@pytest.mark.parametrize("kind", ["read-only", "one place"])
def test_an_array_that_cannot_be_written_is_named(model, kind):
    out = np.empty((3000, 4))
    if kind == "read-only":
        out.flags.writeable = False
    else:
        out = np.lib.stride_tricks.as_strided(out, strides=(0, 8))
    with pytest.raises(ValueError, match=r"read-only|share their memory"):
        model.predict_proba(X, out=out)


def test_a_full_disk_is_an_error_and_leaves_nothing(model, tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(output.os, "posix_fallocate", full, raising=False)
    with pytest.raises(OSError, match="No space left"):
        model.predict_proba(X, out=tmp_path / "proba.npy")
    assert list(tmp_path.iterdir()) == []


def unwritable():
    """Return a folder in which not even root can make a file."""
    if not sys.platform.startswith("linux"):
        pytest.skip("needs Linux's /proc")
    return "/proc"


def test_an_error_names_the_file_that_was_asked_for(model, tmp_path):
    nowhere = tmp_path / "nowhere" / "proba.npy"
    with pytest.raises(
        FileNotFoundError, match=r"proba\.npy': the folder .*nowhere' does not exist"
    ):
        model.predict_proba(X, out=nowhere)
    target = f"{unwritable()}/model.npz"
    with pytest.raises(OSError, match="model") as caught:
        model.save(target)
    assert caught.value.filename == target
    with (
        pytest.raises(OSError, match="table") as caught,
        replacing(Path("/proc/table.csv")) as part,
    ):
        part.touch()
    assert caught.value.filename == "/proc/table.csv"


def test_the_command_line_tries_the_folder_before_any_work(model, tmp_path):
    model.save(tmp_path / "model.npz")
    folder = unwritable()
    for line in (
        f"fit nothing.npy -k 2 -o {folder}/m.npz",  # even before it finds that there is no such file
        f"fit nothing.npy -k 2 --plot {folder}/p.png",
        f"predict model.npz nothing.npy -o {folder}/l.npy",
        f"sample model.npz -n 5 -o {folder}/s.csv",
    ):
        command = [sys.executable, "-m", "fusem", *line.split()]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == 2
        assert f"{line.split()[-1]}: the folder /proc cannot be written" in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["model.npz"]


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("weights_", [-1.0, 2.0], "weights_"),
        ("weights_", [np.nan, 1.0], "weights_"),
        ("means_", np.full((2, 2), np.nan), "means_"),
        ("covariances_", np.full((2, 2, 2), np.nan), "covariances_"),
        ("covariances_", np.array([[[1.0, 0.5], [0.1, 1.0]]] * 2), "symmetric"),
    ],
)
def test_assigned_nonsense_is_named(name, value, message):
    model = fusem.GaussianMixture(2)
    model.weights_, model.means_ = np.array([0.5, 0.5]), np.zeros((2, 2))
    model.covariances_ = np.array([np.eye(2)] * 2)
    setattr(model, name, value)
    with pytest.raises(ValueError, match=message):
        model.predict(X[:, :2])


def test_values_whose_squares_underflow_are_named():
    with pytest.raises(ValueError, match=r"column 0 of X are so small"):
        fusem.GaussianMixture(1).fit(X * 1e-200)
