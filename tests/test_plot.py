"""Pictures: each function draws what it says, on the axes it is given, and leaves the rest alone."""

from __future__ import annotations

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.patches import Ellipse, StepPatch

import fusem
from fusem import plot
from fusem.plot.limits import limits
from fusem.plot.style import PALETTE, WIDE_PALETTE, component_colors
from fusem.plot.view import column_index, marginal, sampled_rows, separating_columns
from tests import processes
from tests.cases import CASES

by_case = pytest.mark.parametrize("case", CASES, ids=lambda case: case.covariance_type)


@pytest.fixture
def ax():
    return Figure().subplots()


def model_of(case, n_components=3, n_features=4):
    start = case.start(n_components, n_features)
    model = fusem.GaussianMixture(n_components, covariance_type=case.covariance_type)
    model.weights_, model.means_, model.covariances_ = start
    return model


@pytest.fixture(scope="module")
def values():
    rng = np.random.default_rng(0)
    return np.where(rng.random(2000) < 0.3, rng.normal(1, 2, 2000), rng.normal(9, 3, 2000))


@pytest.fixture(scope="module")
def fitted(values):
    return fusem.GaussianMixture(2, random_state=0).fit(values)


@by_case
def test_a_marginal_is_that_of_the_drawn_rows(case):
    model = model_of(case)
    model.set_params(random_state=0)
    X, labels = model.sample(200_000)
    along = marginal(model, (3, 1))
    for k in range(3):
        rows = X[labels == k][:, [3, 1]]
        np.testing.assert_allclose(along.means[k], rows.mean(axis=0), atol=0.05)
        np.testing.assert_allclose(along.covariances[k], np.cov(rows.T), atol=0.06)
    np.testing.assert_array_equal(along.weights, model.weights_)


def test_density_is_the_density(ax, fitted, values):
    assert plot.density(fitted, values, ax=ax) is ax
    lines = {line.get_label(): line for line in ax.lines}
    assert set(lines) == {"component 0", "component 1", "mixture"}
    x, y = lines["mixture"].get_data()
    np.testing.assert_allclose(np.log(y), fitted.score_samples(np.asarray(x)), rtol=1e-9)
    np.testing.assert_allclose(y, sum(lines[f"component {k}"].get_ydata() for k in (0, 1)))


def test_the_bars_of_a_histogram_are_shares_of_all_rows(ax, fitted, values):
    far = np.append(values, [1e6] * 500)  # a fifth of the rows is out of view
    plot.density(fitted, far, ax=ax)
    (bars,) = [patch for patch in ax.patches if isinstance(patch, StepPatch)]
    heights, edges, _ = bars.get_data()
    assert edges[-1] < 30
    assert np.sum(heights * np.diff(edges)) == pytest.approx(0.8, abs=0.01)


def test_the_histogram_counts_weights(ax, fitted, values):
    weights = (values < 5).astype(float)
    plot.density(fitted, values, sample_weight=weights, ax=ax)
    (bars,) = [patch for patch in ax.patches if isinstance(patch, StepPatch)]
    heights, edges, _ = bars.get_data()
    assert heights[edges[:-1] >= 5].sum() == 0
    assert np.sum(heights * np.diff(edges)) == pytest.approx(1)


def test_density_of_one_column_of_several(ax):
    model = model_of(CASES[0])
    plot.density(model, column=2, components=False, label="third", ax=ax)
    (line,) = ax.lines
    area = np.trapezoid(*line.get_data()[::-1])
    assert area == pytest.approx(1, abs=1e-3)
    assert (line.get_label(), ax.get_xlabel()) == ("third", "column 2")


def test_density_of_constant_data(ax):
    model = fusem.GaussianMixture(1)
    model.weights_, model.means_, model.covariances_ = (
        np.ones(1),
        np.zeros((1, 1)),
        np.ones((1, 1, 1)),
    )
    plot.density(model, np.zeros(10), ax=ax)
    low, high = ax.get_xlim()
    assert low < 0 < high


