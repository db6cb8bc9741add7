"""The margin of the best path equals that over all paths, and says where it is a guess."""

from __future__ import annotations

import numpy as np
import pytest

from fusem import GaussianHMM
from tests.chain_models import MOVES, START, every_path, logs, model, rows
from tests.chain_paths import step_by_step


@pytest.mark.parametrize("states", [None, np.array([-1, 2, -1, -1, 0, -1])])
def test_margins_are_those_over_all_paths(states):
    X = rows(6)
    twin = every_path(X, states=states)
    margins = model().path_margin(X, states=states)
    np.testing.assert_allclose(margins, twin.margins, atol=1e-12)
    assert np.isinf(margins).sum() == (0 if states is None else 2)
    second, first = np.sort(twin.logs)[-2:]
    assert margins.min() == pytest.approx(first - second, abs=1e-12)


def test_sequences_have_their_own(monkeypatch):
    monkeypatch.setattr("fusem.hmm.sequence_filter.CALL_ROWS", 2)
    X = rows(9)
    expected = np.concatenate([every_path(X[:5]).margins, every_path(X[5:]).margins])
    np.testing.assert_allclose(model().path_margin(X, [5, 4]), expected, atol=1e-12)
    np.testing.assert_allclose(model().path_margin([X[:5], X[5:]]), expected, atol=1e-12)


def test_the_best_path_elsewhere_costs_the_margin():
    """On a long sequence: what the best path loses when it must be in another state at a row."""
    X = rows(400)
    margins, logp = model().path_margin(X), logs(X)

    def best(log_densities):
        path = step_by_step(START, MOVES, log_densities)[2]
        chain = np.log(START[path[0]]) + np.log(MOVES[path[:-1], path[1:]]).sum()
        return chain + log_densities[np.arange(len(path)), path].sum(), path

    top, path = best(logp)
    for t in (0, 57, 311, 399):
        without = logp.copy()
        without[t, path[t]] = -np.inf
        assert margins[t] == pytest.approx(top - best(without)[0], abs=1e-9)


def test_ties_and_single_states():
    even = GaussianHMM(2)
    even.startprob_, even.transmat_ = np.full(2, 0.5), np.full((2, 2), 0.5)
    even.means_, even.covars_ = np.zeros((2, 2)), np.ones((2, 2))
    np.testing.assert_array_equal(even.path_margin(rows(5)), 0.0)
    lone = GaussianHMM(1)
    lone.startprob_, lone.transmat_ = np.ones(1), np.ones((1, 1))
    lone.means_, lone.covars_ = np.zeros((1, 2)), np.ones((1, 2))
    np.testing.assert_array_equal(lone.path_margin(rows(5)), np.inf)
