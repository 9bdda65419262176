"""Statistics over runs: intervals, confidence bounds, answers, and numbers of runs."""
