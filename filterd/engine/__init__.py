"""The engine: one way through for every mail. `examine` and `fulfil` are its only doors."""
