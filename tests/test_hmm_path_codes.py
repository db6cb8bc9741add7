"""The most probable paths of small codes, some rows at a time: the twin's in whole numbers."""

from __future__ import annotations

from itertools import pairwise, product

import numpy as np
import pytest

from fusem.em.workers import Workers
from fusem.families import categorical
from fusem.hmm import path_codes
from fusem.hmm.engine import ChainEngine, ChainModel
from fusem.hmm.observations import Observations
from fusem.hmm.path import best_paths
from fusem.hmm.path_codes import CodePaths, codes_to_decode
from fusem.kernels.code_runs import runs_of
from fusem.kernels.code_steps import NOWHERE, UNIT, tables_of, tag_bits
from fusem.kernels.fixed_point import LEAST
from fusem.kernels.states import LANES
from tests.comparison import assert_bit_identical
from tests.hmms import Chain, chain, densities
from tests.reference import CountParameters
from tests.reference_hmm import best_path, best_path_in_whole_numbers

WARM = 24
# of one row, of fewer than a step, of one run, cut with and without what is left over, of two groups
LENGTHS = [1, 2, 3, 60, 150, 151, 157, 400, 649, 1010]
SIZES = [(1, 3), (3, 5), (4, 2), (5, 4), (8, 7), (9, 3), (16, 6), (2, 200), (16, 100)]


@pytest.fixture
def small(monkeypatch):
    """Runs, and what precedes them, of few rows."""
    monkeypatch.setattr(path_codes, "WARM", WARM)
    monkeypatch.setattr(path_codes, "SHORT", 120)
    monkeypatch.setattr(path_codes, "SHARE", 10**6)
    monkeypatch.setattr(path_codes, "GROUP", dict.fromkeys((4, 8, 16), 300))
    monkeypatch.setattr(path_codes, "WORTH_HELP", 0.0)


def coded(n_states, n_codes, lengths, seed=0, sticky=0.0):
    """A model and its codes, some of them drawn at random."""
    rng = np.random.default_rng([seed, n_states, n_codes])
    chances = rng.dirichlet(np.ones(n_codes), (n_states, 1))
    moves = (1.0 - sticky) * rng.dirichlet(np.ones(n_states), n_states) + sticky * np.eye(n_states)
    model = ChainModel(rng.dirichlet(np.ones(n_states)), moves, categorical.Params(chances))
    emission = CountParameters(np.full(n_states, 1.0 / n_states), chances)
    X = rng.integers(n_codes, size=(sum(lengths), 1))
    return Chain(categorical.of(n_codes), model, emission, X, np.asarray(lengths))


def with_model(given, **changed):
    return given._replace(model=given.model._replace(**changed))


def with_chances(given, chances):
    emission = given.emission._replace(**{given.emission._fields[1]: chances})
    components = categorical.Params(chances)
    return with_model(given, components=components)._replace(emission=emission)


def decoded(given, n_jobs=2, X=None):
    """`CodePaths`, and whether the rows are such as go that way."""
    observations = Observations(given.X if X is None else X, given.lengths)
    K = len(given.model.start)
    engine = ChainEngine(given.family, K, 1, observations.dtype)
    codes = codes_to_decode(engine, given.model, observations)
    assert codes is not None
    workers = Workers(n_jobs)
    return CodePaths(*codes, engine, given.model, observations, workers)


def check(given, found):
    """Paths are the twin's in whole numbers, log-densities those of the twin in floating point."""
    ends, model = np.cumsum(given.lengths)[:-1], given.model
    for value, own, logs in zip(
        found.evidence, np.split(found.states, ends), np.split(densities(given), ends), strict=True
    ):
        largest, _ = best_path(model.start, model.transitions, logs)
        expected = best_path_in_whole_numbers(model.start, model.transitions, logs)
        np.testing.assert_array_equal(own, expected)
        np.testing.assert_allclose(value, largest, rtol=1e-12)


@pytest.mark.parametrize(("n_states", "n_codes"), SIZES)
@pytest.mark.usefixtures("small")
def test_codes(n_states, n_codes):
    given = coded(n_states, n_codes, LENGTHS)
    check(given, decoded(given))


def test_a_wrong_state_is_seen():
    given = coded(3, 5, [5000])
    found = decoded(given)
    check(given, found)
    found.states[4321] = (found.states[4321] + 1) % 3
    with pytest.raises(AssertionError):
        check(given, found)