@by_case
@pytest.mark.parametrize("n_rows", [200, 6000], ids=["dots", "image"])
def test_ellipses(case, n_rows, ax):
    model = model_of(case)
    X = case.data(n_rows)
    assert plot.ellipses(model, X, columns=(3, 1), sigmas=(1, 2), ax=ax) is ax
    found = [patch for patch in ax.patches if isinstance(patch, Ellipse)]
    assert len(found) == 6
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("column 3", "column 1")
    along = marginal(model, (3, 1))
    turn = np.linspace(0, 2 * np.pi, 9)
    circle = np.column_stack([np.cos(turn), np.sin(turn)])
    for k, (inner, outer) in enumerate(zip(found[::2], found[1::2], strict=True)):
        np.testing.assert_allclose(inner.center, along.means[k])
        assert outer.width == pytest.approx(2 * inner.width)
        # The points of an ellipse are one standard deviation from its centre.
        points = inner.get_patch_transform().transform(circle)
        away = points - along.means[k]
        squares = np.einsum("ni,ij,nj->n", away, np.linalg.inv(along.covariances[k]), away)
        np.testing.assert_allclose(squares, 1, rtol=1e-9)


def test_dots_have_the_colour_of_their_component(ax):
    model = model_of(CASES[0])
    X = CASES[0].data(300)
    plot.ellipses(model, X, ax=ax)
    (dots,) = ax.collections
    np.testing.assert_array_equal(dots.get_offsets(), X[:, :2])
    expected = [mpl.colors.to_rgb(PALETTE[k]) for k in model.predict(X)]
    np.testing.assert_allclose(dots.get_facecolors()[:, :3], expected)


def test_columns_by_name():
    pd = pytest.importorskip("pandas")
    table = pd.DataFrame(CASES[0].data(500), columns=list("abcd"))
    model = fusem.GaussianMixture(2, random_state=0).fit(table)
    ax = plot.ellipses(model, table, columns=("d", "a"), ax=Figure().subplots())
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("d", "a")
    assert column_index(model, "c") == 2
    with pytest.raises(ValueError, match="'e' is not one of a, b, c, d"):
        plot.density(model, column="e", ax=ax)


def test_wrong_columns(ax, fitted):
    model = model_of(CASES[0])
    for call, message in [
        (lambda: plot.ellipses(fitted, ax=ax), "two columns or more"),
        (lambda: plot.ellipses(model, columns=(1, 1), ax=ax), "two different columns"),
        (lambda: plot.ellipses(model, columns=(0, 4), ax=ax), "columns 0 to 3"),
        (lambda: plot.ellipses(model, columns=(0, "a"), ax=ax), "without column names"),
        (lambda: plot.density(model, column=-1, ax=ax), "columns 0 to 3"),
        (lambda: plot.responsibilities(model, np.zeros((2, 4)), ax=ax), "model of one column"),
    ]:
        with pytest.raises(ValueError, match=message):
            call()


@pytest.mark.parametrize("n_rows", [200, 6000], ids=["dots", "image"])
@pytest.mark.parametrize("own", [True, False], ids=["own-component", "none"])
def test_a_far_row_does_not_shrink_the_rest(ax, n_rows, own):
    """Neither as a row, nor where a component of its own went after it."""
    X = np.random.default_rng(0).normal([0.0, 3.0], [1.0, 2.0], size=(n_rows, 2))
    share = 1 / (n_rows + 1) if own else 0.5
    model = fusem.GaussianMixture(2, covariance_type="diag")
    model.weights_ = np.array([1 - share, share])
    model.means_ = np.array([[0.0, 3.0], [1e6, 1e6] if own else [0.0, 3.0]])
    model.covariances_ = np.array([[1.0, 4.0], [1e-6, 1e-6] if own else [1.0, 4.0]])
    far = np.append(X, [[1e6, 1e6]], axis=0)
    plot.ellipses(model, far, ax=ax)
    for (low, high), column in zip((ax.get_xlim(), ax.get_ylim()), X.T, strict=True):
        assert low < column.min() < column.max() < high
        assert high - low < 2 * np.ptp(column)
    *_, note = ax.get_title(loc="left").split("\n")
    assert note == f"outside: 1 of {n_rows + 1:,} rows" + " and 1 of 2 components" * own
    ax = plot.density(model, far, column=1, title="one column", ax=Figure().subplots())
    low, high = ax.get_xlim()
    assert low < X[:, 1].min() < X[:, 1].max() < high < 20
    assert ax.get_title(loc="left") == f"one column\n{note}"


