"""Benchmarks: `cases` is the one table of shapes, `mixins` what is timed, the rest fills it in.

The folder is at once asv's benchmark directory and the package `asv_benchmarks`.
"""

import os

# Before anything imports a BLAS: other libraries' threads change what fusem's take.
for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(variable, "2")
