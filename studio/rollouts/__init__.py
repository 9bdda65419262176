"""Rollouts that the studio carries out or has kept."""
