"""Where a study is simulated: in this process, in worker processes, on a cluster."""
