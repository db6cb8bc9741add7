"""Comparisons that several tests share. Each has a test that feeds it a bad case."""

from __future__ import annotations

import numpy as np

from tests.reference import Parameters


def parameters_of(model) -> Parameters:
    """Read weights, means and covariances of a fitted mixture, fusem's or scikit-learn's."""
    return Parameters(model.weights_, model.means_, model.covariances_)


def covariance_matrices(params: Parameters, covariance_type: str) -> np.ndarray:
    """Write the covariances of any type as K matrices, (K, d, d)."""
    K, d = params.means.shape
    covariances = np.asarray(params.covariances)
    if covariance_type == "full":
        return covariances
    if covariance_type == "tied":
        return np.tile(covariances, (K, 1, 1))
    if covariance_type == "spherical":
        covariances = np.tile(covariances[:, None], (1, d))
    return covariances[:, :, None] * np.eye(d)


def assert_same_parameters(
    actual: Parameters, expected: Parameters, covariance_type: str, rtol: float
) -> None:
    """Assert that two mixtures agree to `rtol`, each number against the scale that it lives on.

    Weights are compared relative to themselves, means relative to the larger of their size and the
    component's standard deviation, covariances relative to the product of standard deviations.
    """
    for name, one, other in zip(Parameters._fields, actual, expected):
        assert np.shape(one) == np.shape(other), f"{name}: {np.shape(one)} {np.shape(other)}"
    matrices = covariance_matrices(expected, covariance_type)
    sd = np.sqrt(np.diagonal(matrices, axis1=1, axis2=2))
    assert_within(actual.weights, expected.weights, rtol * expected.weights, "weights")
    mean_scale = np.maximum(np.abs(expected.means), sd)
    assert_within(actual.means, expected.means, rtol * mean_scale, "means")
    allowed = rtol * sd[:, :, None] * sd[:, None, :]
    assert_within(covariance_matrices(actual, covariance_type), matrices, allowed, "covariances")


def assert_within(actual, expected, allowed, name: str) -> None:
    """Assert ``|actual - expected| <= allowed`` everywhere (NaN fails), naming the worst place."""
    excess = np.abs(np.asarray(actual) - expected) / allowed
    if not np.all(excess <= 1.0):
        worst = np.unravel_index(np.argmax(np.nan_to_num(excess, nan=np.inf)), excess.shape)
        raise AssertionError(
            f"{name}{list(map(int, worst))} differs by {excess[worst]:.3g} times what is allowed: "
            f"{np.asarray(actual)[worst]!r} against {np.asarray(expected)[worst]!r}"
        )


def assert_bit_identical(actual, expected, name: str = "array") -> None:
    """Assert that two arrays hold the same numbers, every bit, and the same shape and dtype."""
    actual, expected = np.asarray(actual), np.asarray(expected)
    assert actual.dtype == expected.dtype, f"{name}: {actual.dtype} against {expected.dtype}"
    assert actual.shape == expected.shape, f"{name}: {actual.shape} against {expected.shape}"
    if not np.array_equal(actual, expected):
        different = np.flatnonzero((actual != expected).ravel())
        raise AssertionError(
            f"{name}: {different.size} of {actual.size} numbers differ, first at {different[0]}: "
            f"{actual.ravel()[different[0]]!r} against {expected.ravel()[different[0]]!r}"
        )


def assert_same_model(actual, expected) -> None:
    """Assert that two fitted mixtures hold bit-identical results."""
    for name in ("weights_", "means_", "covariances_", "precisions_cholesky_", "lower_bounds_"):
        assert_bit_identical(getattr(actual, name), getattr(expected, name), name)
    assert actual.n_iter_ == expected.n_iter_
    assert actual.converged_ == expected.converged_
    assert actual.lower_bound_ == expected.lower_bound_


def assert_never_falls(log_likelihoods) -> None:
    """Assert that no step loses more log-likelihood than rounding explains (1e-10 relative)."""
    trace = np.asarray(log_likelihoods, dtype=np.float64)
    assert trace.size >= 2, "a trace of one value proves nothing"
    assert np.all(np.isfinite(trace)), "a log-likelihood is not finite"
    steps = np.diff(trace)
    worst = int(np.argmin(steps))
    allowed = 1e-10 * np.max(np.abs(trace))
    assert steps[worst] >= -allowed, f"iteration {worst + 1} loses {-steps[worst]:.3g}"
