"""Answers in words: the recommendation, its runner-up, and rows of equal candidates."""
