"""The answer of a comparison, as data: what is recommended, what was left out, and the order of rows."""
