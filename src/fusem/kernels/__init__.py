"""Compiled code that families share: no Python object, no exception, no allocation in the row loop."""
