"""The plan format and what carries it out, on a host that has nothing else installed."""
