"""Tables of pandas, polars and pyarrow: the same numbers as from an array, nulls as NaN."""

from __future__ import annotations

import datetime as dt
import subprocess
import sys
from decimal import Decimal

import numpy as np
import pytest

from fusem.data import open_rows, open_weights
from fusem.data.arrow import BATCH_BYTES
from tests.traced import traced_peak

pd = pytest.importorskip("pandas")
pl = pytest.importorskip("polars")
pa = pytest.importorskip("pyarrow")

X = np.random.default_rng(0).normal(size=(50, 3))
NAMES = ("x", "y", "z")
MAKERS = {"pandas": pd.DataFrame, "polars": pl.DataFrame, "pyarrow": pa.table}
by_library = pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)


def columns_of(X) -> dict[str, np.ndarray]:
    return {name: np.ascontiguousarray(X[:, j]) for j, name in enumerate(NAMES)}


@by_library
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_table_of_floats_is_the_array(make, dtype):
    rows = open_rows(make(columns_of(X.astype(dtype))))
    assert (rows.n_rows, rows.n_columns, rows.dtype, rows.names) == (50, 3, dtype, NAMES)
    assert {block.dtype for block in rows.blocks()} == {np.dtype(dtype)}
    np.testing.assert_array_equal(rows.to_array(), X.astype(dtype))


@by_library
@pytest.mark.parametrize(
    "kind", ["i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", bool, "f2", "f4", "f8"]
)
def test_every_kind_of_number(make, kind):
    values = np.array([0, 1, 100, 127]).astype(kind)
    if values.dtype.kind in "iu" and values.dtype.itemsize == 8:
        values[3] = 2**62 + 513  # is rounded, and the same way everywhere
    rows = open_rows(make({"a": values}))
    assert rows.dtype == (np.float32 if kind in ("f2", "f4") else np.float64)
    np.testing.assert_array_equal(rows.to_array()[:, 0], values.astype(rows.dtype))


@by_library
def test_one_wider_column_makes_all_float64(make):
    rows = open_rows(make({"a": np.float32([1.1, 2]), "b": np.array([3, 4])}))
    assert rows.dtype == np.float64
    np.testing.assert_array_equal(rows.to_array(), [[np.float32(1.1), 3], [2, 4]])
    narrow = open_rows(make({"a": np.float32([1.1, 2]), "b": np.array([3, 4])}), dtype=np.float32)
    assert narrow.to_array().dtype == np.float32


@by_library
@pytest.mark.parametrize("columns", [["z", "x"], ["y"], "y", [2, 0], ["x", 1]])
def test_columns_by_name_and_position(make, columns):
    chosen = [columns] if isinstance(columns, str) else columns
    positions = [NAMES.index(c) if isinstance(c, str) else c for c in chosen]
    rows = open_rows(make(columns_of(X)), columns=columns)
    assert rows.names == tuple(NAMES[j] for j in positions)
    np.testing.assert_array_equal(rows.to_array(), X[:, positions])


@by_library
def test_columns_without_numbers_are_named(make):
    table = make({"x": [1.0], "who": ["me"], "when": [dt.datetime(2020, 1, 1)], "n": [2]})
    message = r"X: columns 'who' \(.+\), 'when' \(.+\) are not numeric.*columns=\['x', 'n'\]"
    with pytest.raises(ValueError, match=message):
        open_rows(table)
    with pytest.raises(ValueError, match=r"column 'who' \(.+\) is not numeric"):
        open_rows(table, columns=["x", "who"])
    np.testing.assert_array_equal(open_rows(table, columns=["n", "x"]).to_array(), [[2, 1]])
    with pytest.raises(ValueError, match="is not numeric, and no other column is"):
        open_rows(make({"who": ["me"]}))


@by_library
def test_a_column_that_does_not_exist(make):
    table = make({"height": [1.0], "weight": [2.0]})
    with pytest.raises(ValueError, match=r"no column 'hight'; did you mean 'height'\?"):
        open_rows(table, columns=["hight"])
    with pytest.raises(ValueError, match=r"no column 'q'\. Its columns are 'height', 'weight'\."):
        open_rows(table, columns=["q"])


@by_library
def test_empty_tables(make):
    with pytest.raises(ValueError, match=r"0 sample\(s\) \(shape=\(0, 1\)\)"):
        open_rows(make({"a": np.array([], dtype=float)}))
    with pytest.raises(ValueError, match="Found array with 0"):
        open_rows(make({}))


