"""The suite's eyes: each module looks at one side of an engine, from outside.

exec: inside a container, through the API. host: namespaces, links, addresses, routes, files, from
the machine. files: what hosts, resolv.conf and hostname say. events, metrics: what the engine
reports about itself. poll: the one way to wait.
"""
