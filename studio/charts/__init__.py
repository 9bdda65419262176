"""The charts: matplotlib drawings of results, without Qt."""
