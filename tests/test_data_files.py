"""Parquet, CSV and paths: the same rows as in memory, and errors that name the file."""

from __future__ import annotations

import gzip
import sys
from pathlib import Path

import numpy as np
import pytest

import fusem
from fusem.data import open_rows, open_weights
from fusem.data.arrow import BATCH_BYTES

pa = pytest.importorskip("pyarrow")
pq = pytest.importorskip("pyarrow.parquet")

X = np.random.default_rng(0).normal(size=(50, 3))
TABLE = pa.table({name: X[:, j] for j, name in enumerate("xyz")})


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def write_csv(path: str, text: str) -> str:
    Path(path).write_text(text, encoding="utf-8")
    return path


# Parquet


@pytest.mark.parametrize("row_group_size", [1, 7, 1000])
@pytest.mark.parametrize("kind", [np.float32, np.float64, np.int16])
def test_parquet(row_group_size, kind):
    values = (10 * X).astype(kind)
    table = pa.table({name: values[:, j] for j, name in enumerate("xyz")})
    pq.write_table(table, "x.parquet", row_group_size=row_group_size)
    rows = open_rows("x.parquet")
    assert (rows.n_rows, rows.names) == (50, ("x", "y", "z"))
    assert rows.dtype == (np.float32 if kind == np.float32 else np.float64)
    for _ in range(2):
        np.testing.assert_array_equal(rows.to_array(), values.astype(rows.dtype))
    for columns in (["z", "x"], [2, 0]):
        rows = open_rows(Path("x.parquet"), columns=columns)
        assert rows.names == ("z", "x")
        np.testing.assert_array_equal(rows.to_array(), values[:, [2, 0]].astype(rows.dtype))


def test_parquet_nulls_are_nan():
    table = pa.table({"i": [1, None, 3], "b": [True, False, None], "f": [None, 2.5, 3.5]})
    pq.write_table(table, "x.parquet")
    expected = [[1, 1, np.nan], [np.nan, 0, 2.5], [3, np.nan, 3.5]]
    np.testing.assert_array_equal(open_rows("x.parquet").to_array(), expected)


def test_several_parquet_files_are_matched_by_name():
    Path("d/sub").mkdir(parents=True)
    pq.write_table(TABLE.slice(0, 20), "d/part-1.parquet")
    pq.write_table(TABLE.slice(20).select(["z", "x", "y"]), "d/sub/part-2.PARQUET")
    pq.write_table(TABLE.slice(0, 5), "d/_hidden.parquet")
    for source in ("d", Path("d"), ["d/part-1.parquet", Path("d/sub/part-2.PARQUET")]):
        rows = open_rows(source)
        assert rows.n_rows == 50
        np.testing.assert_array_equal(rows.to_array(), X)
    np.testing.assert_array_equal(open_rows("d/part*.parquet").to_array(), X[:20])
    np.testing.assert_array_equal(open_rows("d", columns="y").to_array(), X[:, 1:2])


def test_several_parquet_files_have_one_dtype():
    pq.write_table(pa.table({"x": np.float32([1.5])}), "a.parquet")
    pq.write_table(pa.table({"x": np.float32([2.5])}), "b.parquet")
    assert open_rows("*.parquet").dtype == np.float32
    pq.write_table(pa.table({"x": [3]}), "c.parquet")
    rows = open_rows("*.parquet")
    assert rows.dtype == np.float64
    np.testing.assert_array_equal(rows.to_array(), [[1.5], [2.5], [3]])


def test_several_parquet_files_with_other_columns():
    pq.write_table(pa.table({"x": [1.0], "y": [1.0]}), "a.parquet")
    pq.write_table(pa.table({"x": [1.0]}), "b.parquet")
    with pytest.raises(ValueError, match=r"'b\.parquet' has no column 'y', which 'a\.parquet' has"):
        open_rows("*.parquet")
    assert open_rows("*.parquet", columns="x").n_rows == 2
    pq.write_table(pa.table({"x": ["1.0"]}), "b.parquet")
    with pytest.raises(ValueError, match=r"'b\.parquet': column 'x' \(string\) is not numeric"):
        open_rows("*.parquet", columns="x")


