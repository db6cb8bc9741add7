"""Pictures of hidden Markov models: the states behind a series, the transition matrix."""

from __future__ import annotations

import numpy as np
import pytest
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import StepPatch

import fusem
from fusem import plot
from fusem.plot.states import BAND, GAP, LANE, TINT
from fusem.plot.stretches import MAX_ROWS, STRETCHES, stretches
from fusem.plot.style import PALETTE
from fusem.plot.transitions import probability

LENGTHS = [30, 20]


@pytest.fixture
def ax():
    return Figure().subplots()


@pytest.fixture(scope="module")
def model():
    model = fusem.GaussianHMM(2)
    model.startprob_, model.transmat_ = [0.5, 0.5], [[0.9, 0.1], [0.2, 0.8]]
    model.means_, model.covars_ = [[0.0, 5.0], [9.0, 5.0]], np.ones((2, 2))
    return model


@pytest.fixture(scope="module")
def X(model):
    return model.sample(50, random_state=0)[0]


def bands(ax):
    """Return the heights of the states in the band, (n_states, n_stretches)."""
    patches = [patch.get_data() for patch in ax.patches if isinstance(patch, StepPatch)]
    return np.array([data.values - data.baseline for data in patches]) / BAND


def test_band_and_background_are_the_states(ax, model, X):
    assert plot.states(model, X, LENGTHS, ax=ax) is ax
    path = model.predict(X, LENGTHS)
    np.testing.assert_allclose(bands(ax), np.eye(2)[path].T, atol=1e-12)
    (image,) = ax.images
    expected = 1 - TINT * (1 - np.array([to_rgb(PALETTE[k]) for k in path]))
    np.testing.assert_allclose(image.get_array()[0], expected)
    assert image.get_extent()[:2] == [-0.5, 49.5]
    assert ax.get_xlim() == (-0.5, 49.5)
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["state 0", "state 1"]
    assert ax.get_title(loc="left") == "50 rows, 2 sequences"


@pytest.mark.parametrize(("n_states", "names"), [(13, [str(k) for k in range(13)]), (41, None)])
def test_many_states_are_named_by_number(ax, n_states, names):
    many = fusem.PoissonHMM(n_states)
    many.startprob_ = np.full(n_states, 1.0 / n_states)
    many.transmat_ = np.full((n_states, n_states), 1.0 / n_states)
    many.lambdas_ = np.arange(1.0, n_states + 1.0)[:, None]
    legend = plot.states(many, np.arange(30)[:, None], ax=ax).get_legend()
    assert (legend and [text.get_text() for text in legend.get_texts()]) == names


def test_lines_are_the_columns_and_end_with_the_sequences(ax, model, X):
    plot.states(model, X, LENGTHS, ax=ax)
    assert [text.get_text() for text in ax.texts] == ["column 0", "column 1", "state"]
    for line, column, bottom in zip(
        ax.lines, X.T, (BAND + 2 * GAP + LANE, BAND + GAP), strict=True
    ):
        at, height = line.get_data()
        assert np.flatnonzero(np.isnan(height)).tolist() == [30]
        kept = ~np.isnan(height)
        np.testing.assert_array_equal(at[kept], np.arange(50))
        assert bottom < height[kept].min() < height[kept].max() < bottom + LANE
        assert np.corrcoef(height[kept], column)[0, 1] == pytest.approx(1.0)
    (ends,) = ax.collections
    assert [path.vertices[0, 0] for path in ends.get_paths()] == [29.5]
    ticks = dict(zip((t.get_text() for t in ax.get_yticklabels()), ax.get_yticks(), strict=False))
    assert "10" in ticks


def test_probabilities_of_some_rows_of_one_column(ax, model, X):
    plot.states(model, X, LENGTHS, columns=1, rows=(10, 40), proba=True, ax=ax)
    expected = model.predict_proba(X, LENGTHS)[10:40].T
    np.testing.assert_allclose(bands(ax), expected, atol=1e-9)
    assert ax.get_xlim() == (9.5, 39.5)
    assert len(ax.lines) == 1
    title = "rows 10 to 39 of 50, 2 sequences; 1 of 2 columns"
    assert ax.get_title(loc="left") == title


