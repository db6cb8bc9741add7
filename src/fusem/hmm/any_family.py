"""Hidden Markov models with emissions of any family: one of fusem's by name, or the user's own."""

from __future__ import annotations

import os
from collections.abc import Iterator
from copy import copy
from importlib import import_module
from numbers import Real
from types import ModuleType
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from sklearn.utils._param_validation import Interval

from fusem.em.summary import Summary
from fusem.em.workers import Workers
from fusem.families import categorical, multinomial, poisson
from fusem.families.gaussian import SingularComponents
from fusem.families.registry import FAMILIES
from fusem.hmm.assigned import check_assigned
from fusem.hmm.base import BaseHMM
from fusem.hmm.chain_prior import check_probabilities
from fusem.hmm.counts import check_codes, check_counts, number_of_codes
from fusem.hmm.gaussian_prior import no_prior, renewed
from fusem.hmm.held import only_rounding, singular, with_held
from fusem.hmm.observations import Observations, start_rows
from fusem.hmm.prior_values import check_finite
from fusem.hmm.start_means import nearest_mean, start_means

Array = NDArray[np.float64]
STORED = {  # what the parameters of a family are made of
    **{
        f"gaussian_{form}": ("means", "covariances", "whitening")
        for form in ("full", "tied", "diag", "spherical")
    },
    "poisson": ("rates",),
    "categorical": ("probabilities",),
    "multinomial": ("probabilities",),
}
# Whose states keep a covariance that would become singular: the others have one of their own.
HOLDING = [FAMILIES[f"gaussian_{form}"] for form in ("full", "diag", "spherical")]
REMEDY = "Increase reg_covar, use fewer states, or another family."
NEEDED = ("NAME", "kernels", "statistic_size", "tile_columns", "operands", "maximize")
BLOCK = 1024  # rows whose responsibilities are in memory at a time


