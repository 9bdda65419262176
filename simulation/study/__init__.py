"""Many runs, one answer: candidates, rows, cells, verdicts, the store of results."""
