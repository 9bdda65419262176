"""Plans for other tools: each target renders what it can say, and says what it cannot."""
