"""Lessons, and the example of the first start."""
