"""Logs, metrics and manifests → a commented scenario: one room a kind of source."""