@pytest.mark.parametrize(
    ("name", "n_states"), [("poisson", 4), ("poisson", 11), ("gaussian_diag", 5)]
)
@pytest.mark.usefixtures("small")
def test_other_families_of_whole_numbers(name, n_states):
    given = chain(name, n_states, LENGTHS, 1)
    given = given._replace(X=np.abs(np.round(given.X)))
    check(given, decoded(given))


@pytest.mark.parametrize(
    ("n_states", "n_codes", "rows"),
    [(4, 2, 1), (4, 2, 2), (4, 2, 3), (7, 3, 1), (7, 3, 2), (7, 3, 3), (13, 3, 1), (13, 3, 2)],
)
@pytest.mark.usefixtures("small")
def test_rows_of_a_step_change_no_path(n_states, n_codes, rows, monkeypatch):
    """Not even between paths that are equally good, of which few codes have many."""
    given = coded(n_states, n_codes, LENGTHS, sticky=0.5)
    alike = np.round(given.model.components.probabilities * 4.0 + 1.0)
    given = with_chances(given, alike / alike.sum(axis=2, keepdims=True))
    given = with_model(given, transitions=np.full((n_states, n_states), 1.0 / n_states))
    monkeypatch.setattr(path_codes, "MOST_ROWS", dict.fromkeys((4, 8, 16), rows))
    check(given, decoded(given))


@pytest.mark.parametrize(("n_states", "n_codes", "rows"), [(3, 60, 3), (8, 31, 3), (16, 100, 2)])
@pytest.mark.usefixtures("small")
def test_steps_of_many_codes(n_states, n_codes, rows, monkeypatch):
    monkeypatch.setattr(path_codes, "rows_of_step", lambda *all: rows)
    given = coded(n_states, n_codes, LENGTHS)
    check(given, decoded(given))


@pytest.mark.usefixtures("small")
def test_cuts_and_threads_change_no_path(monkeypatch):
    given = coded(6, 4, [*LENGTHS, 3000])
    once = decoded(given, 1)
    for group, segment in ((250, 1), (700, 100), (10_000, 10_000)):
        monkeypatch.setattr(path_codes, "GROUP", dict.fromkeys((4, 8, 16), group))
        monkeypatch.setattr(path_codes, "SEGMENT", segment)
        first = decoded(given, 1)
        assert_bit_identical(first.states, once.states)
        np.testing.assert_allclose(first.evidence, once.evidence, rtol=1e-13)
        for n_jobs in (2, 3):
            again = decoded(given, n_jobs)
            assert_bit_identical(again.states, first.states)
            assert_bit_identical(again.evidence, first.evidence)


@pytest.mark.parametrize("dtype", ["u1", "i2", "u4", "i8", ">i4", "f8", "f2", ">f8", "?"])
@pytest.mark.usefixtures("small")
def test_sources_change_nothing(dtype, tmp_path):
    given = coded(5, 2, LENGTHS)
    once, X = decoded(given), given.X.astype(dtype)
    np.save(tmp_path / "rows.npy", X)
    strided = np.repeat(np.repeat(X, 2, axis=0), 3, axis=1)[::2, ::3]
    fixed, apart = (
        X.copy(),
        np.empty(X.nbytes + 1, dtype=np.uint8)[1:].view(X.dtype).reshape(X.shape),
    )
    fixed.flags.writeable, apart[:] = False, X
    path = tmp_path / "rows.npy"
    for other in (
        X, fixed, apart, strided, X[::-1].copy()[::-1], str(path), np.load(path, mmap_mode="r"), X.tolist()
    ):  # fmt: skip
        found = decoded(given, X=other)
        assert_bit_identical(found.states, once.states)
        # of half precision the kernels' own is single
        np.testing.assert_allclose(found.evidence, once.evidence, rtol=1e-6 if dtype == "f2" else 0)


@pytest.mark.parametrize("n_states", [4, pytest.param(8, marks=pytest.mark.thorough), 16])
def test_a_long_sequence_as_it_is_cut(n_states):
    given = coded(n_states, 5, [2 * path_codes.GROUP[16] + 77])
    found = decoded(given)
    logs = densities(given)
    expected = best_path(given.model.start, given.model.transitions, logs)
    np.testing.assert_allclose(found.evidence[0], expected[0], rtol=1e-12)
    score = np.log(given.model.start[found.states[0]]) + logs[range(len(logs)), found.states].sum()
    score += np.log(given.model.transitions[found.states[:-1], found.states[1:]]).sum()
    np.testing.assert_allclose(score, expected[0], rtol=1e-12)


