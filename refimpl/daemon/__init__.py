"""A container's life: everything between the API above and the container network model below."""
