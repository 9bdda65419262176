"""Readers of formats, one room a format."""
