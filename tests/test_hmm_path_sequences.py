"""The most probable paths of short sequences side by side: those of the twin, whatever their lengths."""

from __future__ import annotations

import numpy as np
import pytest

from fusem.em.workers import Workers
from fusem.hmm import path, path_sequences
from fusem.hmm.engine import ChainEngine
from fusem.hmm.observations import Observations
from fusem.hmm.path import best_paths
from tests.comparison import assert_bit_identical
from tests.hmms import chain, densities
from tests.reference_hmm import best_path

RNG = np.random.default_rng(0)
LENGTHS = {
    "equal": np.full(37, 50),
    "any": RNG.integers(1, 60, 41),
    "of one row": np.ones(21, dtype=np.int64),
    "two lengths": np.repeat([40, 25], [13, 14]),
}
KINDS = [
    ("gaussian_diag", 1, 1),
    ("gaussian_full", 3, 9),
    ("gaussian_tied", 4, 2),
    ("poisson", 8, 1),
]


def engine_of(given, X, missing=False):
    return ChainEngine(given.family, len(given.model.start), X.shape[1], X.dtype, missing)


def found(given, n_jobs=2, X=None):
    """Log-densities and states; the sequences must have gone side by side."""
    observations = Observations(given.X if X is None else X, given.lengths)
    engine = engine_of(given, observations.part(0, 1))
    assert path_sequences.side_by_side(engine, given.model, observations, n_jobs) is not None
    workers = Workers(n_jobs)
    return best_paths(engine, given.model, observations, workers)


def check(given, evidence, states):
    """Values are the twin's, and so are paths, but for those that are as good."""
    ends = np.cumsum(given.lengths)[:-1]
    with np.errstate(divide="ignore"):
        start, moves = np.log(given.model.start), np.log(given.model.transitions)
    for value, own, logs in zip(
        evidence, np.split(states, ends), np.split(densities(given), ends), strict=True
    ):
        largest, expected = best_path(given.model.start, given.model.transitions, logs)
        np.testing.assert_allclose(value, largest, rtol=1e-12)
        if (own != expected).any():
            score = (
                start[own[0]] + moves[own[:-1], own[1:]].sum() + logs[range(len(own)), own].sum()
            )
            np.testing.assert_allclose(score, largest, rtol=1e-12)


@pytest.mark.parametrize("kind", LENGTHS)
@pytest.mark.parametrize(("name", "n_states", "d"), KINDS)
def test_sequences_side_by_side(name, n_states, d, kind):
    given = chain(name, n_states, LENGTHS[kind], d)
    check(given, *found(given))


@pytest.mark.parametrize("n_states", [6, 3])
def test_forbidden_moves_side_by_side(n_states):
    """In floating point, which knows what cannot be."""
    given = chain("gaussian_diag", n_states, LENGTHS["any"])
    moves = np.where(np.roll(np.eye(n_states), 1, axis=1) > 0.0, 0.0, given.model.transitions)
    moves /= moves.sum(axis=1, keepdims=True)
    given = given._replace(model=given.model._replace(transitions=moves))
    evidence, states = found(given)
    check(given, evidence, states)
    assert np.isfinite(evidence).all()
    moved = np.delete(
        np.stack([states[:-1], states[1:]]), np.cumsum(given.lengths)[:-1] - 1, axis=1
    )
    assert (moves[tuple(moved)] > 0.0).all()


def test_a_wrong_path_is_seen():
    given = chain("gaussian_diag", 3, LENGTHS["any"])
    evidence, states = found(given)
    states[7] = (states[7] + 1) % 3
    with pytest.raises(AssertionError):
        check(given, evidence, states)


@pytest.mark.parametrize("n_jobs", [1, 2, 8])
@pytest.mark.parametrize("n_sequences", [1, 16, 2000, 20_000])
def test_each_call_takes_some_sequences_and_each_is_taken_once(n_sequences, n_jobs):
    lengths = np.random.default_rng(0).integers(1, 200, size=n_sequences)
    calls = path_sequences.segments(lengths, np.cumsum(lengths) - lengths, n_jobs)
    assert np.concatenate([np.arange(*call) for call in calls]).tolist() == list(range(n_sequences))
    rows = np.array([lengths[slice(*call)].sum() for call in calls])
    assert rows.max() < path_sequences.LONGEST_SEGMENT + 200
    assert (rows[:-1] > path_sequences.SEGMENT - 200).all()
    assert len(rows) <= max(2 * n_jobs + 1, rows.sum() / path_sequences.LONGEST_SEGMENT + 1)


