"""The only room that makes system calls: namespaces, links, routes, firewall, mounts, files."""
