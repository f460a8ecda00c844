"""Network drivers: how a network, an endpoint and a join become kernel objects."""
