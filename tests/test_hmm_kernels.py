"""Forward–backward kernels: what they sum is what the slow twin does, in any arithmetic, for any family."""

from __future__ import annotations

import numpy as np
import pytest

from fusem.em.workers import Workers
from fusem.hmm.engine import ChainModel
from fusem.hmm.forward_backward import Pass, swept
from fusem.hmm.layout import check_lengths, layout_of, steps_per_block
from fusem.kernels.states import width_of
from tests.comparison import assert_bit_identical
from tests.hmms import GAUSSIANS, chain, densities, engine_and, expected, run
from tests.reference_hmm import all_paths, smoothed

# one, a few, some rows; longer than a block of four, eight and eleven states
LENGTHS = [1, 2, 300, 7, 6000, 3, 700, 1, 20]
SHORT = [6, 1, 5]


def check_statistic(given, weights, statistic, work, rtol=1e-9):
    """Log-likelihoods, starts, moves and the weight of every state are the twin's."""
    evidence, gamma, starts, moves = expected(given, weights)
    found = np.bincount(work.layout.sequence, weights=work.evidence)
    np.testing.assert_allclose(found, evidence, rtol=1e-12, atol=1e-11)
    np.testing.assert_allclose(statistic.log_likelihood, weights @ evidence, rtol=1e-12)
    np.testing.assert_allclose(statistic.starts, starts, rtol=rtol, atol=1e-11)
    np.testing.assert_allclose(statistic.moves, moves, rtol=rtol, atol=1e-11)
    counts = np.repeat(weights, given.lengths) @ gamma
    np.testing.assert_allclose(statistic.sums[: len(counts)], counts, rtol=rtol)
    assert statistic.n_rows == given.lengths.sum()
    np.testing.assert_allclose(statistic.weight, weights @ given.lengths, rtol=1e-12)


@pytest.mark.parametrize("n_states", [1, 3, 6, 11])
def test_sums_equal_the_twin(n_states):
    given = chain("gaussian_diag", n_states, LENGTHS)
    weights = np.random.default_rng(1).uniform(0.5, 2.0, len(LENGTHS))
    statistic, work = run(given, weights)
    assert not work.alarm
    check_statistic(given, weights, statistic, work)


def test_sequences_as_long_as_blocks():
    steps = steps_per_block(width_of(11))
    lengths = [steps - 1, steps, steps + 1, 2 * steps, 2 * steps + 1, 1, steps]
    given = chain("gaussian_diag", 11, lengths)
    weights = np.linspace(0.5, 2.0, len(lengths))
    check_statistic(given, weights, *run(given, weights))
    ends = np.cumsum(lengths)
    for begin, end in zip([0, *ends], ends, strict=False):
        alone = given._replace(X=given.X[begin:end], lengths=np.array([end - begin]))
        check_statistic(alone, np.ones(1), *run(alone))


@pytest.mark.parametrize("family", [*GAUSSIANS[1:], "poisson", "categorical", "multinomial"])
def test_every_family_has_its_place_in_a_chain(family):
    given = chain(family, 3, [400, 2, 3000], d=1 if family == "categorical" else 3)
    statistic, work = run(given)
    check_statistic(given, np.ones(3), statistic, work)


def test_a_wrong_statistic_is_seen():
    given = chain("gaussian_diag", 3, SHORT)
    statistic, work = run(given)
    with pytest.raises(AssertionError):
        check_statistic(given, np.ones(3), statistic._replace(moves=1.001 * statistic.moves), work)
    with pytest.raises(AssertionError):
        check_statistic(given, np.ones(3), statistic._replace(n_rows=3), work)


