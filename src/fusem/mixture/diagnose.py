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
    RegularizationWarning,
    warn,
)
from fusem.mixture.engine import Model

Array = NDArray[np.float64]
COLLINEAR = 1e-8  # smallest eigenvalue of a correlation matrix that counts as full rank
INFLUENTIAL = 1e-3  # share of a column's variance from which reg_covar shapes the result
ROUNDED = 1e-6  # by which sums of responsibilities may be less than whole rows
FLOOR = 2.0  # a variance below this many times reg_covar has collapsed to it


def listed(items: NDArray[np.int64] | list[str]) -> str:
    """Up to ten items, by name."""
    names = [str(item) for item in items]
    return ", ".join(names[:10]) + (f", … ({len(names)} in all)" if len(names) > 10 else "")


def column_labels(columns: NDArray[np.int64], names: NDArray[np.object_] | None) -> str:
    """Columns by name, or by number without names."""
    return listed(columns if names is None else [repr(str(names[j])) for j in columns])


def counted(noun: str, items: NDArray[np.int64], names: NDArray[np.object_] | None = None) -> str:
    """Components or columns in words: "Component 0", "Columns 1, 2"."""
    return f"{noun}{'s' if len(items) != 1 else ''} {column_labels(items, names)}"


def verb(items: NDArray[np.int64], one: str, many: str) -> str:
    """The form of a verb that goes with so many."""
    return one if len(items) == 1 else many


