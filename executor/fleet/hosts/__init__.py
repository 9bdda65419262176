"""Machines: one file for each way to run commands, over one small interface."""