def test_parquet_columns_without_numbers():
    pq.write_table(TABLE.append_column("name", [["a"] * 50]), "x.parquet")
    with pytest.raises(ValueError, match=r"column 'name' \(string\) is.*columns=\['x', 'y', 'z'\]"):
        open_rows("x.parquet")
    assert open_rows("x.parquet", columns=["x"]).n_columns == 1
    with pytest.raises(ValueError, match="no column 'nam'; did you mean 'name'"):
        open_rows("x.parquet", columns=["nam"])


def test_the_index_that_pandas_writes_is_no_column():
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame(X, columns=list("xyz"))[X[:, 0] > 0]
    frame.to_parquet("x.parquet")
    assert "__index_level_0__" in pq.read_schema("x.parquet").names
    np.testing.assert_array_equal(open_rows("x.parquet").to_array(), X[X[:, 0] > 0])


def test_empty_parquet():
    pq.write_table(TABLE.slice(0, 0), "x.parquet")
    with pytest.raises(ValueError, match=r"'x\.parquet': Found array with 0 sample\(s\)"):
        open_rows("x.parquet")
    pq.write_table(TABLE, "y.parquet")
    assert open_rows("*.parquet").n_rows == 50


def test_damaged_parquet():
    pq.write_table(TABLE, "x.parquet")
    whole = Path("x.parquet").read_bytes()
    for size in (0, 4, 100, len(whole) - 1):
        Path("x.parquet").write_bytes(whole[:size])
        with pytest.raises(ValueError, match=r"'x\.parquet' cannot be read as Parquet"):
            open_rows("x.parquet")


def test_parquet_that_is_damaged_inside():
    pq.write_table(TABLE, "x.parquet")
    whole = bytearray(Path("x.parquet").read_bytes())
    whole[4:400] = b"\xff" * 396
    Path("x.parquet").write_bytes(whole)
    rows = open_rows("x.parquet")
    with pytest.raises(ValueError, match=r"'x\.parquet' cannot be read as Parquet"):
        rows.to_array()


def test_parquet_that_changes_between_passes():
    pq.write_table(TABLE, "x.parquet")
    rows = open_rows("x.parquet")
    rows.to_array()
    pq.write_table(TABLE.slice(0, 49), "x.parquet")
    with pytest.raises(ValueError, match=r"'x\.parquet' changed while .* bytes and now has"):
        rows.to_array()
    Path("x.parquet").unlink()
    with pytest.raises(ValueError, match=r"'x\.parquet' was removed"):
        rows.to_array()


def test_parquet_is_streamed():
    n = 2**20
    pq.write_table(pa.table({"x": np.arange(n), "y": np.arange(n)}), "x.parquet")
    rows, sizes = open_rows("x.parquet"), []
    before = pa.total_allocated_bytes()
    most = 0
    for block in rows.blocks():
        sizes.append(block.nbytes)
        most = max(most, pa.total_allocated_bytes() - before)
    assert len(sizes) >= 4
    assert max(sizes) <= BATCH_BYTES
    assert most < 3 * BATCH_BYTES


def test_a_pyarrow_dataset_is_scanned():
    dataset = pytest.importorskip("pyarrow.dataset")
    Path("d").mkdir()
    pq.write_table(TABLE.slice(0, 20), "d/1.parquet")
    pq.write_table(TABLE.slice(20), "d/2.parquet")
    rows = open_rows(dataset.dataset("d"), columns=["z", "x"])
    assert (rows.n_rows, rows.names) == (None, ("z", "x"))
    np.testing.assert_array_equal(rows.to_array(), X[:, [2, 0]])
    assert rows.n_rows == 50
    Path("d/2.parquet").unlink()
    with pytest.raises(ValueError, match="X cannot be read any more"):
        rows.to_array()


