"""The commands `fusem hmm`: options reach the estimator, sequences end where they should."""

from __future__ import annotations

import json
import logging

import numpy as np
import pytest

import fusem
from fusem.cli.app import app
from fusem.cli.report import run
from fusem.families import registry
from tests.command import fusem_command

pd = pytest.importorskip("pandas")
pytest.importorskip("pyarrow")

LENGTHS = [40, 1, 59]
STATES = np.arange(100) % 50 < 20
ROWS = np.where(STATES, 0.0, 8.0)[:, None] + np.random.default_rng(0).normal(size=(100, 2))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Return a folder of tables, their sequences by name, by number and by lengths, and two models."""
    path = tmp_path_factory.mktemp("hmm")
    np.save(path / "table.npy", ROWS)
    np.save(path / "counts.npy", np.arange(100)[:, None] // 50 * 3)
    np.save(path / "numbered.npy", np.column_stack([np.repeat([7, 8, 9], LENGTHS), ROWS]))
    np.save(path / "lengths.npy", np.array(LENGTHS))
    (path / "lengths.txt").write_text("40\n1, 59\n", encoding="utf-8")
    table = pd.DataFrame(ROWS, columns=["a", "b"])
    table.insert(0, "name", np.repeat(["ann", "bob", "cy"], LENGTHS))
    table.to_csv(path / "table.csv", index=False)
    table.to_parquet(path / "table.parquet", row_group_size=7)
    table.assign(name=table["name"].where(table.index != 41)).to_csv(path / "hole.csv", index=False)
    table.assign(other="x").to_csv(path / "texts.csv", index=False)
    model = fusem.GaussianHMM(2, random_state=0, n_iter=100).fit(table[["a", "b"]], LENGTHS)
    model.save(path / "model.npz")
    mixture = fusem.GaussianMixture(2)
    mixture.weights_, mixture.means_, mixture.covariances_ = [0.5, 0.5], np.eye(2), [np.eye(2)] * 2
    mixture.save(path / "mixture.npz")
    return path


@pytest.fixture
def succeed(capsys, monkeypatch):
    """Return a function that runs a command in this process, and returns what it printed."""
    monkeypatch.setattr(logging.getLogger("fusem"), "disabled", True)  # it tells of compiling

    def command(*words):
        code = run(app, [str(word) for word in words])
        said = capsys.readouterr()
        assert (code, said.err) == (0, "")
        return said.out

    return command


def test_fit_tells_of_every_sweep_and_saves(folder, tmp_path, succeed):
    out = succeed(
        "hmm", "fit", folder / "table.csv", "-k", 2, "--sequence", "name", "--seed", 3,
        "--covariance", "spherical", "--tol", 0.1, "--max-iter", 50, "-o", tmp_path / "m.npz",
    )  # fmt: skip
    table = pd.DataFrame(ROWS, columns=["a", "b"])
    expected = fusem.GaussianHMM(
        2, covariance_type="spherical", random_state=3, n_iter=50, tol=0.1
    ).fit(table, LENGTHS)
    model = fusem.load(tmp_path / "m.npz")
    np.testing.assert_array_equal(model.means_, expected.means_)
    np.testing.assert_array_equal(model.transmat_, expected.transmat_)
    assert list(model.feature_names_in_) == ["a", "b"]
    lines = out.splitlines()
    assert lines[0].split() == ["sweep", "log-posterior", "change", "rows/s"]
    assert len(lines[1 : lines.index("")]) == expected.n_iter_
    assert f"GaussianHMM, 2 states, spherical: converged after {expected.n_iter_} sweeps" in out
    assert "3 (1 to 59 rows)" in out
    assert f"{expected.bic(table, LENGTHS):.2f}" in out
    assert "3 (--seed 3 fits the same again; --restarts 10 keeps the best of 10 starts)" in out
    assert [path.name for path in tmp_path.iterdir()] == ["m.npz"]


def test_the_best_of_several_starts_is_kept(folder, succeed):
    words = ["hmm", "fit", folder / "table.npy", "-k", 2, "--seed", 5, "--restarts", 3, "--json"]
    record = json.loads(succeed(*words, "--lengths", "40,1,59"))
    ends = []
    for seed in np.random.RandomState(5).randint(2**31, size=3):
        model = fusem.GaussianHMM(2, random_state=int(seed), n_iter=100).fit(ROWS, LENGTHS)
        ends.append(model.history_["log_likelihood"][-1])
    assert record["history"][-1]["log_likelihood"] == max(ends)
    assert (record["sequences"], record["shortest_sequence"]) == (3, 1)
    assert np.shape(record["covars"]) == (2, 2, 2)


@pytest.mark.filterwarnings("default:Start 1 failed:RuntimeWarning")
def test_a_start_that_fails_is_left_out(folder, capsys, monkeypatch):
    whole, seeds = fusem.GaussianHMM._start, np.random.RandomState(5).randint(2**31, size=2)
    failed = []

    def fails_once(self, *args):
        if not failed:
            failed.append(True)
            raise ValueError("state 1 is singular")
        return whole(self, *args)

    monkeypatch.setattr(fusem.GaussianHMM, "_start", fails_once)
    words = ["hmm", "fit", "-k", "2", "--seed", "5", "--json", "--restarts", "2"]
    assert run(app, [*words, str(folder / "table.npy")]) == 0
    said = capsys.readouterr()
    record = json.loads(said.out)
    assert "fusem: warning: Start 1 failed: state 1 is singular\n" in said.err
    expected = fusem.GaussianHMM(2, random_state=int(seeds[1]), n_iter=100).fit(ROWS)
    np.testing.assert_array_equal(record["transmat"], expected.transmat_)


@pytest.mark.parametrize("family", ["poisson", "categorical"])
def test_families(folder, family, succeed):
    out = succeed("hmm", "fit", folder / "counts.npy", "-k", 2, "--family", family, "--seed", 0)
    assert out.splitlines()[0].split()[1] == "log-likelihood"
    assert {"poisson": "rate", "categorical": "P(3)"}[family] in out


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ("table.npy", "--lengths 40,1,59"),
        ("table.npy", "--lengths lengths.npy"),
        ("table.npy", "--lengths lengths.txt"),
        ("numbered.npy", "--sequence 0"),
        ("table.csv", "--sequence name"),
        ("table.parquet", "--sequence name"),
    ],
)
def test_score_of_sequences(folder, data, words, succeed, monkeypatch):
    monkeypatch.chdir(folder)
    record = json.loads(
        succeed("hmm", "score", data, "--model", "model.npz", *words.split(), "--json")
    )
    model = fusem.load("model.npz")
    table = pd.DataFrame(ROWS, columns=["a", "b"])
    assert record["log_likelihood"] == pytest.approx(model.score(table, lengths=LENGTHS), rel=1e-12)
    assert record["bic"] == pytest.approx(model.bic(table, LENGTHS), rel=1e-12)
    assert record["log_likelihood"] != pytest.approx(model.score(table), rel=1e-12)


def test_decode(folder, tmp_path, succeed):
    model = fusem.load(folder / "model.npz")
    table = pd.DataFrame(ROWS, columns=["a", "b"])
    words = ["hmm", "decode", folder / "model.npz", folder / "table.csv"]
    words += ["--sequence", "name", "-o"]
    assert "100 rows written" in succeed(*words, tmp_path / "states.npy")
    found = np.load(tmp_path / "states.npy")
    np.testing.assert_array_equal(found, model.predict(table, LENGTHS))
    assert (found.shape, found.dtype) == ((100,), np.int64)
    succeed(*words, tmp_path / "map.csv", "--algorithm", "map")
    _, expected = model.decode(table, LENGTHS, "map")
    np.testing.assert_array_equal(pd.read_csv(tmp_path / "map.csv")["state"], expected)
    succeed(*words, tmp_path / "proba.parquet", "--proba")
    shares = pd.read_parquet(tmp_path / "proba.parquet")
    assert list(shares.columns) == ["state_0", "state_1"]
    np.testing.assert_array_equal(shares, model.predict_proba(table, LENGTHS))


def test_probabilities_of_one_state_are_written_before_their_file_is_gone(tmp_path, succeed):
    fusem.hmm.GaussianHMM(1).fit(ROWS).save(tmp_path / "one.npz")
    np.save(tmp_path / "rows.npy", ROWS)
    words = ["hmm", "decode", tmp_path / "one.npz", tmp_path / "rows.npy", "--proba", "-o"]
    for name in ("one.parquet", "one.csv", "one.npy"):
        succeed(*words, tmp_path / name)
    for found in (pd.read_parquet(tmp_path / "one.parquet"), pd.read_csv(tmp_path / "one.csv")):
        assert (found["state_0"] == 1.0).all()
        assert len(found) == len(ROWS)
    assert not list(tmp_path.glob(".fusem-*"))


def test_info(folder, succeed):
    model = fusem.load(folder / "model.npz")
    out = succeed("info", folder / "model.npz")
    assert "GaussianHMM, 2 states, diag" in out
    assert f"converged after {model.n_iter_} sweeps" in out
    assert f"{model.monitor_.history[-1]:.4f}" in out
    assert f"{model.transmat_[0, 1]:.5f}" in out
    assert "mean b" in out
    record = json.loads(succeed("info", folder / "model.npz", "--json"))
    np.testing.assert_array_equal(record["transmat"], model.transmat_)
    assert record["columns"] == ["a", "b"]
    assert record["family"] == "GaussianHMM"


EVERY_CLASS = {
    "GaussianHMM": {"means_": [[0.0], [8.0]], "covars_": [[1.0], [4.0]]},
    "GMMHMM": {
        "weights_": [[0.25, 0.75], [0.5, 0.5]],
        "means_": [[[0.0], [1.0]], [[8.0], [9.0]]],
        "covars_": np.full((2, 2, 1), 4.0),
    },
    "PoissonHMM": {"lambdas_": [[1.0], [8.0]]},
    "CategoricalHMM": {"emissionprob_": [[0.7, 0.1, 0.1, 0.1], [0.1, 0.1, 0.1, 0.7]]},
    "MultinomialHMM": {"emissionprob_": [[1.0], [1.0]]},
}


@pytest.mark.parametrize("name", EVERY_CLASS)
def test_info_score_and_decode_take_every_class(folder, tmp_path, name, succeed):
    model, path, table = getattr(fusem, name)(2), tmp_path / "m.npz", folder / "counts.npy"
    options = {"n_mix": 2} if name == "GMMHMM" else {}
    model.set_params(**options)
    chain = {"startprob_": [0.5, 0.5], "transmat_": [[0.9, 0.1], [0.2, 0.8]]}
    for attribute, value in {**chain, **EVERY_CLASS[name]}.items():
        setattr(model, attribute, np.array(value))
    model.save(path)
    assert f"{name}, 2 states" in succeed("info", path)
    record = json.loads(succeed("info", path, "--json"))
    for attribute, value in EVERY_CLASS[name].items():
        np.testing.assert_array_equal(np.ravel(record[attribute.rstrip("_")]), np.ravel(value))
    rows = np.load(table)
    record = json.loads(succeed("hmm", "score", table, "--model", path, "--json"))
    assert record["log_likelihood"] == pytest.approx(model.score(rows), rel=1e-12)
    succeed("hmm", "decode", table, "--model", path, "-o", tmp_path / "states.npy")
    np.testing.assert_array_equal(np.load(tmp_path / "states.npy"), model.predict(rows))


OF_FAMILY = {
    "gaussian_full": (
        {"means": [[0.0, 1.0], [8.0, 9.0]], "covariances": [4.0 * np.eye(2)] * 2},
        "sd 1",
    ),
    "gaussian_spherical": ({"means": [[0.0, 1.0], [8.0, 9.0]], "covariances": [1.0, 4.0]}, "sd 1"),
    "poisson": ({"rates": [[1.0, 8.0], [2.0, 3.0]]}, "rate 1"),
    "categorical": ({"probabilities": [[[0.5, 0.5], [1.0, 0.0]]] * 2}, "P(1 = 0)"),
    "multinomial": ({"probabilities": [[0.5, 0.5], [0.2, 0.8]]}, "P(1)"),
}


@pytest.mark.parametrize("family", OF_FAMILY)
def test_info_of_a_family_by_name(tmp_path, family, succeed):
    parts, head = OF_FAMILY[family]
    model = fusem.HMM(2, family)
    model.startprob_, model.transmat_ = np.array([0.5, 0.5]), np.eye(2)
    made, values = registry.FAMILIES[family], [np.array(value) for value in parts.values()]
    of_covariances = getattr(made, "from_covariances", made.Params)
    model.components_ = of_covariances(*values)
    model.save(tmp_path / "m.npz")
    said = succeed("info", tmp_path / "m.npz")
    assert f"HMM, 2 states, {family}" in said
    assert head in said
    record = json.loads(succeed("info", tmp_path / "m.npz", "--json"))
    for name, value in parts.items():
        np.testing.assert_array_equal(record[name], value)


def test_the_prior_of_small_numbers_is_told_and_can_be_chosen(tmp_path):
    np.save(tmp_path / "small.npy", ROWS * 1e-9)
    words = "hmm", "fit", tmp_path / "small.npy", "-k", 2, "--seed", 0, "--json"
    done = fusem_command(*words)
    (said,) = done.err
    assert said.endswith("Scale the columns, or set --covars-prior 0.")
    done = fusem_command(*words, "--covars-prior", 0)
    assert (done.code, done.err) == (0, [])
    np.testing.assert_allclose(
        np.sort(np.array(json.loads(done.out)["means"])[:, 0]), [0, 8e-9], atol=1e-9
    )


def test_states_of_several_gaussians(folder, tmp_path, succeed):
    words = "hmm", "fit", folder / "table.npy", "-k", 2, "--gaussians", 2, "--tol", 1e9
    said = succeed(*words, "--seed", 0, "--covariance", "spherical", "-o", tmp_path / "m.npz")
    assert "GMMHMM, 2 states, spherical" in said
    model = fusem.load(tmp_path / "m.npz")
    assert model.weights_.shape == (2, 2)


@pytest.mark.parametrize("kind", ["diag", "full", "tied", "spherical"])
def test_info_has_a_line_per_gaussian_of_a_state(kind, tmp_path, succeed, monkeypatch):
    covariances = {
        "diag": np.full((2, 2, 3), 4.0),
        "full": np.broadcast_to(4.0 * np.eye(3), (2, 2, 3, 3)),
        "tied": np.broadcast_to(4.0 * np.eye(3), (2, 3, 3)),
        "spherical": np.full((2, 2), 4.0),
    }
    model = fusem.GMMHMM(2, 2, covariance_type=kind)
    model.startprob_, model.transmat_ = np.array([0.5, 0.5]), np.eye(2)
    model.weights_, model.covars_ = np.array([[0.25, 0.75], [0.5, 0.5]]), covariances[kind]
    model.means_ = np.arange(12.0).reshape(2, 2, 3)
    model.save(tmp_path / "m.npz")
    lines = succeed("info", tmp_path / "m.npz").splitlines()
    at = next(i for i, line in enumerate(lines) if "weight" in line)
    assert lines[at].split()[:7] == ["state", "part", "weight", "mean", "0", "sd", "0"]
    assert [line.split()[:5] for line in lines[at + 1 : at + 5]] == [
        ["0", "0", "0.25000", "0.00000", "2.00000"],
        ["0", "1", "0.75000", "3.00000", "2.00000"],
        ["1", "0", "0.50000", "6.00000", "2.00000"],
        ["1", "1", "0.50000", "9.00000", "2.00000"],
    ]
    monkeypatch.setenv("COLUMNS", "60")
    assert "(1 more column; --json lists all)" in succeed("info", tmp_path / "m.npz")


def test_a_warning_is_one_line_in_the_words_of_the_options(folder):
    done = fusem_command("hmm", "fit", folder / "table.npy", "-k", 2, "--max-iter", 2, "--seed", 0)
    assert done.code == 0
    (line,) = [line for line in done.err if not line.startswith("fusem compiles")]
    assert line.startswith("fusem: warning: EM did not converge in --max-iter 2 iterations")


@pytest.mark.parametrize("name", ["mixed.csv", "mixed.npy"])
def test_a_sequence_that_comes_back_is_named(tmp_path, name):
    ids = np.repeat([0, 1, 2, 1, 0], [30, 20, 30, 10, 10])
    table = np.stack([ids, np.random.default_rng(0).normal(size=100)], axis=1)
    for what, rows in (("mixed", table), ("sorted", table[np.argsort(ids, kind="stable")])):
        np.save(tmp_path / f"{what}.npy", rows)
        np.savetxt(tmp_path / f"{what}.csv", rows, "%.3f", ",", header="id,x", comments="")
    column = "id" if name.endswith("csv") else "0"
    given = "-k", 2, "--seed", 0, "--sequence", column
    done = fusem_command("hmm", "fit", tmp_path / name, *given, "--json")
    (line,) = [line for line in done.err if "again, after other values" in line]
    assert f"in row 80 column {column} is 1" in line
    assert json.loads(done.out)["sequences"] == 5
    sorted_ = fusem_command("hmm", "fit", tmp_path / name.replace("mixed", "sorted"), *given)
    assert not [line for line in sorted_.err if "again" in line]


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        ("hmm fit {table.csv} -k 2", 1, "--columns a,b"),
        ("hmm fit {table.csv} -k 2 --sequence who", 1, "no column 'who'. It has name, a, b"),
        ("hmm fit {texts.csv} -k 2 --sequence name", 1, "'other' (string)"),
        ("hmm fit {texts.csv} -k 2 --columns a --sequence who", 1, "no column 'who'"),
        ("hmm fit {hole.csv} -k 2 --sequence name", 1, "row 41 has no value in column name"),
        ("hmm fit {table.npy} -k 2 --sequence name", 1, "0 to 1, without names"),
        ("hmm fit {table.npy} -k 2 --columns 0 --sequence name", 1, "--sequence a number"),
        ("hmm fit {table.npy} -k 2 --sequence 2", 1, "no column '2'. It has columns 0 to 1"),
        ("hmm fit {counts.npy} -k 2 --sequence 0", 2, "no column of numbers beside 0"),
        ("hmm fit {table.npy} -k 2 --lengths 40,x", 2, "neither numbers from 1 on"),
        ("hmm fit {table.npy} -k 2 --lengths 40,,60", 2, "holds nothing, not whole numbers"),
        ("hmm fit {table.npy} -k 2 --lengths 40,1", 1, "lengths sum to 41"),
        ("hmm fit {table.npy} -k 2 --lengths {table.csv}", 2, "holds name, not whole numbers"),
        ("hmm fit {table.npy} -k 2 --lengths 100 --sequence 0", 2, "give one of them"),
        ("hmm fit {table.npy} -k 2 --family poisson", 1, "whole number from 0 on"),
        ("hmm fit {counts.npy} -k 2 --family poisson --covariance full", 2, "no covariances"),
        (
            "hmm fit {counts.npy} -k 2 --family poisson --covars-prior 1",
            2,
            "gaussian states of one",
        ),
        ("hmm fit {counts.npy} -k 2 --family poisson --gaussians 2", 2, "poisson states have none"),
        ("hmm fit {table.npy} -k 2 -o {new.model}", 2, "must end in .npz"),
        ("hmm decode {table.npy} --model {model.npz} -o {table.npy}", 2, "another file"),
        ("hmm decode {table.npy} -o {new.npy}", 2, "give a model before it, as MODEL DATA"),
        ("hmm score {model.npz} {table.npy} --model {model.npz}", 2, "one model at most"),
        ("hmm decode {table.npy} --model {model.npz} -o {model.npz}", 2, "must end in .npy"),
        ("hmm decode {table.npy} --model {mixture.npz} -o {new.npy}", 2, "no hidden Markov"),
        ("hmm decode {table.npy} --model {table.npy} -o {new.npy}", 1, "not a fusem model"),
        ("hmm decode {counts.npy} --model {model.npz} -o {new.npy}", 2, "has 1 columns"),
        (
            "hmm decode {table.npy} --model {model.npz} -o {new.npy} --proba --algorithm map",
            2,
            "--proba writes none",
        ),
        ("predict {model.npz} {table.npy} -o {new.npy}", 2, "those of fusem hmm"),
        ("impute {table.npy} --model {model.npz} -o {new.npy}", 2, "those of fusem hmm"),
    ],
)
def test_an_error_is_one_line(folder, words, code, message, capsys):
    arguments = [
        str(folder / word[1:-1]) if word.startswith("{") else word for word in words.split()
    ]
    before = sorted(folder.iterdir())
    assert run(app, arguments) == code
    said = capsys.readouterr()
    assert said.out == ""
    (line,) = said.err.splitlines()
    assert line.startswith("fusem: error: ")
    assert message in line
    assert sorted(folder.iterdir()) == before, "a file was left behind"


def test_help_has_examples_for_every_command(succeed):
    assert succeed("hmm") == succeed("hmm", "-h")
    assert "\nExamples:\n  fusem hmm fit" in succeed("hmm")
    for name in app.commands["hmm"].commands:
        assert f"\nExamples:\n  fusem hmm {name}" in succeed("hmm", name, "-h")
