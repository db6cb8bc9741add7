"""Memory that the process keeps: whatever was in it, results are those of new memory."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from itertools import repeat

import numpy as np
import pytest

from fusem.em import spaces
from fusem.hmm import CategoricalHMM, GaussianHMM, PoissonHMM
from fusem.hmm import engine as engines
from fusem.hmm.engine import ChainEngine
from fusem.hmm.observations import Observations
from fusem.kernels.large_pages import LEAST_RESULT, PAGE
from fusem.kernels.missing import MissingSpace
from fusem.kernels.tile import Workspace
from tests.cases import CASES, DTYPES
from tests.comparison import assert_bit_identical, parameters_of
from tests.hmms import chain
from tests.models import stepped
from tests.test_missing import with_holes, with_patterns

LENGTHS = [1500, 3, 150]


def gaussian(n_states):
    given = chain("gaussian_diag", n_states, LENGTHS, 3)
    model = GaussianHMM(n_states, n_iter=2, tol=0.0, init_params="", random_state=0)
    model.means_, model.covars_ = given.model.components.means, np.ones((n_states, 3))
    return model, given


def correlated(n_states):
    model, given = gaussian(n_states)
    model.covariance_type = "full"
    model.covars_ = np.full((n_states, 3, 3), 0.3) + 0.7 * np.eye(3)
    return model, given


def poisson(n_states):
    given = chain("poisson", n_states, LENGTHS, 2)
    model = PoissonHMM(n_states, n_iter=2, tol=0.0, init_params="", random_state=0)
    model.lambdas_ = given.model.components.rates
    return model, given


def results(model, given, keep):
    """What all methods give, one after the other, in memory as it comes or new for each."""
    X, hidden = given.X, np.where(np.arange(len(given.X)) == 700, np.nan, given.X.T).T
    model.startprob_, model.transmat_ = given.model.start, given.model.transitions
    methods = {
        "score": lambda: model.score(X, lengths=LENGTHS),
        "decode": lambda: model.decode(X, LENGTHS),
        "predict_proba": lambda: model.predict_proba(X, LENGTHS),
        "far": lambda: model.score_samples(np.where(X.max() == X, 500.0, X), LENGTHS),
        "paths of many": lambda: model.decode(X[:1600], [20] * 80),
        "known": lambda: model.predict(X, LENGTHS, states=np.where(np.arange(len(X)) % 9, -1, 0)),
        "path_margin": lambda: model.path_margin(X, LENGTHS),
        "sample_posterior": lambda: model.sample_posterior(X, LENGTHS, 2, 0),
        "missing": lambda: model.predict_proba(hidden, LENGTHS),
        "fit": lambda: np.concatenate(
            [np.ravel(part) for part in (model.fit(X, LENGTHS).transmat_, model.startprob_)]
        ),
    }
    found = {}
    for _ in range(2):
        for name, method in [*methods.items(), *reversed(methods.items())]:
            model.startprob_, model.transmat_ = given.model.start, given.model.transitions
            if not keep:
                spaces._kept.clear()
                pieces().clear()
            for memory in pieces():  # it may hold anything
                memory[:] = 255
            value = method()
            found.setdefault(name, []).append(value if isinstance(value, tuple) else (value,))
    return found


@pytest.mark.parametrize(
    ("made", "n_states"),
    [
        (gaussian, 3),
        (gaussian, 11),
        (correlated, 4),
        pytest.param(poisson, 6, marks=pytest.mark.thorough),
    ],
)
def test_kept_memory_changes_nothing(made, n_states):
    kept, new = results(*made(n_states), keep=True), results(*made(n_states), keep=False)
    for name, values in kept.items():
        for value, expected in zip(values, new[name], strict=True):
            for part, other in zip(value, expected, strict=True):
                assert_bit_identical(np.asarray(part), np.asarray(other))


def spoil():
    """Leave NaN in what kept memory of mixtures holds of a tile: nothing may be read before it is written."""
    for _, space, _ in spaces._kept:
        scratch = space
        if isinstance(space, MissingSpace):
            scratch = [
                part for part in (space.y, space.kept, space.noise, space.local) if part is not None
            ]
        elif not isinstance(space, Workspace):
            continue
        for part in scratch:
            part[:] = np.nan


MASKED = "diag", "spherical"  # forms that need no more memory for missing values
MIXTURE_CALLS = (
    lambda case, rows, X: parameters_of(stepped(case, X, reg_covar=1e-3)),
    lambda case, rows, X: [stepped(case, rows, steps=1).predict_proba(X)],
    lambda case, rows, X: [
        stepped(case, rows, steps=1).impute(X, sample_posterior=True, random_state=0)
    ],
)


def of_mixtures(case, dtype, keep):
    """What fits and methods give, of complete rows and others, one after the other."""
    rows, found = case.data(1200, dtype=dtype), []
    tables = rows, with_holes(rows), with_patterns(rows[:500]), rows[:40], with_holes(rows, 0.5, 1)
    for X in tables + tables[::-1]:
        for call in MIXTURE_CALLS:
            if not keep:
                spaces._kept.clear()
            spoil()
            found.extend(call(case, rows, X))
    kinds = {type(space) for _, space, _ in spaces._kept}
    assert not keep or MissingSpace in kinds or case.covariance_type in MASKED
    return found


@pytest.mark.filterwarnings("ignore::fusem.exceptions.FusemWarning")
@pytest.mark.parametrize("dtype", DTYPES, ids=lambda dtype: dtype.__name__)
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.covariance_type)
def test_kept_memory_of_mixtures_changes_nothing(case, dtype):
    kept, new = (of_mixtures(case, dtype, keep) for keep in (True, False))
    for value, expected in zip(kept, new, strict=True):
        assert_bit_identical(value, expected)


def in_turns(keep):
    """What two models of one size say of rows with holes, in turns: bases of the one are not the other's."""
    found, models = [], []
    for share in (0.3, 0.6):
        model, given = correlated(4)
        model.startprob_, model.transmat_ = given.model.start, given.model.transitions
        model.covars_ = np.full((4, 3, 3), share) + (1.0 - share) * np.eye(3)
        models.append(model)
    X = with_holes(given.X)
    for _ in range(3):
        for model in models:
            if not keep:
                spaces._kept.clear()
            found += [model.predict_proba(X, LENGTHS), model.predict(X, LENGTHS)]
    return found


