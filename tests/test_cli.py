"""The command line, run as its user runs it: every command, every way it can fail."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import fusem
from fusem.cli.fit import _figure
from fusem.cli.output import InOrder, TableWriter
from fusem.cli.source import open_source
from fusem.cli.table import numbers
from tests import processes
from tests.command import fusem_command, succeed

pd = pytest.importorskip("pandas")
pq = pytest.importorskip("pyarrow.parquet")

MEANS = np.array([[0.0, 0.0], [8.0, 1.0], [1.0, 9.0]])


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Return a folder of tables, a model, and files that are not what they seem."""
    path = tmp_path_factory.mktemp("cli")
    rng = np.random.default_rng(0)
    labels = rng.integers(3, size=1500)
    X = MEANS[labels] + rng.standard_normal((1500, 2))
    np.save(path / "table.npy", X)
    np.save(path / "column.npy", X[:, 0])
    np.save(path / "weights.npy", labels.astype(float))
    np.save(path / "few.npy", X[:4])
    np.save(path / "short.npy", np.ones(7))
    np.save(path / "wide.npy", np.column_stack([X, X]))
    bad = X.copy()
    bad[1234, 1] = np.inf
    np.save(path / "infinite.npy", bad)
    table = pd.DataFrame(X, columns=["a", "b"]).assign(w=labels.astype(float))
    table.to_parquet(path / "table.parquet")
    table.to_csv(path / "table.csv", index=False)
    table.assign(name="x").to_parquet(path / "text.parquet")
    model = fusem.GaussianMixture(3, random_state=1).fit(table[["a", "b"]])
    model.save(path / "model.npz")
    whole = (path / "model.npz").read_bytes()
    (path / "truncated.npz").write_bytes(whole[: len(whole) // 2])
    (path / "table.txt").write_text("1 2\n", encoding="utf-8")
    return path


def array(folder: Path) -> np.ndarray:
    return np.load(folder / "table.npy")


# ---- fit ----


def test_fit_tells_of_every_sweep_and_saves_model_and_picture(folder, tmp_path):
    model_path, picture = tmp_path / "m.npz", tmp_path / "p.png"
    out = succeed(
        "fit", folder / "table.npy", "-k", 3, "--seed", 1, "--tol", 1e-6,
        "-o", model_path, "--plot", picture,
    )  # fmt: skip
    expected = fusem.GaussianMixture(3, random_state=1, tol=1e-6).fit(array(folder))
    model = fusem.load(model_path)
    np.testing.assert_array_equal(model.means_, expected.means_)
    np.testing.assert_array_equal(model.covariances_, expected.covariances_)
    lines = out.splitlines()
    assert lines[0].split() == ["sweep", "log-likelihood", "change", "rows/s"]
    sweeps = lines[1 : 1 + expected.n_iter_]
    assert [int(line.split()[0]) for line in sweeps] == list(range(1, expected.n_iter_ + 1))
    for line, value in zip(sweeps, expected.lower_bounds_, strict=True):
        assert float(line.split()[1]) == pytest.approx(value, abs=1e-8)
    assert f"converged after {expected.n_iter_} sweeps" in out
    assert "component   weight" in out
    assert f"{expected.bic(array(folder)):.2f}" in out
    assert "seed                    1 (--seed 1 fits the same again; --restarts 10 keeps" in out
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["m.npz", "p.png"]


def test_fit_json_is_json_and_counts_weights(folder):
    out = succeed("fit", folder / "table.parquet", "-k", 2, "-w", "w", "--seed", 0, "--json")
    record = json.loads(out)
    table = pd.read_parquet(folder / "table.parquet")
    expected = fusem.GaussianMixture(2, random_state=0)
    expected.fit(table[["a", "b"]], sample_weight=table["w"])
    np.testing.assert_array_equal(record["means"], expected.means_)
    assert record["columns"] == ["a", "b"]
    assert (record["rows"], record["weight"]) == (1500, table["w"].sum())
    for name in ("aic", "bic"):
        value = getattr(expected, name)(table[["a", "b"]], sample_weight=table["w"])
        assert record[name] == pytest.approx(value, rel=1e-12)
    assert len(record["history"]) == record["sweeps"] == expected.n_iter_
    assert record["history"][0]["change"] is None  # infinity is no JSON


def test_fit_options_reach_the_estimator(folder):
    out = succeed(
        "fit", folder / "text.parquet", "-k", 2, "--columns", "b, a", "--covariance", "diag",
        "--restarts", 2, "--start", "k-means++", "--reg-covar", "auto", "--seed", 3,
        "--tol", 0.01, "--max-iter", 50, "--jobs", 1,
    )  # fmt: skip
    table = pd.read_parquet(folder / "text.parquet")[["b", "a"]]
    expected = fusem.GaussianMixture(
        2, covariance_type="diag", n_init=2, init_params="k-means++", reg_covar="auto",
        random_state=3, tol=0.01, max_iter=50,
    ).fit(table)  # fmt: skip
    lines = out.splitlines()
    assert lines[0].split()[0] == "start"
    assert {line.split()[0] for line in lines[1 : lines.index("")]} == {"1", "2"}
    assert "mean b" in out
    assert "2 components (diag)" in out
    assert f"{expected.score(table):.9f}" in out
    assert lines[-1] == "seed                    3 (--seed 3 fits the same again)"


def test_a_seed_that_was_drawn_fits_the_same_again(folder):
    words = [
        "fit",
        folder / "table.npy",
        "-k",
        3,
        "--start",
        "random",
        "--max-iter",
        5,
        "--json",
        "-q",
    ]
    first, other = (json.loads(succeed(*words)) for _ in range(2))
    assert first["seed"] != other["seed"]
    assert first["means"] != other["means"]
    assert json.loads(succeed(*words, "--seed", first["seed"]))["means"] == first["means"]


def test_fit_starts_from_a_model(folder):
    arguments = ["fit", folder / "table.csv", "--columns", "a,b", "--start", folder / "model.npz"]
    record = json.loads(succeed(*arguments, "--json"))
    model = fusem.load(folder / "model.npz")
    assert record["components"] == 3
    assert record["history"][0]["log_likelihood"] == pytest.approx(
        model.score(fusem.rows(array(folder))), rel=1e-9
    )
    done = fusem_command(*arguments, "-k", 4)
    assert done.code == 2
    assert "-k 4: the model to start from has 3" in done.err[0]


def test_fit_from_a_model_takes_its_columns_by_name(folder, tmp_path):
    table = pd.read_parquet(folder / "text.parquet")
    table[["w", "b", "name", "a"]].to_parquet(tmp_path / "turned.parquet")
    arguments = ["--start", folder / "model.npz", "--json"]
    straight = json.loads(succeed("fit", folder / "table.csv", *arguments))
    turned = json.loads(succeed("fit", tmp_path / "turned.parquet", *arguments))
    assert turned["columns"] == straight["columns"] == ["a", "b"]
    np.testing.assert_allclose(turned["means"], straight["means"], rtol=1e-9)


def test_fit_of_one_column_with_weights_from_a_file(folder, tmp_path):
    out = succeed(
        "fit", folder / "column.npy", "-k", 2, "--weights", folder / "weights.npy",
        "--seed", 0, "--quiet", "--plot", tmp_path / "p.svg",
    )  # fmt: skip
    x, w = np.load(folder / "column.npy"), np.load(folder / "weights.npy")
    expected = fusem.GaussianMixture(2, random_state=0).fit(x, sample_weight=w)
    assert out.startswith("\n1,500 rows, 1 column, 2 components (full)")
    assert f"{expected.score(x, sample_weight=w):.9f}" in out
    assert "<svg" in (tmp_path / "p.svg").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("chosen", "labels"),
    [(["1"], ("column 1", "density")), (["3", "0"], ("column 3", "column 0"))],
)
def test_axes_of_a_picture_name_the_columns_that_were_chosen(folder, chosen, labels):
    rows, _ = open_source(str(folder / "wide.npy"), chosen)
    model = fusem.GaussianMixture(2, random_state=0).fit(rows)
    (ax,) = _figure(model, rows, None, chosen).axes
    assert (ax.get_xlabel(), ax.get_ylabel()) == labels


def test_columns_without_names_are_numbers(folder, tmp_path):
    np.savetxt(tmp_path / "bare.csv", array(folder), delimiter=",")
    pd.read_parquet(folder / "table.parquet").set_axis(["1", "0", "7"], axis=1).to_parquet(
        tmp_path / "named.parquet"
    )
    for name in ("bare.csv", "named.parquet"):
        rows, _ = open_source(str(tmp_path / name), ["1", "0"])
        column = 1 if name == "bare.csv" else 0
        np.testing.assert_allclose(rows.to_array()[:, 0], array(folder)[:, column], rtol=1e-15)
    assert open_source(str(tmp_path / "named.parquet"), ["7"])[0].names == ("7",)


def test_a_warning_is_one_line(folder):
    done = fusem_command("fit", folder / "table.npy", "-k", 3, "--max-iter", 1, "--seed", 0)
    assert done.code == 0
    assert len(done.err) == 1
    assert done.err[0].startswith("fusem: warning: ")
    assert "did not converge" in done.err[0]
    assert "not converged after 1 sweep" in done.out


# ---- predict, score, sample, info ----


def test_predict_labels_and_probabilities(folder, tmp_path):
    model = fusem.load(folder / "model.npz")
    X = array(folder)
    for data in ("text.parquet", "table.npy"):  # columns are found by name, or as they come
        out = succeed("predict", folder / "model.npz", folder / data, "-o", tmp_path / "l.npy")
        assert out == f"1,500 rows written to {tmp_path / 'l.npy'}\n"
        labels = np.load(tmp_path / "l.npy")
        assert labels.dtype == np.int64
        np.testing.assert_array_equal(labels, model.predict(fusem.rows(X)))
    succeed(
        "predict",
        folder / "model.npz",
        folder / "table.npy",
        "--proba",
        "-o",
        tmp_path / "p.parquet",
    )
    proba = pq.read_table(tmp_path / "p.parquet").to_pandas()
    assert list(proba) == ["component_0", "component_1", "component_2"]
    np.testing.assert_array_equal(proba.to_numpy(), model.predict_proba(fusem.rows(X)))
    succeed("predict", folder / "model.npz", folder / "table.npy", "-o", tmp_path / "l.csv")
    np.testing.assert_array_equal(pd.read_csv(tmp_path / "l.csv")["component"], labels)
    assert len(list(tmp_path.iterdir())) == 3


def test_score(folder):
    arguments = ["score", folder / "model.npz", folder / "table.csv"]
    record = json.loads(succeed(*arguments, "--json"))
    model = fusem.load(folder / "model.npz")
    rows = fusem.rows(array(folder))
    assert record["rows"] == 1500
    assert record["log_likelihood"] == pytest.approx(model.score(rows), rel=1e-9)
    assert record["bic"] == pytest.approx(model.bic(rows), rel=1e-9)
    assert f"{model.score(rows):.9f}" in succeed(*arguments)


@pytest.mark.parametrize("weighted", [False, True])
def test_what_score_prints_multiplies(folder, tmp_path, weighted):
    """The total is the mean times the rows that have a value, or times their weight; the others are told."""
    X = np.concatenate([array(folder), np.full((7, 2), np.nan)])
    np.save(tmp_path / "t.npy", X)
    np.save(tmp_path / "w.npy", np.linspace(0.5, 2.0, len(X)))
    model = fusem.GaussianMixture(3, random_state=1).fit(array(folder))
    model.save(tmp_path / "m.npz")
    arguments = ["score", tmp_path / "m.npz", tmp_path / "t.npy"]
    arguments += ["-w", tmp_path / "w.npy"] if weighted else []
    record = json.loads(succeed(*arguments, "--json"))
    assert (record["rows"], record["rows_without_value"]) == (1500, 7)
    weight = np.linspace(0.5, 2.0, len(X))[:1500].sum() if weighted else 1500.0
    assert record["weight"] == pytest.approx(weight, rel=1e-12)
    lines = [line.rsplit("  ", 1) for line in succeed(*arguments).splitlines()]
    shown = {name.strip(): value.strip() for name, value in lines}
    assert shown["rows"] == "1,500"
    assert shown["without any value"] == "7 more, which do not count"
    per = "unit of weight" if weighted else "row"
    counted = float(shown["weight" if weighted else "rows"].replace(",", ""))
    total = float(shown[f"log-likelihood per {per}"]) * counted
    assert float(shown["log-likelihood"]) == pytest.approx(total, abs=0.01)


def test_fit_tells_of_rows_without_any_value(folder, tmp_path):
    np.save(tmp_path / "t.npy", np.concatenate([array(folder), np.full((7, 2), np.nan)]))
    done = fusem_command("fit", tmp_path / "t.npy", "-k", 3, "--seed", 1, "-q")
    assert done.out.startswith("\n1,500 rows (7 more without any value), 2 columns, 3 components")


def test_sample(folder, tmp_path):
    succeed("sample", folder / "model.npz", "-n", 5000, "--seed", 1, "-o", tmp_path / "s.parquet")
    succeed("sample", folder / "model.npz", "-n", 5000, "--seed", 1, "-o", tmp_path / "s.npy")
    table = pq.read_table(tmp_path / "s.parquet").to_pandas()
    rows = np.load(tmp_path / "s.npy")
    assert list(table) == ["a", "b"]
    np.testing.assert_array_equal(table.to_numpy(), rows)
    model = fusem.load(folder / "model.npz")
    assert model.score(fusem.rows(rows)) == pytest.approx(model.lower_bound_, abs=0.1)
    labels = model.predict(fusem.rows(rows))
    assert np.count_nonzero(np.diff(labels)) > 1000, "rows are sorted by component"


def test_info(folder):
    model = fusem.load(folder / "model.npz")
    out = succeed("info", folder / "model.npz")
    assert "3 components, full" in out
    assert "mean a" in out
    assert f"converged after {model.n_iter_} sweeps" in out
    record = json.loads(succeed("info", folder / "model.npz", "--json"))
    np.testing.assert_array_equal(record["covariances"], model.covariances_)
    assert record["columns"] == ["a", "b"]
    assert record["settings"]["tol"] == 1e-3


def test_info_does_not_call_the_last_sweep_the_score_of_the_model(folder):
    """The model moved once more after the last sweep; only fit and score know its log-likelihood."""
    model = fusem.load(folder / "model.npz")
    line = next(
        line for line in succeed("info", folder / "model.npz").splitlines() if "log-" in line
    )
    value = f"{model.lower_bound_:.9f}"
    assert line.strip() == f"log-likelihood per row, before the last step: {value}"
    record = json.loads(succeed("info", folder / "model.npz", "--json"))
    assert record["lower_bound"] == model.lower_bound_
    assert "log_likelihood" not in record


def test_info_names_the_columns_as_far_as_a_line_holds_them(folder, tmp_path):
    lines = succeed("info", folder / "model.npz").splitlines()
    assert [line.split(maxsplit=1)[1] for line in lines if line.startswith("columns ")] == [
        "2: a, b"
    ]
    model = fusem.GaussianMixture(1)
    model.weights_, model.means_, model.covariances_ = [1.0], np.zeros((1, 30)), [np.eye(30)]
    model.feature_names_in_ = np.array([f"column {j}" for j in range(30)], dtype=object)
    model.save(tmp_path / "wide.npz")
    lines = succeed("info", tmp_path / "wide.npz", COLUMNS="60").splitlines()
    (line,) = [line for line in lines if line.startswith("columns ")]
    assert line.split(maxsplit=1)[1] == "30: column 0, column 1, column 2, column 3, …"
    assert len(line) <= 60


def test_points_of_a_column_of_numbers_stand_under_each_other():
    assert numbers([8.02, -12.5, 0.0316, 123456.0, 1e9]) == [
        "     8.02000    ",
        "   -12.5000     ",
        "     0.0316000  ",
        "123456          ",
        "     1.00000e+09",
    ]


def test_demo(tmp_path):
    out = succeed("demo", "--out", tmp_path / "pictures", "--rows", 20_000)
    assert "highest at p = 0.3 (true value 0.3)" in out
    listed = [Path(line.strip()) for line in out.split("Pictures:\n")[1].splitlines()]
    assert len(listed) == 5
    assert all(path.is_file() for path in listed)


# ---- errors ----


def test_spellings_of_a_missing_value(folder, tmp_path):
    rows = np.load(folder / "table.npy")
    table = pd.DataFrame(rows, columns=["a", "b"]).round(3).astype(object)
    table.iloc[::7, 1] = "n.d."
    table.to_csv(tmp_path / "t.csv", index=False)
    words = "fit", tmp_path / "t.csv", "-k", 2, "--seed", 0, "--json"
    done = fusem_command(*words)
    assert done.code == 1
    assert "Line 2 has 'n.d.' in column 'b', which is no number." in done.err[0]
    assert done.err[0].endswith("If that means a missing value: --na n.d. says so.")
    record = json.loads(succeed(*words, "--na", "n.d."))
    holes = rows.round(3)
    holes[::7, 1] = np.nan
    expected = fusem.GaussianMixture(2, random_state=0).fit(holes)
    np.testing.assert_allclose(record["means"], expected.means_)


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        ("fit {nothing.npy} -k 3", 1, "nothing.npy"),
        ("fit {table.txt} -k 3", 1, "table.txt"),
        ("fit {table.npy}", 2, "how many components"),
        ("fit {table.npy} -k 3 --columns a", 1, "such as --columns 0,2"),
        ("fit {table.npy} -k 3 --columns 1,1", 1, "--columns names column 1"),
        ("fit {table.npy} -k 0", 2, "0 is not in the range"),
        ("fit {few.npy} -k 5", 1, "n_samples"),
        ("fit {infinite.npy} -k 3", 1, "infinity or a value too large"),
        (
            "fit {text.parquet} -k 3",
            1,
            "'name' (large_string) is not numeric. Choose among the others: --columns a,b,w",
        ),
        ("fit {table.parquet} -k 3 --columns a,z", 1, "'z'"),
        ("fit {table.parquet} -k 3 --columns a,,b", 2, "separated by commas"),
        ("fit {table.parquet} -k 3 --weights z", 1, "'z'"),
        ("fit {table.npy} -k 3 --weights {short.npy}", 1, "1500"),
        ("fit {table.npy} -k 3 --reg-covar much", 2, "much is neither"),
        ("fit {table.npy} -k 3 --start nowhere", 2, "--start nowhere"),
        ("fit {table.npy} -k 3 --start {truncated.npz}", 1, "truncated.npz"),
        ("fit {table.npy} -k 3 -o {new.model}", 2, "must end in .npz"),
        ("fit {table.npy} -k 3 -o {no/folder/m.npz}", 2, "there is no folder"),
        ("fit {table.npy} -k 3 --plot {new.jpeg}", 2, "must end in .png"),
        ("impute {model.npz} -o {new.npy}", 1, "model.npz"),
        ("impute {infinite.npy} -o {new.npy}", 1, "infinity or a value too large"),
        ("impute {table.npy} -o {table.npy}", 2, "write to another file"),
        ("impute {wide.npy} --model {model.npz} -o {new.npy}", 2, "has 4 columns, the model was"),
        ("predict {model.npz} {table.npy} -o {new.xls}", 2, "must end in .npy"),
        ("predict {model.npz} {wide.npy} -o {new.npy}", 2, "has 4 columns, the model was fitted"),
        ("predict {model.npz} {infinite.npy} -o {new.npy}", 1, "row 1234"),
        ("predict {truncated.npz} {table.npy} -o {new.npy}", 1, "truncated.npz"),
        ("predict {table.npy} {table.npy} -o {new.npy}", 1, "table.npy"),
        ("score {nothing.npz} {table.npy}", 1, "nothing.npz"),
        ("sample {model.npz} -n 0 -o {new.npy}", 2, "0 is not in the range"),
        ("info {truncated.npz}", 1, "truncated.npz"),
        ("demo --out {table.npy}", 2, "is a file"),
        ("frobnicate", 2, "No such command"),
        ("fit", 2, "Missing argument 'DATA'"),
    ],
)
def test_an_error_is_one_line(folder, arguments, code, message):
    words = [
        str(folder / word[1:-1]) if word.startswith("{") else word for word in arguments.split()
    ]
    before = sorted(folder.iterdir())
    done = fusem_command(*words)
    assert done.code == code
    assert len(done.err) == 1, done.err
    assert done.err[0].startswith("fusem: error: ")
    assert message in done.err[0]
    assert done.out == ""
    assert sorted(folder.iterdir()) == before, "a file was left behind"


