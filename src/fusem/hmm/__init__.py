"""Hidden Markov models: `from fusem import hmm` in place of `from hmmlearn import hmm`."""

from fusem.hmm.gaussian import GaussianHMM

__all__ = ["GaussianHMM"]
