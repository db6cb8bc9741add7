"""Makes the picture at the top of the README: ``python docs/images/make.py [--rows N]``.

Draws rows from eight overlapping components into a .npy file, fits it by its path, and shows the
rows, the fitted components, the log-likelihood per sweep and one column's density.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

import fusem
from fusem.plot.style import dress

COMPONENTS = 8
CHUNK_ROWS = 500_000


def main() -> None:
    """Draw rows, fit them, make the picture."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--out", type=Path, default=Path(__file__).with_name("demo.png"))
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "rows.npy"
        write_rows(path, arguments.rows)
        model = fusem.GaussianMixture(COMPONENTS, n_init=4, tol=1e-6, max_iter=500, random_state=1)
        model.fit(path)
        picture(model, path, arguments.rows).savefig(arguments.out, dpi=150)
    sys.stdout.write(f"{arguments.out}: {arguments.rows:,} rows, {model.n_iter_} sweeps\n")


def write_rows(path: Path, n_rows: int) -> None:
    """Write rows of a ring of elongated clouds, each turned along the ring."""
    rng = np.random.default_rng(7)
    weights = rng.dirichlet(np.full(COMPONENTS, 6.0))
    angles = 2 * np.pi * np.arange(COMPONENTS) / COMPONENTS + rng.normal(0, 0.06, COMPONENTS)
    radii = rng.uniform(4.2, 6.2, COMPONENTS)
    means = np.stack([1.35 * radii * np.cos(angles), radii * np.sin(angles)], axis=1)
    lean = angles + np.pi / 2 + rng.normal(0, 0.5, COMPONENTS)
    length, width = rng.uniform(0.9, 1.9, COMPONENTS), rng.uniform(0.3, 0.75, COMPONENTS)
    along = np.stack([np.cos(lean), np.sin(lean)], axis=1)
    across = along[:, ::-1] * (-1, 1)
    rows = np.lib.format.open_memmap(path, mode="w+", dtype=np.float64, shape=(n_rows, 2))
    for first in range(0, n_rows, CHUNK_ROWS):
        chunk = rows[first : first + CHUNK_ROWS]
        k = rng.choice(COMPONENTS, size=len(chunk), p=weights)
        u, v = rng.standard_normal((2, len(chunk), 1))
        chunk[:] = means[k] + u * (length[:, None] * along)[k] + v * (width[:, None] * across)[k]
    rows.flush()


def picture(model: fusem.GaussianMixture, path: Path, n_rows: int) -> Figure:
    """Rows and ellipses at the left; log-likelihood and one column's density at the right."""
    figure = Figure(figsize=(11.0, 5.6), layout="constrained")
    axes = figure.subplot_mosaic([["rows", "trace"], ["rows", "density"]], width_ratios=[1.55, 1])
    title = f"{n_rows:,} rows from a file, {COMPONENTS} components: 1σ and 2σ"
    fusem.plot.ellipses(model, path, labels=False, title=title, ax=axes["rows"])
    fusem.plot.trace(model, title="log-likelihood per row, never falling", ax=axes["trace"])
    fusem.plot.density(model, path, title="one column: data and fitted density", ax=axes["density"])
    axes["density"].get_legend().remove()
    dress(axes["rows"], title=None, xlabel="x", ylabel="y")
    dress(axes["trace"], title=None, xlabel="sweep", ylabel="")
    dress(axes["density"], title=None, xlabel="x", ylabel="")
    return figure


if __name__ == "__main__":
    main()
