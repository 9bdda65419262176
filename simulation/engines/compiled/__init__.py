"""The compiled engine: the same requests by a Numba kernel."""
