"""The conformance suite: what container network initialisation promises, run on every engine.

A black box: it drives engines through their API and looks at them from the host. It imports
neither the reference implementation nor a netlink library.
"""
