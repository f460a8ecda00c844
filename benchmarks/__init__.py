"""Latency of allocate on every engine, beside the kernel floor."""
