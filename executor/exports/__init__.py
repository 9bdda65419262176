"""Exports of plans to other tools, each with the list of what is lost."""
