"""Hidden Markov models for tests: parameters of any family and size, rows, what the twin makes of them."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from fusem.em.tree import Tree
from fusem.em.workers import Workers
from fusem.families import categorical, multinomial, poisson
from fusem.families.registry import FAMILIES
from fusem.hmm.engine import ChainEngine, ChainModel, ChainStatistic
from fusem.hmm.forward_backward import Pass
from fusem.hmm.observations import Observations
from tests.reference import TWINS, CountParameters, Parameters
from tests.reference_hmm import smoothed

GAUSSIANS = ("gaussian_diag", "gaussian_full", "gaussian_tied", "gaussian_spherical")


class Chain(NamedTuple):
    """A model, the twin's parameters of its states, and rows of it."""

    family: Any
    model: ChainModel
    emission: Any
    X: np.ndarray
    lengths: np.ndarray


def chain(name: str, n_states: int, lengths, d: int = 2, seed: int = 0) -> Chain:
    """Draw a model and rows; states overlap."""
    rng = np.random.default_rng([seed, n_states, d])
    start, moves = rng.dirichlet(np.ones(n_states)), rng.dirichlet(np.ones(n_states), n_states)
    lengths = np.asarray(lengths)
    n = int(lengths.sum())
    states, weights = rng.integers(n_states, size=n), np.full(n_states, 1.0 / n_states)
    if name in GAUSSIANS:
        family = FAMILIES[name]
        means = 2.0 * rng.standard_normal((n_states, d))
        covariances = {
            "gaussian_diag": rng.uniform(0.5, 2.0, (n_states, d)),
            "gaussian_full": np.eye(d) + 0.3 * np.ones((n_states, d, d)),
            "gaussian_tied": np.eye(d) + 0.3 * np.ones((d, d)),
            "gaussian_spherical": rng.uniform(0.5, 2.0, n_states),
        }[name]
        components = family.from_covariances(means, covariances)
        emission: Any = Parameters(weights, means, covariances)
        X = means[states] + rng.standard_normal((n, d))
    elif name == "poisson":
        rates = rng.uniform(1.0, 9.0, (n_states, d))
        family, components = poisson, poisson.Params(rates)
        emission, X = CountParameters(weights, rates), rng.poisson(rates[states]).astype(float)
    elif name == "multinomial":
        chances = rng.dirichlet(np.ones(d), n_states)
        family, components = multinomial, multinomial.Params(chances)
        emission = CountParameters(weights, chances)
        X = np.array([rng.multinomial(5, chances[k]) for k in states], dtype=float)
    else:
        family = categorical.of(5)
        chances = rng.dirichlet(np.ones(5), (n_states, 1))
        components, emission = categorical.Params(chances), CountParameters(weights, chances)
        X = np.array([[rng.choice(5, p=chances[k, 0])] for k in states], dtype=float)
    return Chain(family, ChainModel(start, moves, components), emission, X, lengths)


def densities(given: Chain) -> np.ndarray:
    """Log-densities of the rows by the twin, (n, K)."""
    return TWINS[given.family.NAME].log_density(given.X, given.emission)


def expected(given: Chain, weights=None):
    """Log-likelihoods, probabilities of the states, weighted starts and moves by the twin."""
    ends = np.cumsum(given.lengths)
    weights = np.ones(len(ends)) if weights is None else weights
    parts = [
        smoothed(given.model.start, given.model.transitions, part)
        for part in np.split(densities(given), ends[:-1])
    ]
    moves = sum(w * part[2] for w, part in zip(weights, parts, strict=True))
    starts = sum(w * part[1][0] for w, part in zip(weights, parts, strict=True))
    return np.array([part[0] for part in parts]), np.vstack([p[1] for p in parts]), starts, moves


def run(
    given: Chain, weights=None, n_jobs: int = 1, logarithms: bool = False, unit: int | None = None
) -> tuple[ChainStatistic, Pass]:
    """The statistic of one pass in one arithmetic, and the pass; it says whether anything gave an alarm."""
    workers = Workers(n_jobs)
    engine, arguments = engine_and(given, weights, workers)
    work, tree = Pass(*arguments, logarithms), Tree(engine.size)
    if unit is not None:
        work.unit = unit
    work.messages()
    firsts = range(0, work.layout.n_blocks, work.unit)
    work.alarm |= bool(work.segments(tree, None, firsts))
    total = tree.total()
    return engine.view(np.zeros(engine.size) if total is None else total), work


def engine_and(given: Chain, weights, workers) -> tuple[ChainEngine, tuple[Any, ...]]:
    """An engine, and what a pass takes."""
    observations = Observations(given.X, given.lengths)
    K, d = len(given.model.start), given.X.shape[1]
    engine = ChainEngine(given.family, K, d, observations.dtype, bool(np.isnan(given.X).any()))
    weights = np.ones(len(given.lengths)) if weights is None else weights
    layout = engine.layout(observations.lengths)
    return engine, (engine, given.model, observations, layout, weights, workers)
