"""The most probable path: that of all paths, and of the slow twin, however a long sequence is cut."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import norm

from fusem.em.workers import Workers
from fusem.families import categorical
from fusem.hmm import path
from fusem.hmm.engine import ChainEngine, ChainModel
from fusem.hmm.observations import Observations
from fusem.hmm.path import Paths
from fusem.kernels.chain import trace_kernel
from fusem.kernels.states import LANES
from fusem.kernels.viterbi_lanes import packed_in
from tests.comparison import assert_bit_identical
from tests.hmms import chain, densities
from tests.reference import CountParameters
from tests.reference_hmm import all_paths, best_path, way_back

LONG = [2, 20_000, 1, 5_000, 30, 9_000]


def best(given, n_jobs=2):
    """Best paths of all sequences."""
    observations = Observations(given.X, given.lengths)
    missing = bool(np.isnan(given.X).any())
    engine = ChainEngine(
        given.family, len(given.model.start), given.X.shape[1], observations.dtype, missing
    )
    with Workers(n_jobs) as workers:
        return Paths(engine, given.model, observations, workers)


def by_sequence(given, rows):
    """Rows of each sequence."""
    return np.split(rows, np.cumsum(given.lengths)[:-1])


def check(given, paths):
    """Log-probabilities and states are the twin's."""
    found, log_densities = by_sequence(given, paths.states), by_sequence(given, densities(given))
    for value, states, part in zip(paths.evidence, found, log_densities, strict=True):
        largest, expected = best_path(given.model.start, given.model.transitions, part)
        np.testing.assert_allclose(value, largest, rtol=1e-12)
        np.testing.assert_array_equal(states, expected)


@pytest.mark.parametrize("n_states", [2, 6, 11])
def test_the_best_path_is_the_best_of_all(n_states):
    given = chain("gaussian_diag", n_states, [4, 3, 1])
    paths = best(given)
    found = by_sequence(given, paths.states)
    for part, states, value in zip(
        by_sequence(given, densities(given)), found, paths.evidence, strict=True
    ):
        every, total = all_paths(given.model.start, given.model.transitions, part)
        assert states.tolist() == every[np.argmax(total)].tolist()
        np.testing.assert_allclose(value, total.max(), rtol=1e-12)


def cut_short(monkeypatch):
    """Stretches of as few rows as can be."""
    monkeypatch.setattr(path, "WORTH_HELP", 0.0)
    monkeypatch.setattr(path, "LEAST_ROWS", 1)
    monkeypatch.setattr(path, "LEAST_WORK", 1)
    monkeypatch.setattr(path, "MOST_OF_LANES", 1)
    monkeypatch.setattr(path, "LEAST_OF_LANES", 1)
    monkeypatch.setattr(path, "STRETCHES", 1000)


@pytest.mark.parametrize("n_states", [1, 3, 6, 11])
def test_stretches_join_where_paths_meet(n_states, monkeypatch):
    given = chain("gaussian_diag", n_states, LONG)
    whole = best(given)
    check(given, whole)
    cut_short(monkeypatch)
    paths = best(given)
    assert (paths._met > 0).sum() >= 5
    check(given, paths)
    for once, again in ((paths, best(given, n_jobs=1)), (paths, best(given, n_jobs=3))):
        assert_bit_identical(once.states, again.states)
        assert_bit_identical(once.evidence, again.evidence)


SIDE_BY_SIDE = [30_000, 7, 25_000]
KINDS = [
    ("gaussian_diag", 1, 1), ("gaussian_diag", 2, 3), ("gaussian_full", 3, 9), ("gaussian_full", 4, 8),
    ("gaussian_tied", 4, 2), ("gaussian_spherical", 5, 4), ("poisson", 8, 1),
]  # fmt: skip


def lanes_used(monkeypatch):
    """What calls for stretches side by side are given, from now on; they may be short."""
    monkeypatch.setattr(path, "WORTH_HELP", 0.0)
    monkeypatch.setattr(path, "LEAST_OF_LANES", 1)
    monkeypatch.setattr(path, "LEAST_ROWS", 16)
    monkeypatch.setattr(path, "MOST_OF_LANES", 1)
    calls, climb = [], Paths._climb_lanes
    monkeypatch.setattr(
        Paths, "_climb_lanes", lambda self, *given: calls.append(given) or climb(self, *given)
    )
    return calls


@pytest.mark.parametrize(("name", "n_states", "d"), KINDS)
def test_stretches_side_by_side(name, n_states, d, monkeypatch):
    given = chain(name, n_states, SIDE_BY_SIDE, d)
    calls = lanes_used(monkeypatch)
    paths = best(given)
    assert len(calls) >= 2
    check(given, paths)


