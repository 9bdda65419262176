"""What stands around the pages: bars, headline, files, recovery, the palette of commands."""
