"""scikit-learn's checks of estimators, for mixtures of counts and codes."""

from __future__ import annotations

import pytest
from sklearn.utils.estimator_checks import parametrize_with_checks

import fusem


class Whole:
    """scikit-learn's tag of categories: its checks then make rows of whole numbers."""

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.categorical = tags.input_tags.positive_only = True
        return tags


class Poisson(Whole, fusem.PoissonMixture): ...


class Categorical(Whole, fusem.CategoricalMixture): ...


class Multinomial(Whole, fusem.MultinomialMixture): ...


MIXTURES = [mixture(max_iter=3) for mixture in (Poisson, Categorical, Multinomial)]


def expected_failures(estimator) -> dict[str, str]:
    """Checks that make fractions whatever the tags say."""
    return {"check_sample_weight_equivalence_on_dense_data": "its rows are fractions"}


@parametrize_with_checks(MIXTURES, expected_failed_checks=expected_failures)
@pytest.mark.filterwarnings(
    "ignore::fusem.exceptions.FusemWarning", "ignore::sklearn.exceptions.ConvergenceWarning"
)
def test_scikit_learn_checks(estimator, check):
    check(estimator)
