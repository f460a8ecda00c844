"""How a container is created, started, stopped, restored and removed."""
