"""The plan format and the executor, which runs on a host without the rest of Rollcast."""
