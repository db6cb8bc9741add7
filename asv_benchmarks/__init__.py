"""Benchmarks: `cases` is the one table of shapes, `mixins` what is timed, the rest fills it in.

The folder is at once asv's benchmark directory and the package `asv_benchmarks`.
"""

import os
import sys
from pathlib import Path

# asv finds this package alone; what it runs over stands beside it, in `tests.cases`. First, because what is
# installed may hold a package of that name too.
sys.path.insert(0, str(Path(__file__).parents[1]))

# Before anything imports a BLAS: other libraries' threads change what fusem's take.
for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(variable, "2")

if sys.argv[1:2] == ["run_server"]:
    # asv forks a process for every case from this one (--launch-method forkserver): what numba prepares when
    # it is first asked for machine code, a second's work, is then there in all. One component starts without
    # k-means, whose OpenMP threads would not survive the fork.
    import fusem

    fusem.GaussianMixture(1, covariance_type="spherical").fit([[0.0], [1.0], [2.0]])
