"""A fit that fails or is interrupted leaves the estimator as it was."""

from __future__ import annotations

import copy

import numpy as np
import pytest
from sklearn.exceptions import NotFittedError

import fusem
from tests.cases import CASES
from tests.models import fit_quietly
from tests.sources import cut

by_type = pytest.mark.parametrize("case", CASES, ids=lambda case: case.covariance_type)

X = CASES[0].data(200, n_components=2, n_features=3)


def spoilt(value) -> np.ndarray:
    rows = X.copy()
    rows[117, 2] = value
    return rows


def mixture(case=CASES[0], **options):
    return fusem.GaussianMixture(2, covariance_type=case.covariance_type, random_state=0, **options)


def deep_equal(one, other) -> bool:
    """Compare values of `__dict__` deep: arrays by bits, everything else by equality."""
    if isinstance(one, np.ndarray) or isinstance(other, np.ndarray):
        same_kind = type(one) is type(other) and one.dtype == other.dtype
        return same_kind and np.array_equal(one, other, equal_nan=one.dtype.kind == "f")
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(deep_equal(one[k], other[k]) for k in one)
    if isinstance(one, (list, tuple)):
        return len(one) == len(other) and all(map(deep_equal, one, other))
    return type(one) is type(other) and (one == other or states_equal(one, other))


def states_equal(one, other) -> bool:
    return hasattr(one, "__dict__") and deep_equal(vars(one), vars(other))


def test_deep_equal_sees_a_difference():
    model = mixture().fit(X)
    assert deep_equal(model.__dict__, copy.deepcopy(model).__dict__)
    for spoil in ("means", "lower", "history"):
        other = copy.deepcopy(model)
        if spoil == "means":
            other.means_ = np.nextafter(other.means_, 9.0)
        elif spoil == "lower":
            other.lower_bound_ += 1e-9
        else:
            other.history_["seconds"][0] += 1.0
        assert not deep_equal(model.__dict__, other.__dict__), spoil


def interrupting(rows, after: int, error):
    """Return a source that raises in the middle of a later pass."""
    passes = []

    def chunks():
        passes.append(1)
        for number, chunk in enumerate(cut(rows, [64])):
            if len(passes) > after and number == 1:
                raise error
            yield chunk

    return chunks


@by_type
@pytest.mark.parametrize(
    "break_it",
    [
        lambda model: model.fit(spoilt(np.inf)),
        lambda model: model.fit(spoilt(1e300)),
        lambda model: model.fit(X[:1]),
        lambda model: model.fit(X[:, :2], sample_weight=-np.ones(len(X))),
        lambda model: model.fit(np.zeros((30, 2), dtype=complex)),
        lambda model: model.fit(np.empty((0, 7))),
        lambda model: model.fit([X[:, :2], X]),
        lambda model: model.fit(interrupting(X[:, :2], 3, OSError("disk"))),
        lambda model: model.fit(interrupting(X[:, :2], 3, KeyboardInterrupt())),
        lambda model: model._fit(X[:, :2], on_iteration=raise_interrupt),
        lambda model: model.set_params(reg_covar=0.0).fit(np.ones((50, 2))),
        lambda model: model.set_params(max_iter=-1).fit(X[:, :2]),
        lambda model: model.set_params(weights_init=[2.0, 3.0]).fit(X[:, :2]),
        lambda model: model.update(mixture().fit(X).statistics(X)),
    ],
    ids=[
        "infinity",
        "overflow",
        "one row",
        "weights",
        "complex",
        "empty",
        "chunk width",
        "source error",
        "source interrupt",
        "interrupt",
        "singular",
        "parameter",
        "weights_init",
        "foreign statistic",
    ],
)
@pytest.mark.filterwarnings("ignore:Number of distinct clusters")
def test_failed_fit_leaves_the_fitted_model_untouched(case, break_it):
    model = fit_quietly(mixture(case, tol=0.0, max_iter=7), X)
    before = copy.deepcopy(model.__dict__)
    with pytest.raises((ValueError, OSError, KeyboardInterrupt)):
        break_it(model)
    after = dict(model.__dict__)
    for name in model.get_params():  # the caller may have set parameters before the failing call
        before.pop(name), after.pop(name)
    assert deep_equal(after, before)


def raise_interrupt(record) -> None:
    if record.iteration == 2:
        raise KeyboardInterrupt


@by_type
def test_failed_first_fit_leaves_an_unfitted_model(case):
    model = mixture(case)
    before = copy.deepcopy(model.__dict__)
    with pytest.raises(ValueError, match="infinity"):
        model.fit(spoilt(np.inf))
    assert deep_equal(model.__dict__, before)
    with pytest.raises(NotFittedError):
        model.predict(X)


def test_a_warning_that_is_an_error_leaves_the_model_untouched():
    model = fusem.GaussianMixture(2, random_state=0).fit(np.r_[X, X + 9.0])
    means = model.means_.copy()
    with pytest.raises(fusem.ConstantColumnWarning):  # warnings are errors in tests
        model.fit(np.c_[X[:, 0] + 5.0, np.ones(len(X))])
    np.testing.assert_array_equal(model.means_, means)
