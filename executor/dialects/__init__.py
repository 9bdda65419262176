"""Pure functions that count and round rollout settings as other tools do."""