def test_what_is_kept_of_missing_values_is_of_its_own_parameters(monkeypatch):
    for value, expected in zip(in_turns(keep=True), in_turns(keep=False), strict=True):
        assert_bit_identical(value, expected)
    monkeypatch.setattr(engines, "_parameter_numbers", repeat(1))  # all of them alike
    same = zip(in_turns(keep=True), in_turns(keep=False), strict=True)
    assert not all(np.array_equal(value, expected) for value, expected in same)


def test_kept_memory_that_is_read_first_would_be_seen():
    spaces._kept.clear()
    stepped(CASES[0], CASES[0].data(50), steps=1)
    spoil()
    assert any(
        np.isnan(space.x).all() for _, space, _ in spaces._kept if isinstance(space, Workspace)
    )


def engine(n_states=3, d=3, missing=False):
    family = chain("gaussian_full", 3, [9], 3).family
    return ChainEngine(family, n_states, d, np.float64, missing)


def test_the_space_of_an_earlier_call_is_taken_for_the_same_purpose():
    spaces._kept.clear()
    with engine().space("paths", True) as first:
        pass
    with engine().space("sums", True) as other, engine().space("paths", False) as linear:
        pass
    with engine().space("paths", True) as again, engine().space("paths", True) as second:
        pass
    assert again.alpha is first.alpha
    assert all(space.alpha is not first.alpha for space in (other, linear, second))


def test_a_space_in_use_is_given_to_nobody_else():
    spaces._kept.clear()
    with engine().space("sums", True) as first, engine().space("sums", True) as second:
        assert first.alpha is not second.alpha


