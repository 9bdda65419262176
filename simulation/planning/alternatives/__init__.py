"""The search for the smallest changes with which a rollout would meet its objectives."""