def test_limits_cover_every_ring_and_say_nothing_where_all_is_inside(ax):
    model = model_of(CASES[0])
    X = np.vstack([CASES[0].data(300), model.means_])
    plot.ellipses(model, X, sigmas=(1, 3), ax=ax)
    along = marginal(model, (0, 1))
    for j, (low, high) in enumerate((ax.get_xlim(), ax.get_ylim())):
        sd = np.sqrt(along.covariances[:, j, j])
        assert low < (along.means[:, j] - 3 * sd).min()
        assert high > (along.means[:, j] + 3 * sd).max()
    assert ax.get_title(loc="left") == "rings: 1 and 3 standard deviations; 2 of 4 columns"


def test_a_small_component_that_is_not_far_is_shown():
    along = marginal(model_of(CASES[0], n_components=2), (0, 1))
    sd = np.sqrt(along.covariances[0, 0, 0])
    for distance, shown in ((10.0, True), (100.0, False)):
        means = along.means[[0, 0]] + [[0.0, 0.0], [distance * sd, 0.0]]
        found = limits(along._replace(weights=np.array([0.999, 0.001]), means=means), None, 2.0)
        assert (found.high[0] > means[1, 0]) == shown
        assert found.components == (not shown)


def test_rows_with_holes_are_neither_near_nor_far():
    along = marginal(model_of(CASES[0]), (0, 1))
    X = np.append(CASES[0].data(100)[:, :2], [[1e9, 0.0]], axis=0)
    holes = np.full((300, 2), [np.nan, 1.0])
    expected, found = limits(along, X, 2.0), limits(along, np.append(X, holes, axis=0), 2.0)
    np.testing.assert_array_equal(found.high, expected.high)
    assert found.rows == expected.rows == 1


def test_rows_of_another_model_are_shown_all_the_same(ax, fitted):
    plot.density(fitted, np.random.default_rng(0).normal(500.0, 1.0, 300), ax=ax)
    low, high = ax.get_xlim()
    assert low < 0
    assert high > 502


def test_the_title_says_what_the_rings_are(ax):
    model = model_of(CASES[0], n_features=2)
    plot.ellipses(model, ax=ax)
    assert ax.get_title(loc="left") == "rings: 1 and 2 standard deviations"
    plot.ellipses(model, sigmas=[1], ax=ax)
    assert ax.get_title(loc="left") == "rings: 1 standard deviation"


@pytest.mark.parametrize("n_components", [12, 13])
def test_a_legend_of_many_components_has_one_entry(n_components, values):
    model = model_of(CASES[0], n_components, 1)
    for draw, others in ((plot.density, {"data", "mixture"}), (plot.responsibilities, set())):
        ax = draw(model, values, ax=Figure().subplots())
        named = {text.get_text() for text in ax.get_legend().get_texts()} - others
        one_each = {f"component {k}" for k in range(12)}
        assert named == (one_each if n_components == 12 else {"13 components"})


def test_an_empty_component_is_not_drawn(ax):
    model = model_of(CASES[0])
    model.weights_ = np.array([0.5, 0.0, 0.5])
    plot.ellipses(model, ax=ax)
    assert len(ax.patches) == 4


