"""The request plane as compiled code: what `simulation.engines.reference` says, said to a compiler."""
