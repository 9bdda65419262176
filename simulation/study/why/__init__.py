"""Causes of missed objectives, found by simulating what would be without each of them, and remedies."""