class HMM(BaseHMM):
    """Hidden Markov model with emissions of any family, fitted by expectation-maximisation (Baum–Welch).

    ``HMM(K, "poisson")`` makes the same steps as ``PoissonHMM(K)``; the classes of their own add priors and
    hmmlearn's names. What a family of your own has to define is said in docs/design/architecture.md.

    Parameters
    ----------
    n_components : int, default=1
        Number of states K.
    family : str or object, default="gaussian_diag"
        "gaussian_full", "gaussian_tied", "gaussian_diag", "gaussian_spherical", "poisson", "categorical",
        "multinomial"; or a module (itself or its dotted name) or object with the same functions as these in
        `fusem.families`.
    reg_covar : float, default=0.0
        Added to the variances of Gaussian families in every step. 0 is exact EM.
    startprob_prior, transmat_prior : float, array or None, default=1.0
        Parameters of Dirichlet priors of `startprob_` and of the rows of `transmat_`; 1 and None are
        maximum likelihood.
    algorithm : {"viterbi", "map"}, default="viterbi"
        What `predict` finds.
    random_state : int, RandomState or None, default=None
        Seeds the start, and `sample`.
    n_iter : int, default=10
        Most EM iterations.
    tol : float, default=1e-2
        EM stops when the log-likelihood (with priors: the log-posterior) of all rows changes by less.
    verbose : bool, default=False
        Print iterations to stderr.
    params, init_params : str, default="ste"
        What is estimated, and what is set by the start: s(tartprob), t(ransmat), e(missions).
    n_jobs : int or None, default=-1
        Threads; −1 is all cores, None is one. The result does not depend on it, not even in the last bit.
    transmat_mask : {"left-right", "bakis", "upper"} or array of bool (n_components, n_components), optional
        Transitions that are allowed (True); the others are 0 from the start on and stay it. From a state
        "left-right" allows itself and the next, "bakis" also the one after, "upper" itself and all later
        ones. The last state is not left.
    transmat_fixed : array of shape (n_components, n_components), optional
        Rows of `transmat_` that are given and not estimated; NaN in the other rows.
    n_init : int, default=1
        Number of starts; that which ends highest is kept. One where nothing in `init_params` is drawn.

    Attributes
    ----------
    startprob_ : ndarray of shape (n_components,)
        Probabilities of the first state.
    transmat_ : ndarray of shape (n_components, n_components)
        Probabilities of the next state (columns) given the state (rows).
    components_ : NamedTuple
        The family's parameters of all states: `means`, `covariances`, … of Gaussians, `rates` of "poisson",
        `probabilities` of "categorical" and "multinomial".
    monitor_ : ConvergenceMonitor
        `history` of log-likelihoods, `iter`, `converged`.

    Examples
    --------
    >>> import numpy as np
    >>> from fusem import HMM
    >>> counts = np.array([1, 0, 2, 9, 12, 8, 11, 1, 0, 1, 3, 10, 9])[:, None]
    >>> model = HMM(2, family="poisson", random_state=0, n_iter=50).fit(counts)
    >>> sorted(model.components_.rates.ravel().round().tolist())
    [1.0, 10.0]
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **BaseHMM._chain_constraints,
        "reg_covar": [Interval(Real, 0.0, None, closed="left")],
    }
    _emissions: ClassVar[dict[str, str]] = {"e": "components_"}
    _remedy: ClassVar[str] = REMEDY

    def __init__(
        self,
        n_components: int = 1,
        family: Any = "gaussian_diag",
        *,
        reg_covar: float = 0.0,
        startprob_prior: Any = 1.0,
        transmat_prior: Any = 1.0,
        algorithm: str = "viterbi",
        random_state: Any = None,
        n_iter: int = 10,
        tol: float = 1e-2,
        verbose: bool = False,
        params: str = "ste",
        init_params: str = "ste",
        n_jobs: int | None = -1,
        transmat_mask: Any = None,
        transmat_fixed: Any = None,
        n_init: int = 1,
    ) -> None:
        self.n_components = n_components
        self.family = family
        self.reg_covar = reg_covar
        self.startprob_prior = startprob_prior
        self.transmat_prior = transmat_prior
        self.algorithm = algorithm
        self.random_state = random_state
        self.n_iter = n_iter
        self.tol = tol
        self.verbose = verbose
        self.params = params
        self.init_params = init_params
        self.n_jobs = n_jobs
        self.transmat_mask = transmat_mask
        self.transmat_fixed = transmat_fixed
        self.n_init = n_init

    @property
    def _given_family(self) -> Any:
        """The family that was asked for; of codes, not yet for how many."""
        if not isinstance(self.family, str):
            lacking = [name for name in NEEDED if not hasattr(self.family, name)]
            if lacking:
                raise ValueError(
                    f"family must be one of {_names()}, or an object with {', '.join(NEEDED)}; "
                    f"{self.family!r} has no {', '.join(lacking)}."
                )
            return self.family
        if self.family in FAMILIES:
            return FAMILIES[self.family]
        if "." in self.family:
            return import_module(self.family)
        raise ValueError(
            f"family must be one of {_names()}, or an object that defines one, not {self.family!r}."
        )

    def __getstate__(self) -> Any:
        state = super().__getstate__()
        if isinstance(self.family, ModuleType):  # which can be neither copied nor pickled
            state = {**state, "family": self.family.__name__}
        return state

    def __sklearn_clone__(self) -> Any:
        return super(HMM, copy(self)).__sklearn_clone__().set_params(family=self.family)

    def _family_of(self, components: Any) -> Any:
        family = self._given_family
        return categorical.of(components[0].shape[2]) if family is categorical else family

    def _emission(self) -> Any:
        components = self.components_
        if len(components[0]) != self.n_components:
            raise ValueError(
                f"components_ holds the parameters of {len(components[0])} states, but n_components is "
                f"{self.n_components}."
            )
        return components

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the model to a file that `fusem.load` reads; no pickle is involved.

        Parameters
        ----------
        path : str or path-like
            Where to; ``.npz`` is the usual suffix. An existing file is replaced at once or not at all.

        Raises
        ------
        TypeError
            Where the family is none of fusem's, by name: a file cannot say what another one is.
        sklearn.exceptions.NotFittedError
            If the model has no parameters yet, neither fitted nor assigned.
        """
        if not isinstance(self.family, str) or self.family not in FAMILIES:
            raise TypeError(
                "A model of a family of your own is not saved: a file cannot say what it is. Keep "
                "startprob_, transmat_ and components_ as arrays."
            )
        super().save(path)

    def _component_arrays(self) -> dict[str, Array]:
        components, names = self._emission(), STORED[self.family]
        return {f"components/{name}": getattr(components, name) for name in names}

    def _set_component_arrays(self, arrays: dict[str, Array]) -> None:
        if self.family not in STORED:  # never a module that a file names
            raise ValueError(f"its family is {self.family!r}, which this version does not know")
        given = [arrays[f"components/{name}"] for name in STORED[self.family]]
        family, first = FAMILIES[self.family], given[0]
        if first.ndim != (3 if family is categorical else 2) or len(first) != self.n_components:
            raise ValueError(f"its states have parameters of shape {first.shape}")
        if hasattr(family, "from_covariances"):
            if given[1].shape != family.covariance_shape(*first.shape):
                raise ValueError(
                    f"covariances of shape {given[1].shape} are not those of its means"
                )
            check_assigned(given[1], self.family.removeprefix("gaussian_"))
            self.components_ = same_to_the_bit(
                family, family.from_covariances(*given[:2]), given[2]
            )
            return
        if family is poisson:
            check_finite("components/rates", first, 0.0)
        else:
            check_probabilities("components/probabilities", first, first.shape)
        self.components_ = family.Params(*given)

    def _set_emission(self, components: Any) -> None:
        self.components_ = components

    def _check_values(
        self, observations: Observations, components: Any, workers: Workers
    ) -> bool | None:
        family = self._family_of(components)
        if isinstance(family, categorical.Categorical):
            return check_codes(observations, family.n_codes, workers)
        if family in (poisson, multinomial):
            return check_counts(observations, workers, one_by_one=family is poisson)
        return None

    def _start_emission(
        self,
        observations: Observations,
        summary: Summary,
        rng: np.random.RandomState,
        workers: Workers,
    ) -> Any:
        family: Any = self._given_family
        if "e" not in self.init_params:
            return self._emission()
        if not hasattr(family, "estimate"):
            raise ValueError(
                f"The family {family.NAME!r} has no function estimate, which finds parameters to begin with: "
                "assign components_ and leave 'e' out of init_params."
            )
        if family is categorical:
            family = categorical.of(number_of_codes(observations, self.n_components, workers))
        rows, K = start_rows(observations), self.n_components
        blocks = Blocks(rows, K)
        if len(np.unique(rows, axis=0)) < K:
            blocks.shares = rng.dirichlet(np.ones(K), size=len(rows))
        else:
            forward = self._constraints().forward_only
            blocks.assign(start_means(observations, K, rng, forward))
        spare = ~blocks.shares.any(axis=0)
        try:
            return family.estimate(blocks, self._reg(observations.n_columns), spare, False)
        except SingularComponents as problem:
            raise singular(problem, REMEDY, observations.n_rows) from problem

    def _reg(self, d: int) -> Array:
        return np.full(d, float(self.reg_covar))

    def _renew_emission(self, components: Any, sums: Array, prior: Any) -> tuple[Any, list[int]]:
        if "e" not in self.params:
            return components, []
        family, reg = self._family_of(components), self._reg(self._n_columns(components))
        holds = family in HOLDING and not reg.any()
        try:
            new = family.maximize(components, sums, reg)
        except SingularComponents as problem:
            if not holds:
                raise singular(problem, REMEDY) from problem
            means, covariances = renewed(family, components, sums, no_prior(components), True, True)
            return with_held(family, means, covariances, components.covariances)
        if holds and only_rounding(new.means, new.covariances).any():
            return with_held(family, new.means, new.covariances, components.covariances)
        return new, []

    def _n_columns(self, components: Any) -> int:
        return int(components[0].shape[1])

    def _n_emission_parameters(self, components: Any) -> int:
        K, d = components[0].shape[:2]
        return int(self._family_of(components).n_parameters(K, d))


