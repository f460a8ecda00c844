"""The gate: is this revision slower than that one? Measured interleaved, on one machine."""
