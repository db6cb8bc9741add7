"""Draws of paths: as often as they are probable, whatever the threads; never one that is impossible."""

from __future__ import annotations

import numpy as np
import pytest

from tests.chain_models import MOVES, START, every_path, logs, model, rows
from tests.chain_paths import step_by_step

DRAWS = 60_000


def frequencies(twin, drawn):
    """How often every path of the twin was drawn."""
    base = 3 ** np.arange(drawn.shape[1])[::-1]
    return np.bincount(drawn @ base, minlength=len(twin.paths)) / len(drawn)


def assert_drawn_as_often_as_probable(twin, drawn) -> None:
    """Assert that every path's frequency lies within five standard errors (and a half count)."""
    chances = twin.chances
    bound = 5.0 * np.sqrt(chances * (1.0 - chances) / len(drawn)) + 0.5 / len(drawn)
    assert (np.abs(frequencies(twin, drawn) - chances) <= bound).all()


def test_draws_from_another_distribution_are_seen():
    X = rows(4)
    drawn = model(moves=np.full((3, 3), 1 / 3)).sample_posterior(X, None, DRAWS, 0)
    with pytest.raises(AssertionError):
        assert_drawn_as_often_as_probable(every_path(X), drawn)


@pytest.mark.parametrize("states", [None, np.array([-1, 2, -1, 1])])
def test_paths_are_drawn_as_often_as_they_are_probable(states):
    X = rows(4)
    drawn = model().sample_posterior(X, n_samples=DRAWS, random_state=1, states=states)
    assert drawn.shape == (DRAWS, 4)
    assert_drawn_as_often_as_probable(every_path(X, states=states), drawn)


def test_sequences_are_drawn_apart():
    X, lengths = rows(5), [3, 2]
    drawn = model().sample_posterior(X, lengths, DRAWS, 2)
    assert_drawn_as_often_as_probable(every_path(X[:3]), drawn[:, :3])
    assert_drawn_as_often_as_probable(every_path(X[3:]), drawn[:, 3:])
    together = frequencies(every_path(X), drawn)
    apart = np.outer(every_path(X[:3]).chances, every_path(X[3:]).chances).ravel()
    np.testing.assert_allclose(together, apart, atol=0.01)


def test_shares_are_those_of_predict_proba(monkeypatch):
    """A longer sequence, read in several calls, with rows that only logarithms can tell apart."""
    monkeypatch.setattr("fusem.hmm.sequence_filter.CALL_ROWS", 64)
    X = rows(150)
    X[70], X[71] = 95.0, -90.0
    upper = np.array([[0.97, 0.03, 0.0], [0.0, 0.97, 0.03], [0.0, 0.0, 1.0]])
    for moves in (MOVES, upper):
        drawn = model(moves=moves).sample_posterior(X, n_samples=4000, random_state=0)
        expected = step_by_step(START, moves, logs(X))[1]
        shares = (drawn[:, :, None] == np.arange(3)).mean(axis=0)
        np.testing.assert_allclose(shares, expected, atol=0.05)
        assert (moves[drawn[:, :-1], drawn[:, 1:]] > 0.0).all()


def test_draws_are_repeatable_and_independent_of_threads():
    X, lengths = rows(40), [10, 25, 5]
    one = model(n_jobs=1).sample_posterior(X, lengths, 7, 3)
    np.testing.assert_array_equal(one, model(n_jobs=2).sample_posterior(X, lengths, 7, 3))
    np.testing.assert_array_equal(
        model().sample_posterior(X, lengths, 7), model().sample_posterior(X, lengths, 7)
    )
    assert (one != model().sample_posterior(X, lengths, 7, 4)).any()
    assert one.dtype == np.int64
    assert model().sample_posterior(X).shape == (1, 40)


def test_no_draws_of_what_is_impossible():
    far = rows(4)
    far[2] = 1e200
    for call in (model().sample_posterior, model().path_margin, model().forecast):
        with pytest.raises(ValueError, match=r"Sequence 1 \(rows 4 to 7\) is impossible"):
            call(np.concatenate([rows(4), far]), lengths=[4, 4])
    with pytest.raises(ValueError, match="n_samples must be"):
        model().sample_posterior(far, n_samples=0)