def passes(monkeypatch):
    """Lists of runs that are entered again, of failures, and of guesses that were wrong, as they come."""
    again, failed, wrong, kernels = [], [], [], path_codes.code_kernels

    def spied(width, rows):
        kernel, mend = (one[np.float64] for one in kernels(width, rows))

        class Spy:
            overloads = kernel.overloads

            def __call__(self, codes, chosen, enters_again, *rest):
                done = kernel(codes, chosen, enters_again, *rest)
                again.extend(chosen.tolist() if enters_again else [])
                failed.extend([] if done else chosen.tolist())
                return done

        def mended(runs, warm, guesses, entry, *rest):
            wrong.append(int((guesses[:-1] != entry[1:])[~runs.opens[1:]].sum()))
            mend(runs, warm, guesses, entry, *rest)

        return {np.float64: Spy()}, {np.float64: mended}

    monkeypatch.setattr(path_codes, "code_kernels", spied)
    return again, failed, wrong


@pytest.mark.parametrize("n_states", [3, 9])
@pytest.mark.usefixtures("small")
def test_runs_that_begin_too_late_are_entered_again(n_states, monkeypatch):
    given = coded(n_states, 6, [4000, 2500], sticky=0.97)
    monkeypatch.setattr(path_codes, "GROUP", dict.fromkeys((4, 8, 16), 2000))
    again, failed, _ = passes(monkeypatch)
    check(given, decoded(given))
    assert again
    assert not failed


@pytest.mark.usefixtures("small")
def test_ends_of_runs_are_mended(monkeypatch):
    """Rows that say little: what is best where a run ends is often not on the path."""
    given = coded(16, 6, [20_001])
    monkeypatch.setattr(path_codes, "GROUP", dict.fromkeys((4, 8, 16), 3000))
    chances = 0.5 / 6 + 0.5 * given.model.components.probabilities
    _, _, wrong = passes(monkeypatch)
    given = with_chances(given, chances)
    check(given, decoded(given))
    assert sum(wrong) > 1


def staying(lengths, n_states=5):
    """States that are never left, and codes that say nothing."""
    given = coded(n_states, 3, lengths)
    given = with_chances(given, np.tile([0.5, 0.3, 0.2], (n_states, 1, 1)))
    return with_model(given, transitions=(1.0 - 1e-200) * np.eye(n_states) + 1e-200 / n_states)


@pytest.mark.usefixtures("small")
def test_where_that_never_ends_nothing_is_cut(monkeypatch):
    given = staying([1500, 40])
    _, failed, _ = passes(monkeypatch)
    check(given, decoded(given))
    assert failed
    monkeypatch.setattr(path_codes, "MOST_SECONDS", 0.0)
    assert decoded(given).evidence is None
    observations = Observations(given.X, given.lengths)
    engine = ChainEngine(given.family, 5, 1, observations.dtype)
    workers = Workers(2)
    evidence, _ = best_paths(engine, given.model, observations, workers)
    largest = [
        best_path(given.model.start, given.model.transitions, logs)[0]
        for logs in np.split(densities(given), [1500])
    ]
    np.testing.assert_allclose(evidence, largest, rtol=1e-12)


@pytest.mark.parametrize("row", [0, 5, 300, 640, 998, 999])
@pytest.mark.usefixtures("small")
def test_an_impossible_code_makes_its_sequence_impossible(row):
    given = coded(9, 4, [1000, 500])
    chances = given.model.components.probabilities.copy()
    chances[:, :, 3] = 0.0
    given = with_chances(given, chances / chances.sum(axis=2, keepdims=True))
    X = np.minimum(given.X, 2)
    X[row] = 3
    found, other = decoded(given, X=X), decoded(given, X=np.minimum(X, 2))
    assert found.evidence[0] == -np.inf
    assert found.evidence[1] == other.evidence[1]
    assert_bit_identical(found.states[1000:], other.states[1000:])


@pytest.mark.parametrize("n_states", [3, 5, 16])
@pytest.mark.usefixtures("small")
def test_states_that_cannot_be(n_states):
    """Codes of probability 0, first states of probability 0, transitions near the smallest number."""
    rng = np.random.default_rng(n_states)
    given = coded(n_states, 6, LENGTHS)
    chances = np.where(
        rng.random((n_states, 1, 6)) < 0.5, 0.0, given.model.components.probabilities
    )
    chances[0] = 1.0 / 6
    given = with_chances(given, chances / chances.sum(axis=2, keepdims=True))
    start = np.zeros(n_states)
    start[:2] = 0.5
    hardly = np.where(np.eye(n_states) > 0, 1.0, 5e-324)
    mixed = np.where(rng.random((n_states, n_states)) < 0.3, 1e-300, given.model.transitions)
    for moves in (hardly, mixed / mixed.sum(axis=1, keepdims=True)):
        changed = with_model(given, start=start, transitions=moves)
        found = decoded(changed)
        check(changed, found)
        assert (found.states[np.cumsum(LENGTHS) - LENGTHS] < 2).all()


