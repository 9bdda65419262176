"""Actions, settings, dialogs, the look of Qt."""
