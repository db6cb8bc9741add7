"""Shifted and scaled data fit as well, hard columns keep their digits, far points are finite."""

from __future__ import annotations

import json
import warnings
from pathlib import Path

import mpmath
import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning

import fusem
from tests.cases import CASES
from tests.comparison import assert_same_parameters, assert_within, parameters_of
from tests.models import fit_quietly, model_at, stepped
from tests.reference import Parameters

by_type = pytest.mark.parametrize("case", CASES, ids=lambda case: case.covariance_type)

GRID = 2.0**-10  # rows are multiples of it, so that adding an offset up to 2^42 rounds nothing
OFFSETS = [1e4, -1e6, 1e8]
SCALES = [2.0**-490, 2.0**-330, 2.0**-27, 2.0**10, 2.0**330, 2.0**490]

NUMACC = json.loads((Path(__file__).parent / "data" / "numacc.json").read_text(encoding="utf-8"))


def on_grid(values):
    return np.round(np.asarray(values) / GRID) * GRID


def grid_case(case):
    """Return rows and start parameters on the binary grid."""
    start = case.start()
    return on_grid(case.data()), start._replace(means=on_grid(start.means))


def moved(case, start: Parameters, offset=0.0, scale=1.0) -> Parameters:
    """Start parameters of rows that are scaled and then shifted."""
    return Parameters(start.weights, start.means * scale + offset, start.covariances * scale**2)


def fit(case, X, start, **options):
    options = {"reg_covar": 0.0, "tol": 1e-8, "max_iter": 500} | options
    return model_at(case, start, **options).fit(X)


@by_type
@pytest.mark.parametrize("offset", OFFSETS)
@pytest.mark.parametrize("reg_covar", [0.0, "auto"])
def test_shift_costs_nothing(case, offset, reg_covar):
    X, start = grid_case(case)
    home = fit(case, X, start, reg_covar=reg_covar)
    away = fit(case, X + offset, moved(case, start, offset=offset), reg_covar=reg_covar)
    assert away.n_iter_ == home.n_iter_
    assert away.lower_bound_ == pytest.approx(home.lower_bound_, abs=1e-9)
    assert away.score(X + offset) == pytest.approx(home.score(X), abs=1e-9)
    # Means are stored as float64: they, and each row's own density, know no more than that.
    last_bit = np.spacing(abs(offset))
    back = parameters_of(away)._replace(means=away.means_ - offset)
    tolerance = max(1e-9, 10 * last_bit)
    assert_same_parameters(back, parameters_of(home), case.covariance_type, tolerance)


@by_type
@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("reg_covar", [0.0, "auto"])
def test_scale_costs_nothing(case, scale, reg_covar):
    X, start = grid_case(case)
    home = fit(case, X, start, reg_covar=reg_covar)
    away = fit(case, X * scale, moved(case, start, scale=scale), reg_covar=reg_covar)
    assert away.n_iter_ == home.n_iter_
    jacobian = X.shape[1] * np.log(scale)
    np.testing.assert_allclose(
        np.add(away.lower_bounds_, jacobian), home.lower_bounds_, rtol=0, atol=1e-9
    )
    np.testing.assert_allclose(
        away.score_samples(X * scale) + jacobian, home.score_samples(X), rtol=0, atol=1e-9
    )
    back = Parameters(away.weights_, away.means_ / scale, away.covariances_ / scale / scale)
    assert_same_parameters(back, parameters_of(home), case.covariance_type, 1e-9)
    for name in ("precisions_", "precisions_cholesky_"):
        assert np.all(np.isfinite(getattr(away, name)))


@pytest.mark.parametrize("case", CASES[:3], ids=lambda case: case.covariance_type)
@pytest.mark.parametrize("reg_covar", [0.0, "auto"])
def test_scale_of_each_column_costs_nothing(case, reg_covar):
    """Not for spherical covariances: one variance for all columns has no meaning across units."""
    X, start = grid_case(case)
    units = 2.0 ** np.array([-27, 27, 0, 300])
    covariances = start.covariances * (
        units**2 if case.covariance_type == "diag" else np.outer(units, units)
    )
    home = fit(case, X, start, reg_covar=reg_covar)
    away = fit(
        case,
        X * units,
        Parameters(start.weights, start.means * units, covariances),
        reg_covar=reg_covar,
    )
    jacobian = np.log(units).sum()
    assert away.n_iter_ == home.n_iter_
    np.testing.assert_allclose(
        np.add(away.lower_bounds_, jacobian), home.lower_bounds_, rtol=0, atol=1e-9
    )


