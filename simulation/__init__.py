"""The model: scenarios in, frozen results and plans out; SimPy lives here and only here."""