@pytest.mark.parametrize("n_states", [3, 11])
def test_logarithms_give_the_same(n_states):
    given = chain("gaussian_diag", n_states, [1, 900, 5000 if n_states == 3 else 1500])
    plain, logs = run(given)[0], run(given, logarithms=True)[0]
    for one, other in zip(plain, logs, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("n_states", [3, 6, 11])
def test_threads_and_segments_change_no_bit(n_states):
    given = chain("gaussian_diag", n_states, LENGTHS)
    once, _ = run(given)
    for n_jobs, unit in ((2, None), (3, 1), (1, 1), (2, 8)):
        again, _ = run(given, n_jobs=n_jobs, unit=unit)
        for one, other in zip(once, again, strict=True):
            assert_bit_identical(one, other)


@pytest.mark.parametrize("n_states", [2, 3])
def test_everything_equals_the_sum_over_all_paths(n_states):
    given = chain("gaussian_diag", n_states, [7])
    paths, total = all_paths(given.model.start, given.model.transitions, densities(given))
    statistic, _ = run(given)
    mass = np.exp(total - total.max())
    log_likelihood = np.log(mass.sum()) + total.max()
    np.testing.assert_allclose(statistic.log_likelihood, log_likelihood, rtol=1e-12)
    moves = np.zeros((n_states, n_states))
    for path, share in zip(paths, mass / mass.sum(), strict=True):
        np.add.at(moves, (path[:-1], path[1:]), share)
    np.testing.assert_allclose(statistic.moves, moves, rtol=1e-11)
    twin = smoothed(given.model.start, given.model.transitions, densities(given))
    np.testing.assert_allclose(twin[2], moves, rtol=1e-11)


@pytest.mark.parametrize("steps", [256, 512])
def test_blocks_hold_whole_sequences_or_parts_of_one(steps):
    rng = np.random.default_rng(0)
    lengths = np.concatenate([rng.integers(1, 200, 50), [5000, 256, 257], rng.integers(1, 900, 20)])
    layout = layout_of(lengths, steps)
    assert layout.pieces[-1] == lengths.sum()
    assert (np.diff(layout.pieces) > 0).all()
    rows = np.diff(layout.pieces[layout.blocks])
    assert rows.max() <= 2 * steps
    for first, last in zip(layout.blocks[:-1], layout.blocks[1:], strict=True):
        alone = last - first == 1
        assert alone or (layout.opens[first:last].all() and layout.closes[first:last].all())
    assert layout.opens.sum() == layout.closes.sum() == len(lengths)
    for number, length in enumerate(lengths):
        mine = layout.sequence == number
        assert np.diff(layout.pieces)[mine].sum() == length


def test_a_missing_row_is_summed_over():
    given = chain("gaussian_diag", 3, [6])
    given.X[2] = np.nan
    given.X[4, 0] = np.nan
    logp = np.zeros((6, 3))
    for t, row in enumerate(given.X):
        seen = ~np.isnan(row)
        for k in range(3):
            variances = given.emission.covariances[k][seen]
            z = (row[seen] - given.emission.means[k][seen]) ** 2 / variances
            logp[t, k] = -0.5 * (z + np.log(2.0 * np.pi * variances)).sum()
    _, total = all_paths(given.model.start, given.model.transitions, logp)
    statistic, _ = run(given)
    total = np.log(np.exp(total - total.max()).sum()) + total.max()
    np.testing.assert_allclose(statistic.log_likelihood, total, rtol=1e-12)


def torn(n_states, lengths, which):
    """A chain without any way between states, and sequences that first speak for one, then for another."""
    given = chain("gaussian_diag", n_states, lengths)
    means = np.full((n_states, 2), 40.0)
    means[0], means[1] = -3.0, 3.0
    components = given.family.from_covariances(means, np.ones((n_states, 2)))
    X = np.full((sum(lengths), 2), 3.0)
    begin = sum(lengths[:which])
    X[begin : begin + lengths[which] // 3] = -3.0
    return given._replace(
        model=ChainModel(np.full(n_states, 1.0 / n_states), np.eye(n_states), components),
        emission=given.emission._replace(means=means, covariances=np.ones((n_states, 2))),
        X=X,
    )


@pytest.mark.parametrize(
    ("n_states", "lengths", "which"),
    [(2, [3000], 0), (11, [3000], 0), (2, [9000], 0), (2, [2000] * 40, 7)],
)
def test_evidence_for_another_state_after_a_thousand_rows_is_not_lost(n_states, lengths, which):
    """The longer part wins; in linear space its state has been rounded to nothing by then."""
    given = torn(n_states, lengths, which)
    assert run(given)[1].alarm
    workers = Workers(2)
    engine, arguments = engine_and(given, None, workers)
    statistic, evidence = swept(*arguments)
    work = Pass(*arguments)
    work.evidence[:] = evidence
    check_statistic(given, np.ones(len(lengths)), engine.view(statistic), work)


@pytest.mark.parametrize("n_states", [2, 11])
@pytest.mark.parametrize("lengths", [[1, 1], [2, 3, 30]])
@pytest.mark.parametrize("value", [40.0, 17.0])
def test_rows_that_only_an_unreachable_state_explains(n_states, lengths, value):
    """However far its state is from a row, the only way there is has a likelihood."""
    given = chain("gaussian_diag", n_states, lengths)
    means = np.full((n_states, 2), value)
    means[0] = 0.0
    components = given.family.from_covariances(means, np.ones((n_states, 2)))
    moves, start = np.eye(n_states), np.zeros(n_states)
    start[0] = 1.0
    given = given._replace(
        model=ChainModel(start, moves, components),
        emission=given.emission._replace(means=means, covariances=np.ones((n_states, 2))),
        X=np.full(given.X.shape, value),
    )
    workers = Workers(1)
    engine, arguments = engine_and(given, None, workers)
    statistic, evidence = swept(*arguments)
    work = Pass(*arguments)
    work.evidence[:] = evidence
    check_statistic(given, np.ones(len(lengths)), engine.view(statistic), work)
    np.testing.assert_allclose(evidence, given.lengths * (-(value**2) - np.log(2.0 * np.pi)))


def test_lengths_that_are_none_are_refused():
    for lengths, said in (
        ([3, 3], "sum to 6, but there are 7 rows"),
        ([2**63 - 1, 2**63 - 1, 9], f"sum to {2**64 + 7}, but"),
        ([-10, 17], r"lengths\[0\] is -10"),
        ([0, 7], r"lengths\[0\] is 0"),
        ([], "shape"),
        ([3.5, 3.5], "whole numbers"),
        ([[3, 4]], "shape"),
    ):
        with pytest.raises(ValueError, match=said):
            check_lengths(lengths, 7)
    for lengths in (None, [], [3]):
        with pytest.raises(ValueError, match="0 sample"):
            check_lengths(lengths, 0)
    assert check_lengths(None, 7).tolist() == [7]
    assert check_lengths([3.0, 4.0], 7).tolist() == [3, 4]