def test_few_and_small_ones_are_kept(monkeypatch):
    spaces._kept.clear()
    for number in range(spaces.KEPT + 5):
        with engine().space(f"purpose {number}", True):
            pass
    assert [key[0] for key, *_ in spaces._kept] == [
        f"purpose {n}" for n in range(5, spaces.KEPT + 5)
    ]
    spaces._kept.clear()
    large = engine(n_states=400, d=50)
    with large.space("sums", True) as first:
        pass
    with large.space("sums", True) as again:
        assert again.alpha is first.alpha  # the engine has it
    assert not spaces._kept
    sorting = engine(missing=True)
    with engine().space("of another", True):
        pass
    with sorting.space("sums", True):
        pass
    monkeypatch.setattr(spaces, "ALL_BYTES", 2 * spaces._kept[-1].size)

    def alphas(count):
        with ExitStack() as stack:
            taken = [stack.enter_context(sorting.space("sums", True)) for _ in range(count)]
            return {id(space.alpha) for space in taken}

    before = alphas(5)
    assert [kept.key[0] for kept in spaces._kept] == ["sums", "sums"]
    assert alphas(5) == before  # those for which there is no room are the engine's


class Changed:
    """A family of the same name, of which one function gives other sizes."""

    def __init__(self, given, **own):
        self.given = given
        self.__dict__.update(own)

    def __getattr__(self, name):
        return getattr(self.given, name)


def test_a_family_of_the_same_name_that_needs_more_gets_its_own():
    spaces._kept.clear()
    given = chain("gaussian_full", 3, [9], 3).family
    wider = Changed(given, tile_columns=lambda K, d: given.tile_columns(K, d) + 5)
    more = Changed(given, missing_needs=lambda K, d: (K, given.missing_needs(K, d)[1] + 5))
    sizes = {}
    for name, family in {"given": given, "wider": wider, "more": more}.items():
        with ChainEngine(family, 3, 3, np.float64, True).space("sums", True) as space:
            sizes[name] = len(space.tile.scratch), len(space.missing.y)
    assert sizes["wider"][0] > sizes["given"][0]
    assert sizes["more"][1] > sizes["given"][1]


def test_what_gave_an_alarm_is_kept_for_no_other_fit():
    spaces._kept.clear()
    with engine().space("sums", False) as space:
        space.alarm[0] = 1.0
    assert not spaces._kept


def pieces():
    """Those that are kept."""
    spaces._collect()
    return spaces._pieces


