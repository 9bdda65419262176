"""Parts of answers that several commands print."""
