"""Statistics add: any split, any order, any process; `update` makes of them what `fit` makes."""

from __future__ import annotations

import copy
import multiprocessing
import pickle
import random
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import fusem
from tests.cases import CASES, DTYPES
from tests.comparison import (
    assert_bit_identical,
    assert_same_parameters,
    covariance_matrices,
    parameters_of,
)
from tests.models import fit_quietly, model_at, stepped
from tests.processes import SECONDS
from tests.reference import Parameters
from tests.sources import cut

by_type = pytest.mark.parametrize("case", CASES, ids=lambda case: case.covariance_type)
by_dtype = pytest.mark.parametrize("dtype", DTYPES, ids=lambda dtype: dtype.__name__)

# Float64 totals added in another order; leaves of float32 rows begin elsewhere in a split.
TOLERANCE = {np.float64: 1e-11, np.float32: 1e-5}


def started(case, X, **options):
    """Return a model at the case's start parameters, before any EM step."""
    return model_at(case, case.start(), max_iter=0, **options).fit(X)


def updated(model, statistic):
    """Return the log-likelihood that an update returns, and a copy of the model after it."""
    model = copy.deepcopy(model)
    return model.update(statistic), model


def assert_same_update(model, statistic, expected, case, rtol=1e-11) -> None:
    """Assert that two statistics say the same: the same likelihood and the same next parameters."""
    ours, one = updated(model, statistic)
    theirs, other = updated(model, expected)
    assert ours == pytest.approx(theirs, rel=rtol)
    assert_same_parameters(parameters_of(one), parameters_of(other), case.covariance_type, rtol)
    assert statistic.n_rows == expected.n_rows
    assert statistic.weight == pytest.approx(expected.weight, rel=1e-14)
    assert statistic.log_likelihood == pytest.approx(expected.log_likelihood, rel=rtol)


@by_type
@by_dtype
def test_update_is_the_em_step_of_the_twin(case, dtype):
    X = case.data(1700, dtype=dtype)
    model = started(case, X, reg_covar=1e-3)
    before, *after = case.twin.em_step(X.astype(np.float64), None, *case.start(), 1e-3)
    log_likelihood, model = updated(model, model.statistics(X))
    rtol = TOLERANCE[dtype]
    assert log_likelihood == pytest.approx(before, rel=rtol)
    expected = Parameters(*after)
    assert_same_parameters(parameters_of(model), expected, case.covariance_type, rtol)


@by_type
def test_em_by_hand_is_fit(case):
    X = case.data(1700)
    model = started(case, X)
    bounds = [model.update(model.statistics(X)) for _ in range(5)]
    expected = stepped(case, X, steps=5)
    np.testing.assert_allclose(bounds, expected.lower_bounds_, rtol=1e-12)
    assert_same_parameters(
        parameters_of(model), parameters_of(expected), case.covariance_type, 1e-11
    )


@by_type
@pytest.mark.parametrize("init_params", ["kmeans", "k-means++", "random", "random_from_data"])
def test_any_start_can_be_used_as_it_is(case, init_params):
    X = case.data(500)
    options = {"covariance_type": case.covariance_type, "init_params": init_params}
    model = fit_quietly(fusem.GaussianMixture(3, max_iter=0, random_state=0, **options), X)
    assert model.weights_.sum() == pytest.approx(1.0, abs=1e-8)
    once = fit_quietly(fusem.GaussianMixture(3, max_iter=1, random_state=0, **options), X)
    model.update(model.statistics(X))
    assert_same_parameters(parameters_of(model), parameters_of(once), case.covariance_type, 1e-11)


@by_type
def test_by_hand_the_outcomes_go_on(case):
    X = case.data(1700)
    model, expected = started(case, X), stepped(case, X, steps=4)
    assert (model.n_iter_, model.lower_bound_) == (0, -np.inf)
    for _ in range(4):
        last = model.update(model.statistics(X))
    assert (model.n_iter_, model.lower_bound_, model.lower_bounds_[-1]) == (4, last, last)
    np.testing.assert_allclose(model.lower_bounds_, expected.lower_bounds_, atol=1e-11)
    assert (len(model.history_), model.converged_) == (0, False)
    before = pickle.dumps(model)
    with pytest.raises(ValueError, match="other parameters"):
        model.update(started(case, X).statistics(X))
    assert pickle.dumps(model) == before


@by_type
def test_statistics_leave_the_model_alone(case):
    X = case.data(1700)
    model = started(case, X)
    before = pickle.dumps(model)
    model.statistics(X)
    assert pickle.dumps(model) == before