def dependent_columns(
    covariance: Array, reg: Array, columns: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Those of some columns that take part in a combination whose variance is no more than reg_covar."""
    if len(columns) < 2:
        return columns[:0]
    scale = np.sqrt(reg[columns])
    matrix = covariance[np.ix_(columns, columns)] / scale[:, None] / scale
    values, vectors = np.linalg.eigh(matrix)
    null = np.abs(vectors[:, values <= FLOOR])
    terms = null * np.sqrt(np.maximum(np.diag(matrix), 0.0))[:, None]  # spread of each term
    taking_part = columns[(terms > 0.05 * terms.max(axis=0, initial=0.0)).any(axis=1)]
    return taking_part if len(taking_part) > 1 else columns[:0]


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
    """Warn about constant and collinear columns and about heavy regularisation.

    Returns
    -------
    singular : bool
        Whether matrices are singular but for reg_covar because of columns that depend on each other, or
        because there are too few rows for so many.
    """
    constant = summary.variances == 0.0
    if constant.any():
        which = np.flatnonzero(constant)
        warn(
            ConstantColumnWarning,
            f"{counted('Column', which, names)} {verb(which, 'does', 'do')} not vary: "
            f"{verb(which, 'it says', 'they say')} nothing about the components, and "
            f"{verb(which, 'its', 'their')} variance is reg_covar alone; drop {verb(which, 'it', 'them')}.",
        )
    heavy = ~constant & (reg >= INFLUENTIAL * summary.variances)
    if heavy.any() and not automatic:
        warn(
            RegularizationWarning,
            "reg_covar is not small against the variance of "
            f"{counted('column', np.flatnonzero(heavy), names)} (≥ {INFLUENTIAL:g} of it) and shapes the "
            "result: scale the columns, lower reg_covar or use reg_covar='auto'.",
        )
    d = len(summary.variances)
    if not family.MATRICES:
        return False
    if summary.n_used <= d:
        warn(FewRowsWarning, too_few_for_columns(summary.n_used, d))
        return True
    within, total = covariances_of_rows(model, reg)
    together, nearly = collinear_columns(total), ""
    if not collinear_columns(within).size:  # components far apart on a line: only they make it one
        together = together[:0]
    if not together.size and (reg > 0.0).all():
        some = np.flatnonzero(~constant & ~heavy)
        if dependent_columns(total + np.diag(reg), reg, some).size:
            together, nearly = dependent_columns(within + np.diag(reg), reg, some), "nearly "
    if together.size:
        smaller = ", or a smaller number for reg_covar if what is left between them matters"
        warn(
            ConstantColumnWarning,
            f"{counted('Column', together, names)} are {nearly}collinear: the covariance is "
            f"{'no more than' if nearly else 'singular but for'} reg_covar along a combination of them. "
            f"Drop one of them or use covariance_type='diag'{smaller if nearly else ''}.",
        )
    return bool(together.size)


def too_few_for_columns(n_rows: int, d: int) -> str:
    """What to say of a covariance matrix of so many columns from so few rows."""
    return (
        f"{n_rows} rows for {d} columns: a covariance matrix of them takes at least {d + 1}, whatever the "
        "columns are. With fewer it is singular but for reg_covar, on which densities off these rows and "
        "means of missing values then rest. Use covariance_type='diag', fewer columns, more rows, or for "
        "reg_covar a number that is a sizeable part of the variances."
    )


def components(
    family: ModuleType,
    model: Model,
    counts: Array,
    summary: Summary,
    reg: Array,
    singular: bool,
    names: NDArray[np.object_] | None,
) -> NDArray[np.bool_]:
    """Warn about empty components, collapsed ones and those with too few rows.

    Returns
    -------
    told : ndarray of bool, shape (K,)
        Those of which something was said.
    """
    K, d = model.components.means.shape
    empty = empty_components(counts)
    rows = counts * summary.n_used / summary.weight
    needed = family.rows_needed(d)
    starved = ~empty & (rows < needed)
    if starved.any() and not (
        singular and summary.n_used <= d
    ):  # that has been said of all of them
        which = np.flatnonzero(starved)
        warn(
            DegenerateComponentWarning,
            f"{counted('Component', which)} {verb(which, 'holds', 'hold')} fewer than {needed} effective "
            f"rows ({listed([f'{rows[k]:.3g}' for k in which])}), too few for the spread of {d} columns: "
            f"{verb(which, 'its', 'their')} likelihood says little. Use {more_support(family, K)}.",
        )
    collapsed: dict[str, list[int]] = {}
    for k in np.flatnonzero(~empty & ~starved):
        if why := collapse(family, model, int(k), summary, reg, singular, names):
            collapsed.setdefault(why, []).append(int(k))
    if collapsed:
        which = np.sort(np.concatenate([np.asarray(group) for group in collapsed.values()]))
        reasons = [
            f"{why} in {counted('component', np.asarray(group))}" if len(collapsed) > 1 else why
            for why, group in list(collapsed.items())[:5]
        ]
        fewer = "fewer components (n_components), " if K > 1 else ""
        warn(
            DegenerateComponentWarning,
            f"{counted('Component', which)} {verb(which, 'has', 'have')} collapsed to the regularisation "
            f"floor: {'; '.join(reasons)}. {verb(which, 'Its', 'Their')} likelihood says little. Use {fewer}"
            "a larger reg_covar or a simpler covariance_type, or look for rows that are copies of others.",
        )
    told: NDArray[np.bool_] = empty | starved
    told[[k for group in collapsed.values() for k in group]] = True
    return told


def more_support(family: ModuleType, n_components: int) -> str:
    """What gives a component's parameters more rows."""
    simpler = {
        "gaussian_full": "'diag'" if n_components == 1 else "'tied' or 'diag'",
        "gaussian_diag": "'spherical'",
    }.get(family.NAME)
    ways = ["fewer components (n_components)"] if n_components > 1 else []
    ways += [f"covariance_type={simpler}"] if simpler else []
    return ", ".join([*ways, "fewer columns or more rows"])


def collapse(
    family: ModuleType,
    model: Model,
    k: int,
    summary: Summary,
    reg: Array,
    singular: bool,
    names: NDArray[np.object_] | None,
) -> str:
    """Which columns of a component have no more spread than reg_covar; empty where none."""
    varying = np.flatnonzero(summary.variances > 0.0)
    spread = family.variances(model.components)[k, varying]
    flat = varying[spread <= FLOOR * reg[varying]]
    if flat.size == len(varying) and flat.size:
        return "nothing varies"
    if flat.size:
        return f"{counted('column', flat, names)} hardly {verb(flat, 'varies', 'vary')}"
    if model.components.covariances.ndim < 3 or singular or not (reg > 0.0).all():
        return ""
    together = dependent_columns(model.components.covariances[k], reg, varying)
    return f"{counted('column', together, names)} are nearly collinear" if together.size else ""


def empty_components(counts: Array) -> NDArray[np.bool_]:
    """Warn about components without rows; which they are."""
    empty = counts <= 0.0
    if empty.any():
        which = np.flatnonzero(empty)
        warn(
            EmptyComponentWarning,
            f"{counted('Component', which)} {verb(which, 'holds', 'hold')} no row any more: "
            f"{verb(which, 'it keeps its', 'they keep their')} last parameters with weight 0. Use fewer "
            "components (n_components) or other starts (n_init).",
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
            f"{counted('Component', worst)} {verb(worst, 'holds', 'hold')} fewer than {needed} effective "
            f"rows ({listed([f'{rows[k]:.3g}' for k in worst])}): {verb(worst, 'its', 'their')} likelihood "
            "says little. Use fewer components.",
        )


def rows_in_words(summary: Summary) -> str:
    """How many rows count, and how many there are where some have no value."""
    if summary.n_used == summary.n_rows:
        return f"{summary.n_rows} rows"
    return f"{summary.n_used} rows with any value (of {summary.n_rows})"


def rows_per_component(
    summary: Summary, n_components: int, names: NDArray[np.object_] | None
) -> NDArray[np.bool_]:
    """Warn where there are hardly more rows, or values of a column, than components.

    Returns
    -------
    few : ndarray of bool, shape (d,)
        Columns of which that has been said, or need not be: they are constant.
    """
    told: NDArray[np.bool_] = summary.variances == 0.0
    if n_components == 1:
        return told
    values = summary.observed * summary.n_used
    few = np.flatnonzero(values < 2 * n_components)
    told = told | (values < 2 * n_components)
    if summary.n_used < 2 * n_components:
        warn(
            FewRowsWarning,
            f"{rows_in_words(summary)} for {n_components} components: most will describe single rows. "
            "Use fewer components (n_components) or more rows.",
        )
    elif few.size:
        warn(
            FewRowsWarning,
            f"{counted('Column', few, names)} {verb(few, 'has', 'have')} hardly any value "
            f"({listed([f'{values[j]:.0f}' for j in few])}) for {n_components} components: most say nothing "
            "about them. Use fewer components (n_components) or drop "
            f"{verb(few, 'the column', 'the columns')}.",
        )
    return told


def convergence(run: Run[Model]) -> None:
    """Warn where EM did not converge."""
    if not run.converged:
        warn(
            ConvergenceWarning,
            "Best performing initialization did not converge. Try different init parameters, or "
            "increase max_iter, tol, or check for degenerate data.",
        )


def of_regularisation(singular: bool) -> str:
    """Why the log-likelihood may fall with reg_covar; `singular` where a warning has said why it matters."""
    remedy = (
        "the covariance is singular but for it, as another warning says: mend that first."
        if singular
        else "lower reg_covar, and look for collapsed components. Else the source may not yield the same "
        "rows at every pass."
    )
    return (
        f"With reg_covar > 0 the regularised covariance is not the maximum-likelihood one; {remedy}"
    )


def likelihood(run: Run[Model], reason: str) -> None:
    """Warn where the log-likelihood fell, and say why that may be."""
    fallen = falls(run.sweeps, run.rounding)
    if fallen:
        worst = min(fallen, key=lambda sweep: sweep.change)
        warn(
            LikelihoodDecreaseWarning,
            f"The log-likelihood per row fell at {len(fallen)} of {len(run.sweeps)} sweeps, most at "
            f"iteration {worst.iteration} by {-worst.change:.3g}. {reason}",
        )