# CSV


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("head", [True, False])
def test_csv(delimiter, head):
    lines = [delimiter.join("xyz")] * head + [delimiter.join(map(repr, r)) for r in X.tolist()]
    rows = open_rows(write_csv("x.csv", "\n".join(lines) + "\n"))
    assert (rows.n_rows, rows.dtype) == (None, np.float64)
    assert rows.names == (("x", "y", "z") if head else None)
    for _ in range(2):
        np.testing.assert_array_equal(rows.to_array(), X)
    assert rows.n_rows == 50
    np.testing.assert_array_equal(open_rows("x.csv", columns=[2, 0]).to_array(), X[:, [2, 0]])
    if head:
        np.testing.assert_array_equal(open_rows("x.csv", columns="y").to_array(), X[:, 1:2])
    with gzip.open("x.csv.gz", "wt", encoding="utf-8") as file:
        file.write("\n".join(lines))
    np.testing.assert_array_equal(open_rows("x.csv.gz").to_array(), X)


def test_csv_cells():
    rows = open_rows(write_csv("x.csv", '\ufeff"a b",c,d\n1,,true\nNA,2e3,false\n-0.5,nan,\n'))
    assert rows.names == ("a b", "c", "d")
    expected = [[1, np.nan, 1], [np.nan, 2000, 0], [-0.5, np.nan, np.nan]]
    np.testing.assert_array_equal(rows.to_array(), expected)


@pytest.mark.parametrize("length", range(8))
def test_a_line_may_end_within_quotes_wherever_the_file_is_cut(tmp_path, length):
    rows, text = 40_000, "x" * length
    path = tmp_path / "notes.csv"
    lines = (f'{i % 7},"{text}zzzzzzzzzz\n5000,abc"\n' for i in range(rows))
    path.write_text("a,note\n" + "".join(lines), encoding="utf-8")
    source = open_rows(path, columns=["a"])
    found = np.concatenate(list(source.blocks()))
    np.testing.assert_array_equal(found[:, 0], np.arange(rows) % 7)


def test_csv_with_integers_first_and_fractions_far_down():
    rows = open_rows(write_csv("x.csv", "a,b\n" + "1,2\n" * 600_000 + "1,2.5\n"))
    assert rows.to_array()[-1].tolist() == [1.0, 2.5]
    assert rows.n_rows == 600_001


@pytest.mark.parametrize("text", ["2019,2020\n0.5,0.25\n", '"0"\t"1"\n3\t4\n', "7\n0.5\n"])
def test_csv_whose_first_line_may_be_names(text):
    path = write_csv("x.csv", text)
    with pytest.warns(fusem.HeaderWarning, match="read as a row.*such as 'n") as caught:
        rows = open_rows(path)
    assert [warning.filename for warning in caught] == [__file__]
    assert (rows.names, len(rows.to_array())) == (None, 2)
    assert open_rows(write_csv("x.csv", "n" + text.replace('"', ""))).to_array().shape[0] == 1


@pytest.mark.parametrize("text", ["1.0,2\n3,4\n", "1,1,0\n0,1,1\n", "-1,2\n3,4\n", "7\n5\n"])
def test_csv_whose_first_line_is_a_row(text):
    assert len(open_rows(write_csv("x.csv", text)).to_array()) == 2  # a warning would be an error


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"'x\.csv': Found array with 0 sample\(s\)"),
        ("a,b\n1,x\n", r"column 'b' \(string\) is not numeric.*columns=\['a'\]"),
        (
            "a,b\n1,2\n\n1,2,3\n",
            r"'x\.csv' cannot be read as CSV: Line 4 has 3 cells instead of 2: '1,2,3'\. Mend it.*','",
        ),
        (
            "a;b\n1;2\n1\n1;2\n",
            r"Line 3 has 1 cell instead of 2: '1'\. Mend it\.$",
        ),
        (
            'a,b\n"1\n",2\n1',
            "Line 4 has 1 cell instead of 2: '1'. It is the last one: is the file cut short?",
        ),
        ("a,b\n1,2\n1\n\n\n", "Line 3 has 1 cell instead of 2: '1'. It is the last one"),
        (
            "a,b\n1\n" + "1,2\n" * 9 + f'"{"x" * 200_000}",2\n',
            r"Line 2 has 1 cell .*'1'\. Mend it\.$",
        ),
        (
            'a,b\n1,2\n"3,4\n5,6\n',
            r"begins in line 3 and ends in 4 has 1 cell .* Is a quote not closed\?",
        ),
        ("a\tb\n1\t2\n1\t 2\t3\n", r"Line 3 has 3 cells instead of 2: '1\\t 2\\t3'"),
        (
            "a,b\n" + "1," * 99 + "1\n",
            r"Line 2 has 100 cells instead of 2: '(1,){30}…'\. Mend it; a cell",
        ),
    ],
)
def test_wrong_csv(text, message):
    with pytest.raises(ValueError, match=message):
        open_rows(write_csv("x.csv", text))


