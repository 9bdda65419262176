"""Answers of commands in the terminal, and the command `why`."""