@by_library
def test_conversion_takes_bounded_memory(make):
    table = make({f"c{j}": np.zeros(400_000, dtype="f8" if j % 2 else "i4") for j in range(10)})
    rows, sizes = open_rows(table), []
    peak = traced_peak(lambda: sizes.extend(block.nbytes for block in rows.blocks()))
    assert len(sizes) > 5
    assert max(sizes) <= BATCH_BYTES
    assert peak < 3 * BATCH_BYTES


@by_library
def test_chunks_may_be_tables(make):
    parts = [make(columns_of(X[:20])), make(columns_of(X[20:]))]
    for source in (parts, lambda: iter(parts)):
        rows = open_rows(source)
        assert rows.names == NAMES
        np.testing.assert_array_equal(rows.to_array(), X)
        np.testing.assert_array_equal(open_rows(source, columns=["z"]).to_array(), X[:, 2:])


@by_library
def test_chunks_with_other_columns(make):
    parts = [make({"a": [1.0], "b": [2.0]}), make({"b": [1.0], "a": [2.0]})]
    message = "chunk 1 .* has the columns b, a, the first chunk had a, b"
    with pytest.raises(ValueError, match=message):
        open_rows(parts)
    rows = open_rows(lambda: iter(parts))
    with pytest.raises(ValueError, match=message):
        rows.to_array()
    together = open_rows(parts, columns=["a", "b"]).to_array()
    np.testing.assert_array_equal(together, [[1, 2], [2, 1]])


NULLS = {
    "pandas nullable": pd.DataFrame(
        {
            "i": pd.array([1, None, 3], dtype="Int64"),
            "b": pd.array([True, False, None], dtype="boolean"),
            "f": pd.array([None, 2.5, 3.5], dtype="Float32"),
        }
    ),
    "pandas arrow": pd.DataFrame(
        {
            "i": pd.array([1, None, 3], dtype="int32[pyarrow]"),
            "b": pd.array([True, False, None], dtype="bool[pyarrow]"),
            "f": pd.array([None, 2.5, 3.5], dtype="double[pyarrow]"),
        }
    ),
    "pandas objects": pd.DataFrame(
        {"i": [1, None, 3], "b": [True, False, pd.NA], "f": [np.nan, Decimal("2.5"), "3.5"]},
        dtype=object,
    ),
    "polars": pl.DataFrame({"i": [1, None, 3], "b": [True, False, None], "f": [None, 2.5, 3.5]}),
    "pyarrow": pa.table({"i": [1, None, 3], "b": [True, False, None], "f": [None, 2.5, 3.5]}),
}


@pytest.mark.parametrize("table", NULLS.values(), ids=NULLS)
def test_nulls_are_nan(table):
    rows = open_rows(table)
    assert rows.dtype == np.float64
    expected = [[1, 1, np.nan], [np.nan, 0, 2.5], [3, np.nan, 3.5]]
    np.testing.assert_array_equal(rows.to_array(), expected)


ODD = {
    "pandas sparse": pd.DataFrame({"a": pd.arrays.SparseArray([0.0, 1.5, 0.0])}),
    "pandas Float32": pd.DataFrame({"a": pd.array([0, 1.5, 0], dtype="Float32")}),
    "pandas decimal": pd.DataFrame(
        {
            "a": pd.array(
                [Decimal(0), Decimal("1.5"), Decimal(0)], pd.ArrowDtype(pa.decimal128(4, 1))
            )
        }
    ),
    "pandas series": pd.Series([0, 1.5, 0], name="a"),
    "polars decimal": pl.DataFrame({"a": [Decimal("0.0"), Decimal("1.5"), Decimal("0.0")]}),
    "polars series": pl.Series("a", [0.0, 1.5, 0.0]),
    "pyarrow dictionary": pa.table({"a": pa.array([0, 1.5, 0]).dictionary_encode()}),
    "pyarrow decimal": pa.table({"a": [Decimal(0), Decimal("1.5"), Decimal(0)]}),
    "pyarrow batch": pa.record_batch({"a": [0, 1.5, 0]}),
    "pyarrow several chunks": pa.table({"a": pa.chunked_array([[0, 1.5], [], [0]])}),
}


@pytest.mark.parametrize("table", ODD.values(), ids=ODD)
def test_less_common_columns(table):
    rows = open_rows(table)
    assert rows.names == ("a",)
    np.testing.assert_array_equal(rows.to_array(), [[0], [1.5], [0]])