@pytest.mark.usefixtures("small")
def test_where_no_state_can_begin_all_is_impossible():
    given = coded(4, 5, [500, 3, 1])
    chances = given.model.components.probabilities.copy()
    chances[0, 0, 1:] += chances[0, 0, 0] / 4.0
    chances[0, 0, 0] = 0.0
    given = with_model(with_chances(given, chances), start=np.array([1.0, 0.0, 0.0, 0.0]))
    assert (decoded(given, X=np.zeros((504, 1), dtype=int)).evidence == -np.inf).all()


@pytest.mark.usefixtures("small")
def test_of_equal_paths_the_first_states_are_taken():
    given = coded(9, 4, [700])
    given = with_chances(given, np.full((9, 1, 4), 0.25))
    given = with_model(given, start=np.full(9, 1 / 9), transitions=np.full((9, 9), 1 / 9))
    assert (decoded(given).states == 0).all()


def test_what_goes_this_way():
    def goes(n_states=4, X=None, lengths=(5000,), states=None, moves=None, d=1):
        given = coded(n_states, 5, lengths)
        given = given if moves is None else with_model(given, transitions=moves)
        observations = Observations(given.X if X is None else X(given.X), given.lengths)
        observations.states = states
        engine = ChainEngine(given.family, n_states, d, observations.dtype)
        return codes_to_decode(engine, given.model, observations) is not None

    def changed(value):
        def change(X):
            X = X.astype(float)
            X[4321] = value
            return X

        return change

    assert goes()
    assert goes(16)
    assert not goes(17)
    assert goes(lengths=(100,) * 50)
    assert goes(lengths=(1,), X=lambda X: X * 0)
    assert not goes(states=np.full(5000, -1))
    assert not goes(moves=np.triu(np.ones((4, 4))) / np.arange(4, 0, -1.0)[:, None])
    assert goes(X=changed(255.0))
    for value in (256.0, 0.5, -1.0, np.nan, np.inf):
        assert not goes(X=changed(value))
    assert not goes(X=lambda X: np.repeat(X, 2, axis=1), d=2)


def test_what_steps_leave_is_bounded(monkeypatch):
    def goes(n_states, n_codes):
        given = coded(n_states, n_codes, [5000])
        observations = Observations(given.X, given.lengths)
        engine = ChainEngine(given.family, n_states, 1, observations.dtype)
        return codes_to_decode(engine, given.model, observations) is not None

    assert goes(16, 250)
    monkeypatch.setattr(path_codes, "LEAST_KEPT", 16 * 5000 - 1)
    assert not goes(16, 250)
    assert goes(16, 20)
    assert goes(8, 250)


@pytest.mark.parametrize("n_states", [2, 6, 11])
@pytest.mark.parametrize("p", [1e-6, 1e-9, 1e-13])
def test_what_is_all_but_certain_is_told_as_exactly(n_states, p):
    """A row says less than whole numbers are rounded by."""
    given = coded(n_states, 2, [70_000, 3])
    moves = np.full((n_states, n_states), p / (n_states - 1)) + (1.0 - p) * np.eye(n_states)
    np.fill_diagonal(moves, 1.0 - p)
    chances = np.full((n_states, 1, 2), 0.5)
    chances[0] = [1.0, 0.0]
    given = with_model(with_chances(given, chances), transitions=moves, start=np.eye(n_states)[0])
    given = given._replace(X=np.zeros_like(given.X))
    found = decoded(given)
    assert not found.states.any()
    expected = (given.lengths - 1) * np.log(1.0 - p)
    np.testing.assert_allclose(found.evidence, expected, rtol=1e-12)


