"""The kernel: the requests of `simulation.engines.reference.engine`, compiled by Numba."""