@by_type
def test_what_a_statistic_knows(case):
    X = case.data(1700)
    model = started(case, X)
    rows = case.twin.log_likelihoods(X, case.start())
    plain = model.statistics(X)
    assert plain.n_rows == len(X)
    assert plain.weight == len(X)
    assert plain.log_likelihood == pytest.approx(rows.sum(), rel=1e-12)
    weights = np.random.default_rng(0).exponential(size=len(X))
    weighted = model.statistics(X, sample_weight=weights)
    assert weighted.n_rows == len(X)
    assert weighted.weight == pytest.approx(weights.sum(), rel=1e-13)
    assert weighted.log_likelihood == pytest.approx(weights @ rows, rel=1e-12)


@settings(max_examples=30, deadline=None)
@given(
    case=st.sampled_from(CASES),
    dtype=st.sampled_from(DTYPES),
    sizes=st.lists(st.integers(50, 1100), min_size=1, max_size=8),
    seed=st.integers(0, 99),
)
def test_any_split_and_order_gives_the_same_statistic(case, dtype, sizes, seed):
    X = case.data(2100, dtype=dtype)
    model = started(case, X)
    parts = [model.statistics(chunk) for chunk in cut(X, sizes)]
    whole = model.statistics(X)
    order = random.Random(seed)
    order.shuffle(parts)
    assert_same_update(model, sum(parts), whole, case, TOLERANCE[dtype])
    while len(parts) > 1:  # merge as a tree of any shape
        one, other = (parts.pop(order.randrange(len(parts))) for _ in range(2))
        parts.append(one + other)
    assert_same_update(model, parts[0], whole, case, TOLERANCE[dtype])


@by_type
def test_adding_leaves_the_summands_alone(case):
    X = case.data(1700)
    model = started(case, X)
    one, other = model.statistics(X[:900]), model.statistics(X[900:])
    before = one.to_bytes(), other.to_bytes()
    assert (one + other).to_bytes() == (other + one).to_bytes()
    assert (one.to_bytes(), other.to_bytes()) == before


@by_type
def test_empty_chunk_among_others_is_nothing(case):
    X = case.data(1700)
    model = started(case, X)
    whole = model.statistics(X)
    assert model.statistics([X[:0], X[:900], X[:0], X[900:], X[:0]]).to_bytes() == whole.to_bytes()


@by_type
def test_no_rows_at_all_add_nothing(case):
    """A worker whose share of the rows is empty takes part as the others do."""
    X = case.data(1700)
    model = started(case, X)
    empty, whole = model.statistics(X[:0]), model.statistics(X)
    assert empty.n_rows == empty.weight == empty.log_likelihood == 0
    assert (whole + empty).to_bytes() == (empty + whole).to_bytes() == whole.to_bytes()
    with pytest.raises(ValueError, match="no rows"):
        model.update(empty)


@by_type
def test_update_from_nothing_is_an_error(case):
    X = case.data(1700)
    model = started(case, X)
    before = model.means_.copy()
    with pytest.raises(ValueError, match=r"no rows|zero"):
        model.update(model.statistics(X, sample_weight=np.zeros(len(X))))
    assert_bit_identical(model.means_, before)


@by_type
def test_statistics_travel(case):
    X = case.data(1700)
    model = started(case, X)
    statistic = model.statistics(X, sample_weight=np.linspace(0.0, 2.0, len(X)))
    packed = statistic.to_bytes()
    assert isinstance(packed, bytes)
    for copied in (
        fusem.MixtureStatistic.from_bytes(packed),
        pickle.loads(pickle.dumps(statistic)),
        copy.deepcopy(statistic),
    ):
        assert copied.to_bytes() == packed
        assert_same_update(model, copied, statistic, case, rtol=1e-15)


@by_type
@pytest.mark.parametrize("spoil", [lambda b: b[:-1], lambda b: b"", lambda b: b"x" + b[1:]])
def test_spoilt_bytes_are_an_error(case, spoil):
    X = case.data(101)
    packed = started(case, X).statistics(X).to_bytes()
    with pytest.raises(ValueError, match=r"statistic|bytes"):
        fusem.MixtureStatistic.from_bytes(spoil(packed))


@by_type
def test_statistics_of_different_parameters_do_not_mix(case):
    X = case.data(1700)
    model = started(case, X)
    early = model.statistics(X[:900])
    model.update(model.statistics(X))
    late = model.statistics(X[900:])
    with pytest.raises(ValueError, match="parameters"):
        early + late
    before = copy.deepcopy(model)
    with pytest.raises(ValueError, match="parameters"):
        model.update(early)
    assert_bit_identical(model.means_, before.means_)
    assert_bit_identical(model.weights_, before.weights_)


