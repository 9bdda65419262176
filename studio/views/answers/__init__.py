"""Sentences about the answers of studies."""
