"""The scenario file: its model, rules, limits and units. No SimPy here."""
