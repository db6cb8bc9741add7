"""Suites for every hidden Markov model: states of each family of `tests.cases`, and what may be given."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from sklearn.base import clone

import fusem
from asv_benchmarks import stored
from asv_benchmarks.cases import Array, few, profile_name
from asv_benchmarks.libraries import THREADS
from asv_benchmarks.mixins import REPEAT
from asv_benchmarks.quiet import fit_quietly
from tests.cases import CASES, COUNT_CASES, Case, CountCase

STEPS = {"quick": 500, "full": 20_000, "large": 200_000}
STATES, COLUMNS = 4, 4
ROWS: list[Case | CountCase] = [*CASES, *COUNT_CASES]
FAMILIES = {case.family: case for case in ROWS}
# Label -> family of the rows, class in fusem, what its constructor is given.
Model = tuple[str, str, dict[str, Any]]
MODELS: dict[str, Model] = {
    **{
        f"{name}-{case.covariance_type}": (
            case.family,
            name,
            {"covariance_type": case.covariance_type, **more},
        )
        for name, more in (("GaussianHMM", {}), ("GMMHMM", {"n_mix": 2}))
        for case in CASES
    },
    **{
        name: (case.family, name, {})
        for case in COUNT_CASES
        for name in [case.estimator.replace("Mixture", "HMM")]
    },
    **{f"HMM-{family}": (family, "HMM", {"family": family}) for family in FAMILIES},
}
CLASSES = {
    name: label for label, (_, name, _) in reversed(MODELS.items())
}  # the first label of each


def drawn(family: str) -> Array:
    """Rows of a family, without memory: what a step costs does not depend on the chain."""
    columns = 1 if family == "categorical" else COLUMNS
    return FAMILIES[family].data(STEPS[profile_name()], STATES, columns)


def model(label: str, **options: Any) -> Any:
    """A model that starts by itself."""
    _, name, given = MODELS[label]
    fixed = {"n_iter": 5, "tol": 0.0, "random_state": 0, "n_jobs": THREADS}
    return getattr(fusem, name)(STATES, **{**fixed, **given, **options})


class Chain:
    """Rows of all families, written once."""

    estimators: ClassVar[tuple[str, ...]] = tuple(CLASSES)
    param_names: ClassVar[list[str]] = ["model"]
    params: ClassVar[list[str]] = list(MODELS)
    repeat: ClassVar[tuple[int, int, float]] = REPEAT

    def setup_cache(self) -> Path:
        return stored.keep((family, partial(drawn, family)) for family in FAMILIES)

    def setup(self, folder: Path, label: str) -> None:
        self.X = stored.kept(folder, MODELS[label][0])
        self.model = fit_quietly(model(label), self.X)


class FitChain(Chain):
    """Baum–Welch with the start before it."""

    def time_fit(self, folder: Path, label: str) -> None:
        fit_quietly(clone(self.model), self.X)  # fitted parameters would be logged as overwritten


class UseChain(Chain):
    """What a fitted model is asked."""

    params: ClassVar[list[str]] = few(list(CLASSES.values()), 2)

    def time_score(self, folder: Path, label: str) -> None:
        self.model.score(self.X)

    def time_score_samples(self, folder: Path, label: str) -> None:
        self.model.score_samples(self.X)

    def time_bic(self, folder: Path, label: str) -> None:
        self.model.bic(self.X)

    def time_predict(self, folder: Path, label: str) -> None:
        self.model.predict(self.X)

    def time_predict_proba(self, folder: Path, label: str) -> None:
        self.model.predict_proba(self.X)

    def time_decode_map(self, folder: Path, label: str) -> None:
        self.model.decode(self.X, algorithm="map")

    def time_filter_proba(self, folder: Path, label: str) -> None:
        self.model.filter_proba(self.X)

    def time_path_margin(self, folder: Path, label: str) -> None:
        self.model.path_margin(self.X)

    def time_forecast(self, folder: Path, label: str) -> None:
        self.model.forecast(self.X, 5)

    def time_sample_posterior(self, folder: Path, label: str) -> None:
        self.model.sample_posterior(self.X, n_samples=3, random_state=0)

    def time_sample(self, folder: Path, label: str) -> None:
        self.model.sample(len(self.X), random_state=0)

    def time_get_stationary_distribution(self, folder: Path, label: str) -> None:
        self.model.get_stationary_distribution()


class Online(Chain):
    """Rows as they come."""

    estimators: ClassVar[tuple[str, ...]] = ("OnlineFilter", *CLASSES)
    params: ClassVar[list[str]] = few(list(CLASSES.values()))

    def setup(self, folder: Path, label: str) -> None:
        super().setup(folder, label)
        self.online = self.model.online(lag=5)
        for x in self.X[:10]:
            self.online.filter(x)

    def time_online(self, folder: Path, label: str) -> None:
        self.model.online(lag=5)

    def time_filter(self, folder: Path, label: str) -> None:
        for x in self.X[:100]:
            self.online.filter(x)

    def time_smoothed(self, folder: Path, label: str) -> None:
        self.online.smoothed()

    def time_forecast(self, folder: Path, label: str) -> None:
        self.online.forecast(5)


OPTIONS = ("float32", "missing", "states", "mask", "sequences", "list", "starts")


class Options(Chain):
    """Rows in another dtype, missing values, known states; forbidden moves, sequences, several starts."""

    param_names: ClassVar[list[str]] = ["option"]
    params: ClassVar[list[str]] = list(OPTIONS)

    def setup(self, folder: Path, option: str) -> None:
        label = CLASSES["GaussianHMM"]
        self.X: Any = stored.kept(folder, MODELS[label][0])
        self.given: dict[str, Any] = {}
        rng, n = np.random.default_rng(0), len(self.X)
        options: dict[str, Any] = {}
        if option == "float32":
            self.X = self.X.astype(np.float32)
        elif option == "missing":
            self.X[rng.random(self.X.shape) < 0.1] = np.nan
        elif option == "states":
            self.given = {"states": np.where(rng.random(n) < 0.1, rng.integers(STATES, size=n), -1)}
        elif option == "mask":
            # a ring: of what is never left or never entered again, too few rows would remain
            ring = np.eye(STATES, dtype=bool)
            options = {"transmat_mask": ring | np.roll(ring, 1, axis=1)}
        elif option == "sequences":
            self.given = {"lengths": np.full(n // 10, 10)}
        elif option == "list":
            self.X = np.array_split(self.X, 5)
        else:
            options = {"n_init": 3}
        self.model = fit_quietly(model(label, **options), self.X, **self.given)

    def time_fit(self, folder: Path, option: str) -> None:
        fit_quietly(clone(self.model), self.X, **self.given)

    def time_predict(self, folder: Path, option: str) -> None:
        self.model.predict(self.X, **self.given)

    def time_predict_proba(self, folder: Path, option: str) -> None:
        self.model.predict_proba(self.X, **self.given)
