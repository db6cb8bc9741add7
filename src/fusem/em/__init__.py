"""The algorithm: sweeps, the loop, starts, history. It knows no family and no file format."""
