"""HTML pages and exported files."""
