"""Columns that have names are never taken for each other, in whatever order they come."""

from __future__ import annotations

import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.patches import StepPatch

import fusem
from fusem import plot
from fusem.cli.source import open_source

pd = pytest.importorskip("pandas")
pytest.importorskip("pyarrow.parquet")


@pytest.fixture(scope="module")
def table():
    rng = np.random.default_rng(0)
    a = np.where(rng.random(600) < 0.4, 0.0, 9.0) + rng.standard_normal(600)
    return pd.DataFrame({"a": a, "b": 100.0 + 3.0 * rng.standard_normal(600), "c": rng.random(600)})


@pytest.fixture(scope="module")
def files(table, tmp_path_factory):
    """Files whose columns stand in another order, with one more between them."""
    folder = tmp_path_factory.mktemp("named")
    table[["b", "c", "a"]].to_parquet(folder / "t.parquet")
    table[["b", "c", "a"]].to_csv(folder / "t.csv", index=False)
    return folder


@pytest.fixture
def model(table):
    model = fusem.GaussianMixture(2, random_state=0, tol=0.0, max_iter=2, warm_start=True)
    with pytest.warns(UserWarning, match="did not converge"):
        return model.fit(table[["a", "b"]])


@pytest.mark.parametrize("name", ["t.parquet", "t.csv"])
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_a_warm_start_takes_the_columns_of_a_file_by_name(model, table, files, name):
    before = model.score(table[["a", "b"]])
    model.fit(files / name)
    assert model.lower_bounds_[0] == pytest.approx(before, rel=1e-12)
    assert list(model.feature_names_in_) == ["a", "b"]


@pytest.mark.parametrize(
    "given",
    [
        lambda t: t[["b", "a"]],
        lambda t: t[["a", "b", "c"]],
        lambda t: t[["a", "c"]],
        lambda t: [t[["b", "a"]]],
        lambda t: lambda: iter([t[["b", "a"]]]),
        lambda t: fusem.rows(t, columns=["b", "a"]),
    ],
    ids=["permuted", "more", "other", "list", "function", "rows"],
)
def test_a_warm_start_refuses_columns_of_other_names(model, table, given):
    means = model.means_.copy()
    with pytest.raises(ValueError, match=r"feature names should match.*the model 'a', 'b'"):
        model.fit(given(table))
    np.testing.assert_array_equal(model.means_, means)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_a_warm_start_takes_columns_without_names_as_they_come(model, table):
    X = table[["a", "b"]].to_numpy()
    before = model.score(fusem.rows(X))
    model.fit(X)
    assert model.lower_bounds_[0] == pytest.approx(before, rel=1e-12)
    renamed = fusem.rows(table.rename(columns={"a": "x", "b": "y"}), columns=["x", "y"])
    model.fit(renamed)  # no names any more to hold these against
    assert list(model.feature_names_in_) == ["x", "y"]


@pytest.mark.filterwarnings("ignore:X does not have valid feature names:UserWarning")
def test_predictions_refuse_permuted_chunks(model, table):
    swapped = table[["b", "a"]]
    for given in ([swapped], lambda: iter([swapped]), fusem.rows(swapped)):
        with pytest.raises(ValueError, match="feature names should match"):
            model.predict(given)


@pytest.mark.parametrize("columns", [None, ["b", "a"]])
def test_the_command_line_takes_the_columns_of_the_model(model, files, columns):
    for name in ("t.parquet", "t.csv"):
        rows, _ = open_source(str(files / name), columns, model=model)
        assert rows.names == ("a", "b")
    assert open_source(str(files / "t.csv"), ["b", "c"], model=model)[0].names == ("b", "c")


@pytest.mark.parametrize("name", ["t.parquet", "t.csv"])
def test_pictures_take_the_columns_of_a_file_by_name(model, table, files, name):
    ax = plot.ellipses(model, files / name, ax=Figure().subplots())
    (dots,) = ax.collections
    np.testing.assert_allclose(dots.get_offsets(), table[["a", "b"]], rtol=1e-12)
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("a", "b")
    edges = []
    for given in (files / name, table[["a", "b"]]):
        ax = plot.density(model, given, column="b", ax=Figure().subplots())
        (bars,) = [patch for patch in ax.patches if isinstance(patch, StepPatch)]
        edges.append(bars.get_data().edges)
    np.testing.assert_allclose(*edges, rtol=1e-12)
    assert edges[0][0] > 80


def test_pictures_refuse_what_predictions_refuse(model, table):
    for draw in (plot.ellipses, plot.density):
        with pytest.raises(ValueError, match="feature names should match"):
            draw(model, table[["b", "a"]], ax=Figure().subplots())
        with pytest.raises(ValueError, match="X has 3 features"):
            draw(model, fusem.rows(table), ax=Figure().subplots())