def test_separating_columns():
    model = fusem.GaussianMixture(2, covariance_type="diag")
    model.weights_ = np.array([0.5, 0.5])
    model.means_ = np.array([[0.0, 0.0, 0.0], [1.0, 5.0, 100.0]])
    model.covariances_ = np.array([[1.0, 1.0, 1e6]] * 2)
    assert separating_columns(model) == (0, 1)


def test_trace(ax, fitted):
    assert plot.trace(fitted, ax=ax) is ax
    (line,) = ax.lines
    np.testing.assert_array_equal(line.get_ydata(), fitted.history_["log_likelihood"])
    assert ax.get_title(loc="left") == f"converged after {fitted.n_iter_} sweeps"
    with pytest.raises(ValueError, match="no history"):
        plot.trace(model_of(CASES[0]), ax=ax)


def test_loglik_scan(ax):
    grid, loglik = np.linspace(0, 1, 5), [-np.inf, -3.0, -2.0, -2.5, -4.0]
    assert plot.loglik_scan(grid, loglik, truth=0.45, label="p", ax=ax) is ax
    truth, curve, peak = ax.lines
    assert truth.get_color() == "#c1121f"
    assert list(truth.get_xdata()) == [0.45, 0.45]
    np.testing.assert_array_equal(curve.get_xdata(), grid[1:])
    assert (peak.get_xdata(), peak.get_ydata()) == (0.5, -2.0)
    assert ax.get_title(loc="left") == "highest at p = 0.5"


@pytest.mark.parametrize(
    ("grid", "loglik", "message"),
    [([1, 2], [1.0], "one length"), ([1], [np.nan], "no finite"), ([[1]], [[1.0]], "1-D")],
)
def test_a_scan_that_cannot_be_drawn(ax, grid, loglik, message):
    with pytest.raises(ValueError, match=message):
        plot.loglik_scan(grid, loglik, ax=ax)


def test_parameter_path(ax):
    assert plot.parameter_path([0.5, 0.4, 0.3], truth=0.3, label="p", ax=ax) is ax
    truth, path, end = ax.lines
    assert list(truth.get_ydata()) == [0.3, 0.3]
    assert list(path.get_xdata()) == [0, 1, 2]
    assert list(end.get_data()) == [2, 0.3]


def test_responsibilities(ax, fitted, values):
    assert plot.responsibilities(fitted, values, ax=ax) is ax
    first, second, _ = ax.lines
    np.testing.assert_array_equal(first.get_xdata(), np.sort(values))
    np.testing.assert_allclose(first.get_ydata() + second.get_ydata(), 1)


