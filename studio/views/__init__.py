"""What screens, charts and reports show, as data: no Qt, no matplotlib."""
