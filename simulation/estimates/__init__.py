"""Closed forms: instant answers without a simulation."""