def same_to_the_bit(family: Any, components: Any, whitening: Array) -> Any:
    """The parameters of a file: factors of the precisions are those of its covariances, but for rounding.

    Raises
    ------
    ValueError
        They are not.
    """
    given = components._replace(whitening=whitening)
    if whitening.shape == components.whitening.shape:
        factors = family.whitening_matrices(given)
        unit = factors @ family.moments(given)[1] @ np.swapaxes(factors, 1, 2)
        if np.allclose(unit, np.eye(unit.shape[1]), rtol=0.0, atol=1e-3):
            return given
    raise ValueError("its factors of the precisions are not those of its covariances")


class Blocks:
    """Rows with their shares of the states, as a family's `estimate` reads them."""

    def __init__(self, rows: Array, n_states: int) -> None:
        self.rows, self.shares = rows, np.zeros((len(rows), n_states))

    def assign(self, means: Array) -> None:
        """Give every row to the nearest mean."""
        self.shares[np.arange(len(self.rows)), nearest_mean(self.rows, means)] = 1.0

    def __iter__(self) -> Iterator[tuple[Array, Array, Array]]:
        for first in range(0, len(self.rows), BLOCK):
            part = slice(first, first + BLOCK)
            yield self.rows[part], self.shares[part], np.ones(len(self.rows[part]))


def _names() -> str:
    return ", ".join(map(repr, FAMILIES))
