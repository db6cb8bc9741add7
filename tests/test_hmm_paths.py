"""The most probable path: that of all paths, and of the slow twin, however a long sequence is cut."""

from __future__ import annotations

import numpy as np
import pytest

from fusem.em.workers import Workers
from fusem.families import categorical
from fusem.hmm import path
from fusem.hmm.engine import ChainEngine, ChainModel
from fusem.hmm.observations import Observations
from fusem.hmm.path import Paths
from fusem.kernels import viterbi_lanes
from fusem.kernels.chain import fixed_steps, steps_of_lanes
from fusem.kernels.fixed_point import origins_in
from fusem.kernels.policy import Kernel
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
    workers = Workers(n_jobs)
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
        for part in (stretch.number for stretch in slab):
            if self._entry[part] >= 0:
                ways = self._before[part] + self._head[part]
                ties = np.flatnonzero(ways >= ways.max() - 1e-9)
                chosen.append(len(ties))
                self._entry[part] = ties[-1]

    monkeypatch.setattr(Paths, "_connect", choose_the_last)
    check_values(given, best(given))
    assert max(chosen) > 1


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


def test_what_is_soon_done_is_not_cut(monkeypatch):
    given = chain("gaussian_diag", 3, [20_000], 2)
    paths = best(given)
    check(given, paths)
    assert len(paths._met) == 1
    cut_short(monkeypatch)
    assert_bit_identical(best(given).states, paths.states)


WAYS_BACK = {  # how numbers of states are packed, and with what steps
    **{f"{width}": (packed_in(width), steps_of_lanes(width)) for width in (4, 8)},
    **{f"{width} fixed": (origins_in(width), fixed_steps(width)) for width in (4, 8, 16)},
}


@pytest.mark.parametrize("kind", WAYS_BACK)
@pytest.mark.parametrize("length", [1, 7, 8, 9, 16, 125])
def test_the_way_back_of_eight_lanes(kind, length):
    dtype, steps = WAYS_BACK[kind]
    rng, width = np.random.default_rng(length), steps["STATES"]
    origins = rng.integers(width, size=(length, LANES, width))
    last = rng.integers(width, size=LANES)
    places = np.arange(width, dtype=np.uint64) << np.uint64(steps["SHIFT"])
    packed = (origins.astype(np.uint64) << places).sum(axis=2).astype(np.uint64).astype(dtype)
    states, path = last.copy(), np.full(LANES * length, -1)
    trace = Kernel(viterbi_lanes.trace.py_func, f"trace_{kind}", **steps)
    trace[np.float64](length, states, packed.ravel(), path, 0)
    expected = way_back(origins, last)
    assert path.reshape(LANES, length).tolist() == expected.tolist()
    first = origins[0, np.arange(LANES), expected[:, 0]]
    assert states.tolist() == first.tolist()
