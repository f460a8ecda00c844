"""What networks a container: networks, links, options."""
