"""Chains whose rows miss values of dependent columns: what was observed counts, exactly, at its own time."""

from __future__ import annotations

import numpy as np
import pytest

from fusem import hmm
from fusem.hmm.gaussian_prior import Prior, renewed
from tests.comparison import assert_bit_identical
from tests.hmms import chain, densities, run
from tests.reference import Parameters
from tests.reference_hmm import best_path, smoothed
from tests.reference_missing import expectation
from tests.test_hmm import fitted

MATRICES = ("full", "tied")
# blocks of four and of eleven states, and longer sequences
LENGTHS = {3: [1, 40, 4200, 2], 11: [100, 1, 560]}


def torn(covariance_type, n_states, lengths, rate=0.3):
    """A chain, and rows of it with holes; some have no value at all, at both ends of a sequence too."""
    given = chain(f"gaussian_{covariance_type}", n_states, lengths)
    rng = np.random.default_rng(1)
    given.X[rng.random(given.X.shape) < rate] = np.nan
    given.X[[0, 20, 21, len(given.X) - 1]] = np.nan
    return given


def expected_of(given, covariance_type):
    """Per state: log-densities (n, K), rows with conditional means (n, K, d), their covariances."""
    family, params = given.family.NAME, given.emission
    parts = []
    for k in range(len(params.weights)):
        covariances = params.covariances if covariance_type == "tied" else params.covariances[[k]]
        one = Parameters(np.ones(1), params.means[[k]], covariances)
        parts.append(expectation(given.X, one, family.removeprefix("gaussian_")))
    logs = np.stack([part.log_likelihoods for part in parts], axis=1)
    rows = np.concatenate([part.rows for part in parts], axis=1)
    return logs, rows, np.concatenate([part.covariances for part in parts], axis=1)


def by_sequence(given, rows):
    return np.split(rows, np.cumsum(given.lengths)[:-1])


