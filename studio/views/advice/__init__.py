"""Advice in words: what could be changed."""
