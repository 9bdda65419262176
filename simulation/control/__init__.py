"""The rollout itself: SimPy processes for releases, strategies, drains, crashes, guards."""