@pytest.mark.parametrize(
    ("covariance_type", "n_states"),
    [("full", 3), ("tied", 3), pytest.param("full", 11, marks=pytest.mark.thorough)],
)
def test_sums_equal_the_twin(covariance_type, n_states):
    given = torn(covariance_type, n_states, LENGTHS[n_states])
    logs, rows, covariances = expected_of(given, covariance_type)
    weights = np.linspace(0.5, 2.0, len(given.lengths))
    twins = [
        smoothed(given.model.start, given.model.transitions, x) for x in by_sequence(given, logs)
    ]
    statistic, work = run(given, weights)
    assert not work.alarm
    evidence = np.array([twin[0] for twin in twins])
    np.testing.assert_allclose(statistic.log_likelihood, weights @ evidence, rtol=1e-12)
    moves = sum(w * twin[2] for w, twin in zip(weights, twins, strict=True))
    np.testing.assert_allclose(statistic.moves, moves, rtol=1e-9)
    np.testing.assert_allclose(statistic.weight, weights @ given.lengths, rtol=1e-12)
    assert statistic.n_rows == len(given.X)

    some = ~np.isnan(given.X).all(axis=1)
    gamma = np.vstack([twin[1] for twin in twins]) * np.repeat(weights, given.lengths)[:, None]
    mass = gamma[some]
    counts = mass.sum(axis=0)
    means = np.einsum("nk,nkd->kd", mass, rows[some]) / counts[:, None]
    apart = rows[some] - means
    second = apart[..., :, None] * apart[..., None, :] + covariances[some]
    scatter = np.einsum("nk,nkij->kij", mass, second)
    wanted = scatter / counts[:, None, None]
    if covariance_type == "tied":
        wanted = scatter.sum(axis=0) / counts.sum()
    nothing = Prior(np.zeros(2), np.zeros(n_states), np.zeros((2, 2)), 0.0)
    found = renewed(
        given.family, given.model.components, statistic.sums, nothing, means=True, covariances=True
    )
    np.testing.assert_allclose(found[0], means, rtol=1e-9, atol=1e-11)
    np.testing.assert_allclose(found[1], wanted, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("n_empty", [1, 20, 400])
def test_a_block_of_more_than_a_leaf_of_sorted_rows(n_empty):
    """Two sequences in a block: more places in the order are taken, and filled up, than a leaf has rows."""
    given = chain("gaussian_full", 3, [2500, 2500], d=3)
    rng = np.random.default_rng(0)
    given.X[np.arange(5000), rng.integers(3, size=5000)] = np.nan
    given.X[rng.permutation(5000)[:n_empty]] = np.nan
    given.X[rng.permutation(5000)[:10]] = 1.0
    together = model_of(given, "full")
    parts = by_sequence(given, given.X)
    alone = sum(together.score(part) for part in parts)
    assert together.score(given.X, lengths=given.lengths) == pytest.approx(alone, rel=1e-12)
    proba = np.vstack([together.predict_proba(part) for part in parts])
    np.testing.assert_allclose(together.predict_proba(given.X, given.lengths), proba, atol=1e-12)
    path = np.concatenate([together.predict(part) for part in parts])
    np.testing.assert_array_equal(together.predict(given.X, given.lengths), path)


@pytest.mark.parametrize("covariance_type", MATRICES)
def test_threads_change_no_bit(covariance_type):
    given = torn(covariance_type, 3, [5000, 3, 300])
    once, _ = run(given)
    for n_jobs, unit in ((2, None), (3, 1)):
        again, _ = run(given, n_jobs=n_jobs, unit=unit)
        for one, other in zip(once, again, strict=True):
            assert_bit_identical(one, other)


def model_of(given, covariance_type, **more):
    """The estimator at the drawn parameters."""
    model = hmm.GaussianHMM(
        len(given.model.start), covariance_type, init_params="", covars_prior=None, **more
    )
    model.startprob_, model.transmat_ = given.model.start, given.model.transitions
    model.means_, model.covars_ = given.emission.means, given.emission.covariances
    return model


@pytest.mark.parametrize("covariance_type", MATRICES)
def test_paths_and_filters_read_what_was_observed(covariance_type):
    given = torn(covariance_type, 3, [500, 40])
    logs, _, _ = expected_of(given, covariance_type)
    model = model_of(given, covariance_type)
    states, filtered = (
        model.predict(given.X, given.lengths),
        model.filter_proba(given.X, given.lengths),
    )
    ends = np.cumsum(given.lengths)
    for part, path, proba in zip(
        by_sequence(given, logs),
        by_sequence(given, states),
        by_sequence(given, filtered),
        strict=True,
    ):
        _, expected = best_path(given.model.start, given.model.transitions, part)
        np.testing.assert_array_equal(path, expected)
        for t in (0, 20, len(part) - 1):
            upto = smoothed(given.model.start, given.model.transitions, part[: t + 1])[1]
            np.testing.assert_allclose(proba[t], upto[-1], rtol=1e-9, atol=1e-12)
    online = model.online()
    np.testing.assert_allclose(
        online.filter(given.X[: ends[0]])[-1], filtered[ends[0] - 1], rtol=1e-9
    )


def test_known_states_and_holes_go_together():
    covariance_type = "full"
    given = torn(covariance_type, 3, [60])
    states = np.full(60, -1)
    states[[0, 5, 20, 59]] = 0, 2, 1, 2
    proba = model_of(given, covariance_type).predict_proba(given.X, states=states)
    np.testing.assert_allclose(proba[[0, 5, 20, 59], states[[0, 5, 20, 59]]], 1.0)
    logs = expected_of(given, covariance_type)[0]
    logs[(states[:, None] >= 0) & (np.arange(3) != states[:, None])] = -np.inf
    expected = smoothed(given.model.start, given.model.transitions, logs)[1]
    np.testing.assert_allclose(proba, expected, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("covariance_type", MATRICES)
def test_the_likelihood_never_falls(covariance_type):
    given = torn(covariance_type, 3, [800, 30])
    model = fitted(model_of(given, covariance_type, n_iter=15, tol=0.0), given.X, given.lengths)
    assert np.diff(model.history_["log_likelihood"]).min() > -1e-9
    started = hmm.GaussianHMM(3, covariance_type, n_iter=15, tol=0.0, random_state=0)
    fitted(started, given.X, given.lengths)
    assert np.diff(started.history_["log_likelihood"])[1:].min() > -1e-2  # its prior counts too


@pytest.mark.thorough
def test_float32_is_near():
    given = torn("full", 3, [900])
    wide, narrow = run(given)[0], run(given._replace(X=given.X.astype(np.float32)))[0]
    assert narrow.log_likelihood == pytest.approx(wide.log_likelihood, rel=1e-5)
    np.testing.assert_allclose(narrow.moves, wide.moves, rtol=2e-4)
    np.testing.assert_allclose(narrow.sums, wide.sums, rtol=2e-3, atol=2e-2)


def test_without_holes_nothing_changes():
    given = chain("gaussian_full", 3, [700, 20])
    plain = run(given)[0]
    torn_once = given._replace(
        X=np.vstack([given.X, [[np.nan, np.nan]]]), lengths=np.array([700, 20, 1])
    )
    with_empty = run(torn_once)[0]
    np.testing.assert_allclose(with_empty.moves, plain.moves, rtol=1e-12)
    np.testing.assert_allclose(with_empty.sums, plain.sums, rtol=1e-12, atol=1e-12)
    assert with_empty.log_likelihood == pytest.approx(plain.log_likelihood, rel=1e-13)


def test_a_start_needs_no_complete_row():
    given = chain("gaussian_full", 2, [300])
    given.X[::2, 0] = given.X[1::2, 1] = np.nan
    model = fitted(hmm.GaussianHMM(2, random_state=0), given.X)
    assert np.isfinite(model.score(given.X))
    counts = np.where(np.isnan(given.X), np.nan, np.round(np.abs(given.X)))
    rates = fitted(hmm.PoissonHMM(2, random_state=0), counts).lambdas_
    assert (rates > 0.0).all()


def test_a_step_of_counts_may_be_missing():
    given = chain("multinomial", 3, [40, 2, 300], d=4)
    given.X[[0, 7, 8, 40, 41, 341]] = np.nan
    logs = np.zeros((len(given.X), 3))
    seen = ~np.isnan(given.X).any(axis=1)
    logs[seen] = densities(given._replace(X=given.X[seen]))
    twins = [
        smoothed(given.model.start, given.model.transitions, x) for x in by_sequence(given, logs)
    ]
    statistic, _ = run(given)
    gamma = np.vstack([twin[1] for twin in twins])
    assert statistic.log_likelihood == pytest.approx(sum(twin[0] for twin in twins), rel=1e-12)
    np.testing.assert_allclose(statistic.moves, sum(twin[2] for twin in twins), rtol=1e-10)
    sums = statistic.sums[3:].reshape(3, 4)  # after the weights of the states
    np.testing.assert_allclose(sums, gamma[seen].T @ given.X[seen], rtol=1e-10)
    model = hmm.MultinomialHMM(3, random_state=0, n_iter=10, tol=0.0)
    history = fitted(model, given.X, given.lengths).history_["log_likelihood"]
    assert np.diff(history).min() > -1e-9


def test_a_column_without_any_value_is_named():
    given = chain("gaussian_full", 2, [30])
    given.X[:, 1] = np.nan
    with pytest.raises(ValueError, match="column"):
        hmm.GaussianHMM(2).fit(given.X)


WAYS = {"whole": [3000, 3], "short": [30] * 40, "uneven": [500, *[7] * 60], "known": [300]}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    ("covariance_type", "n_states", "dtype"),
    [
        ("diag", 1, "f8"),
        ("full", 3, "f8"),
        pytest.param("full", 3, "f4", marks=pytest.mark.thorough),
        pytest.param("full", 11, "f8", marks=pytest.mark.thorough),
        pytest.param("tied", 6, "f8", marks=pytest.mark.thorough),
        ("spherical", 3, "f8"),
    ],
)
def test_paths_show_what_is_missing(covariance_type, n_states, dtype, way, monkeypatch):
    """They are found as if all were there, and again where no path has a finite density."""
    given = chain(f"gaussian_{covariance_type}", n_states, WAYS[way], 2)
    model = hmm.GaussianHMM(n_states, covariance_type)
    model.startprob_, model.transmat_ = given.model.start, given.model.transitions
    model.means_ = given.model.components.means
    model._covars_ = given.model.components.covariances
    known = None if way != "known" else np.where(np.arange(len(given.X)) % 5, -1, 0)
    for row in (0, 1, 700 % len(given.X), len(given.X) - 1):
        X = given.X.astype(dtype)
        X[row, row % 2] = np.nan
        found = model.decode(X, WAYS[way], states=known)
        monkeypatch.setattr(hmm.GaussianHMM, "_shows_missing", False)
        expected = model.decode(X, WAYS[way], states=known)
        monkeypatch.undo()
        assert np.isfinite(expected[0])
        assert found[0] == expected[0]
        assert_bit_identical(found[1], expected[1])
        X[row, row % 2] = np.inf
        with pytest.raises(ValueError, match="infinity"):
            model.decode(X, WAYS[way], states=known)
