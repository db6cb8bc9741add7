"""The tests are a package, so that they share `tests.cases` and `tests.reference` by name."""
