"""The compiled building blocks, each against plain NumPy."""

import numpy as np
import pytest
from numba import njit
from scipy.special import logsumexp

from fusem.data import open_rows
from fusem.em.subsample import keys, subsample
from fusem.em.tree import Tree
from fusem.em.values import what_is_in
from fusem.kernels import axes, exp_log, posterior, tile, whiten
from fusem.kernels.policy import OPTIONS
from fusem.kernels.scan_finite import FINITE, INFINITE, MISSING, scan_finite
from fusem.kernels.simd import lanes, load, store
from fusem.kernels.tile import LEAF, PADDING, aligned, tile_rows
from tests import reference

compiled = njit(**OPTIONS)


def called(helper):
    """A helper as Python can call it."""
    return compiled(helper.py_func)


whiten_tile, scatter = called(whiten.whiten), called(whiten.scatter)
two_moments, weight_total = called(axes.two_moments), called(axes.weight_total)
posterior_of = called(posterior.posterior)
load_rows, gather_rows = called(tile.load_rows), called(tile.gather_rows)
clear = called(tile.clear)
close_leaf, fold = called(tile.close_leaf), called(tile.fold)

TILE = 64
STRIDE = TILE + PADDING
DTYPES = [np.float64, np.float32]
BOUND = {np.float64: 1e-13, np.float32: 3e-5}


@compiled
def exp_of(x, out):
    for i in range(0, x.size, lanes(x)):
        store(out, i, exp_log.exp(load(x, i)))


@compiled
def log_of(x, out):
    for i in range(0, x.size, lanes(x)):
        store(out, i, exp_log.log(load(x, i)))


@compiled
def lanes_of(x):
    return lanes(x)


def ulps(got, expected):
    return np.max(np.abs(got - expected) / np.spacing(np.abs(expected)))


