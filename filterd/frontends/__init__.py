"""The doors: adapters around `examine` and `fulfil`, each in its own protocol."""