@pytest.mark.parametrize("order", ["F", "float32", "strided"])
def test_rows_side_by_side_are_read_where_they_are(order, monkeypatch):
    given = chain("gaussian_diag", 4, SIDE_BY_SIDE, 3)
    X = given.X.astype(np.float32)
    calls = lanes_used(monkeypatch)
    plain = best(given._replace(X=X.astype(float)))
    if order == "F":
        X = np.asfortranarray(X.astype(float))
    elif order == "strided":
        X = np.repeat(np.repeat(X.astype(float), 2, axis=0), 3, axis=1)[::2, ::3]
    paths = best(given._replace(X=X))
    assert len(calls) >= 2
    if order != "float32":
        assert_bit_identical(plain.states, paths.states)
    np.testing.assert_allclose(
        paths.evidence, plain.evidence, rtol=1e-6 if order == "float32" else 0
    )
    assert (paths.states != plain.states).mean() < 1e-4


def test_rows_side_by_side_with_missing_values(monkeypatch):
    given, calls = chain("gaussian_diag", 3, SIDE_BY_SIDE, 4), lanes_used(monkeypatch)
    hidden = np.random.default_rng(0).random(given.X.shape) < 0.2
    X = np.where(hidden, np.nan, given.X)
    paths = best(given._replace(X=X))
    assert calls
    each = norm.logpdf(given.X[:, None], given.emission.means, np.sqrt(given.emission.covariances))
    logs = np.where(hidden[:, None], 0.0, each).sum(axis=2)
    parts = by_sequence(given, logs), by_sequence(given, paths.states)
    for value, part, states in zip(paths.evidence, *parts, strict=True):
        largest, expected = best_path(given.model.start, given.model.transitions, part)
        np.testing.assert_allclose(value, largest, rtol=1e-12)
        np.testing.assert_array_equal(states, expected)


def test_a_wrong_path_is_seen():
    given = chain("gaussian_diag", 3, [50, 3])
    paths = best(given)
    paths.states[40] = (paths.states[40] + 1) % 3
    with pytest.raises(AssertionError):
        check(given, paths)


