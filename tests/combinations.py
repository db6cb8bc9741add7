"""Kinds of model in both dtypes, and which of these combinations a plain run of the tests has."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import numpy as np
import pytest

from tests.cases import DTYPES


def by_dtypes(name: str, kinds: Mapping[str, Any], also_float32: Collection[str]) -> Any:
    """Each kind with each dtype; in float32, but for some, only where all is run.

    Kernels of both dtypes are one template, and take long to compile.
    """
    thorough = [pytest.mark.thorough]
    return pytest.mark.parametrize(
        (name, "dtype"),
        [
            pytest.param(
                kind,
                dtype,
                id=f"{dtype.__name__}-{label}",
                marks=thorough if dtype is np.float32 and label not in also_float32 else [],
            )
            for dtype in DTYPES
            for label, kind in kinds.items()
        ],
    )
