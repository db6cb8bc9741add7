"""A fit from start to finish: describe the rows, draw starts, run EM from each, keep the best."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fusem.data import Rows
from fusem.em.completion import completed
from fusem.em.history import StartRecord, Sweep
from fusem.em.loop import ROUNDING, Run, expectation_maximisation
from fusem.em.start import Start
from fusem.em.subsample import subsample
from fusem.em.summary import Summary, summarise
from fusem.em.values import first_infinite
from fusem.em.workers import Workers
from fusem.families.gaussian import SingularComponents
from fusem.mixture.diagnose import collinear_columns, counted, too_few_for_columns, verb
from fusem.mixture.engine import HEADER, Engine, Model
from fusem.mixture.support import column_support

Array = NDArray[np.float64]
START_ROWS = 50_000  # rows that a start looks at; with more, a random subsample of so many
ROUGH_ROWS = (
    5_000,
    20,
)  # of one component with missing values, whose start is a guess: in all, per column
AUTOMATIC = 1e-6  # reg_covar="auto": this share of each column's variance


class Settings(NamedTuple):
    """What the user chose, checked."""

    n_components: int
    tol: float
    reg_covar: float | str
    max_iter: int
    n_init: int
    init_params: str
    rng: np.random.RandomState
    weights_init: Array | None
    means_init: Array | None
    precisions_init: Array | None


class Fitted(NamedTuple):
    """What a fit found."""

    run: Run[Model]
    starts: list[StartRecord]
    counts: Array  # (K,) Σ r at the last sweep
    summary: Summary
    reg: Array | None
    family: Any


class Fit:
    """One call of `fit`: the rows, what is known of them, and the kernels for them."""

    def __init__(
        self,
        family: Any,
        settings: Any,
        rows: Rows,
        weights: Rows | None,
        workers: Workers,
        listener: Listener,
    ) -> None:
        self.family, self.settings, self.rows, self.weights = family, settings, rows, weights
        self.workers, self.listener = workers, listener
        self.summary = summarise(rows, weights, workers)
        self._check_size()
        self.engine = Engine(
            family, settings.n_components, rows.n_columns, rows.dtype, self.summary.n_rows
        )
        self.reg = self._regularisation()
        self._sample: tuple[Array, Array | None] | None = None
        self.counts = np.ones(settings.n_components)

    def _check_size(self) -> None:
        n, d, K = self.summary.n_used, self.rows.n_columns, self.settings.n_components
        blank = ""
        if n < self.summary.n_rows:
            blank = f" ({self.summary.n_rows} rows, of which {self.summary.n_rows - n} have no value at all)"
        if n < 2:
            raise ValueError(
                f"Found array with {n} sample(s) (shape=({n}, {d})) while a minimum of 2 is required: "
                f"one row says nothing about a covariance (n_components = {K}, {d} columns){blank}."
            )
        if n < K:
            raise ValueError(
                f"Expected n_samples >= n_components but got n_components = {K}, n_samples = {n}{blank}"
            )

    def _regularisation(self) -> Array | None:
        if self.settings.reg_covar != "auto":
            return np.full(self.rows.n_columns, float(self.settings.reg_covar))
        variances = self.summary.variances
        varying = variances[variances > 0.0]
        fallback = varying.mean() if varying.size else 1.0
        return AUTOMATIC * np.where(variances > 0.0, variances, fallback)

    def start_rows(self) -> tuple[Array, Array | None]:
        """The rows that starts look at, drawn once: all, or a subsample of START_ROWS."""
        if self._sample is None:
            size, seed = START_ROWS, 0  # up to so many rows are all taken, and nothing is drawn
            if self.summary.missing is not None and self.settings.n_components == 1:
                size = max(ROUGH_ROWS[0], ROUGH_ROWS[1] * self.rows.n_columns)
            elif self.summary.n_rows > size:
                seed = int(self.settings.rng.randint(np.iinfo(np.int32).max))
            blank = self.summary.missing is not None
            self._sample = subsample(self.rows, self.weights, size, seed, blank)
        return self._sample

    def draw(self, number: int = 0) -> Model:
        """A start: parameters from drawn responsibilities, or the user's own."""
        s, d = self.settings, self.rows.n_columns
        weights = s.weights_init
        if weights is None or s.means_init is None or s.precisions_init is None:
            X, w = self.start_rows()
            if len(X) < s.n_components:
                raise ValueError(
                    "Expected n_samples >= n_components but got "
                    f"n_components = {s.n_components}, n_samples = {len(X)} of positive weight"
                )
            if self.summary.missing is not None:
                clusters, scale = s.init_params == "kmeans", np.sqrt(self.summary.variances)
                given = self.summary.means, scale, s.rng, number
                X = completed(X, w, s.n_components, clusters, *given)
            start = Start(X, w, s.n_components, s.init_params, s.rng)
            if weights is None:
                # with one row per component the weights are 1/n each, not 1/K: scikit-learn's start
                counts = sum(resp.sum(axis=0) for _, resp, _ in start)
                counts = counts + 10.0 * np.finfo(np.float64).eps
                weights = np.where(start.spare, 0.0, counts / start.weight)
            if s.precisions_init is None:
                components = self._estimate(start)
                if s.means_init is not None:
                    components = components._replace(means=s.means_init)
            else:
                means = s.means_init
                if means is None:
                    means = self.family.weighted_means(start)[1]
                components = self._given(means)
        else:
            components = self._given(s.means_init)
        assert components.means.shape == (s.n_components, d)
        return Model(np.asarray(weights, dtype=np.float64), components)

    def _given(self, means: Array) -> Any:
        """Components with the user's precisions."""
        with self.engine.one_thread():
            return self.family.from_precisions(means, self.settings.precisions_init)

    def _estimate(self, start: Start) -> Any:
        try:
            return self.family.estimate(start, self.reg, start.spare, start.single_rows)
        except SingularComponents as problem:
            centred = np.asarray(start.X, dtype=np.float64)
            centred = centred - centred.mean(axis=0)
            together = collinear_columns(centred.T @ centred)
            constant = np.flatnonzero(self.summary.variances == 0.0)
            names = None if self.rows.names is None else np.asarray(self.rows.names, dtype=object)
            more = []
            if self.family.MATRICES and self.summary.n_used <= self.rows.n_columns:
                more = [too_few_for_columns(self.summary.n_used, self.rows.n_columns)]
            elif together.size:
                more = [f"{counted('Column', together, names)} are collinear."]
            if constant.size:
                more += [
                    f"{counted('Column', constant, names)} {verb(constant, 'is', 'are')} constant."
                ]
            problem.args = (" ".join([str(problem), *more]),)
            raise

    def sweep(self, model: Model, about: Any = None) -> Array:
        """The statistic of all rows; an error if the source changed or a row has no density."""
        missing = self.summary.missing is not None
        given = self.rows, self.weights, self.workers
        statistic = self.engine.statistic(model, *given, about, missing)
        n = 0 if statistic is None else int(statistic[2])
        if statistic is None or n != self.summary.n_rows:
            raise ValueError(
                f"{self.rows.label} changed while it was being read: {self.summary.n_rows} rows at "
                f"first, {n} later. Give fit a source that yields the same rows at every pass."
            )
        if not np.isfinite(statistic).all():
            summarise(
                self.rows, self.weights, self.workers
            )  # names a value that is no longer finite
            raise first_infinite(self.rows) or self._without_density()
        self.counts = statistic[HEADER : HEADER + self.settings.n_components].copy()
        return statistic

    def _without_density(self) -> ValueError:
        return ValueError(
            f"A row of {self.rows.label} lies so far from every component that "
            f"{self.rows.dtype} overflows; scale the columns"
            + (" or convert to float64." if self.rows.dtype == np.float32 else ".")
        )

    def maximize(self, model: Model, statistic: Array) -> Model:
        """The M-step; it may ask for another sweep."""
        again = None if self.summary.missing is not None else partial(self.sweep, model)
        return self.engine.maximize(model, statistic, self.reg, again)

    def run(self, start: int, model: Model, lower_bound: float = -np.inf) -> Run[Model]:
        """EM from one start."""
        self.engine.may_share_centre = True  # whatever a start before this has met
        return expectation_maximisation(
            model,
            self.sweep,
            self.maximize,
            tol=self.settings.tol,
            max_iter=self.settings.max_iter,
            lower_bound=lower_bound,
            rounding=ROUNDING[self.rows.dtype.name],
            start=start,
            on_sweep=self.listener.sweep,
        )

    def best_of(self, given: Model | None, lower_bound: float) -> Fitted:
        """Run every start and keep the one with the highest log-likelihood; `given` continues a fit."""
        best: Fitted | None = None
        starts: list[StartRecord] = []
        failure: SingularComponents | None = None
        for index in range(1 if given is not None else self.settings.n_init):
            began = time.perf_counter()
            self.listener.begin(index)
            try:
                model = self.draw(index) if given is None else given
                run = self.run(index, model, -np.inf if given is None else lower_bound)
                self._check_usable(run.params)
            except SingularComponents as problem:
                failure = problem
                seconds = time.perf_counter() - began
                starts.append(StartRecord(index, -np.inf, 0, False, seconds, str(problem)))
                continue
            seconds = time.perf_counter() - began
            self.listener.end(run.lower_bound, run.converged)
            starts.append(
                StartRecord(index, run.lower_bound, len(run.sweeps), run.converged, seconds, None)
            )
            if best is None or run.lower_bound > best.run.lower_bound:
                best = Fitted(run, starts, self.counts, self.summary, self.reg, self.family)
        if best is None:
            assert failure is not None
            raise failure
        return best

    def support(self, fitted: Fitted) -> Array | None:
        """Effective rows of each component with a value in each column (K, d); None where none is missing."""
        if self.summary.missing is None or not fitted.run.sweeps:
            return None
        found = fitted.run.params, fitted.counts, fitted.summary
        return column_support(self.engine, *found, self.rows, self.weights, self.workers)

    def _check_usable(self, model: Model) -> None:
        """Parameters must be usable as they are stored."""
        means, covariances, _ = model.components
        with self.engine.one_thread():
            self.family.from_covariances(means, covariances)