def test_csv_without_rows():
    rows = open_rows(write_csv("x.csv", "a,b\n"))
    with pytest.raises(
        ValueError, match=r"'x\.csv': Found array with 0 sample\(s\): nothing follows"
    ):
        list(rows.blocks())


def test_csv_with_text_far_down():
    rows = open_rows(write_csv("x.csv", "a,b\n" + "1,2\n" * 400_000 + "1,oops\n"))
    message = r"'x\.csv': Line 400002 has 'oops' in column 'b', .* na_values=\['oops'\]"
    with pytest.raises(ValueError, match=message):
        rows.to_array()
    rows = open_rows("x.csv", na_values="oops")
    assert np.isnan(rows.to_array()[-1]).tolist() == [False, True]


@pytest.mark.parametrize("columns", [None, [0, 1], [1], "a"])
def test_csv_with_two_columns_of_a_name(columns):
    path = write_csv("x.csv", "a,a,b\n1,10,2\n2,40,3\n")
    with pytest.raises(ValueError, match=r"has 2 columns named 'a'"):
        open_rows(path, columns=columns)
    rows = open_rows(path, columns="b")
    np.testing.assert_array_equal(rows.to_array(), [[2.0], [3.0]])
    with pytest.raises(ValueError, match=r"named 'a' \(numbers 0, 1\): rename all but one"):
        rows.whole()


@pytest.mark.parametrize("n", [60, 200_000])
@pytest.mark.parametrize("at", ["first", "last"])
def test_csv_with_a_quote_that_is_not_closed(n, at):
    lines = [f"{i % 17},{i % 5}.5,{i % 3}" for i in range(n)]
    lines[40] = '"' + lines[40] if at == "first" else lines[40][:-1] + '"2'
    path = write_csv("x.csv", "a,b,c\n" + "\n".join(lines) + "\n")
    with pytest.raises(ValueError, match=r"What begins in line 42 .*Is a quote not closed\?$"):
        open_rows(path).to_array()


