"""Commands that answer one question about a scenario."""
