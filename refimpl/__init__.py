"""The reference implementation: container network initialisation on the real kernel."""
