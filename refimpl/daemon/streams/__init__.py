"""The standard streams of containers and execs: reading, attaching, logging."""