class Listener:
    """Told what a fit does; this one prints as scikit-learn's `verbose` does, and passes sweeps on."""

    def __init__(
        self, verbose: int, interval: int, on_iteration: Callable[[Sweep], None] | None
    ) -> None:
        self.verbose, self.interval, self.on_iteration = int(verbose), interval, on_iteration
        self._began = self._last = time.perf_counter()

    def begin(self, start: int) -> None:
        """A start begins."""
        self._began = self._last = time.perf_counter()
        if self.verbose:
            print(f"Initialization {start}")

    def sweep(self, sweep: Sweep) -> None:
        """A sweep is done."""
        if self.on_iteration is not None:
            self.on_iteration(sweep)
        if not self.verbose or sweep.iteration % self.interval:
            return
        now = time.perf_counter()
        detail = f"\t time lapse {now - self._last:.5f}s\t ll change {sweep.change:.5f}"
        print(f"  Iteration {sweep.iteration}" + (detail if self.verbose > 1 else ""))
        self._last = now

    def end(self, lower_bound: float, converged: bool) -> None:
        """A start ended."""
        if not self.verbose:
            return
        seconds = time.perf_counter() - self._began
        detail = f" time lapse {seconds:.5f}s\t lower bound {lower_bound:.5f}."
        outcome = "converged" if converged else "did not converge"
        print(f"Initialization {outcome}." + (detail if self.verbose > 1 else ""))
