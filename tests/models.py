"""Mixtures for tests: at a start, or a number of EM steps after it."""

from __future__ import annotations

import warnings

from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import GaussianMixture as Peer

from fusem import GaussianMixture
from tests.cases import Case
from tests.reference import Parameters


def model_at(case: Case, start: Parameters, **options) -> GaussianMixture:
    """Return an unfitted mixture that will start from the given parameters."""
    return GaussianMixture(**case.start_arguments(start), **options)


def fit_quietly(model, X, **fit_options):
    """Fit without the warning that a fixed number of iterations did not converge.

    Any other warning stays an error: clean data must not raise one.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return model.fit(X, **fit_options)


def stepped(case: Case, X, steps: int = 3, start: Parameters | None = None, **options):
    """Fit exactly `steps` EM iterations from `start` (the case's own by default)."""
    fit_options = {"sample_weight": options.pop("sample_weight", None)}
    start = case.start(n_features=X.shape[1]) if start is None else start
    return fit_quietly(model_at(case, start, max_iter=steps, tol=0.0, **options), X, **fit_options)


def pair(case, **options):
    """Return fusem's and scikit-learn's mixture with the same parameters."""
    options = {"n_components": 3, "random_state": 0} | options
    options |= {"covariance_type": case.covariance_type}
    return GaussianMixture(**options), Peer(**options)