def test_scratch_is_the_smallest_piece_that_is_large_enough():
    pieces().clear()
    with (
        spaces.scratch(PAGE + 1, np.uint8) as two,
        spaces.scratch(spaces.SMALL // 8, np.float64) as one,
    ):
        assert one.shape == (spaces.SMALL // 8,)
        assert one.dtype == np.float64
        assert not np.shares_memory(one, two)
    with spaces.scratch(PAGE, np.uint8) as again, spaces.scratch(PAGE, np.uint8) as other:
        assert np.shares_memory(again, one)
        assert np.shares_memory(other, two)
    with spaces.scratch(3 * PAGE, np.uint8) as three:
        assert not np.shares_memory(three, two)
    assert sorted(map(len, pieces())) == [PAGE, 2 * PAGE, 3 * PAGE]


def test_scratch_that_malloc_has_takes_no_piece():
    pieces().clear()
    with spaces.scratch(spaces.SMALL - 1, np.uint8) as small:
        assert len(small) == spaces.SMALL - 1
    array = spaces.lent_array((spaces.SMALL // 8 - 1,), np.float64)
    del array
    assert not pieces()


def test_few_and_small_pieces_are_kept():
    pieces().clear()
    with spaces.scratch(spaces.MOST_OF_PIECE + 1, np.uint8) as large:
        assert len(large) == spaces.MOST_OF_PIECE + 1
    array = spaces.lent_array((spaces.MOST_OF_PIECE + 1,), np.uint8)
    del array
    with pytest.raises(KeyError), spaces.scratch(spaces.SMALL, np.uint8):
        raise KeyError  # another thread may still write
    assert not pieces()
    most = spaces.ALL_PIECES // PAGE
    with ExitStack() as stack:
        for _ in range(most + 2):
            stack.enter_context(spaces.scratch(spaces.SMALL, np.uint8))
    assert len(pieces()) == most


def test_a_lent_array_goes_back_with_its_last_view():
    pieces().clear()
    array = spaces.lent_array((spaces.SMALL // 24 + 1, 3), np.float64)
    assert array.shape == (spaces.SMALL // 24 + 1, 3)
    assert array.dtype == np.float64
    assert array.flags.c_contiguous
    assert array.flags.writeable
    views = [
        array[5:],
        array.T[1],
        array.ravel().view(np.int64)[:7],
        np.asarray(array[:1], np.float64),
    ]
    place = array.ctypes.data
    del array
    while views:
        assert not pieces()
        other = spaces.lent_array((spaces.SMALL,), np.uint8)  # never what a view is still of
        assert not any(np.shares_memory(view, other) for view in views)
        del other
        pieces().clear()
        views.pop()
    assert [piece.ctypes.data for piece in pieces()] == [place]
    assert spaces.lent_array((spaces.SMALL,), np.uint8).ctypes.data == place


def test_a_result_is_the_users_as_long_as_they_have_it():
    assert spaces.result(LEAST_RESULT - 1, np.uint8).base is None
    n = LEAST_RESULT // 8
    held = spaces.result(n, np.int64)
    place = held.ctypes.data
    other = spaces.result(n, np.int64)
    assert not np.shares_memory(held, other)
    part = held[7:9]
    del held, other
    assert spaces.result(n, np.int64).ctypes.data != place
    pieces().clear()
    del part
    assert spaces.result(n, np.int64).ctypes.data == place


def test_a_result_takes_no_piece_of_more_pages():
    pieces().clear()
    large = spaces.lent_array((LEAST_RESULT + 3 * PAGE,), np.uint8)
    place = large.ctypes.data
    del large
    held = spaces.result(LEAST_RESULT, np.uint8)
    assert held.ctypes.data != place
    assert [piece.ctypes.data for piece in pieces()] == [place]


def test_paths_are_not_written_again():
    rng = np.random.default_rng(0)
    model = CategoricalHMM(2)
    model.startprob_, model.transmat_ = np.full(2, 0.5), np.array([[0.9, 0.1], [0.2, 0.8]])
    model.emissionprob_ = np.array([[0.7, 0.3], [0.1, 0.9]])
    X, lengths = rng.integers(2, size=(LEAST_RESULT // 8, 1)), [100] * (LEAST_RESULT // 800)
    lengths.append(len(X) - sum(lengths))
    kept = [model.predict(X), model.predict(1 - X), model.predict(X, lengths)]
    copies = [path.copy() for path in kept]
    for _ in range(3):
        model.predict(1 - X, lengths)
        model.predict(np.zeros_like(X))
    for path, copy in zip(kept, copies, strict=True):
        assert_bit_identical(path, copy)


def test_symbols_that_are_converted_are_never_those_of_another_call():
    X = np.random.default_rng(0).integers(4, size=(spaces.SMALL // 8, 1))
    model = CategoricalHMM(2, n_iter=1, init_params="", random_state=0)
    model.startprob_, model.transmat_ = np.full(2, 0.5), np.array([[0.9, 0.1], [0.2, 0.8]])
    model.emissionprob_ = np.array([[0.4, 0.3, 0.2, 0.1], [0.1, 0.2, 0.3, 0.4]])
    tables = X, 3 - X, np.roll(X, 1)
    expected = [model.predict(table.astype(np.float64)) for table in tables]
    held = [Observations(table) for table in tables]
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda n: model.predict(tables[n % 3]), range(60)))
    for n, path in enumerate(found):
        assert_bit_identical(path, expected[n % 3])
    for table, observations in zip(tables, held, strict=True):
        assert_bit_identical(observations.part(0, len(table)), table.astype(np.float64))


def test_threads_take_spaces_of_their_own():
    model, given = gaussian(4)
    model.startprob_, model.transmat_ = given.model.start, given.model.transitions
    calls = [
        lambda: model.decode(given.X, LENGTHS)[1],
        lambda: model.predict_proba(given.X, LENGTHS),
    ]
    expected = [call() for call in calls]
    with ThreadPoolExecutor(4) as pool:
        for number, found in enumerate(pool.map(lambda n: calls[n % 2](), range(80))):
            assert_bit_identical(found, expected[number % 2])
