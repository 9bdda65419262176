"""The results of a run: requests, states, counts, metrics, and their stored form."""
