"""Import of logs, metrics and manifests as a commented scenario; each format has its own reader."""
