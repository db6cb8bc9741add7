"""Expectation-maximisation for data of any size.

Everything a user names is here. Names are loaded when they are first touched: ``import fusem``
imports neither numba nor scikit-learn and compiles nothing.

Examples
--------
>>> import numpy as np
>>> import fusem
>>> rng = np.random.default_rng(0)
>>> X = np.concatenate([rng.normal(1, 2, size=300), rng.normal(9, 3, size=700)])
>>> model = fusem.GaussianMixture(n_components=2, random_state=0).fit(X)
>>> model.converged_
True
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fusem import hmm as hmm
    from fusem import plot as plot
    from fusem.data.blocks import Rows as Rows
    from fusem.data.open import open_rows as rows
    from fusem.exceptions import ConstantColumnWarning as ConstantColumnWarning
    from fusem.exceptions import DegenerateComponentWarning as DegenerateComponentWarning
    from fusem.exceptions import EmptyComponentWarning as EmptyComponentWarning
    from fusem.exceptions import FewRowsWarning as FewRowsWarning
    from fusem.exceptions import FusemFileError as FusemFileError
    from fusem.exceptions import FusemWarning as FusemWarning
    from fusem.exceptions import HeaderWarning as HeaderWarning
    from fusem.exceptions import ImpossibleSequenceWarning as ImpossibleSequenceWarning
    from fusem.exceptions import LikelihoodDecreaseWarning as LikelihoodDecreaseWarning
    from fusem.exceptions import MissingValuesWarning as MissingValuesWarning
    from fusem.exceptions import RegularizationWarning as RegularizationWarning
    from fusem.hmm.any_family import HMM as HMM
    from fusem.hmm.categorical import CategoricalHMM as CategoricalHMM
    from fusem.hmm.gaussian import GaussianHMM as GaussianHMM
    from fusem.hmm.gaussian_mixture import GMMHMM as GMMHMM
    from fusem.hmm.multinomial import MultinomialHMM as MultinomialHMM
    from fusem.hmm.poisson import PoissonHMM as PoissonHMM
    from fusem.impute.imputer import EMImputer as EMImputer
    from fusem.impute.pool import pool as pool
    from fusem.mixture.categorical import CategoricalMixture as CategoricalMixture
    from fusem.mixture.gaussian import GaussianMixture as GaussianMixture
    from fusem.mixture.multinomial import MultinomialMixture as MultinomialMixture
    from fusem.mixture.poisson import PoissonMixture as PoissonMixture
    from fusem.mixture.statistic import MixtureStatistic as MixtureStatistic
    from fusem.model_file import load as load
    from fusem.profile import profile_loglik as profile_loglik

    __version__: str

# Where each public name stands: module, and the attribute there (None: the module itself).
# Type checkers read the imports above, the interpreter reads this; a test holds them together.
_PUBLIC: dict[str, tuple[str, str | None]] = {
    "CategoricalHMM": ("fusem.hmm.categorical", "CategoricalHMM"),
    "CategoricalMixture": ("fusem.mixture.categorical", "CategoricalMixture"),
    "ConstantColumnWarning": ("fusem.exceptions", "ConstantColumnWarning"),
    "DegenerateComponentWarning": ("fusem.exceptions", "DegenerateComponentWarning"),
    "EMImputer": ("fusem.impute.imputer", "EMImputer"),
    "EmptyComponentWarning": ("fusem.exceptions", "EmptyComponentWarning"),
    "FewRowsWarning": ("fusem.exceptions", "FewRowsWarning"),
    "FusemFileError": ("fusem.exceptions", "FusemFileError"),
    "FusemWarning": ("fusem.exceptions", "FusemWarning"),
    "GaussianHMM": ("fusem.hmm.gaussian", "GaussianHMM"),
    "GaussianMixture": ("fusem.mixture.gaussian", "GaussianMixture"),
    "GMMHMM": ("fusem.hmm.gaussian_mixture", "GMMHMM"),
    "HMM": ("fusem.hmm.any_family", "HMM"),
    "HeaderWarning": ("fusem.exceptions", "HeaderWarning"),
    "ImpossibleSequenceWarning": ("fusem.exceptions", "ImpossibleSequenceWarning"),
    "LikelihoodDecreaseWarning": ("fusem.exceptions", "LikelihoodDecreaseWarning"),
    "MissingValuesWarning": ("fusem.exceptions", "MissingValuesWarning"),
    "MixtureStatistic": ("fusem.mixture.statistic", "MixtureStatistic"),
    "MultinomialMixture": ("fusem.mixture.multinomial", "MultinomialMixture"),
    "PoissonMixture": ("fusem.mixture.poisson", "PoissonMixture"),
    "RegularizationWarning": ("fusem.exceptions", "RegularizationWarning"),
    "MultinomialHMM": ("fusem.hmm.multinomial", "MultinomialHMM"),
    "PoissonHMM": ("fusem.hmm.poisson", "PoissonHMM"),
    "Rows": ("fusem.data.blocks", "Rows"),
    "hmm": ("fusem.hmm", None),
    "load": ("fusem.model_file", "load"),
    "plot": ("fusem.plot", None),
    "pool": ("fusem.impute.pool", "pool"),
    "profile_loglik": ("fusem.profile", "profile_loglik"),
    "rows": ("fusem.data.open", "open_rows"),
}

__all__ = [
    "GMMHMM",
    "HMM",
    "CategoricalHMM",
    "CategoricalMixture",
    "ConstantColumnWarning",
    "DegenerateComponentWarning",
    "EMImputer",
    "EmptyComponentWarning",
    "FewRowsWarning",
    "FusemFileError",
    "FusemWarning",
    "GaussianHMM",
    "GaussianMixture",
    "HeaderWarning",
    "ImpossibleSequenceWarning",
    "LikelihoodDecreaseWarning",
    "MissingValuesWarning",
    "MixtureStatistic",
    "MultinomialHMM",
    "MultinomialMixture",
    "PoissonHMM",
    "PoissonMixture",
    "RegularizationWarning",
    "Rows",
    "__version__",
    "hmm",
    "load",
    "plot",
    "pool",
    "profile_loglik",
    "rows",
]


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        found: Any = version("fusem")
    elif name in _PUBLIC:
        module, attribute = _PUBLIC[name]
        found = import_module(module)
        if attribute is not None:
            found = getattr(found, attribute)
    else:
        raise AttributeError(f"module 'fusem' has no attribute {name!r}")
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*__all__, *(name for name in globals() if name.startswith("__"))})
