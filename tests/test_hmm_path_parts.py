"""The most probable paths in whole numbers, part by part: those of the twin, however they are cut."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import norm

from fusem.em.workers import Workers
from fusem.hmm import path, path_parts
from fusem.hmm.observations import Observations
from fusem.hmm.path import best_paths
from fusem.hmm.path_parts import Parts, in_parts, paths_in_parts
from fusem.kernels.fixed_point import LEAST, MAGIC, NEVER, ONE
from fusem.kernels.states import LANES
from fusem.kernels.tile import tile_rows
from tests.comparison import assert_bit_identical
from tests.hmms import chain, densities
from tests.reference_hmm import best_path
from tests.test_hmm_path_sequences import check, check_layouts, engine_of
from tests.test_hmm_path_sequences import found as found_side_by_side

WARM = 32
SHORTEST = WARM + LANES + 1
# a row alone, and none, one and seven left over before eight parts; of two groups likewise
EDGES = [SHORTEST + left for left in (0, 1, 7)] + [600, 616, 1009]
KINDS = [
    ("gaussian_diag", 1, 1), ("gaussian_full", 3, 9), ("poisson", 8, 1), ("gaussian_diag", 9, 3),
    ("gaussian_tied", 16, 9), ("categorical", 16, 1), ("multinomial", 11, 4),
]  # fmt: skip


@pytest.fixture
def small(monkeypatch):
    """Groups, and what precedes parts, of few rows."""
    monkeypatch.setattr(path_parts, "GROUP", 300)
    monkeypatch.setattr(path_parts, "GROUP_SECONDS", 0.0)
    monkeypatch.setattr(path_parts, "WARM", WARM)
    monkeypatch.setattr(path_parts, "SHORT", SHORTEST)
    monkeypatch.setattr(path_parts, "WORTH_HELP", dict.fromkeys((4, 8, 16), 0.0))


def found(given, n_jobs=2, X=None):
    """Log-densities and states; the sequences must be such as are cut into parts."""
    observations = Observations(given.X if X is None else X, given.lengths)
    engine = engine_of(given, observations.part(0, 1))
    assert in_parts(engine, given.model, observations)
    workers = Workers(n_jobs)
    return paths_in_parts(engine, given.model, observations, workers)


def with_moves(given, moves):
    return given._replace(model=given.model._replace(transitions=np.asarray(moves)))


def staying(given, n_states, p):
    """States that stay but for p, and rows that say nothing after the first 50."""
    given = with_moves(given, (1.0 - p) * np.eye(n_states) + p / n_states)
    X = given.X.copy()
    X[50:] = 0.0
    return given._replace(X=X)


@pytest.mark.parametrize(("name", "n_states", "d"), KINDS)
@pytest.mark.usefixtures("small")
def test_sequences_in_parts(name, n_states, d):
    given = chain(name, n_states, EDGES, d)
    check(given, *found(given))


def test_a_long_sequence_as_it_is_cut():
    given = chain("gaussian_diag", 10, [2 * path_parts.GROUP + 77, path_parts.SHORT], 2)
    check(given, *found(given))


@pytest.mark.usefixtures("small")
def test_threads_change_nothing():
    given = chain("gaussian_diag", 13, EDGES, 3)
    once = found(given, 1)
    for n_jobs in (2, 3):
        for value, expected in zip(found(given, n_jobs), once, strict=True):
            assert_bit_identical(value, expected)


@pytest.mark.parametrize("group", [100, 250, 10_000])
@pytest.mark.usefixtures("small")
def test_cuts_change_no_path(group, monkeypatch):
    """Not even between paths that are as good: sums of whole numbers are exact."""
    given = chain("categorical", 16, [3000], 1)
    _, states = found(given)
    monkeypatch.setattr(path_parts, "GROUP", group)
    evidence, others = found(given)
    assert_bit_identical(others, states)
    check(given, evidence, others)


@pytest.mark.parametrize("d", [1, 3])
@pytest.mark.usefixtures("small")
def test_rows_are_read_where_they_are(d):
    check_layouts(found, chain("gaussian_diag", 9, EDGES, d))


def passes(monkeypatch):
    """Lists of what `Parts.cold` answers, and of parts whose guessed last states were wrong, as they come."""
    cold, kernel, seen, wrong = Parts.cold, path_parts.mended_kernel, [], []

    def mended(width):
        def mend(left, length, warm, guesses, entry, *rest):
            wrong.append(int((guesses[:-1] != entry[1:]).sum()))
            kernel(width)[np.float64](left, length, warm, guesses, entry, *rest)

        return {np.float64: mend}

    monkeypatch.setattr(Parts, "cold", lambda parts: seen.append(cold(parts)) or seen[-1])
    monkeypatch.setattr(path_parts, "mended_kernel", mended)
    return seen, wrong


@pytest.mark.usefixtures("small")
def test_parts_that_begin_too_late_are_entered_again(monkeypatch):
    monkeypatch.setattr(path_parts, "GROUP", 6000)
    given = staying(chain("gaussian_diag", 9, [6000, 12_500, 7000], 2), 9, 1e-9)
    seen, _ = passes(monkeypatch)
    check(given, *found(given))
    assert any(seen)


@pytest.mark.usefixtures("small")
def test_ends_of_parts_are_mended(monkeypatch):
    """Rows that say little: what is best where a part ends is often not on the path."""
    monkeypatch.setattr(path_parts, "GROUP", 3000)
    given = chain("gaussian_diag", 16, [12_345], 1)
    given = given._replace(X=0.3 * given.X)
    _, wrong = passes(monkeypatch)
    check(given, *found(given))
    assert sum(wrong) > 1


@pytest.mark.usefixtures("small")
def test_where_that_never_ends_all_goes_another_way(monkeypatch):
    given = staying(chain("gaussian_diag", 9, [3000], 2), 9, 1e-200)
    assert found(given) is None
    observations = Observations(given.X, given.lengths)
    taken = []
    monkeypatch.setattr(
        path, "paths_in_parts", lambda *all: taken.append(1) or paths_in_parts(*all)
    )
    workers = Workers(2)
    outcome = best_paths(engine_of(given, given.X), given.model, observations, workers)
    assert taken
    check(given, *outcome)


@pytest.mark.usefixtures("small")
def test_missing_values_of_independent_columns():
    given = chain("gaussian_diag", 11, EDGES, 4)
    hidden = np.random.default_rng(0).random(given.X.shape) < 0.2
    observations = Observations(np.where(hidden, np.nan, given.X), given.lengths)
    engine = engine_of(given, given.X, missing=True)
    workers = Workers(2)
    evidence, states = paths_in_parts(engine, given.model, observations, workers)
    each = norm.logpdf(given.X[:, None], given.emission.means, np.sqrt(given.emission.covariances))
    logs = np.where(hidden[:, None], 0.0, each).sum(axis=2)
    ends = np.cumsum(EDGES)[:-1]
    for value, part, own in zip(
        evidence, np.split(logs, ends), np.split(states, ends), strict=True
    ):
        largest, expected = best_path(given.model.start, given.model.transitions, part)
        np.testing.assert_allclose(value, largest, rtol=1e-12)
        np.testing.assert_array_equal(own, expected)


@pytest.mark.parametrize("row", [0, 3, 40, 300, 640, 998, 999])
@pytest.mark.usefixtures("small")
def test_an_impossible_row_makes_its_sequence_impossible(row):
    given = chain("gaussian_diag", 9, [1000, 500], 2)
    for value in (1e300, np.nan):
        X = given.X.copy()
        X[row] = value
        evidence, _ = found(given, X=X)
        assert np.isfinite(evidence).tolist() == [False, True]
        assert evidence[0] == -np.inf


@pytest.mark.usefixtures("small")
def test_far_rows_and_hardly_possible_moves(monkeypatch):
    """Log-densities far below what whole numbers keep, and transitions near the smallest number."""
    given = chain("gaussian_tied", 9, [5000], 2)
    X = 100.0 * given.X
    X[200:900:7] *= 1e4
    given = given._replace(X=X)
    monkeypatch.setattr(path_parts, "GROUP", 5000)
    hardly = np.where(np.eye(9) > 0, 1.0 - 8e-300, 1e-300)
    for moves in (hardly, 0.9 * np.full((9, 9), 1 / 9) + 0.1 * np.eye(9)):
        _, states = outcome = found(with_moves(given, moves))
        check(with_moves(given, moves), *outcome)
        assert (np.diff(states) != 0).sum() > 100


def one_start(given, first, allowed):
    """Only some states may be the first, and the first rows look as others do."""
    n_states, begins = len(given.model.start), np.cumsum(given.lengths) - given.lengths
    start = np.zeros(n_states)
    start[allowed] = 1.0 / len(allowed)
    X = given.X.copy()
    X[begins] = first
    return given._replace(X=X, model=given.model._replace(start=start))


@pytest.mark.parametrize("first", [0.0, 300.0, -1e4])
@pytest.mark.parametrize("n_states", [9, 5])
@pytest.mark.usefixtures("small")
def test_first_states_that_cannot_be(n_states, first):
    for lengths, find in ((EDGES, found), ([50] * 40, found_side_by_side)):
        given = one_start(chain("gaussian_tied", n_states, lengths, 2), first, [1, 4])
        evidence, states = find(given)
        check(given, evidence, states)
        assert np.isin(states[np.cumsum(lengths) - lengths], [1, 4]).all()


@pytest.mark.parametrize("n_states", [9, 5])
@pytest.mark.usefixtures("small")
def test_where_no_state_can_begin_all_is_impossible(n_states):
    for lengths, find in ((EDGES, found), ([3] * 40, found_side_by_side)):
        given = chain("categorical", n_states, lengths, 1)
        chances = given.model.components.probabilities.copy()
        chances[0, 0] = [1.0, 0.0, 0.0, 0.0, 0.0]
        given = one_start(given, 1.0, [0])
        components = given.model.components._replace(probabilities=chances)
        evidence, _ = find(given._replace(model=given.model._replace(components=components)))
        assert (evidence == -np.inf).all()


def test_one_machine_code_for_a_dtype(small):
    for n_states in (3, 8, 16):
        given = chain("gaussian_diag", n_states, EDGES, 2)
        found(given)
        engine = engine_of(given, given.X)
        kernel = path_parts.parts_kernel(engine.emission, engine.width)[np.float64]
        assert len(kernel.overloads) == 1


@pytest.mark.usefixtures("small")
def test_of_equal_paths_the_first_states_are_taken():
    given = chain("categorical", 9, [700], 1)
    alike = given.model.components._replace(probabilities=np.full((9, 1, 5), 0.2))
    model = given.model._replace(
        start=np.full(9, 1 / 9), transitions=np.full((9, 9), 1 / 9), components=alike
    )
    _, states = found(given._replace(model=model))
    assert (states == 0).all()


@pytest.mark.parametrize("lengths", [[9000], [50] * 40])
def test_what_is_all_but_certain_is_told_as_exactly(lengths):
    """A row says less than whole numbers are rounded by."""
    given = chain("gaussian_diag", 9, lengths, 1)
    p, means = 1e-9, 2.5 + 1e3 * np.arange(9.0)[:, None]  # no code
    moves = np.full((9, 9), p / 8.0)
    np.fill_diagonal(moves, 1.0 - p)
    components = given.family.from_covariances(means, np.full((9, 1), 0.5 / np.pi))
    model = given.model._replace(start=np.eye(9)[0], transitions=moves, components=components)
    given = given._replace(model=model, X=np.full(given.X.shape, 2.5))
    evidence, states = (found if len(lengths) == 1 else found_side_by_side)(given)
    assert not states.any()
    expected = (np.array(lengths) - 1) * np.log(1.0 - p)
    np.testing.assert_allclose(evidence, expected, rtol=1e-12)


def test_what_is_cut_into_parts():
    def taken(n_states=9, lengths=(9000,), states=None, missing=False, moves=None):
        given = chain("gaussian_diag", n_states, lengths, 2)
        given = given if moves is None else with_moves(given, moves)
        observations = Observations(given.X, given.lengths)
        observations.states = states
        engine = engine_of(given, given.X, missing)
        return in_parts(engine, given.model, observations)

    assert taken()
    assert taken(n_states=16)
    assert not taken(n_states=8, lengths=(20_000,))
    assert taken(n_states=8, lengths=(200_000,))
    assert not taken(n_states=8, lengths=(200_000, path_parts.SHORT - 1))
    assert not taken(n_states=4, lengths=(120_000,))
    assert taken(n_states=4, lengths=(250_000,))
    assert not taken(n_states=17)
    assert not taken(lengths=(9000, path_parts.SHORT - 1))
    assert not taken(states=np.full(9000, -1))
    assert not taken(moves=np.triu(np.ones((9, 9))) / np.arange(9, 0, -1.0)[:, None])


def test_what_cannot_win_is_kept_far_enough_below():
    """A transition is no less than the smallest number: twice that far below a way is lost."""
    most = -2.0 * np.log(np.nextafter(0.0, 1.0))
    assert most < -LEAST
    assert -NEVER > -LEAST
    assert 2.0 ** np.floor(np.log2(MAGIC)) <= MAGIC + LEAST
    steps = [tile_rows(d, dtype) // LANES for d in range(1, 999) for dtype in ("f8", "f4")]
    assert max(steps) * ONE * (most - LEAST) < 2.0**62  # how far a state falls before it is lowered
    assert not path_parts.WARM % np.lcm.reduce(steps)


@pytest.mark.parametrize("kind", [np.full(37, 50), np.arange(1, 60), np.ones(21, dtype=np.int64)])
@pytest.mark.parametrize(("name", "n_states", "d"), KINDS[2:6:3])
def test_short_sequences_side_by_side(name, n_states, d, kind):
    given = chain(name, n_states, kind, d)
    check(given, *found_side_by_side(given))


def test_short_sequences_that_cannot_be():
    given = chain("gaussian_diag", 10, np.full(37, 50), 2)
    X = given.X.copy()
    X[50 * 5 + 20] = 1e300
    evidence, _ = found_side_by_side(given, X=X)
    assert np.flatnonzero(~np.isfinite(evidence)).tolist() == [5]
    largest = [
        best_path(given.model.start, given.model.transitions, part)[0]
        for part in np.split(densities(given), np.cumsum(given.lengths)[:-1])
    ]
    np.testing.assert_allclose(np.delete(evidence, 5), np.delete(largest, 5), rtol=1e-12)
