"""HTTP on a unix socket: decode, call, encode. What a request means is decided below."""
