"""The two libraries that are compared, behind one face: start, one EM iteration, a whole fit."""

from __future__ import annotations

from typing import Any

from asv_benchmarks.cases import Array, Case, Start
from asv_benchmarks.quiet import fit_quietly

PARAMETERS = ("weights_", "means_", "covariances_", "precisions_cholesky_")
THREADS = 2


class Fusem:
    """fusem with two threads."""

    name = "fusem"

    def __init__(self, case: Case, start: Start, iterations: int = 0) -> None:
        import fusem

        self.model: Any = fusem.GaussianMixture(
            case.components,
            covariance_type=case.covariance,
            tol=0.0,
            max_iter=iterations,
            n_jobs=THREADS,
            **start,
        )

    def fit(self, X: Any) -> None:
        fit_quietly(self.model, X)

    def iterate(self, X: Any) -> None:
        self.model.update(self.model.statistics(X))

    def parameters(self) -> dict[str, Array]:
        return {name: getattr(self.model, name).copy() for name in PARAMETERS}

    def begin(self, parameters: dict[str, Array]) -> None:
        # Assigning covariances_ sets the factor of the precisions as well.
        for name in PARAMETERS[:-1]:
            setattr(self.model, name, parameters[name])


class ScikitLearn(Fusem):
    """scikit-learn, its BLAS and OpenMP held to two threads by the caller."""

    name = "scikit-learn"

    def __init__(self, case: Case, start: Start, iterations: int = 0) -> None:
        from sklearn.mixture import GaussianMixture

        self.model = GaussianMixture(
            case.components,
            covariance_type=case.covariance,
            tol=0.0,
            max_iter=iterations,
            # With all parameters given this start is thrown away; it is the cheapest there is.
            init_params="random_from_data",
            random_state=0,
            **start,
        )

    def iterate(self, X: Any) -> None:
        # The body of scikit-learn's loop and nothing else: no validation, no start, no labels.
        _, log_responsibilities = self.model._e_step(X)
        self.model._m_step(X, log_responsibilities)

    def begin(self, parameters: dict[str, Array]) -> None:
        for name in PARAMETERS:
            setattr(self.model, name, parameters[name])


LIBRARIES: dict[str, type[Fusem]] = {"fusem": Fusem, "scikit-learn": ScikitLearn}
