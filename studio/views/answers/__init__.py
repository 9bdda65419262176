"""Answers of studies in words: the recommendation, the rows of equal candidates, the number of runs."""
