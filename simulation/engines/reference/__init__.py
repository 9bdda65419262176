"""The reference engine: SimPy, written to be read. It defines the model."""
