"""Warnings about a finished fit: each names components, columns and the remedy."""

from __future__ import annotations

from types import ModuleType

import numpy as np
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning

from fusem.em.loop import Run, falls
from fusem.em.summary import Summary
from fusem.exceptions import (
    ConstantColumnWarning,
    DegenerateComponentWarning,
    EmptyComponentWarning,
    FewRowsWarning,
    LikelihoodDecreaseWarning,
    MissingValuesWarning,
    RegularizationWarning,
    warn,
)
from fusem.mixture.engine import Model

Array = NDArray[np.float64]
COLLINEAR = 1e-8  # smallest eigenvalue of a correlation matrix that counts as full rank
INFLUENTIAL = 1e-3  # share of a column's variance from which reg_covar shapes the result
FLOOR = 2.0  # a variance below this many times reg_covar has collapsed to it


def listed(items: NDArray[np.int64] | list[str]) -> str:
    """Up to ten items, by name."""
    names = [str(item) for item in items]
    return ", ".join(names[:10]) + (f", … ({len(names)} in all)" if len(names) > 10 else "")


def column_labels(columns: NDArray[np.int64], names: NDArray[np.object_] | None) -> str:
    """Columns by name, or by number without names."""
    return listed(columns if names is None else [repr(str(names[j])) for j in columns])


def collinear_columns(covariance: Array) -> NDArray[np.int64]:
    """Columns that take part in an exact linear dependence; constant columns do not count."""
    varying = np.flatnonzero(np.diag(covariance) > 0.0)
    scale = np.sqrt(np.diag(covariance)[varying])
    if len(varying) < 2:
        return np.empty(0, dtype=np.int64)
    values, vectors = np.linalg.eigh(covariance[np.ix_(varying, varying)] / scale[:, None] / scale)
    null = vectors[:, values < COLLINEAR]
    return np.asarray(varying[(np.abs(null) > 0.05).any(axis=1)])


def covariances_of_rows(model: Model, reg: Array) -> tuple[Array, Array]:
    """Covariance within components and in all, without regularisation; full and tied forms."""
    means, covariances = model.components.means, model.components.covariances
    weights = model.weights / model.weights.sum()
    centred = means - weights @ means
    within = covariances if covariances.ndim == 2 else np.tensordot(weights, covariances, 1)
    within = within - np.diag(reg)
    return within, within + (weights * centred.T) @ centred


def columns(
    family: ModuleType,
    model: Model,
    summary: Summary,
    reg: Array,
    automatic: bool,
    names: NDArray[np.object_] | None,
) -> bool:
    """Warn about constant and collinear columns and about heavy regularisation; True if collinear."""
    constant = summary.variances == 0.0
    if constant.any():
        warn(
            ConstantColumnWarning,
            f"Columns without any variation: {column_labels(np.flatnonzero(constant), names)}. They say "
            "nothing about the components, and their variance is reg_covar alone; drop them.",
        )
    heavy = ~constant & (reg >= INFLUENTIAL * summary.variances)
    if heavy.any() and not automatic:
        warn(
            RegularizationWarning,
            "reg_covar is not small against the variance of columns "
            f"{column_labels(np.flatnonzero(heavy), names)} (≥ {INFLUENTIAL:g} of it) and shapes the "
            "result: scale the columns, lower reg_covar or use reg_covar='auto'.",
        )
    if not family.MATRICES:
        return False
    within, total = covariances_of_rows(model, reg)
    together = collinear_columns(total)
    if not collinear_columns(within).size:  # components far apart on a line: only they make it one
        together = together[:0]
    if together.size:
        warn(
            ConstantColumnWarning,
            f"Columns {column_labels(together, names)} are collinear: the covariance is singular but for "
            "reg_covar. Drop one of them or use covariance_type='diag'.",
        )
    return bool(together.size)


def components(
    family: ModuleType, model: Model, counts: Array, summary: Summary, reg: Array, collinear: bool
) -> None:
    """Warn about empty components, collapsed ones and those with too few rows."""
    K, d = model.components.means.shape
    empty = empty_components(counts)
    rows = counts * summary.n_used / summary.weight
    needed = family.rows_needed(d)
    varying = summary.variances > 0.0
    floor = FLOOR * reg[varying]
    collapsed = (family.variances(model.components)[:, varying] <= floor).any(axis=1)
    if (
        model.components.covariances.ndim == 3
        and not collinear
        and (reg > 0.0).all()
        and varying.any()
    ):
        some = np.ix_(np.ones(K, dtype=bool), varying, varying)
        scale = np.sqrt(reg[varying])
        ratio = model.components.covariances[some] / scale[:, None] / scale
        collapsed |= np.linalg.eigvalsh(ratio)[:, 0] <= FLOOR
    degenerate = ~empty & (collapsed | (rows < needed))
    if degenerate.any():
        worst = np.flatnonzero(degenerate)
        warn(
            DegenerateComponentWarning,
            f"Components {listed(worst)} have collapsed to the regularisation floor or hold fewer than "
            f"{needed} effective rows ({listed([f'{rows[k]:.3g}' for k in worst])}): their likelihood "
            "says little. Use fewer components, a simpler covariance_type or a larger reg_covar.",
        )


