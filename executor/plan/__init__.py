"""What a plan is: its model, its rules, its file, who signed it."""