def test_debug_shows_the_traceback(folder):
    done = fusem_command("info", folder / "truncated.npz", FUSEM_DEBUG="1")
    assert done.code == 1
    assert any(line.startswith("Traceback") for line in done.err)
    assert done.err[-1].startswith("fusem: error: ")


@pytest.mark.skipif(sys.platform == "win32", reason="sends a POSIX signal")
def test_ctrl_c_ends_with_130_and_one_line(folder, tmp_path):
    command = [sys.executable, "-m", "fusem", "fit", str(folder / "table.npy"), "-k", "3"]
    command += ["--tol", "0", "--max-iter", "1000000000", "-o", str(tmp_path / "m.npz")]
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=processes.environment(),
    )
    assert process.stdout is not None
    for _ in range(5):
        assert process.stdout.readline()
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=30)
    # click ends the line on which a terminal shows ^C.
    assert (process.returncode, err.strip()) == (130, "fusem: interrupted")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(sys.platform == "win32", reason="a POSIX pipe")
def test_a_reader_that_goes_away_is_no_error(folder):
    process = subprocess.Popen(
        [sys.executable, "-m", "fusem", "info", str(folder / "model.npz"), "--json"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=processes.environment(),
    )  # fmt: skip
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    with process.stderr:
        assert process.stderr.read() == b""
    assert process.wait() == 1


# ---- help, version, import ----


def test_help_has_examples_for_every_command():
    from click.testing import CliRunner

    from fusem.cli.app import app

    pages = {"": CliRunner().invoke(app, ["--help"]).output}
    assert set(app.commands) == {
        "fit",
        "predict",
        "impute",
        "score",
        "sample",
        "hmm",
        "info",
        "demo",
    }
    for name in app.commands:
        pages[name] = CliRunner().invoke(app, [name, "--help"]).output
    for name, page in pages.items():
        assert f"\nExamples:\n  fusem {name}" in page, name


def test_no_command_shows_the_help():
    out = succeed()
    assert out.startswith("Usage: fusem")
    assert out == succeed("-h")


def test_version():
    assert succeed("--version").startswith("fusem ")


def test_importing_the_command_line_loads_nothing_heavy():
    code = (
        "import sys, fusem.cli.app\n"
        "print([n for n in ('numpy', 'numba', 'sklearn', 'matplotlib', 'rich.progress') "
        "if n in sys.modules])"
    )
    assert processes.run(code) == "[]\n"


@pytest.mark.parametrize("missing", ["click", "rich"])
def test_without_click_or_rich_one_line_says_what_to_install(missing):
    code = f"import sys; sys.modules[{missing!r}] = None; from fusem.cli import main; main()"
    process = processes.start(code)
    out, err = process.communicate(timeout=processes.SECONDS)
    assert (process.returncode, out) == (1, "")
    expected = f"fusem: error: the command line needs {missing}: pip install 'fusem[cli]'\n"
    assert err == expected


# ---- output ----


@pytest.mark.parametrize("ending", [".npy", ".parquet", ".csv"])
def test_a_table_is_complete_or_not_there(tmp_path, ending):
    path = tmp_path / f"table{ending}"
    blocks = [np.arange(6.0).reshape(3, 2), np.ones((1, 2))]
    with TableWriter(path, ["x", "y"]) as writer:
        for block in blocks:
            writer.write(block)
    assert writer.rows == 4
    np.testing.assert_array_equal(fusem.rows(path).to_array(), np.concatenate(blocks))

    def fail():
        with TableWriter(path, ["x", "y"]) as writer:
            writer.write(np.zeros((2, 2)))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    assert list(tmp_path.iterdir()) == [path]
    np.testing.assert_array_equal(fusem.rows(path).to_array(), np.concatenate(blocks))


@pytest.mark.skipif(sys.platform == "win32", reason="Windows limits no size of files")
@pytest.mark.parametrize("ending", [".npy", ".parquet", ".csv"])
def test_a_full_disk_is_told_with_the_file(tmp_path, ending):
    code = f"""
import resource
from pathlib import Path
import numpy as np
from fusem.cli.output import TableWriter
resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
try:
    with TableWriter(Path({str(tmp_path / "table")!r} + {ending!r}), ["x", "y"]) as writer:
        writer.write(np.random.default_rng(0).normal(size=(9000, 2)))
except OSError as error:
    print(error.errno, error.filename)
"""
    assert processes.run(code).split() == ["27", str(tmp_path / f"table{ending}")]
    assert not list(tmp_path.iterdir())


def test_blocks_are_handed_on_in_order():
    seen = []
    in_order = InOrder(seen.extend)
    for first, stop in [(4, 6), (2, 4), (0, 2), (6, 7)]:
        in_order.put(first, list(range(first, stop)))
    assert seen == list(range(7))


def test_other_mixtures_have_commands_too(tmp_path):
    X = np.random.default_rng(0).poisson([[1.0, 5.0]] * 300 + [[8.0, 2.0]] * 200)
    np.save(tmp_path / "counts.npy", X)
    model = fusem.PoissonMixture(2, random_state=0).fit(X)
    model.save(tmp_path / "m.npz")
    fusem.CategoricalMixture(1).fit(X % 3).save(tmp_path / "c.npz")
    data, path = tmp_path / "counts.npy", tmp_path / "m.npz"
    succeed("predict", path, data, "-o", tmp_path / "labels.npy")
    np.testing.assert_array_equal(np.load(tmp_path / "labels.npy"), model.predict(X))
    assert f"{model.bic(X):.2f}" in succeed("score", path, data)
    succeed("sample", path, "-n", 50, "-o", tmp_path / "drawn.npy")
    assert np.load(tmp_path / "drawn.npy").shape == (50, 2)
    assert json.loads(succeed("info", path, "--json"))["rates"] == model.rates_.tolist()
    assert "rate 1" in succeed("info", path)
    assert "p 1 = 2" in succeed("info", tmp_path / "c.npz")
    done = fusem_command("impute", data, "--model", path, "-o", tmp_path / "i.npy")
    assert done.code == 2
    assert "holds a PoissonMixture" in done.err[0]