@pytest.mark.parametrize(
    "column",
    [
        pd.Series([1, 2]),
        pd.Index([1, 2]),
        pl.Series([1, 2]),
        pa.array([1, 2]),
        pa.chunked_array([[1], [2]]),
    ],
)
def test_a_single_column_without_a_name(column):
    rows = open_rows(column)
    assert rows.names is None
    np.testing.assert_array_equal(rows.to_array(), [[1], [2]])
    np.testing.assert_array_equal(open_weights(column).to_array(), [[1], [2]])


def test_columns_of_nulls_are_nan():
    for table in (pl.DataFrame({"a": [None, None]}), pa.table({"a": pa.nulls(2)})):
        assert np.isnan(open_rows(table).to_array()).all()


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int32])
def test_a_frame_around_one_array_is_not_copied(dtype):
    array = np.asfortranarray((10 * X).astype(dtype))
    frame = pd.DataFrame(array, columns=NAMES, copy=False)
    for columns in (None, ["x", "y"], ["y"]):
        rows = open_rows(frame, columns=columns)
        assert rows.names == tuple(columns or NAMES)
        np.testing.assert_array_equal(
            rows.to_array(),
            frame[columns or list(NAMES)].to_numpy().astype(np.result_type(rows.dtype)),
        )
        if dtype != np.int32:
            assert np.shares_memory(rows.to_array(), frame["y"].to_numpy())


def test_frame_labels_that_are_no_strings():
    frame = pd.DataFrame(X, columns=[10, 20, 30])
    assert open_rows(frame).names is None
    np.testing.assert_array_equal(open_rows(frame, columns=[1]).to_array(), X[:, 1:2])
    with pytest.raises(ValueError, match="no column 10: it has 3 columns, counted from 0"):
        open_rows(frame, columns=[10])


def test_frame_labels_that_occur_twice():
    frame = pd.DataFrame(X, columns=["a", "b", "a"])
    np.testing.assert_array_equal(open_rows(frame).to_array(), X)
    np.testing.assert_array_equal(open_rows(frame, columns=[2]).to_array(), X[:, 2:])
    with pytest.raises(ValueError, match="has 2 columns named 'a'; give positions"):
        open_rows(frame, columns=["a"])


@pytest.mark.parametrize(
    ("table", "error", "message"),
    [
        (pd.DataFrame({"a": [1j]}), ValueError, "Complex data not supported"),
        (
            pd.DataFrame({"a": pd.Categorical([1, 2])}),
            ValueError,
            r"column 'a' \(category\) is not",
        ),
        (
            pd.DataFrame({"a": [1, "x"]}, dtype=object),
            ValueError,
            "Column 'a' of X holds 'x' in row 1",
        ),
        (
            pd.DataFrame({"a": [1, {}]}, dtype=object),
            TypeError,
            "Column 'a' of X holds {} in row 1",
        ),
        (pd.DataFrame({"a": ["1", "2"]}, dtype="str"), ValueError, "column 'a' .* is not numeric"),
        (pl.DataFrame({"a": [[1.0]]}), ValueError, "column 'a' .* is not numeric"),
        (pl.LazyFrame({"a": [1.0]}), TypeError, r"polars LazyFrame.*X\.collect\(\)"),
        (pa.table({"a": [{"b": 1}]}), ValueError, "column 'a' .* is not numeric"),
        (pa.table({"a": [1]}).to_reader(), TypeError, "one-shot iterator"),
    ],
)
def test_wrong_tables(table, error, message):
    with pytest.raises(error, match=message):
        open_rows(table)


def test_many_columns_without_numbers_make_a_short_message():
    with pytest.raises(ValueError, match="and 95 more are not numeric") as caught:
        open_rows(
            pa.table({f"c{j}": ["a"] for j in range(100)} | {f"n{j}": [1] for j in range(99)})
        )
    assert "(99 in all)" in str(caught.value)
    assert len(str(caught.value)) < 400


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_tables_need_no_other_library(library):
    code = (
        f"import sys, {library} as lib\n"
        "for name in ('pyarrow', 'pandas', 'polars'):\n"
        f"    if name != '{library}' and name not in sys.modules: sys.modules[name] = None\n"
        "from fusem.data import open_rows\n"
        "print(open_rows(lib.DataFrame({'a': [1, 2], 'b': [1.5, None]})).to_array().tolist())\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[[1.0, 1.5], [2.0, nan]]"
