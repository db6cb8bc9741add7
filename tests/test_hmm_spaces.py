"""Memory that the process keeps: whatever was in it, results are those of new memory."""

from __future__ import annotations

import numpy as np
import pytest

from fusem.hmm import GaussianHMM, PoissonHMM, spaces
from fusem.hmm.engine import ChainEngine
from tests.comparison import assert_bit_identical
from tests.hmms import chain

LENGTHS = [1500, 3, 150]


def gaussian(n_states):
    given = chain("gaussian_diag", n_states, LENGTHS, 3)
    model = GaussianHMM(n_states, n_iter=2, tol=0.0, init_params="", random_state=0)
    model.means_, model.covars_ = given.model.components.means, np.ones((n_states, 3))
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
            value = method()
            found.setdefault(name, []).append(value if isinstance(value, tuple) else (value,))
    return found


@pytest.mark.parametrize(("made", "n_states"), [(gaussian, 3), (gaussian, 11), (poisson, 6)])
def test_kept_memory_changes_nothing(made, n_states):
    kept, new = results(*made(n_states), keep=True), results(*made(n_states), keep=False)
    for name, values in kept.items():
        for value, expected in zip(values, new[name], strict=True):
            for part, other in zip(value, expected, strict=True):
                assert_bit_identical(np.asarray(part), np.asarray(other))


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


def test_few_and_small_ones_are_kept():
    spaces._kept.clear()
    for d in range(1, spaces.KEPT + 5):
        with engine(d=d).space("sums", True):
            pass
    assert len(spaces._kept) == spaces.KEPT
    spaces._kept.clear()
    large, sorting = engine(n_states=100, d=50), engine(missing=True)
    for made in (large, sorting):
        with made.space("sums", True) as first:
            pass
        with made.space("sums", True) as again:
            assert again.alpha is first.alpha  # the engine has it
    assert not spaces._kept
