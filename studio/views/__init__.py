"""The content of screens, charts and reports, as data: no Qt, no matplotlib."""
