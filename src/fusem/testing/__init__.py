"""Speed of two commits compared on an ordinary, noisy machine: for fusem itself and for projects that use it.

``python -m fusem.testing.gate BASE HEAD`` builds both commits, times the benchmarks that ``pyproject.toml``
names alternately, and fails where the second is slower beyond doubt (docs/performance.md).
"""
