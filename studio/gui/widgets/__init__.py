"""Parts that pages and panels are made of."""
