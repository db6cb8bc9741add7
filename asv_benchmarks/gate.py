"""``python -m asv_benchmarks.gate BASE HEAD``: two commits compared in the quick profile."""

from __future__ import annotations

import os
import sys

from fusem.testing.gate import main

if __name__ == "__main__":
    os.environ.setdefault("FUSEM_BENCH", "quick")
    sys.exit(main(module="asv_benchmarks.gate"))
