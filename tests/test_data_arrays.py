"""Arrays: views of what can be used as it is, bounded pieces of what must be converted."""

from __future__ import annotations

import subprocess
import sys
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import sparse

from fusem.data import Rows, open_rows, open_weights
from fusem.data.blocks import PIECE_BYTES
from tests.traced import traced_peak

X = np.random.default_rng(0).normal(size=(40, 3))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(
    "view",
    [
        lambda a: a,
        np.asfortranarray,
        lambda a: a[::2],
        lambda a: a[:, ::2],
        lambda a: a[::-1, ::-1],
        lambda a: np.broadcast_to(a[:1], (40, 3)),
        lambda a: a[:, 1],
        lambda a: np.lib.stride_tricks.as_strided(a, writeable=False),
        lambda a: np.ma.masked_array(a, mask=False),
        lambda a: a.view(np.matrix) if a.ndim == 2 else a,
    ],
)
@pytest.mark.filterwarnings("ignore:the matrix subclass:PendingDeprecationWarning")
def test_native_floats_are_one_view(view, dtype):
    array = view(X.astype(dtype))
    rows = open_rows(array)
    (block,) = rows.blocks()
    assert type(block) is np.ndarray
    assert rows.dtype == block.dtype == dtype
    assert np.shares_memory(block, array)
    np.testing.assert_array_equal(block, np.asarray(array).reshape(len(array), -1))
    assert (rows.n_rows, rows.n_columns) == block.shape
    assert rows.names is None


@pytest.mark.parametrize(
    ("dtype", "wanted"),
    [
        (np.float16, np.float32),
        (">f4", np.float32),
        ("<f4", np.float32),
        (">f8", np.float64),
        (np.longdouble, np.float64),
        (bool, np.float64),
        *[(kind, np.float64) for kind in ("i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", ">i4")],
        (object, np.float64),
        ("U30", np.float64),
        ("S30", np.float64),
    ],
)
def test_other_dtypes_are_converted(dtype, wanted):
    array = np.arange(12).reshape(4, 3).astype(dtype)
    rows = open_rows(array)
    together = rows.to_array()
    assert rows.dtype == together.dtype == wanted
    assert together.dtype.isnative
    np.testing.assert_array_equal(together, array.astype(wanted))


@settings(deadline=None)
@given(
    hnp.arrays(
        hnp.integer_dtypes() | hnp.unsigned_integer_dtypes() | hnp.floating_dtypes(),
        hnp.array_shapes(min_dims=1, max_dims=2, min_side=1, max_side=8),
    ),
    st.sampled_from([None, np.float32, np.float64]),
)
def test_conversion_is_numpys(array, dtype):
    with np.errstate(over="ignore", invalid="ignore"):
        together = open_rows(array, dtype=dtype).to_array()
        small = array.dtype.kind == "f" and array.dtype.itemsize <= 4
        wanted = dtype or (np.float32 if small else np.float64)
        expected = array.reshape(len(array), -1).astype(wanted)
    assert together.dtype == wanted
    np.testing.assert_array_equal(together, expected)


def test_unaligned_fields_are_copied():
    packed = np.zeros(5, dtype=[("flag", "u1"), ("value", "f8")])
    packed["value"] = range(5)
    (block,) = open_rows(packed["value"]).blocks()
    assert block.flags.aligned
    np.testing.assert_array_equal(block[:, 0], range(5))


