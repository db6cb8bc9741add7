"""Mixtures of counts and codes for tests: at a start, or a number of EM steps after it."""

from __future__ import annotations

import numpy as np

import fusem
from tests.cases import CountCase
from tests.comparison import assert_bit_identical
from tests.models import fit_quietly
from tests.reference import CountParameters


def count_model(case: CountCase, start: CountParameters | None = None, **options):
    """Return an unfitted mixture that will start from the given parameters, the case's own by default."""
    start = case.start() if start is None else start
    given = {"weights_init": start.weights, f"{case.parameter}_init": start.values}
    if case.family == "categorical":
        given["n_categories"] = start.values.shape[2]
    return getattr(fusem, case.estimator)(len(start.weights), **given, **options)


def count_stepped(case: CountCase, X, steps: int = 3, start=None, sample_weight=None, **options):
    """Fit exactly `steps` EM iterations."""
    model = count_model(case, start, max_iter=steps, tol=0.0, **options)
    return fit_quietly(model, X, sample_weight=sample_weight)


def count_parameters(case: CountCase, model) -> CountParameters:
    """Read the parameters of a fitted mixture."""
    return CountParameters(model.weights_, getattr(model, f"{case.parameter}_"))


def assert_same_counts(case: CountCase, actual, expected) -> None:
    """Assert that two fitted mixtures hold bit-identical results."""
    for one, other in zip(count_parameters(case, actual), count_parameters(case, expected)):
        assert_bit_identical(one, other)
    assert actual.lower_bounds_ == expected.lower_bounds_
    assert actual.n_iter_ == expected.n_iter_


def assert_close_counts(case: CountCase, actual, expected: CountParameters, rtol: float) -> None:
    """Assert that a fitted mixture has these parameters, to `rtol` of each or of 1."""
    for one, other in zip(count_parameters(case, actual), expected):
        np.testing.assert_allclose(one, other, rtol=rtol, atol=rtol)
