"""What to do instead: the smallest changes with which a rollout would meet its objectives."""