@pytest.mark.parametrize(("width", "n_states", "rows"), [(4, 3, 3), (8, 5, 2), (16, 9, 2)])
def test_tables_hold_the_best_ways(width, n_states, rows):
    given = coded(n_states, 3, [10])
    logs = np.log(given.model.components.probabilities[:, 0].T)
    tables = tables_of(logs, given.model.start, given.model.transitions, width, rows)
    bits, one = tag_bits(width, 1), UNIT * 2.0 ** tag_bits(width, rows)
    moves = np.log(given.model.transitions)
    below = logs - logs.max(axis=1, keepdims=True)
    ways = tables.ways.reshape(-1, width, width)
    for number, codes in enumerate(product(range(3), repeat=rows - 1)):
        for i, j in product(range(n_states), repeat=2):
            best, states = -np.inf, ()
            for between in product(range(n_states), repeat=rows - 1):
                through = (i, *between, j)
                value = sum(moves[a, b] for a, b in pairwise(through))
                value += sum(below[code, k] for code, k in zip(codes, between, strict=True))
                if value > best:
                    best, states = value, (i, *between)
            whole = int(ways[number, i, j])
            np.testing.assert_allclose(whole / one, best, atol=1e-10)
            tags = [width - 1 - ((whole >> at * bits) & (width - 1)) for at in range(rows)]
            assert tuple(tags) == states
        tops = logs.max(axis=1)[list(codes)].sum()
        np.testing.assert_allclose(tables.tops_before[number], tops, rtol=1e-14)
    first = logs + np.log(given.model.start)
    own = first - first.max(axis=1, keepdims=True)
    np.testing.assert_allclose(tables.start.reshape(3, width)[:, :n_states] / one, own, atol=1e-10)
    np.testing.assert_allclose(tables.start_tops, first.max(axis=1), rtol=1e-14)


def test_whole_numbers_hold_what_can_be():
    """A way through a step's rows, and what states may be apart from each other before and after it."""
    least = np.log(np.nextafter(0.0, 1.0))
    assert least > NOWHERE
    assert -2.0 * least < -LEAST
    for width, rows in path_codes.MOST_ROWS.items():
        most = tag_bits(width, rows) + np.log2(UNIT)
        apart = -LEAST - rows * NOWHERE
        assert most + np.log2(2.0 * apart + (rows + 1) * -NOWHERE - LEAST) < 63


@pytest.mark.parametrize("rows", [1, 2, 3])
def test_runs_have_all_rows_once(rows):
    lengths, warm = np.array([1, 2, 5, 300, 301, 302, 1000, 3]), 9 * rows
    runs, counts, size = runs_of(lengths, 250, 400, warm, rows, 4)
    assert counts.tolist() == [1, 1, 1, 8, 8, 8, 16, 1]
    assert runs.first[0] == 0
    assert runs.last[-1] == lengths.sum()
    np.testing.assert_array_equal(runs.first[1:], runs.last[:-1])
    np.testing.assert_array_equal(runs.first[runs.opens], np.cumsum(lengths) - lengths)
    np.testing.assert_array_equal(runs.enter[runs.opens], runs.first[runs.opens] + 1)
    later = ~runs.opens
    np.testing.assert_array_equal(runs.enter[later], runs.first[later] - warm)
    assert not ((runs.last - runs.enter)[later] % rows).any()
    before = np.repeat(np.cumsum(lengths) - lengths, counts)
    assert (runs.enter[later] > before[later]).all()
    assert (runs.kept[np.repeat(counts == 1, counts)] == -1).all()
    assert runs.kept[np.repeat(counts > 1, counts)].tolist() == list(range(40))
    steps = (runs.last - runs.enter) // rows + (runs.last - runs.enter) % rows
    np.testing.assert_array_equal(np.diff(runs.at, append=size), steps * 4)


def test_one_machine_code():
    for n_states in (3, 8, 16):
        given = coded(n_states, 3, [5000])
        decoded(given)
        decoded(given, X=given.X.astype(np.uint8))
        kernels = path_codes.code_kernels(*{3: (4, 3), 8: (8, 3), 16: (16, 2)}[n_states])
        assert [len(kernel[np.float64].overloads) for kernel in kernels] == [1, 1]


def test_a_task_is_of_eight_runs_or_of_short_sequences():
    lengths = np.array([5, 90_000, 7, 6, 80_000, 2])
    runs, counts, _ = runs_of(lengths, 1000, 90_000, 128, 2, 4)
    tasks = path_codes.tasks_of(runs, counts)
    assert sorted(np.concatenate(tasks).tolist()) == list(range(len(runs.first)))
    assert [len(task) for task in tasks] == [LANES, LANES, 4]
    taken = (runs.last - runs.enter)[tasks[-1]]
    assert (np.diff(taken) >= 0).all()
