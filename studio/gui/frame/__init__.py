"""The frame around the pages: bars, headline, files, recovery, command palette."""
