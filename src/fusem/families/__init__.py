"""Component distributions: one file per family and covariance form. They know no algorithm."""