def alike(n_states):
    """A chain whose states look the same, in two halves that hardly ever change into each other."""
    given = chain("gaussian_diag", n_states, LONG)
    rng = np.random.default_rng(2)
    moves = np.full((n_states, n_states), 1.0)
    moves[: n_states // 2, n_states // 2 :] = moves[n_states // 2 :, : n_states // 2] = 1e-300
    moves[0, -1] = moves[-1, 0] = 0.0
    moves /= moves.sum(axis=1, keepdims=True)
    emission = given.emission._replace(
        means=np.zeros((n_states, 2)), covariances=np.ones((n_states, 2))
    )
    components = given.family.from_covariances(emission.means, emission.covariances)
    model = ChainModel(np.full(n_states, 1.0 / n_states), moves, components)
    return given._replace(model=model, emission=emission, X=rng.normal(size=given.X.shape))


def check_values(given, paths):
    """Paths are as probable as is said of them."""
    with np.errstate(divide="ignore"):
        start, log_moves = np.log(given.model.start), np.log(given.model.transitions)
    parts = by_sequence(given, densities(given)), by_sequence(given, paths.states)
    for value, logs, states in zip(paths.evidence, *parts, strict=True):
        of_path = start[states[0]] + log_moves[states[:-1], states[1:]].sum()
        of_path += logs[np.arange(len(states)), states].sum()
        np.testing.assert_allclose(of_path, value, rtol=1e-11)


@pytest.mark.parametrize("n_states", [2, 4, 6, 9])
def test_of_equal_paths_one_is_taken_throughout(n_states, monkeypatch):
    given = alike(n_states)
    cut_short(monkeypatch)
    check_values(given, best(given))


def seldom_seen(n_states):
    """A chain of symbols that tell the state, and between them many that do not: when it changes is open."""
    given = chain("categorical", n_states, [6000], d=1)
    chances = np.full((n_states, 1, n_states + 1), 0.01)
    chances[np.arange(n_states), 0, np.arange(n_states)] = 0.4
    chances[:, 0, -1] = 1.0 - 0.01 * (n_states - 1) - 0.4
    moves = np.full((n_states, n_states), 0.1 / (n_states - 1))
    np.fill_diagonal(moves, 0.9)
    family = categorical.of(n_states + 1)
    model = ChainModel(np.full(n_states, 1.0 / n_states), moves, categorical.Params(chances))
    X = np.full((6000, 1), float(n_states))
    told = np.random.default_rng(0).integers(n_states, size=60)
    for i in range(5):
        X[i::100, 0] = told
    emission = CountParameters(np.ones(n_states) / n_states, chances)
    return given._replace(family=family, model=model, emission=emission, X=X)


@pytest.mark.parametrize("n_states", [3, 10, 16])
def test_what_is_done_again_is_entered_as_before(n_states, monkeypatch):
    """Of equal ways into a stretch any may have been chosen; its origins, found again later, lead to that."""
    given = seldom_seen(n_states)
    cut_short(monkeypatch)
    monkeypatch.setattr(path, "LEAST_KEPT", 0)
    connect, chosen = Paths._connect, []

    def choose_the_last(self, slab):
        connect(self, slab)
        for part in (part for stretch in slab for part in range(stretch.number, stretch.after)):
            if self._entry[part] >= 0:
                ways = self._before[part] + self._head[part]
                ties = np.flatnonzero(ways >= ways.max() - 1e-9)
                chosen.append(len(ties))
                self._entry[part] = ties[-1]

    monkeypatch.setattr(Paths, "_connect", choose_the_last)
    check_values(given, best(given))
    assert max(chosen) > 1


def test_symbols_side_by_side(monkeypatch):
    """Few symbols have paths that differ by rounding alone."""
    given, calls = chain("categorical", 4, SIDE_BY_SIDE, 1), lanes_used(monkeypatch)
    paths = best(given)
    assert calls
    check_values(given, paths)
    for value, part in zip(paths.evidence, by_sequence(given, densities(given)), strict=True):
        largest, _ = best_path(given.model.start, given.model.transitions, part)
        np.testing.assert_allclose(value, largest, rtol=1e-12)


SLOW = 1e-6  # probability of a move in a chain whose paths meet late
CHAINS = {
    "one way": np.triu(np.full((3, 3), 1.0)) / np.array([[3.0], [2.0], [1.0]]),
    "two apart": np.array([[0.6, 0.4, 0.0], [0.3, 0.7, 0.0], [0.0, 0.0, 1.0]]),
    "circle": np.roll(np.eye(3), 1, axis=1),
    "hardly ever": (1.0 - 3.0 * SLOW) * np.eye(3) + SLOW,
}


@pytest.mark.parametrize("kind", CHAINS)
def test_paths_that_do_not_meet_are_found_one_stretch_after_the_other(kind, monkeypatch):
    given = chain("gaussian_diag", 3, LONG)
    # nothing but the moves tells the states apart
    alike = given.emission._replace(means=np.zeros((3, 2)), covariances=np.ones((3, 2)))
    components = given.family.from_covariances(alike.means, alike.covariances)
    model = ChainModel(np.array([0.5, 0.3, 0.2]), CHAINS[kind], components)
    given = given._replace(model=model, emission=alike, X=given.X + 0.1)
    whole = best(given)
    cut_short(monkeypatch)
    paths = best(given)
    assert (paths._met <= 0).all()
    for one in (whole, paths):
        check(given, one)


def test_origins_that_do_not_fit_are_found_again(monkeypatch):
    given = chain("gaussian_diag", 11, LONG)
    cut_short(monkeypatch)
    monkeypatch.setattr(path, "LEAST_KEPT", 1)
    slabs = []
    trace = Paths._trace
    monkeypatch.setattr(Paths, "_trace", lambda self, slab: slabs.append(slab) or trace(self, slab))
    check(given, best(given))
    firsts = [slab[0].first for slab in slabs]
    assert 0 in firsts[1:], "later rows are traced first"


def test_many_states_have_wider_origins():
    given = chain("gaussian_diag", 300, [40], d=1)
    check(given, best(given))


def test_several_long_sequences_are_taken_side_by_side(monkeypatch):
    calls = lanes_used(monkeypatch)
    given = chain("gaussian_diag", 3, [9000, 9000, 5, 9001], 2)
    paths = best(given)
    check(given, paths)
    assert len({stretch.first for stretch, *_ in calls}) >= 3, "of each some"


def test_what_is_soon_done_is_not_cut(monkeypatch):
    given = chain("gaussian_diag", 3, [path.LEAST_OF_LANES + 11], 2)
    paths = best(given)
    check(given, paths)
    assert len(paths._met) == 1
    cut_short(monkeypatch)
    assert_bit_identical(best(given).states, paths.states)


@pytest.mark.parametrize("width", [4, 8])
@pytest.mark.parametrize("length", [1, 7, 8, 9, 16, 125])
def test_the_way_back_of_eight_lanes(width, length):
    rng = np.random.default_rng(length)
    origins = rng.integers(width, size=(length, LANES, width))
    last = rng.integers(width, size=LANES)
    packed = (origins << (np.arange(width) * width // 2)).sum(axis=2).astype(packed_in(width))
    states, path = last.copy(), np.full(LANES * length, -1)
    trace_kernel(width)[np.float64](length, states, packed.ravel(), path)
    expected = way_back(origins, last)
    assert path.reshape(LANES, length).tolist() == expected.tolist()
    first = origins[0, np.arange(LANES), expected[:, 0]]
    assert states.tolist() == first.tolist()
