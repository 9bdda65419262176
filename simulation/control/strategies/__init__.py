"""The ways in which a new version reaches a fleet, one room each."""
