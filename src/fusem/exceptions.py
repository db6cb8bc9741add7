"""What fusem raises and warns about, beyond Python's and scikit-learn's own classes.

Non-convergence is scikit-learn's `ConvergenceWarning` and an unfitted model its `NotFittedError`:
code written for scikit-learn catches them already. Bad values are plain `ValueError` or
`TypeError`.
"""

from __future__ import annotations

import sys
import warnings

__all__ = [
    "ConstantColumnWarning",
    "DegenerateComponentWarning",
    "EmptyComponentWarning",
    "FewRowsWarning",
    "FusemFileError",
    "FusemWarning",
    "HeaderWarning",
    "ImpossibleSequenceWarning",
    "LikelihoodDecreaseWarning",
    "MissingValuesWarning",
    "RegularizationWarning",
]


class FusemWarning(UserWarning):
    """Base of all warnings: about a fit or a result that should be looked at, or about data read.

    Examples
    --------
    Turn all of them into errors, for instance in a nightly job:

    >>> import warnings
    >>> from fusem.exceptions import FusemWarning
    >>> with warnings.catch_warnings():
    ...     warnings.simplefilter("error", FusemWarning)
    """


class DegenerateComponentWarning(FusemWarning):
    """A component collapsed to the regularisation floor, too few rows support it, or it is like another one.

    A covariance of d columns needs at least d + 1 effective rows (the sum of the component's
    responsibilities); with fewer its likelihood says nothing about the data.
    """


class EmptyComponentWarning(FusemWarning):
    """A component holds no row any more; it keeps its last mean and covariance."""


class ConstantColumnWarning(FusemWarning):
    """Columns that do not vary, or that are combinations of other columns (collinear), or nearly so."""


class RegularizationWarning(FusemWarning):
    """`reg_covar` is not small against the variance of some columns, so it shapes the result."""


class FewRowsWarning(FusemWarning):
    """Hardly more rows than components or columns, or hardly any value of a column.

    A component whose rows hardly ever have a value in some column has a mean and a variance there that
    rest on its other columns, on the start and on the regularisation.
    """


class HeaderWarning(FusemWarning):
    """The first line of a CSV file is read as a row but may be names: it is all whole numbers."""


class ImpossibleSequenceWarning(FusemWarning):
    """A sequence has no density under a hidden Markov model: nothing can be said of its states."""


class LikelihoodDecreaseWarning(FusemWarning):
    """The log-likelihood fell between two sweeps by more than rounding explains."""


class MissingValuesWarning(FusemWarning):
    """Rows without any value, or columns that never have values in the same row.

    The covariance of such columns is not identified: the likelihood says nothing about it.
    """


class FusemFileError(ValueError):
    """A model file that cannot be read: truncated, foreign, damaged, or from a newer version.

    The message names the path, what is wrong with the file and what to do.
    """


# scikit-learn stands between a user and `fit` in pipelines, searches and `fit_transform`
INSIDE = ("fusem.", "sklearn.", "joblib.")


def warn(category: type[Warning], message: str) -> None:
    """Warn as from the line outside this package and scikit-learn that called into it."""
    frame, level = sys._getframe(), 1
    while frame.f_back is not None and frame.f_globals.get("__name__", "").startswith(INSIDE):
        frame, level = frame.f_back, level + 1
    warnings.warn(message, category, stacklevel=level)
