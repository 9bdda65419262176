"""Basics for all packages: errors, files, canonical JSON, positions in YAML, directories."""