def empty_components(counts: Array) -> NDArray[np.bool_]:
    """Warn about components without rows; which they are."""
    empty = counts <= 0.0
    if empty.any():
        warn(
            EmptyComponentWarning,
            f"Components {listed(np.flatnonzero(empty))} hold no rows any more; they keep their last "
            "parameters with weight 0. Use fewer components or other starts (n_init).",
        )
    return empty


def few_rows(counts: Array, summary: Summary, needed: int) -> None:
    """Warn about components of rates or probabilities that hold no rows, or too few."""
    empty = empty_components(counts)
    rows = counts * summary.n_used / summary.weight
    worst = np.flatnonzero(~empty & (rows < needed))
    if worst.size:
        warn(
            DegenerateComponentWarning,
            f"Components {listed(worst)} hold fewer than {needed} effective rows "
            f"({listed([f'{rows[k]:.3g}' for k in worst])}): their likelihood says little. Use fewer "
            "components.",
        )


def missing_values(family: ModuleType, summary: Summary, names: NDArray[np.object_] | None) -> None:
    """Warn about rows without any value, and pairs of columns whose covariance nothing is known about."""
    missing = summary.missing
    if missing is None:
        return
    if missing.n_empty:
        warn(
            MissingValuesWarning,
            f"{missing.n_empty} of {summary.n_rows} rows have no value at all: they count as nothing.",
        )
    apart = np.argwhere(np.tril(~missing.together))
    if apart.size and family.MATRICES:
        pairs = [
            " and ".join(column_labels(np.array([j]), names) for j in (b, a)) for a, b in apart[:10]
        ]
        more = f", … ({len(apart)} pairs in all)" if len(apart) > len(pairs) else ""
        warn(
            MissingValuesWarning,
            f"These columns never have values in the same row: {', '.join(pairs)}{more}. "
            "Their covariances are not identified: they depend on the start, in which missing values are "
            "drawn independently. Use covariance_type='diag' or add rows with both.",
        )


def rows_per_component(
    summary: Summary, n_components: int, names: NDArray[np.object_] | None
) -> None:
    """Warn where there are hardly more rows, or values of a column, than components."""
    if n_components == 1:
        return
    values = summary.observed * summary.n_used
    few = np.flatnonzero(values < 2 * n_components)
    if summary.n_used < 2 * n_components:
        warn(
            FewRowsWarning,
            f"{summary.n_used} rows for {n_components} components: most will describe single rows. "
            "Use fewer components (n_components) or more rows.",
        )
    elif few.size:
        warn(
            FewRowsWarning,
            f"Columns {column_labels(few, names)} have hardly any value "
            f"({listed([f'{values[j]:.0f}' for j in few])}) for {n_components} components: most say "
            "nothing about them. Use fewer components (n_components) or drop the columns.",
        )


def convergence(run: Run[Model]) -> None:
    """Warn where EM did not converge."""
    if not run.converged:
        warn(
            ConvergenceWarning,
            "Best performing initialization did not converge. Try different init parameters, or "
            "increase max_iter, tol, or check for degenerate data.",
        )


REGULARISED = (
    "With reg_covar > 0 the regularised covariance is not the maximum-likelihood one; lower reg_covar, and "
    "look for collapsed components. Else the source may not yield the same rows at every pass."
)


def likelihood(run: Run[Model], reason: str = REGULARISED) -> None:
    """Warn where the log-likelihood fell, and say why that may be."""
    fallen = falls(run.sweeps, run.rounding)
    if fallen:
        worst = min(fallen, key=lambda sweep: sweep.change)
        warn(
            LikelihoodDecreaseWarning,
            f"The log-likelihood per row fell at {len(fallen)} of {len(run.sweeps)} sweeps, most at "
            f"iteration {worst.iteration} by {-worst.change:.3g}. {reason}",
        )