def test_statistics_of_different_families_do_not_mix():
    X = CASES[0].data(301)
    statistics = [started(case, X).statistics(X) for case in CASES]
    for one, other in pairwise(statistics):
        with pytest.raises((ValueError, TypeError)):
            one + other


@by_type
def test_statistics_do_not_add_to_other_things(case):
    X = case.data(101)
    statistic = started(case, X).statistics(X)
    with pytest.raises(TypeError):
        statistic + 1.0
    with pytest.raises(TypeError):
        statistic + None


def worker(half: int, steps: int, other, results) -> None:
    """Hold half of the rows; nothing else than statistics leaves this process, but the result."""
    for case in CASES:
        X = case.data(3000)
        model = started(case, X)
        mine = X[:1500] if half == 0 else X[1500:]
        for _ in range(steps):
            statistic = model.statistics(mine)
            other.send_bytes(statistic.to_bytes())
            theirs = fusem.MixtureStatistic.from_bytes(other.recv_bytes())
            model.update(statistic + theirs)
        results.send((model.weights_, model.means_, model.covariances_))


def test_two_processes_reach_the_model_of_one():
    steps = 4
    spawn = multiprocessing.get_context("spawn")
    ends, pipes = spawn.Pipe(), [spawn.Pipe(duplex=False) for _ in range(2)]
    processes = [
        spawn.Process(target=worker, args=(half, steps, ends[half], pipes[half][1]))
        for half in range(2)
    ]
    for process in processes:
        process.start()
    for case in CASES:
        models = []
        for receiver, _ in pipes:
            assert receiver.poll(SECONDS), "a worker process did not answer"
            models.append(Parameters(*receiver.recv()))
        for name, one, other in zip(Parameters._fields, *models):
            assert_bit_identical(one, other, name)
        expected = parameters_of(stepped(case, case.data(3000), steps=steps))
        assert_same_parameters(models[0], expected, case.covariance_type, 1e-11)
    for process in processes:
        process.join(SECONDS)
        assert process.exitcode == 0


def test_update_before_start_is_an_error():
    model = fusem.GaussianMixture(2)
    with pytest.raises(Exception, match="not fitted"):
        model.statistics(np.zeros((5, 2)))


@by_type
def test_unused_component_of_a_chunk_costs_nothing(case):
    """A chunk may hold no row of some component: adding it still gives finite parameters."""
    X = case.data(1700)
    model = started(case, X)
    nearest = case.twin.responsibilities(X, case.start()).argmax(axis=1)
    parts = [model.statistics(X[nearest == k]) for k in range(case.n_components)]
    _, after = updated(model, sum(parts))
    assert np.all(np.isfinite(covariance_matrices(parameters_of(after), case.covariance_type)))
    assert_same_update(model, sum(parts), model.statistics(X), case)


@pytest.mark.parametrize("apart", [3.0, 30.0, 80.0, 3000.0])
def test_statistics_of_float32_and_float64_rows_add(apart):
    """The tied family has two forms of its scatter: which one must not depend on the dtype."""
    rng = np.random.default_rng(0)
    rows = np.concatenate([rng.normal(size=(500, 2)), apart + rng.normal(size=(500, 2))])
    model = fusem.GaussianMixture(2, covariance_type="tied", random_state=0).fit(rows)
    whole = copy.deepcopy(model)
    whole.update(whole.statistics(rows))
    model.update(model.statistics(rows[::2].astype(np.float32)) + model.statistics(rows[1::2]))
    np.testing.assert_allclose(model.covariances_, whole.covariances_, rtol=1e-3, atol=1e-3)


@pytest.mark.filterwarnings("ignore::fusem.ConstantColumnWarning")
def test_automatic_regularisation_by_hand_is_that_of_fit():
    rows = np.c_[np.random.default_rng(0).normal(size=500), np.ones(500)]
    model = fusem.GaussianMixture(1, covariance_type="diag", reg_covar="auto").fit(rows)
    expected = model.covariances_.copy()
    for _ in range(60):
        model.update(model.statistics(rows))
    np.testing.assert_allclose(model.covariances_, expected, rtol=1e-12)


def test_update_takes_statistics_alone():
    model = fusem.GaussianMixture(1).fit(np.arange(10.0) ** 2)
    with pytest.raises(TypeError, match="MixtureStatistic"):
        model.update(3)