def test_exp_is_within_two_units_in_the_last_place():
    x = np.concatenate([np.linspace(-707.9, 709.0, 200_000), [0.0, -0.0, 1.0, -46.0] * 8])
    x = x[: len(x) // 64 * 64]
    out = np.empty_like(x)
    exp_of(x, out)
    assert ulps(out, np.exp(x)) <= 2.0
    x[:] = -1e300
    exp_of(x, out)
    assert np.all((out > 0.0) & (out < 1e-300))


def test_exp_of_float32_is_within_two_units_in_the_last_place():
    x = np.concatenate([np.linspace(-86.9, 88.0, 199_968), [0.0, -0.0, 1.0, -46.0] * 8])
    x = x.astype(np.float32)
    out = np.empty_like(x)
    exp_of(x, out)
    expected = np.exp(x.astype(np.float64)).astype(np.float32)
    assert ulps(out, expected) <= 2.0
    assert ulps(np.nextafter(expected, np.float32(np.inf)), expected) == 1.0
    x[:] = -1e30
    exp_of(x, out)
    assert np.all((out > 0.0) & (out < 2e-38))


def test_log_is_within_two_units_in_the_last_place():
    rng = np.random.default_rng(0)
    near_one = 1.0 + rng.uniform(-1e-3, 1e-3, 64_000)
    wide = np.exp(rng.uniform(-700, 700, 64_000))
    for x in (near_one, wide, rng.uniform(1.0, 64.0, 64_000)):
        out = np.empty_like(x)
        log_of(x, out)
        keep = np.abs(np.log(x)) > 0.0
        assert ulps(out[keep], np.log(x)[keep]) <= 2.0
    out = np.empty(64)
    log_of(np.ones(64), out)
    assert np.all(out == 0.0)


def tile_of(values, dtype):
    """A (columns × rows) matrix as a flat tile."""
    flat = aligned(values.size, dtype)
    strip = 4 * lanes_of(flat)
    flat[:] = values.reshape(len(values), -1, strip).swapaxes(0, 1).ravel()
    return flat


def columns_of(flat, d):
    """A flat tile as a (columns × rows) matrix."""
    return flat.reshape(-1, d, 4 * lanes_of(flat)).swapaxes(0, 1).reshape(d, -1)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("d", [1, 2, 3, 4, 5, 7, 8, 9, 16])
def test_whiten_and_scatter(d, dtype):
    rng = np.random.default_rng(d)
    x = rng.normal(size=(d, TILE)).astype(dtype)
    mean, matrix = rng.normal(size=d), np.tril(rng.normal(size=(d, d)))
    weights = rng.random(TILE)
    high = mean.astype(dtype)
    low = (mean - high).astype(dtype)
    y, logp = aligned(d * TILE, dtype), aligned(TILE, np.float64)
    for r in range(0, TILE, 4 * lanes_of(y)):
        whiten_tile(
            tile_of(x, dtype), high, low, 0, matrix.astype(dtype).ravel(), 0, y, 0,
            1.25, logp, 0, r, d,
        )  # fmt: skip
    expected = matrix @ (x - mean[:, None])
    np.testing.assert_allclose(columns_of(y, d), expected, atol=BOUND[dtype] * 10)
    np.testing.assert_allclose(
        logp, 1.25 - 0.5 * (expected**2).sum(axis=0), rtol=BOUND[dtype], atol=BOUND[dtype]
    )

    stats = np.zeros(d + d * (d + 1) // 2)
    scatter(y, 0, weights.astype(dtype), 0, aligned(4 * TILE, dtype), stats, 0, d, d, TILE)
    np.testing.assert_allclose(stats[:d], expected @ weights, atol=BOUND[dtype] * 100)
    lower = ((expected * weights) @ expected.T)[np.tril_indices(d)]
    np.testing.assert_allclose(stats[d:], lower, atol=BOUND[dtype] * 300)


@pytest.mark.parametrize("dtype", DTYPES)
def test_moments_along_the_axes(dtype):
    rng = np.random.default_rng(0)
    d = 3
    x, weights = rng.normal(size=(d, TILE)), rng.random(TILE).astype(dtype)
    centre, scale = rng.normal(size=d).astype(dtype), rng.random(d).astype(dtype)
    nothing, stats = np.zeros(d, dtype), np.zeros(2 * d)
    two_moments(tile_of(x, dtype), centre, nothing, scale, weights, stats, 0, d, d, 1, TILE, STRIDE)
    z = (x.astype(dtype).astype(float) - centre[:, None]) * scale[:, None]
    np.testing.assert_allclose(stats[:d], z @ weights, rtol=BOUND[dtype] * 10)
    np.testing.assert_allclose(stats[d:], z**2 @ weights, rtol=BOUND[dtype] * 10)
    assert weight_total(weights, 0, TILE) == pytest.approx(weights.sum(), rel=BOUND[dtype])


@pytest.mark.parametrize("kinds", [(np.float64,) * 2, (np.float32,) * 2, (np.float64, np.float32)])
@pytest.mark.parametrize(("K", "alike"), [(1, 0), (2, 0), (2, 40), (7, 40), (500, 512)])
@pytest.mark.parametrize("ones", [0, 505, 512])
def test_posterior(K, alike, kinds, ones):
    """Rows of weight 1, then others; those of padded lanes weigh nothing."""
    rows, (kind, dtype), rng = 512, kinds, np.random.default_rng(K)
    logp = (rng.normal(size=(K, rows)) * 30.0).astype(kind).astype(float)
    logp[:, :alike] = logp[0, :alike]  # as likely in all components: the largest masses there are
    weights = rng.random(rows)
    weights[-3:] = 0.0
    weights[:ones] = 1.0
    w = np.where(
        np.arange(rows) < ones - ones % 64, np.nan, weights
    )  # of whole strips it is not read
    resp = aligned(K * (rows + PADDING), dtype)
    given = np.pad(logp, ((0, 0), (0, PADDING))).astype(kind).ravel()
    total = posterior_of(given, w, resp, K, rows, rows + PADDING, ones, 0, 0)
    evidence = logsumexp(logp, axis=0)
    assert total == pytest.approx(weights @ evidence, rel=1e-13 if kind == np.float64 else 1e-6)
    expected = np.exp(logp - evidence) * weights
    found = resp.reshape(K, rows + PADDING)[:, :rows]
    np.testing.assert_allclose(found, expected, rtol=BOUND[dtype], atol=1e-19)
    negligible = logp - logp.max(axis=0) < -46.0
    assert np.all(found[negligible] == 0.0)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("n", [0, 1, 63, 64, 1000])
def test_what_is_not_finite(n, dtype):
    values = np.linspace(-1.0, 1.0, n).astype(dtype)
    values[: n // 2] *= np.finfo(dtype).max  # their squares overflow, but they are numbers
    assert scan_finite[dtype](values) == FINITE
    for i in {0, n // 2, n - 1} if n else ():
        for wrong, found in ((np.nan, MISSING), (np.inf, INFINITE), (-np.inf, INFINITE)):
            other = values.copy()
            other[i] = wrong
            assert scan_finite[dtype](other) == found
            other[n // 3] = np.nan
            assert scan_finite[dtype](other) == (found if i != n // 3 else MISSING)


def test_what_is_not_finite_in_rows_of_any_strides():
    X = np.zeros((70, 3))
    X[5, 1] = np.nan
    fixed = X.copy()
    fixed.flags.writeable = False
    for rows, found in (
        (X, MISSING),
        (fixed, MISSING),
        (X[1::2, ::-1], MISSING),
        (X[::2].T, FINITE),
    ):
        assert what_is_in(rows) == found
    X[5, 0] = -np.inf
    assert what_is_in(X) == what_is_in(X[1::2, ::-1]) == INFINITE


@pytest.mark.parametrize("d", [3, 4, 6, 7, 8, 11])
@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("dtype", DTYPES)
def test_chosen_rows_are_gathered(d, order, dtype):
    X = np.asarray(np.arange(100.0 * d).reshape(100, d), dtype=dtype, order=order)
    chosen = np.random.default_rng(0).permutation(100).astype(np.int32)
    x = aligned(d * TILE, dtype)
    gather_rows(X.ctypes.data, *X.strides, chosen, 5, x, d, 32)
    np.testing.assert_array_equal(columns_of(x, d)[:, :32], X[chosen[5:37]].T)


ORDERS = {
    "C": lambda X: X,
    "F": np.asfortranarray,
    "backwards": lambda X: X[::2, ::-1],
    "narrowed": lambda X: np.hstack([X, X])[:, : X.shape[1]],
}


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("d", [1, 2, 3, 4, 5, 7, 8, 9, 16, 19])
@pytest.mark.parametrize(
    ("dtype", "kind"), [(np.float64,) * 2, (np.float32,) * 2, (np.float32, float)]
)
def test_load_rows_pads_with_the_first_row(order, d, dtype, kind):
    X = ORDERS[order](np.arange(100.0 * d).reshape(100, d).astype(dtype))
    x = aligned(X.shape[1] * TILE, kind)
    load_rows(X.ctypes.data, *X.strides, X, 5, 29, x, X.shape[1], TILE)
    found = columns_of(x, X.shape[1])
    np.testing.assert_array_equal(found[:, :29], X[5:34].T)
    np.testing.assert_array_equal(found[:, 29:], np.repeat(X[5:6].T, TILE - 29, axis=1))


def test_tiles_divide_a_leaf_and_are_whole_strips():
    widest = 4 * 64  # bytes of a strip: four vectors
    shapes = {tile_rows(columns, np.float64) for columns in range(1, 10_000)}
    assert shapes == {256, 128, 64}
    for columns in (1, 20, 21, 40, 41, 64, 65, 100, 1000, 1025, 2049, 10_000):
        for dtype in (np.float64, np.float32):
            rows = tile_rows(columns, dtype)
            assert LEAF % rows == 0
            assert rows * np.dtype(dtype).itemsize % widest == 0


@pytest.mark.parametrize("leaves", [0, 1, 2, 3, 5, 8, 13, 64])
def test_leaves_merge_as_the_reference_tree(leaves):
    rng = np.random.default_rng(leaves)
    values = rng.normal(size=(leaves, 2)) * 10.0 ** rng.integers(-8, 8, size=(leaves, 1))
    tree, out, nodes = np.zeros(2 * 20), np.full(2, np.nan), 0
    for leaf, value in enumerate(values):
        stats, start = clear(tree, out, nodes, 2)
        stats[start : start + 2] = value
        nodes = close_leaf(tree, out, leaf, nodes, 2)
    fold(tree, out, nodes, 2)
    expected = reference.tree_sum(list(values)) if leaves else np.zeros(2)
    np.testing.assert_array_equal(out, expected)

    for run in (1, 2, 4):  # the same bits from segments of any power of two, in any order
        upper = Tree(2)
        parts = [reference.tree_sum(list(values[i : i + run])) for i in range(0, leaves, run)]
        for i in rng.permutation(len(parts)):
            upper.add(int(i), parts[i].copy())
        assert np.array_equal(expected, upper.total()) if leaves else upper.total() is None


def test_a_subsample_depends_on_row_numbers_alone():
    X = np.arange(200_000.0).reshape(-1, 1)
    chosen, _ = subsample(open_rows(X), None, 500, seed=7)
    chunks = open_rows([X[:1], X[1:77_777], X[77_777:]])
    np.testing.assert_array_equal(chosen, subsample(chunks, None, 500, seed=7)[0])
    assert len(np.unique(chosen)) == 500
    assert np.all(np.diff(chosen[:, 0]) > 0)
    assert not np.array_equal(chosen, subsample(open_rows(X), None, 500, seed=8)[0])
    assert 80_000 < chosen.mean() < 120_000


def test_a_subsample_has_no_row_of_weight_zero():
    X = np.arange(5000.0).reshape(-1, 1)
    weights = (np.arange(5000) % 3 == 0).astype(float)
    chosen, kept = subsample(open_rows(X), open_rows(weights), 400, seed=0)
    assert np.all(chosen[:, 0] % 3 == 0)
    assert np.all(kept == 1.0)


def test_keys_belong_to_row_numbers():
    whole = keys(3, 0, 4096)
    np.testing.assert_array_equal(whole[1024:2048], keys(3, 1024, 1024))


def test_a_tree_uses_memory_again():
    """As many statistics as wait at a time, not one for every segment."""
    tree, seen = Tree(1), set()
    for segment in range(64):
        statistic = tree.blank()
        seen.add(statistic.ctypes.data)
        statistic[:] = segment
        tree.add(segment, statistic)
    assert len(seen) <= 8
    assert tree.total() == [sum(range(64))]
