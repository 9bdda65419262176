"""The open scenario, its edits, its runs."""
