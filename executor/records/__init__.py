"""Records of a rollout on disk: journal, lock and timeline."""