@pytest.mark.parametrize("dtype", ["i4", ">f8", "f2"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_conversion_takes_bounded_memory(dtype, order):
    array = np.zeros((400_000, 20), dtype=dtype, order=order)
    rows = open_rows(array)
    sizes = []

    def read() -> None:
        sizes.extend(block.nbytes for block in rows.blocks())

    peak = traced_peak(read)
    assert len(sizes) > 5
    assert max(sizes) <= PIECE_BYTES
    assert peak < 3 * PIECE_BYTES


def test_masked_cells_are_nan():
    for dtype in (np.float32, np.float64, np.int64):
        array = np.ma.masked_array(np.arange(6).reshape(3, 2).astype(dtype), mask=False)
        array[1, 0] = np.ma.masked
        together = open_rows(array).to_array()
        np.testing.assert_array_equal(together, [[0, 1], [np.nan, 3], [4, 5]])
        np.testing.assert_array_equal(open_rows(array, columns=[1, 0]).to_array()[1], [3, np.nan])
    column = np.ma.masked_array([1.0, 2.0], mask=[False, True])
    np.testing.assert_array_equal(open_rows(column).to_array(), [[1], [np.nan]])
    anything = np.ma.masked_array(np.array([[1, "x"]], dtype=object), mask=[[False, True]])
    np.testing.assert_array_equal(open_rows(anything).to_array(), [[1, np.nan]])


@pytest.mark.parametrize(
    "source", [[[1, 2], [3, 4]], ((1.0, 2.0), (3.0, 4.0)), [np.array([1, 2]), np.array([3, 4])]]
)
def test_lists_of_rows(source):
    np.testing.assert_array_equal(open_rows(source).to_array(), [[1, 2], [3, 4]])


class ArrayLike:
    """What only can be made an array."""

    def __array__(self, dtype=None, copy=None) -> np.ndarray:
        return X


def test_array_likes():
    assert np.shares_memory(open_rows(ArrayLike()).to_array(), X)
    for source in (range(4), memoryview(np.arange(4)), [0, 1, 2, 3]):
        np.testing.assert_array_equal(open_rows(source).to_array(), [[0], [1], [2], [3]])


def test_numeric_objects_are_numbers():
    array = np.array([[1, None], [Decimal("2.5"), True], ["3e2", np.float32(4)]], dtype=object)
    expected = [[1, np.nan], [2.5, 1], [300, 4]]
    np.testing.assert_array_equal(open_rows(array).to_array(), expected)


def test_rows_are_returned_as_they_are():
    rows = open_rows(X)
    assert open_rows(rows) is rows
    assert open_rows(rows, dtype=np.float64) is rows
    assert open_weights(weights := open_rows(X[:, 0], dtype=np.float32)) is weights
    for option in ({"columns": [0]}, {"dtype": np.float32}):
        with pytest.raises(ValueError, match=f"open already: give {next(iter(option))}="):
            open_rows(rows, **option)


@pytest.mark.parametrize("columns", [[0, 2], [1], 1, [2, 0], [2, 1], (0, 1, 2), np.array([0, 1])])
def test_columns_by_position(columns):
    expected = X[:, np.atleast_1d(columns)]
    rows = open_rows(X, columns=columns)
    assert rows.n_columns == expected.shape[1]
    np.testing.assert_array_equal(rows.to_array(), expected)
    np.testing.assert_array_equal(open_rows([X, X], columns=columns).to_array()[40:], expected)
    if list(np.atleast_1d(columns)) == sorted(np.atleast_1d(columns)):
        assert np.shares_memory(rows.to_array(), X)


@pytest.mark.parametrize(
    ("columns", "error", "message"),
    [
        ([3], ValueError, "X has no column 3: it has 3 columns, counted from 0"),
        ([-1], ValueError, "X has no column -1"),
        (["a"], ValueError, "X has no column names.*give positions"),
        ([0, 1, 0], ValueError, "names column 0 of X twice"),
        ([], ValueError, "names no column"),
        ([1.5], TypeError, r"takes names and positions.*got 1.5 \(float\)"),
        ([True, False, True], TypeError, "got True"),
        (slice(2), TypeError, "got slice"),
    ],
)
def test_wrong_columns(columns, error, message):
    with pytest.raises(error, match=message):
        open_rows(X, columns=columns)


def test_a_single_column_is_not_called_columns():
    with pytest.raises(ValueError, match="it has 1 column, counted"):
        open_rows(X[:, 0], columns=[1])


@pytest.mark.parametrize(
    ("source", "error", "message"),
    [
        (X[:0], ValueError, r"^Found array with 0 sample\(s\) \(shape=\(0, 3\)\) while a minimum"),
        (X[:, :0], ValueError, r"0 feature\(s\) \(shape=\(40, 0\)\) while a minimum of 1 is req"),
        ([], ValueError, r"0 sample\(s\)"),
        ([[], []], ValueError, r"0 feature\(s\)"),
        (np.zeros((2, 3, 4)), ValueError, r"dim 3\. X has shape \(2, 3, 4\), expected <= 2"),
        (np.float64(3), ValueError, "Expected 2D array, got scalar array instead"),
        (3, ValueError, "Expected 2D array, got scalar array instead"),
        (X + 1j, ValueError, "Complex data not supported"),
        (
            np.array([[1, 2j]], object),
            ValueError,
            "Complex data not supported\nX holds 2j in row 0",
        ),
        (np.array([[np.complex64(2j)]], object), ValueError, "Complex data not supported"),
        ([[1, 2], [3]], ValueError, "row 0 has 2 values, row 1 has 1"),
        ([np.ones(2), np.ones(3)], ValueError, r"For chunks of one column give.* \(m, 1\)"),
        ([[1, "a"]], ValueError, "X holds 'a' in row 0, column 1: could not convert string"),
        (["1", ""], ValueError, "X holds '' in row 1: could not convert string"),
        (np.array([[{}]]), TypeError, "row 0, column 0: .*argument must be a string or a real num"),
        (np.array(["2020"], "M8[D]"), ValueError, r"dates or durations \(dtype datetime64"),
        (np.zeros(2, "f4,f4"), TypeError, "structured array with the fields f0, f1"),
        (np.zeros(2, "V3"), TypeError, r"dtype \|V3"),
        (sparse.csr_array(X), TypeError, r"Sparse data was passed for X.*toarray\(\)"),
        (sparse.coo_matrix(X), TypeError, "Sparse data"),
        (None, TypeError, "X is None, which holds no rows. fusem takes an array"),
        (object(), TypeError, "X is of type object"),
        (np.ndarray, TypeError, "X is the class ndarray"),
        ({"a": [1]}, TypeError, r"X is a dict.*pandas\.DataFrame\(X\)"),
        ({1, 2}, TypeError, "X is of type set"),
        (b"x.npy", TypeError, "X is of type bytes"),
    ],
)
def test_wrong_input(source, error, message):
    with pytest.raises(error, match=message):
        open_rows(source)


def test_a_long_cell_is_cut_in_the_message():
    with pytest.raises(ValueError, match=r"holds 'aaaa.*…") as caught:
        open_rows(np.array(["a" * 10_000], dtype=object))
    assert "a" * 100 not in str(caught.value).split(":")[0]


@pytest.mark.parametrize("dtype", [int, np.float16, complex])
def test_wrong_dtype(dtype):
    with pytest.raises(ValueError, match="dtype must be float32 or float64, got"):
        open_rows(X, dtype=dtype)


def test_label_names_the_source():
    with pytest.raises(ValueError, match=r"^truth: Found array with 0 sample\(s\)"):
        open_rows(X[:0], label="truth")
    assert repr(open_rows(X, label="truth")) == "<Rows of truth: 40 x 3 float64>"


def test_weights_are_one_column_of_float64():
    for source in ([1, 2], np.float32([1, 2]), [[1], [2]], np.array([True, True])):
        weights = open_weights(source)
        assert isinstance(weights, Rows)
        assert (weights.n_rows, weights.n_columns, weights.dtype) == (2, 1, np.float64)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (np.ones((4, 2)), r"sample_weight must be one number per row, got shape \(4, 2\)"),
        (2.0, "Expected 2D array, got scalar array.*\n.*\nsample_weight must have one row"),
        (np.ones(3) * 1j, "Complex data not supported"),
        ([], r"sample_weight: Found array with 0 sample\(s\)"),
    ],
)
def test_wrong_weights(source, message):
    with pytest.raises(ValueError, match=message):
        open_weights(source)


def test_arrays_import_nothing_but_numpy():
    code = (
        "import sys, numpy as np\n"
        "from fusem.data import open_rows, segments\n"
        "list(segments(open_rows([np.zeros((3, 2))]), open_rows(np.zeros(3)), 2))\n"
        "many = {'numba', 'pandas', 'polars', 'pyarrow', 'scipy', 'sklearn'}\n"
        "print(sorted(many & set(sys.modules)))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
