"""Sequences without density: no error where something can be returned, a warning that names them."""

from __future__ import annotations

import numpy as np
import pytest

from fusem import CategoricalHMM, GaussianHMM, ImpossibleSequenceWarning

SEQUENCES = [0, 0, 1], [0, 1, 0], [0, 0], [1, 1]
X, LENGTHS = np.concatenate(SEQUENCES)[:, None], [3, 3, 2, 2]
NAMED = r"^Sequences 1 \(rows 3 to 5\), 3 \(rows 8 to 9\) are impossible"


def model():
    made = CategoricalHMM(2)
    made.startprob_, made.transmat_ = np.array([1.0, 0.0]), np.array([[0.5, 0.5], [0.0, 1.0]])
    made.emissionprob_ = np.eye(2)
    return made


def test_a_path_is_returned_with_a_warning_and_no_likelihood():
    expected = [0, 0, 1, 0, 0, 0, 0, 0, 0, 0]
    for algorithm in ("viterbi", "map"):
        with pytest.warns(ImpossibleSequenceWarning, match=f"{NAMED}.* Their states are 0"):
            value, states = model().decode(X, LENGTHS, algorithm)
        assert value == -np.inf
        assert states.tolist() == expected
        with pytest.warns(ImpossibleSequenceWarning, match=NAMED):
            assert model().set_params(algorithm=algorithm).predict(X, LENGTHS).tolist() == expected


def test_probabilities_are_zeros_with_a_warning():
    with pytest.warns(ImpossibleSequenceWarning, match=f"{NAMED}.* Their probabilities are 0"):
        proba = model().predict_proba(X, LENGTHS)
    possible = np.array([1, 1, 1, 0, 0, 0, 1, 1, 0, 0])
    np.testing.assert_array_equal(proba.sum(axis=1), possible)
    with pytest.warns(ImpossibleSequenceWarning, match=NAMED):
        value, same = model().score_samples(X, LENGTHS)
    assert value == model().score(X, lengths=LENGTHS) == -np.inf
    np.testing.assert_array_equal(same, proba)


def test_probabilities_are_written_where_they_are_wanted(tmp_path):
    with pytest.warns(ImpossibleSequenceWarning):
        expected = model().predict_proba(X, LENGTHS)
    own, path = np.full((10, 2), np.nan), tmp_path / "proba.npy"
    with pytest.warns(ImpossibleSequenceWarning, match=NAMED):
        assert model().predict_proba(X, LENGTHS, out=own) is own
    with pytest.warns(ImpossibleSequenceWarning, match=NAMED):
        mapped = model().predict_proba(lambda: iter([X[:4], X[4:]]), LENGTHS, out=path)
    assert isinstance(mapped, np.memmap)
    for found in (own, mapped, np.load(path)):
        np.testing.assert_array_equal(found, expected)


def test_what_cannot_be_written_to_is_left_as_it_is(tmp_path):
    rows, path = X.astype(float), tmp_path / "rows.npy"
    np.save(path, rows)
    with pytest.raises(ValueError, match="out overlaps X"):
        model().predict_proba(rows, LENGTHS, out=rows)
    with pytest.raises(ValueError, match="a file that X is read from"):
        model().predict_proba(path, LENGTHS, out=path)
    with pytest.raises(ValueError, match=r"shape \(10, 2\), got float64 \(10, 3\)"):
        model().predict_proba(X, LENGTHS, out=np.empty((10, 3)))
    with pytest.raises(ValueError, match="code 5"):
        model().predict_proba(X + 5, LENGTHS, out=tmp_path / "new.npy")
    assert [file.name for file in tmp_path.iterdir()] == ["rows.npy"]
    np.testing.assert_array_equal(np.load(path), rows)


def test_what_is_possible_has_no_warning():
    for algorithm in ("viterbi", "map"):
        assert model().decode(X[:3], algorithm=algorithm)[0] > -np.inf
    assert model().predict_proba(X[:3]).sum() == 3.0


def test_of_many_some_are_named():
    with pytest.warns(
        ImpossibleSequenceWarning, match=r"^Sequences 0 .*4 \(rows 4 to 4\) and 3 more"
    ):
        model().predict(np.ones((8, 1)), np.ones(8, dtype=int))
    with pytest.warns(
        ImpossibleSequenceWarning, match=r"^Sequence 0 \(rows 0 to 0\) is impossible"
    ):
        model().predict(np.ones((1, 1)))


def test_a_long_sequence_is_impossible_as_a_whole():
    rows = np.zeros((20_000, 1))
    rows[15_000] = 1.0
    with pytest.warns(ImpossibleSequenceWarning):
        proba = model().predict_proba(rows)
    with pytest.warns(ImpossibleSequenceWarning):
        states = model().predict(rows)
    assert not proba.any()
    assert not states.any()


def test_what_came_before_is_zero_too():
    made = CategoricalHMM(2)
    made.startprob_, made.transmat_ = np.array([0.1, 0.9]), np.array([[0.5, 0.5], [0.4, 0.6]])
    made.emissionprob_ = np.array([[0.5, 0.5, 0.0], [0.1, 0.9, 0.0]])
    for algorithm in ("viterbi", "map"):
        with pytest.warns(ImpossibleSequenceWarning):
            assert not made.decode([[1], [1], [2], [1]], algorithm=algorithm)[1].any()
    with pytest.warns(ImpossibleSequenceWarning):
        assert not made.predict_proba([[1], [1], [2], [1]]).any()


def test_rows_too_far_for_any_density():
    made = GaussianHMM(1)
    made.startprob_, made.transmat_ = np.ones(1), np.ones((1, 1))
    made.means_, made.covars_ = np.zeros((1, 1)), np.full((1, 1), 1e-300)
    with pytest.warns(ImpossibleSequenceWarning, match="so far from every state"):
        assert made.decode([[1e100]])[0] == -np.inf
