"""The request plane as compiled code: what `simulation.engines.reference.engine` says, said to a compiler."""