def test_many_rows_are_drawn_in_stretches_that_leave_nothing_out(ax, model):
    Y, _ = model.sample(MAX_ROWS + 1, random_state=1)
    plot.states(model, Y, ax=ax)
    shares = bands(ax)
    assert shares.shape == (2, STRETCHES)
    np.testing.assert_allclose(shares.sum(axis=0), 1.0)
    sizes = np.diff(stretches(0, MAX_ROWS + 1).edges)
    np.testing.assert_allclose(shares @ sizes, np.bincount(model.predict(Y)))
    assert "each stretch of 2 to 3 rows from its least value" in ax.get_title(loc="left")
    parts = stretches(0, MAX_ROWS + 1)
    values = np.where(np.arange(len(Y)) == 777, np.nan, Y[:, 0])
    assert parts.least(values).min() == np.nanmin(values)
    assert parts.greatest(values).max() == np.nanmax(values)
    assert not ax.lines


def test_a_far_row_does_not_shrink_the_rest(ax, model, X):
    far = np.tile(X, (40, 1))[:1900]
    far[100, 0] = 1e9
    plot.states(model, far, columns=[0], ax=ax)
    height = ax.lines[0].get_ydata()
    assert np.isnan(height[100])
    assert np.nanmax(height) - np.nanmin(height) > 0.4 * LANE
    assert ax.get_title(loc="left").endswith("\noutside: 1 of 1,900 rows")


def test_columns_by_name_and_errors(ax):
    pd = pytest.importorskip("pandas")
    counts = pd.DataFrame({"visits": [1, 2, 1, 9, 8, 9, 1, 2], "calls": [3, 3, 4, 3, 3, 4, 3, 3]})
    model = fusem.PoissonHMM(2, random_state=0, tol=1e9).fit(counts)
    plot.states(model, counts, columns=["calls"], ax=ax)
    assert ax.texts[0].get_text() == "calls"
    for words, message in [
        ({"columns": ["calls", "x"]}, "'x' is not one of visits, calls"),
        ({"columns": []}, "at least one"),
        ({"columns": 2}, "columns 0 to 1"),
        ({"rows": (3, 9)}, "rows 0 to 7"),
        ({"rows": (3, 3)}, "rows 0 to 7"),
    ]:
        with pytest.raises(ValueError, match=message):
            plot.states(model, counts, ax=ax, **words)


def test_transitions(ax, model):
    assert plot.transitions(model, ax=ax) is ax
    assert [text.get_text() for text in ax.texts] == ["0.90", "0.10", "0.20", "0.80"]
    np.testing.assert_array_equal(ax.images[0].get_array(), model.transmat_)
    (right,) = ax.child_axes
    assert [text.get_text() for text in right.get_yticklabels()] == ["10.0", "5.0"]


def test_transitions_of_many_states_have_a_bar_instead_of_numbers(ax):
    model = fusem.PoissonHMM(40)
    model.startprob_, model.transmat_ = np.full(40, 1 / 40), np.full((40, 40), 1 / 40)
    model.lambdas_ = np.ones((40, 1))
    plot.transitions(model, ax=ax)
    assert len(ax.texts) == 0
    assert len(ax.figure.axes) == 2


@pytest.mark.parametrize(
    ("p", "text"),
    [
        (0.0, "0"), (1e-12, "<0.0001"), (0.00123, "0.0012"), (0.05, "0.050"), (0.0999, "0.10"),
        (0.25, "0.25"), (0.9998, "0.9998"), (1 - 1e-7, ">0.9999"), (1.0, "1"),
    ],
)  # fmt: skip
def test_probabilities_are_not_rounded_to_what_they_are_not(p, text):
    assert probability(p) == text


def test_trace_of_a_hidden_markov_model(ax, X):
    fitted = fusem.GaussianHMM(2, random_state=0, tol=1e9).fit(X)
    plot.trace(fitted, ax=ax)
    assert ax.get_ylabel() == "log-likelihood, with priors"
    np.testing.assert_array_equal(ax.lines[0].get_ydata(), fitted.history_["log_likelihood"])


@pytest.mark.parametrize(
    ("picture", "estimator", "message"),
    [
        (
            "density",
            fusem.PoissonMixture,
            "draws Gaussian mixtures, not PoissonMixture.*plot.trace",
        ),
        ("ellipses", fusem.CategoricalMixture, "draws Gaussian mixtures, not CategoricalMixture"),
        (
            "responsibilities",
            fusem.GaussianHMM,
            "not GaussianHMM. Of this model there are plot.states",
        ),
        ("states", fusem.PoissonMixture, "draws hidden Markov models, not PoissonMixture"),
        ("transitions", fusem.GaussianMixture, "not GaussianMixture.*plot.ellipses"),
    ],
)
def test_a_picture_of_another_model_is_refused(picture, estimator, message):
    given = () if picture == "transitions" else (np.zeros((5, 1)),)
    with pytest.raises(TypeError, match=message):
        getattr(fusem.plot, picture)(estimator(2), *given)