def test_threads_do_not_decide_which_way_sequences_go():
    """Of 9 in a call lanes would stand empty, of 18 they do not."""
    given = chain("gaussian_diag", 3, [3640] * 36, 2)
    observations = Observations(given.X, given.lengths)
    engine = engine_of(given, given.X)
    ways = [path_sequences.side_by_side(engine, given.model, observations, n) for n in (1, 2, 8)]
    assert ways == [None] * 3
    once, *others = (best_paths(engine, given.model, observations, Workers(n)) for n in (1, 2, 8))
    for other in others:
        for value, expected in zip(other, once, strict=True):
            assert_bit_identical(value, expected)


@pytest.mark.parametrize("kind", ["equal", "any"])
def test_segments_and_threads_change_nothing(kind, monkeypatch):
    given = chain("gaussian_diag", 4, LENGTHS[kind], 3)
    once = found(given)
    monkeypatch.setattr(path, "LANES_WORTH_HELP", 0.0)
    for segment in (1, 200):
        monkeypatch.setattr(path_sequences, "LONGEST_SEGMENT", segment)
        monkeypatch.setattr(path_sequences, "MOST_EMPTY", np.inf)  # of one sequence 7 lanes are
        for n_jobs in (1, 2, 3):
            for value, expected in zip(found(given, n_jobs), once, strict=True):
                assert_bit_identical(value, expected)


def check_layouts(found, given) -> None:
    """The same bits for any order and strides of the rows, and about the same in float32."""
    X = np.round(given.X * 8.0) / 8.0  # the same in float32
    evidence, states = found(given, X=X)
    strided = np.repeat(np.repeat(X, 2, axis=0), 3, axis=1)[::2, ::3]
    for other in (np.asfortranarray(X), strided, X.astype(">f8")):
        for value, expected in zip(found(given, X=other), (evidence, states), strict=True):
            assert_bit_identical(value, expected)
    single, paths = found(given, X=X.astype(np.float32))
    np.testing.assert_allclose(single, evidence, rtol=1e-5)
    assert (paths != states).mean() < 1e-2


@pytest.mark.parametrize("kind", ["equal", "any"])
@pytest.mark.parametrize("d", [1, 3, 9])
def test_rows_are_read_where_they_are(d, kind):
    check_layouts(found, chain("gaussian_diag", 3, LENGTHS[kind], d))


def test_what_cannot_be_is_minus_infinity():
    given = chain("gaussian_diag", 3, LENGTHS["any"])
    start, moves = np.array([1.0, 0.0, 0.0]), np.array([[0.0, 1.0, 0], [0, 0, 1], [0, 0, 1]])
    given = given._replace(model=given.model._replace(start=start, transitions=moves))
    evidence, states = found(given)
    check(given, evidence, states)
    first = np.cumsum(given.lengths) - given.lengths
    assert (states[first] == 0).all()
    far = np.where(np.arange(len(given.X)) == first[5], 1e300, given.X.T).T
    evidence, _ = found(given, X=far)
    assert np.flatnonzero(evidence == -np.inf).tolist() == [5]


def test_what_does_not_go_side_by_side(monkeypatch):
    given = chain("gaussian_full", 3, LENGTHS["any"])

    def planned(lengths=given.lengths, states=None, **engine):
        observations = Observations(given.X[: np.sum(lengths)], lengths)
        observations.states = states
        other = given._replace(**engine.pop("replaced", {}))
        made = engine_of(other, given.X, **engine)
        return path_sequences.side_by_side(made, other.model, observations, 1)

    assert planned() is not None
    assert planned(states=np.full(len(given.X), -1)) is None
    assert planned(missing=True) is None
    assert planned(lengths=given.lengths[:15]) is None  # fewer than two groups
    uneven = np.array([len(given.X) - 15, *[1] * 15])
    assert planned(lengths=uneven) is None  # lanes would stand empty
    model = given.model._replace(start=np.full(17, 1 / 17), transitions=np.full((17, 17), 1 / 17))
    assert planned(replaced={"model": model}) is None  # more states than fit
    monkeypatch.setattr(path_sequences, "LONGEST", int(given.lengths.max()) - 1)
    assert planned() is None
