"""Hidden Markov models: `from fusem import hmm` in place of `from hmmlearn import hmm`."""

from fusem.hmm.any_family import HMM
from fusem.hmm.categorical import CategoricalHMM
from fusem.hmm.gaussian import GaussianHMM
from fusem.hmm.gaussian_mixture import GMMHMM
from fusem.hmm.multinomial import MultinomialHMM
from fusem.hmm.poisson import PoissonHMM

__all__ = ["GMMHMM", "HMM", "CategoricalHMM", "GaussianHMM", "MultinomialHMM", "PoissonHMM"]
