"""The readers of source files, one module for each format."""
