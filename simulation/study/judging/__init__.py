"""How a verdict is reached: the objectives' figures in each run, the rules, the words."""
