"""How each real tool counts and rounds its rollout settings: pure functions."""
