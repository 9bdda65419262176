"""From a study to a plan: the search, the starts, the evidence, the sensitivity."""
