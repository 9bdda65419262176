"""The plan: its model, waves, rules, file and signature."""
