"""``fusem impute``, run as its user runs it."""

from __future__ import annotations

import numpy as np
import pytest

import fusem
from tests.command import fusem_command, succeed

pd = pytest.importorskip("pandas")
pa = pytest.importorskip("pyarrow")
pq = pytest.importorskip("pyarrow.parquet")


MEANS = np.array([[0.0, 0.0], [8.0, 1.0], [1.0, 9.0]])


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Return a folder with a table of three clusters."""
    path = tmp_path_factory.mktemp("impute")
    rng = np.random.default_rng(0)
    X = MEANS[rng.integers(3, size=1500)] + rng.standard_normal((1500, 2))
    np.save(path / "table.npy", X)
    return path


@pytest.fixture
def table(folder):
    """Return a table with holes, of numbers between columns of other kinds."""
    rows = np.load(folder / "table.npy").round(3)
    rows[::7, 1] = np.nan
    frame = pd.DataFrame({"id": [f"r,{j}" for j in range(1500)], "b": rows[:, 1]})
    frame["when"] = pd.date_range("2020-01-01", periods=1500, freq="h")
    frame["a"] = rows[:, 0]
    frame["count"] = pd.array([None if j % 5 == 0 else j for j in range(1500)], dtype="Int64")
    frame["w"] = np.linspace(0.5, 2.0, 1500)
    return frame


@pytest.mark.parametrize("ending", ["npy", "parquet", "csv"])
def test_impute_fills_in_what_is_missing(folder, tmp_path, ending):
    rows = np.load(folder / "table.npy")
    rows[::7, 1] = np.nan
    table = pd.DataFrame(rows, columns=["a", "b"])
    table.to_parquet(tmp_path / "holes.parquet")
    output = tmp_path / f"full.{ending}"
    out = succeed("impute", tmp_path / "holes.parquet", "-k", 3, "--seed", 1, "-q", "-o", output)
    assert out == f"1,500 rows written to {output}\n"
    read = {"npy": np.load, "parquet": pd.read_parquet, "csv": pd.read_csv}[ending](output)
    expected = fusem.EMImputer(3, random_state=1).fit_transform(table)
    np.testing.assert_array_equal(np.asarray(read), expected)


def test_impute_from_a_model_and_by_draws(folder, tmp_path):
    rows = np.load(folder / "table.npy")
    rows[::7, 1] = np.nan
    np.save(tmp_path / "holes.npy", rows)
    output = tmp_path / "full.npy"
    words = "impute", tmp_path / "holes.npy", "--model", folder / "plain.npz", "-o", output
    model = fusem.GaussianMixture(3, random_state=1).fit(np.load(folder / "table.npy"))
    model.save(folder / "plain.npz")
    assert fusem_command(*words).code == 0
    np.testing.assert_array_equal(np.load(output), model.impute(rows))
    first = tmp_path / "as_predict_has_it.npy"
    succeed("impute", folder / "plain.npz", tmp_path / "holes.npy", "-o", first)
    np.testing.assert_array_equal(np.load(first), np.load(output))
    drawn = []
    for _ in range(2):
        assert fusem_command(*words, "--sample", "--seed", 3).code == 0
        drawn.append(np.load(output))
    np.testing.assert_array_equal(*drawn)
    assert (drawn[0][::7, 1] != model.impute(rows)[::7, 1]).all()


# ---- columns that are not used ----


def test_other_columns_of_a_parquet_file_stay_as_they_are(table, tmp_path):
    table.index = pd.Index(np.arange(1500)[::-1] * 2, name="key")
    table["kind"] = pd.Categorical(["x", "y", None] * 500)
    pq.write_table(pa.Table.from_pandas(table), tmp_path / "t.parquet", row_group_size=400)
    succeed("impute", tmp_path / "t.parquet", "-c", "a,b", "-q", "-o", tmp_path / "o.parquet")
    found = pd.read_parquet(tmp_path / "o.parquet")
    filled = fusem.EMImputer().fit_transform(table[["a", "b"]].to_numpy())
    expected = table.assign(a=filled[:, 0], b=filled[:, 1])
    pd.testing.assert_frame_equal(found, expected, rtol=1e-15)
    schema = pq.read_schema(tmp_path / "o.parquet")
    assert schema.names == ["id", "b", "when", "a", "count", "w", "kind", "key"]


def test_completed_columns_may_change_their_type_under_pandas(table, tmp_path):
    table.to_parquet(tmp_path / "t.parquet")
    words = "-c", "a,b,count", "-w", "w", "-q", "-o", tmp_path / "o.parquet"
    succeed("impute", tmp_path / "t.parquet", *words)
    found = pd.read_parquet(tmp_path / "o.parquet")
    used = table[["a", "b", "count"]].to_numpy(dtype=float, na_value=np.nan)
    filled = fusem.EMImputer().fit(used, sample_weight=table["w"]).transform(used)
    np.testing.assert_array_equal(found[["a", "b", "count"]], filled)
    assert list(found) == list(table)
    pd.testing.assert_frame_equal(found[["id", "when", "w"]], table[["id", "when", "w"]])


def test_float32_columns_beside_others_stay_float32(table, tmp_path):
    table.astype({"a": np.float32}).to_parquet(tmp_path / "t.parquet")
    succeed("impute", tmp_path / "t.parquet", "-c", "a,b", "-q", "-o", tmp_path / "o.parquet")
    kinds = pq.read_schema(tmp_path / "o.parquet")
    assert (kinds.field("a").type, kinds.field("b").type) == (pa.float32(), pa.float64())


@pytest.mark.parametrize("delimiter", [",", ";"])
def test_a_csv_file_changes_only_where_something_is_missing(table, tmp_path, delimiter):
    table["count"] = table["count"].astype(object).fillna("n.d.")
    table["price"] = ["1.10", "2.00", "0.30"] * 500
    table.to_csv(tmp_path / "t.csv", index=False, sep=delimiter)
    words = "-c", "b,a,price,count", "--na", "n.d.", "-q", "-o", tmp_path / "o.csv"
    succeed("impute", tmp_path / "t.csv", *words)
    before = pd.read_csv(tmp_path / "t.csv", sep=delimiter, dtype=str, keep_default_na=False)
    after = pd.read_csv(tmp_path / "o.csv", dtype=str, keep_default_na=False)
    assert list(after) == list(before)
    missing = before.isin(["", "n.d."])
    pd.testing.assert_frame_equal(after[~missing], before[~missing])
    assert missing.to_numpy().sum() == 215 + 300
    names = ["b", "a", "price", "count"]
    used = before[names].replace({"": "nan", "n.d.": "nan"}).astype(float).to_numpy()
    np.testing.assert_array_equal(after[names].astype(float), fusem.EMImputer().fit_transform(used))


def test_a_csv_file_without_names_and_several_files(table, tmp_path):
    plain = table[["id", "b", "a"]]
    plain.to_csv(tmp_path / "bare.csv", index=False, header=False)
    (tmp_path / "bare.csv").write_text(
        "1,2,3\n" + "4,,6\n5,7,7.5\n9,1,2\n8,2,3\n6,5,5\n", encoding="utf-8"
    )
    words = "-c", "1,2", "-q", "-o", tmp_path / "o.csv"
    done = fusem_command("impute", tmp_path / "bare.csv", *words)
    assert done.code == 0
    lines = (tmp_path / "o.csv").read_text(encoding="utf-8").splitlines()
    assert lines[:2] == ["column_0,column_1,column_2", "1,2,3"]
    assert lines[2].startswith("4,")
    assert lines[3] == "5,7,7.5"
    for part in range(3):
        plain[500 * part : 500 * (part + 1)].to_csv(tmp_path / f"p{part}.csv", index=False)
        plain[500 * part : 500 * (part + 1)].to_parquet(tmp_path / f"p{part}.parquet")
    expected = fusem.EMImputer().fit_transform(plain[["a", "b"]].to_numpy())
    for ending in ("csv", "parquet"):
        words = "-c", "a,b", "-q", "-o", tmp_path / f"all.{ending}"
        succeed("impute", tmp_path / f"p?.{ending}", *words)
        read = {"csv": pd.read_csv, "parquet": pd.read_parquet}[ending]
        found = read(tmp_path / f"all.{ending}")
        assert list(found) == ["id", "b", "a"]
        np.testing.assert_array_equal(found["id"], plain["id"])
        np.testing.assert_allclose(found[["a", "b"]], expected, rtol=1e-15)


def test_parquet_to_csv_keeps_other_columns_as_text(table, tmp_path):
    table["tags"] = [[j, j + 1] for j in range(1500)]
    table.to_parquet(tmp_path / "t.parquet")
    succeed("impute", tmp_path / "t.parquet", "-c", "a,b", "-q", "-o", tmp_path / "o.csv")
    found = pd.read_csv(tmp_path / "o.csv", parse_dates=["when"])
    assert list(found) == list(table)
    np.testing.assert_array_equal(found["id"], table["id"])
    np.testing.assert_array_equal(found["when"], table["when"])
    assert found["tags"][1] == "[1, 2]"
    filled = fusem.EMImputer().fit_transform(table[["a", "b"]].to_numpy())
    np.testing.assert_array_equal(found[["a", "b"]], filled)


def test_all_columns_of_an_array_are_kept(table, tmp_path):
    rows = table[["a", "w", "b"]].to_numpy()
    np.save(tmp_path / "t.npy", rows)
    filled = fusem.EMImputer().fit_transform(rows[:, [2, 0]])
    for words in (("-c", "2,0"), ("-c", "2,0", "-w", "1"), ("-w", "1")):
        succeed("impute", tmp_path / "t.npy", *words, "-q", "-o", tmp_path / "o.npy")
        found = np.load(tmp_path / "o.npy")
        np.testing.assert_array_equal(found[:, :2], rows[:, :2])
        assert not np.isnan(found).any()
    succeed("impute", tmp_path / "t.npy", "-c", "2,0", "-q", "-o", tmp_path / "o.npy")
    np.testing.assert_array_equal(np.load(tmp_path / "o.npy")[:, [2, 0]], filled)
    succeed("impute", tmp_path / "t.npy", "-c", "2,0", "-q", "-o", tmp_path / "o.csv")
    assert list(pd.read_csv(tmp_path / "o.csv")) == ["column_0", "column_1", "column_2"]
    words = "-c", "2,0", "-q", "--only-used", "-o", tmp_path / "o.npy"
    succeed("impute", tmp_path / "t.npy", *words)
    np.testing.assert_array_equal(np.load(tmp_path / "o.npy"), filled)


def test_what_an_array_cannot_hold_is_said(table, tmp_path):
    table.to_parquet(tmp_path / "t.parquet")
    words = "impute", tmp_path / "t.parquet", "-c", "b,a", "-q", "-o", tmp_path / "o.npy"
    done = fusem_command(*words)
    assert done.code == 0
    assert len(done.err) == 1
    assert done.err[0].startswith("fusem: warning: A .npy file holds numbers of one kind")
    assert "not in it: id, when, count, w." in done.err[0]
    filled = fusem.EMImputer().fit_transform(table[["b", "a"]].to_numpy())
    np.testing.assert_array_equal(np.load(tmp_path / "o.npy"), filled)
    succeed(*words, "--only-used")


def test_memory_is_bounded_where_columns_are_kept(table, tmp_path):
    """Tables are read piece by piece: no piece holds more than a part of a file of many."""
    big = pd.concat([table[["id", "a", "b"]]] * 200)
    pq.write_table(pa.Table.from_pandas(big, preserve_index=False), tmp_path / "t.parquet")
    big.to_csv(tmp_path / "t.csv", index=False)
    for name in ("t.parquet", "t.csv"):
        whole = fusem.rows(tmp_path / name, columns=["a", "b"]).whole()
        sizes = [piece.num_rows for piece in whole.tables()]
        assert sum(sizes) == len(big)
        assert max(sizes) <= len(big) // 2


# ---- the fit ----


def test_options_of_a_fit_reach_the_imputer(table, tmp_path):
    np.save(tmp_path / "t.npy", table[["a", "b", "w"]].to_numpy())
    out = succeed(
        "impute", tmp_path / "t.npy", "-k", 2, "--covariance", "diag", "-w", "2", "--restarts", 2,
        "--tol", 1e-4, "--max-iter", 500, "--reg-covar", 1e-3, "--seed", 3, "--jobs", 1,
        "-o", tmp_path / "o.npy",
    )  # fmt: skip
    imputer = fusem.EMImputer(
        2, covariance_type="diag", n_init=2, tol=1e-4, max_iter=500, reg_covar=1e-3, random_state=3
    )
    rows = np.load(tmp_path / "t.npy")
    imputer.fit(rows[:, :2], sample_weight=rows[:, 2])
    np.testing.assert_array_equal(
        np.load(tmp_path / "o.npy")[:, :2], imputer.transform(rows[:, :2])
    )
    lines = out.splitlines()
    assert lines[0].split() == ["start", "sweep", "log-likelihood", "change", "rows/s"]
    assert {line.split()[0] for line in lines[1:-1]} == {"1", "2"}
    assert len(lines) == 2 + sum(start.n_iter for start in imputer.mixture_.starts_)


def test_several_imputations_are_several_files(table, tmp_path):
    table[["id", "a", "b"]].to_parquet(tmp_path / "t.parquet")
    words = "-c", "a,b", "--imputations", 3, "--seed", 5, "-o", tmp_path / "o-{}.parquet"
    out = succeed("impute", tmp_path / "t.parquet", *words)
    rows = table[["a", "b"]].to_numpy()
    options = {"sample_posterior": True, "n_imputations": 3, "random_state": 5}
    expected = fusem.EMImputer(**options).fit(rows).transform(rows)
    for number, one in enumerate(expected):
        found = pd.read_parquet(tmp_path / f"o-{number}.parquet")
        np.testing.assert_array_equal(found[["a", "b"]], one)
        np.testing.assert_array_equal(found["id"], table["id"])
        assert f"imputation {number + 1} of 3: " in out
    assert out.count("rows written to") == 3


def test_draws_are_those_of_the_imputer(table, tmp_path):
    rows = table[["a", "b"]].to_numpy()
    np.save(tmp_path / "t.npy", rows)
    words = "--sample", "--seed", 5, "-q", "-o", tmp_path / "o.npy"
    succeed("impute", tmp_path / "t.npy", *words)
    expected = fusem.EMImputer(sample_posterior=True, random_state=5).fit(rows).transform(rows)
    np.testing.assert_array_equal(np.load(tmp_path / "o.npy"), expected)


def test_a_seed_that_was_drawn_is_told(table, tmp_path):
    np.save(tmp_path / "t.npy", table[["a", "b"]].to_numpy())
    words = "impute", tmp_path / "t.npy", "-q", "-o", tmp_path / "o.npy"
    assert "--seed" not in succeed(*words)  # one component, no draws
    told = succeed(*words, "--sample").splitlines()[-1].split()
    assert told[0] == "--seed"
    drawn = np.load(tmp_path / "o.npy")
    assert "--seed" not in succeed(*words, "--sample", *told[:2])
    np.testing.assert_array_equal(np.load(tmp_path / "o.npy"), drawn)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--imputations", 2], "put {} where their numbers shall stand"),
        (["--tol", 1e-3, "--model", "m.npz"], "--tol belongs to a fit"),
        (["-k", 1, "--model", "m.npz"], "-k belongs to a fit"),
        (["--weights", "w", "--model", "m.npz"], "-w belongs to a fit"),
        (["--max-iter", 0], "0 is not in the range"),
        (["u.npy", "v.npy"], "give one table, and one model at most before it. Quote a pattern"),
        (["u.npy", "--model", "m.npz"], "give one table, and one model at most"),
    ],
)
def test_what_impute_refuses(table, tmp_path, options, message):
    np.save(tmp_path / "t.npy", table[["a", "b"]].to_numpy())
    done = fusem_command("impute", tmp_path / "t.npy", *options, "-o", tmp_path / "o.npy")
    assert done.code == 2
    assert message in done.err[0]
    assert not (tmp_path / "o.npy").exists()
