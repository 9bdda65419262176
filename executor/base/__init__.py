"""What every floor needs: errors, files, canonical JSON, positions in YAML, directories."""