def test_csv_whose_compressed_file_is_damaged():
    lines = "".join(f"{i},{i % 7}.25\n" for i in range(100_000))
    whole = gzip.compress(("a,b\n" + lines).encode())
    Path("x.csv.gz").write_bytes(whole[: len(whole) // 2])
    message = r"'x\.csv\.gz'.*: .*(Truncated|inflate).* Is the file cut short, or damaged\?"
    with pytest.raises(ValueError, match=message):
        open_rows("x.csv.gz").to_array()
    Path("x.csv.gz").write_bytes(whole[:-3000] + bytes(2000) + whole[-1000:])
    with pytest.raises(ValueError, match=message):
        open_rows("x.csv.gz").to_array()


def test_csv_that_ends_in_the_middle_of_a_line_far_down():
    path = write_csv("x.csv", "a,b\n" + "1,2\n" * 400_000 + "1")
    rows, message = (
        open_rows(path),
        r"'x\.csv': Line 400002 has 1 cell instead of 2: '1'\. It is the last",
    )
    with pytest.raises(ValueError, match=message):
        rows.to_array()
    with pytest.raises(ValueError, match=message):
        list(rows.whole().tables())


def test_csv_with_other_spellings_of_a_missing_value():
    path = write_csv("x.csv", 'a,b\n1, NA\n\n-999,"n.d."\n3,-\n4,5\n')
    message = (
        r"column 'b' \(string\) is not.* Line 4 has 'n\.d\.' in column 'b', which is no number\. .*"
    )
    with pytest.raises(ValueError, match=message + r"na_values=\['n\.d\.', '-'\]"):
        open_rows(path)
    rows = open_rows(path, na_values=["n.d.", "-", "-999"])
    expected = [[1, np.nan], [np.nan, np.nan], [3, np.nan], [4, 5]]
    np.testing.assert_array_equal(rows.to_array(), expected)
    several = open_rows([path, path], na_values=["n.d.", "-", "-999"])
    np.testing.assert_array_equal(several.to_array(), expected * 2)
    bare = open_rows(write_csv("y.csv", "n.d.;1.5\n2;3\n"), na_values=["n.d."])
    np.testing.assert_array_equal(bare.to_array(), [[np.nan, 1.5], [2, 3]])
    write_csv("z.csv", "1.5;2\n3;x\n")
    with pytest.raises(ValueError, match=r"Line 2 has 'x' in column 1, which is no number"):
        open_rows("z.csv")


def test_columns_of_text_are_not_taken_for_numbers_with_holes():
    write_csv("x.csv", "a,name\n" + "".join(f"{j},r{j}\n" for j in range(20)))
    with pytest.raises(ValueError, match="not numeric") as caught:
        open_rows("x.csv")
    assert "Line" not in str(caught.value)
    write_csv("x.csv", "a,name\n" + "".join(f"{j},{'r' * (j > 0)}{j}\n" for j in range(20)))
    with pytest.raises(ValueError, match="Line 3 has 'r1' in column 'name'") as caught:
        open_rows("x.csv")
    assert "na_values" not in str(caught.value)


@pytest.mark.parametrize("source", [X, [X, X], "x.npy", ["x.csv", "x.npy"], lambda: iter([X])])
def test_only_csv_files_have_spellings(source):
    np.save("x.npy", X)
    write_csv("x.csv", "x,y,z\n1,2,3\n")
    with pytest.raises(ValueError, match=r"na_values= says how a \.csv file spells"):
        open_rows(source, na_values=["n.d."])
    with pytest.raises(ValueError, match="open already: give na_values="):
        open_rows(open_rows("x.csv"), na_values=["n.d."])
    with pytest.raises(TypeError, match=r"such as \['n\.d\.', '-999'\]; got \[-999\]"):
        open_rows("x.csv", na_values=[-999])


def test_csv_that_is_no_text():
    Path("x.csv").write_bytes(bytes(range(256)))
    with pytest.raises(ValueError, match=r"'x\.csv' cannot be read as CSV: it is no text"):
        open_rows("x.csv")
    Path("x.csv.gz").write_bytes(b"a,b\n1,2\n")
    with pytest.raises(ValueError, match=r"'x\.csv\.gz' cannot be read as CSV"):
        open_rows("x.csv.gz")


def test_csv_that_changes_between_passes():
    rows = open_rows(write_csv("x.csv", "a\n1\n2\n"))
    rows.to_array()
    write_csv("x.csv", "a\n1\n2\n3\n")
    with pytest.raises(ValueError, match=r"'x\.csv' changed while it was being read"):
        rows.to_array()


# Paths


def test_globs_and_lists_of_other_files():
    np.save("a.npy", X[:20])
    np.save("b.npy", X[20:].astype(np.float32))
    for source in ("*.npy", ["a.npy", "b.npy"], [Path("a.npy"), "b.npy"]):
        rows = open_rows(source)
        assert (rows.n_rows, rows.dtype) == (50, np.float64)
        np.testing.assert_array_equal(rows.to_array()[20:], X[20:].astype(np.float32))
    np.save("c.npy", X[:, :2])
    with pytest.raises(ValueError, match=r"'c\.npy' has 2 columns, the first chunk had 3"):
        open_rows("*.npy")


def test_lists_of_files_of_unknown_length():
    write_csv("a.csv", "x\n1\n")
    write_csv("b.csv", "x\n2\n3\n")
    rows = open_rows(["a.csv", "b.csv"])
    assert rows.n_rows is None
    np.testing.assert_array_equal(rows.to_array(), [[1], [2], [3]])
    assert rows.n_rows == 3


def test_names_with_glob_characters():
    np.save("x[1].npy", X)
    assert open_rows("x[1].npy").n_rows == 50


def test_home_is_expanded(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    np.save("x.npy", X)
    assert open_rows("~/x.npy").label == "'~/x.npy'"


@pytest.mark.parametrize(
    ("path", "error", "message"),
    [
        ("tabel.npy", FileNotFoundError, r"no file 'tabel\.npy' .*Did you mean 'table\.npy'\?"),
        ("q.npy", FileNotFoundError, r"There is no file 'q\.npy' \(looked in /"),
        ("sub/x.npy", FileNotFoundError, "the folder 'sub' does not exist"),
        ("*.parquet", FileNotFoundError, r"No file matches '\*\.parquet'"),
        ("hello", FileNotFoundError, r"'hello'.*A string is taken as the path of data: \.npy, "),
        ("empty", FileNotFoundError, r"no Parquet file in this folder.*such as 'empty/\*\.npy'"),
        ("", ValueError, "is an empty string"),
        (["table.npy", "q.npy"], FileNotFoundError, r"no file 'q\.npy'"),
        ("s3://bucket/x.parquet", ValueError, r"local files.*pyarrow\.dataset\.dataset\('s3://"),
        ("x.npz", ValueError, r"'x\.npz': fusem does not read \.npz; it reads \.npy.*np\.load"),
        ("x.sav", ValueError, r"does not read \.sav.*a function that yields chunks"),
        ("x", ValueError, "does not read files without a suffix"),
    ],
)
def test_wrong_paths(path, error, message):
    np.save("table.npy", X)
    np.savez("x.npz", X=X)
    for name in ("x", "x.sav"):
        Path(name).touch()
    Path("empty").mkdir()
    with pytest.raises(error, match=message):
        open_rows(path)


def test_errors_about_weights_name_the_file():
    np.save("w.npy", X)
    with pytest.raises(ValueError, match=r"sample_weight \('w\.npy'\) must be one number per row"):
        open_weights("w.npy")


@pytest.mark.parametrize("name", ["x.parquet", "x.csv"])
def test_missing_pyarrow_says_what_to_install(name, monkeypatch):
    pq.write_table(TABLE, "x.parquet")
    write_csv("x.csv", "a\n1\n")
    for module in [m for m in sys.modules if m.partition(".")[0] == "pyarrow"]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(ImportError, match=r"Reading 'x\..* needs pyarrow.*pip install pyarrow"):
        open_rows(name)


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        ("1,\n3,3\n2,5\n", [[1, np.nan], [3, 3], [2, 5]]),
        ("1.5,,3\n1,2,4\n", [[1.5, np.nan, 3], [1, 2, 4]]),
        ("NA,3\n1,2\n", [[np.nan, 3], [1, 2]]),
        (",\n1,2\n", [[np.nan, np.nan], [1, 2]]),
        ('"",N/A\n1,2\n', [[np.nan, np.nan], [1, 2]]),
    ],
)
def test_a_first_line_with_holes_is_a_row(text, rows):
    opened = open_rows(write_csv("holes.csv", text))
    assert opened.names is None
    np.testing.assert_array_equal(opened.to_array(), rows)


def test_a_name_beside_an_empty_one_makes_a_header():
    path = write_csv("index.csv", ",a\n0,1.5\n1,2.5\n")
    assert open_rows(path).n_columns == 2
    np.testing.assert_array_equal(open_rows(path, columns=["a"]).to_array(), [[1.5], [2.5]])
