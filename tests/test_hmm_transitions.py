"""Transitions that never happen and rows that are given: in the start, in EM, under priors."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.base import clone

from fusem import GaussianHMM, ImpossibleSequenceWarning, PoissonHMM
from fusem.hmm.transitions import constraints_of
from tests.chain_models import every_path, model, rows
from tests.models import fit_quietly

NAN = np.nan
LONG = 9000  # rows of a sequence that takes several blocks
LEFT_RIGHT = np.array([[1, 1, 0], [0, 1, 1], [0, 0, 1]], dtype=bool)
MASK = np.array([[1, 1, 0], [0, 1, 1], [1, 0, 1]], dtype=bool)


def assert_rows_are_probabilities(transitions) -> None:
    assert (transitions >= 0.0).all()
    np.testing.assert_allclose(transitions.sum(axis=1), 1.0, rtol=1e-14)


def test_a_row_that_is_none_is_seen():
    with pytest.raises(AssertionError):
        assert_rows_are_probabilities(np.array([[0.5, 0.4]]))


def test_presets():
    five = {
        name: constraints_of(name, None, 5).allowed for name in ("left-right", "bakis", "upper")
    }
    np.testing.assert_array_equal(constraints_of("left-right", None, 3).allowed, LEFT_RIGHT)
    assert five["left-right"][1].tolist() == [False, True, True, False, False]
    assert five["bakis"][1].tolist() == [False, True, True, True, False]
    assert five["upper"][1].tolist() == [False, True, True, True, True]
    assert all(allowed[4].tolist() == [False] * 4 + [True] for allowed in five.values())


@pytest.mark.parametrize("prior", [1.0, 3.0])
def test_what_is_forbidden_stays_zero(prior):
    X = rows(200)
    mask_prior = 1.0 + (prior - 1.0) * np.ones((3, 3))
    fitted = fit_quietly(
        GaussianHMM(3, random_state=1, n_iter=20, transmat_mask=MASK, transmat_prior=mask_prior), X
    )
    assert (fitted.transmat_[~MASK] == 0.0).all()
    assert (fitted.transmat_[MASK] > 0.0).all()
    assert_rows_are_probabilities(fitted.transmat_)
    assert (np.diff(fitted.history_["log_likelihood"]) > -1e-9).all()


def test_a_masked_step_is_that_of_the_allowed_paths():
    """One M-step of the transitions from a masked chain equals the sums over paths that are possible."""
    X, moves = rows(6), np.array([[0.6, 0.4, 0.0], [0.0, 0.5, 0.5], [0.3, 0.0, 0.7]])
    made = model(moves=moves, transmat_mask=MASK, init_params="", params="t", n_iter=1, tol=0.0)
    counts = every_path(X, moves=moves).moves
    fitted = fit_quietly(made, X)
    expected = counts / counts.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(fitted.transmat_, expected, rtol=1e-12)
    assert (fitted.transmat_[~MASK] == 0.0).all()


def test_rows_that_are_given_stay():
    fixed = np.array([[0.9, 0.1, 0.0], [NAN] * 3, [0.0, 0.0, 1.0]])
    made = GaussianHMM(3, random_state=1, n_iter=10, transmat_fixed=fixed, transmat_mask="upper")
    fitted = fit_quietly(made, rows(200))
    np.testing.assert_array_equal(fitted.transmat_[[0, 2]], fixed[[0, 2]])
    assert_rows_are_probabilities(fitted.transmat_)
    assert fitted.transmat_[1, 0] == 0.0


def test_a_start_without_way_back_is_in_the_order_of_time():
    """Pieces that lie the other way round than k-means would number them, also of two lengths."""
    rng = np.random.default_rng(0)
    pieces = [rng.normal(centre, 0.3, size=(30, 2)) for centre in (9.0, 0.0, 5.0)]
    X = np.concatenate([*pieces, *(piece[:20] for piece in pieces)])
    made = GaussianHMM(3, random_state=3, transmat_mask="left-right", n_iter=30)
    fitted = fit_quietly(made, X, lengths=[90, 60])
    expected = np.repeat([0, 1, 2], 30).tolist() + np.repeat([0, 1, 2], 20).tolist()
    assert fitted.predict(X, [90, 60]).tolist() == expected
    np.testing.assert_allclose(fitted.startprob_, [1.0, 0.0, 0.0], atol=1e-10)
    counts = fit_quietly(
        PoissonHMM(3, random_state=3, transmat_mask="left-right", n_iter=30),
        np.round(np.abs(X)), lengths=[90, 60],
    )  # fmt: skip
    assert counts.lambdas_[:, 0].argsort().tolist() == [1, 2, 0]


def test_free_parameters_are_those_that_are_left():
    X = rows(100)
    all_free = fit_quietly(GaussianHMM(3, random_state=0, n_iter=1), X)
    some = clone(all_free).set_params(
        transmat_mask=MASK, transmat_fixed=[[0.5, 0.5, 0.0], [NAN] * 3, [NAN] * 3]
    )
    assert all_free._n_parameters() - fit_quietly(some, X)._n_parameters() == 6 - 2


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"transmat_mask": "lower"}, "must be one of 'left-right', 'bakis', 'upper'"),
        ({"transmat_mask": np.ones((2, 3))}, r"must have shape .* = \(3, 3\), not \(2, 3\)"),
        ({"transmat_mask": np.full((3, 3), 0.5)}, "True .allowed. and False"),
        ({"transmat_mask": np.diag([1, 1, 0])}, "no transition from state 2"),
        ({"transmat_fixed": np.ones(3)}, r"= \(3, 3\), not \(3,\)"),
        ({"transmat_fixed": [[1.0, 0, NAN], [NAN] * 3, [NAN] * 3]}, r"\[0\] has both"),
        ({"transmat_fixed": [[NAN] * 3, [1.0, 0.5, 0], [NAN] * 3]}, r"\[1\] must hold probab"),
        (
            {"transmat_fixed": [[1, 0, 0], [1, 0, 0], [NAN] * 3], "transmat_mask": "upper"},
            r"transmat_fixed\[1, 0\] is 1, but transmat_mask forbids",
        ),
    ],
)
def test_wrong_constraints_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        GaussianHMM(3, **options).fit(rows(20))


def test_transitions_that_are_set_must_fit_the_mask():
    made = model(transmat_mask="upper", init_params="")
    with pytest.raises(ValueError, match=r"transmat_\[1, 0\] is 0.3, but transmat_mask forbids"):
        made.fit(rows(20))


def test_an_impossible_sequence_is_named():
    """No way leads from the first symbol to the second: −∞ as a score, an error with its number in a fit."""
    made = PoissonHMM(
        2, transmat_mask="upper", init_params="", n_iter=2, startprob_prior=1.0, params="st"
    )
    made.startprob_, made.transmat_ = np.array([0.5, 0.5]), np.array([[0.5, 0.5], [0.0, 1.0]])
    made.lambdas_ = np.array([[3.0], [0.0]])
    possible, impossible = np.array([[2], [1], [0]]), np.array([[2], [0], [4], [0], [0], [1]])
    assert np.isfinite(made.score(possible))
    assert np.isfinite(made.score(impossible))  # state 0 may yield 0
    made.lambdas_, made.transmat_ = np.array([[3.0], [0.0]]), np.array([[0.0, 1.0], [0.0, 1.0]])
    X = np.concatenate([impossible[3:5], impossible])
    assert made.score(X, lengths=[2, 6]) == -np.inf
    with pytest.raises(
        ValueError, match=r"Sequence 1 \(rows 2 to 7\) is impossible.*transmat_mask"
    ):
        made.fit(X, lengths=[2, 6])


def test_a_long_impossible_sequence_is_named():
    """One that takes several blocks: those after the impossible row say nothing more."""
    made = PoissonHMM(2, transmat_mask="upper", init_params="", params="st")
    made.startprob_, made.transmat_ = np.array([1.0, 0.0]), np.array([[0.0, 1.0], [0.0, 1.0]])
    made.lambdas_ = np.array([[3.0], [0.0]])
    X = np.zeros((LONG + 1, 1))
    X[3000] = 1.0
    assert made.score(X, lengths=[1, LONG]) == -np.inf
    with pytest.warns(ImpossibleSequenceWarning, match=rf"Sequence 1 \(rows 1 to {LONG}\)"):
        assert np.isnan(made.predict_proba(X, [1, LONG])).sum() == 0
    with pytest.raises(ValueError, match=rf"Sequence 1 \(rows 1 to {LONG}\) is impossible"):
        made.fit(X, lengths=[1, LONG])
