"""What a run leaves: requests, states, counts, and how they are stored."""