@by_type
@pytest.mark.parametrize("offset", [0.0, *OFFSETS])
def test_rows_far_from_the_origin_have_exact_densities(case, offset):
    """Each row's log-likelihood, against the model's own parameters evaluated in 60 digits."""
    X, start = grid_case(case)
    model = fit(case, X + offset, moved(case, start, offset=offset))
    rows = (X + offset)[:: len(X) // 12]
    expected = [exact_log_likelihood(case, model, row) for row in rows]
    assert_within(model.score_samples(rows), expected, 1e-9, "score_samples")


def exact_log_likelihood(case, model, row) -> float:
    """Log-likelihood of one row at the model's covariances, in 60 digits."""
    d = len(row)
    with mpmath.workdps(60):
        total = mpmath.mpf(0)
        for k, weight in enumerate(model.weights_):
            covariance = model.covariances_
            covariance = covariance if case.covariance_type == "tied" else covariance[k]
            if case.covariance_type in ("diag", "spherical"):
                covariance = np.diag(np.broadcast_to(covariance, d))
            matrix = mpmath.matrix(covariance.tolist())
            diff = mpmath.matrix(
                [mpmath.mpf(x) - mpmath.mpf(m) for x, m in zip(row, model.means_[k])]
            )
            square = (diff.T * mpmath.inverse(matrix) * diff)[0]
            scale = mpmath.sqrt((2 * mpmath.pi) ** d * mpmath.det(matrix))
            total += mpmath.mpf(weight) * mpmath.exp(-square / 2) / scale
        return float(mpmath.log(total))


@by_type
@pytest.mark.parametrize(
    ("dtype", "apart", "allowed"),
    [
        (np.float64, 1e3, 1e-9),
        (np.float64, 1e6, 1e-9),
        (np.float32, 1e2, 1e-5),
        (np.float32, 1e3, 1e-5),
        (np.float32, 1e4, 1e-5),
    ],
)
def test_components_far_apart_have_exact_densities(case, dtype, apart, allowed):
    """The distance between components, in standard deviations, is no offset either."""
    rng = np.random.default_rng(0)
    rows = on_grid(rng.standard_normal((300, 2)))
    rows[150:] += apart
    rows = rows.astype(dtype)
    start = case.start(2, 2)._replace(means=np.array([[0.0, 0.0], [apart, apart]]))
    model = stepped(case, rows, steps=2, start=start)
    expected = case.twin.log_likelihoods(rows.astype(np.float64), parameters_of(model))
    assert_within(
        model.score_samples(rows), expected, allowed * (1.0 + np.abs(expected)), "score_samples"
    )


@by_type
@pytest.mark.parametrize("init_params", ["kmeans", "k-means++"])
@pytest.mark.parametrize("scale", [2.0**-330, 2.0**330])
@pytest.mark.filterwarnings("ignore::fusem.exceptions.FusemWarning")
def test_start_is_free_of_scale(case, init_params, scale):
    X, _ = grid_case(case)
    options = {"n_components": 3, "covariance_type": case.covariance_type, "max_iter": 5}
    options |= {"random_state": 1, "reg_covar": "auto", "init_params": init_params, "tol": 0.0}
    home = fit_quietly(fusem.GaussianMixture(**options), X)
    away = fit_quietly(fusem.GaussianMixture(**options), X * scale)
    jacobian = X.shape[1] * np.log(scale)
    np.testing.assert_allclose(
        np.add(away.lower_bounds_, jacobian), home.lower_bounds_, rtol=0, atol=1e-9
    )


@by_type
@pytest.mark.parametrize("init_params", ["kmeans", "k-means++", "random", "random_from_data"])
@pytest.mark.parametrize("scale", [2.0**-90, 2.0**90])
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_float32_start_is_free_of_scale(case, init_params, scale):
    """In float32 squares overflow at 1.8e19, and are lost below 1e-23: k-means must not see them."""
    rows = case.data(400, n_components=2, n_features=3, dtype=np.float32)
    options = {"n_components": 2, "covariance_type": case.covariance_type, "random_state": 0}
    options |= {"reg_covar": "auto", "init_params": init_params}
    home = fusem.GaussianMixture(**options).fit(rows)
    away = fusem.GaussianMixture(**options).fit((rows * scale).astype(np.float32))
    jacobian = rows.shape[1] * np.log(scale)
    assert away.lower_bound_ + jacobian == pytest.approx(home.lower_bound_, abs=1e-5)


def digits(value: float, truth: float) -> float:
    """Return the number of correct significant digits (NIST's log relative error), at most 17."""
    error = abs(value - truth) / abs(truth)
    return 17.0 if error == 0.0 else -np.log10(error)


def test_digits_counts():
    assert digits(0.1, 0.1) == 17.0
    assert digits(0.10001, 0.1) == pytest.approx(4.0, abs=1e-6)
    assert digits(-0.1, 0.1) < 0.0


@by_type
@pytest.mark.parametrize("name", ["NumAcc1", "NumAcc2", "NumAcc3", "NumAcc4"])
def test_nist_columns_keep_their_digits(case, name):
    column = NUMACC["columns"][name]
    x = np.array(column["x"], dtype=np.float64)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", fusem.FewRowsWarning)
        model = fusem.GaussianMixture(1, covariance_type=case.covariance_type, reg_covar=0.0).fit(x)
    variance = float(np.ravel(model.covariances_)[0])
    sd = np.sqrt(variance * len(x) / (len(x) - 1))
    assert digits(sd, column["sd"]) >= column["attainable_digits_of_sd"] - 1.0
    assert digits(float(model.means_[0, 0]), column["mean"]) >= 14.0


@by_type
@pytest.mark.parametrize("offset", [1e3, 1e4])
def test_float32_far_from_the_origin_loses_what_rounding_loses(case, offset):
    """The error of a float32 fit is no larger than that of rounding the rows to float32."""
    X = case.data()
    start = case.start()
    start = start._replace(means=start.means + offset)
    exact = fit(case, X + offset, start)
    rounded = (X + offset).astype(np.float32)
    ours = fit(case, rounded, start)
    theirs = fit(case, rounded.astype(np.float64), start)
    rounding = root_mean_square(
        theirs.score_samples(rounded.astype(np.float64)) - exact.score_samples(X + offset)
    )
    error = root_mean_square(
        ours.score_samples(rounded) - theirs.score_samples(rounded.astype(np.float64))
    )
    assert error <= rounding
    assert ours.score(rounded) == pytest.approx(exact.score(X + offset), abs=1e-4 * offset / 1e4)


def root_mean_square(values) -> float:
    return float(np.sqrt(np.mean(np.square(values))))


FAR = np.array(
    [
        [1e160, 0.0],
        [0.0, -1e160],
        [1e160, 1e160],
        [-1e160, 1e160],
        [1e200, 1e-200],
        [1e300, -1e300],
        [1e155, 3.0],
        [1.7e308, 1.7e308],
        [1e20, 0.0],
        [0.0, 0.0],
    ]
)


@by_type
def test_far_rows_have_posteriors(case):
    X = case.data(500, n_components=2, n_features=2)
    model = stepped(case, X, start=case.start(2, 2))
    proba = model.predict_proba(FAR)
    assert np.all(np.isfinite(proba))
    np.testing.assert_allclose(proba.sum(axis=1), 1.0, rtol=1e-12)
    np.testing.assert_array_equal(model.predict(FAR), proba.argmax(axis=1))
    density = model.score_samples(FAR)
    assert not np.any(np.isnan(density))
    assert np.all(density <= 0.0)


@pytest.mark.parametrize(
    "case", [CASES[0], *CASES[2:]], ids=lambda case: case.covariance_type
)  # of tied components none is wider
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_wider_component_owns_the_far_rows(case, dtype):
    K, d = 2, 2
    start = Parameters(np.array([0.9, 0.1]), np.zeros((K, d)), case.start(K, d).covariances)
    for k, variance in enumerate((1.0, 4.0)):
        start.covariances[k] = variance * (np.eye(d) if case.covariance_type == "full" else 1.0)
    model = fit_quietly(model_at(case, start, max_iter=0), case.data(100, K, d))
    far = np.array([[1e160, 0.0], [1e30, 1e30], [-1e18, 0.0]])
    far = np.clip(far, -1e37, 1e37).astype(np.float32) if dtype is np.float32 else far
    np.testing.assert_array_equal(model.predict_proba(far), [[0.0, 1.0]] * 3)


@by_type
def test_converges_where_it_says(case):
    """The fit stops at a change below `tol`, and not because of a fall."""
    X, start = grid_case(case)
    with warnings.catch_warnings():
        warnings.simplefilter("error", ConvergenceWarning)
        model = fit(case, X, start, tol=1e-6)
    changes = np.diff(model.lower_bounds_)
    assert 0.0 <= changes[-1] < 1e-6
    assert np.all(changes[:-1] >= 1e-6)
