"""What a user writes: the scenario, its rules, its units. No SimPy here."""
