"""Where instances run: one file a way to run commands there, over one small interface."""
