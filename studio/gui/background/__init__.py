"""Work beside the window: jobs and their threads."""
