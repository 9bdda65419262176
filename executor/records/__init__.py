"""What a rollout leaves on disk: the journal, the lock, the timeline."""
