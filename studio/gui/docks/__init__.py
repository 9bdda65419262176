"""The docks around the pages: scenario, runs, jobs, lessons."""