def test_a_sample_keeps_the_order_and_the_weights(fitted):
    X = np.arange(10_000.0)
    rows, weights = sampled_rows(fitted, [X[:3333, None], X[3333:, None]], 100, sample_weight=2 * X)
    assert rows.shape == (100, 1)
    np.testing.assert_array_equal(weights, 2 * rows[:, 0])
    assert (np.diff(rows[:, 0]) > 0).all()
    # One row of every stretch of a hundred.
    np.testing.assert_array_equal(rows[:, 0] // 100, np.arange(100))
    few, nothing = sampled_rows(fitted, X[:50], 100)
    np.testing.assert_array_equal(few[:, 0], X[:50])
    assert nothing is None


def test_many_rows_are_read_in_pieces_and_drawn_from_a_sample(ax, fitted):
    piece = np.random.default_rng(0).normal(5, 4, size=(500_000, 1))
    plot.density(fitted, lambda: iter([piece] * 8), ax=ax)
    assert len(ax.lines) == 3


@pytest.mark.parametrize("n", [1, 6, 7, 9, 10, 40])
def test_colours_are_distinct(n):
    colours = component_colors(n)
    assert len({mpl.colors.to_hex(colour) for colour in colours}) == n
    assert len(set(PALETTE)) == 6
    assert len(set(WIDE_PALETTE)) == 9


def test_global_settings_stay_as_they_are(fitted, values):
    before = dict(mpl.rcParams)
    plot.density(fitted, values, ax=Figure().subplots())
    plot.trace(fitted, ax=Figure().subplots())
    assert dict(mpl.rcParams) == before


def test_without_axes_a_figure_is_made():
    code = (
        "import matplotlib; matplotlib.use('Agg')\n"
        "import fusem, matplotlib.pyplot as plt\n"
        "ax = fusem.plot.parameter_path([1.0, 2.0])\n"
        "print(ax.figure.number, plt.get_fignums())\n"
    )
    assert processes.run(code) == "1 [1]\n"


def test_without_matplotlib_the_error_says_what_to_install():
    code = (
        "import sys; sys.modules['matplotlib'] = None\n"
        "import fusem\n"
        "try:\n"
        "    fusem.plot.parameter_path([1.0, 2.0])\n"
        "except ImportError as error:\n"
        "    print(error)\n"
    )
    assert "pip install 'fusem[plot]'" in processes.run(code)


def test_bars_of_a_column_with_holes_have_the_area_of_the_density():
    X = np.random.default_rng(0).normal(size=(4000, 2))
    X[::2, 1] = np.nan
    model = fusem.GaussianMixture(1).fit(X)
    weights = np.where(np.isnan(X[:, 1]), 3.0, 1.0)
    for w in (None, weights):
        ax = fusem.plot.density(model, X, column=1, sample_weight=w, ax=Figure().subplots())
        heights, edges, _ = ax.patches[0].get_data()
        assert heights @ np.diff(edges) == pytest.approx(1.0, abs=0.01)


@pytest.mark.parametrize("n_rows", [600, 6000])  # dots and an image
def test_rows_that_are_not_drawn_are_counted_under_the_title(n_rows, ax):
    X = CASES[0].data(n_rows)
    model = model_of(CASES[0])
    X[: n_rows // 3, 1] = np.nan
    note = f"not drawn, values are missing: {n_rows // 3:,} of {n_rows:,} rows"
    plot.ellipses(model, X, ax=ax)
    assert ax.get_title(loc="left").splitlines()[-1] == note
    density = plot.density(model, X, column=1, title="x", ax=Figure().subplots())
    assert density.get_title(loc="left").splitlines() == ["x", note]
    complete = plot.density(model, X, column=0, title="x", ax=Figure().subplots())
    assert complete.get_title(loc="left") == "x"
    drawn = plot.ellipses(model, X[n_rows // 3 :], ax=Figure().subplots())
    if n_rows == 600:
        expected, found = (picture.collections[0].get_offsets() for picture in (drawn, ax))
        np.testing.assert_array_equal(found, expected)


def test_responsibilities_of_rows_with_holes(ax, fitted, values):
    holes = np.append(values, [np.nan] * 7)
    plot.responsibilities(fitted, holes, ax=ax)
    note = f"not drawn, values are missing: 7 of {len(holes):,} rows"
    assert ax.get_title(loc="left") == note
    assert not np.isnan(ax.lines[0].get_xdata()).any()
    with pytest.raises(ValueError, match="None of 3 rows has a value"):
        plot.responsibilities(fitted, np.full(3, np.nan))


def test_without_a_complete_row_nothing_is_called_data(ax):
    model = model_of(CASES[0])
    X = CASES[0].data(60)
    X[:, 1] = np.nan
    plot.density(model, X, column=1, ax=ax)
    labels = ax.get_legend_handles_labels()[1]
    assert labels == ["component 0", "component 1", "component 2", "mixture"]
    assert len(ax.get_legend().get_texts()) == len(labels)
    rings = plot.ellipses(model, X, ax=Figure().subplots())
    assert not rings.collections
    assert "60 of 60 rows" in rings.get_title(loc="left")
