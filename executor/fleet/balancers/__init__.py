"""Balancers: one file for each, over one small interface."""
