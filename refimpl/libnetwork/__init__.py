"""The container network model: controller, networks, endpoints, sandboxes, addresses, names."""
