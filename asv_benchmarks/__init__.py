"""Benchmarks: `cases` is the one table of shapes, `mixins` what is timed, the rest fills it in.

The folder is at once asv's benchmark directory and the package `asv_benchmarks`.
"""
