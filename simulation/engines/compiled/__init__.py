"""The compiled engine: it gives the same results as the reference engine, with a Numba kernel."""
