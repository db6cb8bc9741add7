"""Memory beyond the data does not grow with the rows: no array of rows times components."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

import fusem
from fusem.hmm import observations
from fusem.kernels import large_pages
from tests.cases import CASES, DTYPES
from tests.hmms import chain
from tests.models import fit_quietly, model_at, stepped
from tests.processes import run
from tests.sources import cut, generator_function
from tests.test_hmm import assembled

by_type = pytest.mark.parametrize("case", CASES, ids=lambda case: case.covariance_type)
by_dtype = pytest.mark.parametrize("dtype", DTYPES, ids=lambda dtype: dtype.__name__)

N, K, D = 100_000, 32, 2
FORBIDDEN = N * K * 8  # bytes of one array of rows times components
CONVERTED = (
    4 * N
)  # rows that are converted: a few segments of them, each a megabyte, are in hand at a time


def peak(call) -> int:
    """Most memory allocated at a time during a call, beyond what there was before."""
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        tracemalloc.reset_peak()
        call()
        return tracemalloc.get_traced_memory()[1] - before
    finally:
        tracemalloc.stop()


@pytest.fixture(autouse=True)
def memory_is_numpys(monkeypatch):
    """What comes in large pages is mapped past Python, which would not see it."""
    monkeypatch.setattr(large_pages, "ADVICE", None)


def test_peak_sees_an_array_of_rows_times_components():
    assert peak(lambda: np.ones((N, K))) >= FORBIDDEN
    assert peak(lambda: large_pages.room(N, np.float64)) >= 8 * N


@by_type
@by_dtype
def test_fit_allocates_nothing_that_grows(case, dtype):
    X = case.data(N, K, D, dtype=dtype)
    model = model_at(case, case.start(K, D), max_iter=2, tol=0.0)
    fit_quietly(model, X)  # compiles what these rows take: not fewer of them
    assert peak(lambda: fit_quietly(model, X)) < FORBIDDEN / 8
    chunks = generator_function(X, [5000])
    assert peak(lambda: fit_quietly(model, chunks)) < FORBIDDEN / 8


@by_type
@pytest.mark.parametrize("copy", [np.asfortranarray, lambda X: X[::-1], lambda X: X.astype(">f8")])
def test_other_layouts_are_not_copied(case, copy):
    """A layout or byte order of its own is converted a block at a time."""
    X = copy(case.data(CONVERTED, K, 8)[:, :8])
    model = model_at(case, case.start(2, 8), max_iter=2, tol=0.0)
    fit_quietly(model, X[:2000])
    assert peak(lambda: fit_quietly(model, X)) < X.nbytes / 2


@by_type
def test_integers_are_not_copied(case):
    X = np.rint(100 * case.data(CONVERTED, K, 8)).astype(np.int8)
    start = case.start(2, 8)
    start = start._replace(means=start.means * 100, covariances=start.covariances * 1e4)
    model = model_at(case, start, max_iter=2, tol=0.0)
    fit_quietly(model, X[:2000])
    assert peak(lambda: fit_quietly(model, X)) < CONVERTED * 8 * 8 / 2


@by_type
@pytest.mark.parametrize("init_params", ["kmeans", "k-means++", "random", "random_from_data"])
@pytest.mark.filterwarnings("ignore::fusem.exceptions.FusemWarning")
def test_starts_have_no_array_of_rows_times_components(case, init_params):
    n, K = 20_000, 64
    X = case.data(n, K, D)
    options = {"init_params": init_params, "max_iter": 1, "random_state": 0, "reg_covar": 1e-2}
    model = fusem.GaussianMixture(K, covariance_type=case.covariance_type, **options)
    fit_quietly(model, X)  # a start far from the rows compiles a kernel of its own
    assert peak(lambda: fit_quietly(model, X)) < n * K * 8 / 2


@by_type
def test_answers_take_their_own_size(case, tmp_path):
    X = case.data(N, K, D)
    model = stepped(case, X[:2000], steps=1, start=case.start(K, D))
    model.predict(X[:2000])  # compiles
    model.statistics(X[:2000])
    rows = 8 * N
    slack = FORBIDDEN / 8
    assert peak(lambda: model.score_samples(X)) < rows + slack
    assert peak(lambda: model.predict(X)) < rows + slack
    assert peak(lambda: model.score(X)) < slack
    assert peak(lambda: model.bic(X)) < slack
    assert peak(lambda: model.icl(X)) < slack
    assert peak(lambda: model.statistics(X)) < slack
    assert peak(lambda: model.predict_proba(X, out=tmp_path / "proba.npy")) < slack
    out = np.empty((N, K))
    assert peak(lambda: model.predict_proba(cut(X, [5000]), out=out)) < slack


def test_the_likelihood_of_sequences_takes_no_array_of_rows_times_states():
    given = chain("gaussian_diag", K, [N // 2, N // 4, N // 4])
    model = assembled(given)
    model.score(given.X[:2000])
    evidence, proba = model.score_samples(given.X, given.lengths)
    assert proba.nbytes == FORBIDDEN
    assert model.score(given.X, lengths=given.lengths) == pytest.approx(evidence, rel=1e-13)
    assert peak(lambda: model.score(given.X, lengths=given.lengths)) < FORBIDDEN / 4
    assert peak(lambda: model.bic(given.X, given.lengths)) < FORBIDDEN / 4


@pytest.mark.parametrize("source", ["array", "file"])
def test_codes_of_a_long_sequence_are_converted_part_by_part(source, tmp_path):
    codes = np.random.default_rng(0).integers(3, size=(3_000_000, 1)).astype(np.uint8)
    assert codes.size * 8 > observations.CONVERTED
    np.save(tmp_path / "codes.npy", codes)
    given = codes if source == "array" else tmp_path / "codes.npy"
    model = fusem.CategoricalHMM(2, n_iter=1, tol=0.0, random_state=0)
    fit_quietly(model, codes[:300_000])  # compiles
    assert peak(lambda: fit_quietly(model, given)) < codes.size * 8 / 2
    assert model.history_["log_likelihood"][0] == pytest.approx(
        fit_quietly(model, codes).history_["log_likelihood"][0], rel=1e-12
    )


RESIDENT = """
from asv_benchmarks.peak import peak
from tests.cases import CASES
from tests.models import fit_quietly, model_at

case = CASES[{index}]
K = 50
block = case.data(50_000, 4, 4)
model = model_at(case, case.start(K, 4), max_iter=2, tol=0.0)

def measure(blocks):
    def chunks():
        for _ in range(blocks):
            yield block

    fit_quietly(model, chunks)
    model.score(chunks)
    return peak()

before = measure(1)  # compiles what chunks take: that needs memory of its own
print(measure({blocks}) - before)
"""


@pytest.mark.parametrize("index", range(len(CASES)), ids=lambda i: CASES[i].covariance_type)
def test_resident_memory_of_a_stream(index):
    """Half a million rows: an array of rows times components would take 200 MB."""
    assert int(run(RESIDENT.format(index=index, blocks=10))) < 40e6
