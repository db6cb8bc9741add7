"""The additive result of one E-step, for loops of one's own over processes, machines or queues."""

from __future__ import annotations

import hashlib
import json
import struct
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fusem.mixture.engine import Model

MAGIC = b"fusem-statistic-1\n"
LENGTH = struct.Struct("<I")


def fingerprint(family: str, model: Model) -> str:
    """Identifies the parameters a statistic was taken at."""
    digest = hashlib.sha256(family.encode())
    # what follows the first two of a family's parameters is worked out from them
    for array in (model.weights, *model.components[:2]):
        digest.update(np.ascontiguousarray(array, dtype="<f8").tobytes())
    return digest.hexdigest()[:32]


class MixtureStatistic:
    """What one E-step over some rows adds up to; statistics of other rows can be added to it.

    Made by ``model.statistics(rows)``, used up by ``model.update(statistic)``. It belongs to the
    parameters it was taken at: statistics of different parameters cannot be added.

    Attributes
    ----------
    log_likelihood : float
        Log-likelihood of the rows, a (weighted) sum.
    weight : float
        Sum of the sample weights of rows with any value; their number without weights.
    n_rows : int
        Number of rows.

    Examples
    --------
    >>> import numpy as np, fusem
    >>> X = np.random.default_rng(0).normal(size=(1000, 2))
    >>> model = fusem.GaussianMixture(2, max_iter=0, random_state=0).fit(X)
    >>> total = model.statistics(X[:300]) + model.statistics(X[300:])
    >>> total.n_rows
    1000
    """

    def __init__(self, sums: NDArray[np.float64], taken_at: str) -> None:
        self._sums, self._taken_at = sums, taken_at

    @property
    def log_likelihood(self) -> float:
        """Log-likelihood of the rows, a (weighted) sum."""
        return float(self._sums[0])

    @property
    def weight(self) -> float:
        """Sum of the sample weights."""
        return float(self._sums[1])

    @property
    def n_rows(self) -> int:
        """Number of rows."""
        return int(self._sums[2])

    def __add__(self, other: Any) -> MixtureStatistic:
        if not isinstance(other, MixtureStatistic):
            return NotImplemented
        if other._taken_at != self._taken_at or other._sums.shape != self._sums.shape:
            raise ValueError(
                "These statistics were taken at different parameters and cannot be added: send every "
                "process the same model before each sweep."
            )
        return MixtureStatistic(self._sums + other._sums, self._taken_at)

    def __radd__(self, other: Any) -> MixtureStatistic:
        return (
            self if isinstance(other, int) and other == 0 else NotImplemented
        )  # sum() begins with 0

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, MixtureStatistic):
            return NotImplemented
        return self._taken_at == other._taken_at and np.array_equal(self._sums, other._sums)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"MixtureStatistic(n_rows={self.n_rows}, log_likelihood={self.log_likelihood:.6g})"

    def to_bytes(self) -> bytes:
        """A portable form for a queue or a socket; `from_bytes` reads it back."""
        header = json.dumps({"taken_at": self._taken_at, "size": self._sums.size}).encode()
        return MAGIC + LENGTH.pack(len(header)) + header + self._sums.astype("<f8").tobytes()

    @classmethod
    def from_bytes(cls, data: bytes) -> MixtureStatistic:
        """Read what `to_bytes` wrote.

        Raises
        ------
        ValueError
            If the bytes are truncated or something else.
        """
        data = bytes(data)
        try:
            if not data.startswith(MAGIC):
                raise ValueError("it does not begin as one")
            begin = len(MAGIC) + LENGTH.size
            (length,) = LENGTH.unpack(data[len(MAGIC) : begin])
            header = json.loads(data[begin : begin + length])
            sums = np.frombuffer(data, dtype="<f8", offset=begin + length).astype(np.float64)
            if sums.size != header["size"]:
                raise ValueError("it is truncated")
            return cls(sums, str(header["taken_at"]))
        except (ValueError, KeyError, TypeError, struct.error) as problem:
            raise ValueError(
                f"These bytes are no statistic ({problem}); they must come whole from to_bytes()."
            ) from None
