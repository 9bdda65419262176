"""Facts about one candidate of a comparison, as data and words."""
